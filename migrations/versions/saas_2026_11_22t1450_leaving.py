"""When a tenant that leaves will be deleted. The app role may not change it, as with the status: row security cannot say who an
administrator is."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T14:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Deletion of tenants"

SQL = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS delete_after timestamptz;
CREATE INDEX IF NOT EXISTS tenant_delete_after ON tenant (delete_after) WHERE delete_after IS NOT NULL;
"""


async def add_column() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_column)
    return manager
