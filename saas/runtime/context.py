"""`Context`: who asks, in which tenant, under which configuration, at what time. First argument of everything in the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from saas.metadata.config import Config
from saas.tenants import WRITABLE, KeyScope, Limits, Support, limits_of


@dataclass(frozen=True, slots=True)
class Tenant:
    """`clock_offset_seconds` is how far the tenant's clock is ahead of real time (saas.runtime.clock)."""

    id: UUID
    slug: str
    name: str
    locale: str = "en"
    time_zone: str = "UTC"
    currency: str = "CNY"
    country: str = "CN"
    status: str = "active"
    plan_key: str = "unlimited"
    limit_overrides: Mapping[str, Any] = field(default_factory=dict)
    paid_limits: Mapping[str, Any] = field(default_factory=dict)
    trial_ends_at: datetime | None = None
    brand: Mapping[str, Any] = field(default_factory=dict)
    clock_offset_seconds: int = 0
    delete_after: datetime | None = None  # it is leaving: nothing is changed any more
    status_reason: str = ""
    features: Mapping[str, bool] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        return limits_of(self.plan_key, {**self.paid_limits, **self.limit_overrides})

    @property
    def is_writable(self) -> bool:
        return self.status in WRITABLE


@dataclass(frozen=True, slots=True)
class User:
    """`department_ids` are the user's own departments, `department_tree_ids` these with all below them,
    `team_ids` the users whose superior this user is."""

    id: UUID
    name: str
    email: str
    role_keys: tuple[str, ...] = ()
    department_id: UUID | None = None
    department_ids: tuple[UUID, ...] = ()
    department_tree_ids: tuple[UUID, ...] = ()
    team_ids: tuple[UUID, ...] = ()
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """`origin`: page api import bulk automation schedule sample system. A context without user is the system itself:
    it may do everything inside its tenant, and its acts are recorded under its origin."""

    tenant: Tenant
    config: Config
    user: User | None = None
    locale: str = "en"
    origin: str = "api"
    request_id: str = ""
    fixed_now: datetime | None = None
    depth: int = 0  # how many automations deep
    operation_id: UUID | None = None  # groups the events of one act
    elevated: bool = False  # acts of the configuration itself (effects, automations): no rights are asked, the user stays named
    running: tuple[str, ...] = ()  # automations being run, outermost first
    granted: tuple[UUID, str] | None = None  # the transition of a record that an approval has just agreed to
    key: KeyScope | None = None  # the limits of the API key that asks; None: a person, or a program with all their rights
    support: Support | None = None  # an operator who looks in, with the tenant's leave
    form: str | None = None  # the entry form through which records are written
    foreseeing: bool = False  # it will be taken back: what leaves the database, such as a file, must not happen
    viewer: Context | None = None  # who looks through this person's eyes: nothing is shown that they may not see themselves

    @property
    def tenant_id(self) -> UUID:
        return self.tenant.id

    @property
    def user_id(self) -> UUID | None:
        return self.user.id if self.user else None

    @property
    def unrestricted(self) -> bool:
        """No rights are asked: the system itself, or an act the configuration orders."""
        return self.user is None or self.elevated

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tenant.time_zone)

    @property
    def now(self) -> datetime:
        """Aware UTC; the tenant's clock."""
        if self.fixed_now is not None:
            return self.fixed_now
        return datetime.now(UTC) + timedelta(seconds=self.tenant.clock_offset_seconds)

    @property
    def real_now(self) -> datetime:
        """Aware UTC; the clock of contracts and security, which nobody moves."""
        return datetime.now(UTC)

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def replace(self, **changes: Any) -> Context:
        return replace(self, **changes)
