"""What keeps reports of a company up to date by itself, at night where the company is: by the real clock, as it is about the machine's quiet hours
and not about anything a rule says."""

from __future__ import annotations

from saas.db import tenant_transaction
from saas.runtime import jobs, twins
from saas.runtime.contexts import system_context
from saas.runtime.sample_data import is_loading
from saas.tenants import list_tenants

HOURS = range(1, 6)  # of the company's day


async def search_twins() -> int:
    """Put in, once a night for each entity with duplicate rules, the job that looks at what was changed since the last search (at all records
    when there was none under these rules). Returns how many; safe to call often and in several processes."""
    put = 0
    for tenant in await list_tenants():
        if not tenant.is_active or not tenant.config_revision:
            continue
        ctx = await system_context(tenant.id, origin="schedule")
        local = ctx.real_now.astimezone(ctx.zone)
        if local.hour not in HOURS or not any(e.defn.duplicates for e in ctx.config.entities.values()) or await is_loading(ctx):
            continue
        async with tenant_transaction(ctx.tenant_id) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('twins:' || $1::text, 0))", str(ctx.tenant_id))
            for entity in ctx.config.entities.values():
                put += await twins.search_at_night(conn, ctx, entity, local.date())
    if put:
        jobs.ring()
    return put
