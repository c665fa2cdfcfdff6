"""What came in by public web forms."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:62:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Entries of web forms"

# `nonce` belongs to one showing of the form, so that a page sent twice makes one record; `place` is a keyed hash of the network it came from.
TABLES = """
CREATE TABLE IF NOT EXISTS form_entry (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    form_key text NOT NULL,
    nonce text,
    place bytea NOT NULL,
    at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('made', 'matched', 'refused', 'spam')),
    entity_id int,
    record_id uuid,
    user_id uuid,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, form_key, nonce)
);
CREATE INDEX IF NOT EXISTS form_entry_newest ON form_entry (tenant_id, form_key, at DESC);
CREATE INDEX IF NOT EXISTS form_entry_place ON form_entry (tenant_id, place, at DESC);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("form_entry"), *grant("form_entry", "SELECT, INSERT, UPDATE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
