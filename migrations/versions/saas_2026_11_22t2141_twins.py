"""Records found to be alike, and those of which somebody said that they are not the same."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:41:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Report of collisions"

# `one_id` is the smaller of the two.
TABLES = """
CREATE TABLE IF NOT EXISTS twin_pair (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    rule_key text NOT NULL,
    score int NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, entity_id, one_id, other_id, rule_key)
);
CREATE TABLE IF NOT EXISTS twin_dismissed (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    dismissed_at timestamptz NOT NULL DEFAULT now(),
    dismissed_by uuid,
    PRIMARY KEY (tenant_id, entity_id, one_id, other_id)
);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in ("twin_pair", "twin_dismissed"):
        await DB.run_script(*protect(table), *grant(table, "SELECT, INSERT, UPDATE, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
