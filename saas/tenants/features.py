"""Feature switches: what an installation offers, and to whom. This file is the one list of them.

The operator switches each for the whole installation, or otherwise for one tenant. The engine asks `is_on(tenant, key)`, which waits for
nothing: a tenant's own switches come with its row, those of the installation are known by this process (saas.tenants.platform).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from saas.db import system_transaction
from saas.errors import NotFound, PermissionDenied
from saas.i18n import LazyString, lazy
from saas.tenants import platform
from saas.tenants.audit import record_audit
from saas.tenants.tenants import forget_host


@dataclass(frozen=True, slots=True)
class Feature:
    """`per_tenant`: a tenant can have it otherwise than the installation."""

    key: str
    label: LazyString
    help: LazyString
    default: bool = True
    per_tenant: bool = True


FEATURES: dict[str, Feature] = {
    f.key: f
    for f in (
        Feature("api_keys", lazy("API keys"), lazy("People make keys for programs. Off: no new ones, and those there are open nothing.")),
        Feature("tenant_export", lazy("Export of everything by administrators"), lazy("Administrators fetch their whole workspace as one file. Off: only operators export.")),
        Feature(
            "clock", lazy("Movable clock"),
            lazy("Administrators move the clock of their workspace forward, to see what rules do in the weeks to come. For trials and demonstrations: what happens then is real."), default=False,
        ),
        Feature("sign_up", lazy("Public sign-up"), lazy("Companies make their own workspace on the first page. Off: operators make them."), per_tenant=False),
    )
}


class HasFeatures(Protocol):
    @property
    def features(self) -> Mapping[str, bool]: ...


def is_on(tenant: HasFeatures | None, key: str) -> bool:
    """Whether the feature is there for the tenant (None: for the installation). Errors: KeyError for a key that there is not."""
    feature = FEATURES[key]
    if tenant is not None and feature.per_tenant and isinstance(own := tenant.features.get(key), bool):
        return own
    return platform.known().switches.get(key, feature.default)


def require_feature(tenant: HasFeatures | None, key: str) -> None:
    """Errors: PermissionDenied."""
    if not is_on(tenant, key):
        raise PermissionDenied(lazy("This is switched off here: %(name)s.", name=FEATURES[key].label), reason="feature_off", feature=key)


async def set_installation_feature(key: str, is_on: bool, *, operator_id: UUID | None = None) -> None:
    """For every tenant without a switch of its own. Errors: NotFound."""
    if key not in FEATURES:
        raise NotFound()
    async with system_transaction("operator_console") as conn:
        await conn.execute(
            "INSERT INTO feature_switch (key, is_on, changed_by) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET is_on = excluded.is_on, changed_by = excluded.changed_by, changed_at = now()",
            key, is_on, operator_id,
        )
    platform.forget()


async def set_tenant_feature(tenant_id: UUID, key: str, state: bool | None) -> None:
    """For one tenant, whose audit log says so; None: as the installation has it. Errors: NotFound."""
    if key not in FEATURES or not FEATURES[key].per_tenant:
        raise NotFound()
    async with system_transaction("operator_console", of=tenant_id) as conn:
        row = await conn.fetchrow("SELECT slug, features FROM tenant WHERE id = $1 FOR UPDATE", tenant_id)
        if row is None:
            raise NotFound()
        own = {name: value for name, value in json.loads(row["features"]).items() if name in FEATURES and name != key}
        before = json.loads(row["features"]).get(key)
        await conn.execute("UPDATE tenant SET features = $2::jsonb WHERE id = $1", tenant_id, json.dumps({**own, **({} if state is None else {key: state})}))
        if state != before:
            await record_audit(conn, tenant_id, "tenant.feature_changed", target=key, data={"before": before, "after": state})
    forget_host(row["slug"])
