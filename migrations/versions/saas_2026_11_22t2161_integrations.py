"""What tenants connect with: providers of SMS, webhooks out and in, connectors; and what was said over them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:61:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Integrations and the log of their exchanges"

# `secret` and `old_secret` are sealed (saas.tenants.sealing). `key` of an exchange makes it happen once.
TABLES = """
CREATE TABLE IF NOT EXISTS integration (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('sms', 'webhook', 'inbound', 'connector')),
    key text NOT NULL,
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    secret bytea NOT NULL,
    old_secret bytea,
    old_until timestamptz,
    active boolean NOT NULL DEFAULT true,
    failing_since timestamptz,
    stopped_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by uuid,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, key)
);
CREATE TABLE IF NOT EXISTS exchange (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    integration_id uuid NOT NULL,
    at timestamptz NOT NULL,
    direction text NOT NULL CHECK (direction IN ('out', 'in')),
    event text NOT NULL,
    entity_id int,
    record_id uuid,
    key text,
    status text NOT NULL CHECK (status IN ('queued', 'done', 'failed', 'refused')),
    attempts int NOT NULL DEFAULT 0,
    request text NOT NULL DEFAULT '',
    answer text NOT NULL DEFAULT '',
    http_status int,
    error text NOT NULL DEFAULT '',
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, integration_id, key),
    FOREIGN KEY (tenant_id, integration_id) REFERENCES integration (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS exchange_newest ON exchange (tenant_id, integration_id, at DESC, id DESC);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("integration"), *grant("integration"))
    await DB.run_script(*protect("exchange"), *grant("exchange"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
