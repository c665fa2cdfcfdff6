"""Settings: roles. What a role may do with all records, with those of one entity, and with single fields; what it sees beside
records. Every save is one step of the admin's draft."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, listed, ngettext
from saas.metadata import edits
from saas.metadata.build import scope_rules
from saas.metadata.config import Entity
from saas.metadata.fixes import remove_with_references
from saas.metadata.kinds import field_types
from saas.tenants import count_by_role
from saas.ui.builder import words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal
from saas.ui.builder.stacks import fresh_key, is_gesture, missing
from saas.ui.views import Choice

URL = "/settings/roles"
EVERY = "*"
KEPT = "="  # a cell that says more than a choice can: it stays as it is
SCOPED = ("read", "update", "delete", "export")
RIGHTS = ("create", "read", "update", "delete", "export", "import", "bulk", "merge", "purge")
FED = ("create", "update", "delete", "import")  # what nobody does with records that come from outside
SCOPES = {
    "none": lazy("None"), "own": lazy("Own"), "assigned": lazy("Assigned to them"), "participant": lazy("Where they take part"), "team": lazy("Own and their team's"),
    "dept": lazy("Their department's"), "dept_tree": lazy("Department and below"), "portal_self": lazy("Own record and what belongs to it"), "all": lazy("All"),
}  # fmt: skip
SCOPE_NOTES = {
    "none": lazy("No records at all."),
    "own": lazy("Records whose owner they are; where records have no owner, those they created."),
    "assigned": lazy("Records in which they stand as the person assigned."),
    "participant": lazy("Records in which they are named anywhere: as owner, creator, or in a field for people."),
    "team": lazy("Own records, and those of people whose superior they are."),
    "dept": lazy("Own records, and those of their department."),
    "dept_tree": lazy("Own records, and those of their department and of all departments below it."),
    "portal_self": lazy("The record that they are, and what refers to it: for roles of people outside."),
    "all": lazy("Every record of the company."),
}
AS_READING = "as_reading"
PARTS = {
    "config": lazy("Configuration"), "users": lazy("People"), "audit": lazy("Audit log"), "jobs": lazy("Jobs"), "brand": lazy("Appearance"), "import": lazy("Import"),
    "export": lazy("Export"), "api": lazy("API"), "forms": lazy("Making forms"),
}  # fmt: skip
ACCESS = {"write": lazy("Editable"), "read": lazy("Read-only"), "masked": lazy("Masked"), "hidden": lazy("Hidden")}


def _path(key: str) -> str:
    return f"roles[{key}]"


def _right_names() -> dict[str, str]:
    return {"create": _("Create"), "read": _("Read"), "update": _("Edit"), "delete": _("Delete"), "export": _("Export"), "import": _("Import"), "bulk": _("Many at once"), "merge": _("Merge"), "purge": _("Purge")}


# ---- the list -----------------------------------------------------------------------------------------------------------


@get(URL)
async def roles(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    people = await count_by_role(desk.ask.ctx.tenant_id)
    rows = [{**_head(desk, raw, people), "problems": len(desk.problems_at(_path(str(raw.get("key")))))} for raw in desk.raw.get("roles", ())]
    return await desk.page("settings/design_flow/roles", "roles", rows=rows)


def _head(desk: Desk, raw: Mapping[str, Any], people: Mapping[str, int]) -> dict[str, Any]:
    key = str(raw.get("key"))
    count = people.get(key, 0)
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{URL}/{key}", "description": desk.words(raw.get("description")), "admin": bool(raw.get("admin")),
        "external": bool(raw.get("external")), "people": ngettext("%(count)s person", "%(count)s people", count) if count else _("nobody has it"),
    }  # fmt: skip


@get(f"{URL}/new")
async def new(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _new_form(desk, {"like": request.query_params.get("like", "")}, {})


def _new_controls(desk: Desk) -> list[Control]:
    likes = (Choice("", _("no rights")), *(Choice(r.key, _("the rights of “%(name)s”", name=desk.words(r.label, r.key))) for r in desk.config.bundle.roles if not r.admin))
    return [
        Control("label", "label", _("Name"), required=True), Control("description", "label", _("Description"), _("Who has this role, in one sentence.")),
        Control("like", "choice", _("Begin with"), default="", choices=likes),
    ]  # fmt: skip


async def _new_form(desk: Desk, values: Mapping[str, Any], errors: Errors, *, status: int = 200) -> Response[Any]:
    controls = _new_controls(desk)
    return await desk.page(
        "settings/design_flow/form", "roles", status=status, title=_("New role"), crumbs=[(_("Roles"), URL)], note="", mark="", groups=[{"title": "", "drawn": await draw(desk, controls, values, errors)}],
        problems=left_over(errors, controls), action=f"{URL}/new", back=URL, remove="", save=_("Create"),
    )  # fmt: skip


@post(f"{URL}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    values = read(desk, _new_controls(desk), await desk.ask.form())
    like = edits.find(desk.raw, _path(str(values.get("like")))) if values.get("like") else None
    made = {k: v for k, v in copy.deepcopy(dict(like or {})).items() if k not in ("key", "label", "description", "admin")}
    made = {"key": fresh_key(desk, values.get("label"), "roles", "role"), **{k: values[k] for k in ("label", "description") if values.get(k)}, **made}
    found = missing(desk, _new_controls(desk), values)
    errors = await desk.save(_path(made["key"]), made, words.added(_("Role"), desk.words(values.get("label"))), found=found)
    return await _new_form(desk, values, errors, status=422) if errors else desk.done(f"{URL}/{made['key']}")


@post(f"{URL}/{{key:str}}/duplicate", status_code=200)
async def duplicate(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    found = desk.find(_path(key))
    label = words.copy_of(found.get("label") or {"en": key})
    made = {**copy.deepcopy(dict(found)), "key": fresh_key(desk, label, "roles", "role"), "label": label}
    await desk.take(edits.add(desk.raw, "roles", made, after=key), words.added(_("Role"), desk.words(label)))
    return desk.done(f"{URL}/{made['key']}")


# ---- the matrix ---------------------------------------------------------------------------------------------------------


@get(f"{URL}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _matrix(desk, desk.find(_path(key)), {}, desk.mark(_path(key)))


async def _matrix(desk: Desk, raw: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    rows = [_matrix_row(desk, raw, EVERY, None), *(_matrix_row(desk, raw, e.key, e) for e in desk.config.entities.values())]
    return await desk.page(
        "settings/design_flow/role", "roles", status=status, role=_head(desk, raw, await count_by_role(desk.ask.ctx.tenant_id)), tab="records", rows=rows, mark=mark,
        columns=list(_right_names().items()), problems=list(errors.values()), scopes=[(str(SCOPES[s]), str(SCOPE_NOTES[s])) for s in SCOPES],
        broken=[str(p.message) for p in desk.problems_at(_path(str(raw.get("key"))))] if not errors else [],
    )  # fmt: skip


def _effective(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What the role says of an entity: its own rights there, else those for all."""
    entities = raw.get("entities") or {}
    return entities.get(key) if key in entities else entities.get(EVERY) or {}


def _matrix_row(desk: Desk, raw: Mapping[str, Any], key: str, entity: Entity | None) -> dict[str, Any]:
    rights, own = _effective(raw, key), key in (raw.get("entities") or {}) or key == EVERY
    label = desk.words(entity.defn.plural, key) if entity else _("All entities")
    fed = entity is not None and entity.defn.read_only
    cells = [_cell(right, rights, key, label) if not (fed and right in FED) else None for right in RIGHTS]
    limited = len(rights.get("fields") or {})
    return {
        "key": key, "label": label, "url": f"{URL}/{raw['key']}/default" if key == EVERY else f"{URL}/{raw['key']}/entities/{key}", "own": own, "every": key == EVERY, "cells": cells,
        "icon": entity.defn.icon if entity else "database", "fields": ngettext("%(count)s field limited", "%(count)s fields limited", limited) if limited else "",
    }  # fmt: skip


def _cell(right: str, rights: Mapping[str, Any], entity: str, label: str) -> dict[str, Any]:
    value = _plain(right, rights.get(right))
    if right in ("import", "bulk", "merge", "purge"):
        choices = [Choice("no", _("No")), Choice("yes", _("Yes"))]
    elif right == "create":
        choices = [Choice("no", _("No")), Choice("yes", _("Yes")), *([Choice(KEPT, _("If …"))] if value == KEPT else [])]
    else:
        choices = [Choice(s, str(SCOPES[s])) for s in SCOPES]
        choices += [Choice(AS_READING, _("As reading"))] if right == "export" else []
        choices += [Choice(KEPT, _in_words(rights.get(right)))] if value == KEPT else []
    return {
        "title": next((c.text for c in choices if c.key == value), ""), "name": f"right.{entity}.{right}", "label": _("%(right)s: %(entity)s", right=_right_names()[right], entity=label), "value": value, "css": _css(right, value),
        "choices": [Choice(c.key, c.text, c.key == value) for c in choices],
    }  # fmt: skip


def _in_words(value: Any) -> str:
    rules = scope_rules(value)
    scopes = listed(str(SCOPES.get(r.scope, r.scope)) for r in rules)
    return _("%(scopes)s, if …", scopes=scopes) if any(r.condition for r in rules) else scopes


def _plain(right: str, value: Any) -> str:
    """A right as one choice; "=" where it is more than that."""
    if right in ("import", "bulk", "merge", "purge"):
        return "yes" if value else "no"
    if right == "create":
        return KEPT if isinstance(value, Mapping) else "yes" if value else "no"
    if isinstance(value, bool):
        return AS_READING if value else "none"
    if value is None or value == []:
        return "none"
    return value if isinstance(value, str) and value in SCOPES else KEPT


def _css(right: str, value: str) -> str:
    return "is-none" if value in ("no", "none") else "is-all" if value in ("yes", "all", AS_READING) else ""


def _json(right: str, text: str) -> Any:
    """The reverse of `_plain`; None for what need not be said."""
    if right in ("create", "import", "bulk", "merge", "purge"):
        return True if text == "yes" else None
    return True if text == AS_READING else None if text == "none" else text


@post(f"{URL}/{{key:str}}", status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    """All cells that differ; `override` gives a row rights of its own, `inherit` takes them away again."""
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    mark = str(form.get("_mark") or "")
    entities, changed = _with_cells(desk, raw, form)
    for entity, on in ((str(form.get("override") or ""), True), (str(form.get("inherit") or ""), False)):
        if entity in desk.config.entities and (entity in entities) != on:
            changed.append(entity)
            if on:
                entities[entity] = copy.deepcopy(dict(_effective({"entities": entities}, entity)))
            else:
                entities.pop(entity)
    if not changed:
        return desk.done(f"{URL}/{key}", _("Nothing was changed."))
    names = [desk.words(desk.config.entities[e].defn.plural, e) if e in desk.config.entities else _("All entities") for e in dict.fromkeys(changed)]
    new = {**raw, "entities": entities}
    title = words.changed(_("Role"), desk.words(raw.get("label"), key), listed(names[:3]) + (" …" if len(names) > 3 else ""))
    errors = await desk.save(_path(key), new, title, mark=mark)
    return await _matrix(desk, new, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


def _with_cells(desk: Desk, raw: Mapping[str, Any], form: FormMultiDict) -> tuple[dict[str, Any], list[str]]:
    """The rights per entity with the cells of the form, and the entities whose cells differ. A row that inherits and is changed
    takes over what it inherited."""
    entities, changed = copy.deepcopy(dict(raw.get("entities") or {})), []
    for entity in (EVERY, *desk.config.entities):
        before = _effective(raw, entity)
        posted = {right: str(form[f"right.{entity}.{right}"]) for right in RIGHTS if f"right.{entity}.{right}" in form}
        different = {right: text for right, text in posted.items() if text != KEPT and text != _plain(right, before.get(right)) and _is_choice(right, text)}
        if not different:
            continue
        changed.append(entity)
        rights = copy.deepcopy(dict(before))
        for right, text in different.items():
            rights[right] = _json(right, text)
        entities[entity] = {name: value for name, value in rights.items() if value is not None}
    return entities, changed


def _is_choice(right: str, text: str) -> bool:
    return text in (("no", "yes") if right in ("create", "import", "bulk", "merge", "purge") else (*SCOPES, AS_READING) if right == "export" else SCOPES)


# ---- one entity ---------------------------------------------------------------------------------------------------------


def _entity_groups(desk: Desk, raw: Mapping[str, Any], key: str) -> list[tuple[str, list[Control]]]:
    entity = desk.config.entities.get(key)
    own = {"rights": ["own"]} if entity else {}
    names, fields = _right_names(), tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values()) if entity else ()
    creates = (Choice("no", _("No")), Choice("yes", _("Yes")), *((Choice("if", _("Only if a condition holds")),) if entity else ()))
    groups = []
    if entity:
        ways = (Choice("inherit", _("The same as for all entities")), Choice("own", _("Rights of its own")))
        groups.append(("", [Control("rights", "choice", _("This role has here"), "", True, "inherit", ways, more={"tiles": True})]))
    records = [Control("create", "choice", names["create"], "", True, "no", creates, show_if=own)]
    if entity:
        records.append(Control("create_if", "condition", _("Condition on new records"), _("Looked at with the values that the new record gets."), entity=key, result="bool", show_if={**own, "create": ["if"]}))
    records += [_scopes_control(right, names[right], key if entity else "", own) for right in SCOPED]
    records += [Control("import", "bool", names["import"], show_if=own), Control("bulk", "bool", _("Change many at once"), show_if=own), Control("merge", "bool", _("Merge records that are the same"), show_if=own), Control("purge", "bool", _("Purge records for good, after an export"), show_if=own)]
    groups.append((_("Records"), records))
    if entity:
        note = _("Fields that are not listed are as editable as the record. A hidden field can be neither filtered nor guessed.")
        limits = {"columns": _field_columns(desk, key, fields), "needs": "field", "entry": _("Field"), "add": _("Limit a field"), "compact": _("Only under a condition"), "empty_text": _("No field is limited.")}
        groups.append((_("Fields"), [Control("fields", "stack", _("Limited fields"), note, entity=key, show_if=own, more=limits)]))
    if entity and entity.pipeline:
        groups.append((_("Transitions"), _move_controls(desk, entity)))
    return groups


def _scopes_control(right: str, title: str, entity: str, own: Mapping[str, Sequence[str]]) -> Control:
    choices = tuple(Choice(s, str(SCOPES[s])) for s in SCOPES if s != "none")
    choices += (Choice(AS_READING, _("The same as reading")),) if right == "export" else ()

    def columns(row: Mapping[str, Any]) -> list[Control]:
        found = [Control("scope", "choice", _("Whose records"), "", True, None, choices)]
        if entity or row.get("if"):
            found.append(Control("if", "condition" if entity else "text", _("Only those for which"), entity=entity, result="bool", advanced=not row.get("if")))
        return found

    more = {"columns": columns, "needs": "scope", "entry": title, "add": _("Add records"), "most": 20, "compact": _("Only under a condition"), "empty_text": _("None.")}
    return Control(right, "stack", title, entity=entity, show_if=own, more=more)


def _field_columns(desk: Desk, entity: str, fields: tuple[Choice, ...]) -> Any:
    def columns(row: Mapping[str, Any]) -> list[Control]:
        return [
            Control("field", "choice", _("Field"), "", True, None, fields, more={"empty": _("Choose a field …")}),
            Control("access", "choice", _("Access"), "", True, "read", tuple(Choice(k, str(t)) for k, t in ACCESS.items())),
            Control("mask", "text", _("Mask"), _("{3}****{4} shows the first three and the last four characters."), default="****{4}", show_if={"access": ["masked"]}, more={"maxlength": 50}),
            Control("if", "condition", _("Only as long as"), _("Otherwise the field is editable."), entity=entity, result="bool", advanced=not row.get("if")),
        ]

    return columns


def _move_controls(desk: Desk, entity: Entity) -> list[Control]:
    assert entity.pipeline is not None
    ways = (Choice("pipeline", _("The pipeline decides")), Choice("all", _("All of them")), Choice("some", _("Only these")))
    moves = tuple(Choice(t.key, desk.words(t.label, t.key)) for t in entity.pipeline.transitions)
    return [
        Control("moves", "choice", _("Which transitions may this role use?"), _("The pipeline names roles at its transitions; what is said here goes before that."), True, "pipeline", ways),
        Control("some_moves", "choices", _("Transitions"), choices=moves, show_if={"moves": ["some"]}),
    ]


def _entity_values(desk: Desk, raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The rights on an entity as their controls see them."""
    rights, entity = _effective(raw, key), desk.config.entities.get(key)
    values: dict[str, Any] = {"rights": "own" if key in (raw.get("entities") or {}) else "inherit", "import": bool(rights.get("import")), "bulk": bool(rights.get("bulk")), "merge": bool(rights.get("merge")), "purge": bool(rights.get("purge"))}
    create = rights.get("create")
    values |= {"create": "if", "create_if": create.get("if")} if isinstance(create, Mapping) else {"create": "yes" if create else "no"}
    for right in SCOPED:
        value = rights.get(right)
        if isinstance(value, bool):
            values[right] = [{"scope": AS_READING}] if value else []
        else:
            values[right] = [{"scope": r.scope, **({"if": r.condition} if r.condition else {})} for r in scope_rules(value)]
    values["fields"] = [{"field": f, **(r if isinstance(r, Mapping) else {"access": r})} for f, r in (rights.get("fields") or {}).items()]
    if entity and entity.pipeline:
        listed_moves = (raw.get("transitions") or {}).get(entity.pipeline.key)
        everything = listed_moves is not None and EVERY in listed_moves
        values |= {"moves": "pipeline" if listed_moves is None else "all" if everything else "some", "some_moves": [] if listed_moves is None or everything else list(listed_moves)}
    return values


def _entity_rights(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse, without what need not be said; what is said differently but means the same stays as it was."""
    found: dict[str, Any] = {}
    if values.get("create") == "if":
        found["create"] = {"if": values.get("create_if") or ""}
    elif values.get("create") == "yes":
        found["create"] = True
    for right in SCOPED:
        rules = [r for r in values.get(right, ()) if r.get("scope")]
        if any(r["scope"] == AS_READING for r in rules):
            found[right] = True
        elif rules:
            plain = [r if r.get("if") else r["scope"] for r in rules]
            found[right] = plain[0] if len(plain) == 1 else plain
        if right in before and right in found and scope_rules_of(before[right]) == scope_rules_of(found[right]):
            found[right] = before[right]
    found |= {name: True for name in ("import", "bulk", "merge", "purge") if values.get(name)}
    found |= {name: before[name] for name in RIGHTS if name in before and name not in found and _plain(name, before[name]) in ("no", "none")}
    fields = {r["field"]: {k: v for k, v in r.items() if k != "field"} for r in values.get("fields", ()) if r.get("field")}
    if fields:
        found["fields"] = {f: r.get("access", "read") if set(r) <= {"access"} else {"access": "read", **r} for f, r in fields.items()}
    order = {name: n for n, name in enumerate([*before, *RIGHTS, "fields"])}
    return dict(sorted(found.items(), key=lambda pair: order[pair[0]]))


def scope_rules_of(value: Any) -> Any:
    """A right in one form, for comparing."""
    return value if isinstance(value, bool) else scope_rules(value)


async def _entity_form(desk: Desk, raw: Mapping[str, Any], key: str, values: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    groups, drawn, role = _entity_groups(desk, raw, key), [], str(raw["key"])
    shown = _at_controls(errors, key, values)
    for title, controls in groups:
        drawn.append({"title": title, "drawn": await draw(desk, controls, values, shown)})
    entity = desk.config.entities.get(key)
    name = desk.words(entity.defn.plural, key) if entity else _("All entities")
    note = "" if entity else _("These rights hold wherever an entity has none of its own.")
    return await desk.page(
        "settings/design_flow/form", "roles", status=status, title=name, crumbs=[(_("Roles"), URL), (desk.words(raw.get("label"), role), f"{URL}/{role}")], note=note, mark=mark, groups=drawn,
        problems=left_over(shown, [c for _title, found in groups for c in found]), action=f"{URL}/{role}/entities/{key}" if entity else f"{URL}/{role}/default", back=f"{URL}/{role}", remove="", save="",
    )  # fmt: skip


def _at_controls(errors: Errors, key: str, values: Mapping[str, Any]) -> Errors:
    """Messages of a role under the names of the controls of one entity."""
    found: Errors = {}
    rows = [str(r.get("field")) for r in values.get("fields", ())]
    for path, text in errors.items():
        path = path.removeprefix(f"entities.{key}.").removeprefix(f"entities[{key}].")
        if path.startswith(("fields.", "fields[")):
            by_key = path[len("fields")] == "["  # the field itself; else what is said about it
            field, _sign, rest = path[len("fields") + 1 :].partition("]" if by_key else ".")
            path = f"fields[{rows.index(field)}].{rest.lstrip('.') or ('field' if by_key else 'if')}" if field in rows else "fields"
        elif path.startswith("create") and values.get("create") == "if":
            path = "create_if"
        elif path.startswith("transitions"):
            path = "some_moves"
        found.setdefault(path, text)
    return found


@get([f"{URL}/{{key:str}}/default", f"{URL}/{{key:str}}/entities/{{entity:str}}"])
async def entity_rights(request: Request, key: FromPath[str], entity: FromPath[str] = EVERY) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(_path(key))
    _known(desk, entity)
    return await _entity_form(desk, raw, entity, _entity_values(desk, raw, entity), {}, desk.mark(_path(key)))


def _known(desk: Desk, entity: str) -> None:
    if entity != EVERY:
        desk.entity(entity)


@post([f"{URL}/{{key:str}}/default", f"{URL}/{{key:str}}/entities/{{entity:str}}"], status_code=200)
async def save_entity_rights(request: Request, key: FromPath[str], entity: FromPath[str] = EVERY) -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    _known(desk, entity)
    controls = [c for _title, found in _entity_groups(desk, raw, entity) for c in found]
    values, mark = {**_defaults(controls), **read(desk, controls, form)}, str(form.get("_mark") or "")
    if is_gesture(form):
        return await _entity_form(desk, raw, entity, values, {}, mark)
    new = _with_rights(desk, raw, entity, values)
    name = desk.words(desk.config.entities[entity].defn.plural, entity) if entity != EVERY else _("All entities")
    errors = await desk.save(_path(key), new, words.changed(_("Role"), desk.words(raw.get("label"), key), name), mark=mark, found=_missing(desk, controls, values))
    return await _entity_form(desk, raw, entity, values, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


def _missing(desk: Desk, controls: Sequence[Control], values: Mapping[str, Any]) -> Errors:
    found = missing(desk, controls, values)
    if values.get("create") == "if" and not values.get("create_if") and values.get("rights", "own") == "own":
        found["create_if"] = _("Say which new records are allowed.")
    return found


def _defaults(controls: Sequence[Control]) -> dict[str, Any]:
    return {c.name: c.default for c in controls if c.default is not None}


def _with_rights(desk: Desk, raw: Mapping[str, Any], key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The role with the rights on one entity that a form says, and the transitions of its pipeline."""
    entities = dict(raw.get("entities") or {})
    if key == EVERY or values.get("rights") == "own":
        entities[key] = _entity_rights(entities.get(key) or {}, values)
    else:
        entities.pop(key, None)
    new = {**raw, "entities": entities}
    entity = desk.config.entities.get(key)
    if entity and entity.pipeline and "moves" in values:
        moves = dict(raw.get("transitions") or {})
        moves.pop(entity.pipeline.key, None)
        if values["moves"] != "pipeline":
            moves[entity.pipeline.key] = EVERY if values["moves"] == "all" else list(values.get("some_moves", ()))
        new["transitions"] = moves
        if not moves:
            del new["transitions"]
    return new


# ---- beside records -----------------------------------------------------------------------------------------------------


@control_kinds.register
class PathsOfEntity(ControlKind):
    """An entity and one or two of its fields: a select each, of “entity.field”."""

    key = "portal"
    grouped = True
    parts: tuple[tuple[str, bool], ...] = (("link", True), ("email", False), ("login", False))

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        found = {name: str(form.get(f"{control.name}.{name}") or "").partition(".") for name, _needed in self.parts}
        first = found[self.parts[0][0]]
        if not first[2]:
            return None
        return {"entity": first[0], **{name: field for name, (entity, _dot, field) in found.items() if field and entity == first[0]}}

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        chosen = value if isinstance(value, Mapping) else {}
        titles = {"link": _("Field of the account"), "email": _("Field of the e-mail address"), "login": _("Field of the login name"), "text": _("Field of the text")}
        return {"selects": [(name, titles[name], self._choices(desk, name, f"{chosen.get('entity')}.{chosen.get(name)}")) for name, _needed in self.parts]}

    def _choices(self, desk: Desk, name: str, chosen: str) -> list[Choice]:
        wanted = {"link": lambda f: field_types.get(f.type).holds == "user" and not field_types.get(f.type).many, "email": lambda f: f.type == "email", "login": lambda f: f.type in ("text", "email"), "text": lambda f: field_types.get(f.type).expr_type == "text"}[name]
        return [
            Choice(f"{e.key}.{f.key}", f"{desk.words(e.defn.label, e.key)} → {desk.words(f.label, f.key)}", f"{e.key}.{f.key}" == chosen)
            for e in desk.config.entities.values() for f in e.declared.values() if wanted(f)
        ]  # fmt: skip


@control_kinds.register
class LoginNotice(PathsOfEntity):
    key = "login_notice"
    parts = (("text", True),)


OF_PORTAL = ("open_if", "closed", "makers", "register")  # what a role says of the accounts of its people


def _portal_controls(desk: Desk, portal: Mapping[str, Any]) -> list[Control]:
    forms = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in desk.config.bundle.web_forms)
    roles = tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles)
    return [
        Control("open_if", "condition", _("They come in as long as"), _("A condition on the record; without one, as long as the record is there."), entity=str(portal.get("entity") or ""), result="bool"),
        Control("closed", "label", _("What they read at the sign-in page otherwise"), _("For example whom to call.")),
        Control("makers", "choices", _("Roles that give records an account"), _("Besides those who may look after people."), choices=roles),
        Control("register", "choice", _("Web form by which people ask to be let in"), choices=forms, more={"empty": _("none")}),
    ]  # fmt: skip


def _general_groups(desk: Desk, raw: Mapping[str, Any] | None = None) -> list[tuple[str, list[Control]]]:
    config, portal = desk.config, (raw or {}).get("portal")
    reports = (Choice(EVERY, _("all reports")), *(Choice(r.key, desk.words(r.label, r.key)) for r in config.bundle.reports))
    dashboards = (Choice(EVERY, _("all dashboards")), *(Choice(d.key, desk.words(d.label, d.key)) for d in config.bundle.dashboards))
    parts = (Choice(EVERY, _("all of them")), *(Choice(k, str(t)) for k, t in PARTS.items()))
    return [
        ("", [
            Control("label", "label", _("Name"), required=True), Control("description", "label", _("Description"), _("Who has this role, in one sentence.")),
            Control("admin", "bool", _("Full rights: everything on every record, and all settings"), default=False),
            Control("portal", "portal", _("For people who are a record"), _("Agents, members, dealers: each is a record, and sees it with what belongs to it by the scope “own record”.")),
            Control("notice", "login_notice", _("To be read after signing in"), _("Records whose text everybody with the role confirms before going on.")),
            Control("verification", "bool", _("Passwords change only with a verification item"), _("An item that the person alone knows, besides the present password; they choose it with their next password."), default=False),
            Control("external", "bool", _("For people outside the company: they find nobody but themselves in lists of people"), default=False),
        ]),
        (_("What it sees beside records"), [
            Control("dashboards", "choices", _("Dashboards"), choices=dashboards), Control("home", "choice", _("First page"), _("The dashboard people see after signing in."), choices=dashboards[1:], more={"empty": _("none")}),
            Control("tiles", "bool", _("The first page shows the menu, large"), _("For people who work on a phone."), default=False),
            Control("reports", "choices", _("Reports"), choices=reports), Control("settings", "choices", _("Parts of the settings"), choices=parts),
        ]),
        *([(_("Accounts of these people"), _portal_controls(desk, portal))] if isinstance(portal, Mapping) else []),
    ]  # fmt: skip


@get(f"{URL}/{{key:str}}/general")
async def general(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(_path(key))
    values = {**raw, **{name: [EVERY] if raw.get(name) == EVERY else raw.get(name) for name in ("reports", "dashboards", "settings")}, **{name: (raw.get("portal") or {}).get(name) for name in OF_PORTAL}}
    return await _general_form(desk, raw, values, {}, desk.mark(_path(key)))


async def _general_form(desk: Desk, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    key, groups, drawn = str(raw["key"]), _general_groups(desk, raw), []
    errors = {path.removeprefix("portal.") if path.removeprefix("portal.") in OF_PORTAL else path: text for path, text in errors.items()}
    for title, controls in groups:
        drawn.append({"title": title, "drawn": await draw(desk, controls, values, errors)})
    return await desk.page(
        "settings/design_flow/form", "roles", status=status, title=_("Name and more"), crumbs=[(_("Roles"), URL), (desk.words(raw.get("label"), key), f"{URL}/{key}")], note="", mark=mark, groups=drawn,
        problems=left_over(errors, [c for _title, found in groups for c in found]), action=f"{URL}/{key}/general", back=f"{URL}/{key}", remove=f"{URL}/{key}/remove", save="",
    )  # fmt: skip


@post(f"{URL}/{{key:str}}/general", status_code=200)
async def save_general(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    controls = [c for _title, found in _general_groups(desk, raw) for c in found]
    values, mark = read(desk, controls, form), str(form.get("_mark") or "")
    if values.get("portal"):
        values["portal"] = {**values["portal"], **{name: values[name] for name in OF_PORTAL if values.get(name)}}
    new = laid(raw, [c for c in controls if c.name not in OF_PORTAL], {name: EVERY if isinstance(value, list) and EVERY in value else value for name, value in values.items() if name not in OF_PORTAL})
    errors = await desk.save(_path(key), new, words.changed(_("Role"), desk.words(new.get("label"), key)), mark=mark, within="roles", found=missing(desk, controls, values))
    return await _general_form(desk, raw, values, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


# ---- removing -----------------------------------------------------------------------------------------------------------


async def _ask_removal(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors, *, status: int = 200) -> Response[Any]:
    raw = desk.find(_path(key))
    count = (await count_by_role(desk.ask.ctx.tenant_id)).get(key, 0)
    note = ngettext("%(count)s person has this role.", "%(count)s people have this role.", count) if count else _("Nobody has this role.")
    controls = _heir_controls(desk, key) if count else []
    return await ask_removal(
        desk, _path(key), "roles", name=desk.words(raw.get("label"), key), back=f"{URL}/{key}", action=f"{URL}/{key}/remove", notes=[note], drawn=await draw(desk, controls, values, errors),
        errors=left_over(errors, controls), status=status,
    )  # fmt: skip


def _heir_controls(desk: Desk, key: str) -> list[Control]:
    others = tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles if r.key != key)
    return [Control("heir", "choice", _("These people get the role"), _("Besides roles they have already."), choices=others, more={"empty": _("none")})]


@get(f"{URL}/{{key:str}}/remove")
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    return await _ask_removal(await open_desk(request), key, {}, {})


@post(f"{URL}/{{key:str}}/remove", status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    values = read(desk, _heir_controls(desk, key), form)
    if values.get("heir") and edits.find(desk.raw, _path(values["heir"])) is None:
        raise NotFound()
    new = remove_with_references(desk.raw, _path(key)) if form.get("clean") == "yes" else edits.remove(desk.raw, _path(key))
    data = [{"do": "role", "from": key, "to": values["heir"]}] if values.get("heir") else []
    errors = await desk.take(new, words.removed(_("Role"), desk.words(raw.get("label"), key)), path="roles", data=data)
    return await _ask_removal(desk, key, values, errors, status=422) if errors else desk.done(URL)


router = Router(
    "",
    route_handlers=[roles, new, create, duplicate, show, save, entity_rights, save_entity_rights, general, save_general, ask_remove, remove],
)
