"""The log of what was done to records is read newest first, across all kinds of records."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T22:05:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Events of a tenant by time"


async def make_index() -> None:
    await DB.run_script("CREATE INDEX IF NOT EXISTS record_event_log ON record_event (tenant_id, at DESC, id DESC)")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_index)
    return manager
