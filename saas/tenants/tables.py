"""Piccolo tables of tenants, people and operators. The record store is SQL of its own (saas.runtime)."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from saas.db.engine import DB


class Tenant(Table, tablename="tenant", db=DB):
    id = UUID(primary_key=True)
    slug = Text(unique=True)
    name = Text()
    locale = Text(default="en")
    time_zone = Text(default="UTC")
    currency = Text(default="CNY")
    country = Text(default="CN")
    status = Text(default="active")
    plan_key = Text(default="unlimited")
    pack_key = Text(default="")
    brand = JSONB(default="{}")
    clock_offset_seconds = Integer(default=0)
    config_revision = Integer(default=0)
    created_at = Timestamptz()
    cell = Text(default="")
    limit_overrides = JSONB(default="{}")
    paid_limits = JSONB(default="{}")
    status_cause = Text(default="operator")
    trial_ends_at = Timestamptz(null=True, default=None)
    delete_after = Timestamptz(null=True, default=None)
    security = JSONB(default="{}")
    domain = Text(default="")
    domain_redirects = Boolean(default=True)
    status_reason = Text(default="")
    features = JSONB(default="{}")
    support = JSONB(default="{}")


class AppUser(Table, tablename="app_user", db=DB):
    """The primary key is (tenant_id, id); Piccolo knows single ones only."""

    tenant_id = UUID()
    id = UUID(primary_key=True)
    email = Text()
    name = Text()
    password_hash = Text(default="", secret=True)
    locale = Text(null=True, default=None)
    status = Text(default="active")
    superior_id = UUID(null=True, default=None)
    title = Text(default="")
    phone = Text(default="")
    successor_id = UUID(null=True, default=None)
    failed_count = Integer(default=0)
    locked_until = Timestamptz(null=True, default=None)
    must_change_password = Boolean(default=False)
    created_at = Timestamptz()
    last_login_at = Timestamptz(null=True, default=None)
    password_changed_at = Timestamptz()
    sample_key = Text(null=True, default=None)
    closed_at = Timestamptz(null=True, default=None)
    verification_hash = Text(default="", secret=True)
    told_by = Array(Text())


class UserRole(Table, tablename="user_role", db=DB):
    tenant_id = UUID()
    user_id = UUID(primary_key=True)
    role_key = Text()


class Department(Table, tablename="department", db=DB):
    tenant_id = UUID()
    id = UUID(primary_key=True)
    key = Text()
    name = JSONB(default="{}")
    parent_id = UUID(null=True, default=None)
    position = Integer(default=0)
    head_id = UUID(null=True, default=None)


class UserDepartment(Table, tablename="user_department", db=DB):
    tenant_id = UUID()
    user_id = UUID(primary_key=True)
    department_id = UUID()
    is_primary = Boolean(default=True)
    title = Text(default="")


class Session(Table, tablename="session", db=DB):
    tenant_id = UUID()
    id = UUID(primary_key=True)
    token_hash = Bytea()
    user_id = UUID()
    kind = Text()
    csrf_secret = Text(secret=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()
    last_seen_at = Timestamptz()
    ip = Text(default="")
    user_agent = Text(default="")
    revoked_at = Timestamptz(null=True, default=None)
    view_as = JSONB(null=True, default=None)
    writes = BigInt(default=0)
    name = Text(default="")
    prefix = Text(default="")
    scopes = Array(base_column=Text(), null=True, default=None)
    entities = Array(base_column=Text(), null=True, default=None)
    via = Text(default="password")
    sso = Bytea(null=True, default=None, secret=True)
    notices_read_at = Timestamptz(null=True, default=None)


class SecondFactor(Table, tablename="second_factor", db=DB):
    tenant_id = UUID()
    user_id = UUID(primary_key=True)
    secret = Bytea(secret=True)
    last_step = BigInt()
    created_at = Timestamptz()


class RecoveryCode(Table, tablename="recovery_code", db=DB):
    tenant_id = UUID()
    user_id = UUID()
    code_hash = Bytea(primary_key=True)
    used_at = Timestamptz(null=True, default=None)


class SignInStep(Table, tablename="sign_in_step", db=DB):
    tenant_id = UUID()
    id = UUID(primary_key=True)
    token_hash = Bytea()
    user_id = UUID()
    expires_at = Timestamptz()


class AuditEvent(Table, tablename="audit_event", db=DB):
    tenant_id = UUID()
    id = UUID(primary_key=True)
    at = Timestamptz()
    actor_id = UUID(null=True, default=None)
    kind = Text()
    target = Text(null=True, default=None)
    ip = Text(default="")
    request_id = Text(default="")
    data = JSONB(default="{}")


class OperatorAccount(Table, tablename="operator_account", db=DB):
    id = UUID(primary_key=True)
    email = Text(unique=True)
    name = Text(default="")
    password_hash = Text(secret=True)
    role = Text(default="full")
    factor_secret = Bytea(null=True, default=None, secret=True)
    factor_step = BigInt(default=0)
    factor_since = Timestamptz(null=True, default=None)
    status = Text(default="active")
    failed_count = Integer(default=0)
    locked_until = Timestamptz(null=True, default=None)
    created_at = Timestamptz()
    last_login_at = Timestamptz(null=True, default=None)


class OperatorSession(Table, tablename="operator_session", db=DB):
    id = UUID(primary_key=True)
    token_hash = Bytea(unique=True)
    operator_id = UUID()
    kind = Text()
    csrf_secret = Text(secret=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()
    last_seen_at = Timestamptz()
    ip = Text(default="")
    user_agent = Text(default="")
    revoked_at = Timestamptz(null=True, default=None)


class OperatorAudit(Table, tablename="operator_audit", db=DB):
    id = UUID(primary_key=True)
    at = Timestamptz()
    operator_id = UUID(null=True, default=None)
    kind = Text()
    tenant_id_text = Text(default="")
    ip = Text(default="")
    data = JSONB(default="{}")


TABLES: list[type[Table]] = [
    Tenant, AppUser, UserRole, Department, UserDepartment, Session, SecondFactor, RecoveryCode, SignInStep, AuditEvent, OperatorAccount, OperatorSession, OperatorAudit,
]
