"""Examples of the configuration: situations with what must happen in them, tried against the draft.

Who: an admin who has set a rule and wants to be sure that nobody undoes it by accident, or who first writes down what the company
expects. What next: the rule that a red example names, or publishing the draft.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.errors import AppError, NotFound
from saas.i18n import gettext as _
from saas.i18n import titled
from saas.metadata import edits
from saas.metadata.config import Entity
from saas.metadata.example_checks import GIVEN, ME, OTHER, ROLE
from saas.metadata.kinds import field_types
from saas.metadata.models import EXAMPLE_ACTS, SYSTEM, FieldDef
from saas.runtime.examples import ExampleResult, run_examples
from saas.runtime.examples_start import situation
from saas.ui.builder import words
from saas.ui.builder.controls import Control, ControlKind, Drawn, control_kinds, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.views import Choice

LIST, SECTION = "/settings/examples", "examples"
WITH_VALUES = ("create", "update", "transition")
KEPT = 64
_results: OrderedDict[Any, list[ExampleResult]] = OrderedDict()


def path_of(key: str) -> str:
    return f"{SECTION}[{key}]"


# ---- trying ------------------------------------------------------------------------------------------------------------


async def results(desk: Desk, *, fresh: bool = False) -> dict[str, ExampleResult]:
    """How the draft's examples went, by key; tried again when the draft has changed. Nothing while the draft has problems."""
    if desk.problems:
        return {}
    key = (desk.ask.ctx.tenant_id, desk.ask.ctx.config.revision, desk.draft.text)
    found = None if fresh else _results.get(key)
    if found is None:
        found = _results[key] = await run_examples(desk.ask.ctx, desk.draft.examined.bundle)
        while len(_results) > KEPT:
            _results.popitem(last=False)
    return {r.key: r for r in found}


@get(LIST)
async def listing(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    return await _listing(desk)


async def _listing(desk: Desk, *, fresh: bool = False) -> Response[Any]:
    error, found = "", {}
    try:
        found = await results(desk, fresh=fresh)
    except AppError as problem:
        error = str(problem.message)
    rows = [_row(desk, raw, found.get(str(raw.get("key")))) for raw in desk.raw.get(SECTION, ()) if isinstance(raw, Mapping)]
    red = sum(1 for r in found.values() if not r.passed)
    return await desk.page("settings/examples/index", SECTION, rows=rows, red=red, tried=bool(found), waits=bool(rows and desk.problems), error=error)


def _row(desk: Desk, raw: Mapping[str, Any], result: ExampleResult | None) -> dict[str, Any]:
    key = str(raw.get("key"))
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{LIST}/{key}", "text": sentence(desk, raw), "problems": len(desk.problems_at(path_of(key))),
        "result": _shown(result),
    }  # fmt: skip


def _shown(result: ExampleResult | None) -> dict[str, Any] | None:
    return {"passed": result.passed, "message": str(result.message)} if result else None


@post(f"{LIST}/try", status_code=200)
async def try_all(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    try:
        await results(desk, fresh=True)
    except AppError:
        return await _listing(desk)
    return desk.ask.redirect(LIST)


def sentence(desk: Desk, raw: Mapping[str, Any]) -> str:
    """“Sales: win a deal: must be refused”."""
    entity = desk.config.entities.get(str(raw.get("entity")))
    name = desk.words(entity.defn.label, entity.key) if entity else str(raw.get("entity"))
    when = raw.get("when") if isinstance(raw.get("when"), Mapping) else {}
    act = _act_of(when)
    if act == "transition":
        found = entity.pipeline.transition(str(when.get("transition"))) if entity and entity.pipeline else None
        deed = titled(name, desk.words(found.label, found.key) if found else str(when.get("transition")))
    else:
        deed = titled(name, dict(acts())[act])
    expected = _("must be allowed") if raw.get("expect") == "allowed" else _("must be refused")
    return f"{_role_words(desk, str(raw.get('as')))} · {deed} · {expected}"


def _act_of(when: Mapping[str, Any]) -> str:
    return next((name for name in EXAMPLE_ACTS if name in when), "create")


def acts() -> tuple[tuple[str, str], ...]:
    return (("transition", _("move it along its pipeline")), ("update", _("change it")), ("create", _("create it")), ("delete", _("delete it")), ("read", _("open it")))


def _role_words(desk: Desk, key: str) -> str:
    role = desk.config.roles.get(key)
    return desk.words(role.label, key) if role else _("the system itself") if key == SYSTEM else key


# ---- the form's controls -----------------------------------------------------------------------------------------------


def _controls(desk: Desk, raw: Mapping[str, Any]) -> dict[str, list[Control]]:
    """By part of the page: what it is, the situation, the act, the expectation."""
    entity = desk.config.entities.get(str(raw.get("entity")))
    roles = (*(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles), Choice(SYSTEM, _("the system itself")))
    basics = [Control("label", "label", _("What this example says"), _("For instance: A deal over 50,000 without legal approval is not won."), True), Control("as", "choice", _("Who does it"), _("Somebody with only this role."), True, None, roles)]
    if entity is None:
        return {"basics": basics, "given": [], "act": [], "expected": []}
    when = raw.get("when") or {}
    transitions = tuple(Choice(t.key, desk.words(t.label, t.key)) for t in entity.pipeline.transitions) if entity.pipeline else ()
    offered = tuple(Choice(key, text) for key, text in acts() if key != "transition" or transitions)
    act = [Control("act", "choice", _("Action"), "", True, None, offered)]
    if transitions:
        act.append(Control("transition", "choice", _("Transition"), "", True, None, transitions, show_if={"act": ["transition"]}))
    given_now, sent_now = raw.get("given") or {}, _sent(when)
    act += [replace(c, show_if={"act": list(WITH_VALUES)}, advanced=c.name.partition(".")[2] not in sent_now) for c in value_controls(desk, raw, entity, "values", sent_now)]
    given = value_controls(desk, raw, entity, "given", given_now)
    if entity.pipeline:
        stages = tuple(Choice(s.key, desk.words(s.label, s.key)) for s in entity.pipeline.stages)
        given.insert(0, Control("state", "choice", _("Stage it has reached"), choices=stages, more={"empty": _("the first one")}))
    expected = [
        Control("expect", "choice", _("Then it must be"), "", True, None, (Choice("refused", _("refused")), Choice("allowed", _("allowed")))),
        Control("message", "text", _("The refusal must say"), _("Part of the text is enough. Leave it empty if any refusal will do."), show_if={"expect": ["refused"]}, more={"maxlength": 300}),
        Control("then", "condition", _("And afterwards must hold"), entity=entity.key, result="bool"),
    ]  # fmt: skip
    return {"basics": basics, "given": given, "act": act, "expected": expected}


def _sent(when: Mapping[str, Any]) -> Mapping[str, Any]:
    act = _act_of(when)
    found = when.get("values") if act == "transition" else when.get(act)
    return found if isinstance(found, Mapping) else {}


def value_controls(desk: Desk, raw: Mapping[str, Any], entity: Entity, prefix: str, now: Mapping[str, Any]) -> list[Control]:
    """A control for each field that can be given; what is neither required nor used folds away."""
    found = []
    for field in entity.fields.values():
        control = _value_control(desk, raw, entity, field, f"{prefix}.{field.key}")
        if control:
            needed = field.required and field.default is None and prefix != "values"
            found.append(replace(control, advanced=field.key not in now and not needed))
    return found


def _value_control(desk: Desk, raw: Mapping[str, Any], entity: Entity, field: FieldDef, name: str) -> Control | None:
    kind, title = field_types.get(field.type), desk.words(field.label, field.key)
    if kind.computed or field.type in ("pipeline", "auto") or kind.holds in ("file", "dept") or (field.system and field.key != "owner"):
        return None
    several = "choices" if kind.many else "choice"
    if kind.holds == "user":
        return Control(name, several, title, choices=_people(desk, raw), more={"empty": _("whoever does it") if field.key == "owner" else _("nobody")})
    if kind.holds == "record":
        return Control(name, several, title, choices=_records(desk, raw, field.options.get("to", "")), more={"empty": _("none")})
    if kind.key in ("date", "datetime"):
        return Control(name, "example_moment", title, _("A day, or days from today such as +30."), more={"time": kind.key == "datetime"})
    return Control(name, "value", title, field=field, entity=entity.key)


def _people(desk: Desk, raw: Mapping[str, Any]) -> tuple[Choice, ...]:
    role = _role_words(desk, str(raw.get("as") or ""))
    found = [Choice(f"@{ME}", _("whoever does it")), Choice(f"@{OTHER}", _("a colleague (%(role)s)", role=role))]
    return (*found, *(Choice(f"@{ROLE}{r.key}", _("somebody with the role %(role)s", role=desk.words(r.label, r.key))) for r in desk.config.bundle.roles))


def _records(desk: Desk, raw: Mapping[str, Any], entity: str) -> tuple[Choice, ...]:
    """Other records of the example that a link may name."""
    mine = [Choice(f"@{r['key']}", record_words(desk, r)) for r in raw.get("records", ()) if r.get("entity") == entity]
    return (*mine, *([Choice(f"@{GIVEN}", _("the record of this example"))] if raw.get("entity") == entity else ()))


def record_words(desk: Desk, record: Mapping[str, Any]) -> str:
    entity = desk.config.entities.get(str(record.get("entity")))
    if entity is None:
        return str(record.get("key"))
    title = record.get("values", {}).get(entity.defn.title)
    return titled(desk.words(entity.defn.label, entity.key), title if isinstance(title, str) and title else record.get("key"))


@control_kinds.register
class ExampleMoment(ControlKind):
    """A day or moment, fixed or counted from today: "+30" or "-1 14:00"."""

    key = "example_moment"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        text = str(form.get(control.name) or "").strip()
        if found := re.fullmatch(r"([+-]?\d{1,5})(?:\s+(\d{2}:\d{2}))?", text):
            days, clock = int(found[1]), found[2]
            return f"@datetime:{days:+d}d{f' {clock}' if clock else ''}" if control.more["time"] else f"@date:{days:+d}d"
        return text or None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        found = re.fullmatch(r"@(?:date|datetime):([+-]?\d+)d(?: (\d{2}:\d{2}))?", str(value or ""))
        return {"shown": f"{int(found[1]):+d}{f' {found[2]}' if found[2] else ''}" if found else value or ""}


# ---- between definition and form ---------------------------------------------------------------------------------------


def _to_form(raw: Mapping[str, Any]) -> dict[str, Any]:
    when = raw.get("when") or {}
    found = {name: raw.get(name) for name in ("label", "as", "state", "expect", "message")}
    found |= {"act": _act_of(when), "transition": when.get("transition"), "then": " and ".join(f"({t})" if len(raw["then"]) > 1 else t for t in raw.get("then", ())) or None}
    found |= {f"given.{k}": v for k, v in (raw.get("given") or {}).items()}
    return found | {f"values.{k}": v for k, v in _sent(when).items()}


def _laid(desk: Desk, prefix: str, before: Mapping[str, Any], controls: Sequence[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the controls over those that were there: without a control of their own, or saying the same, these stay as written."""
    own = {c.name.partition(".")[2]: c for c in controls if c.name.startswith(f"{prefix}.")}
    now = {k: values[c.name] for k, c in own.items() if c.name in values}
    found = {k: v if k not in own or _means(desk, own[k], v, now[k]) else now[k] for k, v in before.items() if k not in own or k in now}
    return found | {k: v for k, v in now.items() if k not in found}


def _means(desk: Desk, control: Control, written: Any, value: Any) -> bool:
    if control.field is None:
        return written == value
    return field_types.get(control.field.type).normalise(control.field, written, desk.config) == value


def _from_form(desk: Desk, old: Mapping[str, Any], controls: Mapping[str, Sequence[Control]], values: Mapping[str, Any]) -> dict[str, Any]:
    act, sent = str(values.get("act") or "read"), _laid(desk, "values", _sent(old.get("when") or {}), controls["act"], values)
    when: dict[str, Any] = {act: True}
    if act == "transition":
        when = {"transition": values.get("transition") or "", **({"values": sent} if sent else {})}
    elif act in WITH_VALUES:
        when = {act: sent}
    found = {k: v for k, v in old.items() if k not in ("state", "message", "then")}
    found |= {"label": values.get("label") or {}, "as": values.get("as") or "", "given": _laid(desk, "given", old.get("given") or {}, controls["given"], values), "when": when, "expect": values.get("expect") or "refused"}
    if values.get("state") and act != "create":
        found["state"] = values["state"]
    if values.get("message") and found["expect"] == "refused":
        found["message"] = values["message"]
    if values.get("then"):
        found["then"] = [values["then"]] if values["then"] != _to_form(old).get("then") else old["then"]
    return found


def _named(errors: Errors) -> Errors:
    """Messages under the names of the controls that show them."""
    return {re.sub(r"^when\.(?:create|update|values)\.", "values.", re.sub(r"^then\[\d+\]", "then", path)).removeprefix("when."): text for path, text in errors.items()}


# ---- the form ----------------------------------------------------------------------------------------------------------


async def _form(desk: Desk, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    key, entity = str(raw.get("key") or ""), desk.config.entities.get(str(raw.get("entity")))
    controls = _controls(desk, {**raw, "given": {k.partition(".")[2]: v for k, v in values.items() if k.startswith("given.")}})
    shown = _named(errors or {})
    drawn: dict[str, list[Drawn]] = {part: await draw(desk, some, values, shown) for part, some in controls.items()}
    result = None
    if key and not errors and not desk.problems:
        result = _shown((await results(desk)).get(key))
    return await desk.page(
        "settings/examples/edit", SECTION, status=422 if errors else 200, key=key, title=desk.words(raw.get("label"), key) if key else _("New example"), drawn=drawn,
        entity=desk.words(entity.defn.label, entity.key) if entity else str(raw.get("entity")), entity_key=str(raw.get("entity")), action=f"{LIST}/{key}" if key else f"{LIST}/new",
        problems=left_over(shown, [c for part in controls.values() for c in part]), mark=desk.mark(path_of(key)) if key else "", result=result,
        records=[{"url": f"{LIST}/{key}/records/{r['key']}", "text": record_words(desk, r)} for r in raw.get("records", ())], records_url=f"{LIST}/{key}/records/new" if key else "",
        broken=[str(p.message) for p in desk.problems_at(path_of(key))] if key and not errors else [],
    )  # fmt: skip


@get(f"{LIST}/new")
async def new(request: Request) -> Response[Any]:
    """The form for an entity with a situation to start from, or the question which entity it is about."""
    desk = await open_desk(request)
    key = request.query_params.get("entity", "")
    if key in desk.config.entities:
        raw = _begun(desk, key)
        return await _form(desk, raw, _to_form(raw))
    tiles = [{"url": f"{LIST}/new?entity={e.key}", "icon": e.defn.icon, "text": desk.words(e.defn.plural, e.key)} for e in desk.config.entities.values()]
    return await desk.page("settings/examples/choose", SECTION, tiles=tiles)


def _begun(desk: Desk, entity: str) -> dict[str, Any]:
    given, records = situation(desk.config, entity)
    owners = desk.config.entities[entity].defn.owner_roles  # records without a named owner belong to whoever acts
    role = owners[0] if owners else next((r.key for r in desk.config.bundle.roles if not r.admin), SYSTEM)
    act = "transition" if desk.config.entities[entity].pipeline else "update"
    moves = desk.config.entities[entity].pipeline.transitions if act == "transition" else ()  # type: ignore[union-attr]
    when = {"transition": moves[0].key} if moves else {"update": {}}
    return {"entity": entity, "as": role, "given": given, "when": when, "expect": "refused", **({"records": records} if records else {})}


@post(f"{LIST}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    entity = str(form.get("entity") or "")
    if entity not in desk.config.entities:
        raise NotFound()
    return await _save(desk, _begun(desk, entity), form)


@get(f"{LIST}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    return await _form(desk, raw, _to_form(raw))


@post(f"{LIST}/{{key:str}}", status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _save(desk, desk.find(path_of(key)), await desk.ask.form())


async def _save(desk: Desk, old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    key = str(old.get("key") or "")
    controls = _controls(desk, old)
    values = read(desk, [c for part in controls.values() for c in part], form)
    new_raw = _from_form(desk, old, controls, values)
    if not key:
        taken = desk.key(values.get("label") or {}, SECTION, "example")
        new_raw = {"key": taken if taken not in ("new", "try") else f"{taken}_example", **new_raw}
    what = (_("Example"), desk.words(new_raw["label"], new_raw["key"]))
    errors = await desk.save(path_of(new_raw["key"]), new_raw, words.changed(*what) if key else words.added(*what), mark=str(form.get("_mark") or "") if key else None)
    if errors:
        return await _form(desk, {**old, "as": values.get("as") or old.get("as")}, values, errors)
    return desk.done(f"{LIST}/{new_raw['key']}")


@get(f"{LIST}/{{key:str}}/remove")
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    name = desk.words(desk.find(path_of(key)).get("label"), key)
    return await ask_removal(desk, path_of(key), SECTION, name=name, back=f"{LIST}/{key}", action=f"{LIST}/{key}/remove")


@post(f"{LIST}/{{key:str}}/remove", status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    name = desk.words(desk.find(path_of(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), path_of(key), words.removed(_("Example"), name))
    return desk.done(LIST)


# ---- records beside the one that is tried ------------------------------------------------------------------------------


@get(f"{LIST}/{{key:str}}/records/new")
async def new_record(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    entity = request.query_params.get("entity", "")
    if entity in desk.config.entities:
        return await _record_form(desk, raw, {"entity": entity, "values": _beside(desk, raw, entity)})
    tiles = [{"url": f"{LIST}/{key}/records/new?entity={e.key}", "icon": e.defn.icon, "text": desk.words(e.defn.plural, e.key)} for e in desk.config.entities.values()]
    return await desk.page("settings/examples/choose", SECTION, tiles=tiles, back=f"{LIST}/{key}", back_text=desk.words(raw.get("label"), key))


def _beside(desk: Desk, raw: Mapping[str, Any], entity: str) -> dict[str, Any]:
    """What a new record may begin with: plausible values, links to records of the example that are there."""
    values, _records_needed = situation(desk.config, entity)
    links = {r["entity"]: f"@{r['key']}" for r in raw.get("records", ())} | {str(raw.get("entity")): f"@{GIVEN}"}
    fields = desk.config.entities[entity].fields
    found = {k: v for k, v in values.items() if field_types.get(fields[k].type).holds != "record"}
    wanted = {k: links.get(f.options.get("to", "")) for k, f in fields.items() if field_types.get(f.type).holds == "record" and not field_types.get(f.type).many and (f.required or f.options.get("detail"))}
    return found | {k: v for k, v in wanted.items() if v}


@get(f"{LIST}/{{key:str}}/records/{{name:str}}")
async def show_record(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    return await _record_form(desk, raw, _record(raw, name))


def _record(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = next((r for r in raw.get("records", ()) if r.get("key") == name), None)
    if found is None:
        raise NotFound()
    return found


async def _record_form(desk: Desk, raw: Mapping[str, Any], record: Mapping[str, Any], errors: Errors | None = None, typed: Mapping[str, Any] | None = None) -> Response[Any]:
    entity, key, name = desk.entity(str(record.get("entity"))), str(raw["key"]), str(record.get("key") or "")
    controls = value_controls(desk, raw, entity, "values", record.get("values", {}))
    values = typed if typed is not None else {f"values.{k}": v for k, v in record.get("values", {}).items()}
    return await desk.page(
        "settings/examples/record", SECTION, status=422 if errors else 200, title=record_words(desk, record) if name else _("New %(name)s", name=desk.words(entity.defn.label, entity.key)),
        drawn=await draw(desk, controls, values, errors or {}), problems=left_over(errors or {}, controls), entity_key=entity.key, back=f"{LIST}/{key}", back_text=desk.words(raw.get("label"), key),
        action=f"{LIST}/{key}/records/{name or 'new'}", mark=desk.mark(path_of(key)), remove_url=f"{LIST}/{key}/records/{name}/remove" if name else "",
    )  # fmt: skip


@post(f"{LIST}/{{key:str}}/records/new", status_code=200)
async def create_record(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    entity = str(form.get("entity") or "")
    if entity not in desk.config.entities:
        raise NotFound()
    return await _save_record(desk, desk.find(path_of(key)), {"entity": entity, "values": {}}, form)


@post(f"{LIST}/{{key:str}}/records/{{name:str}}", status_code=200)
async def save_record(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    return await _save_record(desk, raw, _record(raw, name), await desk.ask.form())


async def _save_record(desk: Desk, raw: Mapping[str, Any], old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    entity, records = desk.entity(str(old["entity"])), list(raw.get("records", ()))
    controls = value_controls(desk, raw, entity, "values", old.get("values", {}))
    typed = read(desk, controls, form)
    values = _laid(desk, "values", old.get("values", {}), controls, typed)
    key = old.get("key") or _free({r["key"] for r in records} | {ME, OTHER, GIVEN}, entity.key)
    record = {"key": key, "entity": entity.key, "values": values}
    known = [r["key"] for r in records]
    records = [record if r["key"] == key else r for r in records] if key in known else [*records, record]
    name = (_("Example"), desk.words(raw.get("label"), str(raw["key"])), record_words(desk, record))
    errors = await desk.save(path_of(str(raw["key"])), {**raw, "records": records}, words.changed(*name) if key in known else words.added(*name), mark=str(form.get("_mark") or ""))
    if errors:
        here = f"records[{key}]."
        return await _record_form(desk, raw, {**old, "values": values}, {p.removeprefix(here): text for p, text in errors.items()}, typed)
    return desk.done(f"{LIST}/{raw['key']}")


def _free(taken: set[str], wanted: str) -> str:
    return wanted if wanted not in taken else next(k for n in range(2, 1000) if (k := f"{wanted[:40]}_{n}") not in taken)


@post(f"{LIST}/{{key:str}}/records/{{name:str}}/remove", status_code=200)
async def remove_record(request: Request, key: FromPath[str], name: FromPath[str]) -> Response[Any]:
    """Links to it become problems of the draft, named at the example."""
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    gone = _record(raw, name)
    rest = [r for r in raw["records"] if r is not gone]
    kept = {k: v for k, v in raw.items() if k != "records"} | ({"records": rest} if rest else {})
    await desk.take(edits.put(desk.raw, path_of(key), kept), words.removed(_("Example"), desk.words(raw.get("label"), key), record_words(desk, gone)))
    return desk.done(f"{LIST}/{key}")


router = Router(
    "",
    route_handlers=[listing, try_all, new, create, show, save, ask_remove, remove, new_record, show_record, create_record, save_record, remove_record],
)
