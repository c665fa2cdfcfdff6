"""How long views took when they were measured, so that a change can be compared with what was before."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T12:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Measures of views"

# `subject`: "views[customer:all]", "dashboards[home].widgets[won]"; one measure a revision of the configuration.
TABLE = """
CREATE TABLE IF NOT EXISTS view_measure (
    tenant_id uuid NOT NULL,
    subject text NOT NULL,
    revision int NOT NULL,
    records bigint NOT NULL,
    milliseconds double precision NOT NULL,
    is_stopped boolean NOT NULL DEFAULT false,
    reading jsonb NOT NULL DEFAULT '{}',
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subject, revision)
);
"""


async def make_table() -> None:
    await DB.run_script(TABLE)
    await DB.run_script(*protect("view_measure"), *grant("view_measure"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_table)
    return manager
