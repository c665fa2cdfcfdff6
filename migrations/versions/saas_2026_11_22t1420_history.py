"""One index fewer on the history: its primary key begins with the same columns, and is read backwards as well."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T14:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "History without its second index"


async def drop_index() -> None:
    await DB.run_script("DROP INDEX IF EXISTS record_event_record;")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(drop_index)
    return manager
