"""Automation runs beyond the plan, told to the payment provider day by day: each day once, whatever happens in between."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import cells, system_transaction
from saas.errors import AppError, Unavailable
from saas.log import get_logger
from saas.tenants.billing import client, store
from saas.tenants.billing.catalogue import MARK, RUNS
from saas.tenants.plans import catalogue, limits_of

log = get_logger(__name__)
BACK_DAYS = 3  # a day is told when it is over; later ones of a worker that was away are caught up
# What passed in each day of the month so far, settled or not.
_DAYS = """
SELECT day, sum(amount)::bigint AS amount FROM (
    SELECT d.day, d.amount FROM usage_day d WHERE d.tenant_id = $1 AND d.meter = $2 AND d.day >= $3 AND d.day <= $4
    UNION ALL
    SELECT (u.at AT TIME ZONE 'UTC')::date, u.amount FROM usage_delta u
    WHERE u.tenant_id = $1 AND u.meter = $2 AND u.at >= $3::date::timestamp AT TIME ZONE 'UTC' AND u.at < ($4::date + 1)::timestamp AT TIME ZONE 'UTC'
) s GROUP BY day ORDER BY day"""

# A day that is not told yet may still grow: on the day that extra runs are lowered, people go on. More than the agreed sum never comes.
_OWE = """
INSERT INTO billing_usage AS b (tenant_id, meter, day, amount)
SELECT $1, $2, $3::date, owed FROM (
    SELECT least($4::bigint, $6::bigint - (SELECT coalesce(sum(o.amount), 0) FROM billing_usage o WHERE o.tenant_id = $1 AND o.meter = $2 AND o.day >= $5 AND o.day < $3))::bigint AS owed
) s WHERE owed > 0
ON CONFLICT (tenant_id, meter, day) DO UPDATE SET amount = excluded.amount WHERE b.sent_at IS NULL AND b.amount < excluded.amount"""


def beyond(days: dict[date, int], included: int, day: date) -> int:
    """How much of what passed on this day was beyond what the plan includes in its month."""
    before = sum(amount for on, amount in days.items() if on.replace(day=1) == day.replace(day=1) and on < day)
    return max(0, before + days.get(day, 0) - included) - max(0, before - included)


async def note(conn: Any, tenant_id: UUID, account: store.Account, today: date) -> None:
    """Write down what the days that are over owe, in a month at most the extra runs that were agreed on. What was told stays as it is."""
    overrides = json.loads(await conn.fetchval("SELECT limit_overrides FROM tenant WHERE id = $1", tenant_id) or "{}")
    included = limits_of(account.plan_key, overrides).automation_runs  # the operator's own limit goes before the plan's
    if included is None:
        return
    first = today - timedelta(days=BACK_DAYS)
    rows = await conn.fetch(_DAYS, tenant_id, RUNS.meter, first.replace(day=1), today - timedelta(days=1))
    days = {row["day"]: row["amount"] for row in rows}
    for back in range(BACK_DAYS, 0, -1):
        day = today - timedelta(days=back)
        if amount := beyond(days, included, day):
            await conn.execute(_OWE, tenant_id, RUNS.meter, day, amount, day.replace(day=1), account.extra_runs)


async def begin(conn: Any, tenant_id: UUID, today: date) -> None:
    """Extra runs were switched on: the days before owe nothing."""
    for back in range(1, BACK_DAYS + 1):
        day = today - timedelta(days=back)
        await conn.execute("INSERT INTO billing_usage (tenant_id, meter, day, amount, sent_at) VALUES ($1, $2, $3, 0, now()) ON CONFLICT DO NOTHING", tenant_id, RUNS.meter, day)


async def send_due(*, now: datetime | None = None) -> int:
    """Tell the provider what was used beyond the plans until yesterday; returns how many days of tenants. By the worker, hourly.
    The identifier makes it harmless to tell a day twice."""
    today, sent = (now or datetime.now(UTC)).astimezone(UTC).date(), 0
    for cell in cells():
        try:
            async with system_transaction("billing", cell=cell) as conn:
                owing = await conn.fetch("SELECT a.tenant_id FROM billing_account a JOIN tenant t ON t.id = a.tenant_id AND t.cell = '' WHERE a.extra_runs > 0")
                for row in owing:
                    account = await store.lock_account(conn, row["tenant_id"])
                    if account.is_live and account.plan_key in catalogue():
                        await note(conn, row["tenant_id"], account, today)
                waiting = await conn.fetch(
                    "SELECT u.tenant_id, u.meter, u.day, u.amount, a.customer_id FROM billing_usage u JOIN billing_account a ON a.tenant_id = u.tenant_id "
                    "JOIN tenant t ON t.id = u.tenant_id AND t.cell = '' WHERE u.sent_at IS NULL AND (u.day < $1 OR a.extra_runs = 0) "
                    "ORDER BY u.day LIMIT 5000", today,
                )
        except Unavailable:
            continue
        for row in waiting:
            try:
                await _send(row)
            except AppError:  # logged; tried again at the next hour
                continue
            async with system_transaction("billing", cell=cell) as conn:
                await conn.execute("UPDATE billing_usage SET sent_at = now() WHERE tenant_id = $1 AND meter = $2 AND day = $3", row["tenant_id"], row["meter"], row["day"])
            sent += 1
    return sent


async def _send(row: Any) -> None:
    noon = datetime(row["day"].year, row["day"].month, row["day"].day, 12, tzinfo=UTC)
    values = {
        "event_name": f"{MARK}_{row['meter']}", "identifier": f"{row['tenant_id']}-{row['meter']}-{row['day']}", "timestamp": int(noon.timestamp()),
        "payload": {"stripe_customer_id": row["customer_id"], "value": str(row["amount"])},
    }  # fmt: skip
    try:
        await client.ask("billing.meter_events.create", values)
    except client.Duplicate:  # told already, and we died before writing that down
        log.info("billing.usage_told_before", tenant_id=str(row["tenant_id"]), day=str(row["day"]))
