"""What people confirm to have read after signing in."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:63:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Notices after signing in"

TABLES = """
ALTER TABLE session ADD COLUMN IF NOT EXISTS notices_read_at timestamptz;
CREATE TABLE IF NOT EXISTS notice_seen (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    version int NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, entity_id, record_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("notice_seen"), *grant("notice_seen", "SELECT, INSERT, UPDATE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
