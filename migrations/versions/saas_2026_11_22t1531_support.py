"""Support access of operators to a tenant, as the tenant allows it; why a tenant is suspended; its feature switches."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect
from saas.db.roles import APP

ID = "2026-11-22T15:31:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Support access"

# `ticket_hash`: the one-time token that opens the session, good for a minute. `until`: how long a request or an approval waits; of an
# open session it is the end, set once when it opens and never again.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS status_reason text NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS features jsonb NOT NULL DEFAULT '{}';
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS support jsonb NOT NULL DEFAULT '{}';
CREATE TABLE IF NOT EXISTS support_access (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    operator_id uuid NOT NULL,
    operator_name text NOT NULL,
    operator_email text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('read', 'write')),
    reason text NOT NULL,
    role_key text NOT NULL DEFAULT '',
    by_consent boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'asked' CHECK (status IN ('asked', 'ready', 'open', 'over')),
    asked_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    ticket_hash bytea,
    ticket_until timestamptz,
    session_hash bytea,
    csrf_secret text NOT NULL DEFAULT '',
    opened_at timestamptz,
    ended_at timestamptz,
    outcome text NOT NULL DEFAULT '' CHECK (outcome IN ('', 'refused', 'withdrawn', 'ended', 'ended_by_tenant', 'consent')),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS support_access_newest ON support_access (tenant_id, asked_at DESC);
CREATE INDEX IF NOT EXISTS support_access_session ON support_access (tenant_id, session_hash) WHERE session_hash IS NOT NULL;
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("support_access"), *grant("support_access", "SELECT, INSERT, UPDATE"), f"GRANT UPDATE (support) ON tenant TO {APP}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
