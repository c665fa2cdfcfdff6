"""Settings: pipelines. A diagram of stages and transitions, and a form for each; every save is one step of the admin's draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import lazy, listed, ngettext
from saas.metadata import edits
from saas.metadata.blueprints import STAGE
from saas.metadata.config import Entity
from saas.metadata.fixes import remove_with_references
from saas.metadata.pipeline_shapes import SHAPES, add_pipeline, without_stage
from saas.runtime.pipelines import stage_counts
from saas.ui.builder import conditions, words
from saas.ui.builder.actions import actions_control, settled, steps_words
from saas.ui.builder.assignments import can_be_set
from saas.ui.builder.cards import Card
from saas.ui.builder.controls import Control, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.diagram import ANY, Move, Stage, draw_column, draw_row
from saas.ui.builder.removal import ask_removal, take_out
from saas.ui.builder.stacks import fresh_key, is_gesture, missing
from saas.ui.pages.definition_pages import ask_entity
from saas.ui.views import Choice

URL = "/settings/pipelines"
DEPENDS = "?"  # in the place of a stage: conditions decide
KINDS = {"open": lazy("In progress"), "won": lazy("Ends: won"), "lost": lazy("Ends: lost"), "done": lazy("Ends: done")}
STYLES = {"default": lazy("Plain"), "primary": lazy("The usual next step"), "danger": lazy("Handle with care")}


def _path(key: str) -> str:
    return f"pipelines[{key}]"


# ---- the list -----------------------------------------------------------------------------------------------------------


@get(URL)
async def pipelines(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    rows = []
    for raw in desk.raw.get("pipelines", ()):
        entity, key = desk.config.entities.get(str(raw.get("entity"))), str(raw.get("key"))
        rows.append(
            {
                "key": key, "name": desk.words(raw.get("label"), key), "url": f"{URL}/{key}", "entity": desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")),
                "stages": [{"name": desk.words(s.get("label"), str(s.get("key"))), "color": s.get("color", "gray")} for s in raw.get("stages", ())],
                "moves": ngettext("%(count)s transition", "%(count)s transitions", len(raw.get("transitions", ()))), "problems": len(desk.problems_at(_path(key))),
            }
        )  # fmt: skip
    return await desk.page("settings/design_flow/pipelines", "pipelines", rows=rows, can_add=bool(_without(desk)))


def _without(desk: Desk) -> list[Entity]:
    """Entities that have no pipeline yet and can be changed by people."""
    return [e for e in desk.config.entities.values() if e.pipeline is None and not e.defn.read_only and not e.defn.append_only]


@get(f"{URL}/new")
async def new(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    entity = desk.config.entities.get(request.query_params.get("entity", ""))
    if entity is None or entity.pipeline is not None:
        question = _("Which records move through stages? Those that have a pipeline already are not listed.")
        return await ask_entity(desk, "pipelines", _without(desk), title=_("New pipeline"), back_text=_("Pipelines"), question=question)
    return await _new_form(desk, entity, {"label": dict(entity.defn.label), "field_label": dict(STAGE), "shape": "work"}, {})


def _new_controls() -> list[Control]:
    cards = tuple(Card(key, str(shape.title), str(shape.note), shape.icon) for key, shape in SHAPES.items())
    return [
        Control("label", "label", _("Name of the pipeline"), required=True),
        Control("field_label", "label", _("Name of the field that shows the stage")),
        Control("shape", "cards", _("Begin with"), _("Everything can be changed afterwards."), True, more={"cards": cards, "one": True}),
    ]


async def _new_form(desk: Desk, entity: Entity, values: Mapping[str, Any], errors: Errors, *, status: int = 200) -> Response[Any]:
    controls = _new_controls()
    return await desk.page(
        "settings/design_flow/form", "pipelines", status=status, title=_("New pipeline"), crumbs=[(_("Pipelines"), URL)], note=desk.words(entity.defn.plural), mark="",
        groups=[{"title": "", "drawn": await draw(desk, controls, values, errors)}], problems=left_over(errors, controls), action=f"{URL}/new?entity={entity.key}", back=URL, remove="",
        save=_("Create"),
    )  # fmt: skip


@post(f"{URL}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    entity = desk.entity(request.query_params.get("entity", ""))
    controls, form = _new_controls(), await desk.ask.form()
    values = read(desk, controls, form)
    label = values.get("label")
    if found := missing(desk, controls, values):
        return await _new_form(desk, entity, values, found, status=422)
    shape = values.get("shape") if values.get("shape") in SHAPES else "work"
    raw, key = add_pipeline(desk.raw, entity.key, label, values.get("field_label") or {}, str(shape))
    errors = await desk.take(raw, words.added(_("Pipeline"), desk.words(label)), path=_path(key))
    if errors:
        return await _new_form(desk, entity, values, errors, status=422)
    return desk.done(f"{URL}/{key}")


# ---- one pipeline -------------------------------------------------------------------------------------------------------


@get(f"{URL}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(_path(key))
    entity = desk.config.entities.get(str(raw.get("entity")))
    stages, moves = _stages(desk, raw), _moves(desk, raw)
    counts = await stage_counts(desk.ask.ctx, str(raw.get("entity")))
    names = {s["key"]: s for s in raw.get("stages", ())}

    def badge(stage: str) -> dict[str, str]:
        if stage == ANY:
            return {"name": _("any stage"), "color": "gray"}
        found = names.get(stage, {})
        return {"name": desk.words(found.get("label"), stage), "color": str(found.get("color", "gray"))}

    return await desk.page(
        "settings/design_flow/pipeline", "pipelines", title=desk.words(raw.get("label"), key), key=key, url=f"{URL}/{key}",
        entity=desk.words(entity.defn.plural, entity.key) if entity else str(raw.get("entity")), entity_url=f"/settings/entities/{entity.key}" if entity else "",
        drawings=[draw_row(stages, moves), draw_column(stages, moves)],
        stages=[_stage_row(desk, key, s, counts) for s in raw.get("stages", ())],
        moves=[{**_move_row(desk, key, entity, t), "from": [badge(s) for s in t.get("from", ())], "to": [badge(s) for s in _targets(t)], "number": n} for n, t in enumerate(raw.get("transitions", ()), 1)],
        broken=list(dict.fromkeys(str(p.message) for p in desk.problems_at(_path(key)))),
    )  # fmt: skip


def _targets(move: Mapping[str, Any]) -> list[str]:
    return [str(move["to"])] if move.get("to") else list(dict.fromkeys(str(b.get("to")) for b in move.get("branches", ()) if b.get("to")))


def _stages(desk: Desk, raw: Mapping[str, Any]) -> list[Stage]:
    key = raw["key"]
    return [
        Stage(
            s["key"], desk.words(s.get("label"), s["key"]), str(s.get("color", "gray")), str(s.get("kind", "open")),
            f"{s['probability']:g} %" if isinstance(s.get("probability"), (int, float)) else "", f"{URL}/{key}/stages/{s['key']}",
        )
        for s in raw.get("stages", ())
    ]  # fmt: skip


def _moves(desk: Desk, raw: Mapping[str, Any]) -> list[Move]:
    names = {s["key"]: desk.words(s.get("label"), s["key"]) for s in raw.get("stages", ())}
    found = []
    for number, t in enumerate(raw.get("transitions", ()), 1):
        sources, targets = tuple(str(s) for s in t.get("from", ())), tuple(_targets(t))
        ends = [listed(_("any stage") if s == ANY else names.get(s, s) for s in sources), listed(names.get(s, s) for s in targets)]
        label = desk.words(t.get("label"), t["key"])
        title = _("%(name)s: from %(source)s to %(target)s", name=label, source=ends[0], target=ends[1])
        found.append(Move(t["key"], label, sources, targets, number, title, str(t.get("style", "default")), f"{URL}/{raw['key']}/transitions/{t['key']}"))
    return found


def _stage_row(desk: Desk, key: str, stage: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    days, count = stage.get("age_alert_days"), counts.get(str(stage.get("key")), 0)
    facts = [
        str(KINDS[stage["kind"]]) if stage.get("kind") in KINDS and stage["kind"] != "open" else "",
        _("chance %(percent)s %%", percent=f"{stage['probability']:g}") if isinstance(stage.get("probability"), (int, float)) else "",
        ngettext("alert after %(count)s day", "alert after %(count)s days", days) if isinstance(days, int) else "",
        ngettext("%(count)s record", "%(count)s records", count) if count else "",
    ]  # fmt: skip
    return {
        "key": str(stage.get("key")), "name": desk.words(stage.get("label"), str(stage.get("key"))), "color": stage.get("color", "gray"), "url": f"{URL}/{key}/stages/{stage.get('key')}",
        "facts": [f for f in facts if f],
    }  # fmt: skip


def _move_row(desk: Desk, key: str, entity: Entity | None, t: Mapping[str, Any]) -> dict[str, Any]:
    roles = listed(desk.words(desk.config.roles[r].label, r) if r in desk.config.roles else r for r in t.get("roles", ()))
    fields = entity.fields if entity else {}
    asks = listed(desk.words(fields[k].label, k) if k in fields else k for k in dict.fromkeys([*t.get("require", ()), *t.get("ask", ())]))
    rules = [conditions.in_words(desk.ctx, entity, t.get(name)) for name in ("allow_if", "guard") if t.get(name)]
    effects = steps_words(desk, entity, t.get("effects"))
    changes = listed(desk.words(fields[k].label, k) if k in fields else k for k in t.get("set") or {})
    return {
        "key": str(t.get("key")), "name": desk.words(t.get("label"), str(t.get("key"))), "url": f"{URL}/{key}/transitions/{t.get('key')}", "style": t.get("style", "default"),
        "who": roles or _("everybody who may edit"), "asks": asks, "rules": rules, "then": [*([_("Sets: %(fields)s", fields=changes)] if changes else []), *effects],
    }  # fmt: skip


@get(f"{URL}/{{key:str}}/edit")
async def edit(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _edit_form(desk, key, desk.find(_path(key)), {}, desk.mark(_path(key)))


async def _edit_form(desk: Desk, key: str, values: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    controls = [Control("label", "label", _("Name"), required=True)]
    return await desk.page(
        "settings/design_flow/form", "pipelines", status=status, title=_("Name of the pipeline"), crumbs=[(_("Pipelines"), URL), (desk.words(desk.find(_path(key)).get("label"), key), f"{URL}/{key}")],
        note="", mark=mark, groups=[{"title": "", "drawn": await draw(desk, controls, values, errors)}], problems=left_over(errors, controls), action=f"{URL}/{key}/edit", back=f"{URL}/{key}",
        remove=f"{URL}/{key}/remove", save="",
    )  # fmt: skip


@post(f"{URL}/{{key:str}}/edit", status_code=200)
async def save(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    controls = [Control("label", "label", _("Name"), required=True)]
    values, mark = read(desk, controls, form), str(form.get("_mark") or "")
    new = laid(desk.find(_path(key)), controls, values)
    errors = await desk.save(_path(key), new, words.changed(_("Pipeline"), desk.words(new.get("label"), key)), mark=mark, found=missing(desk, controls, values))
    return await _edit_form(desk, key, values, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


@get(f"{URL}/{{key:str}}/remove")
async def ask_remove(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(_path(key))
    notes = [_("Records keep their other values. The field that shows the stage goes, too; going back to an earlier revision brings it and its values back.")]
    return await ask_removal(desk, _path(key), "pipelines", name=desk.words(raw.get("label"), key), back=f"{URL}/{key}", action=f"{URL}/{key}/remove", notes=notes)


@post(f"{URL}/{{key:str}}/remove", status_code=200)
async def remove(request: Request, key: FromPath[str]) -> Response[Any]:
    """The pipeline and the field it drives: one is nothing without the other."""
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    field = f"entities[{raw.get('entity')}].fields[{raw.get('field')}]"
    title = words.removed(_("Pipeline"), desk.words(raw.get("label"), key))
    new = desk.raw
    for path in (_path(key), field):
        if edits.find(new, path) is not None:
            new = remove_with_references(new, path) if form.get("clean") == "yes" else edits.remove(new, path)
    await desk.take(new, title)
    return desk.done(URL)


@post([f"{URL}/{{key:str}}/{part}-order" for part in ("stages", "transitions")], status_code=200)
async def reorder(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw = desk.find(_path(key))
    part = request.url.path.rpartition("/")[2].removesuffix("-order")
    keys = [str(k) for k in (await desk.ask.form()).getall("key", [])]
    what = (desk.words(raw.get("label"), key), _("Stages") if part == "stages" else _("Transitions"))
    await desk.take(edits.reorder(desk.raw, f"{_path(key)}.{part}", keys), words.reordered(*what))
    return desk.done(f"{URL}/{key}")


# ---- stages -------------------------------------------------------------------------------------------------------------


def _place(desk: Desk, items: Sequence[Mapping[str, Any]], own: str) -> Control:
    """Behind which other one it stands; scripts drag instead."""
    others = [i for i in items if i.get("key") != own]
    choices = (Choice("", _("first")), *(Choice(str(i.get("key")), _("after “%(name)s”", name=desk.words(i.get("label"), str(i.get("key"))))) for i in others))
    return Control("after", "choice", _("Place in the list"), choices=choices, advanced=True)


def _behind(items: Sequence[Mapping[str, Any]], own: str) -> str:
    keys = [str(i.get("key")) for i in items]
    at = keys.index(own) if own in keys else len(keys)
    return keys[at - 1] if at else ""


def _stage_controls(desk: Desk, raw: Mapping[str, Any], own: str) -> list[Control]:
    kinds = (
        Card("open", str(KINDS["open"]), _("Records stay here for a while and move on.")), Card("won", str(KINDS["won"]), _("A good end: counted as success."), "check"),
        Card("lost", str(KINDS["lost"]), _("A bad end: counted as loss."), "x"), Card("done", str(KINDS["done"]), _("An end that is neither won nor lost."), "flag"),
    )  # fmt: skip
    return [
        Control("label", "label", _("Name"), required=True), Control("color", "color", _("Colour"), default="gray"),
        Control("kind", "cards", _("What this stage means"), _("A pipeline needs at least one stage that ends it."), False, "open", more={"cards": kinds, "one": True}),
        Control("probability", "number", _("Chance of success"), _("For forecasts; leave it empty where it means nothing."), more={"unit": "%", "min": 0, "max": 100}),
        Control("age_alert_days", "number", _("Late after"), _("Records that stay longer are marked."), more={"unit": _("days"), "min": 1}),
        Control("if", "condition", _("Only for records for which"), _("Such as those of one industry: others pass this stage by. Not for the first stage."), entity=str(raw.get("entity") or ""), result="bool", advanced=True), _place(desk, raw.get("stages", ()), own),
    ]  # fmt: skip


async def _stage_form(desk: Desk, key: str, own: str, values: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    raw = desk.find(_path(key))
    controls, name = _stage_controls(desk, raw, own), desk.words((edits.find(desk.raw, f"{_path(key)}.stages[{own}]") or {}).get("label"), own) if own else _("New stage")
    shown = {p: text for p, text in errors.items()}
    return await desk.page(
        "settings/design_flow/form", "pipelines", status=status, title=name, crumbs=[(_("Pipelines"), URL), (desk.words(raw.get("label"), key), f"{URL}/{key}")], note="", mark=mark,
        groups=[{"title": "", "drawn": await draw(desk, controls, values, shown)}], problems=left_over(shown, controls), back=f"{URL}/{key}", save="",
        action=f"{URL}/{key}/stages/{own}" if own else f"{URL}/{key}/add-stage", remove=f"{URL}/{key}/stages/{own}/remove" if own and len(raw.get("stages", ())) > 1 else "",
    )  # fmt: skip


@get(f"{URL}/{{key:str}}/add-stage")
async def new_stage(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    stages = desk.find(_path(key)).get("stages", ())
    last_open = next((str(s.get("key")) for s in reversed(stages) if s.get("kind", "open") == "open"), "")
    return await _stage_form(desk, key, "", {"after": last_open}, {}, "")


@get(f"{URL}/{{key:str}}/stages/{{stage:str}}")
async def stage(request: Request, key: FromPath[str], stage: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path = f"{_path(key)}.stages[{stage}]"
    found = desk.find(path)
    return await _stage_form(desk, key, stage, {**found, "after": _behind(desk.find(_path(key))["stages"], stage)}, {}, desk.mark(path))


@post([f"{URL}/{{key:str}}/add-stage", f"{URL}/{{key:str}}/stages/{{stage:str}}"], status_code=200)
async def save_stage(request: Request, key: FromPath[str], stage: FromPath[str] = "") -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    controls, mark = _stage_controls(desk, raw, stage), str(form.get("_mark") or "")
    values = read(desk, controls, form)
    old = desk.find(f"{_path(key)}.stages[{stage}]") if stage else {"key": fresh_key(desk, values.get("label"), f"{_path(key)}.stages", "stage")}
    new = laid(old, controls, {k: v for k, v in values.items() if k != "after"})
    what = (desk.words(raw.get("label"), key), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if stage else words.added(*what)
    errors = await desk.save(f"{_path(key)}.stages[{new['key']}]", new, title, mark=mark if stage else None, after=str(values.get("after", "")), within=_path(key), found=missing(desk, controls, values))
    return await _stage_form(desk, key, stage, values, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


# ---- removing a stage ---------------------------------------------------------------------------------------------------


def _removal_controls(desk: Desk, raw: Mapping[str, Any], own: str) -> list[Control]:
    stages = tuple(Choice(str(s.get("key")), desk.words(s.get("label"), str(s.get("key")))) for s in raw.get("stages", ()) if s.get("key") != own)
    entity = str(raw.get("entity"))
    columns = (Control("if", "condition", _("If"), entity=entity, result="bool"), Control("to", "choice", _("then to"), "", True, None, stages))
    return [
        Control("to", "choice", _("Its records go to"), _("Transitions that led here lead there from now on."), True, None, stages),
        Control("rules", "stack", _("Except some of them"), entity=entity, advanced=True, more={"columns": columns, "needs": "if", "entry": _("Records that go elsewhere"), "add": _("Send some elsewhere"), "most": 20}),
    ]  # fmt: skip


async def _ask_stage_removal(desk: Desk, key: str, own: str, values: Mapping[str, Any], errors: Errors, *, status: int = 200) -> Response[Any]:
    path = f"{_path(key)}.stages[{own}]"
    raw, found = desk.find(_path(key)), desk.find(path)
    count = (await stage_counts(desk.ask.ctx, str(raw.get("entity")))).get(own, 0)
    notes = [ngettext("%(count)s record is in this stage now.", "%(count)s records are in this stage now.", count) if count else _("No record is in this stage now.")]
    controls = _removal_controls(desk, raw, own)
    return await ask_removal(
        desk, path, "pipelines", name=desk.words(found.get("label"), own), back=f"{URL}/{key}/stages/{own}", action=f"{URL}/{key}/stages/{own}/remove", notes=notes,
        drawn=await draw(desk, controls, values, errors), errors=left_over(errors, controls), status=status,
    )  # fmt: skip


@get(f"{URL}/{{key:str}}/stages/{{stage:str}}/remove")
async def ask_remove_stage(request: Request, key: FromPath[str], stage: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    items = desk.find(_path(key)).get("stages", ())
    nearest = _behind(items, stage) or next((str(s.get("key")) for s in items if s.get("key") != stage), "")
    return await _ask_stage_removal(desk, key, stage, {"to": nearest}, {})


@post(f"{URL}/{{key:str}}/stages/{{stage:str}}/remove", status_code=200)
async def remove_stage(request: Request, key: FromPath[str], stage: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    found = desk.find(f"{_path(key)}.stages[{stage}]")
    controls = _removal_controls(desk, raw, stage)
    values = read(desk, controls, form)
    if is_gesture(form):
        return await _ask_stage_removal(desk, key, stage, values, {})
    known = {str(s.get("key")) for s in raw.get("stages", ())} - {stage}
    if values.get("to") not in known:
        return await _ask_stage_removal(desk, key, stage, values, {"to": _("Say into which stage the records move.")}, status=422)
    new = edits.put(desk.raw, f"{_path(key)}.transitions", without_stage(raw, stage, values["to"]).get("transitions", []))
    path = f"{_path(key)}.stages[{stage}]"
    new = remove_with_references(new, path) if form.get("clean") == "yes" else edits.remove(new, path)
    title = words.removed(desk.words(raw.get("label"), key), desk.words(found.get("label"), stage))
    errors = await desk.take(new, title, path=_path(key), data=_orders(desk, raw, stage, values))
    return await _ask_stage_removal(desk, key, stage, values, errors, status=422) if errors else desk.done(f"{URL}/{key}")


def _orders(desk: Desk, raw: Mapping[str, Any], stage: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happens to records of a stage that goes; earlier orders that lead to it lead on."""
    about = {"do": "replace", "entity": raw.get("entity"), "field": raw.get("field")}

    def onward(step: Mapping[str, Any]) -> dict[str, Any]:
        rules = [{**r, "to": values["to"] if r.get("to") == stage else r.get("to")} for r in step.get("rules") or ()]
        return {**step, "rules": rules, "to": values["to"] if step.get("to") == stage else step.get("to")}

    before = [onward(s) for s in desk.draft.data if all(s.get(k) == v for k, v in about.items())]
    live = desk.ask.ctx.config.pipelines.get(str(raw.get("key")))
    if live is None or live.stage(stage) is None:  # made in this draft: nothing is there yet
        return before
    rules = [{"if": r["if"], "to": r.get("to")} for r in values.get("rules", ()) if r.get("if")]
    return [*before, {**about, "from": stage, "rules": rules, "to": values["to"]}]


# ---- transitions --------------------------------------------------------------------------------------------------------


def _groups(desk: Desk, raw: Mapping[str, Any], own: str) -> list[tuple[str, list[Control]]]:
    entity_key = str(raw.get("entity"))
    entity = desk.config.entities.get(entity_key)
    stages = tuple(Choice(str(s.get("key")), desk.words(s.get("label"), str(s.get("key")))) for s in raw.get("stages", ()))
    roles = tuple(Choice(r.key, desk.words(r.label, r.key)) for r in desk.config.bundle.roles if not r.admin)
    fields = tuple(Choice(f.key, desk.words(f.label, f.key)) for f in (entity.fields.values() if entity else ()) if can_be_set(f) or f.type in ("file", "image"))
    columns = (Control("if", "condition", _("If"), entity=entity_key, result="bool"), Control("to", "choice", _("it leads to"), "", True, None, stages))
    modes = (Choice("require", _("must be filled; asked for if empty")), Choice("both", _("must be filled; always asked for")), Choice("ask", _("may be filled; always asked for")))
    asked = (Control("field", "choice", _("Field"), choices=fields, more={"empty": _("Choose a field …")}), Control("mode", "choice", _("How"), "", True, None, modes))
    only = {"to": [DEPENDS]}
    return [
        (_("The move"), [
            Control("label", "label", _("Name on the button"), required=True),
            Control("from", "choices", _("From these stages"), "", True, choices=(Choice(ANY, _("any stage")), *stages)),
            Control("to", "choice", _("Leads to"), _("The same stage as before is possible: the record stays, and the rest happens."), True, None,
                    (*stages, Choice(DEPENDS, _("It depends on the record …"))), more={"empty": _("Choose a stage …")}),
            Control("branches", "stack", _("Depending on the record"), _("The first condition that holds decides."), entity=entity_key, show_if=only,
                    more={"columns": columns, "needs": "if", "entry": _("A way"), "add": _("Add a way"), "most": 19}),
            Control("otherwise", "choice", _("Otherwise it leads to"), "", True, None, stages, show_if=only),
        ]),
        (_("Who may"), [
            Control("roles", "choices", _("Roles"), _roles_note(desk, raw), choices=roles),
            Control("allow_if", "condition", _("And only if"), _("Otherwise the button is not there."), entity=entity_key, result="bool"),
        ]),
        (_("What must be right"), [
            Control("guard", "condition", _("Check"), _("The button is there, but the move is refused unless this holds."), entity=entity_key, result="bool"),
            Control("guard_message", "label", _("What people read when the check refuses")),
            Control("asked", "rows", _("Fields"), _("People fill them in while they move the record, even where they could not edit it otherwise."),
                    more={"columns": asked, "needs": "field", "add": _("Add a field")}),
        ]),
        (_("What happens then"), [
            Control("set", "values", _("Values set on the record"), entity=entity_key),
            actions_control("effects", _("Steps"), entity_key, help=_("In this order, together with the move: if one fails, nothing has happened.")),
        ]),
        (_("Words and looks"), [
            Control("confirm", "label", _("Question before the move"), _("Empty: nobody is asked.")),
            Control("done", "label", _("Message after the move")),
            Control("style", "choice", _("Button"), "", False, "default", tuple(Choice(k, str(t)) for k, t in STYLES.items())),
            _place(desk, raw.get("transitions", ()), own),
        ]),
    ]  # fmt: skip


def _roles_note(desk: Desk, raw: Mapping[str, Any]) -> str:
    """Who may when nothing is ticked, and which roles decide it themselves."""
    note = _("Nothing ticked: everybody who may edit the record. Administrators always may.")
    own = [desk.words(r.label, r.key) for r in desk.config.bundle.roles if r.transitions is not None and raw.get("key") in r.transitions]
    return f"{note} {_('These roles list their transitions themselves: %(roles)s.', roles=listed(own))}" if own else note


def _to_form(t: Mapping[str, Any], after: str) -> dict[str, Any]:
    """A transition as its controls see it."""
    require, asks = list(t.get("require", ())), list(t.get("ask", ()))
    asked = [{"field": k, "mode": "both" if k in require and k in asks else "require" if k in require else "ask"} for k in dict.fromkeys([*require, *asks])]
    branches = [b for b in t.get("branches", ()) if isinstance(b, Mapping)]
    last = branches[-1] if branches and not branches[-1].get("if") else None
    values = {**t, "asked": asked, "after": after, "branches": [b for b in branches if b is not last], "otherwise": (last or {}).get("to")}
    return {**values, "to": DEPENDS} if branches else values


def _from_form(old: Mapping[str, Any], controls: Sequence[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    found = laid(old, controls, {k: v for k, v in values.items() if k not in ("after", "asked", "branches", "otherwise", "to", "require", "ask", "set")})
    for name in ("to", "branches", "require", "ask"):
        found.pop(name, None)
    if values.get("to") == DEPENDS:
        last = [{"to": values["otherwise"]}] if values.get("otherwise") else []
        ways = [{k: b[k] for k in ("if", "to") if k in b} for b in values.get("branches", ())]
        found |= {"branches": [*ways, *last]} if ways or last else {}
    elif values.get("to"):
        found["to"] = values["to"]
    asked = values.get("asked", ())
    for name in ("require", "ask"):
        keys = list(dict.fromkeys(a["field"] for a in asked if a.get("mode", "require") in (name, "both")))
        found |= {name: keys} if keys else {}
    if "effects" in found:
        found["effects"] = settled(old.get("effects"), found["effects"])
    if values.get("set"):
        found["set"] = dict(values["set"])
    if ANY in found.get("from", ()):
        found["from"] = [ANY]
    return found


def _missing(desk: Desk, controls: Sequence[Control], values: Mapping[str, Any]) -> Errors:
    """What a transition must say, in the words of its form."""
    found = missing(desk, controls, values)
    if values.get("guard") and not values.get("guard_message"):
        found["guard_message"] = _("Say what people read when the check refuses the move.")
    if values.get("to") == DEPENDS:
        found |= {} if values.get("otherwise") else {"otherwise": _("Say where it leads when no condition holds.")}
        found |= {} if values.get("branches") else {"branches": _("Add at least one way with its condition.")}
    return found


def _shown(errors: Errors) -> Errors:
    """Messages under the names of the controls that can mend them."""
    found: Errors = {}
    for path, text in errors.items():
        name = path.partition("[")[0].partition(".")[0]
        found.setdefault("asked" if name in ("require", "ask") else path, text)
    return found


async def _transition_form(desk: Desk, key: str, own: str, values: Mapping[str, Any], errors: Errors, mark: str, *, status: int = 200) -> Response[Any]:
    raw = desk.find(_path(key))
    shown, groups, drawn = _shown(errors), _groups(desk, raw, own), []
    for title, controls in groups:
        drawn.append({"title": title, "drawn": await draw(desk, controls, values, shown)})
    everything = [c for _title, controls in groups for c in controls]
    name = desk.words((edits.find(desk.raw, f"{_path(key)}.transitions[{own}]") or {}).get("label"), own) if own else _("New transition")
    return await desk.page(
        "settings/design_flow/form", "pipelines", status=status, title=name, crumbs=[(_("Pipelines"), URL), (desk.words(raw.get("label"), key), f"{URL}/{key}")], note="", mark=mark, groups=drawn,
        problems=left_over(shown, everything), back=f"{URL}/{key}", action=f"{URL}/{key}/transitions/{own}" if own else f"{URL}/{key}/add-transition", save="",
        remove=f"{URL}/{key}/transitions/{own}/remove" if own else "",
    )  # fmt: skip


@get(f"{URL}/{{key:str}}/add-transition")
async def new_transition(request: Request, key: FromPath[str]) -> Response[Any]:
    """`from` and `to` may say where it begins and leads."""
    desk = await open_desk(request)
    raw, query = desk.find(_path(key)), request.query_params
    known = [str(s.get("key")) for s in raw.get("stages", ())]
    values = {"from": [s for s in query.getall("from", []) if s in known], "to": query.get("to") if query.get("to") in known else None, "after": _behind(raw.get("transitions", ()), "")}
    return await _transition_form(desk, key, "", values, {}, "")


@get(f"{URL}/{{key:str}}/transitions/{{transition:str}}")
async def transition(request: Request, key: FromPath[str], transition: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path = f"{_path(key)}.transitions[{transition}]"
    after = _behind(desk.find(_path(key)).get("transitions", ()), transition)
    return await _transition_form(desk, key, transition, _to_form(desk.find(path), after), {}, desk.mark(path))


@post([f"{URL}/{{key:str}}/add-transition", f"{URL}/{{key:str}}/transitions/{{transition:str}}"], status_code=200)
async def save_transition(request: Request, key: FromPath[str], transition: FromPath[str] = "") -> Response[Any]:
    desk = await open_desk(request)
    raw, form = desk.find(_path(key)), await desk.ask.form()
    controls = [c for _title, found in _groups(desk, raw, transition) for c in found]
    values, mark = read(desk, controls, form), str(form.get("_mark") or "")
    if is_gesture(form):
        return await _transition_form(desk, key, transition, values, {}, mark)
    section = f"{_path(key)}.transitions"
    old = desk.find(f"{section}[{transition}]") if transition else {"key": fresh_key(desk, values.get("label"), section, "transition")}
    new = _from_form(old, controls, values)
    what = (desk.words(raw.get("label"), key), desk.words(new.get("label"), new["key"]))
    title = words.changed(*what) if transition else words.added(*what)
    found = _missing(desk, controls, values)
    errors = await desk.save(f"{section}[{new['key']}]", new, title, mark=mark if transition else None, after=str(values.get("after", "")), found=found)
    return await _transition_form(desk, key, transition, values, errors, mark, status=422) if errors else desk.done(f"{URL}/{key}")


@get(f"{URL}/{{key:str}}/transitions/{{transition:str}}/remove")
async def ask_remove_transition(request: Request, key: FromPath[str], transition: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path, url = f"{_path(key)}.transitions[{transition}]", f"{URL}/{key}/transitions/{transition}"
    return await ask_removal(desk, path, "pipelines", name=desk.words(desk.find(path).get("label"), transition), back=url, action=f"{url}/remove")


@post(f"{URL}/{{key:str}}/transitions/{{transition:str}}/remove", status_code=200)
async def remove_transition(request: Request, key: FromPath[str], transition: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    path = f"{_path(key)}.transitions[{transition}]"
    what = (desk.words(desk.find(_path(key)).get("label"), key), desk.words(desk.find(path).get("label"), transition))
    await take_out(desk, await desk.ask.form(), path, words.removed(*what))
    return desk.done(f"{URL}/{key}")


router = Router(
    "",
    route_handlers=[
        pipelines, new, create, show, edit, save, ask_remove, remove, reorder, new_stage, stage, save_stage, ask_remove_stage, remove_stage, new_transition, transition,
        save_transition, ask_remove_transition, remove_transition,
    ],
)  # fmt: skip
