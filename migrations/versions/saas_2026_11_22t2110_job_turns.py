"""Whose job is next: what people wait for before what they do not, and each tenant in its turn."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Priorities and turns of jobs"

# `priority`: small numbers first (saas.runtime.jobs). `started_at`: of the last attempt; a tenant's newest says when it had its turn.
TABLES = """
ALTER TABLE job ADD COLUMN IF NOT EXISTS priority smallint NOT NULL DEFAULT 1;
ALTER TABLE job ADD COLUMN IF NOT EXISTS started_at timestamptz;
-- The claim walks from tenant to tenant along this index and takes the first due job of each.
CREATE INDEX IF NOT EXISTS job_line ON job (tenant_id, priority, run_at, id) WHERE status IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS job_started ON job (tenant_id, started_at DESC) WHERE started_at IS NOT NULL;
"""


async def make_columns() -> None:
    await DB.run_script(TABLES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_columns)
    return manager
