"""Which segments (business lines, shops, branches) people belong to."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:35:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Segments of people"

SQL = """
CREATE TABLE IF NOT EXISTS user_segment (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    option_key text COLLATE "C" NOT NULL DEFAULT '',
    record_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    PRIMARY KEY (tenant_id, user_id, option_key, record_id)
);
"""


async def add_tables() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_tables)
    return manager
