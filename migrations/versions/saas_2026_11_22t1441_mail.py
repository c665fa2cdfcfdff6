"""Messages waiting to be sent, links for new passwords, invitations."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T14:41:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Mail, password resets and invitations"

# A message is written in the transaction that causes it and sent by a worker. `reply` is what the mail server said.
# Where `is_secret`, the text holds a link that opens something: it is emptied as soon as the message is over.
_MESSAGE = """
    id uuid NOT NULL,
    kind text NOT NULL,
    sender_name text NOT NULL DEFAULT '',
    recipient text NOT NULL,
    recipient_name text NOT NULL DEFAULT '',
    locale text NOT NULL DEFAULT 'en',
    subject text NOT NULL,
    body_text text NOT NULL,
    body_html text NOT NULL DEFAULT '',
    is_secret boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'recorded')),
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    locked_until timestamptz,
    error text NOT NULL DEFAULT '',
    reply text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
"""
TABLES = f"""
CREATE TABLE IF NOT EXISTS mail (
    tenant_id uuid NOT NULL,
    {_MESSAGE}
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS mail_due ON mail (next_attempt_at) WHERE status IN ('queued', 'sending');
CREATE INDEX IF NOT EXISTS mail_newest ON mail (tenant_id, created_at DESC);
CREATE TABLE IF NOT EXISTS platform_mail (
    {_MESSAGE}
    PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS platform_mail_due ON platform_mail (next_attempt_at) WHERE status IN ('queued', 'sending');
CREATE TABLE IF NOT EXISTS password_reset (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS password_reset_person ON password_reset (tenant_id, user_id);
CREATE TABLE IF NOT EXISTS invitation (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL DEFAULT '',
    role_keys text[] NOT NULL DEFAULT '{{}}',
    department_id uuid,
    locale text NOT NULL,
    token_hash bytea NOT NULL,
    invited_by uuid NOT NULL,
    mail_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid,
    withdrawn_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, invited_by) REFERENCES app_user (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX IF NOT EXISTS invitation_open ON invitation (tenant_id, email) WHERE accepted_at IS NULL AND withdrawn_at IS NULL;
"""
KEPT = "SELECT, INSERT, UPDATE"  # what is over is removed by the system's housekeeping


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in ("mail", "password_reset", "invitation"):
        await DB.run_script(*protect(table), *grant(table, KEPT))
    await DB.run_script(*grant("platform_mail", ""))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
