"""Make the baseline's schema and copy the product's records into it, so that both answer from the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

HERE = Path(__file__).parent
ROLE, PASSWORD = "baseline_app", "baseline"
PROTECTED = (
    "app_user", "department", "session", "notification", "region", "product", "campaign", "customer", "deal", "task", "history", "deal_stage", "search_token", "job",
)  # fmt: skip
# The tables' columns by the fields of bundle.json; dates are days here.
FIELDS = {
    "region": {"name": "name", "manager": "manager"}, "product": {"name": "name", "price": "price"}, "campaign": {"name": "name", "starts_on": "starts_on::date"},
    "customer": {
        **{k: k for k in ("name", "name_en", "code", "level", "industry", "status", "city", "phone", "mail", "employees", "score", "revenue", "last_contact_at", "note", "deal_amount")},
        "founded_on": "founded_on::date", "next_contact_on": "next_contact_on::date", "vip": "vip::bool",
        "region": "region_id", "product": "product_id", "campaign": "campaign_id",
    },
    "deal": {
        **{k: k for k in ("name", "amount", "probability", "source", "priority", "quantity", "discount", "contact", "phone", "next_step", "competitor", "decided_at", "reason", "note")},
        "expected_on": "expected_on::date", "renewal": "renewal::bool", "customer": "customer_id", "product": "product_id", "campaign": "campaign_id", "region": "region_id",
    },
    "task": {"name": "name", "due": "due::date", "done": "done::bool", "customer": "customer_id", "deal": "deal_id"},
}  # fmt: skip
META = "version, owner_id, department_id, created_at, created_by, updated_at, updated_by, deleted_at"


async def fill(conn: asyncpg.Connection, tenant_id: Any, say: Any) -> None:
    """From `public` (the product's tables) into `baseline`, for all tenants; the places of fields are those of each tenant."""
    await conn.execute((HERE / "schema.sql").read_text())
    try:
        await _copy(conn, say)
        say("Baseline: indexes")
        await conn.execute((HERE / "indexes.sql").read_text())
        await _protect(conn)
    finally:
        await conn.execute("RESET search_path")


async def _copy(conn: asyncpg.Connection, say: Any) -> None:
    for statement in (
        "INSERT INTO baseline.tenant SELECT id, slug, name, status FROM public.tenant",
        "INSERT INTO baseline.app_user SELECT u.tenant_id, u.id, u.email, u.name, r.role_key, u.status, d.department_id FROM public.app_user u "
        "JOIN public.user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id LEFT JOIN public.user_department d ON d.tenant_id = u.tenant_id AND d.user_id = u.id",
        "INSERT INTO baseline.department SELECT tenant_id, id, name->>'zh_CN', parent_id FROM public.department",
    ):
        await conn.execute(statement)
    for entity, fields in FIELDS.items():
        # Tenants of one bundle have their fields in the same places; those that differ come in groups of their own.
        groups = await conn.fetch(
            "SELECT places, array_agg(id) AS numbers FROM (SELECT e.id, jsonb_object_agg(f.field_key, f.column_name)::text AS places FROM public.entity e "
            "JOIN public.field_column f ON f.tenant_id = e.tenant_id AND f.entity_id = e.id WHERE e.key = $1 AND f.retired_at IS NULL GROUP BY 1) p GROUP BY 1", entity
        )  # fmt: skip
        for group in groups:
            await _records(conn, entity, fields, _places(group["places"]), group["numbers"])
        say(f"Baseline: {entity}")
    await conn.execute(
        "INSERT INTO baseline.history SELECT h.tenant_id, e.key, h.record_id, h.id, h.at, h.actor_id, h.kind, h.version, h.changes "
        "FROM public.record_event h JOIN public.entity e ON e.tenant_id = h.tenant_id AND e.id = h.entity_id"
    )
    await conn.execute("INSERT INTO baseline.deal_stage SELECT tenant_id, record_id, id, stage, entered_at, left_at, user_id FROM public.stage_history")
    await conn.execute(
        "INSERT INTO baseline.search_token SELECT s.tenant_id, e.key, s.token, s.record_id FROM public.search_token s JOIN public.entity e ON e.tenant_id = s.tenant_id AND e.id = s.entity_id "
        "ORDER BY 1, 2, 3, 4"
    )
    say("Baseline: history and search")


def _places(text: str) -> dict[str, str]:
    import json

    return json.loads(text)


async def _records(conn: asyncpg.Connection, entity: str, fields: dict[str, str], places: dict[str, str], numbers: list[int]) -> None:
    columns, values = ["tenant_id", "id"], ["tenant_id", "id"]
    if entity in ("customer", "deal", "task"):
        columns.append(META)
        values.append(META)
    else:
        columns.append("deleted_at")
        values.append("deleted_at")
    if entity == "deal":
        columns += ["stage", "stage_since"]
        values += ["state", "state_since"]
    for key, target in fields.items():
        column, _, cast = target.partition("::")
        place = places.get(key, f"doc:{key}")
        if place.startswith("doc:"):
            source = f"doc->>'{place[4:]}'"
        elif cast == "date":
            source = f"({place} AT TIME ZONE 'UTC')::date"
        elif cast == "bool":
            source = f"coalesce({place}, 0) = 1" if entity == "task" else f"{place} = 1"
        else:
            source = place
        columns.append(column)
        values.append(source)
    await conn.execute(
        f"INSERT INTO baseline.{entity} ({', '.join(columns)}) SELECT {', '.join(values)} FROM public.record WHERE entity_id = ANY($1::int[])",
        numbers, timeout=3600,
    )  # fmt: skip


async def _protect(conn: asyncpg.Connection) -> None:
    """Forced row security with the product's condition, and an application role that owns nothing."""
    if not await conn.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
        await conn.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{PASSWORD}'")
    rule = "tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    for table in PROTECTED:
        for statement in (
            f"ALTER TABLE baseline.{table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE baseline.{table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON baseline.{table} USING ({rule}) WITH CHECK ({rule})",
        ):  # fmt: skip
            await conn.execute(statement)
    await conn.execute(f"GRANT USAGE ON SCHEMA baseline TO {ROLE}")
    await conn.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA baseline TO {ROLE}")
    await conn.execute(f"ALTER ROLE {ROLE} SET search_path = baseline")


async def is_filled(conn: asyncpg.Connection) -> bool:
    return bool(await conn.fetchval("SELECT to_regclass('baseline.search_token_record') IS NOT NULL"))
