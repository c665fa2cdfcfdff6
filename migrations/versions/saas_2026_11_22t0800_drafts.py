"""Drafts per author with their steps, plans, installed packs, indexes of single fields, paused jobs, viewing as another role, logos."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T08:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Drafts, plans and packs"

# The draft table of the first release only kept the plan made last.
TABLES = """
DROP TABLE IF EXISTS config_draft;
CREATE TABLE IF NOT EXISTS config_draft (
    tenant_id uuid NOT NULL,
    author_id uuid NOT NULL,
    base_revision int NOT NULL,
    bundle jsonb NOT NULL,
    data jsonb NOT NULL DEFAULT '[]',
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, author_id)
);
CREATE TABLE IF NOT EXISTS config_draft_step (
    tenant_id uuid NOT NULL,
    author_id uuid NOT NULL,
    number int NOT NULL,
    title text NOT NULL,
    base_revision int NOT NULL,
    bundle jsonb NOT NULL,
    data jsonb NOT NULL DEFAULT '[]',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, author_id, number)
);
CREATE TABLE IF NOT EXISTS config_plan (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    base_revision int NOT NULL,
    hash text NOT NULL,
    bundle jsonb NOT NULL,
    data jsonb NOT NULL DEFAULT '[]',
    report jsonb NOT NULL DEFAULT '{}',
    pack jsonb,
    author_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS config_plan_created ON config_plan (tenant_id, created_at);
CREATE TABLE IF NOT EXISTS pack_install (
    tenant_id uuid NOT NULL,
    pack_key text NOT NULL,
    version text NOT NULL,
    bundle jsonb NOT NULL,
    revision int NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, pack_key)
);
CREATE TABLE IF NOT EXISTS field_index (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    column_name text NOT NULL,
    index_name text NOT NULL,
    status text NOT NULL DEFAULT 'building' CHECK (status IN ('building', 'ready', 'failed', 'dropping')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, entity_id, column_name)
);
CREATE TABLE IF NOT EXISTS brand_file (
    tenant_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('logo', 'icon')),
    content bytea NOT NULL,
    content_type text NOT NULL,
    hash text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind)
);
ALTER TABLE config_revision ADD COLUMN IF NOT EXISTS data jsonb NOT NULL DEFAULT '[]';
ALTER TABLE session ADD COLUMN IF NOT EXISTS view_as jsonb;
ALTER TABLE job DROP CONSTRAINT IF EXISTS job_status_check;
ALTER TABLE job ADD CONSTRAINT job_status_check CHECK (status IN ('queued', 'running', 'paused', 'done', 'failed', 'cancelled'));
"""
FULL = ("brand_file", "config_draft", "config_draft_step", "config_plan", "pack_install", "field_index")


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in FULL:
        await DB.run_script(*protect(table), *grant(table))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
