"""What an administrator does with the subscription: subscribe, other plan or seats, extra runs, portal, cancel, stay. Nothing is written
here but the customer: what was done is fetched afterwards, as after any event (docs/adr/0012-billing.md).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput
from saas.i18n import lazy, lazy_plural
from saas.tenants import meters
from saas.tenants.billing import apply, catalogue, client, snapshot, store
from saas.tenants.billing.catalogue import RUNS
from saas.tenants.billing.store import Account
from saas.tenants.ids import new_id
from saas.tenants.links import address_of
from saas.tenants.plans import PlanDef
from saas.tenants.tenants import TenantRow

_THERE = lazy("There is a subscription already. Change it instead.")
PAGE = "/settings/billing"
MOST_SEATS = 10_000
MOST_RUNS = 10_000_000
_LOCALES = {"en": "en", "zh_CN": "zh"}
_SHORTEST_TRIAL = timedelta(hours=49)  # the provider wants two days


async def _look(tenant: TenantRow) -> tuple[Account, int]:
    """The account, and how many people are active."""
    async with tenant_transaction(tenant.id) as conn:
        return await store.read_account(conn, tenant.id), await conn.fetchval(meters.SEATS, tenant.id)


def check_choice(plan_key: str, seats: int, people: int) -> PlanDef:
    """Errors: InvalidInput at `plan` or `seats`."""
    plan = catalogue.sold().get(plan_key)
    if plan is None:
        raise InvalidInput([FieldProblem("plan", "unknown", lazy("Choose one of the plans."))])
    most = min(MOST_SEATS, plan.limits.seats or MOST_SEATS)
    if seats < max(1, people):
        message = lazy_plural("%(count)s person is active here: choose at least as many seats, or deactivate somebody first.", "%(count)s people are active here: choose at least as many seats, or deactivate somebody first.", people)
        raise InvalidInput([FieldProblem("seats", "too_small", message)])
    if seats > most:
        raise InvalidInput([FieldProblem("seats", "too_big", lazy("This plan has %(count)s seats at most.", count=most))])
    return plan


async def subscribe(tenant: TenantRow, plan_key: str, seats: int, *, email: str, locale: str) -> str:
    """The address of the provider's payment page for a new subscription. Errors: InvalidInput, Conflict (there is one already), UpstreamFailed."""
    account, people = await _look(tenant)
    plan = check_choice(plan_key, seats, people)
    if account.is_live:
        raise Conflict(_THERE)
    customer, gone = account.customer_id or await store.customer_of(tenant.id), ""
    if customer and (await snapshot.customer_or_none(customer)) is None:
        await store.forget_customer(customer)
        customer, gone = "", customer
    if customer:  # an event may still be on its way
        if (await apply.refresh(tenant.id, customer)).is_live:
            raise Conflict(_THERE)
        account, _people = await _look(tenant)
    customer = customer or await _customer(tenant, email, locale, gone)
    currency = account.currency if account.currency in plan.prices else catalogue.currency_of(plan, tenant.currency)
    price = await catalogue.price_id(catalogue.seat_key(plan.key, currency))
    here = address_of(tenant, PAGE)
    session = await client.ask(
        "checkout.sessions.create",
        {
            "mode": "subscription", "customer": customer, "client_reference_id": str(tenant.id), "line_items": [{"price": price, "quantity": seats}], "locale": _LOCALES.get(locale, "auto"),
            "subscription_data": {"metadata": {"app": catalogue.MARK, "tenant_id": str(tenant.id)}, **_trial(tenant, account, plan)}, "billing_address_collection": "required",
            "tax_id_collection": {"enabled": True}, "customer_update": {"name": "auto", "address": "auto"}, "success_url": f"{here}?returned=1", "cancel_url": f"{here}?cancelled=1",
        },
        key=f"checkout-{new_id()}",
    )  # fmt: skip
    for known in await client.every("checkout.sessions", {"customer": customer, "status": "open"}):
        if known["id"] != session["id"]:  # afterwards, so that of two who press at the same moment one page stays open at most
            await client.ask("checkout.sessions.expire", known["id"])
    return str(session["url"])


def _trial(tenant: TenantRow, account: Account, plan: PlanDef) -> dict[str, Any]:
    """One trial a company: what is left of the one it has, else the plan's when it never had one."""
    now = datetime.now(UTC)
    if tenant.trial_ends_at is not None:
        return {"trial_end": int(tenant.trial_ends_at.timestamp())} if tenant.trial_ends_at > now + _SHORTEST_TRIAL else {}
    if plan.trial_days and not account.trial_used and account.trial_told is None:
        return {"trial_period_days": plan.trial_days}
    return {}


async def _customer(tenant: TenantRow, email: str, locale: str, gone: str) -> str:
    """A new one, in place of one that was deleted at the provider."""
    known = await store.customer_of(tenant.id)
    if known:
        return known
    values = {"name": tenant.name, "email": email, "preferred_locales": [locale.replace("_", "-")], "metadata": {"app": catalogue.MARK, "tenant_id": str(tenant.id), "slug": tenant.slug}}
    once = hashlib.sha256((json.dumps(values, sort_keys=True) + gone).encode()).hexdigest()[:24]  # who presses twice is one customer
    made = await client.ask("customers.create", values, key=f"customer-{once}")
    return await store.keep_customer(tenant.id, tenant.slug, made["id"])


async def _running(tenant: TenantRow) -> tuple[Account, int]:
    account, people = await _look(tenant)
    if not account.is_live:
        raise Conflict(lazy("There is no subscription to change."))
    return account, people


async def _items(account: Account) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The item of the seats and that of the extra runs, as they are at this moment."""
    found = (await client.ask("subscriptions.retrieve", account.subscription_id))["items"]["data"]
    metered = [item for item in found if (item["price"].get("recurring") or {}).get("usage_type") == "metered"]
    seats = [item for item in found if item not in metered]
    if not seats:
        raise Conflict(lazy("This subscription was changed by hand. Please ask the operator of this service."))
    return seats[0], metered[0] if metered else None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a change costs, in minor units, before tax: `now` when it is paid at once, else what the `next` invoice will be."""

    currency: str
    now: int | None = None
    next: int | None = None


async def change(tenant: TenantRow, plan_key: str, seats: int) -> None:
    """Another plan or number of seats, now: more is paid at once for the rest of the period, less is taken off the next invoice.
    Errors: InvalidInput, Conflict, PaymentRefused (nothing is changed then), UpstreamFailed."""
    account, asked, costs_more = await _change(tenant, plan_key, seats)
    if asked is not None:
        behaviour = {"payment_behavior": "error_if_incomplete"} if costs_more else {}
        await client.ask("subscriptions.update", account.subscription_id, {**asked, **behaviour}, key=f"change-{new_id()}")


async def cost_of_change(tenant: TenantRow, plan_key: str, seats: int) -> Cost | None:
    """What `change` would cost, as the provider computes it; None when nothing changes. Errors: InvalidInput, Conflict, UpstreamFailed."""
    account, asked, costs_more = await _change(tenant, plan_key, seats)
    if asked is None:
        return None
    found = await client.ask("invoices.create_preview", {"subscription": account.subscription_id, "subscription_details": asked})
    currency = str(found["currency"]).upper()
    return Cost(currency, now=found["amount_due"]) if costs_more else Cost(currency, next=found["total"])


async def _change(tenant: TenantRow, plan_key: str, seats: int) -> tuple[Account, dict[str, Any] | None, bool]:
    """The account, what the provider is asked for (None when that is how it is already), and whether more is to be paid."""
    account, people = await _running(tenant)
    plan = check_choice(plan_key, seats, people)
    if (plan.key, seats) == (account.plan_key, account.seats):
        return account, None, False
    seat_item, _extra = await _items(account)
    currency = account.currency if account.currency in plan.prices else catalogue.currency_of(plan, tenant.currency)
    price = seat_item["price"]["id"] if plan.key == account.plan_key else await catalogue.price_id(catalogue.seat_key(plan.key, currency))
    before = (seat_item["price"].get("unit_amount") or 0) * (seat_item.get("quantity") or 0)
    costs_more = plan.prices.get(currency, 0) * seats > before if plan.key != account.plan_key else seats > account.seats
    items = [{"id": seat_item["id"], "price": price, "quantity": seats}]
    return account, {"items": items, "proration_behavior": "always_invoice" if costs_more else "create_prorations"}, costs_more


async def set_extra(tenant: TenantRow, most: int) -> None:
    """How many automation runs a month beyond the plan may be used and paid, 0 for none. Errors: InvalidInput, Conflict, UpstreamFailed."""
    if not 0 <= most <= MOST_RUNS or most % RUNS.block:
        raise InvalidInput([FieldProblem("most", "invalid", lazy("Choose a number of thousands, at most %(count)s.", count=f"{MOST_RUNS:,}"))])
    account, _people = await _running(tenant)
    _seats, item = await _items(account)
    items: list[dict[str, Any]] = []
    if most and item is None:
        items = [{"price": await catalogue.price_id(catalogue.extra_key(RUNS, account.currency))}]
    # Switched off: the item stays until its use is on an invoice; what may be used is none.
    values: dict[str, Any] = {"metadata": {"extra_runs": str(most)}, **({"items": items, "proration_behavior": "none"} if items else {})}
    await client.ask("subscriptions.update", account.subscription_id, values, key=f"extra-{new_id()}")


async def cancel(tenant: TenantRow) -> None:
    """At the end of what is paid. Errors: Conflict, UpstreamFailed."""
    account, _people = await _running(tenant)
    await client.ask("subscriptions.update", account.subscription_id, {"cancel_at_period_end": True}, key=f"cancel-{new_id()}")


async def resume(tenant: TenantRow) -> None:
    """Take the cancellation back, while the subscription still runs. Errors: Conflict, UpstreamFailed."""
    account, _people = await _running(tenant)
    await client.ask("subscriptions.update", account.subscription_id, {"cancel_at_period_end": False}, key=f"resume-{new_id()}")


async def portal(tenant: TenantRow) -> str:
    """The address of the provider's own pages for means of payment, address and tax ids. Errors: Conflict, UpstreamFailed."""
    account, _people = await _look(tenant)
    if not account.customer_id:
        raise Conflict(lazy("There is no subscription to change."))
    made = await client.ask("billing_portal.sessions.create", {"customer": account.customer_id, "return_url": f"{address_of(tenant, PAGE)}?returned=1"})
    return str(made["url"])


async def end_now(customer_id: str) -> list[str]:
    """End every subscription of a customer whose tenant is gone; returns which. Errors: UpstreamFailed."""
    ended = []
    for sub in await client.every("subscriptions", {"customer": customer_id, "status": "all"}):
        if sub["status"] in ("trialing", "active", "past_due", "unpaid", "paused", "incomplete"):
            await client.ask("subscriptions.cancel", sub["id"])
            ended.append(str(sub["id"]))
    return ended
