"""Lists that grow for years are read by what is looked for, not as a whole."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T22:21:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Indexes of long lists"

# What takes the lock that keeps readers out comes last, and takes no time.
INDEXES = """
CREATE INDEX IF NOT EXISTS notification_due ON notification (tenant_id, user_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS notification_unread ON notification (tenant_id, user_id, id) WHERE read_at IS NULL;
CREATE INDEX IF NOT EXISTS notification_newest ON notification (tenant_id, user_id, id DESC);
CREATE INDEX IF NOT EXISTS outbox_not_sent ON outbox (tenant_id, created_at DESC, id DESC) WHERE status <> 'sent';
CREATE INDEX IF NOT EXISTS automation_log_not_done ON automation_log (tenant_id, at DESC, id DESC) WHERE status <> 'done';
CREATE INDEX IF NOT EXISTS job_mine ON job (tenant_id, created_by, created_at DESC, id DESC) WHERE created_by IS NOT NULL;
DROP INDEX IF EXISTS notification_user;
"""


async def change() -> None:
    await DB.run_script(INDEXES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(change)
    return manager
