"""One figure of a report or dashboard: its kind, what it counts and by what, with the real thing beside the form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from markupsafe import Markup

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata import edits
from saas.metadata.models import WidgetDef
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.reports import load_widget
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.figure_forms import (
    completed,
    deciding,
    definition_of,
    figure_controls,
    lacking,
    read_figure,
    width_choices,
)
from saas.ui.builder.figure_parts import as_written
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.trying import Tried, tried
from saas.ui.guards import whole_number
from saas.ui.pages.design_figures import Kind, entities_of, kind_of, original, paths, without_links
from saas.ui.render import markup

Raw = Mapping[str, Any]


# ---- one figure ---------------------------------------------------------------------------------------------------------


@get(paths("/{key:str}/add-widget"))
async def new_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    found = desk.find(kind.path(key))
    if not desk.config.entities:
        raise NotFound()
    used = entities_of(desk, found)
    values = {"type": "bar", "entity": used[-1] if used else next(iter(desk.config.entities)), "width": 6}
    return await _widget_page(desk, kind, key, None, completed(desk, values))


@post(paths("/{key:str}/add-widget"), status_code=200)
async def create_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    desk.find(kind.path(key))
    return await _save_widget(desk, kind, key, None)


@get(paths("/{key:str}/widgets/{name:str}"))
async def widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    found = _found(desk, kind, key, name)
    if "report" in found:
        return await _reference_page(desk, kind, key, name, found)
    return await _widget_page(desk, kind, key, name, found)


@post(paths("/{key:str}/widgets/{name:str}"), status_code=200)
async def save_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    found = _found(desk, kind, key, name)
    return await _save_reference(desk, kind, key, name, found) if "report" in found else await _save_widget(desk, kind, key, name)


@post(paths("/{key:str}/preview"), status_code=200)
async def preview_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    """The figure a form as it stands would make; nothing is saved."""
    desk, kind = await open_desk(request), kind_of(request)
    desk.find(kind.path(key))
    name = request.query_params.get("widget") or None
    if name is not None:
        _found(desk, kind, key, name)
    values = read_figure(desk, await desk.ask.form())
    return desk.fragment("builder/tried", tried=await _tried(desk, kind, key, name, values))


async def _save_widget(desk: Desk, kind: Kind, key: str, name: str | None) -> Response[Any]:
    form = await desk.ask.form()
    values = read_figure(desk, form)
    act = str(form.get("_act") or "")
    if act in ("redraw", "preview"):
        return await _widget_page(desk, kind, key, name, values)
    errors = lacking(desk, values)
    if not errors:
        definition = definition_of(desk, values)
        before = edits.find(desk.raw, f"{kind.path(key)}.widgets[{name}]") if name else None
        definition = as_written(desk, definition["entity"], figure_controls(desk, values), before or {}, definition)
        page_name = desk.words(desk.find(kind.path(key)).get("label"), key)
        section = f"{kind.path(key)}.widgets"
        made = name or desk.key(definition["label"], section, "figure")
        title = (words.changed if name else words.added)(str(kind.title), page_name, desk.words(definition["label"]))
        errors = await desk.save(f"{section}[{made}]", {"key": made, **definition}, title, mark=str(form.get("_mark") or "") or None)
    return await _widget_page(desk, kind, key, name, values, errors, mark=str(form.get("_mark") or "")) if errors else desk.done(f"{kind.url}/{key}")


async def _widget_page(desk: Desk, kind: Kind, key: str, name: str | None, values: Raw, errors: Errors | None = None, *, mark: str = "") -> Response[Any]:
    controls = figure_controls(desk, values)
    url = f"{kind.url}/{key}"
    names = {c.name for c in controls}
    data = {
        "kind": kind, "url": url, "action": f"{url}/widgets/{name}" if name else f"{url}/add-widget", "preview_url": f"{url}/preview?widget={name or ''}", "name": name or "",
        "page_title": desk.words(desk.find(kind.path(key)).get("label"), key), "title": desk.words(values.get("label")) or (_("New figure") if name is None else name),
        "drawn": await draw(desk, controls, values, errors), "problems": left_over(errors or {}, controls), "tried": await _tried(desk, kind, key, name, values),
        "mark": mark or (desk.mark(f"{kind.path(key)}.widgets[{name}]") if name else ""), "values": values, "records": bool(values.get("columns")), "redraw": " ".join(("type", "entity", *deciding(values))),
        "was": json.dumps({k: v for k, v in values.items() if k not in names and k != "key"}, ensure_ascii=False), "remove_url": f"{url}/widgets/{name}/remove" if name else "",
    }  # fmt: skip
    if desk.ask.target == "editor":
        return desk.fragment("settings/design_figures/_editor", **data)
    return await desk.page("settings/design_figures/widget", kind.section, status=422 if errors else 200, **data)


# ---- a figure of a report, on a dashboard -------------------------------------------------------------------------------


def _reference_controls() -> list[Control]:
    return [
        Control("label", "label", _("Name here"), _("Left empty, it is called as in the report.")),
        Control("width", "choice", _("Width"), choices=tuple(width_choices()), more={"empty": _("As in the report")}),
    ]


async def _reference_page(desk: Desk, kind: Kind, key: str, name: str, values: Raw, errors: Errors | None = None) -> Response[Any]:
    controls, own = _reference_controls(), original(desk.raw, values)
    url, report = f"{kind.url}/{key}", str(values["report"])
    return await desk.page(
        "settings/design_figures/reference", kind.section, status=422 if errors else 200, kind=kind, url=url, action=f"{url}/widgets/{name}", drawn=await draw(desk, controls, values, errors),
        problems=left_over(errors or {}, controls), title=desk.words(values.get("label") or own.get("label"), name), page_title=desk.words(desk.find(kind.path(key)).get("label"), key),
        report=desk.words((edits.find(desk.raw, f"reports[{report}]") or {}).get("label"), report), original_url=f"/settings/reports/{report}/widgets/{values.get('widget')}",
        mark=desk.mark(f"{kind.path(key)}.widgets"), remove_url=f"{url}/widgets/{name}/remove", lost=not own,
    )  # fmt: skip


async def _save_reference(desk: Desk, kind: Kind, key: str, name: str, found: Raw) -> Response[Any]:
    form, controls = await desk.ask.form(), _reference_controls()
    values = read(desk, controls, form)
    if whole_number(str(values.get("width", ""))) is not None:
        values["width"] = int(values["width"])
    path = f"{kind.path(key)}.widgets"
    if str(form.get("_mark") or "") != desk.mark(path):  # it is named by its place, which may be another's by now
        return await _reference_page(desk, kind, key, name, {**found, **values}, {"": _("This page was changed in another window meanwhile. Here is how it stands now.")})
    title = words.changed(str(kind.title), desk.words(desk.find(kind.path(key)).get("label"), key))
    errors = await desk.save(f"{path}[{name}]", laid(found, controls, values), title)
    return await _reference_page(desk, kind, key, name, {**found, **values}, errors) if errors else desk.done(f"{kind.url}/{key}")


# ---- copies, removal ----------------------------------------------------------------------------------------------------


@post(paths("/{key:str}/widgets/{name:str}/copy"), status_code=200)
async def copy_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    """Beside the original. A report's figure becomes one of the dashboard's own, which can then be changed."""
    desk, kind = await open_desk(request), kind_of(request)
    section, found = f"{kind.path(key)}.widgets", _found(desk, kind, key, name)
    own = original(desk.raw, found)
    if not own.get("type"):
        raise NotFound()
    label = words.copy_of(found.get("label") or own.get("label") or {})
    new_key = desk.key(label, section, "figure")
    made = {**own, "key": new_key, "label": label, **({"width": found["width"]} if "width" in found else {})}
    widgets = list(desk.find(section))
    at = next(n for n, w in enumerate(widgets) if w is found)
    title = words.added(str(kind.title), desk.words(desk.find(kind.path(key)).get("label"), key), desk.words(label))
    await desk.take(edits.put(desk.raw, section, [*widgets[: at + 1], made, *widgets[at + 1 :]]), title)
    return desk.done(f"{kind.url}/{key}")


@get(paths("/{key:str}/widgets/{name:str}/remove"))
async def ask_remove_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    path, url = f"{kind.path(key)}.widgets[{name}]", f"{kind.url}/{key}"
    return await ask_removal(desk, path, kind.section, name=_widget_name(desk, _found(desk, kind, key, name), name), back=url, action=f"{url}/widgets/{name}/remove")


@post(paths("/{key:str}/widgets/{name:str}/remove"), status_code=200)
async def remove_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), kind_of(request)
    path = f"{kind.path(key)}.widgets[{name}]"
    title = words.removed(str(kind.title), desk.words(desk.find(kind.path(key)).get("label"), key), _widget_name(desk, _found(desk, kind, key, name), name))
    await take_out(desk, await desk.ask.form(), path, title)
    return desk.done(f"{kind.url}/{key}")


def _found(desk: Desk, kind: Kind, key: str, name: str) -> Raw:
    """A figure by its key; one of a report, which has none here, by its place. Errors: NotFound."""
    found = desk.find(f"{kind.path(key)}.widgets[{name}]")
    if found.get("key", name) != name:
        raise NotFound()
    return found


def _widget_name(desk: Desk, found: Raw, fallback: str) -> str:
    return desk.words(found.get("label") or original(desk.raw, found).get("label"), fallback)


# ---- the result ---------------------------------------------------------------------------------------------------------


async def _tried(desk: Desk, kind: Kind, key: str, name: str | None, values: Raw) -> Tried:
    if missing := lacking(desk, values):
        return Tried(reasons=tuple(missing.values()))
    section = f"{kind.path(key)}.widgets"
    made = name or edits.key_for({}, {w.get("key") for w in desk.find(kind.path(key)).get("widgets", ())}, "preview")
    path = f"{section}[{made}]"
    new = edits.put(desk.raw, path, {"key": made, **definition_of(desk, values)})
    return await tried(desk, new, path, lambda ctx: _shown(ctx, kind, key, made))


async def _shown(ctx: Context, kind: Kind, key: str, name: str) -> Markup:
    definition = next(w for w in getattr(ctx.config, kind.section)[key].widgets if w.key == name)
    loaded = without_links(await load_widget(ctx, definition))
    reason = await _why_nothing(ctx, definition, loaded)
    html = "" if reason else markup(f"widgets/{definition.type}/widget.html", view=loaded, widget=definition, ctx=ctx, locale=ctx.locale)
    return markup("settings/design_figures/_widget.html", view=loaded, html=html, reason=reason)


async def _why_nothing(ctx: Context, definition: WidgetDef, loaded: Raw) -> str:
    """Why a figure has nothing to show; "" when it has."""
    if loaded["denied"]:
        return _("You may not see these records yourself, so nothing can be shown to you here.")
    if loaded["error"]:
        return str(loaded["error"])
    if not loaded["empty"]:
        return ""
    name = pick(ctx.config.entity(definition.entity).defn.plural, ctx.locale) or definition.entity
    async with tenant_transaction(ctx.tenant_id):
        [row] = await execute(ctx, ops.Aggregate(entity=definition.entity, measures=[ops.Measure(fn="count")]))
    if not row.values[0]:
        return _("There are no records under “%(name)s” yet. The figure fills as soon as there are.", name=name)
    return _("None of the records under “%(name)s” meets the conditions, or the fields shown are empty in all of them.", name=name)


router = Router("", route_handlers=[new_widget, create_widget, widget, save_widget, preview_widget, copy_widget, ask_remove_widget, remove_widget])
