"""Plan and usage as administrators and operators read them; warnings at 80 and 100 percent; folding and nightly counting."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from saas.db import tenant_transaction
from saas.errors import InvalidInput, Unavailable
from saas.i18n import LOCALES, LazyString, gettext, lazy, use_locale
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.notifications import Notice, deliver
from saas.tenants import TenantRow, get_tenant, meters
from saas.tenants.limits import amount
from saas.tenants.links import address_of
from saas.tenants.mail import compose, queue_mail
from saas.tenants.plans import NAMES, Limits

log = structlog.get_logger(__name__)
SHOWN = ("seats", "portal_seats", "records", "storage", "automation_runs", "api_requests", "mails", "custom_entities", "fields_per_entity", "indexed_fields")
LEVELS = (100, 80)  # percent
_WARNED = ("seats", "portal_seats", "records", "storage", "automation_runs", "mails")
_PERIODS = {"automation_runs": "%Y-%m", "mails": "%Y-%m-%d"}
# Of the live configuration: entities that come from no installed pack, fields of the widest of them, and fields with an index.
_CONFIGURED = """
WITH entities AS (
    SELECT e FROM tenant t JOIN config_revision c ON c.tenant_id = t.id AND c.number = t.config_revision, jsonb_array_elements(c.bundle -> 'entities') AS e WHERE t.id = $1
), own AS (
    SELECT e FROM entities WHERE NOT EXISTS (
        SELECT 1 FROM pack_install p, jsonb_path_query(p.bundle, '$.entities[*].key') AS o WHERE p.tenant_id = $1 AND o = e -> 'key')
)
SELECT (SELECT count(*) FROM own) AS custom_entities, (SELECT coalesce(max(jsonb_array_length(e -> 'fields')), 0) FROM own)::bigint AS fields_per_entity,
(SELECT count(*) FROM entities, jsonb_array_elements(e -> 'fields') AS f WHERE f ->> 'indexed' = 'true') AS indexed_fields
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
        return {"limit": self.key, "label": str(self.label), "used": self.used, "allowed": self.allowed, "percent": self.percent}


async def lines(conn: Any, tenant_id: UUID, limits: Limits) -> list[Line]:
    """What is used of each limit, at this moment. Any transaction that sees the tenant will do."""
    figures = {**await meters.all_used(conn, tenant_id), **await conn.fetchrow(_CONFIGURED, tenant_id)}
    return [Line(key, figures[key], getattr(limits, key)) for key in SHOWN]


def beyond(found: Sequence[Line], limits: Limits) -> list[Line]:
    """What would be more than `limits` allow, such as those of another plan. Nothing of it would be taken away; only more is refused."""
    lines = [Line(line.key, line.used, getattr(limits, line.key)) for line in found]
    return [line for line in lines if line.percent is not None and line.allowed is not None and line.used > line.allowed]


@dataclass(frozen=True, slots=True)
class Day:
    """What there was at the end of a day (records, storage, people) or passed in it (the others); None: not known."""

    day: date
    amounts: Mapping[str, int | None]


async def days(conn: Any, tenant_id: UUID, count: int = 30) -> list[Day]:
    """The last `count` days (UTC) with today as it is now, oldest first."""
    kept = {row["day"]: row for row in await meters.days(conn, tenant_id, count)}
    now = await meters.all_used(conn, tenant_id)
    today = datetime.now(UTC).date()
    found: list[Day] = []
    held: dict[str, int | None] = dict.fromkeys((*meters.STOCKS, "seats"))
    for day in (today - timedelta(days=back) for back in range(count - 1, -1, -1)):
        row = kept.get(day.isoformat(), {})
        held = {key: row.get(key, before) for key, before in held.items()}
        found.append(Day(day, {**held, **{key: row.get(key, 0) for key in meters.FLOWS}}))
    # This month's automation runs are what is asked for elsewhere; of today there are those folded and those that wait.
    waiting = await meters.not_folded(conn, tenant_id)
    last = found[-1]
    found[-1] = Day(last.day, {**{key: now[key] for key in held}, **{key: (last.amounts[key] or 0) + waiting.get(key, 0) for key in meters.FLOWS}})
    return found


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
    """Tell administrators of each limit that reached 80 or 100 percent, once each; again only when it fell below and rose again a
    day later or more, or in the next month or day. Returns how many notices there were."""
    told, tenant = 0, await get_tenant(ctx.tenant_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        figures = await meters.all_used(conn, ctx.tenant_id)
        for line in (Line(key, figures[key], getattr(ctx.tenant.limits, key)) for key in _WARNED):
            await conn.execute("DELETE FROM usage_notice WHERE tenant_id = $1 AND meter = $2 AND period = '' AND level > $3 AND at < now() - interval '1 day'", ctx.tenant_id, line.key, line.level)
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
                people = await administrators(conn, ctx)
                await deliver(conn, ctx, people, _notice(line))
                await _write_to(conn, tenant, people, line)
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
            titles[locale], bodies[locale] = _title(line), f"{_figures(line)} {gettext('Settings, Plan and usage shows all limits and the way to more.')}"
    return Notice(titles, bodies, None, None, "usage", has_mail=True)


def _title(line: Line) -> str:
    values = {"limit": str(line.label), "percent": line.percent}
    return gettext("%(limit)s: the plan's limit is reached", **values) if line.level >= 100 else gettext("%(limit)s: %(percent)s%% of the plan is used", **values)


def _figures(line: Line) -> str:
    return gettext("%(used)s of %(allowed)s are used.", used=amount(line.key, line.used), allowed=amount(line.key, line.allowed or 0))


async def _write_to(conn: Any, tenant: TenantRow, people: Sequence[UUID], line: Line) -> None:
    """The same by mail. Who has an address that mail cannot reach has the notification."""
    rows = await conn.fetch("SELECT email, name, locale FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id", tenant.id, list(people))
    for row in rows:
        locale = row["locale"] or tenant.locale
        with use_locale(locale):
            values = {"name": row["name"], "title": _title(line), "figures": _figures(line), "full": line.level >= 100, "url": address_of(tenant, "/settings/plan")}
        with contextlib.suppress(InvalidInput):
            await queue_mail(conn, tenant.id, compose("usage", tenant, locale, values), row["email"], name=row["name"])


__all__ = ["LEVELS", "Day", "Line", "administrators", "beyond", "count_again", "days", "lines", "settle", "settle_one", "warn"]
