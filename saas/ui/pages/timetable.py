"""What runs by itself: when next, and what came of it.

Who: an administrator who is asked “why did nobody get a reminder?”, or who has just published a schedule and wants to know what it will
do. They open one, look at which records match now or next time, at the errors of the last runs; next they run it, or change the rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.kinds import action_types
from saas.metadata.models import ScheduleDef
from saas.runtime import timetable
from saas.runtime.timetable import Entry, LastRun
from saas.runtime.worker import run_for
from saas.ui import formats
from saas.ui.builder.times import rhythm_words
from saas.ui.guards import Ask
from saas.ui.pages.design_rules import ONCE, date_words
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Toast

PAGE = "/settings/timetable"
AT_ONCE_SECONDS = 3.0
SHOWN_EFFECTS = 12


@get(PAGE)
async def listing(request: Request) -> Response[Any]:
    ask = await open_settings(request, timetable.RIGHT)
    rows = [_row(ask, entry) for entry in await timetable.entries(ask.ctx)]
    rows.sort(key=lambda r: (not r["active"], r["moment"]))
    return await show_settings(ask, "timetable", "timetable", rows=rows, zone=str(ask.ctx.zone))


def _row(ask: Ask, entry: Entry) -> dict[str, Any]:
    ctx, rule = ask.ctx, entry.definition
    entity = ctx.config.entities.get(rule.entity)
    return {
        "key": entry.key, "name": pick(rule.label, ctx.locale), "url": f"{PAGE}/{entry.key}", "active": rule.active, "when": _when(ask, entry),
        "entity": pick(entity.defn.plural, ctx.locale) if entity else rule.entity, "next": [formats.weekday(ctx, at) for at in entry.next], "moment": entry.next[0].timestamp() if entry.next else math.inf,
        "last": _last(ask, entry.last) if entry.last else None, "once": str(dict(ONCE)[entry.schedule.once_per]) if entry.schedule else _("once for each value of the date"),
    }  # fmt: skip


def _when(ask: Ask, entry: Entry) -> str:
    rule = entry.definition
    if isinstance(rule, ScheduleDef):
        return rhythm_words(rule.cron)
    field = ask.ctx.config.entity(rule.entity).fields[str(rule.on.options["date"])]
    return date_words(pick(field.label, ask.ctx.locale), rule.on.options)


def _last(ask: Ask, run: LastRun) -> dict[str, Any]:
    done = ngettext("%(count)s record done", "%(count)s records done", run.done) if run.done else _("nothing to do")
    failed = ngettext("%(count)s failed", "%(count)s failed", run.failed) if run.failed else ""
    return {"at": formats.full(ask.ctx, run.at), "done": done, "failed": failed, "color": "red" if run.failed else "green" if run.done else "gray"}


@get(f"{PAGE}/{{key:str}}")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    """`?at=next`: what would match at the next run, not now."""
    ask = await open_settings(request, timetable.RIGHT)
    ctx = ask.ctx
    entry, runs = await timetable.entry(ctx, key)
    then = entry.next[0] if entry.next and request.query_params.get("at") == "next" else None
    found = await timetable.preview(ctx, key, then)
    matching = [{"title": r.title or _("(without a name)"), "url": f"/r/{entry.definition.entity}/{r.id}", "done": r.id in found.done} for r in found.records]
    count = ngettext("%(count)s record matches", "%(count)s records match", found.count)
    return await show_settings(
        ask, "timetable_one", "timetable", rule=_row(ask, entry), matching=matching, count=_("More than %(count)s records match", count=found.count) if found.more else count, left=max(0, found.count - len(matching)),
        closed=found.closed, at_next=then is not None, then=formats.weekday(ctx, then) if then else "", runs=[_run(ask, entry, run) for run in runs], edit=f"/settings/schedules/{key}" if entry.schedule else f"/settings/automations/{entry.definition.key}",
    )  # fmt: skip


def _run(ask: Ask, entry: Entry, run: LastRun) -> dict[str, Any]:
    skipped = ngettext("%(count)s left out", "%(count)s left out", run.skipped) if run.skipped else ""
    return {
        **_last(ask, run), "matched": ngettext("%(count)s matched", "%(count)s matched", run.matched), "skipped": skipped, "effects": _effects(ask, run),
        "errors": [{"url": f"/r/{entry.definition.entity}/{e['id']}", "text": e["error"]} for e in run.errors],
    }  # fmt: skip


def _effects(ask: Ask, run: LastRun) -> list[dict[str, Any]]:
    """What was done, by kind of step and of record: how often, and the first ones to open."""
    counts = Counter((str(e.get("action")), str(e.get("entity"))) for e in run.effects)
    return [{"text": _effect_name(ask, action, entity), "count": count, "links": _links(run, action, entity)} for (action, entity), count in counts.most_common()]


def _effect_name(ask: Ask, action: str, entity: str) -> str:
    kind, known = action_types.find(action), ask.ctx.config.entities.get(entity)
    name = str(kind.label) if kind else action
    return _("%(action)s: %(records)s", action=name, records=pick(known.defn.plural, ask.ctx.locale)) if known else name


def _links(run: LastRun, action: str, entity: str) -> list[str]:
    return [_url(e) for e in run.effects if e.get("action") == action and e.get("entity") == entity][:SHOWN_EFFECTS]


def _url(effect: Mapping[str, Any]) -> str:
    return f"/r/{effect['entity']}/{effect['id']}"


@post(f"{PAGE}/{{key:str}}/run", status_code=200)
async def run(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, timetable.RIGHT)
    job = await run_for(ask.ctx, await timetable.run_now(ask.ctx, key), AT_ONCE_SECONDS)
    url = f"{PAGE}/{key}"
    if job.status != "done":
        return ask.redirect(url, Toast(_("It runs in the background."), "good" if job.error is None else "warn"))
    result = job.result or {}
    text = ngettext("%(count)s record done", "%(count)s records done", result.get("done", 0)) if result.get("done") else _("No record matches.")
    if result.get("failed"):
        return ask.redirect(url, Toast(f"{text}, {ngettext('%(count)s failed', '%(count)s failed', result['failed'])}", "warn"))
    return ask.redirect(url, Toast(text))


router = Router("", route_handlers=[listing, show, run])
