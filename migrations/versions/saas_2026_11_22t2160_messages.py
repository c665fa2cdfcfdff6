"""Messages that tenants send to people: the log, and who wants none."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:60:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Messages to people about records, and opting out"

# A message is written in the transaction that causes it and sent through the outbox. `recipient` is an address, a number or a person's name;
# `reply` what the mail server or provider said, `provider_ref` what the provider calls it.
TABLES = """
CREATE TABLE IF NOT EXISTS message (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    entity_id int,
    record_id uuid,
    batch_id uuid,
    template_key text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'in_app')),
    recipient text NOT NULL,
    user_id uuid,
    locale text NOT NULL,
    subject text NOT NULL DEFAULT '',
    body text NOT NULL,
    link text NOT NULL DEFAULT '',
    essential boolean NOT NULL DEFAULT false,
    status text NOT NULL CHECK (status IN ('queued', 'sent', 'delivered', 'failed', 'recorded', 'left_out')),
    attempts int NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    reply text NOT NULL DEFAULT '',
    provider_ref text NOT NULL DEFAULT '',
    sent_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS message_newest ON message (tenant_id, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS message_record ON message (tenant_id, entity_id, record_id, created_at DESC) WHERE record_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_provider ON message (tenant_id, provider_ref) WHERE provider_ref <> '';
CREATE TABLE IF NOT EXISTS opt_out (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'in_app')),
    address text,
    user_id uuid,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, channel, address),
    UNIQUE (tenant_id, channel, user_id)
);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("message"), *grant("message", "SELECT, INSERT, UPDATE"))
    await DB.run_script(*protect("opt_out"), *grant("opt_out", "SELECT, INSERT, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
