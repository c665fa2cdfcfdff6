"""Where answers to a message go: an address of the tenant's own."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T15:55:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Reply-to of mail"

SQL = """
ALTER TABLE mail ADD COLUMN IF NOT EXISTS reply_to text NOT NULL DEFAULT '';
ALTER TABLE platform_mail ADD COLUMN IF NOT EXISTS reply_to text NOT NULL DEFAULT '';
"""


async def add_columns() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_columns)
    return manager
