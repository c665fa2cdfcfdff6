"""How many jobs a tenant has running is asked at every claim, however many wait."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:65:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Running jobs of a tenant"


async def make_index() -> None:
    await DB.run_script("CREATE INDEX IF NOT EXISTS job_running ON job (tenant_id) WHERE status = 'running'")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_index)
    return manager
