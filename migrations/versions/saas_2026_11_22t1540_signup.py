"""Companies that sign up by themselves: sign-ups that wait for their confirmation, how often somebody asked, the way from the apex host into
the new workspace, what came as sample data, and the list of first steps."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T15:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Sign-up, sample data and first steps"

# `signup` and `throttle` belong to no tenant yet: the system's role only, at home. `held_until`: so long nobody else gets the address.
TABLES = """
CREATE TABLE IF NOT EXISTS signup (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    email text NOT NULL,
    slug text NOT NULL,
    company text NOT NULL,
    name text NOT NULL,
    locale text NOT NULL,
    pack_key text NOT NULL,
    plan_key text NOT NULL,
    with_sample boolean NOT NULL DEFAULT false,
    time_zone text NOT NULL DEFAULT '',
    ip text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    held_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    made_tenant uuid
);
CREATE INDEX IF NOT EXISTS signup_slug ON signup (slug);
CREATE INDEX IF NOT EXISTS signup_email ON signup (email);
CREATE TABLE IF NOT EXISTS throttle (
    key bytea NOT NULL,
    window_start timestamptz NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (key, window_start)
);
CREATE TABLE IF NOT EXISTS hand_over (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS sample_record (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    sample_key text NOT NULL DEFAULT '',
    loaded_at timestamptz NOT NULL,
    cleared_at timestamptz,
    PRIMARY KEY (tenant_id, entity_id, record_id)
);
CREATE TABLE IF NOT EXISTS first_steps (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    put_away_at timestamptz,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE app_user ADD COLUMN IF NOT EXISTS sample_key text;
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*grant("signup", ""), *grant("throttle", ""))
    await DB.run_script(*protect("hand_over"), *grant("hand_over", "SELECT, INSERT, DELETE"))
    await DB.run_script(*protect("sample_record"), *grant("sample_record"))
    await DB.run_script(*protect("first_steps"), *grant("first_steps", "SELECT, INSERT, UPDATE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
