"""Settings: approvals. A list with switches, and a form made of start, steps or paths, and outcome; the steps are drawn as they would run.

Who opens it: whoever hears "nobody asked me" or "that takes too long" adds a step, changes who decides or from which amount on; next they look at the
drawing beside the form, then publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import lazy, listed
from saas.metadata import edits
from saas.metadata.approval_checks import NEEDS
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.property_words import CHOICES, choice_word
from saas.tenants import list_departments
from saas.ui.builder import conditions, words
from saas.ui.builder.controls import Control, control_kinds, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.stacks import StackControl, fresh_key, is_gesture, missing
from saas.ui.pages.definition_pages import ask_entity, entity_and_form
from saas.ui.views import Choice

SECTION, URL = "approvals", "/settings/approvals"
TITLE, NOUN = lazy("Approvals"), lazy("Approval")


@control_kinds.register
class StepStack(StackControl):
    """Steps of an approval, or the people of a step: like any stack, but each entry carries its key along and has a name."""

    key = "approval_steps"

    def entry(self, desk: Desk, control: Control, form: FormMultiDict, prefix: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        found = super().entry(desk, control, form, prefix, before)
        return {k: v for k, v in found.items() if v not in (None, "", [], {})}

    async def card(self, desk: Desk, control: Control, number: int, rows: Sequence[Mapping[str, Any]]) -> Any:
        card = await super().card(desk, control, number, rows)
        return replace(card, title=desk.words(rows[number].get("label"), "") or card.title)


def path_of(key: str) -> str:
    return f"{SECTION}[{key}]"


@get(URL)
async def listing(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    rows = [_row(desk, raw) for raw in desk.raw.get(SECTION, ()) if isinstance(raw, Mapping)]
    return await desk.page("settings/design_flow/rules", SECTION, rules=_named(), rows=rows)


def _named() -> dict[str, str]:
    return {
        "url": URL, "icon": "shield", "section": SECTION, "noun": str(NOUN), "title": str(TITLE), "lead": _("Who has to agree before something happens to a record."),
        "new": _("New approval"), "empty": _("Let a superior, a role or a head of department agree to discounts, contracts, expenses or leave."),
    }  # fmt: skip


def _row(desk: Desk, raw: Mapping[str, Any]) -> dict[str, Any]:
    entity, key = desk.config.entities.get(str(raw.get("entity"))), str(raw.get("key"))
    start = raw.get("start") if isinstance(raw.get("start"), Mapping) else {}
    return {
        "key": key, "name": desk.words(raw.get("label"), key), "url": f"{URL}/{key}", "active": raw.get("active") is not False, "when": str(choice_word("approval", "model", raw.get("model") or "fixed") or ""),
        "condition": conditions.in_words(desk.ctx, entity, start.get("if")), "steps": [f"{s['name']}: {s['who']}" for s in drawing(desk, raw)],
        "entity": desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), "problems": len(desk.problems_at(path_of(key))),
    }  # fmt: skip


def drawing(desk: Desk, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps in words, in their order; of several paths one after the other."""
    found = [_drawn(desk, raw, s, "") for s in raw.get("steps") or () if isinstance(s, Mapping)]
    for way in raw.get("ways") or ():
        if isinstance(way, Mapping):
            found += [_drawn(desk, raw, s, desk.words(way.get("label"), str(way.get("key")))) for s in way.get("steps") or () if isinstance(s, Mapping)]
    return found


def _drawn(desk: Desk, raw: Mapping[str, Any], step: Mapping[str, Any], way: str) -> dict[str, Any]:
    entity = desk.config.entities.get(str(raw.get("entity")))
    approvers = [a for a in step.get("approvers") or () if isinstance(a, Mapping)]
    mode = str(choice_word("approval_step", "mode", step.get("mode") or "all") or "") if len(approvers) > 1 else ""
    return {
        "way": way, "name": desk.words(step.get("label"), str(step.get("key") or "")), "who": listed(approver_words(desk, entity, a) for a in approvers) or _("nobody yet"), "mode": mode,
        "condition": conditions.in_words(desk.ctx, entity, step.get("if")),
    }  # fmt: skip


def approver_words(desk: Desk, entity: Entity | None, raw: Mapping[str, Any]) -> str:
    """“Finance”, “superior of the applicant (2 levels up)”, …"""
    by, level = str(raw.get("by")), raw.get("level") or 1
    if by == "role":
        role = desk.config.roles.get(str(raw.get("role")))
        return desk.words(role.label, role.key) if role else str(raw.get("role") or "?")
    if by == "field" and entity is not None and raw.get("field") in entity.fields:
        return desk.words(entity.fields[raw["field"]].label, raw["field"])
    if by in ("department", "person"):
        return str(raw.get(by) or "?")
    word = str(choice_word("approver", "by", by) or by)
    return _("%(who)s (%(level)s levels up)", who=word, level=level) if level != 1 else word


@post(f"{URL}/new-order", status_code=200)
async def reorder(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    await desk.take(edits.reorder(desk.raw, SECTION, keys), words.reordered(str(TITLE)))
    return desk.done(URL)


@post(f"{URL}/{{key:str}}/switch", status_code=200)
async def switch(request: Request, key: FromPath[str]) -> Response[Any]:
    """Offer it no more, or again; those under way go on either way."""
    desk = await open_desk(request)
    found = {name: value for name, value in desk.find(path_of(key)).items() if name != "active"}
    on = (await desk.ask.form()).get("active") == "on"
    name = words.place(str(NOUN), desk.words(found.get("label"), key))
    await desk.take(edits.put(desk.raw, path_of(key), found if on else {**found, "active": False}), _("%(what)s: switched on", what=name) if on else _("%(what)s: switched off", what=name))
    return desk.done(URL)


# ---- the form ------------------------------------------------------------------------------------------------------------


def _choices(kind: str, name: str) -> tuple[Choice, ...]:
    return tuple(Choice(key, str(text)) for key, text in CHOICES[kind][name].items())


async def _controls(desk: Desk, entity_key: str) -> list[Control]:
    entity = desk.config.entities.get(entity_key)
    pipeline = entity.pipeline if entity else None
    moves = tuple(Choice(t.key, desk.words(t.label, t.key)) for t in pipeline.transitions) if pipeline else ()
    roles = tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.roles.values())
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values() if not f.system or f.key == "owner") if entity else ()
    steps = await _steps(desk, entity, entity_key, roles)
    ways = (
        Control("key", "hidden", ""), Control("label", "label", _("Name"), required=True), Control("if", "condition", _("Offered only if"), entity=entity_key, result="bool"),
        Control("steps", "approval_steps", _("Steps"), required=True, entity=entity_key, more=steps.more),
    )  # fmt: skip
    found = [
        Control("label", "label", _("Name"), required=True), Control("description", "label", _("Description"), advanced=True),
        Control("model", "choice", _("Model"), default="fixed", choices=_choices("approval", "model")),
        Control("start.button", "bool", _("With a button on the record"), default=True),
        Control("start.if", "condition", _("Only if"), _("Without a condition it can always be started."), entity=entity_key, result="bool"),
        replace(steps, name="steps"),
        Control("ways", "approval_steps", _("Paths to pick from"), show_if={"model": ("predefined",)}, entity=entity_key, more={"columns": ways, "needs": "label", "add": _("Add a path"), "entry": _("Path"), "most": 20}),
        Control("people.roles", "choices", _("Only people with these roles"), _("Nothing ticked: everybody."), choices=roles, show_if={"model": ("adhoc",)}),
        Control("people.least", "number", _("At least so many"), default=1, show_if={"model": ("adhoc",)}, more={"min": 1, "max": 20}),
        Control("people.most", "number", _("At most so many"), default=5, show_if={"model": ("adhoc",)}, more={"min": 1, "max": 20}),
        Control("open_fields", "choices", _("Fields that stay open"), _("Everything else is closed until it is decided."), choices=fields, advanced=True),
        Control("shown", "choices", _("Shown to approvers"), _("Also to those who may not see the record itself."), choices=fields, advanced=True),
        Control("may", "choices", _("What approvers may do besides"), default=[c.key for c in _choices("approval", "may")], choices=_choices("approval", "may"), advanced=True),
        Control("start.roles", "choices", _("Roles that may start it"), _("Nothing ticked: whoever may edit the record."), choices=roles, advanced=True),
    ]  # fmt: skip
    if moves:
        names = {"approved": _("When approved"), "rejected": _("When rejected"), "withdrawn": _("When withdrawn"), "returned": _("When returned to the applicant")}
        found[4:4] = [Control("start.transitions", "choices", _("Starts by itself after"), choices=moves), Control("start.guards", "choices", _("Transitions only through this approval"), choices=moves)]
        found += [Control(f"outcome.{name}", "choice", text, choices=moves, more={"empty": _("nothing")}) for name, text in names.items()]
    return found


async def _steps(desk: Desk, entity: Entity | None, entity_key: str, roles: tuple[Choice, ...]) -> Control:
    departments = tuple(Choice(d["key"], desk.words(d["name"], d["key"])) for d in await list_departments(desk.ctx.tenant_id))
    people = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in entity.fields.values() if field_types.get(f.type).holds in ("user", "dept")) if entity else ()
    approver = (
        Control("by", "choice", _("Who"), default="superior", required=True, choices=_choices("approver", "by")),
        Control("role", "choice", _("Role"), choices=roles, show_if={"by": ("role",)}, more={"empty": _("choose …")}),
        Control("department", "choice", _("Department"), choices=departments, show_if={"by": ("department",)}, more={"empty": _("choose …")}),
        Control("field", "choice", _("Field"), choices=people, show_if={"by": ("field",)}, more={"empty": _("choose …")}),
        Control("person", "text", _("E-mail address"), show_if={"by": ("person",)}),
        Control("level", "number", _("Levels up"), default=1, show_if={"by": ("superior", "head",)}, more={"min": 1, "max": 10}),
        Control("each", "bool", _("Each of them"), _("Everybody it stands for has to decide, not just one of them."), show_if={"by": ("role", "field",)}),
    )  # fmt: skip
    columns = (
        Control("key", "hidden", ""), Control("label", "label", _("Name"), required=True), Control("if", "condition", _("Only if"), entity=entity_key, result="bool"),
        Control("approvers", "approval_steps", _("Approvers"), required=True, more={"columns": approver, "needs": "by", "add": _("Add an approver"), "entry": _("Approver"), "most": 20}),
        Control("mode", "choice", _("How many must agree"), default="all", choices=_choices("approval_step", "mode")),
        Control("count", "number", _("Number that must agree"), show_if={"mode": ("count",)}, more={"min": 1, "max": 20}),
        Control("if_nobody", "choice", _("If nobody fits"), default="refuse", choices=_choices("approval_step", "if_nobody")),
        Control("fallback", "choice", _("Role that decides instead"), choices=roles, show_if={"if_nobody": ("fallback",)}, more={"empty": _("choose …")}),
        Control("if_applicant", "choice", _("If it is the applicant"), default="superior", choices=_choices("approval_step", "if_applicant")),
        Control("due_hours", "number", _("Hours to decide"), more={"min": 1, "max": 8760}),
        Control("remind_hours", "number", _("Hours before the end to remind"), default=0, more={"min": 0, "max": 8760}),
    )  # fmt: skip
    return Control("steps", "approval_steps", _("Steps"), _("One after the other. Several approvers in one step are asked at once."), entity=entity_key, more={"columns": columns, "needs": "label", "add": _("Add a step"), "entry": _("Step"), "most": 20})


def _to_form(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The small definitions inside one are drawn as properties with dots."""
    found = {k: v for k, v in raw.items() if k not in ("start", "people", "outcome")}
    for part in ("start", "people", "outcome"):
        inner = raw.get(part)
        found |= {f"{part}.{k}": v for k, v in inner.items()} if isinstance(inner, Mapping) else {}
    return found


def _from_form(old: Mapping[str, Any], controls: Sequence[Control], values: Mapping[str, Any], form: FormMultiDict) -> dict[str, Any]:
    flat = laid(_to_form(old), controls, values)
    found = {k: v for k, v in flat.items() if "." not in k}
    for part in ("start", "people", "outcome"):
        inner = {k.partition(".")[2]: v for k, v in flat.items() if k.startswith(f"{part}.") and v not in (None, "", [])}
        if inner:
            found[part] = inner
    model = found.get("model") or "fixed"
    if model != "predefined":
        found.pop("ways", None)
    if model != "adhoc":
        found.pop("people", None)
    every = list(CHOICES["approval"]["may"])
    ticked = [k for k in every if k in form.getall("may", [])]
    found.pop("may", None)
    if ticked != every:  # none at all is another thing than nothing said
        found["may"] = ticked
    found["steps"] = _keyed(found.get("steps"), "step")
    ways = [{**w, "steps": _keyed(w.get("steps"), "step")} for w in _keyed(found.get("ways"), "path")]
    found |= {"ways": ways} if ways else {}
    if not found["steps"]:
        del found["steps"]
    return found


def _keyed(rows: Any, fallback: str) -> list[dict[str, Any]]:
    """Each entry with a key of its own: the one it had, else one of its name."""
    taken: set[str] = set()
    found = []
    for row in rows or ():
        key = str(row.get("key") or "")
        if not key or key in taken:
            key = edits.key_for(row.get("label") or {}, taken, fallback)
        taken.add(key)
        approvers = [_only_needed(a) for a in row.get("approvers") or ()]
        found.append({**row, "key": key, **({"approvers": approvers} if "approvers" in row else {})})
    return found


def _only_needed(approver: Mapping[str, Any]) -> dict[str, Any]:
    """Without what belongs to another way of saying who."""
    by = approver.get("by")
    return {k: v for k, v in approver.items() if k not in NEEDS.values() or k == NEEDS.get(str(by))}


async def _form(desk: Desk, raw: Mapping[str, Any], values: Mapping[str, Any], errors: Errors, *, mark: str, status: int = 200) -> Response[Any]:
    key, entity = str(raw.get("key") or ""), desk.config.entities.get(str(raw.get("entity")))
    controls = await _controls(desk, str(raw.get("entity")))
    shown = _as_drawn(raw, values)
    return await desk.page(
        "settings/design_flow/approval", SECTION, status=status, rules=_named(), title=desk.words(raw.get("label"), key) if key else _("New approval"), key=key,
        entity_key=str(raw.get("entity")), mark=mark, entity=desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")),
        entity_url=f"/settings/entities/{entity.key}" if entity else "", drawn=await draw(desk, controls, values, errors), problems=left_over(errors, controls),
        action=f"{URL}/{key or 'new'}", broken=[str(p.message) for p in desk.problems_at(path_of(key))] if key and not errors else [], drawing=drawing(desk, shown),
        adhoc=shown.get("model") == "adhoc",
    )  # fmt: skip


def _as_drawn(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {**raw, "model": values.get("model"), "steps": values.get("steps"), "ways": values.get("ways") if values.get("model") == "predefined" else ()}


async def _save(desk: Desk, old: Mapping[str, Any], form: FormMultiDict) -> Response[Any]:
    key = str(old.get("key") or "")
    controls = await _controls(desk, str(old.get("entity")))
    values = read(desk, controls, form)
    mark = str(form.get("_mark") or "")
    if is_gesture(form):
        return await _form(desk, old, values, {}, mark=mark)
    new = _from_form(old, controls, values, form)
    if not key:
        new = {"key": fresh_key(desk, values.get("label"), SECTION, "approval"), **new}
    what = (str(NOUN), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if key else words.added(*what)
    errors = await desk.save(path_of(new["key"]), new, title, mark=mark if key else None, found=missing(desk, controls, values))
    if errors:
        return await _form(desk, old, values, _numbered(errors, new), mark=mark, status=422)
    return desk.done(URL)


def _numbered(errors: Errors, new: Mapping[str, Any]) -> Errors:
    """Messages by the numbers of the cards, where the checks name them by key."""
    found = dict(errors)
    for section in ("steps", "ways"):
        for number, item in enumerate(new.get(section) or ()):
            found = {path.replace(f"{section}[{item['key']}]", f"{section}[{number}]", 1) if path.startswith(f"{section}[") else path: text for path, text in found.items()}
            for inner, step in enumerate(item.get("steps") or ()):
                start = f"{section}[{number}].steps"
                found = {path.replace(f"{start}[{step['key']}]", f"{start}[{inner}]", 1): text for path, text in found.items()}
    return found


@get(f"{URL}/new")
async def new(request: Request) -> Response[Any]:
    """First the kind of record it is about."""
    desk = await open_desk(request)
    key = request.query_params.get("entity", "")
    if key in desk.config.entities:
        first = {"label": {"en": "Superior", "zh_CN": "直接上级"}, "approvers": [{"by": "superior"}]}
        return await _form(desk, {"entity": key}, {"steps": [first], "may": list(CHOICES["approval"]["may"])}, {}, mark="")
    return await ask_entity(desk, SECTION, desk.config.entities.values(), title=_("New approval"), back_text=str(TITLE))


@post(f"{URL}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    entity, form = await entity_and_form(desk)
    return await _save(desk, {"entity": entity}, form)


@get(f"{URL}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(path_of(key))
    return await _form(desk, raw, _to_form(raw), {}, mark=desk.mark(path_of(key)))


@post(f"{URL}/{{key:str}}", status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _save(desk, desk.find(path_of(key)), await desk.ask.form())


@get(f"{URL}/{{key:str}}/remove")
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    name = desk.words(desk.find(path_of(key)).get("label"), key)
    return await ask_removal(desk, path_of(key), SECTION, name=name, back=f"{URL}/{key}", action=f"{URL}/{key}/remove")


@post(f"{URL}/{{key:str}}/remove", status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    name = desk.words(desk.find(path_of(key)).get("label"), key)
    await take_out(desk, await desk.ask.form(), path_of(key), words.removed(str(NOUN), name))
    return desk.done(URL)


router = Router("", route_handlers=[listing, reorder, switch, new, create, show, save, ask_remove, remove])
