"""Operators' second factors and roles; what the console keeps: traffic by the hour, figures of tenants, announcements, switches."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T15:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Operator console"

# The column for secrets in plain text was never used: there was no page to set one up.
# A session of kind 'step' stands between the password and the code; it opens nothing else.
OPERATORS = """
ALTER TABLE operator_account DROP COLUMN IF EXISTS totp_secret;
ALTER TABLE operator_account ADD COLUMN IF NOT EXISTS role text NOT NULL DEFAULT 'full' CHECK (role IN ('full', 'read'));
ALTER TABLE operator_account ADD COLUMN IF NOT EXISTS factor_secret bytea;
ALTER TABLE operator_account ADD COLUMN IF NOT EXISTS factor_step bigint NOT NULL DEFAULT 0;
ALTER TABLE operator_account ADD COLUMN IF NOT EXISTS factor_since timestamptz;
ALTER TABLE operator_session DROP CONSTRAINT IF EXISTS operator_session_kind_check;
ALTER TABLE operator_session ADD CONSTRAINT operator_session_kind_check CHECK (kind IN ('web', 'api', 'step'));
CREATE TABLE IF NOT EXISTS operator_recovery_code (
    operator_id uuid NOT NULL REFERENCES operator_account (id) ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (operator_id, code_hash)
);
CREATE INDEX IF NOT EXISTS operator_audit_tenant ON operator_audit (tenant_id_text, at DESC);
CREATE INDEX IF NOT EXISTS operator_audit_failures ON operator_audit (at DESC) WHERE kind = 'sign_in.failed';
"""
# About tenants, but the operators' own: they stay at home wherever a tenant lives, and no tenant's role sees them. `tenant` and not
# tenant_id, for they are no rows of the tenant.
CONSOLE = """
CREATE TABLE IF NOT EXISTS traffic_hour (
    tenant uuid NOT NULL,
    hour timestamptz NOT NULL,
    requests bigint NOT NULL DEFAULT 0,
    errors bigint NOT NULL DEFAULT 0,
    milliseconds bigint NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, hour)
);
CREATE INDEX IF NOT EXISTS traffic_hour_hour ON traffic_hour (hour);
CREATE TABLE IF NOT EXISTS recent_error (
    tenant uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    status int NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX IF NOT EXISTS recent_error_at ON recent_error (at);
CREATE TABLE IF NOT EXISTS tenant_figures (
    tenant uuid PRIMARY KEY,
    seats bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    storage bigint NOT NULL DEFAULT 0,
    requests_hour bigint NOT NULL DEFAULT 0,
    requests_day bigint NOT NULL DEFAULT 0,
    errors_hour bigint NOT NULL DEFAULT 0,
    errors_day bigint NOT NULL DEFAULT 0,
    jobs_failed bigint NOT NULL DEFAULT 0,
    jobs_late bigint NOT NULL DEFAULT 0,
    mail_failed bigint NOT NULL DEFAULT 0,
    last_at timestamptz,
    full_percent int NOT NULL DEFAULT 0,
    measured_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS announcement (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('info', 'warning', 'danger')),
    text_en text NOT NULL,
    text_zh_cn text NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    plans text[] NOT NULL DEFAULT '{}',
    tenants uuid[] NOT NULL DEFAULT '{}',
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (until_at > from_at)
);
CREATE INDEX IF NOT EXISTS announcement_until ON announcement (until_at);
CREATE TABLE IF NOT EXISTS feature_switch (
    key text PRIMARY KEY,
    is_on boolean NOT NULL,
    changed_by uuid,
    changed_at timestamptz NOT NULL DEFAULT now()
);
"""
OWN = ("operator_recovery_code", "traffic_hour", "recent_error", "tenant_figures", "announcement", "feature_switch")
DISMISSED = """
CREATE TABLE IF NOT EXISTS announcement_dismissed (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    announcement_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id, announcement_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
"""


async def make_tables() -> None:
    await DB.run_script(OPERATORS, CONSOLE, DISMISSED)
    for table in OWN:
        await DB.run_script(*grant(table, ""))
    await DB.run_script(*protect("announcement_dismissed"), *grant("announcement_dismissed", "SELECT, INSERT, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
