"""Several databases: where a tenant lives, what its sessions wrote (for replicas), and the log of moves."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant

ID = "2026-11-22T11:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Cells and replicas"

# '' means here. In the home database this column is the directory; the app role may not change it.
# A move names its tenant by a column of another name: the table is the operators' and has no tenant's rows.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS cell text NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN IF NOT EXISTS writes bigint NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS tenant_move (
    id uuid PRIMARY KEY,
    moved_id uuid NOT NULL,
    slug text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'failed', 'kept', 'done')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    read_only_ms int,
    purge_after timestamptz,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS tenant_move_started ON tenant_move (started_at DESC);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES, *grant("tenant_move", ""))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
