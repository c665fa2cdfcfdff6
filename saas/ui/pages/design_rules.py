"""Settings: automations and schedules. Lists with switches, forms made of when, condition and steps; every save is one step of the
admin's draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.i18n import LazyString, lazy, listed, ngettext, titled
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.anatomy import fixed_values
from saas.metadata.config import Entity
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.property_words import choice_word
from saas.ui.builder import conditions, words
from saas.ui.builder.actions import actions_control, settled, steps_words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, controls_of, draw, in_order, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.flowing import flow_of
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.stacks import draw_nested, fresh_key, is_gesture, missing, read_nested
from saas.ui.builder.times import rhythm_words
from saas.ui.pages.definition_pages import ask_entity, entity_and_form
from saas.ui.views import Choice


@dataclass(frozen=True, slots=True)
class Rules:
    """One of the two sections: how it is called, and what is different about it."""

    section: str
    icon: str
    noun: LazyString
    title: LazyString
    lead: LazyString
    new: LazyString
    empty: LazyString

    @property
    def url(self) -> str:
        return f"/settings/{self.section}"

    def path(self, key: str) -> str:
        return f"{self.section}[{key}]"


AUTOMATIONS = Rules(
    "automations", "bolt", lazy("Automation"), lazy("Automations"), lazy("What happens by itself when somebody changes something. Rules for the same event run from top to bottom."),
    lazy("New automation"), lazy("Tell somebody, fill in a field or make a follow-up task without anybody having to think of it."),
)  # fmt: skip
SCHEDULES = Rules(
    "schedules", "calendar-time", lazy("Schedule"), lazy("Schedules"), lazy("What happens at set times, by the workspace's clock, to all records that match."),
    lazy("New schedule"), lazy("Remind people of what is due, move on what has waited too long, or clean up every night."),
)  # fmt: skip
ONCE = (
    ("run", lazy("each time it runs")), ("day", lazy("once a day")), ("week", lazy("once a week")), ("month", lazy("once a month")), ("year", lazy("once a year")),
    ("ever", lazy("only once, ever")),
)  # fmt: skip




def _urls(rest: str = "") -> list[str]:
    """The address of a page in each of the two sections."""
    return [f"{rules.url}{rest}" for rules in (AUTOMATIONS, SCHEDULES)]


def _rules_of(request: Request) -> Rules:
    return AUTOMATIONS if request.url.path.startswith(AUTOMATIONS.url) else SCHEDULES


# ---- lists --------------------------------------------------------------------------------------------------------------


@get(_urls())
async def listing(request: Request) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    rows = [_row(desk, rules, raw) for raw in desk.raw.get(rules.section, ()) if isinstance(raw, Mapping)]
    return await desk.page("settings/design_flow/rules", rules.section, rules=_named(rules), rows=rows)


def _named(rules: Rules) -> dict[str, str]:
    return {"url": rules.url, "icon": rules.icon, **{name: str(getattr(rules, name)) for name in ("section", "noun", "title", "lead", "new", "empty")}}


def _row(desk: Desk, rules: Rules, raw: Mapping[str, Any]) -> dict[str, Any]:
    entity, key = desk.config.entities.get(str(raw.get("entity"))), str(raw.get("key"))
    steps = steps_words(desk, entity, raw.get("do"))
    if rules is AUTOMATIONS:
        when, condition = trigger_words(desk, entity, raw.get("on") or {}), conditions.in_words(desk.ctx, entity, raw.get("if"))
    else:
        when = rhythm_words(str((raw.get("every") or {}).get("cron") or ""))
        condition = conditions.in_words(desk.ctx, entity, conditions.text_of(raw.get("where"), desk.ctx, entity)) if entity else ""
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{rules.url}/{key}", "active": raw.get("active") is not False, "when": when, "condition": condition, "steps": steps,
        "entity": desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), "problems": len(desk.problems_at(rules.path(key))),
    }  # fmt: skip


@post(_urls("/new-order"), status_code=200)
async def reorder(request: Request) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, rules.section, keys), words.reordered(str(rules.title)))
    return desk.done(rules.url)


@post(_urls("/{key:str}/switch"), status_code=200)
async def switch(request: Request, key: FromPath[str]) -> Response[Any]:
    """Turn a rule off or on, whatever else may be wrong with it."""
    desk, rules = await open_desk(request), _rules_of(request)
    found = {name: value for name, value in desk.find(rules.path(key)).items() if name != "active"}
    on = (await desk.ask.form()).get("active") == "on"
    name = words.place(str(rules.noun), desk.words(found.get("label"), key))
    new = edits.put(desk.raw, rules.path(key), found if on else {**found, "active": False})
    await desk.take(new, _("%(what)s: switched on", what=name) if on else _("%(what)s: switched off", what=name))
    return desk.done(rules.url)


# ---- forms --------------------------------------------------------------------------------------------------------------


def _controls(desk: Desk, rules: Rules, entity: str, key: str, trigger: str) -> list[Control]:
    name = Control("label", "label", _("Name"), required=True)
    switched = Control("active", "bool", _("Switched on"), default=True)
    if rules is AUTOMATIONS:
        return [
            name, Control("on", "trigger", _("When"), required=True, entity=entity),
            Control("if", "condition", _("Only if"), _("Without a condition it happens every time."), entity=entity, result="bool"),
            actions_control("do", _("Then"), entity, required=True, before_save=trigger == "before_save", may_wait=trigger != "before_save"), switched,
            Control("stop", "bool", _("Then no further rule"), _("Later rules for the same event do not run after this one."), default=False, advanced=True),
            Control("on_error", "choice", _("When a step fails"), default="undo", choices=_words_of("on_error"), advanced=True),
            Control("overlap", "choice", _("While a run for the record waits"), default="each", choices=_words_of("overlap"), advanced=True), _place(desk, rules, key),
        ]  # fmt: skip
    return [
        name, Control("cron", "times", _("When"), required=True),
        Control("where", "condition", _("For which records"), _("Without a condition: for all of them."), entity=entity, result="bool"),
        Control("once_per", "choice", _("At most, for each record"), _("However often it runs, a record is not done twice within this time."), False, "run", tuple(Choice(k, str(t)) for k, t in ONCE)),
        actions_control("do", _("Then, for each record"), entity, required=True), switched, _place(desk, rules, key),
    ]  # fmt: skip


def _words_of(name: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, str(choice_word("automation", name, value))) for value in fixed_values("automation", name))


def _place(desk: Desk, rules: Rules, key: str) -> Control:
    others = [r for r in desk.raw.get(rules.section, ()) if isinstance(r, Mapping) and r.get("key") != key]
    choices = (Choice("", _("before all others")), *(Choice(str(r.get("key")), _("after “%(name)s”", name=desk.words(r.get("label"), str(r.get("key"))))) for r in others))
    return Control("after", "choice", _("Order"), choices=choices, advanced=True)


def _behind(desk: Desk, rules: Rules, key: str) -> str:
    """The key before a rule's own; the last one for a new rule."""
    keys = [str(r.get("key")) for r in desk.raw.get(rules.section, ()) if isinstance(r, Mapping)]
    at = keys.index(key) if key in keys else len(keys)
    return keys[at - 1] if at else ""


def _to_form(desk: Desk, rules: Rules, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as its controls see it."""
    values = {**raw, "after": _behind(desk, rules, str(raw.get("key") or ""))}
    if rules is SCHEDULES:
        entity = desk.config.entities.get(str(raw.get("entity")))
        values |= {"cron": (raw.get("every") or {}).get("cron"), "where": conditions.text_of(raw.get("where"), desk.ctx, entity) if entity else raw.get("where")}
    return values


def _from_form(desk: Desk, rules: Rules, old: Mapping[str, Any], controls: Sequence[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    found = laid(old, [c for c in controls if c.name not in ("after", "cron")], {k: v for k, v in values.items() if k not in ("after", "cron")})
    if "do" in found:
        found["do"] = settled(old.get("do"), found["do"])
    if isinstance(found.get("on"), Mapping) and "fields" in found["on"]:
        found["on"] = {**found["on"], "fields": in_order((old.get("on") or {}).get("fields"), found["on"]["fields"])}
    if rules is SCHEDULES:
        found["every"] = {"cron": str(values.get("cron") or "")}
        entity = desk.config.entities.get(str(old.get("entity")))
        if old.get("where") and entity and values.get("where") == conditions.text_of(old["where"], desk.ctx, entity):
            found["where"] = old["where"]  # said the same way as before
    return found


async def _form(
    desk: Desk, rules: Rules, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors, *, mark: str, status: int = 200
) -> Response[Any]:  # fmt: skip
    key, entity = str(raw.get("key") or ""), desk.config.entities.get(str(raw.get("entity")))
    controls = _controls(desk, rules, str(raw.get("entity")), key, str((values.get("on") or {}).get("trigger")))
    shown = {("cron" if path == "every.cron" else path): text for path, text in errors.items()}
    name = desk.words(raw.get("label"), key) if key else str(rules.new)
    trigger = str((values.get("on") or {}).get("trigger") or "create")
    flow = flow_of(desk, "do", str(raw.get("entity")), values.get("do"), shown, before_save=trigger == "before_save", may_wait=trigger != "before_save") if rules is AUTOMATIONS else None
    start = {"title": trigger_words(desk, entity, values.get("on") or {"trigger": "create"}), "condition": conditions.in_words(desk.ctx, entity, values.get("if"))} if flow else None
    return await desk.page(
        "settings/design_flow/rule", rules.section, flow=flow, start=start, status=status, rules=_named(rules), title=name, key=key, entity_key=str(raw.get("entity")), mark=mark,
        entity=desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), entity_url=f"/settings/entities/{entity.key}" if entity else "",
        drawn=await draw(desk, controls, values, shown), problems=left_over(shown, controls), action=f"{rules.url}/{key or 'new'}",
        broken=[str(p.message) for p in desk.problems_at(rules.path(key))] if key and not errors else [],
    )  # fmt: skip


async def _save(desk: Desk, rules: Rules, old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    key = str(old.get("key") or "")
    controls = _controls(desk, rules, str(old.get("entity")), key, str(form.get("on.trigger")))
    values = read(desk, controls, form)
    mark = str(form.get("_mark") or "")
    if is_gesture(form):
        return await _form(desk, rules, old, values, {}, mark=mark)
    new = _from_form(desk, rules, old, controls, values)
    if not key:
        new = {"key": fresh_key(desk, values.get("label"), rules.section, rules.section.removesuffix("s")), **new}
    what = (str(rules.noun), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if key else words.added(*what)
    errors = await desk.save(rules.path(new["key"]), new, title, mark=mark if key else None, after=str(values.get("after", "")), found=missing(desk, controls, values))
    if errors:
        return await _form(desk, rules, old, values, errors, mark=mark, status=422)
    return desk.done(rules.url)


@get(_urls("/new"))
async def new(request: Request) -> Response[Any]:
    """The form for an entity, or the question which one it is about."""
    desk, rules = await open_desk(request), _rules_of(request)
    key = request.query_params.get("entity", "")
    if key in desk.config.entities:
        return await _form(desk, rules, {"entity": key}, {"after": _behind(desk, rules, "")}, {}, mark="")
    return await ask_entity(desk, rules.section, desk.config.entities.values(), title=str(rules.new), back_text=str(rules.title))


@post(_urls("/new"), status_code=200)
async def create(request: Request) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    entity, form = await entity_and_form(desk)
    return await _save(desk, rules, {"entity": entity}, form)


@get(_urls("/{key:str}"))
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    raw = desk.find(rules.path(key))
    return await _form(desk, rules, raw, _to_form(desk, rules, raw), {}, mark=desk.mark(rules.path(key)))


@post(_urls("/{key:str}"), status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    return await _save(desk, rules, desk.find(rules.path(key)), await desk.ask.form())


@get(_urls("/{key:str}/remove"))
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    name = desk.words(desk.find(rules.path(key)).get("label"), key)
    return await ask_removal(desk, rules.path(key), rules.section, name=name, back=f"{rules.url}/{key}", action=f"{rules.url}/{key}/remove")


@post(_urls("/{key:str}/remove"), status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk, rules = await open_desk(request), _rules_of(request)
    name = desk.words(desk.find(rules.path(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), rules.path(key), words.removed(str(rules.noun), name))
    return desk.done(rules.url)


# ---- triggers -----------------------------------------------------------------------------------------------------------


@control_kinds.register
class TriggerControl(ControlKind):
    """When an automation runs: the kind of event, and what its type's schema asks."""

    key = "trigger"
    grouped = True
    nested = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        chosen = str(form.get(f"{control.name}.trigger") or "")
        return {"trigger": chosen, **read_nested(desk, _columns(desk, control, chosen), f"{control.name}.", form)} if chosen else None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        value = value or {"trigger": "create"}
        chosen, errors = str(value.get("trigger")), {path.lstrip("."): text for path, text in control.more.get("errors", {}).items()}
        columns, kind = _columns(desk, control, chosen), trigger_types.find(chosen)
        kinds = [Choice(k.key, str(k.label), k.key == chosen) for k in _triggers(desk.config.entities.get(control.entity), chosen)]
        return {
            "kinds": kinds, "drawn": await draw_nested(desk, columns, f"{control.name}.", value, errors), "problems": left_over(errors, columns),
            "note": _(str(kind.options_schema["description"])) if kind and kind.options_schema.get("description") else "",
        }  # fmt: skip


def _columns(desk: Desk, control: Control, trigger: str) -> list[Control]:
    kind = trigger_types.find(trigger)
    found = controls_of(desk, kind.options_schema, entity=control.entity) if kind else []
    return [replace(c, more={**c.more, "empty": _("any")}) if c.kind == "choice" else c for c in found]


def _triggers(entity: Entity | None, chosen: str) -> list[TriggerType]:
    """In the order in which people think of them; moving along a pipeline only where there is one."""
    order = ("create", "update", "transition", "date_reached", "child_change", "message", "before_save", "button", "delete", "restore", "login")
    found = sorted(trigger_types, key=lambda k: (order.index(k.key) if k.key in order else len(order), k.key))
    return [k for k in found if k.key == chosen or entity is None or entity.pipeline is not None or not _needs_stages(k)]


def _needs_stages(kind: TriggerType) -> bool:
    return any(prop.get("x-control") == "stage" for prop in kind.options_schema.get("properties", {}).values())


def trigger_words(desk: Desk, entity: Entity | None, on: Mapping[str, Any]) -> str:
    """One line: what sets a rule off."""
    kind = trigger_types.find(str(on.get("trigger")))
    name = str(kind.label) if kind else str(on.get("trigger"))
    fields, pipeline = entity.fields if entity else {}, entity.pipeline if entity else None
    details = [listed(desk.words(fields[k].label, k) if k in fields else k for k in on.get("fields") or ())]
    if on.get("key"):
        transition = pipeline.transition(on["key"]) if pipeline else None
        details.append(desk.words(transition.label, transition.key) if transition else str(on["key"]))
    if on.get("from") or on.get("to"):
        ends = [(pipeline.stage(key) if pipeline and key else None, key) for key in (on.get("from"), on.get("to"))]
        details.append(" → ".join(desk.words(stage.label, stage.key) if stage else str(key or "…") for stage, key in ends))
    if on.get("date"):
        details.append(date_words(desk.words(fields[on["date"]].label, on["date"]) if on["date"] in fields else str(on["date"]), on))
    detail = listed(d for d in details if d)
    return titled(name, detail) if detail else name


def date_words(name: str, on: Mapping[str, Any]) -> str:
    """A date and how far from it: “Due, 3 days before”."""
    parts = [name]
    for key in ("days", "hours"):
        count = on.get(key)
        if isinstance(count, int) and count:
            size = abs(count)
            if key == "days":
                parts.append(ngettext("%(count)s day before", "%(count)s days before", size) if count < 0 else ngettext("%(count)s day after", "%(count)s days after", size))
            else:
                parts.append(ngettext("%(count)s hour before", "%(count)s hours before", size) if count < 0 else ngettext("%(count)s hour after", "%(count)s hours after", size))
    if on.get("at"):
        parts.append(_("at %(time)s", time=str(on["at"])))
    return listed(parts)


router = Router("", route_handlers=[listing, reorder, switch, new, create, show, save, ask_remove, remove])
