"""Billing for people and for the worker: who may act, who is told, when what runs. The work itself is in saas.tenants.billing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from saas.db import tenant_transaction
from saas.errors import AppError, PermissionDenied, Unavailable
from saas.i18n import lazy
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.usage import administrators
from saas.tenants import get_tenant, record_audit
from saas.tenants.billing import Reader, apply, checkout, dunning, extras, is_configured, reconcile, store, webhooks

log = structlog.get_logger(__name__)
EVENTS_SECONDS, DUNNING_SECONDS, EXTRAS_SECONDS, RECONCILE_SECONDS = 2.0, 60.0, 3600.0, 900.0


async def readers(tenant_id: UUID) -> Sequence[Reader]:
    """The active administrators of a tenant."""
    tenant = await get_tenant(tenant_id)
    if not tenant.config_revision:
        return ()
    ctx = await system_context(tenant_id)
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch("SELECT email, name, locale FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id", tenant_id, await administrators(conn, ctx))
    return [Reader(row["email"], row["name"], row["locale"] or tenant.locale) for row in rows]


async def settle(tenant_id: UUID, *, now: datetime | None = None) -> str:
    """Bring a tenant to the step of its payments (saas.tenants.billing.dunning)."""
    return await dunning.settle(tenant_id, readers, now=now)


async def refresh(tenant_id: UUID) -> None:
    """What the provider says now, at once. Errors: as `apply.refresh`."""
    customer = await store.customer_of(tenant_id)
    if customer and is_configured():
        await apply.refresh(tenant_id, customer)
    await settle(tenant_id)


# ---- by administrators ----------------------------------------------------------------------------------------------------------


def may_pay(ctx: Context) -> bool:
    """Whether this person looks after the subscription."""
    return permissions.is_admin(ctx) and ctx.user_id is not None and ctx.viewer is None


def require_payer(ctx: Context, *, more: bool = False) -> None:
    """Money is the administrators' own business, also in a workspace that is closed for want of it. `more`: something is bought, which
    nobody does for a workspace that will be deleted. Errors: PermissionDenied."""
    if not may_pay(ctx):
        raise PermissionDenied()
    if more and ctx.tenant.delete_after is not None:
        raise PermissionDenied(lazy("This workspace will be deleted: reading is possible, changes are not."), reason="leaving")


async def subscribe(ctx: Context, plan_key: str, seats: int) -> str:
    """The address of the payment page. Errors: as `checkout.subscribe`, PermissionDenied."""
    require_payer(ctx, more=True)
    email = ctx.user.email if ctx.user is not None else ""
    url = await checkout.subscribe(await get_tenant(ctx.tenant_id), plan_key, seats, email=email, locale=ctx.locale)
    await _note(ctx, "billing.checkout_started", {"plan": plan_key, "seats": seats})
    return url


async def change(ctx: Context, plan_key: str, seats: int) -> None:
    """Errors: as `checkout.change`, PermissionDenied."""
    await _act(ctx, lambda tenant: checkout.change(tenant, plan_key, seats), "billing.changed", {"plan": plan_key, "seats": seats})


async def cost_of_change(ctx: Context, plan_key: str, seats: int) -> checkout.Cost | None:
    """Errors: as `checkout.cost_of_change`, PermissionDenied."""
    require_payer(ctx)
    return await checkout.cost_of_change(await get_tenant(ctx.tenant_id), plan_key, seats)


async def set_extra(ctx: Context, most: int) -> None:
    """Errors: as `checkout.set_extra`, PermissionDenied."""
    await _act(ctx, lambda tenant: checkout.set_extra(tenant, most), "billing.extra_changed", {"extra_runs": most})


async def cancel(ctx: Context) -> None:
    """Errors: as `checkout.cancel`, PermissionDenied."""
    await _act(ctx, checkout.cancel, "billing.cancelled", {}, more=False)


async def resume(ctx: Context) -> None:
    """Errors: as `checkout.resume`, PermissionDenied."""
    await _act(ctx, checkout.resume, "billing.resumed", {})


async def portal(ctx: Context) -> str:
    """Errors: as `checkout.portal`, PermissionDenied."""
    require_payer(ctx)
    return await checkout.portal(await get_tenant(ctx.tenant_id))


async def _act(ctx: Context, act: Callable[[Any], Awaitable[None]], kind: str, data: dict[str, Any], *, more: bool = True) -> None:
    require_payer(ctx, more=more)
    await act(await get_tenant(ctx.tenant_id))
    await _note(ctx, kind, data)
    try:
        await refresh(ctx.tenant_id)
    except AppError:  # it was done; the event, or the night, brings it here
        log.warning("billing.not_refreshed", tenant_id=str(ctx.tenant_id))


async def _note(ctx: Context, kind: str, data: dict[str, Any]) -> None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        await record_audit(conn, ctx.tenant_id, kind, actor_id=ctx.user_id, target=ctx.tenant.slug, request_id=ctx.request_id, data=data)


# ---- by the worker --------------------------------------------------------------------------------------------------------------


async def apply_events() -> int:
    """Apply the events that wait; returns how many."""
    return await webhooks.apply_due(settle)


async def compare() -> reconcile.Report:
    """Compare everything with the provider and repair it. Errors: Conflict without a provider."""
    return await reconcile.reconcile(settle)


async def _compare_if_due() -> None:
    if await reconcile.is_due():
        await compare()


async def run(stop: asyncio.Event) -> None:
    """Events, the clock of overdue payments, what is paid by use and the nightly comparison, until `stop` is set. Each has a task of its
    own: a slow provider holds up none of the others."""
    await asyncio.gather(
        _repeat(stop, EVENTS_SECONDS, EVENTS_SECONDS, True, apply_events), _repeat(stop, DUNNING_SECONDS, DUNNING_SECONDS, False, lambda: dunning.run(readers)),
        _repeat(stop, DUNNING_SECONDS, EXTRAS_SECONDS, True, extras.send_due), _repeat(stop, DUNNING_SECONDS, RECONCILE_SECONDS, True, _compare_if_due),
    )  # fmt: skip


async def _repeat(stop: asyncio.Event, first: float, seconds: float, needs_provider: bool, act: Callable[[], Awaitable[object]]) -> None:
    """Do it after `first` seconds and then every so many, until `stop` is set; what is under way then is finished."""
    wait = first
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
        if stop.is_set():
            return
        wait = seconds
        if needs_provider and not is_configured():
            continue
        try:
            await act()
        except Unavailable:
            continue
        except Exception:
            log.exception("billing.pass_failed", act=getattr(act, "__name__", "dunning"))
