"""Relations: all links between entities as a drawing and a list, and a new one in sentences.

Who: an admin who wants "each loan belongs to one equipment". What next: try it with a record, or draw in its place on the layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.metadata import relations as model
from saas.metadata.relations import Link, Wanted
from saas.ui import design_views as views
from saas.ui.builder import words
from saas.ui.builder.cards import Card
from saas.ui.builder.controls import Control, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.views import Choice

LIST = "/settings/relations"
MOST_TABS = 30


@get("/settings/relations")
async def relations(request: Request) -> Response[Any]:
    """All links; one entity (`entity`) stands in the middle of the drawing."""
    desk = await open_desk(request)
    found = list(model.links(desk.raw))
    chosen = request.query_params.get("entity", "")
    if chosen not in {e.get("key") for e in desk.raw.get("entities", ())}:
        chosen = _busiest(found) or next((e["key"] for e in desk.raw.get("entities", ())), "")
    return await desk.page(
        "settings/design/relations", "relations", rows=[_row(desk, link) for link in found], star=_star(desk, chosen, found) if chosen else None, chosen=chosen,
        entities=[(c.key, c.text) for c in views.entity_choices(desk)],
    )  # fmt: skip


def _busiest(links: Iterable[Link]) -> str:
    counts: dict[str, int] = {}
    for link in links:
        for key in (link.child, link.parent):
            counts[key] = counts.get(key, 0) + 1
    return max(counts, key=lambda key: counts[key], default="")


@get("/settings/entities/{key:str}/relations")
async def entity_relations(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    head = views.head(desk, key, "relations")
    found = [link for link in model.links(desk.raw) if key in (link.child, link.parent)]
    return await desk.page("settings/design/entity_relations", "entities", head=head, star=_star(desk, key, found), rows=[_row(desk, link) for link in found])


def _row(desk: Desk, link: Link) -> dict[str, Any]:
    child, parent = views.entity_words(desk, link.child), views.entity_words(desk, link.parent)
    if link.many:
        text = _("Many to many: %(child)s and %(parent)s", child=child, parent=parent)
    elif link.detail:
        text = _("Each %(child)s is a part of one %(parent)s", child=child, parent=parent)
    else:
        text = _("Each %(child)s belongs to one %(parent)s", child=child, parent=parent)
    return {
        "url": f"/settings/entities/{link.child}/fields/{link.field}", "text": text, "field": desk.words(link.label, link.field), "list": desk.words(link.inverse), "many": link.many,
        "on_delete": "" if link.many else deleting_words(link.on_delete), "child": child, "parent": parent, "required": link.required,
    }  # fmt: skip


def deleting_words(on_delete: str) -> str:
    return {
        "restrict": _("is not possible while any point to it"), "cascade": _("deletes them, too"), "set_null": _("empties their field"), "keep": _("leaves their field, which goes on showing its name"),
    }.get(on_delete, on_delete)  # fmt: skip


# ---- the drawing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    key: str
    text: str
    icon: str
    note: str
    many: bool
    url: str
    field_url: str


@dataclass(frozen=True, slots=True)
class Star:
    """One entity with what it points to (left) and what points to it (right)."""

    key: str
    text: str
    icon: str
    left: Sequence[Node]
    right: Sequence[Node]


def _star(desk: Desk, key: str, links: Iterable[Link]) -> Star:
    icons = {e.get("key"): e.get("icon", "box") for e in desk.raw.get("entities", ())}
    links = list(links)

    def node(other: str, note: str, link: Link) -> Node:
        return Node(other, views.entity_words(desk, other), icons.get(other, "alert"), note, link.many, f"{LIST}?entity={other}", f"/settings/entities/{link.child}/fields/{link.field}")

    left = [node(link.parent, desk.words(link.label, link.field), link) for link in links if link.child == key]
    right = [node(link.child, desk.words(link.inverse, link.field), link) for link in links if link.parent == key]
    return Star(key, views.entity_words(desk, key), icons.get(key, "box"), left, right)


# ---- a new one ----------------------------------------------------------------------------------------------------------


@get("/settings/relations/new")
async def new_relation(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _wizard(desk, {"child": request.query_params.get("entity") or None, "kind": "one", "on_delete": "restrict", "shown": True})


async def _wizard(desk: Desk, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _controls(desk)
    return await desk.page(
        "settings/design/relation_new", "relations", status=422 if errors else 200, drawn=await draw(desk, controls, values, errors), problems=left_over(errors or {}, controls),
        enough=len(views.entity_choices(desk)) > 0,
    )  # fmt: skip


def _controls(desk: Desk) -> list[Control]:
    entities = views.entity_choices(desk)
    one = {"kind": ["one", "part"]}
    kinds = [
        Card("one", _("Belongs to one"), _("Each loan belongs to one equipment; an equipment has many loans."), "link"),
        Card("part", _("Is a part of one"), _("Lines of an order: shown and edited inside it, and deleted with it."), "list"),
        Card("many", _("Many to many"), _("A person takes part in many courses; a course has many people."), "relations"),
    ]
    return [
        Control("kind", "cards", _("How do they belong together?"), required=True, more={"cards": kinds, "one": True}),
        Control("child", "choice", _("Each …"), _("For example “Loan”."), required=True, choices=entities, more={"empty": _("Choose …")}),
        Control("parent", "choice", _("… belongs to"), _("For example “Equipment”."), required=True, choices=entities, more={"empty": _("Choose …")}),
        Control("label", "label", _("What is the second one called there?"), _("The name of the field. Left empty: as above.")),
        Control("inverse", "label", _("What is the list called on the other side?"), _("For example “Loans of this equipment”. Left empty: the plural.")),
        Control("on_delete", "choice", _("Deleting the second one …"), choices=tuple(Choice(k, deleting_words(k)) for k in ("restrict", "set_null", "keep", "cascade")), default="restrict", required=True, show_if={"kind": ["one"]}),
        Control("required", "bool", _("Must be filled in"), show_if=one, default=False),
        Control("shown", "bool", _("Show it on both pages"), _("The field on forms, the list on a tab."), default=True),
    ]  # fmt: skip


@post("/settings/relations/new", status_code=200)
async def create_relation(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    controls = _controls(desk)
    values = {"shown": True, **read(desk, controls, await desk.ask.form())}
    known = {c.key for c in views.entity_choices(desk)}
    errors = {name: _("Choose one.") for name in ("child", "parent") if values.get(name) not in known}
    if values.get("kind") not in ("one", "part", "many"):
        errors["kind"] = _("Choose one.")
    if values.get("kind") == "part" and values.get("child") == values.get("parent"):
        errors["parent"] = _("Nothing can be a part of itself. Choose “Belongs to one” for a tree.")
    if errors:
        return await _wizard(desk, values, errors)
    part = values["kind"] == "part"
    wanted = Wanted(
        values["child"], values["parent"], values.get("label", {}), values.get("inverse", {}), many=values["kind"] == "many", detail=part,
        on_delete="cascade" if part else values.get("on_delete", "restrict"), required=bool(values.get("required")), shown=bool(values["shown"]),
    )  # fmt: skip
    new, key = model.add_link(desk.raw, wanted)
    title = words.added(f"{views.entity_words(desk, wanted.child)} → {views.entity_words(desk, wanted.parent)}")
    errors = await desk.take(new, title, path=f"entities[{wanted.child}].fields[{key}]")
    if errors:
        return await _wizard(desk, values, {{"on_delete": "on_delete", "required": "required"}.get(path, ""): text for path, text in errors.items()})
    return desk.done(f"{LIST}?entity={wanted.parent}")


router = Router("", route_handlers=[relations, entity_relations, new_relation, create_relation])
