"""A whole tenant at once: its row, its configuration, its administrator, sample people and records. Wires tenants, metadata
and runtime; knows no pack by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.packs import load_pack
from saas.runtime import configuration, jobs, load_kinds
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.sample_data import SAMPLE_PASSWORD, Progress, begin_loading, has_sample, load_sample, sample_logins
from saas.tenants import create_tenant, find_user, new_id, record_audit, signups
from saas.tenants.first_steps import begin_first_steps
from saas.tenants.hand_over import begin_hand_over
from saas.tenants.links import platform_address
from saas.tenants.operators import note_sign_up
from saas.tenants.plans import USUAL, check_plan
from saas.tenants.rules import STANDARD

__all__ = ["SAMPLE_PASSWORD", "admin_role", "has_sample", "load_sample", "open_workspace", "provision_tenant", "sample_logins"]


async def provision_tenant(
    slug: str,
    *,
    name: str,
    pack_key: str,
    locale: str,
    admin_email: str,
    admin_password: str,
    admin_name: str = "",
    plan_key: str = USUAL,
    sample_data: bool = False,
    sample_password: str = "",
    progress: Progress | None = None,
    tenant_id: UUID | None = None,
    time_zone: str | None = None,
    trial_days: int = 0,
    begin: Callable[[Any, UUID], Awaitable[None]] | None = None,
) -> UUID:
    """Create a tenant with a pack; the administrator gets the pack's first role with `"admin": true`.

    Tenant, configuration, administrator and what `begin(conn, admin_id)` adds come into being together or not at all; sample data follows in batches, and an audit
    event says when it is complete (`has_sample`). Sample people cannot sign in and take no seat unless they get `sample_password`. Errors: those of `create_tenant` and `configuration.install`; NotFound for an unknown
    pack; InvalidInput for an unknown role.
    """
    load_kinds()
    raw = load_pack(pack_key)
    role_key = admin_role(raw)
    tenant_id = tenant_id or new_id()
    async with tenant_transaction(tenant_id) as conn:
        await create_tenant(
            slug, name, pack_key, locale, admin_email, admin_password, plan_key=plan_key, role_keys=[role_key],
            admin_name=admin_name, tenant_id=tenant_id, time_zone=time_zone, trial_days=trial_days,
        )
        admin = await find_user(tenant_id, email=admin_email)
        await configuration.install(await system_context(tenant_id), raw, author_id=admin["id"])
        if begin:
            await begin(conn, admin["id"])
    if sample_data:
        await load_sample(tenant_id, slug, pack_key, locale, password=sample_password, progress=progress)
    return tenant_id


async def open_workspace(token: str, found: Mapping[str, Any], *, password: str, slug: str = "", ip: str = "") -> str:
    """From a confirmed sign-up to a workspace: returns the address on its own host that signs its administrator in, once.

    Sample data follows in a job, whose progress the first page shows. `slug`: another address than the one asked for.
    Errors: NotFound (the link), InvalidInput (password, slug); after the latter the link still works.
    """
    STANDARD.check_password(password, name=found["name"], email=found["email"])
    signup = await signups.claim(token, slug=slug)
    tenant_id: UUID = signup["made_tenant"]

    async def begin(conn: Any, admin_id: UUID) -> None:
        await begin_first_steps(conn, tenant_id, admin_id)
        await record_audit(conn, tenant_id, "tenant.signed_up", actor_id=admin_id, target=signup["slug"], ip=ip)
        if signup["with_sample"]:
            await begin_loading(conn, await context_for_user(tenant_id, admin_id), signup["pack_key"])

    try:
        await provision_tenant(
            signup["slug"], name=signup["company"], pack_key=signup["pack_key"], locale=signup["locale"], admin_email=signup["email"], admin_password=password,
            admin_name=signup["name"], plan_key=signup["plan_key"], tenant_id=tenant_id, time_zone=_known_zone(signup["time_zone"]),
            trial_days=check_plan(signup["plan_key"]).trial_days, begin=begin,
        )  # fmt: skip
    except Conflict as error:  # the operator gave the address to somebody else at this moment
        await signups.give_back(signup["id"])
        raise InvalidInput([FieldProblem("slug", "taken", signups.said_of("taken"))]) from error
    except BaseException:
        await signups.give_back(signup["id"])
        raise
    jobs.ring()
    await note_sign_up(signup["slug"], ip)
    admin = await find_user(tenant_id, email=signup["email"])
    return platform_address(f"/welcome/{await begin_hand_over(tenant_id, admin['id'])}", slug=signup["slug"])


def _known_zone(name: str) -> str | None:
    """What the browser says, if it is a time zone; else the usual one of the language."""
    return name if name in available_timezones() else None


def admin_role(raw: Mapping[str, Any]) -> str:
    """The key of a bundle's first role that administers."""
    for role in raw.get("roles", []):
        if role.get("admin"):
            return role["key"]
    raise InvalidInput([FieldProblem("pack", "no_admin_role", lazy("This pack has no role that administers"))])
