"""Slow statements by tenant, workers that are alive, and what caused a job."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T16:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Slow statements, heartbeats of workers, causes of jobs"

# `statement` has no constants and no parameters in it (saas.observe.statements).
TABLES = """
CREATE TABLE IF NOT EXISTS slow_query (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    fingerprint text NOT NULL,
    statement text NOT NULL,
    milliseconds double precision NOT NULL,
    row_count bigint,
    failed boolean NOT NULL DEFAULT false,
    route text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS slow_query_newest ON slow_query (tenant_id, at DESC);
CREATE TABLE IF NOT EXISTS worker_beat (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE job ADD COLUMN IF NOT EXISTS request_id text NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN IF NOT EXISTS traceparent text NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS job_failed ON job (finished_at) WHERE status = 'failed';
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("slow_query"), *grant("slow_query", "SELECT, INSERT, DELETE"))
    await DB.run_script(*grant("worker_beat", ""))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
