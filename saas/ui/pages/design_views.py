"""Lists and boards: which there are, what one shows, to whom, with the result below the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from markupsafe import Markup

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import listed
from saas.metadata import edits
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import ViewDef
from saas.runtime import Context, advisor
from saas.runtime.views import default_columns
from saas.ui import filters, speed
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, is_summable, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.figure_parts import as_written, sortable
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.trying import Tried, tried
from saas.ui.listing import Listing
from saas.ui.render import markup
from saas.ui.views import Choice

LIST = "/settings/views"
NEW = f"{LIST}/new-view"
SHOWN_ROWS, SHOWN_CARDS = 8, 4
ONLY = {"list": ("columns", "group", "page_size", "panel"), "board": ("board.by", "board.sum", "board.card")}  # what the other kind does not have
BOARD_TYPES = ("pipeline", "option")


# ---- all of them --------------------------------------------------------------------------------------------------------


@get(LIST)
async def views(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    rows: dict[str, list[dict[str, Any]]] = {}
    known = {v.subject.path: v for v in await advisor.verdicts(desk.ask.ctx)}
    for raw in desk.raw.get("views", ()):
        verdict = known.get(f"views[{raw.get('entity')}:{raw.get('key')}]")
        rows.setdefault(str(raw.get("entity")), []).append({**_row(desk, raw), "speed": speed.badge(desk.ask.ctx, verdict) if verdict else None})
    groups = [
        {"key": e.key, "name": desk.words(e.defn.plural, e.key), "icon": e.defn.icon, "rows": rows.get(e.key, ()), "new_url": f"{NEW}?entity={e.key}", "order_url": f"{LIST}/{e.key}/order"}
        for e in desk.config.entities.values()
    ]  # fmt: skip
    return await desk.page("settings/design_views/index", "views", groups=groups)


def _row(desk: Desk, raw: Mapping[str, Any]) -> dict[str, Any]:
    entity, key = raw.get("entity"), raw.get("key")
    here = desk.problems_at(f"views[{entity}:{key}]")
    return {
        "key": key, "name": desk.words(raw.get("label"), str(key)), "url": f"{LIST}/{entity}/{key}", "board": raw.get("kind") == "board", "default": raw.get("default"),
        "roles": role_names(desk, raw.get("roles")), "problems": "; ".join(str(p.message) for p in here[:3]),
    }  # fmt: skip


def role_names(desk: Desk, keys: Any) -> str:
    """The roles a definition is for, in words; "" for everybody."""
    return listed(desk.words(desk.config.roles[k].label, k) if k in desk.config.roles else k for k in keys or ())


def new_key(desk: Desk, section: str, entity: str, label: Mapping[str, str], fallback: str) -> str:
    """A machine name that no other view or layout of the entity has."""
    return edits.key_for(label, {d.get("key") for d in desk.raw.get(section, ()) if d.get("entity") == entity}, fallback)


def role_choices(desk: Desk) -> tuple[Choice, ...]:
    return tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles)


@post(f"{LIST}/{{entity:str}}/order", status_code=200)
async def order_views(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The views of one entity in the order of `key`; those of others stay where they are."""
    desk = await open_desk(request)
    found = desk.entity(entity)
    keys = [f"{entity}:{k}" for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(in_places(desk.raw, "views", entity, keys), words.reordered(_("Views"), desk.words(found.defn.plural, entity)))
    return desk.done(LIST)


def in_places(raw: Mapping[str, Any], section: str, entity: str, keys: list[str]) -> dict[str, Any]:
    """The bundle with one entity's definitions in the order of `keys` ("entity:key"), on the places they had together."""
    names = [f"{item.get('entity')}:{item.get('key')}" for item in raw.get(section, ())]
    own = [n for n in names if n.startswith(f"{entity}:")]
    wanted = [k for k in dict.fromkeys(keys) if k in own]
    order = iter([*wanted, *(n for n in own if n not in wanted)])
    return edits.reorder(raw, section, [next(order) if n in own else n for n in names])


# ---- one ----------------------------------------------------------------------------------------------------------------


@get(NEW)
async def new_view(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    entity = _chosen(desk, request.query_params.get("entity", ""))
    kind = "board" if request.query_params.get("kind") == "board" else "list"
    return await _page(desk, entity, None, _flat({"kind": kind, "columns": list(default_columns(entity)), "sort": ["-created_at"]}))


def _chosen(desk: Desk, key: str) -> Entity:
    """The entity asked for, else the first one. Errors: NotFound."""
    if not key and desk.config.entities:
        return next(iter(desk.config.entities.values()))
    return desk.entity(key)


@post(NEW, status_code=200)
async def create_view(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _save(desk, desk.entity(str((await desk.ask.form()).get("entity") or "")), None)


@get(f"{LIST}/{{entity:str}}/{{key:str}}")
async def view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.find(f"views[{entity}:{key}]")
    values = _flat(found)
    if not values.get("columns"):
        values["columns"] = list(default_columns(desk.entity(entity)))
    return await _page(desk, desk.entity(entity), key, values)


@post(f"{LIST}/{{entity:str}}/{{key:str}}", status_code=200)
async def save_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    desk.find(f"views[{entity}:{key}]")
    return await _save(desk, desk.entity(entity), key)


async def _save(desk: Desk, entity: Entity, key: str | None) -> Response[Any]:
    form = await desk.ask.form()
    definition, values = _read(desk, entity, key, form)
    if form.get("_act") == "preview":
        return await _page(desk, entity, key, values)
    errors = _lacking(desk, definition)
    name = desk.words(definition.get("label"))
    if not errors:
        key = key or new_key(desk, "views", entity.key, definition["label"], "view")
        place = desk.words(entity.defn.plural, entity.key)
        path, title = f"views[{entity.key}:{key}]", (words.changed if definition.get("key") else words.added)(place, name)
        definition = {"key": key, "entity": entity.key, **definition}
        mark = str(form.get("_mark") or "") or None
        errors = await desk.save(path, definition, title, mark=mark) if not definition.get("default") else await _save_first(desk, path, definition, title, mark)
    if errors:
        return await _page(desk, entity, None if not form.get("_mark") else key, values, errors)
    return desk.done(f"{LIST}/{entity.key}/{key}" if form.get("_act") == "stay" else LIST)


async def _save_first(desk: Desk, path: str, definition: Mapping[str, Any], title: str, mark: str | None) -> Errors:
    """Save a view that is shown first: others of its entity and kind are so no longer."""
    if mark is not None and mark != desk.mark(path):
        return await desk.save(path, definition, title, mark=mark)
    new: Mapping[str, Any] = edits.put(desk.raw, path, definition)
    for other in desk.raw.get("views", ()):
        same = (other.get("entity"), other.get("kind", "list")) == (definition["entity"], definition.get("kind", "list"))
        if same and other.get("default") and other.get("key") != definition["key"]:
            new = edits.put(new, f"views[{other['entity']}:{other['key']}]", {k: v for k, v in other.items() if k != "default"})
    return await desk.take(new, title, path=path)


def _lacking(desk: Desk, definition: Mapping[str, Any]) -> Errors:
    """What people forgot, in their words."""
    errors: Errors = {}
    if not definition.get("label"):
        errors["label"] = _("Give it a name in at least one language.")
    if definition.get("kind") == "board" and not (definition.get("board") or {}).get("by"):
        errors["board.by"] = _("Choose what makes the columns of the board.")
    return errors


def _read(desk: Desk, entity: Entity, key: str | None, form: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The definition a posted form means, and its values for drawing the form again."""
    before = edits.find(desk.raw, f"views[{entity.key}:{key}]") if key else None
    values = read(desk, _controls(desk, entity), form)
    other = ONLY["list" if values.get("kind") == "board" else "board"]
    shown = [c for c in _controls(desk, entity) if c.name not in other]
    kept = {k: v for k, v in values.items() if k not in other}
    found = laid(_flat(before or {}), shown, kept)
    return _nested(as_written(desk, entity.key, shown, _flat(before or {}), found)), values


def _flat(definition: Mapping[str, Any]) -> dict[str, Any]:
    """`board: {by: …}` as `board.by`, which is what the controls are called."""
    return {**{k: v for k, v in definition.items() if k != "board"}, **{f"board.{k}": v for k, v in (definition.get("board") or {}).items()}}


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    board = {k.removeprefix("board."): v for k, v in values.items() if k.startswith("board.")}
    return {**{k: v for k, v in values.items() if not k.startswith("board.")}, **({"board": board} if board else {})}


def _controls(desk: Desk, entity: Entity) -> list[Control]:
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values())
    by = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values() if f.type in BOARD_TYPES)
    sums = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values() if is_summable(desk.config, f))
    groups = tuple(c for c in sortable(desk, entity) if field_types.get(entity.fields[c.key].type).groupable)
    a_list, a_board = {"kind": ["list"]}, {"kind": ["board"]}
    return [
        Control("label", "label", _("Name"), required=True),
        Control("kind", "choice", _("Shown as"), default="list", choices=(Choice("list", _("List")), Choice("board", _("Board"))), more={"tiles": True}),
        Control("board.by", "choice", _("Columns of the board"), _("Dragging a card to another column changes this field."), choices=by, show_if=a_board, more={"empty": _("Choose a field …")}),
        Control("board.sum", "choice", _("Add up in each column"), choices=sums, show_if=a_board, more={"empty": _("Nothing")}),
        Control("board.card", "sorter", _("On each card"), choices=fields, show_if=a_board),
        Control("columns", "sorter", _("Columns"), _("Tick what is shown and drag it into order. The name always comes first."), choices=fields, show_if=a_list),
        Control("filter", "filter", _("Which records"), entity=entity.key),
        Control("sort", "orders", _("Order"), entity=entity.key),
        Control("group", "choice", _("Group rows by"), choices=groups, show_if=a_list, more={"empty": _("No groups")}),
        Control("page_size", "number", _("Rows on a page"), default=50, show_if=a_list, more={"min": 5, "max": 200}),
        Control("panel", "bool", _("Records open beside the list"), _("People look for, make, change and delete them on one screen."), default=False, show_if=a_list),
        Control("roles", "choices", _("For which roles"), _("None ticked: for everybody."), choices=role_choices(desk)),
        Control("default", "bool", _("Shown first when people open the page"), default=False),
    ]  # fmt: skip


async def _page(desk: Desk, entity: Entity, key: str | None, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _controls(desk, entity)
    plural, path = desk.words(entity.defn.plural, entity.key), f"views[{entity.key}:{key}]"
    shown = await _tried(desk, entity, key, values)
    return await desk.page(
        "settings/design_views/edit", "views", status=422 if errors else 200, drawn=await draw(desk, controls, values, errors), problems=left_over(errors or {}, controls),
        entity=entity.key, plural=plural, key=key or "", title=desk.words(values.get("label"), key or "") or _("New view"), mark=desk.mark(path) if key else "",
        action=f"{LIST}/{entity.key}/{key}" if key else NEW, preview_url=f"{LIST}/{entity.key}/preview?key={key or ''}", tried=shown,
        entities=[] if key else [Choice(e.key, desk.words(e.defn.plural, e.key), e.key == entity.key) for e in desk.config.entities.values()],
        live_url=_live(desk, entity.key, key), speed=await _speed(desk, path) if key else None,
    )  # fmt: skip


async def _speed(desk: Desk, path: str) -> dict[str, Any] | None:
    """How fast the published view is; None for one that nobody sees yet."""
    return next((speed.row(desk.ask.ctx, v, desk.raw) for v in await advisor.verdicts(desk.ask.ctx) if v.subject.path == path), None)


def _live(desk: Desk, entity: str, key: str | None) -> str:
    """Where colleagues see it now; "" when they do not."""
    found = next((v for v in desk.ask.ctx.config.views(entity) if v.key == key), None)
    return f"/r/{entity}{'/board' if found.kind == 'board' else ''}?view={key}" if found else ""


# ---- the result ---------------------------------------------------------------------------------------------------------


@post(f"{LIST}/{{entity:str}}/preview", status_code=200)
async def preview_view(request: Request, entity: FromPath[str]) -> Response[Any]:
    """What the form as it stands would show; nothing is saved."""
    desk = await open_desk(request)
    found, key = desk.entity(entity), request.query_params.get("key") or None
    if key is not None:
        desk.find(f"views[{entity}:{key}]")
    _definition, values = _read(desk, found, key, await desk.ask.form())
    return desk.fragment("builder/tried", tried=await _tried(desk, found, key, values))


async def _tried(desk: Desk, entity: Entity, key: str | None, values: Mapping[str, Any]) -> Tried:
    kind = "board" if values.get("kind") == "board" else "list"
    other = ONLY["list" if kind == "board" else "board"]
    definition = _nested({k: v for k, v in values.items() if k not in other})
    if lacking := {k: v for k, v in _lacking(desk, definition).items() if k != "label"}:
        return Tried(reasons=tuple(lacking.values()))
    name = key or edits.key_for({}, {v.get("key") for v in desk.raw.get("views", ())}, "preview")
    path = f"views[{entity.key}:{name}]"
    made = {**definition, "label": definition.get("label") or {desk.locale: _("New view")}, "entity": entity.key, "key": name}
    return await tried(desk, edits.put(desk.raw, path, made), path, lambda ctx: _shown(ctx, entity.key, name))


async def _shown(ctx: Context, entity_key: str, key: str) -> Markup:
    entity = ctx.config.entity(entity_key)
    found: ViewDef | None = next((v for v in ctx.config.views(entity_key) if v.key == key), None)
    if found is None:
        raise NotFound()
    path = f"/r/{entity_key}"
    async with tenant_transaction(ctx.tenant_id) as conn:
        listing = Listing(ctx, entity, [found], found, filters.State(path=path, limit=SHOWN_ROWS))
        if found.kind == "board":
            return markup("settings/design_views/_board.html", columns=(await listing.board_view(conn)).columns, most=SHOWN_CARDS)
        return markup("settings/design_views/_list.html", list=await listing.list_view(conn), group=listing.group())


# ---- copies, removal ----------------------------------------------------------------------------------------------------


@post(f"{LIST}/{{entity:str}}/{{key:str}}/copy", status_code=200)
async def copy_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.find(f"views[{entity}:{key}]")
    label = words.copy_of(found.get("label") or {})
    made_key = new_key(desk, "views", entity, label, "view")
    made = {**{k: v for k, v in found.items() if k != "default"}, "key": made_key, "label": label}
    await desk.take(edits.add(desk.raw, "views", made, after=f"{entity}:{key}"), words.added(desk.words(desk.entity(entity).defn.plural), desk.words(label)))
    return desk.done(f"{LIST}/{entity}/{made_key}")


@get(f"{LIST}/{{entity:str}}/{{key:str}}/remove")
async def ask_remove_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path, url = f"views[{entity}:{key}]", f"{LIST}/{entity}/{key}"
    return await ask_removal(desk, path, "views", name=desk.words(desk.find(path).get("label"), key), back=url, action=f"{url}/remove", notes=[_("No record is touched: only this way of looking at them goes.")])


@post(f"{LIST}/{{entity:str}}/{{key:str}}/remove", status_code=200)
async def remove_view(request: Request, entity: FromPath[str], key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path = f"views[{entity}:{key}]"
    name = desk.words(desk.find(path).get("label"), key)
    place = desk.words(desk.config.entities[entity].defn.plural, entity) if entity in desk.config.entities else entity
    await take_out(desk, await desk.ask.form(), path, words.removed(place, name))
    return desk.done(LIST)


router = Router(
    "", route_handlers=[views, order_views, new_view, create_view, view, save_view, preview_view, copy_view, ask_remove_view, remove_view]
)
