"""Single records opened to people, departments and roles, until a day or for good."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:33:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Shares of records"

# The index leads from a person's subjects to records: a list asks for all of them at once.
SQL = """
CREATE TABLE IF NOT EXISTS record_share (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    user_id uuid,
    department_id uuid,
    role_key text,
    subject text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce('user:' || user_id::text, 'dept:' || department_id::text, 'role:' || role_key, '')) STORED,
    level text NOT NULL,
    part text NOT NULL DEFAULT '',
    until timestamptz,
    created_at timestamptz NOT NULL,
    created_by uuid,
    PRIMARY KEY (tenant_id, entity_id, record_id, subject)
);
CREATE INDEX IF NOT EXISTS record_share_subject ON record_share (tenant_id, entity_id, subject, record_id) INCLUDE (level, until);
"""


async def add_tables() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_tables)
    return manager
