"""Runs of automations: opened by an administrator who hears "it did not happen", or "why did this change by itself?"; next they read which
step failed and why, mend the record or the rule, and let the run go on, or call it off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import action_types, trigger_types
from saas.metadata.models import ActionDef
from saas.metadata.unbuild import steps_to_raw
from saas.runtime import Context, run_log
from saas.runtime.run_log import RunInfo
from saas.tenants.ids import uuid_of
from saas.ui import formats
from saas.ui.builder.actions import action_detail
from saas.ui.pages.settings import PAGE, open_settings, show_settings
from saas.ui.views import Choice, Toast

PART = run_log.RIGHT


class _Words:
    """As much of the designer's desk as the words of steps need, under the published configuration."""

    def __init__(self, ctx: Context) -> None:
        self.ctx, self.config = ctx, ctx.config

    def words(self, label: Any, fallback: str = "") -> str:
        return pick(label, self.ctx.locale) or fallback


def status_words(status: str) -> tuple[str, str]:
    """(words, colour) of how a run stands."""
    return {
        "done": (_("done"), "green"), "waiting": (_("waiting"), "blue"), "queued": (_("goes on"), "blue"), "failed": (_("failed"), "red"), "undone": (_("failed, all undone"), "orange"),
        "stopped": (_("ended early"), "gray"), "cancelled": (_("called off"), "gray"),
    }.get(status, (status, "gray"))  # fmt: skip


def trigger_word(key: str) -> str:
    kind = trigger_types.find(key)
    return str(kind.label) if kind else key


def _row(ctx: Context, info: RunInfo) -> dict[str, Any]:
    text, color = status_words(info.status)
    link = f"/r/{info.entity.key}/{info.record_id}" if info.entity and info.record_id and info.title else ""
    return {
        "id": str(info.id), "name": info.label, "at": formats.full(ctx, info.at), "record": info.title or _("(deleted or not visible)"), "record_url": link,
        "entity": pick(info.entity.defn.label, ctx.locale) if info.entity else "", "status": text, "color": color, "error": info.error, "trigger": trigger_word(info.trigger), "actor": info.actor,
        "state": info.status, "due": formats.full(ctx, info.due_at) if info.due_at else "", "ended": formats.full(ctx, info.ended_at) if info.ended_at else "", "took": _took(info.work_us / 1000),
        "can_go_on": info.can_go_on, "can_cancel": info.can_cancel, "automation": info.automation,
    }  # fmt: skip


def _took(ms: float) -> str:
    return _("%(count)s ms", count=round(ms)) if ms < 1000 else _("%(count)s s", count=f"{ms / 1000:.1f}")


@get("/settings/runs")
async def listing(request: Request) -> Response[Any]:
    ask = await open_settings(request, PART)
    ctx = ask.ctx
    asked = {name: request.query_params.get(name) or None for name in ("automation", "status")}
    if asked["status"] not in run_log.STATUSES:
        asked["status"] = None
    record = uuid_of(request.query_params.get("record", ""))
    found = await run_log.list_runs(ctx, automation=asked["automation"], status=asked["status"], record=record, before=uuid_of(request.query_params.get("before", "")), limit=PAGE)
    query = "".join(f"&{name}={value}" for name, value in ({**asked, "record": record}).items() if value)
    return await show_settings(
        ask, "runs", "runs", rows=[_row(ctx, info) for info in found], filtered=bool(query), record=str(record or ""),
        statuses=[Choice(s, status_words(s)[0], s == asked["status"]) for s in run_log.STATUSES],
        automations=[Choice(a.key, pick(a.label, ctx.locale), a.key == asked["automation"]) for a in ctx.config.bundle.automations],
        next_url=f"/settings/runs?before={found[-1].id}{query}" if len(found) == PAGE else "",
    )  # fmt: skip


@get("/settings/runs/{run_id:uuid}")
async def show(request: Request, run_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    info = await run_log.get_run(ask.ctx, run_id)
    return await _show(ask, info)


async def _show(ask: Any, info: RunInfo, **more: Any) -> Response[Any]:
    ctx = ask.ctx
    rest = list(remaining(ctx, info.entity, info.rest, info.place)) if info.status in ("waiting", "queued", "failed", "cancelled") else []
    return await show_settings(ask, "run", "runs", row=_row(ctx, info), steps=told(ctx, info.entity, info.steps, definition_of(ctx, info)), rest=rest, **more)


@post("/settings/runs/{run_id:uuid}/preview", status_code=200)
async def preview(request: Request, run_id: FromPath[UUID]) -> Response[Any]:
    """What going on would do now."""
    ask = await open_settings(request, PART)
    info = await run_log.get_run(ask.ctx, run_id)
    found = await run_log.preview(ask.ctx, run_id)
    return await _show(ask, info, preview={"steps": told(ask.ctx, info.entity, found.steps, steps_to_raw(info.rest)), "effects": effects(ask.ctx, found.effects), "error": found.error})


@post("/settings/runs/{run_id:uuid}/replay", status_code=200)
async def replay(request: Request, run_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    await run_log.replay(ask.ctx, run_id)
    return ask.redirect(f"/settings/runs/{run_id}", Toast(_("The run goes on in a moment.")))


@post("/settings/runs/{run_id:uuid}/cancel", status_code=200)
async def cancel(request: Request, run_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    await run_log.cancel(ask.ctx, run_id)
    return ask.redirect(f"/settings/runs/{run_id}", Toast(_("Called off.")))


# ---- steps in words -------------------------------------------------------------------------------------------------------


def definition_of(ctx: Context, info: RunInfo) -> Sequence[Mapping[str, Any]]:
    """The steps as they were when the run began, as far as that is known."""
    if info.rest:
        return steps_to_raw(info.rest)
    automation = next((a for a in ctx.config.bundle.automations if a.key == info.automation), None)
    return steps_to_raw(automation.do) if automation is not None and info.revision == ctx.config.revision else ()


def told(ctx: Context, entity: Entity | None, steps: Sequence[Mapping[str, Any]], definition: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was done step by step, as the page draws it."""
    return [_told(ctx, entity, step, definition) for step in steps]


def _told(ctx: Context, entity: Entity | None, step: Mapping[str, Any], definition: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kind = action_types.find(str(step.get("action")))
    at = step.get("at") or ()
    raw, about = _definition_at(ctx, entity, definition, at)
    text, state = "", "done"
    if step.get("error"):
        state, text = "failed", _(str(step["error"])) if step["error"] != "crashed" else _("Something unexpected went wrong. The operator of this service can find the details in the log.")
    elif step.get("skipped"):
        state, text = "skipped", _("not done: its condition did not hold")
    elif "way" in step:
        text = _("went on with: %(way)s", way=_("Then") if step["way"] == "then" else _("Otherwise"))
    elif step.get("waits"):
        state, text = "waiting", _("would wait here until %(moment)s", moment=_moment(ctx, step.get("until"))) if step.get("until") else _("would end here")
    elif step.get("ended"):
        state = "skipped"
    elif "since" in step:
        text = _("waited since %(moment)s", moment=_moment(ctx, step["since"]))
    elif "records" in step and kind is not None and "do" in kind.nests:
        text = ngettext("%(count)s record", "%(count)s records", int(step["records"]))
    return {
        "icon": kind.icon if kind else "alert", "title": str(kind.label) if kind else str(step.get("action")), "detail": action_detail(_Words(ctx), about, raw) if raw else "",  # type: ignore[arg-type]
        "state": state, "text": text, "depth": _depth(at), "inputs": list(_inputs(ctx, step.get("inputs") or {})), "effects": effects(ctx, step.get("effects") or ()),
        "took": _took(step["ms"]) if "ms" in step else "",
    }  # fmt: skip


def _moment(ctx: Context, text: Any) -> str:
    from saas.runtime.runs import moment

    found = moment(str(text)) if text else None
    return formats.full(ctx, found) if found else ""


def _depth(at: Sequence[Any]) -> int:
    return sum(isinstance(part, int) for part in at) - 1


def _definition_at(ctx: Context, entity: Entity | None, steps: Sequence[Mapping[str, Any]], at: Sequence[Any]) -> tuple[Mapping[str, Any] | None, Entity | None]:
    """The step at a place, and what it is about."""
    found: Mapping[str, Any] | None = None
    for part in at:
        if isinstance(part, int):
            if part >= len(steps):
                return None, entity
            found = steps[part]
            continue
        if found is None:
            return None, entity
        kind = action_types.find(str(found.get("action")))
        name = kind.relation(found) if kind else None
        relation = ctx.config.relation(entity.key, name) if name and entity else None
        entity = ctx.config.entities.get(relation.child) if relation else entity
        steps = found.get("do" if part not in ("then", "else") else part) or ()
    return found, entity


def _inputs(ctx: Context, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in inputs.items():
        if name.startswith("values.") and isinstance(value, Mapping):
            entity = ctx.config.entities.get(name.removeprefix("values."))
            for key, given in value.items():
                field = entity.fields.get(key) if entity else None
                yield pick(field.label, ctx.locale) if field else key, _value(given)
        else:
            yield {"people": _("People"), "records": _("Records"), "url": _("Address"), "method": _("Method"), "to": _("To"), "by": _("Added"), "call": _("Call"), "found": _("Found")}.get(name, name), _value(value)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


EFFECTS = {
    "create": lazy("made"), "update": lazy("changed"), "delete": lazy("deleted"), "restore": lazy("brought back"), "transition": lazy("moved"), "link": lazy("found"), "send": lazy("put into the outbox"),
    "assign": lazy("assigned"), "claim": lazy("claimed"), "to_pool": lazy("given to the pool"), "warn_owner": lazy("its owner warned"), "share": lazy("shared"), "merge": lazy("merged"), "unmerge": lazy("merge undone"),
    "start_approval": lazy("sent for approval"), "review": lazy("waits for review"), "generate_document": lazy("document kept"), "invite": lazy("invited"),
}  # fmt: skip


def effects(ctx: Context, found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What was done to which records, with links to them."""
    shown = []
    for effect in found:
        entity = ctx.config.entities.get(str(effect.get("entity")))
        name = pick(entity.defn.label, ctx.locale) if entity else _("Message") if effect.get("action") == "send" else str(effect.get("entity"))
        url = f"/r/{entity.key}/{effect.get('id')}" if entity else f"/settings/outbox/{effect.get('id')}" if effect.get("action") == "send" else ""
        shown.append({"text": f"{name}: {EFFECTS.get(str(effect.get('action')), effect.get('action'))}", "url": url})
    return shown


def remaining(ctx: Context, entity: Entity | None, steps: Sequence[ActionDef], place: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The steps from a place on, in words."""
    raw = steps_to_raw(steps)

    def walk(list_: Sequence[Mapping[str, Any]], about: Entity | None, start: Sequence[Any], depth: int) -> Iterator[dict[str, Any]]:
        first = int(start[0]) if start else 0
        for number in range(first, len(list_)):
            step = list_[number]
            kind = action_types.find(str(step.get("action")))
            inside = start[1:] if number == first and len(start) > 1 else ()
            if not inside:
                yield {"icon": kind.icon if kind else "alert", "title": str(kind.label) if kind else str(step.get("action")), "detail": action_detail(_Words(ctx), about, step), "depth": depth}  # type: ignore[arg-type]
            if inside:
                yield from walk(step.get(str(inside[0])) or (), about, inside[1:], depth + 1)
                continue
            name = kind.relation(step) if kind else None
            relation = ctx.config.relation(about.key, name) if name and about else None
            below = ctx.config.entities.get(relation.child) if relation else about
            for part in ("then", "else", "do"):
                yield from walk(step.get(part) or (), below, (), depth + 1)

    yield from walk(raw, entity, place, 0)


router = Router("", route_handlers=[listing, show, preview, replay, cancel])
