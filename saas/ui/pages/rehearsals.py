"""Rehearsals: whoever wrote or changed a rule wants to know what it would have done last month, before it is switched on; next they mend the
condition, or publish."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, InvalidDefinition, PermissionDenied
from saas.i18n import gettext as _
from saas.metadata.unbuild import steps_to_raw
from saas.runtime import Context, permissions, rehearsal
from saas.runtime.rehearsal import Case, Rehearsal
from saas.ui import formats
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.pages.runs import effects, told
from saas.ui.views import Choice

PERIODS = (7, 31, 92)
SHOWN = 50


@get("/settings/automations/{key:str}/rehearsal")
async def ask(request: Request, key: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, key, 31)


@post("/settings/automations/{key:str}/rehearsal", status_code=200, limit="report")
async def play(request: Request, key: FromPath[str]) -> Response[Any]:
    """Under the admin's draft, as it stands."""
    desk = await open_desk(request)
    text = str((await desk.ask.form()).get("days") or "")
    days = int(text) if text.isdigit() and int(text) in PERIODS else 31
    desk.find(f"automations[{key}]")
    try:
        found = await rehearsal.rehearse(desk.ask.ctx, key, bundle=desk.raw, days=days)
    except InvalidDefinition:
        return await _page(desk, key, days, problem=_("Something in your draft has to be repaired first: until then nothing can be tried."))
    except PermissionDenied:
        raise
    except AppError as error:
        return await _page(desk, key, days, problem=str(error.message))
    return await _page(desk, key, days, found=found)


async def _page(desk: Desk, key: str, days: int, *, found: Rehearsal | None = None, problem: str = "") -> Response[Any]:
    raw = desk.find(f"automations[{key}]")
    entity = desk.config.entities.get(str(raw.get("entity")))
    automation = next((a for a in desk.config.bundle.automations if a.key == key), None)
    definition = steps_to_raw(automation.do) if automation else ()
    return await desk.page(
        "settings/rehearsal", "automations", name=desk.words(raw.get("label"), key), key=key, problem=problem, may=permissions.is_admin(desk.ask.ctx),
        periods=[Choice(str(n), {7: _("the last week"), 31: _("the last month"), 92: _("the last three months")}[n], n == days) for n in PERIODS],
        found=_shown(desk.ask.ctx.replace(config=desk.config), entity, found, definition) if found else None,
    )  # fmt: skip


def _shown(ctx: Context, entity: Any, found: Rehearsal, definition: Any) -> dict[str, Any]:
    return {
        "looked": found.looked, "matched": found.matched, "failed": found.failed, "cut": found.cut, "since": formats.full(ctx, found.since), "more": max(0, len(found.cases) - SHOWN),
        "cases": [_case(ctx, entity, case, definition) for case in found.cases[:SHOWN]],
    }  # fmt: skip


def _case(ctx: Context, entity: Any, case: Case, definition: Any) -> dict[str, Any]:
    return {
        "at": formats.full(ctx, case.at), "title": case.title or "–", "url": f"/r/{entity.key}/{case.record_id}" if entity else "", "error": case.error, "warnings": case.warnings,
        "sent": [f"{kind}: {to}" for kind, to in case.sent], "steps": told(ctx, entity, case.steps, definition), "effects": [e["text"] for e in effects(ctx, case.effects)],
    }  # fmt: skip


router = Router("", route_handlers=[ask, play])
