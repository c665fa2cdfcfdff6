"""Looking at the DNS records of all tenants' domains again, and telling administrators in time that one is about to be lost."""

from __future__ import annotations

import asyncio
import contextlib

from saas.db import current_database, tenant_transaction
from saas.errors import InvalidInput, NotFound, Unavailable
from saas.log import get_logger
from saas.runtime.contexts import system_context
from saas.tenants import TenantRow, domains, get_tenant
from saas.tenants.domains import Change, DnsResolver, Resolver
from saas.tenants.links import own_address_of
from saas.tenants.mail import compose, queue_mail

log = get_logger(__name__)
PAUSE_SECONDS = 300.0
AT_ONCE = 5


async def run_checks(stop: asyncio.Event) -> None:
    """Until `stop` is set; several workers share the work."""
    while not stop.is_set():
        try:
            await check_due()
            await domains.forget_unowned()
        except Unavailable:
            pass
        except Exception:
            log.exception("domains.check_failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)


async def check_due(*, resolver: Resolver | None = None) -> int:
    """Look at every domain that is due; returns how many."""
    due, settings = await domains.due_domains(), current_database().settings
    asked = (resolver or DnsResolver(settings)) if due else None
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: domains.Due) -> None:
        assert asked is not None
        async with gate:
            answer = await asked.ask(domains.challenge(each.name, each.token)[0], each.name, domains.target_of(settings))
            change = await domains.apply_answer(each, answer)
        if change.kind in ("missing", "lost"):
            await _tell(each, change)

    for result in await asyncio.gather(*(one(each) for each in due), return_exceptions=True):
        if isinstance(result, Exception):
            log.warning("domains.check_failed", error=type(result).__name__)
    return len(due)


async def _tell(due: domains.Due, change: Change) -> None:
    """Every administrator, in their own language."""
    try:
        ctx, tenant = await system_context(due.tenant_id), await get_tenant(due.tenant_id)
    except NotFound:
        return
    admins = [key for key, role in ctx.config.roles.items() if role.admin]
    async with tenant_transaction(due.tenant_id) as conn:
        people = await conn.fetch(
            "SELECT DISTINCT u.id, u.name, u.email, u.locale FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
            "WHERE u.tenant_id = $1 AND u.status = 'active' AND r.role_key = ANY($2::text[]) ORDER BY u.id LIMIT 50",
            due.tenant_id, admins,
        )  # fmt: skip
        for person in people:
            with contextlib.suppress(InvalidInput):  # an address that can receive nothing
                await queue_mail(conn, due.tenant_id, _message(tenant, due, change, person["locale"] or tenant.locale, person["name"]), person["email"], name=person["name"])


def _message(tenant: TenantRow, due: domains.Due, change: Change, locale: str, name: str):
    record, value = domains.challenge(due.name, due.token)
    # Not by the domain in question, which may lead nowhere.
    values = {"name": name, "domain": due.name, "record": record, "value": value, "days": change.days_left, "url": own_address_of(tenant, "/settings/domain")}
    return compose("domain_missing" if change.kind == "missing" else "domain_lost", tenant, locale, values)
