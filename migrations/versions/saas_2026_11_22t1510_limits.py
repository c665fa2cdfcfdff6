"""Limits: a tenant's own ones, the end of its trial, more states; what is used, counted as it happens."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T15:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Plans, limits and usage"

# Until now "free" was the only plan and limited nothing but indexes: who has it goes on without limits. The owner is subject to the
# forced policies, so they are lifted for this one statement; nobody else sees the table in between, its lock is held until the end.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS limit_overrides jsonb NOT NULL DEFAULT '{}';
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS trial_ends_at timestamptz;
ALTER TABLE tenant ALTER COLUMN plan_key SET DEFAULT 'unlimited';
ALTER TABLE tenant DROP CONSTRAINT IF EXISTS tenant_status_check;
ALTER TABLE tenant ADD CONSTRAINT tenant_status_check CHECK (status IN ('active', 'past_due', 'read_only', 'suspended', 'deleting'));
ALTER TABLE tenant NO FORCE ROW LEVEL SECURITY;
UPDATE tenant SET plan_key = 'unlimited' WHERE plan_key = 'free';
ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
CREATE TABLE IF NOT EXISTS usage_delta (
    tenant_id uuid NOT NULL,
    meter text NOT NULL,
    id uuid NOT NULL,
    amount bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, meter, id)
);
CREATE TABLE IF NOT EXISTS usage_day (
    tenant_id uuid NOT NULL,
    meter text NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    checked_at timestamptz,
    PRIMARY KEY (tenant_id, meter, day)
);
CREATE TABLE IF NOT EXISTS usage_notice (
    tenant_id uuid NOT NULL,
    meter text NOT NULL,
    level int NOT NULL,
    period text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, meter, level, period)
);
"""
FULL = ("usage_delta", "usage_day", "usage_notice")


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in FULL:
        await DB.run_script(*protect(table), *grant(table))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
