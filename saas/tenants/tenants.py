"""Tenants: making them, finding them by host, their status. Knows nothing of configurations."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import current_database, indexes, system_transaction, tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, Unavailable
from saas.i18n import LOCALES, lazy
from saas.log import get_logger
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.plans import USUAL, Limits, check_overrides, check_plan, limits_of
from saas.tenants.users import insert_user

log = get_logger(__name__)
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_NAME = re.compile(r"(?=.{4,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+\Z")
RESERVED_SLUGS = frozenset(
    ["admin", "api", "app", "apex", "assets", "auth", "billing", "blog", "cdn", "console", "dashboard", "demo-admin", "docs", "email", "ftp", "help", "imap", "internal", "login", "localhost", "mail", "metrics", "mx", "news", "ns", "ns1", "ns2", "operator", "ops", "pop", "root", "security", "shop", "signup", "smtp", "sso", "static", "status", "store", "support", "system", "test-operator", "www"]
)
_COLUMNS = (
    "id, slug, name, locale, time_zone, currency, country, status, plan_key, pack_key, brand, clock_offset_seconds, "
    "config_revision, created_at, limit_overrides, paid_limits, trial_ends_at, delete_after, status_reason, status_cause, features, domain, domain_redirects"
)
# At home also of those that live elsewhere: what changes stands where they live, `cell` says where that is.
_ALL = f"SELECT {_COLUMNS}, cell FROM tenant ORDER BY slug"  # noqa: S608  constants of this file
_BY_ID = f"SELECT {_COLUMNS} FROM tenant WHERE id = $1"  # noqa: S608  constants of this file
_HERE = f"SELECT {_COLUMNS} FROM tenant WHERE cell = ''"  # noqa: S608  constants of this file
_BY_SLUG = f"SELECT {_COLUMNS}, cell FROM tenant WHERE slug = $1"  # noqa: S608  constants of this file
WRITABLE = ("active", "past_due")  # read_only and suspended: reading, export and signing in go on, changes do not
STATES = ("active", "past_due", "read_only", "suspended")
SUBSCRIBED = ("trialing", "active", "past_due", "unpaid", "paused")  # a subscription runs, in the payment provider's words
_BY_DOMAIN = f"SELECT {', '.join('t.' + c.strip() for c in _COLUMNS.split(','))}, t.cell FROM verified_domain v JOIN tenant t ON t.id = v.owner_id WHERE v.name = $1"  # noqa: S608  constants of this file
_HOST_SECONDS, _HOST_ENTRIES = 5.0, 10_000


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A row of `tenant`. `config_revision` is 0 before a pack is installed."""

    id: UUID
    slug: str
    name: str
    locale: str
    time_zone: str
    currency: str
    country: str
    status: str
    plan_key: str
    pack_key: str
    clock_offset_seconds: int
    config_revision: int
    created_at: Any
    brand: Mapping[str, Any] = field(default_factory=dict)
    limit_overrides: Mapping[str, Any] = field(default_factory=dict)
    paid_limits: Mapping[str, Any] = field(default_factory=dict)  # what is paid for instead of the plan's, such as the number of seats
    trial_ends_at: datetime | None = None
    domain: str = ""  # the main address, proved to be the tenant's own; "" for the one under ours
    domain_redirects: bool = True  # pages asked for by another address lead to it
    delete_after: datetime | None = None  # asked for: until then it can be read, and the request taken back
    status_reason: str = ""  # what the operator tells the tenant's people about its status
    status_cause: str = "operator"  # whose the present status is: the operator's, or "billing" while something is unpaid
    features: Mapping[str, bool] = field(default_factory=dict)  # switches of its own (saas.tenants.features)

    @property
    def is_active(self) -> bool:
        """Whether people and schedules may change anything."""
        return self.status in WRITABLE and self.delete_after is None

    @property
    def limits(self) -> Limits:
        return limits_of(self.plan_key, {**self.paid_limits, **self.limit_overrides})


def tenant_row(row: Mapping[str, Any], prefix: str = "") -> TenantRow:
    """From a database row whose columns carry this prefix."""
    values = {name: row[prefix + name] for name in TenantRow.__slots__}
    return TenantRow(**{**values, **{name: json.loads(values[name]) for name in ("brand", "limit_overrides", "paid_limits", "features")}})


# ---- making and changing -----------------------------------------------------------------------------------------------------


def check_slug(slug: str) -> None:
    """A tenant's address: a DNS label that is not taken by ourselves."""
    if not SLUG.match(slug) or "--" in slug:
        message = lazy("Use small letters, digits and single hyphens, at most 63 characters")
        raise InvalidInput([FieldProblem("slug", "invalid", message)])
    if slug in RESERVED_SLUGS:
        raise InvalidInput([FieldProblem("slug", "reserved", lazy("This address is reserved, please choose another"))])


async def create_tenant(
    slug: str,
    name: str,
    pack_key: str,
    locale: str,
    admin_email: str,
    admin_password: str,
    *,
    plan_key: str = USUAL,
    role_keys: Sequence[str] = (),
    admin_name: str = "",
    time_zone: str | None = None,
    currency: str | None = None,
    country: str | None = None,
    tenant_id: UUID | None = None,
    trial_days: int = 0,
) -> UUID:
    """Insert a tenant and its first person, who gets `role_keys`. The configuration is installed by saas.provision, which
    gives the id so that both happen in one transaction.

    Errors: InvalidInput (slug, locale, password), Conflict (slug taken).
    """
    check_slug(slug)
    check_plan(plan_key)
    if locale not in LOCALES:
        raise InvalidInput([FieldProblem("locale", "unknown", lazy("This language is not available"))])
    if not name.strip():
        raise InvalidInput([FieldProblem("name", "required", lazy("Please give a name"))])
    chinese = locale == "zh_CN"
    tenant_id = tenant_id or new_id()
    try:
        async with tenant_transaction(tenant_id) as conn:
            await conn.execute(
                "INSERT INTO tenant (id, slug, name, locale, time_zone, currency, country, plan_key, pack_key, trial_ends_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(days => nullif($10::int, 0)))",
                tenant_id, slug, name.strip(), locale,
                time_zone or ("Asia/Shanghai" if chinese else "UTC"),
                currency or ("CNY" if chinese else "USD"),
                country or ("CN" if chinese else "US"),
                plan_key, pack_key, trial_days,
            )
            user_id = await insert_user(
                conn, tenant_id, admin_email, admin_password, name=admin_name or admin_email.split("@")[0], role_keys=role_keys
            )
            await record_audit(conn, tenant_id, "tenant.created", actor_id=user_id, target=slug)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(lazy("The address %(slug)s is taken", slug=slug)) from error
    forget_host(slug)
    return tenant_id


async def set_tenant_status(slug: str, status: str, *, reason: str = "") -> TenantRow:
    """One of STATES: "suspended" and "read_only" stop changes, "past_due" asks to pay, "active" resumes. The operator's act: no payment
    lifts it (saas.tenants.billing.dunning). `reason`: what the tenant's people read about it."""
    if status not in STATES:
        raise InvalidInput([FieldProblem("status", "unknown", lazy("Unknown status"), "/status")])
    async with system_transaction("operator_console", of=await _id_of(slug)) as conn:
        row = await conn.fetchrow(
            f"UPDATE tenant SET status = $2, status_cause = 'operator', status_reason = $3 WHERE slug = $1 RETURNING {_COLUMNS}",  # noqa: S608  constants of this file
            slug, status, "" if status == "active" else reason.strip()[:500],
        )
        if row is None:
            raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
        await record_audit(conn, row["id"], f"tenant.{'resumed' if status == 'active' else status}", target=slug, data={"reason": reason} if reason else None)
    forget_host(slug)
    return tenant_row(row)


async def set_tenant_plan(slug: str, plan_key: str) -> TenantRow:
    """Move a tenant to another plan: the operator's act; a trial is over by that. Errors: InvalidInput, NotFound, Conflict with a subscription."""
    check_plan(plan_key)
    async with system_transaction("operator_console", of=await _id_of(slug)) as conn:
        await _require_unsubscribed(conn, slug)
        row = await conn.fetchrow(
            f"UPDATE tenant SET plan_key = $2, trial_ends_at = NULL WHERE slug = $1 RETURNING {_COLUMNS}",  # noqa: S608  constants of this file
            slug, plan_key,
        )
        if row is None:
            raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
        await record_audit(conn, row["id"], "tenant.plan_changed", target=slug, data={"plan": plan_key})
    forget_host(slug)
    return tenant_row(row)


async def _require_unsubscribed(conn: Any, slug: str) -> None:
    """What a running subscription says comes back with its next event: to change it here would be forgotten without a word."""
    if await conn.fetchval("SELECT true FROM billing_account a JOIN tenant t ON t.id = a.tenant_id WHERE t.slug = $1 AND a.status = ANY($2::text[])", slug, list(SUBSCRIBED)):
        raise Conflict(lazy("Plan and trial of this workspace follow its subscription. Give it limits of its own instead."))


async def set_tenant_limits(slug: str, overrides: Mapping[str, Any]) -> TenantRow:
    """Limits of a tenant's own, in place of those it had, over those of its plan. Errors: InvalidInput, NotFound."""
    check_overrides(overrides)
    return await _set_column(slug, "limit_overrides", "jsonb", json.dumps(dict(overrides)), "tenant.limits_changed", {"limits": dict(overrides)})


async def set_trial_end(slug: str, ends_at: datetime | None) -> TenantRow:
    """When the tenant's trial ends (aware); None: it has none. Errors: NotFound, Conflict with a subscription."""
    async with system_transaction("operator_console", of=await _id_of(slug)) as conn:
        await _require_unsubscribed(conn, slug)
    return await _set_column(slug, "trial_ends_at", "timestamptz", ends_at, "tenant.trial_changed", {"ends": ends_at.isoformat() if ends_at else None})


async def _set_column(slug: str, column: str, kind: str, value: Any, event: str, data: Mapping[str, Any]) -> TenantRow:
    async with system_transaction("operator_console", of=await _id_of(slug)) as conn:
        row = await conn.fetchrow(
            f"UPDATE tenant SET {column} = $2::{kind} WHERE slug = $1 RETURNING {_COLUMNS}",  # noqa: S608  constants of this file
            slug, value,
        )
        if row is None:
            raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
        await record_audit(conn, row["id"], event, target=slug, data=data)
    forget_host(slug)
    return tenant_row(row)


async def delete_tenant(slug: str) -> dict[str, int]:
    """Remove a tenant and everything it has; returns rows removed per table. Cannot be undone."""
    removed: dict[str, int] = {}
    known_id = await _id_of(slug)
    async with system_transaction("delete_tenant", timeout_seconds=3600, of=known_id) as conn:
        tenant_id = await conn.fetchval("SELECT id FROM tenant WHERE slug = $1 FOR UPDATE", slug)
        if tenant_id is None:
            raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
        own_indexes = [row["index_name"] for row in await conn.fetch("SELECT index_name FROM field_index WHERE tenant_id = $1", tenant_id)]
        # Every table that has the column, so that no later table can be forgotten. People last: others refer to them.
        tables = [
            row["name"]
            for row in await conn.fetch(
                "SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname = 'app_user', c.relname = 'department', c.relname"
            )
        ]
        for table in tables:
            status = await conn.execute(f'DELETE FROM "{table}" WHERE tenant_id = $1', tenant_id)  # noqa: S608  from the catalogue
            if count := int(status.rsplit(" ", 1)[1]):
                removed[table] = count
        await conn.execute("DELETE FROM tenant WHERE id = $1", tenant_id)
    with contextlib.suppress(asyncpg.PostgresError, Unavailable):  # housekeeping finds what is left of them
        await indexes.drop(own_indexes, of=known_id)
    async with system_transaction("delete_tenant") as conn:
        await conn.execute("DELETE FROM verified_domain WHERE owner_id = $1", known_id or tenant_id)
    if current_database().has_cells:
        async with system_transaction("delete_tenant") as conn:  # the directory's row of a tenant that lived elsewhere
            await conn.execute("DELETE FROM tenant WHERE id = $1", tenant_id)
    forget_host(slug)
    return removed


# ---- finding -----------------------------------------------------------------------------------------------------------------


async def get_tenant(tenant_id: UUID) -> TenantRow:
    """The tenant's own row, as the app role sees it."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(_BY_ID, tenant_id)
    if row is None:
        raise NotFound()
    return tenant_row(row)


async def find_tenant(slug: str) -> TenantRow:
    """By its address, for the command line and the operator. Errors: NotFound."""
    async with system_transaction("operator_console") as conn:
        row = await conn.fetchrow(_BY_SLUG, slug)
    if row is None:
        raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
    return await _where_it_lives(row, "operator_console")


async def _where_it_lives(row: Any, reason: Any) -> TenantRow:
    """The directory's row is enough for tenants at home; others are asked where they live."""
    if not row["cell"]:
        return tenant_row(row)
    async with system_transaction(reason, of=row["id"]) as conn:
        return tenant_row(await conn.fetchrow(_BY_ID, row["id"]) or row)


async def _id_of(slug: str) -> UUID | None:
    """Only asked where there are several databases; home is right for a tenant that nobody knows."""
    if not current_database().has_cells:
        return None
    async with system_transaction("operator_console") as conn:
        return await conn.fetchval("SELECT id FROM tenant WHERE slug = $1", slug)


async def list_tenants() -> list[TenantRow]:
    """All tenants of all databases. One in a database that is away appears as the directory remembers it."""
    async with system_transaction("list_tenants") as conn:
        rows = list(await conn.fetch(_ALL))
    elsewhere: dict[UUID, Any] = {}
    for cell in {row["cell"] for row in rows if row["cell"]}:
        try:
            async with system_transaction("list_tenants", cell=cell) as conn:
                elsewhere |= {row["id"]: row for row in await conn.fetch(_HERE)}
        except Unavailable:
            log.warning("cell.away", cell=cell)
    return [tenant_row(elsewhere.get(row["id"], row) if row["cell"] else row) for row in rows]


# ---- hosts -------------------------------------------------------------------------------------------------------------------


class _HostCache:
    """Slug -> row for a few seconds. A suspended tenant or a new name shows up that much later at most; absence is
    remembered too, so that guessing hosts costs no queries."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, TenantRow | None]] = {}

    def get(self, slug: str) -> tuple[bool, TenantRow | None]:
        entry = self._entries.get(slug)
        if entry is None or entry[0] < time.monotonic():
            return False, None
        return True, entry[1]

    def remembered(self, slug: str) -> TenantRow | None:
        """However old."""
        entry = self._entries.get(slug)
        return entry[1] if entry else None

    def put(self, slug: str, row: TenantRow | None) -> None:
        if len(self._entries) >= _HOST_ENTRIES:
            self._entries.clear()
        self._entries[slug] = (time.monotonic() + _HOST_SECONDS, row)

    def drop(self, slug: str) -> None:
        self._entries.pop(slug, None)

    def drop_of(self, slug: str) -> None:
        """What is known by a domain, too."""
        for key in [key for key, (_until, row) in self._entries.items() if "." in key and row is not None and row.slug == slug]:
            self._entries.pop(key, None)


_hosts = _HostCache()


def forget_host(slug: str) -> None:
    """After a change of the tenant's row, in this process; others follow within seconds. Also takes a domain's name."""
    _hosts.drop(slug)
    _hosts.drop_of(slug)


def slug_of_host(host: str, base_domain: str) -> str | None:
    """`acme.example.com:8000` under `example.com` -> "acme"; None for anything that cannot be a tenant's host."""
    name = host.lower().rsplit(":", 1)[0] if ":" in host and not host.endswith("]") else host.lower()
    name = name.removesuffix(".")
    if not name.endswith("." + base_domain):
        return None
    slug = name[: -len(base_domain) - 1]
    return slug if SLUG.match(slug) and slug not in RESERVED_SLUGS else None


def domain_of_host(host: str, base_domain: str) -> str | None:
    """`CRM.Example.org.:443` -> "crm.example.org"; None for what can be no tenant's domain: our own names, addresses, single words."""
    name = (host.rsplit(":", 1)[0] if ":" in host else host).lower().removesuffix(".")
    if name == base_domain or name.endswith("." + base_domain) or not _NAME.match(name) or name.rpartition(".")[2].isdigit():
        return None
    return name


async def resolve_host(host: str, base_domain: str | None = None) -> TenantRow | None:
    """The tenant a host name means, or None. `base_domain` defaults to the settings of the open database."""
    if base_domain is None:
        base_domain = current_database().settings.base_domain
    slug = slug_of_host(host, base_domain)
    if slug is None and (slug := domain_of_host(host, base_domain)) is None:
        return None
    known, row = _hosts.get(slug)
    if known:
        return row
    try:
        async with system_transaction("resolve_host") as conn:
            found = await conn.fetchrow(_BY_DOMAIN if "." in slug else _BY_SLUG, slug)
        row = await _where_it_lives(found, "resolve_host") if found else None
    except Unavailable:
        # The directory is away, but the tenant's own database may not be: what was known a moment ago is good enough.
        row = _hosts.remembered(slug) if current_database().has_cells else None
        if row is None:
            raise
    _hosts.put(slug, row)
    return row
