"""Reports and dashboards: which there are, how their figures are arranged, and one figure at a time, with the real thing beside it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath
from markupsafe import Markup

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound
from saas.i18n import LOCALES, LazyString, lazy, pick, use_locale
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import WidgetParts, widget_types
from saas.metadata.models import WidgetDef
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.reports import load_widget
from saas.runtime.sql import expr_type
from saas.ui.builder import words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, controls_of, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.figure_parts import FUNCTIONS, as_written, field_at
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.trying import Tried, tried
from saas.ui.guards import whole_number
from saas.ui.render import markup
from saas.ui.views import Choice, Link

Raw = Mapping[str, Any]
NEW = "new-page"  # no key of a page: keys have no hyphens
USUAL_WIDTH = 6
FIGURE_ORDERS = ("-value", "value", "label", "-label")
COMMON = ("key", "label", "type", "entity", "filter", "width", "help")
WIDTHS: Mapping[int, LazyString] = {3: lazy("a quarter"), 4: lazy("a third"), 6: lazy("half"), 8: lazy("two thirds"), 9: lazy("three quarters"), 12: lazy("full width")}


@dataclass(frozen=True, slots=True)
class Kind:
    """Reports, or dashboards."""

    section: str
    title: LazyString
    lead: LazyString
    one: LazyString
    icon: str

    @property
    def url(self) -> str:
        return f"/settings/{self.section}"

    def path(self, key: str) -> str:
        return f"{self.section}[{key}]"


KINDS = {
    "reports": Kind("reports", lazy("Reports"), lazy("Pages of figures with choices above them, such as a period or a person."), lazy("New report"), "chart-bar"),
    "dashboards": Kind("dashboards", lazy("Dashboards"), lazy("Start pages: the figures people want to see first in the morning."), lazy("New dashboard"), "dashboard"),
}
BOTH = tuple(k.url for k in KINDS.values())


def _kind(request: Request) -> Kind:
    return KINDS[request.url.path.split("/")[2]]


def _paths(rest: str) -> list[str]:
    return [f"{url}{rest}" for url in BOTH]


# ---- all of them --------------------------------------------------------------------------------------------------------


@get(_paths(""))
async def pages(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    rows = [_row(desk, kind, raw) for raw in desk.raw.get(kind.section, ())]
    return await desk.page("settings/design_figures/index", kind.section, kind=kind, rows=rows)


def _row(desk: Desk, kind: Kind, raw: Raw) -> dict[str, Any]:
    key = str(raw.get("key"))
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{kind.url}/{key}", "count": len(raw.get("widgets", ())), "note": desk.words(raw.get("description")),
        "roles": [r.text for r in seen_by(desk, kind, key)], "problems": "; ".join(str(p.message) for p in desk.problems_at(kind.path(key))[:3]),
    }  # fmt: skip


def seen_by(desk: Desk, kind: Kind, key: str) -> list[Link]:
    """The roles that may open a report or dashboard, with their pages: there it is set."""
    found = []
    for role in desk.config.bundle.roles:
        named = getattr(role, kind.section)
        if role.admin or key in named or "*" in named or (kind.section == "dashboards" and role.home == key):
            found.append(Link(desk.words(role.label, role.key), f"/settings/roles/{role.key}"))
    return found


@post(_paths("/order"), status_code=200)
async def order_pages(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, kind.section, keys), words.reordered(str(kind.title)))
    return desk.done(kind.url)


@get(_paths(f"/{NEW}"))
async def new_page(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    return await _new_page(desk, kind, {})


async def _new_page(desk: Desk, kind: Kind, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _name_controls(desk, kind, ())
    return await desk.page(
        "settings/design_figures/new", kind.section, status=422 if errors else 200, kind=kind, drawn=await draw(desk, controls, values, errors), problems=left_over(errors or {}, controls)
    )  # fmt: skip


@post(_paths(f"/{NEW}"), status_code=200)
async def create_page(request: Request) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    values = read(desk, _name_controls(desk, kind, ()), await desk.ask.form())
    if not values.get("label"):
        return await _new_page(desk, kind, values, {"label": _("Give it a name in at least one language.")})
    key = desk.key(values["label"], kind.section, "page")
    errors = await desk.save(kind.path(key), {"key": key, **values, "widgets": []}, words.added(str(kind.title), desk.words(values["label"])))
    return await _new_page(desk, kind, values, errors) if errors else desk.done(f"{kind.url}/{key}", _("Saved in your draft. Now add the first figure."))


def _name_controls(desk: Desk, kind: Kind, entities: Sequence[str]) -> list[Control]:
    controls = [Control("label", "label", _("Name"), required=True)]
    if kind.section == "reports":
        controls.append(Control("description", "label", _("What it answers"), _("Shown above the figures.")))
    if kind.section == "reports" and entities:
        controls.append(Control("params", "params", _("What people may choose above it"), _("Every figure with that field follows the choice."), more={"entities": entities}))
    return controls


# ---- one page of figures ------------------------------------------------------------------------------------------------


@get(_paths("/{key:str}"))
async def page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    return await _page(desk, kind, key, desk.find(kind.path(key)))


async def _page(desk: Desk, kind: Kind, key: str, values: Raw, errors: Errors | None = None, *, status: int = 0, told: Sequence[str] = ()) -> Response[Any]:
    found = desk.find(kind.path(key))
    controls = _name_controls(desk, kind, _entities(desk, found))
    shown = await tried(desk, desk.raw, kind.path(key), lambda ctx: _grid(desk, kind, key, found, ctx))
    return await desk.page(
        "settings/design_figures/page", kind.section, status=status or (422 if errors else 200), kind=kind, key=key, url=f"{kind.url}/{key}", title=desk.words(found.get("label"), key),
        drawn=await draw(desk, controls, values, errors), problems=[*told, *left_over(errors or {}, controls)], mark=desk.mark(kind.path(key)), grid_mark=desk.mark(f"{kind.path(key)}.widgets"),
        tried=shown, items=[] if shown.html is not None else [_item(desk, kind, key, w, n, None) for n, w in enumerate(found.get("widgets", ()))], count=len(found.get("widgets", ())),
        roles=seen_by(desk, kind, key), live_url=f"/{kind.section}/{key}" if key in getattr(desk.ask.ctx.config, kind.section) else "",
    )  # fmt: skip


def _entities(desk: Desk, raw: Raw) -> list[str]:
    return list(dict.fromkeys(str(w["entity"]) for w in raw.get("widgets", ()) if w.get("entity") in desk.config.entities))


async def _grid(desk: Desk, kind: Kind, key: str, raw: Raw, ctx: Context) -> Markup:
    """All figures as they would be, each with what can be done to it."""
    definitions = getattr(ctx.config, kind.section)[key].widgets
    items = []
    for number, (written, definition) in enumerate(zip(raw.get("widgets", ()), definitions, strict=True)):
        loaded = without_links(await load_widget(ctx, definition))
        items.append(_item(desk, kind, key, written, number, markup(f"widgets/{definition.type}/widget.html", view=loaded, widget=definition, ctx=ctx, locale=ctx.locale), definition))
    return markup("settings/design_figures/_items.html", items=items, widths=_width_words())


def _item(desk: Desk, kind: Kind, key: str, raw: Raw, number: int, html: Markup | None, definition: WidgetDef | None = None) -> dict[str, Any]:
    name = str(raw.get("key") or number)
    own = original(desk.raw, raw)
    url = f"{kind.url}/{key}/widgets/{name}"
    problems = desk.problems_at(f"{kind.path(key)}.widgets[{name}]")
    return {
        "number": number, "id": name, "name": desk.words(raw.get("label") or own.get("label"), name), "width": raw.get("width") or own.get("width") or 6, "html": html,
        "icon": k.icon if (k := widget_types.find(str(own.get("type")))) else "alert", "url": url, "from_url": f"/settings/reports/{raw['report']}" if "report" in raw else "",
        "problem": "; ".join(str(p.message) for p in problems[:2]), "copy_url": f"{url}/copy", "remove_url": f"{url}/remove",
    }  # fmt: skip


def original(bundle: Raw, raw: Raw) -> Raw:
    """The figure a dashboard points to; itself where it is one."""
    if "report" not in raw:
        return raw
    return edits.find(bundle, f"reports[{raw['report']}].widgets[{raw.get('widget')}]") or {}


def without_links(value: Any) -> Any:
    """Loaded figures that lead nowhere: a click in the designer must not leave what is being edited."""
    if isinstance(value, Mapping):
        return {k: None if k in ("drill", "drills") else without_links(v) for k, v in value.items()}
    return [without_links(v) for v in value] if isinstance(value, list) else value


def _width_words() -> list[Choice]:
    return [Choice(str(n), f"{n} · {WIDTHS[n]}" if n in WIDTHS else str(n)) for n in range(1, 13)]


@post(_paths("/{key:str}"), status_code=200)
async def save_page(request: Request, key: FromPath[str]) -> Response[Any]:
    """Its name and choices; figures have addresses of their own."""
    desk, kind = await open_desk(request), _kind(request)
    found = desk.find(kind.path(key))
    form = await desk.ask.form()
    controls = _name_controls(desk, kind, _entities(desk, found))
    values = read(desk, controls, form)
    definition = laid(found, controls, values)
    errors = {} if values.get("label") else {"label": _("Give it a name in at least one language.")}
    errors = errors or await desk.save(kind.path(key), definition, words.changed(str(kind.title), desk.words(values["label"])), mark=str(form.get("_mark") or "") or None)
    return await _page(desk, kind, key, values, errors) if errors else desk.done(f"{kind.url}/{key}")


@post(_paths("/{key:str}/arrange"), status_code=200)
async def arrange(request: Request, key: FromPath[str]) -> Response[Any]:
    """Order and widths of the figures: `item` are their numbers, `width.<n>` their widths, `place.<n>` the places of those who cannot drag."""
    desk, kind = await open_desk(request), _kind(request)
    path = f"{kind.path(key)}.widgets"
    widgets = list(desk.find(kind.path(key)).get("widgets", ()))
    form = await desk.ask.form()
    if str(form.get("_mark") or "") != desk.mark(path):
        told = _("This page was changed in another window meanwhile. Here is how it stands now.")
        if desk.ask.is_fragment:
            raise Conflict(told)
        return await _page(desk, kind, key, desk.find(kind.path(key)), status=409, told=[told])
    asked = [n for text in form.getall("item", []) if (n := whole_number(str(text))) is not None and n < len(widgets)]
    order = list(dict.fromkeys([*asked, *range(len(widgets))]))
    places = {n: whole_number(str(form.get(f"place.{n}") or "")) or at + 1 for at, n in enumerate(order)}
    order.sort(key=places.__getitem__)
    new = [_as_wide(widgets[n], whole_number(str(form.get(f"width.{n}") or ""))) for n in order]
    name = desk.words(desk.find(kind.path(key)).get("label"), key)
    title = words.reordered if order != sorted(order) else words.changed
    await desk.take(edits.put(desk.raw, path, new), title(str(kind.title), name))
    if not desk.ask.is_fragment:
        return desk.done(f"{kind.url}/{key}")
    fresh = await open_desk(request)
    return fresh.ask.fragment("builder/_bar.html", headers={"X-Mark": fresh.mark(path)}, desk=fresh.bar(), here=f"{kind.url}/{key}", current=kind.section)


def _as_wide(widget: Raw, width: int | None) -> dict[str, Any]:
    if width is None or not 1 <= width <= 12 or width == widget.get("width", 6):
        return dict(widget)
    return {**widget, "width": width}


@post(_paths("/{key:str}/copy"), status_code=200)
async def copy_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    found = desk.find(kind.path(key))
    label = words.copy_of(found.get("label") or {})
    new_key = desk.key(label, kind.section, "page")
    await desk.take(edits.add(desk.raw, kind.section, {**found, "key": new_key, "label": label}, after=key), words.added(str(kind.title), desk.words(label)))
    return desk.done(f"{kind.url}/{new_key}")


@get(_paths("/{key:str}/remove"))
async def ask_remove_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    url = f"{kind.url}/{key}"
    notes = [_("No record is touched: only these figures go.")]
    return await ask_removal(desk, kind.path(key), kind.section, name=desk.words(desk.find(kind.path(key)).get("label"), key), back=url, action=f"{url}/remove", notes=notes)


@post(_paths("/{key:str}/remove"), status_code=200)
async def remove_page(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    name = desk.words(desk.find(kind.path(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), kind.path(key), words.removed(str(kind.title), name))
    return desk.done(kind.url)


# ---- figures of reports on a dashboard ----------------------------------------------------------------------------------


@get("/settings/dashboards/{key:str}/from-reports")
async def report_figures(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.find(f"dashboards[{key}]")
    there = {(w.get("report"), w.get("widget")) for w in found.get("widgets", ())}
    groups = [
        {"name": desk.words(r.get("label"), r["key"]), "figures": [Choice(f"{r['key']}:{w['key']}", desk.words(w.get("label"), w["key"]), (r["key"], w["key"]) in there) for w in r.get("widgets", ()) if w.get("key")]}
        for r in desk.raw.get("reports", ())
    ]  # fmt: skip
    return await desk.page("settings/design_figures/from_reports", "dashboards", groups=[g for g in groups if g["figures"]], url=f"/settings/dashboards/{key}", title=desk.words(found.get("label"), key))


@post("/settings/dashboards/{key:str}/from-reports", status_code=200)
async def add_report_figures(request: Request, key: FromPath[str]) -> Response[Any]:
    """Put ticked figures of reports on the dashboard: they stay the report's, and follow it."""
    desk = await open_desk(request)
    path = f"dashboards[{key}]"
    found = desk.find(path)
    there = {(w.get("report"), w.get("widget")) for w in found.get("widgets", ())}
    made = []
    for text in dict.fromkeys(str(v) for v in (await desk.ask.form()).getall("figure", [])):
        report, _colon, widget = text.partition(":")
        if (report, widget) not in there and edits.find(desk.raw, f"reports[{report}].widgets[{widget}]"):
            made.append({"report": report, "widget": widget})
    if made:
        await desk.take(edits.put(desk.raw, f"{path}.widgets", [*found.get("widgets", ()), *made]), words.changed(_("Dashboards"), desk.words(found.get("label"), key)))
    return desk.done(f"/settings/dashboards/{key}")


# ---- one figure ---------------------------------------------------------------------------------------------------------


@control_kinds.register
class Types(ControlKind):
    """A kind of figure, chosen by its picture."""

    key = "types"
    grouped = True
    wide = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"types": [{"key": t.key, "label": str(t.label), "about": str(t.about), "icon": t.icon} for t in widget_types]}


@get(_paths("/{key:str}/add-widget"))
async def new_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    found = desk.find(kind.path(key))
    if not desk.config.entities:
        raise NotFound()
    used = _entities(desk, found)
    values = {"type": "bar", "entity": used[-1] if used else next(iter(desk.config.entities)), "width": 6}
    return await _widget_page(desk, kind, key, None, _completed(desk, values))


@post(_paths("/{key:str}/add-widget"), status_code=200)
async def create_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    desk.find(kind.path(key))
    return await _save_widget(desk, kind, key, None)


@get(_paths("/{key:str}/widgets/{name:str}"))
async def widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    found = desk.find(f"{kind.path(key)}.widgets[{name}]")
    if "report" in found:
        return await _reference_page(desk, kind, key, name, found)
    return await _widget_page(desk, kind, key, name, found)


@post(_paths("/{key:str}/widgets/{name:str}"), status_code=200)
async def save_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    found = desk.find(f"{kind.path(key)}.widgets[{name}]")
    return await _save_reference(desk, kind, key, name, found) if "report" in found else await _save_widget(desk, kind, key, name)


@post(_paths("/{key:str}/preview"), status_code=200)
async def preview_widget(request: Request, key: FromPath[str]) -> Response[Any]:
    """The figure a form as it stands would make; nothing is saved."""
    desk, kind = await open_desk(request), _kind(request)
    desk.find(kind.path(key))
    name = request.query_params.get("widget") or None
    if name is not None:
        desk.find(f"{kind.path(key)}.widgets[{name}]")
    values = _values(desk, await desk.ask.form())
    return desk.fragment("builder/tried", tried=await _tried(desk, kind, key, name, values))


async def _save_widget(desk: Desk, kind: Kind, key: str, name: str | None) -> Response[Any]:
    form = await desk.ask.form()
    values = _values(desk, form)
    act = str(form.get("_act") or "")
    if act in ("redraw", "preview"):
        return await _widget_page(desk, kind, key, name, values)
    errors = _lacking(desk, values)
    if not errors:
        definition = _definition(desk, values)
        before = edits.find(desk.raw, f"{kind.path(key)}.widgets[{name}]") if name else None
        definition = as_written(desk, definition["entity"], _controls(desk, values), before or {}, definition)
        page_name = desk.words(desk.find(kind.path(key)).get("label"), key)
        section = f"{kind.path(key)}.widgets"
        made = name or desk.key(definition["label"], section, "figure")
        title = (words.changed if name else words.added)(str(kind.title), page_name, desk.words(definition["label"]))
        errors = await desk.save(f"{section}[{made}]", {"key": made, **definition}, title, mark=str(form.get("_mark") or "") or None)
    return await _widget_page(desk, kind, key, name, values, errors, mark=str(form.get("_mark") or "")) if errors else desk.done(f"{kind.url}/{key}")


def _values(desk: Desk, form: FormMultiDict) -> dict[str, Any]:
    """What the form says. Of a kind chosen before, what this kind has no use for is kept in `_was`; another entity begins afresh."""
    was: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(str(form.get("_was") or "{}"))
        was = {k: v for k, v in found.items() if _is_sound(k, v)} if isinstance(found, dict) else {}
    given = {"type": str(form.get("type") or ""), "entity": str(form.get("entity") or "")}
    kind, entity = widget_types.find(given["type"]), desk.config.entities.get(given["entity"])
    if kind is None or entity is None:
        raise NotFound()
    drawn_type, drawn_entity = str(form.get("_type") or given["type"]), str(form.get("_entity") or given["entity"])
    before = {**was, "type": drawn_type, "entity": drawn_entity}
    if drawn_entity not in desk.config.entities or widget_types.find(drawn_type) is None:
        raise NotFound()
    # Controls that depend on one another's values (a table's columns decide on its measures) were drawn for what was there then.
    controls = _controls(desk, {**before, **({"columns": ["?"]} if form.get("_records") else {})})
    values = laid(was, controls, read(desk, controls, form))
    values["width"] = whole_number(str(values.get("width", ""))) or USUAL_WIDTH
    if drawn_entity != given["entity"]:
        values = {k: v for k, v in values.items() if k in ("width", "limit", "help")}
    return _completed(desk, {**values, **given})


def _is_sound(name: str, value: Any) -> bool:
    """Whether what came back in a hidden input can be drawn again; whether it is right is checked when it is saved."""
    if name in ("measures", "dimensions"):
        part = "fn" if name == "measures" else "field"
        return isinstance(value, list) and all(isinstance(v, dict) and isinstance(v.get(part), str) and isinstance(v.get("label", {}), dict) for v in value)
    if name in ("sort", "limit", "filter", "help"):
        return isinstance(value, {"sort": (str, list), "limit": int, "filter": dict, "help": dict}[name])
    props = [p for k in widget_types for n, p in k.options_schema["properties"].items() if n == name]
    return bool(props) and all(Draft202012Validator(p).is_valid(value) for p in props)


def _completed(desk: Desk, values: Mapping[str, Any]) -> dict[str, Any]:
    """With what a figure of this kind cannot do without, chosen sensibly, so that there is something to look at."""
    found, kind, entity = dict(values), widget_types.get(values["type"]), desk.config.entities[values["entity"]]
    parts = kind.parts(found)
    if parts.measures and not found.get("measures"):
        found["measures"] = [{"fn": "count"}]
    if kind.min_dimensions and not found.get("dimensions"):
        found["dimensions"] = [_usual_dimension(desk.config, entity, over_time=parts.over_time)]
    if not _suits(found.get("sort"), parts, entity):
        found.pop("sort", None)
    for name, prop in kind.options_schema["properties"].items():
        if prop.get("x-control") == "pipeline" and entity.pipeline and not found.get(name):
            found[name] = entity.pipeline.key
    return found


def _suits(sort: Any, parts: WidgetParts, entity: Entity) -> bool:
    """Whether an order chosen for another kind of figure means anything for this one."""
    if parts.orders == "records":
        texts = sort if isinstance(sort, list) else str(sort or "").split(",")
        return all(isinstance(t, str) and t.strip().removeprefix("-") in entity.fields for t in texts)
    return isinstance(sort, str) and sort in FIGURE_ORDERS


def _usual_dimension(config: Config, entity: Entity, *, over_time: bool) -> dict[str, str]:
    """Months of creation for what shows time; else the stage, a choice, or the owner."""
    if not over_time:
        kinds = {f.key: expr_type(config, f) for f in entity.fields.values()}
        key = next((k for k, kind in kinds.items() if kind == "option"), "owner" if entity.defn.owned else None)
        if key:
            return {"field": key}
    return {"field": "created_at", "bucket": "month"}


def _definition(desk: Desk, values: Raw) -> dict[str, Any]:
    """The widget that the values mean: only what its kind knows, and at most as much of it."""
    kind = widget_types.get(values["type"])
    parts = kind.parts(values)
    names = [*COMMON, *(["measures"] if parts.measures else []), *(["dimensions"] if parts.dimensions else []), *(["sort", "limit"] if parts.orders else []), *kind.options_schema["properties"]]
    made = {k: values[k] for k in names if values.get(k) not in (None, "", [], {})}
    if made.get("width") == USUAL_WIDTH:
        made.pop("width")
    if parts.measures and "measures" in made:
        made["measures"] = made["measures"][: parts.measures]
    if parts.dimensions and "dimensions" in made:
        made["dimensions"] = made["dimensions"][: parts.dimensions]
    if "sort" in made and isinstance(made["sort"], list) != (parts.orders == "records"):
        made.pop("sort")
    return {**made, "label": made.get("label") or suggested(desk.config, made)}


def suggested(config: Config, values: Raw) -> dict[str, str]:
    """A name in each language for a figure that was given none."""
    entity = config.entities[values["entity"]]
    found = {}
    for locale in LOCALES:
        with use_locale(locale):
            measure = (values.get("measures") or [{"fn": "count"}])[0]
            field = entity.fields.get(measure.get("field") or "")
            what = _("%(measure)s %(field)s", measure=FUNCTIONS[measure["fn"]], field=pick(field.label, locale)) if field and measure.get("fn") in FUNCTIONS else pick(entity.defn.plural, locale) or entity.key
            by = field_at(config, entity.key, str((values.get("dimensions") or [{}])[0].get("field", "")))
            found[locale] = _("%(what)s by %(field)s", what=what, field=pick(by.label, locale) or by.key) if by else what
    return found


def _lacking(desk: Desk, values: Raw) -> Errors:
    """What is missing, in people's words."""
    kind, entity = widget_types.get(values["type"]), desk.config.entities[values["entity"]]
    parts, errors = kind.parts(values), {}
    if parts.dimensions and len(values.get("dimensions") or ()) < kind.min_dimensions:
        errors["dimensions"] = _("Choose what to group by.")
    for measure in (values.get("measures") or ())[: parts.measures]:
        if measure["fn"] != "count" and not measure.get("field"):
            errors["measures"] = _("Choose the field for “%(what)s”.", what=FUNCTIONS.get(measure["fn"], measure["fn"]))
    for name in kind.options_schema.get("required", ()):
        if not values.get(name):
            none = kind.options_schema["properties"][name].get("x-control") == "pipeline" and entity.pipeline is None
            errors[name] = _("“%(name)s” has no pipeline. Choose other records, or another kind of figure.", name=desk.words(entity.defn.plural, entity.key)) if none else _("Please choose.")
    for name, prop in kind.options_schema["properties"].items():
        wanted = prop.get("x-show-if", {})
        if wanted and not values.get(name) and all(values.get(other) in allowed for other, allowed in wanted.items()):
            errors[name] = _("Please choose.")
    return errors


def _controls(desk: Desk, values: Raw) -> list[Control]:
    """The form of a figure: what this kind can be put together from, for this entity."""
    kind, entity = widget_types.get(values["type"]), values["entity"]
    parts = kind.parts(values)
    several = parts.measures > 1
    found = [
        Control("type", "types", _("Kind of figure"), required=True),
        Control("entity", "choice", _("About which records?"), required=True, choices=tuple(Choice(e.key, desk.words(e.defn.plural, e.key)) for e in desk.config.entities.values())),
        Control("label", "label", _("Name"), _("Left empty, it is named after what it shows.")),
    ]  # fmt: skip
    if parts.measures:
        found.append(Control("measures", "measures", _("What to show"), _("Sums and averages can be made of numbers and amounts.") if several else "", entity=entity, more={"most": parts.measures}))
    if parts.dimensions:
        note = _("A second one splits each bar, line or area.") if kind.min_dimensions and parts.dimensions == 2 else ""
        found.append(Control("dimensions", "dimensions", _("Grouped by"), note, entity=entity, more={"most": parts.dimensions}))
    found += controls_of(desk, kind.options_schema, entity=entity)
    found.append(Control("filter", "filter", _("Which records"), entity=entity))
    if parts.orders == "records":
        found.append(Control("sort", "orders", _("Order"), entity=entity))
    elif parts.orders:
        orders = (Choice("-value", _("Largest first")), Choice("value", _("Smallest first")), Choice("label", _("By name")))
        found.append(Control("sort", "choice", _("Order"), choices=orders, more={"empty": _("As usual: by time, or as the options stand")}))
    if parts.orders:
        found.append(Control("limit", "number", _("At most"), default=50, more={"unit": _("rows"), "min": 1, "max": 1000}))
    found.append(Control("width", "choice", _("Width"), choices=tuple(_width_words()), default=USUAL_WIDTH))
    found.append(Control("help", "label", _("Explanation"), _("Shown when people point at the name."), advanced=True))
    return found


async def _widget_page(desk: Desk, kind: Kind, key: str, name: str | None, values: Raw, errors: Errors | None = None, *, mark: str = "") -> Response[Any]:
    controls = _controls(desk, values)
    url = f"{kind.url}/{key}"
    names = {c.name for c in controls}
    data = {
        "kind": kind, "url": url, "action": f"{url}/widgets/{name}" if name else f"{url}/add-widget", "preview_url": f"{url}/preview?widget={name or ''}", "name": name or "",
        "page_title": desk.words(desk.find(kind.path(key)).get("label"), key), "title": desk.words(values.get("label")) or (_("New figure") if name is None else name),
        "drawn": await draw(desk, controls, values, errors), "problems": left_over(errors or {}, controls), "tried": await _tried(desk, kind, key, name, values),
        "mark": mark or (desk.mark(f"{kind.path(key)}.widgets[{name}]") if name else ""), "values": values, "records": bool(values.get("columns")), "redraw": " ".join(("type", "entity", *_deciding(values))),
        "was": json.dumps({k: v for k, v in values.items() if k not in names and k != "key"}, ensure_ascii=False), "remove_url": f"{url}/widgets/{name}/remove" if name else "",
    }  # fmt: skip
    if desk.ask.target == "editor":
        return desk.fragment("settings/design_figures/_editor", **data)
    return await desk.page("settings/design_figures/widget", kind.section, status=422 if errors else 200, **data)


def _deciding(values: Raw) -> list[str]:
    """Options of this kind that decide what else it is put together from."""
    kind = widget_types.get(values["type"])
    return [name for name in kind.options_schema["properties"] if kind.parts({**values, name: ["?"]}) != kind.parts({**values, name: None})]


# ---- a figure of a report, on a dashboard -------------------------------------------------------------------------------


def _reference_controls() -> list[Control]:
    return [
        Control("label", "label", _("Name here"), _("Left empty, it is called as in the report.")),
        Control("width", "choice", _("Width"), choices=tuple(_width_words()), more={"empty": _("As in the report")}),
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


@post(_paths("/{key:str}/widgets/{name:str}/copy"), status_code=200)
async def copy_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    """Beside the original. A report's figure becomes one of the dashboard's own, which can then be changed."""
    desk, kind = await open_desk(request), _kind(request)
    section = f"{kind.path(key)}.widgets"
    found = desk.find(f"{section}[{name}]")
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


@get(_paths("/{key:str}/widgets/{name:str}/remove"))
async def ask_remove_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    path, url = f"{kind.path(key)}.widgets[{name}]", f"{kind.url}/{key}"
    return await ask_removal(desk, path, kind.section, name=_widget_name(desk, path, name), back=url, action=f"{url}/widgets/{name}/remove")


@post(_paths("/{key:str}/widgets/{name:str}/remove"), status_code=200)
async def remove_widget(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk, kind = await open_desk(request), _kind(request)
    path = f"{kind.path(key)}.widgets[{name}]"
    title = words.removed(str(kind.title), desk.words(desk.find(kind.path(key)).get("label"), key), _widget_name(desk, path, name))
    await take_out(desk, await desk.ask.form(), path, title)
    return desk.done(f"{kind.url}/{key}")


def _widget_name(desk: Desk, path: str, fallback: str) -> str:
    found = desk.find(path)
    return desk.words(found.get("label") or original(desk.raw, found).get("label"), fallback)


# ---- the result ---------------------------------------------------------------------------------------------------------


async def _tried(desk: Desk, kind: Kind, key: str, name: str | None, values: Raw) -> Tried:
    if lacking := _lacking(desk, values):
        return Tried(reasons=tuple(lacking.values()))
    section = f"{kind.path(key)}.widgets"
    made = name or edits.key_for({}, {w.get("key") for w in desk.find(kind.path(key)).get("widgets", ())}, "preview")
    path = f"{section}[{made}]"
    new = edits.put(desk.raw, path, {"key": made, **_definition(desk, values)})
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


router = Router(
    "",
    route_handlers=[
        pages, order_pages, new_page, create_page, page, save_page, arrange, copy_page, ask_remove_page, remove_page, report_figures, add_report_figures,
        new_widget, create_widget, widget, save_widget, preview_widget, copy_widget, ask_remove_widget, remove_widget,
    ],
)  # fmt: skip
