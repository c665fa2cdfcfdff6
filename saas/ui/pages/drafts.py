"""From draft to live: what I changed, what it would do to our data, publish; and back to any earlier state.

Who: an admin who has finished a change and wants to be sure, or one who wonders what happened since Monday. What next: publish with
a sentence for the colleagues, repair what the check found, or take things back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidDefinition, NotFound, PermissionDenied, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.metadata import drafts, edits, fixes, store
from saas.metadata.anatomy import DESCRIBED
from saas.metadata.definition_words import words_at
from saas.metadata.evolve import Change, compare
from saas.metadata.merge import Conflict as Conflicting
from saas.metadata.naming import title_of
from saas.runtime import configuration
from saas.tenants import forget_host, list_users
from saas.ui import formats
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.builder.remedies import read_remedy, remedy_view, step_words
from saas.ui.forms import with_query
from saas.ui.guards import Ask, local_path, whole_number
from saas.ui.views import Toast

SHOWN_CHANGES = 200


# ---- the draft ----------------------------------------------------------------------------------------------------------


@get("/settings/draft")
async def draft(request: Request) -> Response[Any]:
    return await _draft(await open_desk(request), message=request.query_params.get("message", ""))


async def _draft(desk: Desk, *, error: str = "", message: str = "", status: int = 200) -> Response[Any]:
    tenant = desk.ask.ctx.tenant_id
    base = (await store.revision(tenant, desk.draft.base)).bundle if desk.draft.base else {}
    changes = await asyncio.to_thread(compare, base or {}, desk.raw)
    return await desk.page(
        "settings/draft/draft", "draft", status=status, error=error, message=message[:500], changes=change_views(changes[:SHOWN_CHANGES], base or {}, desk.raw), more=max(0, len(changes) - SHOWN_CHANGES),
        problems=[problem_view(desk.raw, p.path, p.code, str(p.message), str(p.hint), [(f.key, str(f.label)) for f in fixes.fixes_of(desk.raw, p)]) for p in desk.problems],
        seen={"live": desk.draft.live, "version": desk.draft.version}, steps=[{"title": s.title, "at": formats.moment(desk.ask.ctx, s.at)} for s in desk.draft.steps], conflicts=conflict_views(desk.raw, desk.draft.merge.conflicts if desk.draft.merge else ()), data=[{"number": n, "text": step_words(desk, s)} for n, s in enumerate(desk.draft.data)], can_check=not desk.problems and not desk.draft.merge and bool(changes or desk.draft.data),
    )  # fmt: skip


def problem_view(raw: Mapping[str, Any], path: str, code: str, message: str, hint: str, choices: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {"path": path, "title": str(title_of(raw, path)), "code": code, "message": message, "hint": hint, "url": page_of(raw, path), "fixes": list(choices)}


def change_views(changes: Sequence[Change], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for c in changes:
        was, is_ = edits.find(before, c.path), edits.find(after, c.path)
        whole = c.path.endswith("]")  # a definition, not one of its properties
        act = "added" if whole and was is None and is_ is not None else "gone" if whole and is_ is None and was is not None else "changed"
        details = [{"name": str(d.name), "before": str(d.before), "after": str(d.after)} for d in c.details] if act == "changed" else []
        found.append({"title": str(c.title), "act": act, "details": details, "path": c.path, "url": page_of(after, c.path), "grave": c.kind == "destructive"})
    return found


def page_of(raw: Mapping[str, Any], path: str) -> str:
    """The designer's page of what stands at a path, or of the nearest definition around it that has one."""
    steps = edits.steps_of(path)
    keys = [s[0] if isinstance(s, tuple) else s for s in steps]
    section, key = keys[0] if keys else "", keys[1] if len(keys) > 1 else ""
    pages = {
        "entities": "entities", "option_sets": "option-sets", "pipelines": "pipelines", "roles": "roles", "reports": "reports", "dashboards": "dashboards", "automations": "automations",
        "schedules": "schedules", "approvals": "approvals", "examples": "examples", **{s: s.replace("_", "-") for s in DESCRIBED.values()},
    }  # fmt: skip
    if section in ("views", "layouts") and ":" in key:
        entity, _colon, name = key.partition(":")
        return f"/settings/{section}/{entity}/{name}"
    if section == "settings":
        return "/settings/values"
    if section not in pages or not key or edits.find(raw, f"{section}[{key}]") is None:
        return f"/settings/{pages[section]}" if section in pages else ""
    if section == "entities" and keys[2:3] == ["fields"] and len(keys) > 3 and edits.find(raw, f"entities[{key}].fields[{keys[3]}]"):
        return f"/settings/entities/{key}/fields/{keys[3]}"
    return f"/settings/{pages[section]}/{key}"


def conflict_views(raw: Mapping[str, Any], conflicts: Iterable[Conflicting]) -> list[dict[str, Any]]:
    """Places that two sides changed differently, in words."""
    return [
        {
            "path": c.path, "title": str(title_of(raw, c.path)), "url": page_of(raw, c.path),
            "mine": str(words_at(raw, c.path, c.mine or None)) or _("nothing"), "theirs": str(words_at(raw, c.path, c.theirs or None)) or _("nothing"),
        }
        for c in conflicts
    ]  # fmt: skip


@post("/settings/draft/undo", status_code=200)
async def undo(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    title = await drafts.undo(desk.ask.ctx.tenant_id, desk.draft.author_id)
    return desk.ask.redirect(local_path(str((await desk.ask.form()).get("next") or "/settings/draft")), Toast(_("Undone: %(title)s", title=title)))


@post("/settings/draft/discard", status_code=200)
async def discard(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    if (await desk.ask.form()).get("sure") != "yes":
        return await _draft(desk, error=_("Tick the box to throw all changes of your draft away."), status=422)
    await drafts.discard(desk.ask.ctx.tenant_id, desk.draft.author_id)
    return desk.ask.redirect("/settings/draft", Toast(_("Your draft is gone. The published configuration is as it was.")))


@post("/settings/draft/decide", status_code=200)
async def decide(request: Request) -> Response[Any]:
    """The author's side or the other for everything that both changed."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    choices = {key.removeprefix("choice:"): str(value) for key, value in form.items() if key.startswith("choice:") and value in ("mine", "theirs")}
    live, version = (whole_number(str(form.get(name) or "")) for name in ("live", "version"))
    try:
        await drafts.decide(desk.ask.ctx.tenant_id, desk.draft.author_id, choices, seen=(live, version) if live is not None and version is not None else None)
    except Conflict as error:
        fresh = Desk(desk.ask, await drafts.open_draft(desk.ask.ctx.tenant_id, desk.draft.author_id))
        return await _draft(fresh, error=str(error.message), status=409)
    return desk.ask.redirect("/settings/draft", Toast(_("Your draft now stands on the newest revision.")))


@post("/settings/draft/fix", status_code=200)
async def fix(request: Request) -> Response[Any]:
    """One click that solves a problem of the draft."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    path, code, key = (str(form.get(name) or "") for name in ("path", "code", "fix"))
    problem = next((p for p in desk.problems if (p.path, p.code) == (path, code)), None)
    chosen = next((f for f in fixes.fixes_of(desk.raw, problem) if f.key == key), None) if problem else None
    if problem is None or chosen is None:
        return await _draft(desk, error=_("This is solved already, or looks different now."), status=409)
    await desk.take(fixes.apply_fix(desk.raw, problem, key), str(chosen.label))
    return desk.done(local_path(str(form.get("next") or "/settings/draft")), _("Solved: %(title)s", title=chosen.label))


@post("/settings/draft/data", status_code=200)
async def order(request: Request) -> Response[Any]:
    """Order something for existing records, or take an order back (`remove` is its number)."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    number = whole_number(str(form.get("remove") or ""))
    step = None if number is not None else read_remedy(desk, form)
    if number is None and step is None:
        return await _draft(desk, error=_("Say first what the records are to get."), status=422)

    def change(raw: Mapping[str, Any], steps: list[dict[str, Any]]) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
        return raw, [s for n, s in enumerate(steps) if n != number] + ([step] if step else [])

    await drafts.edit(desk.ask.ctx.tenant_id, desk.draft.author_id, step_words(desk, step) if step else _("An order for existing records taken back"), change)
    return desk.done("/settings/draft")


# ---- the plan -----------------------------------------------------------------------------------------------------------


@post("/settings/draft/plan", status_code=200, limit="publish")
async def check_draft(request: Request) -> Response[Any]:
    """What publishing the draft would do to the data."""
    desk = await open_desk(request)
    if desk.draft.merge is not None or desk.problems:
        return await _draft(desk, status=409)
    try:
        made = await configuration.make_plan(desk.ask.ctx, desk.raw, data=desk.draft.data, base_revision=desk.draft.base)
    except (InvalidDefinition, Conflict) as error:
        return await _draft(desk, error=str(error.message), status=error.status)
    message = str((await desk.ask.form()).get("message") or "")[:500]
    if desk.ask.is_fragment:
        return desk.fragment("settings/draft/_plan", **await _plan_data(desk, made, message))
    return desk.ask.redirect(with_query(f"/settings/plans/{made.id}", [("message", message)]))


@get("/settings/plans/{plan_id:str}")
async def show_plan(request: Request, plan_id: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _plan(desk, await configuration.get_plan(desk.ask.ctx, plan_id), message=request.query_params.get("message", ""))


async def _plan(desk: Desk, made: Any, *, error: str = "", message: str = "", status: int = 200) -> Response[Any]:
    base = (await store.revision(desk.ask.ctx.tenant_id, made.base_revision)).bundle if made.base_revision else {}
    changes = change_views(made.report.changes[:SHOWN_CHANGES], base or {}, made.bundle)
    return await desk.page("settings/draft/plan", "draft", status=status, error=error, changes=changes, more=max(0, len(made.report.changes) - SHOWN_CHANGES), **await _plan_data(desk, made, message))


async def _plan_data(desk: Desk, made: Any, message: str = "") -> dict[str, Any]:
    report = made.report
    return {
        "plan": made, "message": message, "seconds": duration(report.seconds), "outdated": made.base_revision != desk.draft.live,
        "again_url": with_query("/settings/draft", [("message", message)]),
        "impacts": [await _impact(desk, made, i, n) for n, i in enumerate(report.impacts)],
        "problems": [problem_view(made.bundle, p["path"], p["code"], str(p["message"]), str(p.get("hint") or ""), [(f["key"], f["label"]) for f in p.get("fixes", ())]) for p in report.problems],
        "examples": [{"label": desk.words(e.label, e.key), "passed": e.passed, "message": str(e.message), "url": f"/settings/examples/{e.key}"} for e in report.examples],
    }  # fmt: skip


async def _impact(desk: Desk, made: Any, impact: Any, number: int) -> dict[str, Any]:
    number = formats.number(desk.ask.ctx, impact.count)
    mine = store.is_same(made.bundle, desk.raw)  # orders go into the draft: they need one that is what was planned
    partly = "" if impact.exact or impact.total is None else _("%(seen)s of %(total)s records looked at", seen=formats.number(desk.ask.ctx, impact.looked_at or 0), total=formats.number(desk.ask.ctx, impact.total))
    return {
        "message": str(impact.message), "count": number if impact.exact else _("at least %(number)s", number=number), "partly": partly, "severity": impact.severity,
        "url": page_of(made.bundle, impact.path), "samples": [{"title": s["title"], "url": s.get("url", ""), "value": s.get("value", "")} for s in impact.samples],
        "remedies": [r for n, step in enumerate(impact.remedies if mine else ()) if (r := await remedy_view(desk, step, f"{number}-{n}"))],
    }  # fmt: skip


def duration(seconds: float) -> str:
    if seconds < 1:
        return ""
    if seconds < 90:
        return ngettext("about %(count)s second", "about %(count)s seconds", round(seconds))
    return ngettext("about %(count)s minute", "about %(count)s minutes", round(seconds / 60))


@post("/settings/plans/{plan_id:str}/publish", status_code=200, limit="publish")
async def publish_plan(request: Request, plan_id: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    message = str(form.get("message") or "").strip()[:500]
    made = await configuration.get_plan(desk.ask.ctx, plan_id)
    try:
        revision = await configuration.publish(desk.ask.ctx, plan_id=plan_id, message=message)
    except (Conflict, InvalidDefinition, PermissionDenied, PlanLimitReached) as error:
        return await _plan(desk, made, error=_error_words(error), message=message, status=error.status)
    forget_host(desk.ask.ctx.tenant.slug)
    return desk.ask.redirect("/settings/revisions", Toast(_("Revision %(number)s is live for everybody.", number=revision.number)))


def _error_words(error: AppError) -> str:
    return " ".join([str(error.message), *(str(p.message) for p in error.problems[:5])])


# ---- revisions ----------------------------------------------------------------------------------------------------------


@get("/settings/revisions")
async def revisions(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    before = whole_number(request.query_params.get("before", ""))
    found = await store.revisions(desk.ask.ctx.tenant_id, limit=51, before=before)
    names = await _names(desk.ask)
    rows = [
        {"number": r.number, "message": r.message, "author": names.get(r.author_id, ""), "at": formats.full(desk.ask.ctx, r.created_at), "hash": r.hash[:10], "current": r.number == desk.draft.live}
        for r in found[:50]
    ]  # fmt: skip
    return await desk.page("settings/draft/revisions", "revisions", rows=rows, next_url=f"/settings/revisions?before={found[49].number}" if len(found) > 50 else "")


async def _names(ask: Ask) -> dict[UUID | None, str]:
    return {u["id"]: u["name"] for u in await list_users(ask.ctx.tenant_id)}


@get("/settings/revisions/compare")
async def compare_two(request: Request) -> Response[Any]:
    """The difference of any two revisions (`a`, `b`; b is the live one when left out)."""
    desk = await open_desk(request)
    a = whole_number(request.query_params.get("a", ""))
    b = whole_number(request.query_params.get("b", "")) or desk.draft.live
    if a is None:
        raise NotFound()
    one, two = await store.revision(desk.ask.ctx.tenant_id, a), await store.revision(desk.ask.ctx.tenant_id, b)
    changes = await configuration.compare_revisions(desk.ask.ctx, a, b)
    names = await _names(desk.ask)
    sides = [{"number": r.number, "message": r.message, "author": names.get(r.author_id, ""), "at": formats.full(desk.ask.ctx, r.created_at), "current": r.number == desk.draft.live} for r in (one, two)]
    return await desk.page(
        "settings/draft/compare", "revisions", sides=sides, changes=change_views(changes[:SHOWN_CHANGES], one.bundle or {}, two.bundle or {}), more=max(0, len(changes) - SHOWN_CHANGES)
    )


@post("/settings/revisions/{number:int}/revert", status_code=200, limit="publish")
async def plan_revert(request: Request, number: FromPath[int]) -> Response[Any]:
    """Going back is a change like any other: first its plan."""
    desk = await open_desk(request)
    earlier = await store.revision(desk.ask.ctx.tenant_id, number)
    made = await configuration.make_plan(desk.ask.ctx, earlier.bundle or {}, base_revision=desk.draft.live, back_to=number)
    return desk.ask.redirect(with_query(f"/settings/plans/{made.id}", [("message", _("Back to revision %(number)s", number=number))]))


router = Router(
    "",
    route_handlers=[
        draft, undo, discard, decide, fix, order, check_draft, show_plan, publish_plan, revisions, compare_two, plan_revert,
    ],
)  # fmt: skip
