"""What a tenant uses, counted as it happens (docs/adr/0011-limits.md).

Each act appends what it changes to `usage_delta`, in the statement that writes the act itself: nobody waits for a counter, and what is
rolled back was never counted. `fold` moves these rows into `usage_day`, one row a meter and day. Records and storage are stocks: the
newest day says how much there is, and the rows not folded yet are added. The others are flows: each day says what passed in it.
Days and months are UTC's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from saas.db import Write, cells, system_transaction, tenant_transaction
from saas.tenants.ids import new_id

Meter = Literal["records", "storage", "automation_runs", "api_requests", "mails"]
STOCKS = ("records", "storage")
FLOWS = ("automation_runs", "api_requests", "mails")
CHECK_HOURS = 20  # after so long a tenant's stocks are counted again
_BEGIN = {
    "automation_runs": "date_trunc('month', now() AT TIME ZONE 'UTC')", "mails": "date_trunc('day', now() AT TIME ZONE 'UTC')",
    "api_requests": "date_trunc('day', now() AT TIME ZONE 'UTC')",
}  # fmt: skip
_FRESH = "coalesce((SELECT sum(u.amount) FROM usage_delta u WHERE u.tenant_id = $1 AND u.meter = $2{since}), 0)"
# Rows of the running minute stay: the limit of requests a minute is read from them.
_SETTLED = "(meter <> 'api_requests' OR at < date_trunc('minute', now()) - interval '1 minute')"
_FOLD = f"""
WITH gone AS (DELETE FROM usage_delta WHERE tenant_id = $1 AND {_SETTLED} RETURNING meter, amount, at),
sums AS (
    SELECT meter, CASE WHEN meter = ANY($2) THEN (now() AT TIME ZONE 'UTC')::date ELSE (at AT TIME ZONE 'UTC')::date END AS day, sum(amount)::bigint AS amount
    FROM gone GROUP BY 1, 2
)
INSERT INTO usage_day (tenant_id, meter, day, amount)
SELECT $1, s.meter, s.day, s.amount + CASE WHEN s.meter = ANY($2) THEN coalesce(
    (SELECT d.amount FROM usage_day d WHERE d.tenant_id = $1 AND d.meter = s.meter ORDER BY d.day DESC LIMIT 1), 0) ELSE 0 END
FROM sums s
"""  # noqa: S608  constants of this file
# Under the tenant's lock nobody else folds, so a day that is there was there before this statement.
_ADD = " ON CONFLICT (tenant_id, meter, day) DO UPDATE SET amount = CASE WHEN usage_day.meter = ANY($2) THEN excluded.amount ELSE usage_day.amount + excluded.amount END"
_TRUTH = {
    "records": "SELECT count(*) FROM record r WHERE r.tenant_id = $1 AND r.deleted_at IS NULL",
    "storage": "SELECT coalesce(sum(f.size_bytes), 0)::bigint FROM file f WHERE f.tenant_id = $1 AND f.deleted_at IS NULL",
}
# Keys of the roles for people outside who are a record each, as the live configuration has them.
PORTAL_ROLES = (
    "coalesce((SELECT jsonb_path_query_array(c.bundle, '$.roles[*] ? (exists (@.portal)).key') FROM config_revision c "
    "JOIN tenant o ON o.id = c.tenant_id AND o.config_revision = c.number WHERE c.tenant_id = $1), '[]'::jsonb)"
)
_OUTSIDE = (
    "(EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = a.tenant_id AND r.user_id = a.id) "  # noqa: S608  constants of this file
    f"AND NOT EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = a.tenant_id AND r.user_id = a.id AND NOT ({PORTAL_ROLES} ? r.role_key)))"
)
_ACTIVE = "SELECT count(*) FROM app_user a WHERE a.tenant_id = $1 AND a.status = 'active' AND NOT (a.sample_key IS NOT NULL AND a.password_hash = '')"  # not sample people who cannot sign in
SEATS, PORTAL_SEATS = f"{_ACTIVE} AND NOT {_OUTSIDE}", f"{_ACTIVE} AND {_OUTSIDE}"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('usage:' || $1::uuid::text, 0))"


def entry(tenant_id: UUID, meter: Meter, amount: int) -> Write:
    """The statement that counts an act; it belongs together with those that do it (`saas.db.write_together`)."""
    return ("INSERT INTO usage_delta (tenant_id, meter, id, amount) VALUES ($1, $2, $3, $4)", (tenant_id, meter, new_id(), amount))


def entry_of(tenant_id: UUID, meter: Meter, amount: int, at: datetime) -> Write:
    """The same for what happened at `at` (aware)."""
    return ("INSERT INTO usage_delta (tenant_id, meter, id, amount, at) VALUES ($1, $2, $3, $4, $5)", (tenant_id, meter, new_id(), amount, at))


def question(tenant_id: UUID, meter: Meter) -> Write:
    """The statement that tells how much is used: a stock now, automation runs this month, the others today."""
    if meter in STOCKS:
        kept = "coalesce((SELECT d.amount FROM usage_day d WHERE d.tenant_id = $1 AND d.meter = $2 ORDER BY d.day DESC LIMIT 1), 0)"
        return (f"SELECT ({kept} + {_FRESH.format(since='')})::bigint", (tenant_id, meter))
    begin = _BEGIN[meter]
    kept = f"coalesce((SELECT sum(d.amount) FROM usage_day d WHERE d.tenant_id = $1 AND d.meter = $2 AND d.day >= ({begin})::date), 0)"  # noqa: S608  constants of this file
    fresh = _FRESH.format(since=f" AND u.at >= ({begin}) AT TIME ZONE 'UTC'")
    return (f"SELECT ({kept} + {fresh})::bigint", (tenant_id, meter))


async def used(conn: Any, tenant_id: UUID, meter: Meter) -> int:
    sql, args = question(tenant_id, meter)
    return await conn.fetchval(sql, *args)


async def all_used(conn: Any, tenant_id: UUID) -> dict[str, int]:
    """{meter: figure} with `seats` and `portal_seats`, in one trip."""
    parts = [(meter, *question(tenant_id, meter)) for meter in (*STOCKS, *FLOWS)]
    columns = ", ".join(f"({sql.replace('$2', f'{chr(39)}{meter}{chr(39)}')}) AS {meter}" for meter, sql, _ in parts)
    row = await conn.fetchrow(f"SELECT ({SEATS}) AS seats, ({PORTAL_SEATS}) AS portal_seats, {columns}", tenant_id)
    return dict(row)


async def fold(conn: Any, tenant_id: UUID) -> None:
    """Put what was counted into the days. Two at once wait for each other."""
    await conn.execute(_LOCK, tenant_id)
    await conn.execute(_FOLD + _ADD, tenant_id, list(STOCKS))


async def reconcile(tenant_id: UUID) -> dict[str, int]:
    """Count records and files, and correct what was counted otherwise; returns by how much. Both figures are of one snapshot, so acts
    that happen meanwhile are in both or in neither. May take a minute for millions of records."""
    drift = {}
    async with tenant_transaction(tenant_id, timeout_seconds=600) as conn:
        for meter, truth in _TRUTH.items():
            sql, args = question(tenant_id, meter)  # type: ignore[arg-type]
            drift[meter] = await conn.fetchval(f"SELECT (({truth}) - ({sql}))::bigint", *args)
            if drift[meter]:
                insert, given = entry(tenant_id, meter, drift[meter])  # type: ignore[arg-type]
                await conn.execute(insert, *given)
        await fold(conn, tenant_id)
        for meter, sql in (*((m, question(tenant_id, m)[0].replace("$2", f"'{m}'")) for m in STOCKS), ("seats", SEATS)):  # type: ignore[arg-type]
            await conn.execute(
                f"INSERT INTO usage_day (tenant_id, meter, day, amount, checked_at) SELECT $1, '{meter}', (now() AT TIME ZONE 'UTC')::date, ({sql}), now() "
                "ON CONFLICT (tenant_id, meter, day) DO UPDATE SET checked_at = now(), amount = CASE WHEN usage_day.meter = 'seats' THEN excluded.amount ELSE usage_day.amount END",
                tenant_id,
            )
    return drift


async def waiting() -> list[UUID]:
    """Tenants with something to fold, of all databases."""
    return await _everywhere("SELECT DISTINCT u.tenant_id FROM usage_delta u JOIN tenant t ON t.id = u.tenant_id AND t.cell = ''")


async def due() -> list[UUID]:
    """Tenants whose stocks have not been counted for CHECK_HOURS, of all databases."""
    return await _everywhere(
        "SELECT t.id FROM tenant t WHERE t.cell = '' AND t.config_revision > 0 AND NOT EXISTS (SELECT 1 FROM usage_day d WHERE d.tenant_id = t.id "  # noqa: S608
        f"AND d.meter = 'records' AND d.checked_at > now() - interval '{CHECK_HOURS} hours')"
    )


async def _everywhere(sql: str) -> list[UUID]:
    found: list[UUID] = []
    for cell in cells():
        async with system_transaction("metering", cell=cell) as conn:
            found += [row[0] for row in await conn.fetch(sql)]
    return found


async def not_folded(conn: Any, tenant_id: UUID) -> dict[str, int]:
    """{meter: amount} of today that is in no day yet."""
    sql = "SELECT meter, sum(amount)::bigint AS amount FROM usage_delta WHERE tenant_id = $1 AND at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' GROUP BY 1"
    return {row["meter"]: row["amount"] for row in await conn.fetch(sql, tenant_id)}


async def days(conn: Any, tenant_id: UUID, count: int = 31) -> list[dict[str, Any]]:
    """[{"day", meter: amount}], newest first; what is not folded yet is not in it."""
    since: date = datetime.now(UTC).date() - timedelta(days=count)
    rows = await conn.fetch("SELECT day, meter, amount FROM usage_day WHERE tenant_id = $1 AND day > $2 ORDER BY day DESC, meter", tenant_id, since)
    found: dict[date, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row["day"], {"day": row["day"].isoformat()})[row["meter"]] = row["amount"]
    return list(found.values())


__all__ = ["FLOWS", "PORTAL_ROLES", "PORTAL_SEATS", "SEATS", "STOCKS", "Meter", "all_used", "days", "due", "entry", "entry_of", "fold", "not_folded", "question", "reconcile", "used", "waiting"]
