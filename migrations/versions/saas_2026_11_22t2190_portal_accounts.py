"""Accounts that a record closes, remembered devices, and an item that a person shows before their password is changed."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:90:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Accounts of people outside"

# A remembered device is a session that opens nothing but a new session; `verification_hash`: argon2id, empty without an item.
TABLES = """
ALTER TABLE app_user ADD COLUMN IF NOT EXISTS closed_at timestamptz;
ALTER TABLE app_user ADD COLUMN IF NOT EXISTS verification_hash text NOT NULL DEFAULT '';
ALTER TABLE session DROP CONSTRAINT IF EXISTS session_kind_check;
ALTER TABLE session ADD CONSTRAINT session_kind_check CHECK (kind IN ('web', 'api', 'key', 'device') AND (kind = 'key') = (scopes IS NOT NULL));
"""


async def make_columns() -> None:
    await DB.run_script(TABLES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_columns)
    return manager
