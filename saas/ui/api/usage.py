"""What a workspace may use and what it uses, for its administrators' programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar import Request, get
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import PermissionDenied
from saas.runtime import permissions, usage
from saas.ui.api import access, shapes


def usage_json(plan: str, status: str, trial_ends_at: datetime | None, lines: Sequence[usage.Line], days: Sequence[usage.Day]) -> dict[str, Any]:
    return {
        "plan": plan, "status": status, "trial_ends_at": shapes.moment(trial_ends_at), "limits": [line.to_json() for line in lines],
        "days": [{"day": day.day.isoformat(), **day.amounts} for day in days],
    }  # fmt: skip


@get("/usage")
async def read_usage(request: Request) -> Response[Any]:
    """{"plan", "status", "trial_ends_at", "limits": [{"limit", "label", "used", "allowed", "percent"}], "days": [{"day", …}]}, for administrators."""
    ctx = await access.context(request)
    if not permissions.is_admin(ctx):
        raise PermissionDenied()
    async with tenant_transaction(ctx.tenant_id) as conn:
        lines = await usage.lines(conn, ctx.tenant_id, ctx.tenant.limits)
        days = await usage.days(conn, ctx.tenant_id)
    return access.answer(usage_json(ctx.tenant.plan_key, ctx.tenant.status, ctx.tenant.trial_ends_at, lines, days))


HANDLERS = [read_usage]
