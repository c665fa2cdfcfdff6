"""Row security: the SQL that protects a table. Migrations apply it; the doctor compares the live database with it."""

from __future__ import annotations

from saas.db.roles import APP, SYSTEM

# NULLIF because the setting is '' (not null) after the first transaction of a connection, and ''::uuid raises.
# The sub-select makes it one evaluation a query instead of one a row.
CURRENT_TENANT = "(SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
RESTRICTIVE, PERMISSIVE = "tenant_only", "tenant_rows"


def condition(column: str = "tenant_id") -> str:
    return f"{column} = {CURRENT_TENANT}"


def protect(table: str, column: str = "tenant_id") -> list[str]:
    """Enable and force row security, with two policies that say the same: the restrictive one keeps tenants apart even if
    somebody adds a permissive policy later. Can run twice."""
    rule = condition(column)
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {RESTRICTIVE} ON {table}",
        f"DROP POLICY IF EXISTS {PERMISSIVE} ON {table}",
        f"CREATE POLICY {RESTRICTIVE} ON {table} AS RESTRICTIVE FOR ALL TO PUBLIC USING ({rule}) WITH CHECK ({rule})",
        f"CREATE POLICY {PERMISSIVE} ON {table} AS PERMISSIVE FOR ALL TO PUBLIC USING ({rule}) WITH CHECK ({rule})",
    ]


def close_partition(table: str) -> list[str]:
    """A partition is reached through its parent, whose policies apply. Asked directly it shows nothing: no policy, no grant."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"REVOKE ALL ON {table} FROM PUBLIC, {APP}, {SYSTEM}",
    ]


def grant(table: str, rights: str = "SELECT, INSERT, UPDATE, DELETE", *, system: str | None = None) -> list[str]:
    """What the app role may do (nothing for an empty text); the system role may do everything unless told otherwise."""
    statements = [f"REVOKE ALL ON {table} FROM PUBLIC, {APP}, {SYSTEM}"]
    if rights:
        statements.append(f"GRANT {rights} ON {table} TO {APP}")
    statements.append(f"GRANT {system or 'SELECT, INSERT, UPDATE, DELETE'} ON {table} TO {SYSTEM}")
    return statements
