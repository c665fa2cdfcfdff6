"""Second factors with recovery codes, pending second steps of signing in, API keys as a kind of session, rules of the tenant."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect
from saas.db.roles import APP

ID = "2026-11-22T14:44:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Account security"

# `secret` is encrypted (saas.tenants.sealing). `last_step`: the newest half minute whose code was used; none is taken twice.
# An API key is a session that a person named: it ends, is listed and revoked like one. `entities` null: all.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS security jsonb NOT NULL DEFAULT '{}';
ALTER TABLE app_user ADD COLUMN IF NOT EXISTS password_changed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE session ADD COLUMN IF NOT EXISTS name text NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN IF NOT EXISTS prefix text NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN IF NOT EXISTS scopes text[];
ALTER TABLE session ADD COLUMN IF NOT EXISTS entities text[];
ALTER TABLE session DROP CONSTRAINT IF EXISTS session_kind_check;
ALTER TABLE session ADD CONSTRAINT session_kind_check CHECK (kind IN ('web', 'api', 'key') AND (kind = 'key') = (scopes IS NOT NULL));
CREATE TABLE IF NOT EXISTS second_factor (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    secret bytea NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS recovery_code (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS sign_in_step (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS sign_in_step_of_user ON sign_in_step (tenant_id, user_id);
"""
NEW = ("second_factor", "recovery_code", "sign_in_step")


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in NEW:
        await DB.run_script(*protect(table), *grant(table))
    await DB.run_script(f"GRANT UPDATE (security) ON tenant TO {APP}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
