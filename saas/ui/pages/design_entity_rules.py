"""Rules of an entity: what must hold across fields, what may exist only once, look-alikes, when records are frozen, its messages.

Who: whoever finds wrong records again and again. What next: the plan, which counts the records that break the rule today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import listed
from saas.metadata import edits
from saas.ui import design_views as views
from saas.ui.builder import words
from saas.ui.builder.controls import Control, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.views import Choice

LIST = "/settings/entities"
SECTIONS = ("rules", "unique", "duplicates")
MESSAGES = ("created", "updated", "deleted", "confirm_delete")


@get("/settings/entities/{key:str}/rules")
async def rules(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, key, _general_values(desk.find(f"entities[{key}]")))


async def _page(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    raw, controls = desk.find(f"entities[{key}]"), _general_controls(key)
    return await desk.page(
        "settings/design/rules", "entities", status=422 if errors else 200, head=views.head(desk, key, "rules"), sections=[_section(desk, key, raw, name) for name in SECTIONS],
        general=await draw(desk, controls[:2], values, errors), texts=await draw(desk, controls[2:], values, errors), mark=desk.mark(f"entities[{key}]"),
        problems=left_over(errors or {}, controls),
    )  # fmt: skip


def _section(desk: Desk, key: str, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    title, lead, add = {
        "rules": (_("Checks across fields"), _("What must hold when a record is saved, for example that the end is not before the start."), _("Add a check")),
        "unique": (_("Only once"), _("Combinations of values that no two records may share."), _("Add a rule")),
        "duplicates": (_("Look-alikes"), _("Warn, or refuse, when a similar record exists already."), _("Add a rule")),
    }[name]
    url = f"{LIST}/{key}/rules/{name}"
    rows = [{"url": f"{url}/{r['key']}", "text": _rule_words(desk, key, name, r), "note": _rule_note(name, r)} for r in raw.get(name, ())]
    if name == "unique":
        alone = [views.field_words(desk, key, f["key"]) for f in raw.get("fields", ()) if f.get("unique")]
        lead = f"{lead} {_('Unique by themselves: %(fields)s.', fields=listed(alone))}" if alone else lead
    return {"title": title, "lead": lead, "add": add, "new_url": f"{url}/new", "rows": rows, "name": name}


def _rule_words(desk: Desk, key: str, name: str, rule: Mapping[str, Any]) -> str:
    if name == "rules":
        return desk.words(rule.get("message"), rule["key"])
    return listed(views.field_words(desk, key, f) for f in rule.get("fields" if name == "unique" else "match", ()))


def _rule_note(name: str, rule: Mapping[str, Any]) -> str:
    if name == "rules":
        return str(rule.get("expr", ""))
    if name == "unique":
        return str(rule.get("when") or "")
    return _("refused") if rule.get("action") == "block" else _("warned")


# ---- freezing and messages ----------------------------------------------------------------------------------------------


def _general_controls(key: str) -> list[Control]:
    titles = {"created": _("After creating"), "updated": _("After changing"), "deleted": _("After deleting"), "confirm_delete": _("Before deleting, as a question")}
    return [
        Control("editable_if", "condition", _("A record may be changed if"), _("Otherwise it is frozen for everybody; only moves through the pipeline still work. Empty: always."), entity=key),
        Control("deletable_if", "condition", _("A record may be deleted if"), _("Empty: always, for those who may delete."), entity=key),
        *(Control(name, "label", titles[name]) for name in MESSAGES),
    ]  # fmt: skip


def _general_values(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {**raw, **{name: (raw.get("messages") or {}).get(name) for name in MESSAGES}}


@post("/settings/entities/{key:str}/rules", status_code=200)
async def save_rules(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    before, controls = desk.find(f"entities[{key}]"), _general_controls(key)
    values = read(desk, controls, form)
    made = laid(before, controls[:2], {k: v for k, v in values.items() if k not in MESSAGES})
    made.pop("messages", None)
    if messages := {name: values[name] for name in MESSAGES if values.get(name)}:
        made["messages"] = messages
    errors = await desk.save(f"entities[{key}]", made, words.changed(views.entity_words(desk, key), _("Rules")), mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _page(desk, key, values, {path.removeprefix("messages."): text for path, text in errors.items()})
    return desk.done(f"{LIST}/{key}/rules")


# ---- one rule -----------------------------------------------------------------------------------------------------------


def _controls(desk: Desk, key: str, section: str) -> list[Control]:
    entity = desk.config.entities.get(key)
    message = Control("message", "label", _("Message"), _("What people read when it happens."), required=section == "rules")
    if section == "rules":
        fields = views.field_choices(desk, entity, declared=True)
        return [
            Control("expr", "condition", _("This must hold"), required=True, entity=key), message,
            Control("field", "choice", _("Shown at the field"), choices=fields, more={"empty": _("at the top of the form")}),
        ]  # fmt: skip
    fields = views.field_choices(desk, entity)
    if section == "unique":
        note = _("Capitals and spaces make no difference. Deleted records do not count.")
        return [Control("fields", "sorter", _("No two records share all of these"), note, required=True, choices=fields), message, Control("when", "condition", _("Only among records for which"), entity=key)]
    acts = (Choice("warn", _("Warn; people may save all the same")), Choice("block", _("Refuse to save")))
    return [
        Control("match", "sorter", _("Records look alike when these are equal"), required=True, choices=fields),
        Control("action", "choice", _("Then"), choices=acts, default="warn", required=True), message,
    ]  # fmt: skip


def _known(section: str) -> None:
    if section not in SECTIONS:
        raise NotFound()


@get("/settings/entities/{key:str}/rules/{section:str}/{name:str}")
async def show_rule(request: Request, key: FromPath[str], section: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    _known(section)
    desk.find(f"entities[{key}]")
    values = {} if name == "new" else desk.find(f"entities[{key}].{section}[{name}]")
    return await _rule(desk, key, section, name, values)


async def _rule(desk: Desk, key: str, section: str, name: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    controls = _controls(desk, key, section)
    head = views.head(desk, key, "rules")
    url = f"{head['url']}/rules/{section}/{name}"
    shown = _section(desk, key, desk.find(f"entities[{key}]"), section)
    return await desk.page(
        "settings/design/rule", "entities", status=422 if errors else 200, head=head, title=shown["title"], lead=shown["lead"], drawn=await draw(desk, controls, values, errors), action=url,
        remove_url="" if name == "new" else f"{url}/remove", mark="" if name == "new" else desk.mark(f"entities[{key}].{section}[{name}]"), problems=left_over(errors or {}, controls),
    )  # fmt: skip


@post("/settings/entities/{key:str}/rules/{section:str}/{name:str}", status_code=200)
async def save_rule(request: Request, key: FromPath[str], section: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    _known(section)
    form = await desk.ask.form()
    raw = desk.find(f"entities[{key}]")
    controls = _controls(desk, key, section)
    values = {"action": "warn", **read(desk, controls, form)} if section == "duplicates" else read(desk, controls, form)
    missing = {c.name: _("Please fill this in.") for c in controls if c.required and not values.get(c.name)}
    if missing:
        return await _rule(desk, key, section, name, values, missing)
    is_new = name == "new"
    rule_key = _rule_key(raw, section, values) if is_new else name
    before = {"key": rule_key} if is_new else desk.find(f"entities[{key}].{section}[{name}]")
    made = laid(before, controls, values)
    place = (views.entity_words(desk, key), _section(desk, key, raw, section)["title"], _rule_words(desk, key, section, made))
    title = words.added(*place) if is_new else words.changed(*place)
    errors = await desk.save(f"entities[{key}].{section}[{rule_key}]", made, title, mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _rule(desk, key, section, name, values, errors)
    return desk.done(f"{LIST}/{key}/rules")


def _rule_key(raw: Mapping[str, Any], section: str, values: Mapping[str, Any]) -> str:
    """Keys of unique rules may not be those of fields that are unique by themselves."""
    taken = {r.get("key") for r in raw.get(section, ())} | {"new"} | {f.get("key") for f in raw.get("fields", ())}
    parts = values.get("fields") or values.get("match") or ()
    label = {"en": "_".join(parts)} if parts else values.get("message") or {}
    return edits.key_for(label, taken, "rule")


@get("/settings/entities/{key:str}/rules/{section:str}/{name:str}/remove")
async def ask_remove_rule(request: Request, key: FromPath[str], section: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    _known(section)
    found = desk.find(f"entities[{key}].{section}[{name}]")
    url = f"{LIST}/{key}/rules/{section}/{name}"
    return await ask_removal(desk, f"entities[{key}].{section}[{name}]", "entities", name=_rule_words(desk, key, section, found), back=url, action=f"{url}/remove")


@post("/settings/entities/{key:str}/rules/{section:str}/{name:str}/remove", status_code=200)
async def remove_rule(request: Request, key: FromPath[str], section: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    _known(section)
    found = desk.find(f"entities[{key}].{section}[{name}]")
    title = words.removed(views.entity_words(desk, key), _rule_words(desk, key, section, found))
    await take_out(desk, await desk.ask.form(), f"entities[{key}].{section}[{name}]", title)
    return desk.done(f"{LIST}/{key}/rules")


router = Router("", route_handlers=[rules, save_rules, show_rule, save_rule, ask_remove_rule, remove_rule])
