"""What the console's list shows of each tenant: one row a tenant, measured in the background, so that ten thousand are listed, sorted and
searched without counting anybody's records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import cells, system_transaction
from saas.errors import Unavailable
from saas.tenants.plans import limits_of

MEASURE_SECONDS = 60.0
PAGE = 50
# The hour that runs, and of the one before what an hour ago was still to come.
_TRAFFIC = """
SELECT tenant, max(last_at) AS last_at, sum(requests) AS requests_day, sum(errors) AS errors_day,
round(sum(requests * part)) AS requests_hour, ceil(sum(errors * part)) AS errors_hour
FROM (SELECT *, CASE WHEN hour = date_trunc('hour', now()) THEN 1 WHEN hour = date_trunc('hour', now()) - interval '1 hour'
      THEN 1 - extract(epoch FROM now() - date_trunc('hour', now())) / 3600 ELSE 0 END AS part
      FROM traffic_hour WHERE hour > now() - interval '24 hours') h GROUP BY tenant
"""
_HERE = """
SELECT t.id, t.name, t.status, t.plan_key, t.limit_overrides, t.delete_after,
(SELECT count(*) FROM app_user u WHERE u.tenant_id = t.id AND u.status = 'active') AS seats,
(SELECT d.amount FROM usage_day d WHERE d.tenant_id = t.id AND d.meter = 'records' ORDER BY d.day DESC LIMIT 1) AS records,
(SELECT d.amount FROM usage_day d WHERE d.tenant_id = t.id AND d.meter = 'storage' ORDER BY d.day DESC LIMIT 1) AS storage,
coalesce(j.failed, 0) AS jobs_failed, coalesce(j.late, 0) AS jobs_late, coalesce(m.failed, 0) AS mail_failed
FROM tenant t
LEFT JOIN (SELECT tenant_id, count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'queued') AS late FROM job
           WHERE (status = 'failed' AND finished_at > now() - interval '24 hours') OR (status = 'queued' AND run_at < now() - interval '10 minutes') GROUP BY 1) j ON j.tenant_id = t.id
LEFT JOIN (SELECT tenant_id, count(*) AS failed FROM mail WHERE status = 'failed' AND created_at > now() - interval '24 hours' GROUP BY 1) m ON m.tenant_id = t.id
WHERE t.cell = ''
"""
_COLUMNS = (
    ("tenant", "uuid"), ("name", "text"), ("status", "text"), ("plan_key", "text"), ("delete_after", "timestamptz"), ("seats", "bigint"), ("records", "bigint"), ("storage", "bigint"),
    ("requests_hour", "bigint"), ("requests_day", "bigint"), ("errors_hour", "bigint"), ("errors_day", "bigint"), ("jobs_failed", "bigint"), ("jobs_late", "bigint"), ("mail_failed", "bigint"),
    ("last_at", "timestamptz"), ("full_percent", "int"),
)  # fmt: skip
_PUT = (
    f"INSERT INTO tenant_figures ({', '.join(n for n, _ in _COLUMNS)}, measured_at) SELECT u.*, now() FROM unnest({', '.join(f'${i}::{k}[]' for i, (_, k) in enumerate(_COLUMNS, 1))}) u "  # noqa: S608
    f"ON CONFLICT (tenant) DO UPDATE SET measured_at = now(), last_at = coalesce(excluded.last_at, tenant_figures.last_at), {', '.join(f'{n} = excluded.{n}' for n, _ in _COLUMNS if n not in ('tenant', 'last_at'))}"
)
_LEFT = "DELETE FROM {table} f WHERE NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = f.tenant)"


async def measure() -> int:
    """Measure all tenants of all databases; returns how many. By the worker, every minute. A database that is away keeps its old figures."""
    async with system_transaction("operator_console", timeout_seconds=60) as conn:
        traffic = {row["tenant"]: row for row in await conn.fetch(_TRAFFIC)}
    rows: list[list[Any]] = []
    for cell in cells():
        try:
            async with system_transaction("operator_console", timeout_seconds=60, cell=cell) as conn:
                rows += [_row(found, traffic.get(found["id"])) for found in await conn.fetch(_HERE)]
        except Unavailable:
            continue
    rows.sort(key=lambda row: row[0])
    async with system_transaction("operator_console", timeout_seconds=60) as conn:
        await conn.execute(_PUT, *([row[i] for row in rows] for i in range(len(_COLUMNS))))
        for table in ("tenant_figures", "traffic_hour", "recent_error"):
            await conn.execute(_LEFT.format(table=table))
        await conn.execute("DELETE FROM traffic_hour WHERE hour < now() - interval '31 days'")
        await conn.execute("DELETE FROM recent_error WHERE at < now() - interval '14 days'")
    return len(rows)


def _row(found: Any, traffic: Any) -> list[Any]:
    limits = limits_of(found["plan_key"], json.loads(found["limit_overrides"]))
    used = {name: int(found[name] or 0) for name in ("seats", "records", "storage")}
    shares = [min(999, 100 * n // allowed) if allowed else 100 for name, n in used.items() if (allowed := getattr(limits, name)) is not None]
    told = {name: int(traffic[name] or 0) if traffic else 0 for name in ("requests_hour", "requests_day", "errors_hour", "errors_day")}
    return [
        found["id"], found["name"], found["status"], found["plan_key"], found["delete_after"], *used.values(), *told.values(), found["jobs_failed"], found["jobs_late"], found["mail_failed"],
        traffic["last_at"] if traffic else None, max(shares, default=0),
    ]  # fmt: skip


# ---- the list --------------------------------------------------------------------------------------------------------------

SORTS: Mapping[str, str] = {
    "name": "lower(name)", "slug": "slug", "plan": "plan_key", "status": "status", "seats": "seats", "records": "records", "storage": "storage", "requests": "requests_hour", "errors": "errors_day",
    "last": "last_at", "created": "created_at", "health": "trouble",
}  # fmt: skip
# Bad (2), worth a look (1), well (0).
_TROUBLE = "CASE WHEN errors_hour > 0 OR jobs_failed > 0 THEN 2 WHEN errors_day > 0 OR jobs_late > 0 OR mail_failed > 0 OR full_percent >= 100 THEN 1 ELSE 0 END"
_ALL = f"""
SELECT *, {_TROUBLE} AS trouble FROM (
SELECT t.id, t.slug, t.pack_key, t.created_at, t.cell, t.locale, t.config_revision,
CASE WHEN t.cell = '' THEN t.name ELSE coalesce(f.name, t.name) END AS name, CASE WHEN t.cell = '' THEN t.status ELSE coalesce(f.status, t.status) END AS status,
CASE WHEN t.cell = '' THEN t.plan_key ELSE coalesce(f.plan_key, t.plan_key) END AS plan_key, CASE WHEN t.cell = '' THEN t.delete_after ELSE f.delete_after END AS delete_after,
coalesce(f.seats, 0) AS seats, coalesce(f.records, 0) AS records, coalesce(f.storage, 0) AS storage, coalesce(f.requests_hour, 0) AS requests_hour, coalesce(f.requests_day, 0) AS requests_day,
coalesce(f.errors_hour, 0) AS errors_hour, coalesce(f.errors_day, 0) AS errors_day, coalesce(f.jobs_failed, 0) AS jobs_failed, coalesce(f.jobs_late, 0) AS jobs_late,
coalesce(f.mail_failed, 0) AS mail_failed, coalesce(f.full_percent, 0) AS full_percent, f.last_at, f.measured_at
FROM tenant t LEFT JOIN tenant_figures f ON f.tenant = t.id) x
"""  # noqa: S608  constants of this file


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list. `total`: how many match."""

    rows: list[dict[str, Any]]
    total: int
    measured_at: datetime | None


async def list_figures(*, q: str = "", status: str = "", plan: str = "", sort: str = "name", page: int = 1) -> Found:
    """`q` matches parts of name and address; `status`: one of the states, or leaving; `sort` as in SORTS, "-" before it turns it round."""
    order = SORTS.get(sort.removeprefix("-"), "lower(name)")
    where = "WHERE ($1 = '' OR lower(name) LIKE $1 OR slug LIKE $1) AND ($2 = '' OR ($2 = 'leaving' AND delete_after IS NOT NULL) OR (status = $2 AND delete_after IS NULL)) AND ($3 = '' OR plan_key = $3)"
    like = "%" + q.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" if q.strip() else ""
    async with system_transaction("operator_console") as conn:
        total = await conn.fetchval(f"SELECT count(*) FROM ({_ALL}) y {where}", like, status, plan)  # noqa: S608  constants of this file
        rows = await conn.fetch(
            f"SELECT * FROM ({_ALL}) y {where} ORDER BY {order} {'DESC NULLS LAST' if sort.startswith('-') else 'ASC NULLS FIRST'}, slug LIMIT {PAGE} OFFSET $4",  # noqa: S608
            like, status, plan, (max(1, page) - 1) * PAGE,
        )
        measured = await conn.fetchval("SELECT max(measured_at) FROM tenant_figures")
    return Found([dict(row) for row in rows], total, measured)


async def figures_of(tenant_id: UUID) -> dict[str, Any] | None:
    """The list's row of one tenant."""
    async with system_transaction("operator_console") as conn:
        row = await conn.fetchrow(f"SELECT * FROM ({_ALL}) y WHERE id = $1", tenant_id)  # noqa: S608  constants of this file
    return dict(row) if row else None
