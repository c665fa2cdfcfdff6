"""Limits of the plan, for everything that is done under a context (saas.tenants.limits)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saas.db import Write
from saas.runtime.context import Context
from saas.tenants import limits
from saas.tenants.meters import Meter


async def write(conn: Any, ctx: Context, meter: Meter, count: int, writes: Sequence[Write], *, enforce: bool = True) -> None:
    """Run `writes` and count them in the same statement. `writes` may be empty: it is only counted. Nothing of a count of 0 is kept.
    Errors: PlanLimitReached; what was written must then be rolled back."""
    if count or writes:
        await limits.write_metered(conn, ctx.tenant_id, ctx.tenant.limits, meter, count, writes, enforce=enforce)


def refuse_full(ctx: Context, meter: Meter) -> None:
    """Before work that would be lost: what was full a moment ago. Errors: PlanLimitReached."""
    limits.refuse_full(ctx.tenant_id, ctx.tenant.limits, meter)


__all__ = ["refuse_full", "write"]
