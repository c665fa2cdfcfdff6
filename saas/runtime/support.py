"""Telling a tenant's administrators what operators ask or did: a notification and a message to each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import LOCALES, LazyString, lazy, use_locale
from saas.runtime.contexts import system_context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.usage import administrators
from saas.tenants import get_tenant
from saas.tenants.links import address_of
from saas.tenants.mail import compose, queue_mail

PLACE, LOG = "/settings/support", "/settings/audit"


async def tell_of_request(tenant_id: UUID, *, operator: str, mode: str, reason: str) -> int:
    """After a request for support access; returns how many administrators were told."""
    title = lazy("Support asks to look into this workspace")
    body = lazy("%(name)s: %(reason)s. Approve or refuse it under Settings, Support access.", name=operator, reason=reason)
    return await _tell(tenant_id, title, body, "support", "support_request", PLACE, {"operator": operator, "writes": mode == "write", "reason": reason})


async def tell_of_export(tenant_id: UUID, *, operator: str, reason: str) -> int:
    """When an operator takes the whole workspace as a file; returns how many administrators were told."""
    title = lazy("The operator exported everything in this workspace")
    body = lazy("%(name)s: %(reason)s. It stands in the audit log.", name=operator, reason=reason)
    return await _tell(tenant_id, title, body, "operator_export", "operator_export", LOG, {"operator": operator, "reason": reason})


async def _tell(tenant_id: UUID, title: LazyString, body: LazyString, kind: str, message: str, place: str, values: Mapping[str, Any]) -> int:
    ctx, row = await system_context(tenant_id), await get_tenant(tenant_id)
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            titles[locale], bodies[locale] = str(title), str(body)
    async with tenant_transaction(tenant_id) as conn:
        told = await administrators(conn, ctx)
        await deliver(conn, ctx, told, Notice(titles, bodies, None, None, kind, has_mail=True))
        people = await conn.fetch("SELECT name, email, locale FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[])", tenant_id, told)
        for person in people:
            shown = {"name": person["name"], "url": address_of(row, place), **values}
            await queue_mail(conn, tenant_id, compose(message, row, person["locale"] or row.locale, shown), person["email"], name=person["name"])
    return len(told)
