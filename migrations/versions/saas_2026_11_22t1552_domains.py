"""Addresses of their own: domains that tenants name and prove by a DNS record, and the directory of those that are proved."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect
from saas.db.roles import APP

ID = "2026-11-22T15:52:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Custom domains"

# Anybody may name any domain: `tenant_domain` is the tenant's own list. Who has proved one stands in `verified_domain` at home, which only
# the system's role reads: one owner a name, for all tenants. `tenant.domain` is the main address of the tenant's pages and links.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS domain text NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS domain_redirects boolean NOT NULL DEFAULT true;
CREATE TABLE IF NOT EXISTS tenant_domain (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    token text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'verified', 'lost')),
    created_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    checked_at timestamptz,
    next_check_at timestamptz NOT NULL DEFAULT now(),
    missing_since timestamptz,
    warnings int NOT NULL DEFAULT 0,
    found text NOT NULL DEFAULT '',
    points_here boolean,
    PRIMARY KEY (tenant_id, name)
);
CREATE INDEX IF NOT EXISTS tenant_domain_due ON tenant_domain (next_check_at);
CREATE TABLE IF NOT EXISTS verified_domain (
    name text NOT NULL PRIMARY KEY,
    owner_id uuid NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS verified_domain_owner ON verified_domain (owner_id);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("tenant_domain"), *grant("tenant_domain"), *grant("verified_domain", ""))
    await DB.run_script(f"GRANT UPDATE (domain, domain_redirects) ON tenant TO {APP}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
