"""What the planner must know of the tables beside the records: with thousands of tenants, tenant and entity look so rare together that
any index that begins with them seems as good as the one that leads to the record, and the rows of a whole tenant are read."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T14:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Statistics beside records"
COLUMNS = {
    "stage_history": "tenant_id, entity_id, record_id", "search_token": "tenant_id, entity_id, record_id", "unique_value": "tenant_id, entity_id, record_id",
    "record_link": "tenant_id, entity_id, from_id", "field_column": "tenant_id, entity_id",
}  # fmt: skip


async def make_statistics() -> None:
    await DB.run_script(*(f"CREATE STATISTICS IF NOT EXISTS {table}_owner (dependencies) ON {columns} FROM {table}" for table, columns in COLUMNS.items()))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_statistics)
    return manager
