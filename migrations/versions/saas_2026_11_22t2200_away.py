"""Somebody may be away without anybody deciding for them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T22:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Days away without a deputy"


async def change() -> None:
    await DB.run_script("ALTER TABLE approval_deputy ALTER COLUMN deputy_id DROP NOT NULL")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(change)
    return manager
