"""Layouts: how the page of a record is arranged, for everybody or for some roles. Fields are dragged from a palette into sections of
tabs; the page below shows a real record in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath
from markupsafe import Markup

from saas.db import tenant_transaction
from saas.i18n import LOCALES, noop, own_first
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.views import default_columns
from saas.ui.builder import words
from saas.ui.builder.arranging import Arrangement
from saas.ui.builder.controls import Control, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.trying import Tried, tried
from saas.ui.pages.design_views import in_places, new_key, role_choices, role_names
from saas.ui.record_page import RecordPage
from saas.ui.render import markup
from saas.ui.values import is_wide
from saas.ui.views import Choice, TimelineView

LIST = "/settings/layouts"
NEW = f"{LIST}/new-layout"
LEVELS = {"tab": 0, "section": 1, "lists": 1}
MOST_COLUMNS = 3
Raw = Mapping[str, Any]


# ---- all of them --------------------------------------------------------------------------------------------------------


@get(LIST)
async def layouts(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    groups = [
        {"key": e.key, "name": desk.words(e.defn.plural, e.key), "icon": e.defn.icon, "rows": [_row(desk, r) for r in _of(desk, e.key)], "new_url": f"{NEW}?entity={e.key}", "order_url": f"{LIST}/{e.key}/order"}
        for e in desk.config.entities.values()
    ]  # fmt: skip
    return await desk.page("settings/design_layouts/index", "layouts", groups=groups)


def _of(desk: Desk, entity: str) -> list[Raw]:
    return [r for r in desk.raw.get("layouts", ()) if r.get("entity") == entity]


def _row(desk: Desk, raw: Raw) -> dict[str, Any]:
    path = f"layouts[{raw.get('entity')}:{raw.get('key')}]"
    tabs = [t for t in raw.get("tabs", ()) if isinstance(t, Mapping)]
    return {
        "key": raw.get("key"), "name": whom(desk, raw), "url": f"{LIST}/{raw.get('entity')}/{raw.get('key')}", "tabs": " · ".join(desk.words(t.get("label"), str(t.get("key"))) for t in tabs),
        "problems": "; ".join(str(p.message) for p in desk.problems_at(path)[:3]),
    }  # fmt: skip


def whom(desk: Desk, raw: Raw) -> str:
    """A layout has no name: it is called by whom it is for."""
    names = role_names(desk, raw.get("roles"))
    return _("For %(roles)s", roles=names) if names else _("For everybody")


@post(f"{LIST}/{{entity:str}}/order", status_code=200)
async def order_layouts(request: Request, entity: FromPath[str]) -> Response[Any]:
    """Who has several roles sees the first layout that is for one of them."""
    desk = await open_desk(request)
    found = desk.entity(entity)
    keys = [f"{entity}:{k}" for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(in_places(desk.raw, "layouts", entity, keys), words.reordered(_("Layouts"), desk.words(found.defn.plural, entity)))
    return desk.done(LIST)


# ---- a new one ----------------------------------------------------------------------------------------------------------


@get(NEW)
async def new_layout(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    key = request.query_params.get("entity", "")
    entity = desk.entity(key or next(iter(desk.config.entities), ""))
    return await _new_page(desk, entity, {})


async def _new_page(desk: Desk, entity: Entity, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _new_controls(desk, entity)
    return await desk.page(
        "settings/design_layouts/new", "layouts", status=422 if errors else 200, drawn=await draw(desk, controls, values, errors), problems=left_over(errors or {}, controls),
        entity=entity.key, entities=[Choice(e.key, desk.words(e.defn.plural, e.key), e.key == entity.key) for e in desk.config.entities.values()],
    )  # fmt: skip


def _new_controls(desk: Desk, entity: Entity) -> list[Control]:
    starts = (Choice("", _("All fields in one tab, and what belongs to the record in others")), *(Choice(r["key"], _("A copy of: %(name)s", name=whom(desk, r))) for r in _of(desk, entity.key)))
    return [
        Control("roles", "choices", _("For which roles"), _("None ticked: for everybody. People see the first layout that is made for one of their roles."), choices=role_choices(desk)),
        Control("start", "choice", _("Begin with"), choices=starts, default=""),
    ]  # fmt: skip


@post(NEW, status_code=200)
async def create_layout(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    entity = desk.entity(str(form.get("entity") or ""))
    values = read(desk, _new_controls(desk, entity), form)
    begun = next((r for r in _of(desk, entity.key) if r["key"] == values.get("start")), None) or standard(desk, entity)
    roles = values.get("roles", [])
    key = new_key(desk, "layouts", entity.key, {"en": " ".join(roles) or "default"}, "layout")
    made = {"entity": entity.key, "key": key, **({"roles": roles} if roles else {}), **{k: v for k, v in begun.items() if k not in ("entity", "key", "roles")}}
    errors = await desk.save(f"layouts[{entity.key}:{key}]", made, words.added(desk.words(entity.defn.plural), _("Layout"), whom(desk, made)))
    return await _new_page(desk, entity, values, errors) if errors else desk.done(f"{LIST}/{entity.key}/{key}")


def standard(desk: Desk, entity: Entity) -> dict[str, Any]:
    """What the engine shows without a layout, as one."""
    own = [f.key for f in entity.defn.fields if not f.hidden]
    system = [k for k in ("owner", "department", "created_by", "created_at", "updated_at") if k in entity.fields]
    tabs: list[dict[str, Any]] = [{"key": "details", "label": words.everywhere(noop("Details")), "sections": [{"key": "main", "fields": own}, {"key": "system", "fields": system}]}]
    for relation in entity.children.values():
        key = edits.key_for({"en": relation.key}, {t["key"] for t in tabs}, "tab")
        tabs.append({"key": key, "label": dict(relation.label) or {desk.locale: relation.key}, "related": [{"key": relation.key}]})
    return {"tabs": tabs[:30]}


# ---- the designer -------------------------------------------------------------------------------------------------------


@get(f"{LIST}/{{entity:str}}/{{key:str}}")
async def layout(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, desk.entity(entity), key, desk.find(f"layouts[{entity}:{key}]"))


@post(f"{LIST}/{{entity:str}}/{{key:str}}", status_code=200)
async def save_layout(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Save; or, for those without scripts, do one act (`_act`: move, add-tab, add-section:<tab>, preview) to what the form says."""
    desk = await open_desk(request)
    found, path = desk.entity(entity), f"layouts[{entity}:{key}]"
    before = desk.find(path)
    form = await desk.ask.form()
    act = str(form.get("_act") or "")
    definition = _read(desk, found, before, form, act=act)
    if act:
        return await _page(desk, found, key, definition, tab=str(form.get("_tab") or ""))
    errors = _lacking(definition)
    if not errors:
        title = words.changed(desk.words(found.defn.plural, entity), _("Layout"), whom(desk, definition))
        errors = await desk.save(path, definition, title, mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _page(desk, found, key, definition, errors, mark=str(form.get("_mark") or ""))
    return desk.done(f"{LIST}/{entity}/{key}")


@post(f"{LIST}/{{entity:str}}/{{key:str}}/preview", status_code=200)
async def preview_layout(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.entity(entity)
    form = await desk.ask.form()
    definition = _read(desk, found, desk.find(f"layouts[{entity}:{key}]"), form)
    return desk.fragment("builder/tried", tried=await _tried(desk, found, key, definition, str(form.get("_tab") or "")))


def _lacking(definition: Raw) -> Errors:
    errors: Errors = {}
    if not definition["tabs"]:
        errors[""] = _("A page needs at least one tab.")
    for tab in definition["tabs"]:
        if not tab["label"]:
            errors[f"tabs[{tab['key']}].label"] = _("Give this tab a name.")
    return errors


# ---- from the form and back ---------------------------------------------------------------------------------------------


def _controls(desk: Desk, entity: Entity) -> list[Control]:
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values())
    return [
        Control("roles", "choices", _("For which roles"), _("None ticked: for everybody. People see the first layout that is made for one of their roles."), choices=role_choices(desk)),
        Control("header", "sorter", _("Below the name"), _("A few values everybody looks for first. None ticked: the owner."), choices=fields),
        Control("timeline", "bool", _("Show the timeline beside the tabs"), default=True),
    ]  # fmt: skip


def _read(desk: Desk, entity: Entity, before: Raw, form: FormMultiDict, *, act: str = "") -> dict[str, Any]:
    """The layout a posted form means, after `act`."""
    items = Arrangement(LEVELS, [str(v) for v in form.getall("item", [])])
    if act == "move":
        items.do(str(form.get("_thing") or ""), str(form.get("_where") or ""))
    elif act == "add-tab":
        items.items.insert(items.items.index("palette"), "tab:added")
    elif act.startswith("add-section:") and f"tab:{act.partition(':')[2]}" in items.items:
        items.items.insert(items.items.index(f"tab:{act.partition(':')[2]}") + 1, "section:added")
    values = read(desk, _controls(desk, entity), form)
    kept = {k: v for k, v in before.items() if k not in ("roles", "header", "timeline", "tabs")}
    return {**kept, **values, "tabs": _Reading(form, before).tabs(items.used)}


class _Reading:
    """Turns the sequence of a form into tabs; names and widths of blocks are inputs called by the block's id."""

    def __init__(self, form: FormMultiDict, before: Raw) -> None:
        self.form = form
        self.old = {str(t.get("key")): t for t in before.get("tabs", ()) if isinstance(t, Mapping)}

    def tabs(self, used: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        tabs: list[dict[str, Any]] = []
        for kind, name in used:
            if kind == "tab":
                tabs.append(self._tab(name, {t["key"] for t in tabs}))
            elif not tabs:
                continue
            elif kind == "section":
                tabs[-1].setdefault("sections", []).append(self._section(name, {s["key"] for t in tabs for s in t.get("sections", ())}))
            elif kind == "field" and tabs[-1].get("sections"):
                tabs[-1]["sections"][-1]["fields"].append(name)
            elif kind == "related" and (relation := self._text(f"relation.{name}")):
                columns = list(dict.fromkeys(str(v) for v in self.form.getall(f"columns.{name}", []) if v))
                tabs[-1].setdefault("related", []).append({"key": relation, **({"columns": columns} if columns else {})})
        return tabs

    def _tab(self, name: str, taken: set[str]) -> dict[str, Any]:
        label = self._label(name)
        if name == "added":
            label = words.everywhere(noop("New tab"))
        key = self._text(f"key.{name}") or edits.key_for(label, taken | set(self.old), "tab")
        timeline = {"timeline": True} if self.old.get(key, {}).get("timeline") else {}
        return {"key": key, "label": label, **timeline, **({"sections": [self._section("added", set())]} if name == "added" else {})}

    def _section(self, name: str, taken: set[str]) -> dict[str, Any]:
        label, columns = self._label(name), self._text(f"size.{name}")
        key = self._text(f"key.{name}")
        if not key or key in taken:
            key = edits.key_for(label, taken, "section")
        more = {"label": label} if label else {}
        return {"key": key, **more, **({"columns": int(columns)} if columns.isdigit() and columns != "2" else {}), "fields": []}

    def _label(self, name: str) -> dict[str, str]:
        return {loc: text for loc in LOCALES if (text := self._text(f"label.{name}.{loc}"))}

    def _text(self, name: str) -> str:
        return str(self.form.get(name) or "").strip()


@dataclass(frozen=True, slots=True)
class _Chip:
    """A field, or a list of related records, as something to drag."""

    item: str
    name: str
    note: str
    icon: str
    wide: bool = False
    lost: bool = False
    id: str = ""
    key: str = ""
    columns: tuple[Choice, ...] = ()


class _Drawing:
    """The designer's blocks and chips of a layout."""

    def __init__(self, desk: Desk, entity: Entity, definition: Raw, errors: Errors) -> None:
        self.desk, self.entity, self.errors = desk, entity, errors
        self.definition, self.relations, self.used = definition, 0, set()

    def tabs(self) -> list[dict[str, Any]]:
        found, sections = [], 0
        for number, tab in enumerate(t for t in self.definition.get("tabs", ()) if isinstance(t, Mapping)):
            blocks = []
            for section in tab.get("sections", ()):
                blocks.append(
                    {
                        "id": f"s{sections}", "key": section["key"], "label": section.get("label") or {}, "name": self.desk.words(section.get("label")) or _("Section"),
                        "columns": section.get("columns", 2), "chips": [self._field(k) for k in section.get("fields", ())],
                    }
                )  # fmt: skip
                sections += 1
            error = next((text for path, text in self.errors.items() if path.startswith(f"tabs[{tab['key']}]")), "")
            found.append(
                {
                    "id": f"t{number}", "key": tab["key"], "label": tab.get("label") or {}, "name": self.desk.words(tab.get("label"), tab["key"]), "sections": blocks,
                    "related": [self._related(r) for r in tab.get("related", ())], "timeline": bool(tab.get("timeline")), "error": error,
                }
            )  # fmt: skip
        return found

    def fields_left(self) -> list[_Chip]:
        return [self._field(k) for k in self.entity.fields if k not in self.used]

    def lists_left(self) -> list[_Chip]:
        return [self._related({"key": k}) for k in self.entity.children if f"related:{k}" not in self.used]

    def _field(self, key: str) -> _Chip:
        self.used.add(key)
        field = self.entity.fields.get(key)
        if field is None:
            return _Chip(f"field:{key}", key, _("no longer exists"), "alert", lost=True)
        kind = field_types.get(field.type)
        return _Chip(f"field:{key}", self.desk.words(field.label, key), str(kind.label), kind.icon, wide=is_wide(field))

    def _related(self, raw: Raw) -> _Chip:
        key, number = str(raw.get("key")), f"r{self.relations}"
        self.relations += 1
        self.used.add(f"related:{key}")
        relation = self.entity.children.get(key)
        child = self.desk.config.entities.get(relation.child) if relation else None
        if relation is None or child is None:
            return _Chip(f"related:{number}", key, _("no longer exists"), "alert", lost=True, id=number, key=key)
        return _Chip(f"related:{number}", self.desk.words(relation.label, key), self.desk.words(child.defn.plural, child.key), child.defn.icon, id=number, key=key, columns=self._columns(child, relation, raw))

    def _columns(self, child: Entity, relation: Relation, raw: Raw) -> tuple[Choice, ...]:
        """The child's fields as columns: those chosen first, in their order; none chosen stands for the standard ones."""
        chosen = [k for k in raw.get("columns") or () if k in child.fields]
        order = [*chosen, *(k for k in (*default_columns(child), *child.fields) if k in child.fields and k not in chosen and k != relation.field)]  # a draft may name what is gone
        return tuple(Choice(k, self.desk.words(child.fields[k].label, k), k in chosen) for k in dict.fromkeys(order))


async def _page(desk: Desk, entity: Entity, key: str, definition: Raw, errors: Errors | None = None, *, mark: str = "", tab: str = "") -> Response[Any]:
    path, controls = f"layouts[{entity.key}:{key}]", _controls(desk, entity)
    drawing = _Drawing(desk, entity, definition, errors or {})
    tabs = drawing.tabs()
    shown = [e for p, e in (errors or {}).items() if not any(p.startswith(f"tabs[{t['key']}]") for t in tabs)]
    return await desk.page(
        "settings/design_layouts/edit", "layouts", status=422 if errors else 200, tabs=tabs, fields=drawing.fields_left(), lists=drawing.lists_left(),
        drawn=await draw(desk, controls, {"timeline": True, **definition}, errors), problems=[*shown, *(t["error"] for t in tabs if t["error"])], entity=entity.key, key=key,
        plural=desk.words(entity.defn.plural, entity.key), title=whom(desk, definition), mark=mark or desk.mark(path), action=f"{LIST}/{entity.key}/{key}",
        sizes=range(1, MOST_COLUMNS + 1), locales=own_first(), moves=_moves(tabs, drawing), tried=await _tried(desk, entity, key, definition, tab),
    )  # fmt: skip


def _moves(tabs: Sequence[Mapping[str, Any]], drawing: _Drawing) -> dict[str, list[tuple[str, str]]]:
    """What can be moved, and where to, for those without scripts."""
    things: list[tuple[str, str]] = []
    places: list[tuple[str, str]] = []
    for tab in tabs:
        things.append((f"tab:{tab['id']}", _("Tab: %(name)s", name=tab["name"])))
        for section in tab["sections"]:
            name = f"{tab['name']} · {section['name']}"
            things.append((f"section:{section['id']}", _("Section: %(name)s", name=name)))
            places.append((f"section:{section['id']}", _("Field into: %(name)s", name=name)))
            things += [(c.item, c.name) for c in section["chips"]]
        places.append((f"lists:{tab['id']}", _("List into: %(name)s", name=tab["name"])))
        things += [(c.item, c.name) for c in tab["related"]]
    rest = [*drawing.fields_left(), *drawing.lists_left()]
    return {"things": [*things, *((c.item, c.name) for c in rest)], "places": places}


# ---- the result ---------------------------------------------------------------------------------------------------------


async def _tried(desk: Desk, entity: Entity, key: str, definition: Raw, tab: str) -> Tried:
    """The page as it would be for those the layout is made for, with the record changed last."""
    if lacking := _lacking(definition):
        return Tried(reasons=tuple(dict.fromkeys(lacking.values())))
    others = [x for x in desk.raw.get("layouts", ()) if x.get("entity") != entity.key]
    alone = {k: v for k, v in definition.items() if k != "roles"}
    new = {**desk.raw, "layouts": [*others, alone]}
    return await tried(desk, new, f"layouts[{entity.key}:{key}]", lambda ctx: _shown(ctx, entity.key, tab))


async def _shown(ctx: Context, entity_key: str, tab: str) -> Markup:
    entity = ctx.config.entity(entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await execute(ctx, ops.List(entity=entity_key, sort=("-updated_at",), limit=1, fields=()))
        if found.records:
            record = await execute(ctx, ops.Get(entity=entity_key, id=found.records[0].id))
            page: RecordPage = RecordPage(ctx, entity, record, {"tab": tab}, "")
        else:
            page = _EmptyPage(ctx, entity, _nothing(ctx, entity), {"tab": tab}, "")
        view = await page.view(conn)
    return markup("settings/design_layouts/_preview.html", record=view, tabs=[(t.key, v) for t, v in zip(page.tabs, view.tabs, strict=True)], sample=not found.records)


class _EmptyPage(RecordPage):
    """The page of a record that does not exist: nothing about it is asked of the database."""

    async def _out_of_place(self) -> set[str]:
        return set()

    async def _timeline(self) -> TimelineView:
        return TimelineView((), (), _("Everything"))

    async def _new_url(self, relation: Relation, child: Entity) -> str:
        return ""


def _nothing(ctx: Context, entity: Entity) -> ops.Record:
    stage = entity.pipeline.stages[0].key if entity.pipeline and entity.pipeline.stages else None
    return ops.Record(
        id=UUID(int=0), entity=entity.key, version=0, created_at=ctx.now, created_by=None, updated_at=ctx.now, updated_by=None, owner=None, department=None, state=stage,
        deleted_at=None, values={}, display=dict.fromkeys(entity.fields, ""), title=_("A record without values"),
    )  # fmt: skip


# ---- removal ------------------------------------------------------------------------------------------------------------


@get(f"{LIST}/{{entity:str}}/{{key:str}}/remove")
async def ask_remove_layout(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path, url = f"layouts[{entity}:{key}]", f"{LIST}/{entity}/{key}"
    notes = [_("No value is touched. Without a layout all fields stand in one tab.")]
    return await ask_removal(desk, path, "layouts", name=_place(desk, entity, desk.find(path)), back=url, action=f"{url}/remove", notes=notes)


@post(f"{LIST}/{{entity:str}}/{{key:str}}/remove", status_code=200)
async def remove_layout(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path = f"layouts[{entity}:{key}]"
    await take_out(desk, await desk.ask.form(), path, words.removed(_place(desk, entity, desk.find(path))))
    return desk.done(LIST)


def _place(desk: Desk, entity: str, raw: Raw) -> str:
    found = desk.config.entities.get(entity)
    return words.place(desk.words(found.defn.plural, entity) if found else entity, _("Layout"), whom(desk, raw))


router = Router(
    "", route_handlers=[layouts, order_layouts, new_layout, create_layout, layout, save_layout, preview_layout, ask_remove_layout, remove_layout]
)
