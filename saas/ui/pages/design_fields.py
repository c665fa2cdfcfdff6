"""Fields of an entity: the table, the gallery of types, one field's form, another type for it, taking it away.

Who: whoever hears "we also need…". What next: the form of a record, or the plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, get_args
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.metadata import blueprints, edits
from saas.metadata.kinds import FieldType, Group, field_types
from saas.metadata.shape import common_properties
from saas.runtime.conversions import targets
from saas.runtime.rollups import rollup_text
from saas.ui import design_views as views
from saas.ui.builder import words
from saas.ui.builder.cards import Card
from saas.ui.builder.controls import Control, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.field_form import LIST, Form, definition_of, fill_steps, form_values, is_fill, loose, pivot_of
from saas.ui.pages.builder import judge

GROUPS = get_args(Group)


# ---- the table ----------------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}")
async def fields(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await desk.page("settings/design/fields", "entities", head=views.head(desk, key, "fields"), rows=views.field_rows(desk, key), system=views.system_rows(desk, key))


@post("/settings/entities/{key:str}/order-fields", status_code=200)
async def order_fields(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    desk.find(f"entities[{key}]")
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, f"entities[{key}].fields", keys), words.reordered(views.entity_words(desk, key), _("Fields")))
    return desk.done(f"{LIST}/{key}")


# ---- the gallery --------------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}/fields/new")
async def new_field(request: Request, key: FromPath[str]) -> Response[Any]:
    """The gallery; with `type` the form, after what the type has to know first (`to`, `of`)."""
    desk = await open_desk(request)
    desk.find(f"entities[{key}]")
    kind = field_types.find(request.query_params.get("type", ""))
    if kind is None:
        return await desk.page("settings/design/gallery", "entities", head=views.head(desk, key, "fields"), groups=_gallery(desk, key), title=_("Which kind of field?"))
    pivot = pivot_of(kind)
    if pivot and not request.query_params.get(pivot):
        return await _choose_first(desk, key, kind, pivot)
    form = Form.of(desk, key, {"type": kind.key, **({pivot: request.query_params[pivot]} if pivot else {})}, is_new=True)
    places = [c.key for control in form.controls if control.name == "places" for c in control.choices if c.key.startswith("layout:")]
    return await _form(desk, form, {**form_values(desk, form), "places": places})


def _gallery(desk: Desk, key: str) -> list[tuple[str, list[Card]]]:
    """Types by group, as cards that lead to the form."""
    has_stages = any(f.get("type") == kind.key for kind in field_types if kind.storage == "state" for f in desk.find(f"entities[{key}]").get("fields", ()))
    offered = sorted((k for k in field_types if not (k.storage == "state" and has_stages)), key=lambda k: GROUPS.index(k.group))
    return [
        (views.group_words(group), [Card(f"{LIST}/{key}/fields/new?type={k.key}", str(k.label), str(k.description), k.icon) for k in kinds])
        for group, kinds in groupby(offered, lambda k: k.group)
    ]  # fmt: skip


async def _choose_first(desk: Desk, key: str, kind: FieldType, pivot: str) -> Response[Any]:
    entity = desk.config.entities.get(key)
    hint = kind.options_schema["properties"][pivot]["x-control"]
    if hint == "entity":
        title = _("Which records does it point to?")
        found = [Card(e["key"], desk.words(e.get("label"), e["key"]), desk.words(e.get("description")), e.get("icon", "box")) for e in desk.raw.get("entities", ())]
    else:
        title = _("Which list is it computed from?")
        relations = entity.children.values() if entity else ()
        found = [
            Card(r.key, desk.words(r.label, r.key), views.entity_words(desk, r.child), desk.config.entities[r.child].defn.icon) for r in relations
        ]  # fmt: skip
    cards = [Card(f"{LIST}/{key}/fields/new?" + urlencode({"type": kind.key, pivot: c.key}), c.text, c.note, c.icon) for c in found]
    return await desk.page("settings/design/gallery", "entities", head=views.head(desk, key, "fields"), groups=[("", cards)] if cards else [], title=title)


# ---- showing and saving


async def _form(desk: Desk, form: Form, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    open_groups = {"basics", "filling", *(key for key, _t, controls in form.groups if any(_is_used(c, values) for c in controls)), "places"}
    drawn = [(key, title, await draw(desk, controls, values, errors), key in open_groups or _has_error(controls, errors)) for key, title, controls in form.groups]
    label = desk.words(form.raw.get("label"), str(form.raw.get("key") or _("New field")))
    return await desk.page(
        "settings/design/field", "entities", status=422 if errors else 200, head=views.head(desk, form.entity, "fields"), groups=drawn, title=label, is_new=form.is_new,
        field_key=form.raw.get("key", ""), type_name=str(form.kind.label), type_icon=form.kind.icon, problems=left_over(errors or {}, form.controls),
        mark="" if form.is_new else desk.mark(form.path), action=_action(form), change_url="" if form.is_new else f"{LIST}/{form.entity}/fields/{form.raw['key']}/type",
        remove_url="" if form.is_new else f"{LIST}/{form.entity}/fields/{form.raw['key']}/remove", was=str(form.was.label) if form.was is not form.kind else "",
        options_url=f"{LIST}/{form.entity}/fields/{form.raw['key']}/options" if form.raw.get("options") and not form.is_new else "",
        preview=f"/settings/builder/rollup?entity={form.entity}" if {"of", "fn"} <= set(form.kind.options_schema.get("properties", {})) else "",
    )  # fmt: skip


def _action(form: Form) -> str:
    if not form.is_new:
        return f"{LIST}/{form.entity}/fields/{form.raw['key']}" + (f"?type={form.kind.key}" if form.was is not form.kind else "")
    pivot = pivot_of(form.kind)
    return f"{LIST}/{form.entity}/fields/new?" + urlencode({"type": form.kind.key, **({pivot: form.raw[pivot]} if pivot else {})})


def _is_used(control: Control, values: Mapping[str, Any]) -> bool:
    return values.get(control.name) not in (None, "", [], {}, False, control.default)


def _has_error(controls: Iterable[Control], errors: Errors | None) -> bool:
    return any(path == c.name or path.startswith((f"{c.name}.", f"{c.name}[")) for c in controls for path in errors or ())


def _named(errors: Errors, values: Mapping[str, Any]) -> Errors:
    """Messages under the names of the controls that show them."""
    names = {"required": "required_mode", "read_only": "edit_mode", "default": "default_expr" if values.get("default_mode") == "expr" else "default_value"}
    return {names.get(path.partition(".")[0], path): text for path, text in errors.items()}


@post("/settings/entities/{key:str}/fields/new", status_code=200)
async def create_field(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    entity = desk.find(f"entities[{key}]")
    kind = field_types.find(request.query_params.get("type", ""))
    if kind is None:
        raise NotFound()
    pivot = pivot_of(kind)
    form = Form.of(desk, key, {"type": kind.key, **({pivot: request.query_params.get(pivot, "")} if pivot else {})}, is_new=True)
    values = read(desk, form.controls, await desk.ask.form())
    if not values.get("label"):
        return await _form(desk, form, values, {"label": _("Give it a name in at least one language.")})
    made = definition_of(form, values)
    field_key = values.get("key") or edits.key_for(made["label"], {*blueprints.TAKEN, *(f.get("key") for f in entity.get("fields", ()))}, "field")
    if any(f.get("key") == field_key for f in entity.get("fields", ())):
        return await _form(desk, form, values, {"key": _("There is a field with this key already.")})
    made = {"key": field_key, **made}
    new = edits.add(desk.raw, f"entities[{key}].fields", made)
    url = f"{LIST}/{key}"
    if kind.storage == "state":
        new, made["pipeline"], url = _with_pipeline(new, entity, field_key)
    new = _put_on(new, key, field_key, values.get("places", ()))
    errors = await desk.take(new, words.added(views.entity_words(desk, key), desk.words(made["label"])), path=f"entities[{key}].fields[{field_key}]", data=fill_steps(form, field_key, made, values))
    if errors:
        return await _form(desk, form, values, _named(errors, values))
    return desk.done(url)


def _with_pipeline(raw: Mapping[str, Any], entity: Mapping[str, Any], field_key: str) -> tuple[dict[str, Any], str, str]:
    """A field of stages brings a pipeline of its own: (bundle, its key, its page)."""
    taken = {p.get("key") for p in raw.get("pipelines", ())}
    key = edits.key_for({"en": str(entity["key"]).replace("_", " ")}, taken, "pipeline")
    new = edits.put(raw, f"entities[{entity['key']}].fields[{field_key}].pipeline", key)
    return edits.add(new, "pipelines", blueprints.new_pipeline(key, entity["key"], field_key, entity["label"])), key, f"/settings/pipelines/{key}"


def _put_on(raw: Mapping[str, Any], entity: str, field_key: str, places: Iterable[str]) -> dict[str, Any]:
    new = dict(raw)
    for place in places:
        section, _colon, name = place.partition(":")
        path = f"{section}s[{entity}:{name}]"
        found = edits.find(new, path)
        if found is None:
            continue
        new = edits.put(new, path, {**found, "columns": [*found.get("columns", ()), field_key]} if section == "view" else _on_layout(found, field_key))
    return new


def _on_layout(layout: Mapping[str, Any], field_key: str) -> dict[str, Any]:
    """The layout with the field at the end of its first section."""
    tabs = [dict(t) for t in layout["tabs"]]
    tab = next((t for t in tabs if t.get("sections")), tabs[0])
    sections = [dict(s) for s in tab.get("sections") or ({"key": "main", "fields": []},)]
    sections[0]["fields"] = [*sections[0]["fields"], field_key]
    tab["sections"] = sections
    return {**layout, "tabs": tabs}


@get("/settings/entities/{key:str}/fields/{name:str}")
async def show_field(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = _existing(desk, key, name, request.query_params.get("type", ""))
    return await _form(desk, form, form_values(desk, form))


def _existing(desk: Desk, key: str, name: str, new_type: str) -> Form:
    """The field as it is, or as another type."""
    raw = desk.find(f"entities[{key}].fields[{name}]")
    was, kind = field_types.find(str(raw.get("type"))), field_types.find(new_type)
    if kind is None or was is None or kind is was:
        return Form.of(desk, key, raw, is_new=False)
    return Form.of(desk, key, retyped(raw, kind), is_new=False, was=was)


def retyped(raw: Mapping[str, Any], kind: FieldType) -> dict[str, Any]:
    """The definition as one of another type: what both understand stays."""
    keep = {*common_properties("field"), *kind.options_schema.get("properties", {})} - {"default", *(("required", "required_if", "unique", "read_only", "read_only_if", "set_once") if kind.computed else ())}
    return {**{k: v for k, v in raw.items() if k in keep}, "type": kind.key}


@post("/settings/entities/{key:str}/fields/{name:str}", status_code=200)
async def save_field(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = _existing(desk, key, name, request.query_params.get("type", ""))
    posted = await desk.ask.form()
    values = read(desk, form.controls, posted)
    made = definition_of(form, values)
    mark, title = posted.get("_mark"), words.changed(views.entity_words(desk, key), desk.words(made.get("label"), name))
    if mark and mark != desk.mark(form.path):
        return await _form(desk, form, values, {"": _("This was changed in another window meanwhile. Your input is still here: compare, then save again.")})
    errors = await desk.take(edits.put(desk.raw, form.path, made), title, path=form.path, data=fill_steps(form, name, made, values), forget=lambda step: is_fill(step, key, name))
    if errors:
        return await _form(desk, form, values, _named(errors, values))
    return desk.done(f"{LIST}/{key}")


# ---- another type -------------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}/fields/{name:str}/type")
async def choose_type(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"entities[{key}].fields[{name}]")
    kind = field_types.find(str(raw.get("type")))
    if kind is None:
        raise NotFound()
    found = await asyncio.to_thread(targets, loose(raw, kind), desk.config)
    rows = [{"url": f"{LIST}/{key}/fields/{name}?type={t.kind.key}", "icon": t.kind.icon, "text": str(t.kind.label), "note": str(t.kind.description), "keeps": t.keeps, "samples": [(a, b) for a, b in t.samples if a != b]} for t in found]
    return await desk.page(
        "settings/design/field_type", "entities", head=views.head(desk, key, "fields"), title=desk.words(raw.get("label"), name), rows=rows, back=f"{LIST}/{key}/fields/{name}",
        type_name=str(kind.label), computed=kind.computed,
    )  # fmt: skip


# ---- taking it away -----------------------------------------------------------------------------------------------------


@get("/settings/entities/{key:str}/fields/{name:str}/remove")
async def ask_remove_field(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"entities[{key}].fields[{name}]")
    notes = [_("Its values are no longer shown to anybody. They are kept, and come back if you bring the field back.")]
    return await ask_removal(
        desk, f"entities[{key}].fields[{name}]", "entities", name=words.place(views.entity_words(desk, key), desk.words(raw.get("label"), name)), back=f"{LIST}/{key}/fields/{name}",
        action=f"{LIST}/{key}/fields/{name}/remove", notes=notes,
    )  # fmt: skip


@post("/settings/entities/{key:str}/fields/{name:str}/remove", status_code=200)
async def remove_field(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(f"entities[{key}].fields[{name}]")
    title = words.removed(views.entity_words(desk, key), desk.words(raw.get("label"), name))
    await take_out(desk, await desk.ask.form(), f"entities[{key}].fields[{name}]", title)
    return desk.done(f"{LIST}/{key}")


# ---- what a rollup computes, while it is put together --------------------------------------------------------------------


@post("/settings/builder/rollup", status_code=200)
async def preview_rollup(request: Request) -> Response[Any]:
    """The formula that the rollup's form stands for, and what it gives on three records."""
    desk = await open_desk(request)
    entity = desk.entity(request.query_params.get("entity", ""))
    kind = next(k for k in field_types if {"of", "fn"} <= set(k.options_schema.get("properties", {})))
    posted = await desk.ask.form()
    form = Form.of(desk, entity.key, {"type": kind.key, "of": str(posted.get("of") or "")}, is_new=True)
    values = read(desk, form.controls, posted)
    relation = entity.children.get(str(values.get("of")))
    if relation is None:
        raise NotFound()
    text = rollup_text(loose({"type": kind.key, **values}, kind))
    return desk.fragment("settings/design/_rollup", text=text, words=views.rollup_words(desk, entity.key, values), verdict=await judge(desk, entity.key, text))


router = Router("", route_handlers=[fields, order_fields, new_field, create_field, show_field, save_field, choose_type, ask_remove_field, remove_field, preview_rollup])
