"""Menus: what the people of a role find in the sidebar, in which groups, and where they start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.i18n import LOCALES, noop, own_first
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.config import Config
from saas.metadata.examined import NOTHING, Examined
from saas.metadata.parse import examine
from saas.metadata.pools import POOL_VIEW
from saas.runtime import Context, permissions
from saas.runtime.composing import forms_of
from saas.runtime.statements import statements_of
from saas.runtime.views import configured_views
from saas.ui import shell
from saas.ui.builder import words
from saas.ui.builder.arranging import Arrangement
from saas.ui.builder.controls import Control, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors, config_of, open_desk
from saas.ui.views import Choice

LIST = "/settings/menus"
LEVELS = {"group": 0}
Raw = Mapping[str, Any]


@get(LIST)
async def menus(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    rows = [_row(desk, raw) for raw in desk.raw.get("roles", ()) if isinstance(raw, Mapping)]
    return await desk.page("settings/design_menus/index", "menus", rows=rows)


def _row(desk: Desk, raw: Raw) -> dict[str, Any]:
    key = str(raw.get("key"))
    home = edits.find(desk.raw, f"dashboards[{raw.get('home')}]") if raw.get("home") else None
    groups = [desk.words(g.get("label")) for g in raw.get("menu", ()) if isinstance(g, Mapping)]
    problems = [*desk.problems_at(f"roles[{key}].menu"), *desk.problems_at(f"roles[{key}].home")]
    return {
        "name": desk.words(raw.get("label"), key), "url": f"{LIST}/{key}", "groups": " · ".join(g for g in groups if g), "own": bool(groups),
        "home": desk.words(home.get("label"), str(raw["home"])) if home else "", "problems": "; ".join(str(p.message) for p in problems[:3]),
    }  # fmt: skip


@get(f"{LIST}/{{key:str}}")
async def menu(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, key, desk.find(f"roles[{key}]"))


@post(f"{LIST}/{{key:str}}", status_code=200)
async def save_menu(request: Request, key: FromPath[str]) -> Response[Any]:
    """Save; or, for those without scripts, do one act (`_act`: move, add-group, preview) to what the form says. `_act` suggest begins with
    all that the role may see."""
    desk = await open_desk(request)
    before = desk.find(f"roles[{key}]")
    form = await desk.ask.form()
    act = str(form.get("_act") or "")
    definition = _read(desk, key, before, form, act)
    if act:
        return await _page(desk, key, definition)
    errors = _lacking(definition)
    if not errors:
        definition["menu"] = [g for g in definition["menu"] if g["items"]]
        kept = {k: v for k, v in definition.items() if k != "menu" or v}
        errors = await desk.save(f"roles[{key}]", kept, words.changed(_("Menus"), desk.words(before.get("label"), key)), mark=str(form.get("_mark") or "") or None)
    return await _page(desk, key, definition, errors, mark=str(form.get("_mark") or "")) if errors else desk.done(f"{LIST}/{key}")


@post(f"{LIST}/{{key:str}}/preview", status_code=200)
async def preview_menu(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    definition = _read(desk, key, desk.find(f"roles[{key}]"), await desk.ask.form(), "")
    return desk.fragment("settings/design_menus/_preview", **await _sidebar(desk, key, definition))


def _read(desk: Desk, key: str, before: Raw, form: FormMultiDict, act: str) -> dict[str, Any]:
    """The role with the menu and start page that a posted form means."""
    items = Arrangement(LEVELS, [str(v) for v in form.getall("item", [])])
    if act == "move":
        items.do(str(form.get("_thing") or ""), str(form.get("_where") or ""))
    elif act == "add-group":
        items.items.insert(items.items.index("palette"), "group:added")
    groups: list[dict[str, Any]] = []
    for kind, name in items.used:
        if kind == "group":
            label = {loc: text for loc in LOCALES if (text := str(form.get(f"label.{name}.{loc}") or "").strip())}
            groups.append({"label": words.everywhere(noop("New group")) if name == "added" else label, "items": []})
        elif kind == "entry" and groups:
            groups[-1]["items"].append(name)
    if act == "suggest":
        groups = _suggested(desk, key)
    home = read(desk, _controls(desk), form)
    return {**{k: v for k, v in before.items() if k not in ("menu", "home")}, **home, "menu": groups}


def _lacking(definition: Raw) -> Errors:
    errors: Errors = {}
    for number, group in enumerate(definition["menu"]):
        if group["items"] and not group["label"]:
            errors[f"menu[{number}]"] = _("Give this group a name.")
        elif group["label"] and not group["items"]:
            errors[f"menu[{number}]"] = _("Put something into this group, or remove it.")
    return errors


def _controls(desk: Desk) -> list[Control]:
    dashboards = tuple(Choice(d.key, desk.words(d.label, d.key)) for d in desk.config.bundle.dashboards)
    return [Control("home", "choice", _("Start page"), _("What people of this role see after signing in."), choices=dashboards, more={"empty": _("The first entry of the menu")})]


# ---- what a menu can hold -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    item: str
    name: str
    note: str
    icon: str
    unseen: str = ""  # why people of the role do not find it
    lost: bool = False


def _entries(desk: Desk, ctx: Context) -> Iterator[_Entry]:
    """Everything a menu can hold, with what keeps this role from it."""
    config = desk.config
    for dashboard in config.bundle.dashboards:
        yield _entry(ctx, f"dashboard:{dashboard.key}", desk.words(dashboard.label, dashboard.key), _("Dashboard"), "dashboard")
    for entity in config.entities.values():
        name = desk.words(entity.defn.plural, entity.key)
        yield _entry(ctx, entity.key, name, _("Entity"), entity.defn.icon)
        if permissions.may(ctx, "create", entity.key) and not shell.is_detail(ctx, entity):
            yield _entry(ctx, f"new:{entity.key}", _("New %(name)s", name=desk.words(entity.defn.label, entity.key)), _("Form"), "plus")
        if entity.pipeline is not None or any(v.kind == "board" for v in config.views(entity.key)):
            yield _entry(ctx, f"board:{entity.key}", _("%(kind)s · %(view)s", kind=name, view=_("Board")), _("Board"), "board")
        for view in config.views(entity.key):
            yield _entry(ctx, f"{entity.key}:{view.key}", _("%(kind)s · %(view)s", kind=name, view=desk.words(view.label, view.key)), _("View"), "board" if view.kind == "board" else "list")
        for pool in entity.defn.pools:
            if not any(v.key == f"{POOL_VIEW}{pool.key}" for v in config.views(entity.key)):
                yield _entry(ctx, f"{entity.key}:{POOL_VIEW}{pool.key}", _("%(kind)s · %(view)s", kind=name, view=desk.words(pool.label, pool.key)), _("Pool"), "list")
    for form in config.bundle.forms if "form" not in config.entities else ():
        yield _entry(ctx, f"form:{form.key}", desk.words(form.label, form.key), _("Entry form"), "forms")
    for statement in config.bundle.statements if "statement" not in config.entities else ():
        yield _entry(ctx, f"statement:{statement.key}", desk.words(statement.label, statement.key), _("Statement"), "file-text")
    for report in config.bundle.reports:
        yield _entry(ctx, f"report:{report.key}", desk.words(report.label, report.key), _("Report"), "chart-bar")


def _entry(ctx: Context, item: str, name: str, note: str, icon: str) -> _Entry:
    return _Entry(f"entry:{item}", name, note, icon, "" if _may(ctx, item) else _("People of this role may not see it, so it is left out for them."))


def _may(ctx: Context, item: str) -> bool:
    kind, colon, key = item.partition(":")
    if colon and kind == "dashboard":
        return permissions.may_dashboard(ctx, key)
    if colon and kind == "report":
        return permissions.may_report(ctx, key)
    if colon and kind == "form" and "form" not in ctx.config.entities:
        return any(f.key == key for f in forms_of(ctx))
    if colon and kind == "statement" and "statement" not in ctx.config.entities:
        return any(s.key == key for s in statements_of(ctx))
    if colon and kind == "new":
        return permissions.may(ctx, "create", key)
    entity = key if colon and kind == "board" else kind
    if not permissions.may(ctx, "read", entity):
        return False
    return not colon or kind == "board" or any(v.key == key for v in configured_views(ctx, ctx.config.entity(entity)))


def _suggested(desk: Desk, key: str) -> list[dict[str, Any]]:
    """What the role's people see without a menu of their own, as one."""
    ctx, config = _as_role(desk.ctx, desk.config, key), desk.config
    found = [
        (noop("Start"), [f"dashboard:{d}" for d in config.dashboards if permissions.may_dashboard(ctx, d)]),
        (noop("Records"), [e.key for e in config.entities.values() if permissions.may(ctx, "read", e.key) and not shell.is_detail(ctx, e)]),
        (noop("Reports"), [f"report:{r}" for r in config.reports if permissions.may_report(ctx, r)]),
    ]  # fmt: skip
    return [{"label": words.everywhere(title), "items": items} for title, items in found if items]


def _as_role(ctx: Context, config: Config, key: str) -> Context:
    """The admin's context as somebody who has this role only."""
    assert ctx.user is not None
    return ctx.replace(config=config, user=replace(ctx.user, role_keys=(key,)))


# ---- the designer -------------------------------------------------------------------------------------------------------


async def _page(desk: Desk, key: str, definition: Raw, errors: Errors | None = None, *, mark: str = "") -> Response[Any]:
    controls, path = _controls(desk), f"roles[{key}]"
    known = {e.item: e for e in _entries(desk, _as_role(desk.ctx, desk.config, key))}
    groups, used = [], set()
    for number, group in enumerate(g for g in definition.get("menu", ()) if isinstance(g, Mapping)):
        items = [f"entry:{i}" for i in group.get("items", ())]
        used.update(items)
        groups.append(
            {
                "id": f"g{number}", "label": group.get("label") or {}, "name": desk.words(group.get("label")) or _("Group"), "error": (errors or {}).get(f"menu[{number}]", ""),
                "chips": [known.get(i) or _Entry(i, i.partition(":")[2], _("no longer exists"), "alert", lost=True) for i in items],
            }
        )  # fmt: skip
    left = [e for e in known.values() if e.item not in used]
    told = [t for p, t in (errors or {}).items() if not p.startswith("menu[") or not any(g["error"] for g in groups)]
    return await desk.page(
        "settings/design_menus/edit", "menus", status=422 if errors else 200, key=key, title=desk.words(definition.get("label"), key), groups=groups, left=left, locales=own_first(),
        drawn=await draw(desk, controls, definition, errors), problems=[*told, *(g["error"] for g in groups if g["error"])] if errors else left_over({}, controls), mark=mark or desk.mark(path),
        url=f"{LIST}/{key}", moves=_moves(groups, left), role_url=f"/settings/roles/{key}", **await _sidebar(desk, key, definition),
    )  # fmt: skip


def _moves(groups: Sequence[Mapping[str, Any]], left: Sequence[_Entry]) -> dict[str, list[tuple[str, str]]]:
    """What can be moved, and where to, for those without scripts."""
    things = [(f"group:{g['id']}", _("Group: %(name)s", name=g["name"])) for g in groups]
    things += [(c.item, c.name) for g in groups for c in g["chips"]]
    things += [(e.item, e.name) for e in left]
    return {"things": things, "places": [(f"group:{g['id']}", _("Into: %(name)s", name=g["name"])) for g in groups]}


async def _sidebar(desk: Desk, key: str, definition: Raw) -> dict[str, Any]:
    """The sidebar as people of this role alone would see it."""
    role = {**definition, "menu": [g for g in definition.get("menu", ()) if g.get("items") and g.get("label")]}
    new = edits.put(desk.raw, f"roles[{key}]", role)
    bundle, problems = await asyncio.to_thread(examine, new)
    config = config_of(desk.ask.ctx, Examined(new, bundle or NOTHING, tuple(problems)))
    if key not in config.roles:
        return {"seen": (), "home_url": ""}
    ctx = _as_role(desk.ask.ctx, config, key)
    return {"seen": shell.navigation(ctx, ""), "home_url": shell.home_url(ctx)}


router = Router("", route_handlers=[menus, menu, save_menu, preview_menu])
