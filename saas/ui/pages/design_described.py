"""Settings: definitions whose form is made from their JSON Schema (ledgers and their like): a list, a form, taking one away.

Who: an admin who turns an entity of movements into an account that cannot be wrong. What next: they publish, post an entry and look at
the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import FormMultiDict

from saas.i18n import LazyString, lazy
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.anatomy import DESCRIBED, is_required, part_of, property_schemas
from saas.metadata.described_words import help_of
from saas.metadata.far import control_of, entity_in
from saas.metadata.kinds import field_types
from saas.metadata.naming import Lookup
from saas.metadata.property_words import choice_word, noun, property_word
from saas.ui.builder import words
from saas.ui.builder.controls import Control, control_kinds, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.stacks import StackCard, StackControl, draw_nested, errors_at, fresh_key, is_gesture, missing, read_nested
from saas.ui.pages.definition_pages import WHICH, addresses, pages
from saas.ui.views import Choice

KINDS = {"connector": "choice", "field_map": "field_map", "named_expressions": "named_expressions", "values": "values", "roles": "choices", "field": "choice", "transition": "choice", "fields": "sorter", "entity": "choice", "stage": "choice", "options": "choices", "relation": "choice", "condition": "condition", "expression": "expression"}


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the bundle: how it is called."""

    kind: str
    icon: str
    noun: LazyString
    title: LazyString
    lead: LazyString
    new: LazyString
    empty: LazyString
    about: LazyString = WHICH

    @property
    def name(self) -> str:
        return DESCRIBED[self.kind]

    @property
    def part(self) -> str:
        return self.name.replace("_", "-")

    @property
    def url(self) -> str:
        return f"/settings/{self.part}"

    def path(self, key: str) -> str:
        return f"{self.name}[{key}]"


SECTIONS = {
    s.name: s
    for s in (
        Section(
            "form", "forms", lazy("Entry form"), lazy("Entry forms"), lazy("One page for a record, the records it belongs to and its lines: picked or made, and saved together."),
            lazy("New entry form"), lazy("Choose what is entered, then the parts: the records it refers to and its lines."),
        ),
        Section(
            "pricing", "percent", lazy("Pricing"), lazy("Pricing"), lazy("What a line should cost: list prices, discounts that apply, and a recommendation that explains itself."),
            lazy("New pricing"), lazy("Make entities for discounts and, where you need them, price lists; then say here how a line finds its price."),
        ),
        Section(
            "statement", "file-text", lazy("Statement"), lazy("Statements"), lazy("What is settled with each partner for a month: a count or a sum at the price of the day, frozen when it is closed."),
            lazy("New statement"), lazy("Choose what is settled, with whom, and where prices and closed periods are kept."),
        ),
        Section(
            "document", "printer", lazy("Document"), lazy("Documents"), lazy("What records look like on paper: contracts, offers, delivery notes, to print, to save as PDF and to keep with the record."),
            lazy("New document"), lazy("Choose whose document it is, then its parts: fields, lines, texts and pictures in their order."),
        ),
        Section(
            "chart", "sitemap", lazy("Drawing"), lazy("Drawings"), lazy("Plans against what happened as bars, who stands below whom, and who is linked with whom: on the page of a record or beside a list."),
            lazy("New drawing"), lazy("Choose whose page it stands on, then what is drawn and which fields hold the dates, the one above, or the links."),
        ),
        Section(
            "ledger", "coins", lazy("Ledger"), lazy("Ledgers"), lazy("Accounts of points, stock or money: entries are only ever added, and the balance never goes where it must not."),
            lazy("New ledger"), lazy("Make the entity of the movements first, each linked to the record whose balance it is; then say here what its fields mean."),
        ),
        Section(
            "mirror", "download", lazy("Mirror"), lazy("Mirrors"), lazy("Records of another system that are fetched again and again and kept here: people read them, lookups and rollups use them."),
            lazy("New mirror"), lazy("Make a connector and an entity that is fed from outside with a unique rule over its number there; then say here where values stand."),
        ),
        Section(
            "live_list", "list", lazy("Live list"), lazy("Live lists"), lazy("Rows of another system on a record's page, asked for when it is opened and not kept."),
            lazy("New live list"), lazy("Make a connector; then say here what is asked about a record, and what is shown of each row."),
        ),
        Section(
            "call", "world", lazy("Call"), lazy("Calls"), lazy("What a record sends to another system, and which of its fields take the answer, such as the number of an order there."),
            lazy("New call"), lazy("Make a connector; then say here what is sent. A step “Send by a connector” of an automation or transition makes the call."),
        ),
        Section(
            "review", "list-details", lazy("Review"), lazy("Reviews"), lazy("Queues of records that somebody compares with what is there already before they count."),
            lazy("New review"), lazy("Give the entity a pipeline with a stage in which records wait and a transition for each decision; then say here what is compared."),
        ),
    )
}  # fmt: skip


def _section_of(request: Request) -> Section:
    return SECTIONS[request.url.path.split("/")[2].replace("-", "_")]


def _named(section: Section) -> dict[str, str]:
    return {"url": section.url, "icon": section.icon, **{name: str(getattr(section, name)) for name in ("noun", "title", "lead", "new", "empty")}}


# ---- controls from the schema --------------------------------------------------------------------------------------------


def _controls(desk: Desk, section: Section, values: Mapping[str, Any]) -> list[Control]:
    return controls_of_kind(desk, section.kind, values, str(values.get("entity") or ""))


def controls_of_kind(desk: Desk, kind: str, values: Mapping[str, Any], base: str) -> list[Control]:
    """The controls of a described definition; `values` decide what can be chosen, `base` is the entity it is about."""
    found = []
    lookup = Lookup(desk.raw)
    ways = {way for s in property_schemas(kind).values() for way in ([s["x-of"]] if isinstance(s.get("x-of"), str) else s.get("x-of") or ())}
    ways |= {name for s in property_schemas(kind).values() for name in s.get("x-when", ())}
    for name, schema in property_schemas(kind).items():
        if name in ("key", "entity") or not applies(kind, name, values):
            continue
        hint, needed = control_of(kind, name), is_required(kind, name)
        title, help_ = str(property_word(kind, name)), str(help_of(kind, name))
        if (part := part_of(kind, name)) is not None:
            more = {"kind": part.kind, "add": _("Add a part"), "entry": str(noun(part.kind))}
            found.append(Control(name, "described", title, help_, entity=base, more=more))
            continue
        advanced = not needed and not values.get(name) and name not in ("description",) and not schema.get("x-main")
        if hint:
            entity = str(entity_in(lookup, kind, name, values, base) or "")
            choices = _choices(desk, kind, name, schema, entity, values)
            more = {"empty": _("Choose …") if needed else _("None"), "redraw": name in ways}
            if hint == "values":
                found.append(Control(name, "values", title, help_, needed, entity=base, advanced=advanced, more={"about": entity, "results": {}, "names": ""}))
                continue
            found.append(Control(name, KINDS[hint], title, help_, needed, schema.get("default"), choices, entity, str(schema.get("x-result") or ""), advanced=advanced, more=more))
        elif "enum" in schema:
            picks = tuple(Choice(v, str(choice_word(kind, name, v))) for v in schema["enum"])
            found.append(Control(name, "choice", title, help_, needed, schema.get("default"), picks, more={"redraw": name in ways}))
        elif schema.get("type") == "boolean":
            found.append(Control(name, "bool", title, help_, default=schema.get("default")))
        elif schema.get("type") in ("integer", "number"):
            found.append(Control(name, "number", title, help_, needed, schema.get("default"), advanced=advanced))
        elif schema.get("type") == "string":
            found.append(Control(name, "text", title, help_, needed, schema.get("default"), advanced=advanced))
        elif "$ref" in schema and schema["$ref"].endswith(("/label", "/text")):
            kind_of = "template" if schema.get("x-template") else "label"
            found.append(Control(name, kind_of, title, help_, needed, entity=base, advanced=not needed and not schema.get("x-main") and not values.get(name), more={"rows": schema.get("x-template", 1)}))
    return found


def applies(kind: str, name: str, values: Mapping[str, Any]) -> bool:
    """Whether a property means something: `x-when` names values another one must have."""
    schemas = property_schemas(kind)
    return all((values.get(other) or schemas[other].get("default")) in fits for other, fits in schemas.get(name, {}).get("x-when", {}).items())


def _choices(desk: Desk, kind: str, name: str, schema: Mapping[str, Any], entity_key: str, values: Mapping[str, Any]) -> tuple[Choice, ...]:
    hint, entity, config = control_of(kind, name), desk.config.entities.get(entity_key), desk.config
    if hint == "entity":
        return tuple(Choice(e.key, desk.words(e.defn.label, e.key)) for e in config.entities.values())
    if hint == "connector":
        return tuple(Choice(c.key, desk.words(c.label, c.key)) for c in config.bundle.connectors)
    if hint == "roles":
        return tuple(Choice(r.key, desk.words(r.label, r.key)) for r in config.bundle.roles)
    if entity is None:
        return ()
    if hint in ("field", "fields"):
        types = schema.get("x-types")
        fits = (f for f in entity.fields.values() if not types or f.type in types or field_types.get(f.type).result_of(f, config)[0].key in types)
        return tuple(Choice(f.key, desk.words(f.label, f.key)) for f in fits)
    if hint == "relation":
        return tuple(Choice(r.key, desk.words(r.label, r.key)) for r in entity.children.values())
    if hint == "transition":
        return tuple(Choice(t.key, desk.words(t.label, t.key)) for t in entity.pipeline.transitions) if entity.pipeline else ()
    if hint == "stage":
        return tuple(Choice(s.key, desk.words(s.label, s.key)) for s in entity.pipeline.stages) if entity.pipeline else ()
    if hint == "options":
        field = entity.fields.get(str(values.get(schema.get("x-of", ""))))
        if field is not None and field.type in ("option", "multi"):
            return tuple(Choice(o.key, desk.words(o.label, o.key), color=o.color) for o in config.field_options(field))
    return ()


@control_kinds.register
class DescribedParts(StackControl):
    """A list of described definitions inside another. `more`: kind, add, entry."""

    key = "described"

    def entry(self, desk: Desk, control: Control, form: FormMultiDict, prefix: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        kind = control.more["kind"]
        first = read_nested(desk, controls_of_kind(desk, kind, {}, control.entity), prefix, form)
        found = read_nested(desk, controls_of_kind(desk, kind, first, control.entity), prefix, form)
        leads = next((str(v) for k, v in found.items() if k in ("ref", "list", "path")), "") or next((k for k in ("text", "image", "fields") if found.get(k)), "")
        key = str(form.get(f"{prefix}key") or "") or (edits.key_for({"en": leads}, {str(r.get("key")) for r in before}, "part") if leads else "")
        return {**({"key": key} if key else {}), **found}

    def is_something(self, control: Control, row: Mapping[str, Any]) -> bool:
        return bool(row)

    def columns(self, desk: Desk, control: Control, rows: Sequence[Mapping[str, Any]], number: int) -> Sequence[Control]:
        return controls_of_kind(desk, control.more["kind"], rows[number], control.entity)

    async def card(self, desk: Desk, control: Control, number: int, rows: Sequence[Mapping[str, Any]]) -> StackCard:
        row, errors, columns = rows[number], errors_at(control, number), self.columns(desk, control, rows, number)
        named = next((c.text for c in columns for c in c.choices if c.key in (row.get("ref"), row.get("list"))), "")
        drawn = await draw_nested(desk, columns, f"{control.name}.{number}.", row, errors)
        hidden = ((f"{control.name}.{number}.key", str(row.get("key") or "")),)
        return StackCard(number, desk.words(row.get("label")) or named or str(control.more["entry"]), "", "", drawn, left_over(errors, columns), True, hidden)


# ---- pages ---------------------------------------------------------------------------------------------------------------


@get(addresses(tuple(SECTIONS.values())))
async def listing(request: Request) -> Response[Any]:
    desk, section = await open_desk(request), _section_of(request)
    rows = [_row(desk, section, raw) for raw in desk.raw.get(section.name, ()) if isinstance(raw, Mapping)]
    return await desk.page("settings/described/index", section.part, section=_named(section), rows=rows)


def _row(desk: Desk, section: Section, raw: Mapping[str, Any]) -> dict[str, Any]:
    key, entity = str(raw.get("key")), desk.config.entities.get(str(raw.get("entity")))
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{section.url}/{key}", "about": desk.words(raw.get("description")),
        "entity": desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), "problems": len(desk.problems_at(section.path(key))),
    }  # fmt: skip


async def _form(desk: Desk, section: Section, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors, *, mark: str, status: int = 200) -> Response[Any]:
    key, entity = str(raw.get("key") or ""), desk.config.entities.get(str(raw.get("entity")))
    controls = _controls(desk, section, {**values, "entity": raw.get("entity")})
    name = desk.words(raw.get("label"), key) if key else str(section.new)
    return await desk.page(
        "settings/described/form", section.part, status=status, section=_named(section), further="", title=name, key=key, entity_key=str(raw.get("entity")), mark=mark,
        entity=desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), entity_url=f"/settings/entities/{entity.key}" if entity else "",
        drawn=await draw(desk, controls, values, errors), problems=left_over(errors, controls), action=f"{section.url}/{key or 'new'}",
        broken=[str(p.message) for p in desk.problems_at(section.path(key))] if key and not errors else [],
    )  # fmt: skip


async def _save(desk: Desk, section: Section, old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    key = str(old.get("key") or "")
    # Choices depend on what is chosen: of a direction field its options. So it is read twice.
    first = read(desk, _controls(desk, section, old), form)
    controls = _controls(desk, section, {**old, **first})
    values, mark = read(desk, controls, form), str(form.get("_mark") or "")
    if is_gesture(form):
        return await _form(desk, section, old, values, {}, mark=mark)
    new = {k: v for k, v in laid(old, controls, values).items() if applies(section.kind, k, values)}
    if not key:
        new = {"key": fresh_key(desk, values.get("label"), section.name, section.kind), **new}
    what = (str(section.noun), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if key else words.added(*what)
    errors = await desk.save(section.path(new["key"]), new, title, mark=mark if key else None, found=missing(desk, controls, values))
    if errors:
        return await _form(desk, section, old, {**values}, errors, mark=mark, status=422)
    return desk.done(section.url)


async def _draw(desk: Desk, section: Section, raw: Mapping[str, Any]) -> Response[Any]:
    if "key" in raw:
        return await _form(desk, section, raw, raw, {}, mark=desk.mark(section.path(str(raw["key"]))))
    return await _form(desk, section, raw, {}, {}, mark="")


router = Router("", route_handlers=[listing, *pages(tuple(SECTIONS.values()), _draw, _save)])
