"""Billing: what the payment provider says about a tenant, its invoices and metered extras; stored events, reports of comparisons."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T15:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Billing"

# `status_cause` says whose the present status is: the operator's own is never lifted by a payment. `paid_limits` stand between the
# plan's limits and those the operator gave.
# billing_account: the first part is what the newest fetch from the provider said (`asked`, `applied` number the fetches, so that a slow
# one undoes nothing), then what the operator says, then what was announced to the company (`step` since `step_at`).
# stripe_customer stands at home: an event names a customer, and tenants may live in several databases.
TABLES = """
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS status_cause text NOT NULL DEFAULT 'operator';
ALTER TABLE tenant ADD COLUMN IF NOT EXISTS paid_limits jsonb NOT NULL DEFAULT '{}';
CREATE TABLE IF NOT EXISTS billing_account (
    tenant_id uuid PRIMARY KEY,
    customer_id text NOT NULL DEFAULT '',
    subscription_id text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'none',
    plan_key text NOT NULL DEFAULT '',
    currency text NOT NULL DEFAULT '',
    seats int NOT NULL DEFAULT 0,
    extra_runs int NOT NULL DEFAULT 0,
    period_start timestamptz,
    period_end timestamptz,
    trial_end timestamptz,
    cancel_at timestamptz,
    ended_at timestamptz,
    unpaid_since timestamptz,
    trial_used boolean NOT NULL DEFAULT false,
    second_subscription boolean NOT NULL DEFAULT false,
    email text NOT NULL DEFAULT '',
    tax_ids jsonb NOT NULL DEFAULT '[]',
    asked bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    fetched_at timestamptz,
    paid_until date,
    grace_until timestamptz,
    step text NOT NULL DEFAULT '',
    step_at timestamptz,
    trial_told timestamptz
);
CREATE TABLE IF NOT EXISTS billing_invoice (
    tenant_id uuid NOT NULL,
    id text NOT NULL,
    source text NOT NULL DEFAULT 'stripe',
    number text NOT NULL DEFAULT '',
    status text NOT NULL,
    currency text NOT NULL,
    amount_due bigint NOT NULL,
    amount_paid bigint NOT NULL DEFAULT 0,
    issued_at timestamptz NOT NULL,
    due_at timestamptz,
    paid_at timestamptz,
    page_url text NOT NULL DEFAULT '',
    pdf_url text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS billing_invoice_open ON billing_invoice (tenant_id, due_at) WHERE status = 'open' AND source = 'manual';
CREATE TABLE IF NOT EXISTS billing_usage (
    tenant_id uuid NOT NULL,
    meter text NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    sent_at timestamptz,
    PRIMARY KEY (tenant_id, meter, day)
);
CREATE TABLE IF NOT EXISTS stripe_customer (
    customer_id text PRIMARY KEY,
    owner_id uuid NOT NULL,
    slug text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS stripe_customer_owner ON stripe_customer (owner_id);
CREATE TABLE IF NOT EXISTS stripe_event (
    id text PRIMARY KEY,
    kind text NOT NULL,
    customer_id text NOT NULL DEFAULT '',
    object_id text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'applied', 'ignored', 'unknown', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    locked_until timestamptz,
    applied_at timestamptz,
    error text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS stripe_event_due ON stripe_event (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS stripe_event_newest ON stripe_event (received_at DESC);
CREATE TABLE IF NOT EXISTS billing_report (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    examined int NOT NULL DEFAULT 0,
    drift jsonb NOT NULL DEFAULT '[]',
    error text NOT NULL DEFAULT ''
);
"""
# What a company owes is never its own to change. It may add rows, as to a log: the doctor makes one in each table.
READ_ONLY = ("billing_account", "billing_invoice", "billing_usage")
PLATFORM = ("stripe_customer", "stripe_event", "billing_report")


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in READ_ONLY:
        await DB.run_script(*protect(table), *grant(table, "SELECT, INSERT"))
    for table in PLATFORM:
        await DB.run_script(*grant(table, ""))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
