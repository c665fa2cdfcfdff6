"""Effects on the outside world waiting to be sent: requests, messages and whatever else has a kind."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Outbox"

# A row is written in the transaction that causes the effect, and sent by a worker. `due_at` is when it is to be tried next; while it is
# being sent, when somebody else may take it over. `origin` says what caused it, for people: {"automation", "entity", "record", ...}.
TABLES = """
CREATE TABLE IF NOT EXISTS outbox (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    origin jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'cancelled')),
    attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    error text NOT NULL DEFAULT '',
    reply text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    sent_at timestamptz,
    request_id text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key)
);
-- A tenant's own queue; senders step from tenant to tenant through it, however long one of them is.
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (tenant_id, due_at) WHERE status IN ('queued', 'sending');
CREATE INDEX IF NOT EXISTS outbox_newest ON outbox (tenant_id, created_at DESC, id DESC);
"""
KEPT = "SELECT, INSERT, UPDATE"  # what is over is removed by the system's housekeeping


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("outbox"), *grant("outbox", KEPT))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
