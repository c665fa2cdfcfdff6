"""What connectors know of other systems: how far a mirror got, and what a stub was sent."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:80:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "State of connectors"

# `part`: "mirror <key>" or "sample <path>". `at` (of the last success), `tried_at` and `again_at` go by the tenant's clock, `busy_until` by
# the real one. `rows`: what a stub was sent, oldest first.
TABLES = """
CREATE TABLE IF NOT EXISTS connector_state (
    tenant_id uuid NOT NULL,
    connector text NOT NULL,
    part text NOT NULL,
    at timestamptz,
    tried_at timestamptz,
    again_at timestamptz,
    busy_until timestamptz,
    attempts int NOT NULL DEFAULT 0,
    mark text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    counts jsonb NOT NULL DEFAULT '{}',
    rows jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, connector, part)
);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("connector_state"), *grant("connector_state"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
