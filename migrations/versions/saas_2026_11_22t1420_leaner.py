"""Indexes that pay: one fewer on the history, whose primary key begins with the same columns and is read backwards as well; and
the tokens of a record with their texts, so that looking for a word in one record reads no row of the table."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T14:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "History without its second index; tokens by record"

INDEXES = """
DROP INDEX IF EXISTS record_event_record;
DROP INDEX IF EXISTS search_token_record;
CREATE INDEX search_token_record ON search_token (tenant_id, entity_id, record_id, token);
"""


async def make_indexes() -> None:
    await DB.run_script(INDEXES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_indexes)
    return manager
