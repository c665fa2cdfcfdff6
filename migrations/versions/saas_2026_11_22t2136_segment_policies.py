"""Row security for the segments of people."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:36:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Policies of segments"


async def protect_tables() -> None:
    await DB.run_script(*protect("user_segment"), *grant("user_segment", "SELECT, INSERT, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(protect_tables)
    return manager
