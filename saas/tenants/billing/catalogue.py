"""The plan catalogue as products and prices of the payment provider: made, renamed, replaced, archived; the same again changes nothing.

A price cannot be changed there. One that costs something else now is made anew under the same lookup key, and the old one is archived:
who pays it already goes on paying it until the subscription changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy, pick, use_locale
from saas.tenants.billing import client
from saas.tenants.plans import PlanDef, catalogue

MARK = "saas"  # on everything of ours at the provider


@dataclass(frozen=True, slots=True)
class Extra:
    """What can be used beyond the plan and is paid by use: `block` of them cost `prices[currency]` minor units, begun blocks count."""

    meter: str
    block: int
    prices: Mapping[str, int]


RUNS = Extra("automation_runs", 1000, {"CNY": 600, "USD": 90})


@dataclass(slots=True)
class Synced:
    """What a run did, in the provider's ids."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    kept: int = 0


def sold() -> dict[str, PlanDef]:
    """Plans that companies may subscribe to, from small to large."""
    return {key: plan for key, plan in catalogue().items() if plan.offered and any(plan.prices.values())}


def currency_of(plan: PlanDef, wanted: str) -> str:
    """The currency in which a company pays: its own where the plan has a price in it."""
    if wanted in plan.prices:
        return wanted
    return "USD" if "USD" in plan.prices else next(iter(plan.prices))


def seat_key(plan_key: str, currency: str) -> str:
    return f"{MARK}_{plan_key}_{currency.lower()}_month"


def extra_key(extra: Extra, currency: str) -> str:
    return f"{MARK}_extra_{extra.meter}_{currency.lower()}_month"


async def sync() -> Synced:
    """Bring the provider's catalogue to ours. Errors: Conflict (not set up), UpstreamFailed; running it again then goes on."""
    done = Synced()
    known = {price["lookup_key"]: price for price in await client.every("prices", {"active": True}) if (price.get("metadata") or {}).get("app") == MARK}
    wanted: set[str] = set()
    products = {product["id"]: product for product in await client.every("products") if (product.get("metadata") or {}).get("app") == MARK}
    for plan in sold().values():
        with use_locale("en"):
            name = pick(plan.label)
        product = await _product(done, products, f"{MARK}_plan_{plan.key}", name, {"plan": plan.key})
        for currency, amount in plan.prices.items():
            if amount:
                wanted.add(key := seat_key(plan.key, currency))
                values = {"currency": currency.lower(), "unit_amount": amount, "product": product, "recurring": {"interval": "month"}, "metadata": {"app": MARK, "plan": plan.key}}
                await _price(done, known.get(key), key, values)
    meter = await _meter(done, RUNS)
    product = await _product(done, products, f"{MARK}_extra_{RUNS.meter}", "Extra automation runs", {"extra": RUNS.meter})
    for currency, amount in RUNS.prices.items():
        wanted.add(key := extra_key(RUNS, currency))
        recurring = {"interval": "month", "usage_type": "metered", "meter": meter}
        values = {"currency": currency.lower(), "unit_amount": amount, "product": product, "recurring": recurring, "metadata": {"app": MARK, "extra": RUNS.meter}}
        await _price(done, known.get(key), key, {**values, "transform_quantity": {"divide_by": RUNS.block, "round": "up"}})
    for key, price in known.items():
        if key not in wanted:
            await _archive(done, price["id"])
    return done


async def _product(done: Synced, known: Mapping[str, Any], product_id: str, name: str, data: Mapping[str, str]) -> str:
    there = known.get(product_id)
    if there is None:
        await client.ask("products.create", {"id": product_id, "name": name, "metadata": {"app": MARK, **data}}, key=f"product-{product_id}")
        done.made.append(product_id)
    elif there["name"] != name or not there.get("active", True):
        await client.ask("products.update", product_id, {"name": name, "active": True})
        done.changed.append(product_id)
    else:
        done.kept += 1
    return product_id


async def _price(done: Synced, there: Mapping[str, Any] | None, key: str, values: Mapping[str, Any]) -> None:
    if there is not None and _same(there, values):
        done.kept += 1
        return
    # The key of the request names what it replaces: back to an older amount must not bring back the archived price.
    once = f"price-{key}-{values['unit_amount']}-after-{there['id'] if there else 'none'}"
    made = await client.ask("prices.create", {**values, "lookup_key": key, "transfer_lookup_key": True}, key=once)
    done.made.append(made["id"])
    if there is not None:
        await _archive(done, there["id"])


def _same(there: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    recurring, wanted = there.get("recurring") or {}, values["recurring"]
    block = (there.get("transform_quantity") or {}).get("divide_by")
    return (
        there["unit_amount"] == values["unit_amount"] and there["currency"] == values["currency"] and _id(there["product"]) == values["product"] and recurring.get("interval") == wanted["interval"]
        and (recurring.get("meter") or None) == wanted.get("meter") and (int(block) if block else None) == (values.get("transform_quantity") or {}).get("divide_by")
    )  # fmt: skip


def _id(found: Any) -> str:
    return found if isinstance(found, str) else found["id"]


async def _archive(done: Synced, price_id: str) -> None:
    await client.ask("prices.update", price_id, {"active": False})
    done.archived.append(price_id)


async def _meter(done: Synced, extra: Extra) -> str:
    name = f"{MARK}_{extra.meter}"
    for meter in await client.every("billing.meters", {"status": "active"}):
        if meter["event_name"] == name:
            done.kept += 1
            return meter["id"]
    values = {"display_name": "Extra automation runs", "event_name": name, "default_aggregation": {"formula": "sum"}}
    meter = await client.ask("billing.meters.create", values, key=f"meter-{name}")
    done.made.append(meter["id"])
    return meter["id"]


async def price_id(key: str) -> str:
    """The present price behind a lookup key. Errors: Conflict when the catalogue was never brought there."""
    found = await client.ask("prices.list", {"lookup_keys": [key], "active": True, "limit": 1})
    if not found["data"]:
        raise Conflict(lazy("This plan cannot be paid for yet. Please tell the operator of this service."))
    return found["data"][0]["id"]
