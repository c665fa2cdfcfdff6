"""Places remember how their values are written, so that no value is read as what it is not after a change of type."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T08:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Shapes of values"


async def add_shape() -> None:
    await DB.run_script("ALTER TABLE field_column ADD COLUMN IF NOT EXISTS shape text NOT NULL DEFAULT ''")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_shape)
    return manager
