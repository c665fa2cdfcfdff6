"""Single sign-on and roles: what the values of a claim stand for under the configuration as it is now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from saas.runtime.contexts import system_context
from saas.tenants import TenantRow, sso
from saas.tenants.sso import Identity, SignInRefused, SingleSignOn


def claimed_values(claims: Any, name: str) -> list[str] | None:
    """The values of a claim, as texts: a list, one text, or something below (`realm_access.roles`). None where it is not there at all."""
    found = claims.get(name) if name in claims else claims
    if name not in claims:
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if found is None:
        return None
    given: Iterable[Any] = found if isinstance(found, list) else [found]
    return [str(value) for value in given if isinstance(value, (str, int)) and not isinstance(value, bool)][:1000]


def mapped_roles(single: SingleSignOn, identity: Identity, known: Iterable[str]) -> list[str]:
    """The roles that the claim's values stand for; those that the configuration no longer has are left out."""
    if not single.role_claim:
        return []
    values, roles = set(claimed_values(identity.claims, single.role_claim) or ()), set(known)
    return list(dict.fromkeys(role for value, role in single.role_map if value in values and role in roles))


async def sign_in(tenant: TenantRow, identity: Identity, *, locale: str | None, ip: str = "") -> UUID:
    """The person behind an identity, with the roles the provider's claim gives. Errors: SignInRefused."""
    single = await sso.get_single_sign_on(tenant.id)
    if single is None or not single.is_on:
        raise SignInRefused(reason="off")
    ctx = await system_context(tenant.id)
    roles = mapped_roles(single, identity, ctx.config.roles)
    # A claim that is not there says nothing of anybody's roles; an empty one does.
    says = bool(single.role_claim) and claimed_values(identity.claims, single.role_claim) is not None
    managed = {role for _value, role in single.role_map if role in ctx.config.roles} if says else set()
    # The last administrator stays one, whatever a group at the provider is called today.
    admins = sorted(key for key in managed if ctx.config.roles[key].admin)
    default = single.default_role if single.default_role in ctx.config.roles else ""
    if not roles and not default and single.creates:
        verdict = await sso.what_would_happen(tenant.id, single, identity)
        if verdict.kind == "create":
            raise SignInRefused(reason="unknown", detail="the role of new people is no longer there")
    return await sso.sign_in(tenant.id, single, identity, role_keys=roles, managed=sorted(managed), admin_keys=admins, locale=locale, ip=ip)
