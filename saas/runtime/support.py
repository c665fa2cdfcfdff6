"""Telling a tenant's administrators that support asks to look in: a notification and a message to each."""

from __future__ import annotations

from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import LOCALES, lazy, use_locale
from saas.runtime.contexts import system_context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.usage import administrators
from saas.tenants import get_tenant
from saas.tenants.links import address_of
from saas.tenants.mail import compose, queue_mail

PLACE = "/settings/support"


async def tell_of_request(tenant_id: UUID, *, operator: str, mode: str, reason: str) -> int:
    """After a request for support access; returns how many administrators were told."""
    ctx, row = await system_context(tenant_id), await get_tenant(tenant_id)
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            titles[locale] = str(lazy("Support asks to look into this workspace"))
            bodies[locale] = str(lazy("%(name)s: %(reason)s. Approve or refuse it under Settings, Support access.", name=operator, reason=reason))
    async with tenant_transaction(tenant_id) as conn:
        told = await administrators(conn, ctx)
        await deliver(conn, ctx, told, Notice(titles, bodies, None, None, "support"))
        people = await conn.fetch("SELECT name, email, locale FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[])", tenant_id, told)
        for person in people:
            values = {"name": person["name"], "operator": operator, "writes": mode == "write", "reason": reason, "url": address_of(row, PLACE)}
            await queue_mail(conn, tenant_id, compose("support_request", row, person["locale"] or row.locale, values), person["email"], name=person["name"])
    return len(told)
