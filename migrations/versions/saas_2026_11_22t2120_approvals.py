"""Approvals: running ones with the definition they began with, their tasks, who may decide, what happened; deputies, heads of
departments, and what of a record may be changed while one runs."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Approvals"

# record.frozen: NULL, or while an approval runs the keys of the fields that may be changed all the same. It stands in the record's row
# so that whoever waits for the row's lock sees it; a table beside it would be read as of before the wait.
TABLES = """
ALTER TABLE record ADD COLUMN IF NOT EXISTS frozen text[];
ALTER TABLE department ADD COLUMN IF NOT EXISTS head_id uuid;
CREATE TABLE IF NOT EXISTS approval_flow (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    approval_key text NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'returned', 'approved', 'rejected', 'withdrawn')),
    definition jsonb NOT NULL,
    way_key text NOT NULL DEFAULT '',
    applicant_id uuid,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    round int NOT NULL DEFAULT 1,
    step int NOT NULL DEFAULT 0,
    needed int NOT NULL DEFAULT 0,
    comment text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS approval_flow_open ON approval_flow (tenant_id, entity_id, record_id) WHERE status IN ('running', 'returned');
CREATE INDEX IF NOT EXISTS approval_flow_record ON approval_flow (tenant_id, entity_id, record_id, started_at DESC);
CREATE INDEX IF NOT EXISTS approval_flow_applicant ON approval_flow (tenant_id, applicant_id, started_at DESC);
CREATE TABLE IF NOT EXISTS approval_task (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    flow_id uuid NOT NULL,
    round int NOT NULL,
    step int NOT NULL,
    seat int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('decide', 'before', 'after', 'rework')),
    parent_id uuid,
    status text NOT NULL CHECK (status IN ('open', 'waits', 'approved', 'rejected', 'returned', 'passed', 'cancelled', 'done')),
    created_at timestamptz NOT NULL,
    remind_at timestamptz,
    due_at timestamptz,
    reminded_at timestamptz,
    decided_at timestamptz,
    decided_by uuid,
    for_id uuid,
    comment text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS approval_task_flow ON approval_task (tenant_id, flow_id);
CREATE INDEX IF NOT EXISTS approval_task_remind ON approval_task (tenant_id, remind_at) WHERE status = 'open' AND reminded_at IS NULL AND remind_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS approval_task_decided ON approval_task (tenant_id, decided_by, decided_at DESC) WHERE decided_by IS NOT NULL;
CREATE TABLE IF NOT EXISTS approval_person (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    task_id uuid NOT NULL,
    is_open boolean NOT NULL DEFAULT true,
    PRIMARY KEY (tenant_id, user_id, task_id)
);
CREATE INDEX IF NOT EXISTS approval_person_open ON approval_person (tenant_id, user_id) WHERE is_open;
CREATE INDEX IF NOT EXISTS approval_person_task ON approval_person (tenant_id, task_id);
CREATE TABLE IF NOT EXISTS approval_event (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    flow_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    number int NOT NULL,
    at timestamptz NOT NULL,
    actor_id uuid,
    act text NOT NULL,
    step int NOT NULL DEFAULT 0,
    for_id uuid,
    to_id uuid,
    comment text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS approval_event_record ON approval_event (tenant_id, entity_id, record_id, at);
CREATE INDEX IF NOT EXISTS approval_event_flow ON approval_event (tenant_id, flow_id, number);
CREATE TABLE IF NOT EXISTS approval_deputy (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    deputy_id uuid NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS approval_deputy_user ON approval_deputy (tenant_id, user_id);
CREATE INDEX IF NOT EXISTS approval_deputy_deputy ON approval_deputy (tenant_id, deputy_id);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table, rights in (
        ("approval_flow", "SELECT, INSERT, UPDATE, DELETE"), ("approval_task", "SELECT, INSERT, UPDATE, DELETE"), ("approval_person", "SELECT, INSERT, UPDATE, DELETE"),
        ("approval_event", "SELECT, INSERT"), ("approval_deputy", "SELECT, INSERT, DELETE"),
    ):  # fmt: skip
        await DB.run_script(*protect(table), *grant(table, rights))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
