"""Entities: the list, a new one from feature cards, its properties, taking one away. Fields and rules have files of their own.

Who: an admin whose colleagues keep something in spreadsheets. What next: its fields, then publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import titled
from saas.metadata import blueprints, edits
from saas.metadata.blueprints import Wish
from saas.metadata.semantics import TITLE_TYPES
from saas.runtime.counts import record_counts
from saas.runtime.fields.user import PERSON_FILTERS
from saas.ui import design_views as views
from saas.ui.builder import words
from saas.ui.builder.cards import Card
from saas.ui.builder.controls import Control, draw, in_order, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.views import Choice

LIST = "/settings/entities"


# ---- the list -----------------------------------------------------------------------------------------------------------


@get("/settings/entities")
async def entities(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await desk.page("settings/design/entities", "entities", rows=views.entity_rows(desk, await record_counts(desk.ask.ctx)))


@post("/settings/entity-order", status_code=200)
async def order_entities(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, "entities", keys), words.reordered(_("Entities")))
    return desk.done(LIST)


# ---- a new one ----------------------------------------------------------------------------------------------------------


@get("/settings/entities/new")
async def new_entity(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _wizard(desk, {"features": ["owner", "timeline"], "roles": [r["key"] for r in desk.raw.get("roles", ()) if blueprints.uses_new_entities(r)]})


async def _wizard(desk: Desk, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    names, features, roles = _wizard_controls(desk)
    return await desk.page(
        "settings/design/entity_new", "entities", status=422 if errors else 200, names=await draw(desk, names, values, errors), features=await draw(desk, features, values),
        roles=await draw(desk, roles, values), problems=left_over(errors or {}, [*names, *features, *roles]),
    )  # fmt: skip


def _wizard_controls(desk: Desk) -> tuple[list[Control], list[Control], list[Control]]:
    names = [
        Control("label", "label", _("One of them is called"), _("For example “Loan”. One language is enough."), required=True),
        Control("plural", "label", _("Several are called"), _("For example “Loans”. Left empty, the name above is used.")),
        Control("icon", "icon", _("Icon"), default="box"),
        Control("description", "label", _("What is it for?"), _("Shown in empty lists, so that colleagues know.")),
    ]  # fmt: skip
    features = [Control("features", "cards", _("Tick what you need; the rest can come later"), more={"cards": _feature_cards()})]
    note = _("They see, create and change all records and delete their own, and find it in their menu. Finer rights are set on the page of each role.")
    roles = [Control("roles", "choices", _("Roles"), note, choices=views.role_choices(desk))]
    return names, features, roles


def _feature_cards() -> list[Card]:
    return [
        Card("owner", _("Owner"), _("Each record belongs to a person and their department. Needed for rights such as “only their own”."), "user"),
        Card("pipeline", _("Pipeline"), _("Records move through stages: New, In progress, Done. Change the stages as you like."), "pipeline"),
        Card("calendar", _("Dates"), _("A start and an end date, and a view of what is coming up."), "calendar"),
        Card("lines", _("Lines"), _("A list inside each record with quantity, price and amount, and their total."), "list"),
        Card("tags", _("Tags"), _("Free words to group records by."), "tag"),
        Card("attachments", _("Attachments"), _("Files of any kind."), "paperclip"),
        Card("timeline", _("Timeline"), _("Who changed what, and when, on a tab of its own."), "history"),
    ]


@post("/settings/entities/new", status_code=200)
async def create_entity(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    controls = [c for group in _wizard_controls(desk) for c in group]
    values = read(desk, controls, form)
    if not values.get("label"):
        return await _wizard(desk, values, {"label": _("Give it a name in at least one language.")})
    wish = Wish(
        values["label"], values.get("plural", {}), values.get("icon", "box"), values.get("description", {}), tuple(values.get("features", ())), tuple(values.get("roles", ())),
    )  # fmt: skip
    new, key = blueprints.add_entity(desk.raw, wish)
    errors = await desk.take(new, words.added(desk.words(wish.label)), path=f"entities[{key}]")
    if errors:
        return await _wizard(desk, values, errors)
    return desk.done(f"{LIST}/{key}", _("“%(name)s” is in your draft. Add its fields, then publish.", name=desk.words(wish.label)))


# ---- properties ---------------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}/properties")
async def properties(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _properties(desk, key, _property_values(desk.find(f"entities[{key}]")))


async def _properties(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    groups = _property_controls(desk, key)
    return await desk.page(
        "settings/design/properties", "entities", status=422 if errors else 200, head=views.head(desk, key, "properties"), mark=desk.mark(f"entities[{key}]"),
        groups=[(title, await draw(desk, controls, values, errors)) for title, controls in groups], problems=left_over(errors or {}, [c for _t, cs in groups for c in cs]),
    )  # fmt: skip


def _property_controls(desk: Desk, key: str) -> list[tuple[str, list[Control]]]:
    entity = desk.config.entities.get(key)
    owned = {"owned": ["on"]}
    names = [
        Control("label", "label", _("One of them is called"), required=True), Control("plural", "label", _("Several are called"), required=True),
        Control("description", "label", _("What is it for?"), _("Shown in empty lists, so that colleagues know.")), Control("icon", "icon", _("Icon"), default="box"),
    ]  # fmt: skip
    naming = [
        Control("title", "choice", _("Field that names a record"), _("Its value is shown in lists, links and search."), required=True, choices=views.field_choices(desk, entity, of=TITLE_TYPES, declared=True)),
        Control("subtitle", "choice", _("Field shown under the name"), _("Tells records of the same name apart when one is chosen."), choices=views.field_choices(desk, entity)),
        Control("search", "sorter", _("Fields that search looks at"), choices=views.field_choices(desk, entity, declared=True)),
    ]  # fmt: skip
    people = [
        Control("owned", "bool", _("Records have an owner"), _("Needed for rights such as “only their own” and “their department's”."), default=True),
        Control("owner_label", "label", _("The owner is called"), _("For example “Account manager”."), show_if=owned),
        Control("owner_roles", "choices", _("Only people with these roles can own one"), _("None ticked: everybody."), choices=views.role_choices(desk), show_if=owned),
        Control("owner_picker", "choices", _("The owner is chosen in a window with filters by"), _("Besides the name. None ticked: the name is typed into the form."), choices=tuple(Choice(k, _(v)) for k, v in PERSON_FILTERS.items()), show_if=owned),
        Control("segment_field", "choice", _("Kept apart by the segment in"), _("People see only records of their own segments, whatever their role says. Who belongs where stands at each person."), choices=views.field_choices(desk, entity, of=("option", "ref", "dept"), declared=True), more={"empty": _("nothing")}),
        Control("segment_roles", "choices", _("Roles that cross segments"), choices=views.role_choices(desk)),
        Control("sharing", "bool", _("Single records can be shared"), _("Whoever may change a record opens it to colleagues, to read or to edit, for good or until a day."), default=False),
        Control("assignees", "choices", _("Other people a record is assigned to"), _("They count for the right “assigned to me”."), choices=views.field_choices(desk, entity, of=("user",), declared=True)),
    ]  # fmt: skip
    access = Control(
        "access", "choice", _("People may"), default="all",
        choices=(Choice("all", _("add, change and delete records")), Choice("append", _("only add records: nothing is changed or deleted")), Choice("none", _("only look: records come from elsewhere"))),
    )  # fmt: skip
    own_parent = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in (entity.declared.values() if entity else ()) if f.type == "ref" and f.options.get("to") == key)
    more = [access]
    if own_parent:
        more += [
            Control("tree_parent", "choice", _("Records form a tree by"), _("The field that names the record above."), choices=own_parent),
            Control("tree_depth", "number", _("Levels at most"), default=10, more={"min": 1, "max": 20}),
        ]  # fmt: skip
    if sources := _source_choices(desk, key):
        more.append(Control("timeline_sources", "choices", _("Also shown in the timeline"), _("Related records that appear among the changes, such as calls and orders."), choices=sources))
    return [(_("Names"), names), (_("Finding records"), naming), (_("People"), people), (_("Behaviour"), more)]


def _source_choices(desk: Desk, key: str) -> tuple[Choice, ...]:
    """Links of other entities to this one, as “Calls: Customer”."""
    entity = desk.config.entities.get(key)
    found = []
    for relation in entity.children.values() if entity else ():
        child = desk.config.entities[relation.child]
        if not relation.many:
            found.append(Choice(f"{relation.child}.{relation.field}", titled(desk.words(child.defn.plural, relation.child), desk.words(child.fields[relation.field].label, relation.field))))
    return tuple(found)


def _property_values(raw: Mapping[str, Any]) -> dict[str, Any]:
    tree = raw.get("tree") or {}
    return {
        **raw, "access": "none" if raw.get("read_only") else "append" if raw.get("append_only") else "all", "tree_parent": tree.get("parent"), "tree_depth": tree.get("max_depth", 10),
        "timeline_sources": [f"{s.get('entity')}.{s.get('via')}" for s in (raw.get("timeline") or {}).get("sources", ())],
    }  # fmt: skip


@post("/settings/entities/{key:str}/properties", status_code=200)
async def save_properties(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    before = desk.find(f"entities[{key}]")
    controls = [c for _title, group in _property_controls(desk, key) for c in group]
    values = read(desk, controls, form)
    definition = _with_properties(before, controls, values)
    errors = await desk.save(f"entities[{key}]", definition, words.changed(desk.words(definition.get("label"), key)), mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _properties(desk, key, {**values, "owned": values.get("owned", True)}, _named(errors))
    return desk.done(f"{LIST}/{key}/properties")


def _with_properties(before: Mapping[str, Any], controls: list[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    made_up = {"access", "tree_parent", "tree_depth", "timeline_sources"}
    definition = laid(before, [c for c in controls if c.name not in made_up], {k: v for k, v in values.items() if k not in made_up})
    shown = {c.name for c in controls}
    for name, level in (("read_only", "none"), ("append_only", "append")):
        definition.pop(name, None)
        if values.get("access") == level:
            definition[name] = True
    if "tree_parent" in shown:
        definition.pop("tree", None)
        if values.get("tree_parent"):
            definition["tree"] = {"parent": values["tree_parent"], "max_depth": values.get("tree_depth", 10)}
    if "timeline_sources" in shown:
        known = {f"{s.get('entity')}.{s.get('via')}": s for s in (before.get("timeline") or {}).get("sources", ())}
        made = [known.get(v) or dict(zip(("entity", "via"), v.split(".", 1), strict=True)) for v in in_order(list(known), values.get("timeline_sources", []))]
        definition.pop("timeline", None)
        if made:
            definition["timeline"] = {"sources": made}
    return definition


def _named(errors: Errors) -> Errors:
    """Messages under the names of the controls that show them."""
    names = {"tree.parent": "tree_parent", "tree.max_depth": "tree_depth", "tree": "tree_parent", "timeline": "timeline_sources", "read_only": "access", "append_only": "access"}
    return {names.get(path, "timeline_sources" if path.startswith("timeline") else path): text for path, text in errors.items()}


# ---- taking one away ----------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}/remove")
async def ask_remove_entity(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"entities[{key}]")
    count = (await record_counts(desk.ask.ctx)).get(key, 0)
    notes = [_("Its records are no longer shown to anybody. They are kept, and come back if you bring it back.")]
    if count:
        notes.insert(0, _("Records it has now: %(count)s", count=views.count_words(desk, count)))
    return await ask_removal(
        desk, f"entities[{key}]", "entities", name=desk.words(raw.get("plural") or raw.get("label"), key), back=f"{LIST}/{key}/properties", action=f"{LIST}/{key}/remove", notes=notes
    )


@post("/settings/entities/{key:str}/remove", status_code=200)
async def remove_entity(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    await take_out(desk, await desk.ask.form(), f"entities[{key}]", words.removed(views.entity_words(desk, key)))
    return desk.done(LIST)


router = Router("", route_handlers=[entities, order_entities, new_entity, create_entity, properties, save_properties, ask_remove_entity, remove_entity])
