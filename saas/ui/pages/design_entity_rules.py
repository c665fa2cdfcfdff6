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
SECTIONS = ("rules", "unique", "duplicates", "pools")
LETTERS = ("text", "longtext", "email", "url", "code")
_FLAT = {"against.entity": "against_entity", "against.fields": "against_fields", "against.where": "where", "against.reveal": "reveal"}
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
        "pools": (_("Pools"), _("Records without an owner that people claim, hold for a while and give back."), _("Add a pool")),
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
    if name == "pools":
        return desk.words(rule.get("label"), rule["key"])
    return listed(views.field_words(desk, key, f) for f in rule.get("fields" if name == "unique" else "match", ()))


def _rule_note(name: str, rule: Mapping[str, Any]) -> str:
    if name == "rules":
        return str(rule.get("expr", ""))
    if name in ("unique", "pools"):
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


def _controls(desk: Desk, key: str, section: str, values: Mapping[str, Any] | None = None) -> list[Control]:
    """`values`: what stands there or was posted; which fields of another entity there are depends on it."""
    entity = desk.config.entities.get(key)
    message = Control("message", "label", _("Message"), _("What people read when it happens."), required=section == "rules")
    if section == "rules":
        fields = views.field_choices(desk, entity, declared=True)
        return [
            Control("expr", "condition", _("This must hold"), required=True, entity=key), message,
            Control("field", "choice", _("Shown at the field"), choices=fields, more={"empty": _("at the top of the form")}),
        ]  # fmt: skip
    if section == "pools":
        return _pool_controls(desk, key)
    fields = views.field_choices(desk, entity)
    if section == "unique":
        note = _("Capitals, spaces and full or half width make no difference.")
        return [
            Control("fields", "sorter", _("No two records share all of these"), note, required=True, choices=fields), message, Control("when", "condition", _("Only among records for which"), entity=key),
            Control("loose", "bool", _("Only letters and digits count"), _("“AB-12/3” and “ab 123” are the same."), default=False),
            Control("with_deleted", "bool", _("Deleted records keep their values"), _("Otherwise a value is free again once its record was deleted."), default=False),
        ]  # fmt: skip
    return _duplicate_controls(desk, key, fields, message, values or {})


def _duplicate_controls(desk: Desk, key: str, fields: tuple[Choice, ...], message: Control, values: Mapping[str, Any]) -> list[Control]:
    queue = [Choice("queue", _("Save it and put it into a review"))]
    queues = tuple(Choice(r["key"], desk.words(r.get("label"), r["key"])) for r in desk.raw.get("reviews", ()) if r.get("entity") == key)
    acts = (Choice("warn", _("Warn; people may save all the same")), Choice("block", _("Refuse to save")), *(queue if queues else ()))
    later = (Choice("warn", _("Warn")), Choice("block", _("Refuse")), *(queue if queues else ()), Choice("ignore", _("Do not look")))
    entity, other = desk.config.entities.get(key), values.get("against_entity")
    letters = views.field_choices(desk, entity, of=LETTERS)
    there = desk.config.entities.get(str(other))
    found = other if there is not None else key
    controls = [
        Control("match", "sorter", _("Records look alike when these agree"), _("Telephone numbers compare by their digits, all else without capitals, spaces and width."), required=True, choices=fields),
        Control("similar", "choices", _("Of these, similar is enough for"), _("Names with a typing error or in another order are found as well."), choices=letters),
        Control("threshold", "number", _("How alike they must be, in percent"), default=85, more={"min": 50, "max": 100}),
        Control("names", "choices", _("Of these, company names"), _("“Co., Ltd.”, “GmbH” and other legal forms make no difference."), choices=letters),
        Control("against_entity", "choice", _("Look among"), choices=tuple(c for c in views.entity_choices(desk) if c.key != key), more={"empty": _("records of the same entity")}),
    ]  # fmt: skip
    if there is not None:
        controls.append(Control("against_fields", "sorter", _("Fields there, in the same order"), required=True, choices=views.field_choices(desk, there)))
    return [
        *controls,
        Control("where", "condition", _("Only records found for which"), entity=str(found)),
        Control("action", "choice", _("When creating"), choices=acts, default="warn", required=True),
        Control("on_update", "choice", _("When changing"), choices=later, more={"empty": _("as when creating")}), message,
        *([Control("review", "choice", _("In this review"), choices=queues, more={"empty": _("None")})] if queues else []),
        Control("across", "bool", _("Also among records the person may not see"), default=True),
        Control("reveal", "choices", _("Told of records the person may not see"), _("Nothing ticked: only that there is one."), choices=views.field_choices(desk, there or entity)),
        Control("confirm_roles", "choices", _("Who may save all the same"), _("Nothing ticked: everybody."), choices=views.role_choices(desk)),
        Control("reason", "bool", _("Whoever does must say why"), _("The reason stands in the record's history."), default=False),
    ]  # fmt: skip


def _drawn_values(section: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as the form's controls name its properties."""
    against = raw.get("against") if section == "duplicates" else None
    if not isinstance(against, Mapping):
        return dict(raw)
    flat = {"against_entity": against.get("entity"), "against_fields": against.get("fields"), "where": against.get("where"), "reveal": against.get("reveal")}
    return {**{k: v for k, v in raw.items() if k != "against"}, **flat}


def _laid_rule(section: str, before: Mapping[str, Any], controls: list[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    """The definition that the form's values make."""
    made = laid(_drawn_values(section, before), controls, values)
    other = made.pop("against_entity", None)
    fields = made.pop("against_fields", None)
    if other:
        inner = {"entity": other, "fields": fields, "reveal": made.pop("reveal", None), "where": made.pop("where", None)}
        made["against"] = {k: v for k, v in inner.items() if v}
    return made


def _pool_controls(desk: Desk, key: str) -> list[Control]:
    entity = desk.config.entities.get(key)
    moves = tuple(Choice(t.key, desk.words(t.label, t.key)) for t in (entity.pipeline.transitions if entity and entity.pipeline else ()))
    lists = tuple(Choice(r.key, desk.words(r.label, r.key)) for r in (entity.children.values() if entity else ()))
    sees = (
        Choice("all", _("Everybody who may read such records")), Choice("dept_tree", _("People of its department and of those above")),
        Choice("dept", _("People of its department")), Choice("none", _("Only who may read it anyway")),
    )  # fmt: skip
    work = (Choice("update", _("Changing it")), Choice("transition", _("Moving it to another stage")))
    roles, nobody, days = views.role_choices(desk), _("None ticked: everybody."), _("days")
    found = [
        Control("label", "label", _("The pool is called"), required=True),
        Control("when", "condition", _("Records belong to it if"), _("Whether somebody owns them or not. Empty: all. Of several pools the first that fits."), entity=key),
        Control("see", "choice", _("Who sees what lies in it"), default="all", required=True, choices=sees),
        Control("see_roles", "choices", _("Only people with these roles"), nobody, choices=roles),
        Control("claimable", "bool", _("People may claim records"), default=True),
        Control("claim_roles", "choices", _("Roles that may claim"), _("None ticked: whoever may change records of this kind."), choices=roles, show_if={"claimable": ["on"]}),
        Control("assign_roles", "choices", _("Roles that may assign"), _("None ticked: whoever may change the record."), choices=roles),
        Control("release_roles", "choices", _("Roles that may put records back"), _("Only records they may change. None ticked: everybody."), choices=roles),
        Control("max_held", "amount", _("One person holds at most"), _("Empty: as many as they like."), more={"unit": _("records")}),
        Control("held_if", "condition", _("Only records count for which"), entity=key),
        Control("claims_per_day", "amount", _("Claims a day at most"), more={"unit": _("records")}),
        Control("cooldown_days", "amount", _("Who gave a record up or lost it waits"), _("before they may claim the same one again"), more={"unit": days}),
        Control("recycle_days", "amount", _("Back to the pool when nobody worked on it for"), _("Counted by the calendar of the company. Empty: never."), more={"unit": days}),
        Control("touch", "choices", _("What counts as work"), choices=work, default=["update", "transition"]),
        Control("warn_days", "numbers", _("Warn the owner so many days before"), _("For example: 7, 3, 1")),
        Control("recycle_unless", "condition", _("It stays with its owner if"), entity=key),
    ]  # fmt: skip
    if lists:
        found.insert(-2, Control("touch_lists", "choices", _("New records that count as work as well"), _("For example follow-ups."), choices=lists))
    if moves:
        found[4:4] = [
            Control("claim_transition", "choice", _("When claimed or assigned, do"), _("A transition that moves the stage along."), choices=moves, more={"empty": _("nothing")}),
            Control("release_transition", "choice", _("When put back, do"), choices=moves, more={"empty": _("nothing")}),
        ]  # fmt: skip
    return found


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
    values = _drawn_values(section, values)
    controls = _controls(desk, key, section, values)
    errors = {_FLAT.get(path, path): text for path, text in errors.items()} if errors else errors
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
    controls = _controls(desk, key, section, {"against_entity": str(form.get("against_entity") or "")})
    values = {"action": "warn", **read(desk, controls, form)} if section == "duplicates" else read(desk, controls, form)
    missing = {c.name: _("Please fill this in.") for c in controls if c.required and not values.get(c.name)}
    if missing:
        return await _rule(desk, key, section, name, values, missing)
    is_new = name == "new"
    rule_key = _rule_key(raw, section, values) if is_new else name
    before = {"key": rule_key} if is_new else desk.find(f"entities[{key}].{section}[{name}]")
    made = _laid_rule(section, before, controls, values)
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
    label = {"en": "_".join(parts)} if parts else values.get("label") or values.get("message") or {}
    return edits.key_for(label, taken, "pool" if section == "pools" else "rule")


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
