"""How people want to be told of notifications besides the bell."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T22:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Notifications by e-mail and SMS"

# `told_by`: email, sms. A notification that is to leave stays marked until it has; `due_at` is real time.
CHANGES = """
ALTER TABLE app_user ADD COLUMN IF NOT EXISTS told_by text[] NOT NULL DEFAULT '{}';
ALTER TABLE notification ADD COLUMN IF NOT EXISTS due_by text[] NOT NULL DEFAULT '{}';
ALTER TABLE notification ADD COLUMN IF NOT EXISTS due_at timestamptz;
"""


async def change() -> None:
    await DB.run_script(CHANGES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(change)
    return manager
