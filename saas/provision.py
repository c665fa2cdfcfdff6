"""A whole tenant at once: its row, its configuration, its administrator, sample people and records. Wires tenants, metadata
and runtime; knows no pack by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.packs import load_pack, sample
from saas.runtime import configuration, load_kinds
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.sample import Sample
from saas.tenants import create_tenant, create_user, find_user, list_audit, new_id, record_audit, update_user
from saas.tenants.plans import USUAL

SAMPLE_PASSWORD = "demo-password"
SAMPLE_LOADED = "sample.loaded"
Progress = Callable[[int, int], None]


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
    sample_password: str = SAMPLE_PASSWORD,
    progress: Progress | None = None,
) -> UUID:
    """Create a tenant with a pack; the administrator gets the pack's first role with `"admin": true`.

    Tenant, configuration and administrator come into being together or not at all; sample data follows in batches, and an audit
    event says when it is complete (`has_sample`). Errors: those of `create_tenant` and `configuration.install`; NotFound for an unknown
    pack; InvalidInput for an unknown role.
    """
    load_kinds()
    raw = load_pack(pack_key)
    role_key = admin_role(raw)
    tenant_id = new_id()
    async with tenant_transaction(tenant_id):
        await create_tenant(
            slug, name, pack_key, locale, admin_email, admin_password, plan_key=plan_key, role_keys=[role_key],
            admin_name=admin_name, tenant_id=tenant_id,
        )
        admin = await find_user(tenant_id, email=admin_email)
        await configuration.install(await system_context(tenant_id), raw, author_id=admin["id"])
    if sample_data:
        await load_sample(tenant_id, slug, pack_key, locale, password=sample_password, progress=progress)
    return tenant_id


def admin_role(raw: Mapping[str, Any]) -> str:
    """The key of a bundle's first role that administers."""
    for role in raw.get("roles", []):
        if role.get("admin"):
            return role["key"]
    raise InvalidInput([FieldProblem("pack", "no_admin_role", lazy("This pack has no role that administers"))])


async def load_sample(
    tenant_id: UUID,
    slug: str,
    pack_key: str,
    locale: str,
    *,
    password: str = SAMPLE_PASSWORD,
    progress: Progress | None = None,
) -> int:
    """Create the pack's sample people (`<email>@<slug>.example`) and records; returns how many operations were run."""
    data = sample(pack_key)
    ids = await _sample_people(tenant_id, slug, data["users"], locale, password)
    users = {key: (await context_for_user(tenant_id, user_id)).user for key, user_id in ids.items()}
    base = await system_context(tenant_id, origin="sample")
    count = await Sample(base, users).load(data["records"], progress)
    async with tenant_transaction(tenant_id) as conn:
        await record_audit(conn, tenant_id, SAMPLE_LOADED, data={"operations": count})
    return count


async def has_sample(tenant_id: UUID) -> bool:
    """Whether the sample data is all there; False also when loading it was interrupted."""
    return bool(await list_audit(tenant_id, kind=SAMPLE_LOADED, limit=1))


def sample_logins(pack_key: str, slug: str, locale: str = "en") -> list[dict[str, Any]]:
    """Who can sign in to a tenant with sample data: name, e-mail, roles."""
    return [
        {"name": _name(user, locale), "email": f"{user['email']}@{slug}.example", "roles": user["roles"]}
        for user in sample(pack_key)["users"]
    ]


async def _sample_people(
    tenant_id: UUID, slug: str, people: list[Mapping[str, Any]], locale: str, password: str
) -> dict[str, UUID]:
    ids: dict[str, UUID] = {}
    for person in people:
        ids[person["key"]] = await create_user(
            tenant_id, f"{person['email']}@{slug}.example", password, _name(person, locale), person["roles"],
            person.get("department"), None, None, person.get("title", ""),
        )
    for person in people:  # afterwards, so that the list may stand in any order
        if person.get("superior"):
            await update_user(tenant_id, ids[person["key"]], {"superior_id": ids[person["superior"]]})
    return ids


def _name(person: Mapping[str, Any], locale: str) -> str:
    return person.get("name_en") or person["name"] if locale == "en" else person["name"]
