"""What the planner must know: an entity belongs to one tenant, so both conditions together are no rarer than one of them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T12:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Statistics of records"
PARTITIONS = 32


async def make_statistics() -> None:
    await DB.run_script(*(f"CREATE STATISTICS IF NOT EXISTS record_p{n:02}_owner (dependencies) ON tenant_id, entity_id FROM record_p{n:02}" for n in range(PARTITIONS)))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_statistics)
    return manager
