"""The doctor's look into the catalogue: roles, row security, policies, grants, functions. Works as the owner."""

from __future__ import annotations

from typing import Any

import asyncpg

from saas.db.rls import CURRENT_TENANT, PERMISSIVE, RESTRICTIVE
from saas.db.roles import APP, OWNER, SYSTEM

APPEND_ONLY = ("record_event", "audit_event", "approval_event", "billing_account", "billing_invoice", "billing_usage")
OPERATOR_TABLES = (
    "operator_account", "operator_session", "operator_audit", "operator_recovery_code", "tenant_move", "platform_mail", "worker_beat", "traffic_hour", "recent_error", "tenant_figures",
    "announcement", "feature_switch", "verified_domain", "stripe_customer", "stripe_event", "billing_report", "migration", "signup", "throttle",
)  # fmt: skip
# The column that says whose a row is, where it is not tenant_id.
OTHER_COLUMNS = {"tenant": "id"}
# Functions with SECURITY DEFINER would run past row security. We have none; a new one must be argued for in docs/tenancy.md.
DEFINER_FUNCTIONS: frozenset[str] = frozenset()

_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, pg_get_userbyid(c.relowner) AS owner,
       c.relispartition AS is_partition, c.oid
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
AND (c.relname = ANY($1::text[]) OR EXISTS (
    SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
ORDER BY c.relname
"""


async def tenant_tables(owner: asyncpg.Connection) -> dict[str, str]:
    """Every table whose rows belong to tenants, with the column that says to whom. Partitions are reached through these."""
    rows = await owner.fetch(_TABLES, list(OTHER_COLUMNS))
    return {row["name"]: OTHER_COLUMNS.get(row["name"], "tenant_id") for row in rows if not row["is_partition"]}


async def check_row_security(check: Any, owner: asyncpg.Connection) -> None:
    for row in await owner.fetch(_TABLES, list(OTHER_COLUMNS)):
        check.examined += 1
        if not row["enabled"]:
            check.problems.append(f"{row['name']}: row security is not enabled")
        if not row["forced"]:
            check.problems.append(f"{row['name']}: row security is not forced")


async def check_policies(check: Any, owner: asyncpg.Connection) -> None:
    """Exactly the pair of saas.db.rls. What PostgreSQL makes of its text differs by version, so it is compared with a table
    made for the purpose, which vanishes again."""
    rows = await owner.fetch(_TABLES, list(OTHER_COLUMNS))
    expected = {column: await _as_deparsed(owner, column) for column in {"tenant_id", *OTHER_COLUMNS.values()}}
    for row in rows:
        check.examined += 1
        policies = await owner.fetch(
            "SELECT polname, polpermissive, polcmd, polroles = '{0}'::oid[] AS for_all, pg_get_expr(polqual, polrelid) AS using, "
            "pg_get_expr(polwithcheck, polrelid) AS checking FROM pg_policy WHERE polrelid = $1 ORDER BY polname",
            row["oid"],
        )
        found = {policy["polname"]: policy for policy in policies}
        names = set() if row["is_partition"] else {RESTRICTIVE, PERMISSIVE}
        for name in sorted(set(found) ^ names):
            check.problems.append(f"{row['name']}: policy {name} {'is missing' if name in names else 'should not be there'}")
        text = expected[OTHER_COLUMNS.get(row["name"], "tenant_id")]
        for name in sorted(set(found) & names):
            policy = found[name]
            if policy["polpermissive"] != (name == PERMISSIVE):
                check.problems.append(f"{row['name']}: policy {name} is {'permissive' if policy['polpermissive'] else 'restrictive'}")
            if policy["polcmd"] != b"*" or not policy["for_all"]:
                check.problems.append(f"{row['name']}: policy {name} does not hold for every command and role")
            if policy["using"] != text or policy["checking"] != text:
                check.problems.append(f"{row['name']}: policy {name} does not compare with the current tenant")


async def _as_deparsed(owner: asyncpg.Connection, column: str) -> str:
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute(f"CREATE TEMPORARY TABLE policy_sample ({column} uuid) ON COMMIT DROP")
        await owner.execute(f"CREATE POLICY sample ON policy_sample USING ({column} = {CURRENT_TENANT})")
        return await owner.fetchval(
            "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'pg_temp.policy_sample'::regclass"
        )
    finally:
        await transaction.rollback()


async def check_roles(check: Any, owner: asyncpg.Connection) -> None:
    rows = {row["rolname"]: row for row in await owner.fetch("SELECT * FROM pg_roles WHERE rolname LIKE 'saas\\_%'")}
    for role in (OWNER, APP, SYSTEM):
        check.examined += 1
        if role not in rows:
            check.problems.append(f"{role}: is missing")
            continue
        for attribute in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication"):
            if rows[role][attribute]:
                check.problems.append(f"{role}: has {attribute[3:]}")
        if rows[role]["rolbypassrls"] != (role == SYSTEM):
            check.problems.append(f"{role}: {'bypasses row security' if role != SYSTEM else 'does not bypass row security'}")
    stronger = await owner.fetch(
        "SELECT rolname FROM pg_roles r WHERE rolname <> $1 AND pg_has_role($1, oid, 'MEMBER') "
        "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolname = ANY($2::text[]) OR rolname LIKE 'pg\\_%')",
        APP, [OWNER, SYSTEM],
    )
    check.problems += [f"{APP}: can become {row['rolname']}" for row in stronger]
    for row in await owner.fetch("SELECT relname, pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace"):
        check.examined += 1
        if row["owner"] in (APP, SYSTEM):
            check.problems.append(f"{row['relname']}: belongs to {row['owner']}")
    if await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", APP):
        check.problems.append(f"{APP}: may create objects in the schema")


async def check_grants(check: Any, owner: asyncpg.Connection) -> None:
    """Nothing for everybody, nothing on partitions, only appending where it says so, nothing on operators' tables."""
    rows = await owner.fetch(
        "SELECT c.relname, c.relispartition, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END AS grantee, "
        "g.privilege_type FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
    ordinary = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for row in rows:
        table, grantee, right = row["relname"], row["grantee"], row["privilege_type"]
        if grantee == "PUBLIC":
            check.problems.append(f"{table}: everybody has {right}")
        if grantee not in (APP, SYSTEM):
            continue
        check.examined += 1
        allowed = ordinary
        if grantee == APP and (table in APPEND_ONLY or table == "tenant"):
            allowed = {"SELECT", "INSERT"}
        elif grantee == APP and table in OPERATOR_TABLES:
            allowed = set()
        if row["relispartition"]:
            allowed = set()
        if right not in allowed:
            check.problems.append(f"{table}: {grantee} has {right}")
    columns = await owner.fetch(
        "SELECT c.relname, a.attname, g.privilege_type FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "CROSS JOIN LATERAL aclexplode(a.attacl) g WHERE c.relnamespace = 'public'::regnamespace "
        "AND g.grantee IN (0, (SELECT oid FROM pg_roles WHERE rolname = $1))",
        APP,
    )
    for row in columns:
        check.examined += 1
        if row["relname"] != "tenant" or row["privilege_type"] != "UPDATE" or row["attname"] in ("id", "slug", "status", "plan_key", "limit_overrides", "paid_limits", "status_cause", "trial_ends_at", "status_reason", "features"):
            check.problems.append(f"{row['relname']}.{row['attname']}: {APP} has {row['privilege_type']}")


async def check_functions(check: Any, owner: asyncpg.Connection) -> None:
    """No function of ours runs with another's rights, and no view shows rows past the policies of its reader."""
    check.examined += 1
    for row in await owner.fetch(
        "SELECT p.oid::regprocedure::text AS name FROM pg_proc p WHERE p.prosecdef "
        "AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    ):
        if row["name"] not in DEFINER_FUNCTIONS:
            check.problems.append(f"{row['name']}: runs as its owner (SECURITY DEFINER)")
    for row in await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND (relkind = 'm' OR relkind = 'v' "
        "AND NOT COALESCE(reloptions::text[] && ARRAY['security_invoker=true', 'security_invoker=on'], false))"
    ):
        check.problems.append(f"{row['relname']}: a view that reads as its owner")


async def check_keys(check: Any, owner: asyncpg.Connection) -> None:
    """tenant_id is part of every unique key, so that no key can tell that another tenant's row exists."""
    rows = await owner.fetch(
        "SELECT c.relname, i.indexrelid::regclass::text AS key, EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid "
        "AND a.attname = 'tenant_id' AND a.attnum = ANY(i.indkey::int2[])) AS has_tenant FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND EXISTS (SELECT 1 FROM pg_attribute a "
        "WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
    )
    for row in rows:
        check.examined += 1
        if not row["has_tenant"]:
            check.problems.append(f"{row['relname']}: the unique key {row['key']} goes over all tenants")


ALL = (
    ("roles", "The app role owns nothing, bypasses nothing and cannot become anybody who does", check_roles),
    ("row_security", "Row security is enabled and forced on every table with tenant rows", check_row_security),
    ("policies", "Every such table has exactly the restrictive and the permissive policy", check_policies),
    ("grants", "Grants are the least that work; none on partitions", check_grants),
    ("functions", "No function or view reads with its owner's rights", check_functions),
    ("keys", "Every unique key contains the tenant", check_keys),
)
