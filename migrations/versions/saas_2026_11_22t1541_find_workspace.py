"""Somebody who forgot their company's address is found by e-mail, over all tenants of a database."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T15:41:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "People by e-mail"


async def add_index() -> None:
    await DB.run_script("CREATE INDEX IF NOT EXISTS app_user_email ON app_user (email)")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_index)
    return manager
