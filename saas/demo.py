"""`saas demo`: a database, three companies with people and data, an operator, and where to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from saas.settings import Settings, is_said

OPERATOR_EMAIL = "operator@demo.example"
ADMIN_NAME = {"en": "Administrator", "zh_CN": "管理员"}
# Which packs to show is a choice of the demonstration; nothing else depends on it.
TENANTS = (
    {"slug": "acme", "name": "Acme Supply", "locale": "en", "pack_key": "baseline-crm"},
    {"slug": "tianhe", "name": "天河机床", "locale": "zh_CN", "pack_key": "jb-rm-crm"},
    {"slug": "harbor", "name": "Harbor Trading", "locale": "en", "pack_key": "sales-resource-crm"},
)


async def prepare(settings: Settings, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Migrate and create what is absent. Returns addresses and logins; running it again changes nothing."""
    from saas.db.migrate import migrate
    from saas.provision import SAMPLE_PASSWORD, has_sample, provision_tenant, sample_logins
    from saas.tenants import create_operator, delete_tenant, find_tenant, list_tenants
    from saas.tenants.clock import FEATURE as CLOCK
    from saas.tenants.features import set_tenant_feature
    from saas.tenants.operators import operator_exists

    report = await migrate(settings)
    if report.applied:
        say(f"Database ready ({len(report.applied)} migrations).")
    from saas.commands import opened

    logins: list[dict[str, Any]] = []
    async with opened(settings):
        present = {tenant.slug: tenant.id for tenant in await list_tenants()}
        for tenant in TENANTS:
            slug, locale = tenant["slug"], tenant["locale"]
            admin = f"admin@{slug}.example"
            if slug in present and not await has_sample(present[slug]):
                say(f"{tenant['name']} was left unfinished; making it again.")
                await delete_tenant(slug)
                del present[slug]
            if slug not in present:
                say(f"Creating {tenant['name']} with sample data …")
                await provision_tenant(
                    **tenant, admin_email=admin, admin_password=SAMPLE_PASSWORD, admin_name=ADMIN_NAME[locale], sample_data=True,
                    sample_password=SAMPLE_PASSWORD,
                )
            await set_tenant_feature((await find_tenant(slug)).id, CLOCK, True)  # what rules do next month belongs to a demonstration
            people = [{"name": ADMIN_NAME[locale], "email": admin, "roles": ["admin"]}]
            people += sample_logins(tenant["pack_key"], slug, locale)
            logins.append({"tenant": slug, "name": tenant["name"], "people": people})
        if not await operator_exists(OPERATOR_EMAIL):
            await create_operator(OPERATOR_EMAIL, SAMPLE_PASSWORD)
    return {"password": SAMPLE_PASSWORD, "tenants": logins, "operator": OPERATOR_EMAIL}


def for_looking_around(settings: Settings, host: str) -> Settings:
    """Everybody knows the operator's password here: asking for a phone as well would only keep people out who want to look. Elsewhere than on
    this machine, and where SAAS_OPERATOR_TOTP says what is wanted, that holds."""
    if host not in ("127.0.0.1", "::1", "localhost") or is_said("SAAS_OPERATOR_TOTP"):
        return settings
    return replace(settings, operator_totp="optional")


def with_addresses(found: dict[str, Any], settings: Settings, port: int) -> dict[str, Any]:
    """Add where each part answers."""
    base = f"{settings.base_domain}:{port}" if port not in (80, 443) else settings.base_domain
    for tenant in found["tenants"]:
        tenant["url"] = f"http://{tenant['tenant']}.{base}/"
    return {"url": f"http://{base}/", "signup_url": f"http://{base}/signup", "operator_url": f"http://operator.{base}/", **found}


def as_text(found: dict[str, Any]) -> str:
    lines = ["", f"All passwords: {found['password']}", ""]
    for tenant in found["tenants"]:
        lines.append(f"{tenant['name']}  {tenant['url']}")
        lines += [f"    {person['email']:<32} {person['name']} ({', '.join(person['roles'])})" for person in tenant["people"]]
        lines.append("")
    lines += [f"Operator console  {found['operator_url']}", f"    {found['operator']}", "", f"Landing page  {found['url']}", f"Sign up       {found['signup_url']}"]
    return "\n".join(lines)
