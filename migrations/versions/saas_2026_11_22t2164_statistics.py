"""Tables with two indexes that begin with tenant and entity: the planner is told that an entity belongs to one tenant."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:64:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Statistics of owners, shares, traces and approvals"
TABLES = ("approval_flow", "ownership_event", "record_share", "record_trace")


async def make_statistics() -> None:
    await DB.run_script(*(f"CREATE STATISTICS IF NOT EXISTS {table}_owner (dependencies) ON tenant_id, entity_id FROM {table}" for table in TABLES))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_statistics)
    return manager
