"""The console's list knows name, status and plan of tenants that live in other databases, too."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T15:32:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Directory of tenants"

SQL = """
ALTER TABLE tenant_figures ADD COLUMN IF NOT EXISTS name text;
ALTER TABLE tenant_figures ADD COLUMN IF NOT EXISTS status text;
ALTER TABLE tenant_figures ADD COLUMN IF NOT EXISTS plan_key text;
ALTER TABLE tenant_figures ADD COLUMN IF NOT EXISTS delete_after timestamptz;
"""


async def add_columns() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_columns)
    return manager
