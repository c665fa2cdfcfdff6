"""Plan and usage as administrators and operators read them; warnings at 80 and 100 percent; folding and nightly counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from saas.db import tenant_transaction
from saas.errors import Unavailable
from saas.i18n import LOCALES, LazyString, lazy, use_locale
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.notifications import Notice, deliver
from saas.tenants import meters
from saas.tenants.limits import amount
from saas.tenants.plans import NAMES, Limits

log = structlog.get_logger(__name__)
SHOWN = ("seats", "records", "storage", "custom_entities", "automation_runs", "mails", "api_requests")
LEVELS = (100, 80)  # percent
_WARNED = ("seats", "records", "storage", "automation_runs", "mails")
_PERIODS = {"automation_runs": "%Y-%m", "mails": "%Y-%m-%d"}
# Of the live configuration: entities that come from no installed pack.
_OWN_ENTITIES = """
SELECT count(*) FROM tenant t JOIN config_revision c ON c.tenant_id = t.id AND c.number = t.config_revision,
jsonb_path_query(c.bundle, '$.entities[*].key') AS k
WHERE t.id = $1 AND NOT EXISTS (
    SELECT 1 FROM pack_install p, jsonb_path_query(p.bundle, '$.entities[*].key') AS o WHERE p.tenant_id = $1 AND o = k)
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One limit. `allowed` None: no limit. API requests are used today and allowed a minute, so they have no `percent`."""

    key: str
    used: int
    allowed: int | None

    @property
    def label(self) -> LazyString:
        return lazy("API requests today") if self.key == "api_requests" else NAMES[self.key]

    @property
    def percent(self) -> int | None:
        """Rounded down: 100 is full, also with 0 allowed."""
        if self.allowed is None or self.key == "api_requests":
            return None
        return 100 if self.used >= self.allowed else self.used * 100 // self.allowed

    @property
    def level(self) -> int:
        """The highest of LEVELS that is reached, else 0."""
        return next((level for level in LEVELS if (self.percent or 0) >= level), 0)

    def to_json(self) -> dict[str, Any]:
        return {"limit": self.key, "used": self.used, "allowed": self.allowed, "percent": self.percent}


async def lines(conn: Any, tenant_id: UUID, limits: Limits) -> list[Line]:
    """What is used of each limit, at this moment. Any transaction that sees the tenant will do."""
    figures = await meters.all_used(conn, tenant_id)
    figures["custom_entities"] = await conn.fetchval(_OWN_ENTITIES, tenant_id)
    return [Line(key, figures[key], getattr(limits, key)) for key in SHOWN]


# ---- in the background ---------------------------------------------------------------------------------------------------------


async def settle() -> int:
    """Fold what was counted and warn who is near a limit, for each tenant that did anything; returns how many. By the worker, every minute."""
    tenants = await meters.waiting()
    for tenant_id in tenants:
        try:
            await settle_one(tenant_id)
        except Unavailable:
            continue
        except Exception:
            log.exception("usage.failed", tenant_id=str(tenant_id))
    return len(tenants)


async def settle_one(tenant_id: UUID) -> None:
    async with tenant_transaction(tenant_id) as conn:
        await meters.fold(conn, tenant_id)
    await warn(await system_context(tenant_id))


async def count_again() -> int:
    """Compare what was counted with what there is, for each tenant whose figures are a day old; returns how many. By the worker."""
    tenants = await meters.due()
    for tenant_id in tenants:
        try:
            drift = await meters.reconcile(tenant_id)
            if any(drift.values()):
                log.warning("usage.drift", tenant_id=str(tenant_id), **drift)
            await warn(await system_context(tenant_id))
        except Unavailable:
            continue
        except Exception:
            log.exception("usage.failed", tenant_id=str(tenant_id))
    return len(tenants)


async def warn(ctx: Context) -> int:
    """Tell administrators of each limit that reached 80 or 100 percent, once each; again only when it fell below and rose again, or
    in the next month or day. Returns how many notices there were."""
    told = 0
    async with tenant_transaction(ctx.tenant_id) as conn:
        for line in await lines(conn, ctx.tenant_id, ctx.tenant.limits):
            if line.key not in _WARNED:
                continue
            await conn.execute("DELETE FROM usage_notice WHERE tenant_id = $1 AND meter = $2 AND period = '' AND level > $3", ctx.tenant_id, line.key, line.level)
            if not line.level:
                continue
            moment = await conn.fetchval("SELECT now() AT TIME ZONE 'UTC'")
            period = moment.strftime(_PERIODS[line.key]) if line.key in _PERIODS else ""
            first = False
            for level in LEVELS:  # who jumped over 80 is not told of it afterwards
                if level <= line.level:
                    put = "INSERT INTO usage_notice (tenant_id, meter, level, period) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true"
                    new = await conn.fetchval(put, ctx.tenant_id, line.key, level, period)
                    first = first or (bool(new) and level == line.level)
            if first:
                await deliver(conn, ctx, await administrators(conn, ctx), _notice(line))
                told += 1
    return told


async def administrators(conn: Any, ctx: Context) -> list[UUID]:
    keys = [role.key for role in ctx.config.roles.values() if role.admin]
    rows = await conn.fetch(
        "SELECT DISTINCT u.id FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
        "WHERE u.tenant_id = $1 AND u.status = 'active' AND r.role_key = ANY($2) ORDER BY u.id",
        ctx.tenant_id, keys,
    )  # fmt: skip
    return [row["id"] for row in rows]


def _notice(line: Line) -> Notice:
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            full = line.level >= 100
            values = {"limit": str(line.label), "used": amount(line.key, line.used), "allowed": amount(line.key, line.allowed or 0), "percent": line.percent}
            titles[locale] = str(lazy("%(limit)s: the plan's limit is reached", **values) if full else lazy("%(limit)s: %(percent)s%% of the plan is used", **values))
            bodies[locale] = str(lazy("%(used)s of %(allowed)s are used. Settings, Plan and usage shows all limits and the way to more.", **values))
    return Notice(titles, bodies, None, None, "usage")


__all__ = ["LEVELS", "Line", "administrators", "count_again", "lines", "settle", "settle_one", "warn"]
