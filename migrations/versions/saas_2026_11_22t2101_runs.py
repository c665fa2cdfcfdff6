"""Runs of automations: their steps, what they wait for, and where they go on."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Runs of automations"

# `steps`: what was done, step by step, for people. `state`: what a run that waits or failed needs to go on: its steps as they were, the
# place, results so far. `due_at` is a moment of the tenant's clock; `watches`: a change of the record may end the wait earlier.
SQL = """
ALTER TABLE automation_log
    ADD COLUMN IF NOT EXISTS trigger text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS revision int,
    ADD COLUMN IF NOT EXISTS actor_id uuid,
    ADD COLUMN IF NOT EXISTS ended_at timestamptz,
    ADD COLUMN IF NOT EXISTS work_us bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS error text,
    ADD COLUMN IF NOT EXISTS steps jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS state jsonb,
    ADD COLUMN IF NOT EXISTS due_at timestamptz,
    ADD COLUMN IF NOT EXISTS watches boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS automation_log_waiting ON automation_log (tenant_id, due_at) WHERE status = 'waiting';
CREATE INDEX IF NOT EXISTS automation_log_newest ON automation_log (tenant_id, at DESC, id DESC);
CREATE INDEX IF NOT EXISTS automation_log_record ON automation_log (tenant_id, record_id, at DESC);
"""


async def add_columns() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_columns)
    return manager
