"""Single sign-on of a tenant's people by an OpenID Connect provider of the tenant's own."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T15:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Single sign-on"

# `client_secret` and `session.sso` (the ID token, for signing out at the provider) are encrypted (saas.tenants.sealing).
# A subject belongs to one person and a person has one subject of an issuer: an address changed at the provider opens nobody else's account.
TABLES = """
ALTER TABLE session ADD COLUMN IF NOT EXISTS via text NOT NULL DEFAULT 'password';
ALTER TABLE session ADD COLUMN IF NOT EXISTS sso bytea;
CREATE TABLE IF NOT EXISTS sso_provider (
    tenant_id uuid NOT NULL PRIMARY KEY,
    mode text NOT NULL DEFAULT 'off' CHECK (mode IN ('off', 'on', 'required')),
    label text NOT NULL DEFAULT '',
    issuer text NOT NULL,
    client_id text NOT NULL,
    client_secret bytea,
    email_domains text[] NOT NULL DEFAULT '{}',
    creates boolean NOT NULL DEFAULT false,
    default_role text NOT NULL DEFAULT '',
    role_claim text NOT NULL DEFAULT '',
    role_map jsonb NOT NULL DEFAULT '[]',
    emergency_user_id uuid,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS sso_subject (
    tenant_id uuid NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, issuer, subject),
    UNIQUE (tenant_id, issuer, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS sso_subject_person ON sso_subject (tenant_id, user_id);
CREATE TABLE IF NOT EXISTS sso_used (
    tenant_id uuid NOT NULL,
    state_hash bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, state_hash)
);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in ("sso_provider", "sso_subject", "sso_used"):
        await DB.run_script(*protect(table), *grant(table))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
