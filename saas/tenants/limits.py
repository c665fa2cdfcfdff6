"""Limits of a tenant's plan, held where something is made: one function for what is metered, one for people.

Far from the limit nothing is asked. Near it, the statement that makes something asks for the figure as well, and what is too much is
rolled back: no further trip to the server. docs/adr/0011-limits.md says how much may slip through at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import Write, write_and_ask, write_together
from saas.errors import PlanLimitReached
from saas.i18n import LazyString, lazy
from saas.tenants import meters
from saas.tenants.meters import Meter
from saas.tenants.plans import NAMES, Limits, limits_of

FAR_SECONDS = 10.0  # so long a figure far from the limit is trusted
FULL_SECONDS = 1.0  # so long a full tenant is refused without asking again
_ENTRIES = 20_000


@dataclass(slots=True)
class _Known:
    """What this process knows: the figure, with what it added itself since it asked, and until when it is full under `allowed`."""

    figure: int
    asked_at: float
    allowed: int
    full_until: float = 0.0


_known: dict[tuple[UUID, str], _Known] = {}


def reached(limit: str, allowed: Any, used: int | None = None) -> PlanLimitReached:
    """Names the limit, the number, and the way to more."""
    data = {"limit": limit, "allowed": list(allowed) if isinstance(allowed, tuple) else allowed, "used": used}
    return PlanLimitReached(_words(limit, allowed), **data)


def _words(limit: str, allowed: Any) -> LazyString:
    shown = ", ".join(allowed) if isinstance(allowed, (tuple, list)) else amount(limit, allowed)
    return lazy(
        "Your plan's limit is reached. %(limit)s: %(allowed)s at most. Administrators see what is used, and the way to more, under Settings, Plan and usage.",
        limit=NAMES[limit], allowed=shown,
    )  # fmt: skip


def amount(limit: str, number: int) -> str:
    """A figure as people read it: 2,000, or 200 MB."""
    if limit != "storage":
        return f"{number:,}"
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if number >= size:
            text = f"{number / size:,.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{number} B"


async def write_metered(conn: Any, tenant_id: UUID, limits: Limits, meter: Meter, count: int, writes: Sequence[Write], *, enforce: bool = True) -> None:
    """Run `writes` together with the entry that counts them, in one statement. Errors: PlanLimitReached, after which the caller's transaction
    must be rolled back. Negative counts are never refused. `enforce=False`: what must stay possible, such as an export."""
    allowed: int | None = getattr(limits, meter)
    together = [*writes, meters.entry(tenant_id, meter, count)] if count else list(writes)
    if allowed is None or count <= 0 or not enforce:
        await write_together(conn, together)
        _add(tenant_id, meter, count)
        return
    refuse_full(tenant_id, limits, meter)
    if not _must_ask(tenant_id, meter, count, allowed):
        await write_together(conn, together)
        _add(tenant_id, meter, count)
        return
    used = await write_and_ask(conn, together, meters.question(tenant_id, meter))
    now = time.monotonic()
    if len(_known) >= _ENTRIES:
        _known.clear()
    fits = used + count <= allowed
    _known[tenant_id, meter] = _Known(used + count if fits else used, now, allowed, now + FULL_SECONDS if used >= allowed else 0.0)
    if not fits:
        raise reached(meter, allowed, used)


def refuse_full(tenant_id: UUID, limits: Limits, meter: Meter) -> None:
    """Without asking: what was full a moment ago still is. Errors: PlanLimitReached."""
    known, allowed = _known.get((tenant_id, meter)), getattr(limits, meter)
    if known is not None and known.allowed == allowed and known.full_until > time.monotonic():
        raise reached(meter, allowed, known.figure)


def _must_ask(tenant_id: UUID, meter: str, count: int, allowed: int) -> bool:
    known = _known.get((tenant_id, meter))
    if known is None or known.allowed != allowed or known.asked_at + FAR_SECONDS < time.monotonic():
        return True
    return allowed - known.figure - count < max(500, allowed // 20)


def _add(tenant_id: UUID, meter: str, count: int) -> None:
    known = _known.get((tenant_id, meter))
    if known is not None:
        known.figure += count
        if count < 0:
            known.full_until = 0.0


def forget(tenant_id: UUID) -> None:
    """What this process knows of a tenant's figures."""
    for meter in (*meters.STOCKS, *meters.FLOWS):
        _known.pop((tenant_id, meter), None)


# ---- people -------------------------------------------------------------------------------------------------------------------


_INVITED = f"SELECT count(*) FROM invitation i WHERE i.tenant_id = $1 AND i.accepted_at IS NULL AND i.withdrawn_at IS NULL AND i.expires_at > now() AND (i.role_keys <> '{{}}' AND to_jsonb(i.role_keys) <@ {meters.PORTAL_ROLES}) = $2"  # noqa: S608  constants


async def is_outside(conn: Any, tenant_id: UUID, role_keys: Sequence[str]) -> bool:
    """Whether somebody with these roles, and no other, is somebody outside who is a record: they take a seat of their own kind."""
    if not role_keys:
        return False
    return bool(await conn.fetchval(f"SELECT to_jsonb($2::text[]) <@ {meters.PORTAL_ROLES}", tenant_id, list(role_keys)))


async def require_seat(conn: Any, tenant_id: UUID, role_keys: Sequence[str] = (), *, invited: bool = False) -> None:
    """Room for one more active person with these roles, exactly: who adds people at the same time waits. `invited`: room also for all who
    have an open invitation already, so that nobody is invited in vain. Errors: PlanLimitReached (seats, or portal_seats)."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('seats:' || $1::uuid::text, 0))", tenant_id)
    outside = await is_outside(conn, tenant_id, role_keys)
    limit, counted = ("portal_seats", meters.PORTAL_SEATS) if outside else ("seats", meters.SEATS)
    row = await conn.fetchrow(f"SELECT t.plan_key, t.paid_limits || t.limit_overrides AS limit_overrides, ({counted}) AS used FROM tenant t WHERE t.id = $1", tenant_id)  # noqa: S608  constants
    if row is None:
        return
    allowed = getattr(limits_of(row["plan_key"], json.loads(row["limit_overrides"])), limit)
    if allowed is not None and row["used"] + (await conn.fetchval(_INVITED, tenant_id, outside) if invited else 0) >= allowed:
        raise reached(limit, allowed, row["used"])
    sql, args = meters.entry(tenant_id, "records", 0)  # changes no figure; whoever folds it looks at all of this tenant
    await conn.execute(sql, *args)


__all__ = ["amount", "forget", "is_outside", "reached", "refuse_full", "require_seat", "write_metered"]
