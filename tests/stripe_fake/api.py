"""The calls of the fake: (method, address) -> what happens. Parameters and answers are Stripe's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.stripe_fake import subscriptions
from tests.stripe_fake.forms import is_true
from tests.stripe_fake.store import Fake, Refused

Call = Callable[..., dict[str, Any]]
ROUTES: list[tuple[str, re.Pattern[str], Call]] = []


def on(method: str, path: str) -> Callable[[Call], Call]:
    def note(call: Call) -> Call:
        ROUTES.append((method, re.compile("/v1/" + path.replace("{id}", "(?P<id>[^/]+)") + r"\Z"), call))
        return call

    return note


def find(method: str, path: str) -> tuple[Call, dict[str, str]]:
    for known, pattern, call in ROUTES:
        if known == method and (match := pattern.match(path)):
            return call, match.groupdict()
    raise Refused(404, f"Unrecognized request URL ({method}: {path}).")


def page(rows: Iterable[dict[str, Any]], asked: dict[str, Any], url: str) -> dict[str, Any]:
    """Newest first, `limit` at most, after `starting_after`."""
    found = list(rows)[::-1]
    limit = int(asked.get("limit", 10))
    if not 1 <= limit <= 100:
        raise Refused(400, "Invalid limit")
    if after := asked.get("starting_after"):
        ids = [row["id"] for row in found]
        found = found[ids.index(after) + 1 :] if after in ids else []
    return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": url}


def matching(fake: Fake, kind: str, asked: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    return [row for row in fake.all(kind).values() if all(name not in asked or str(row.get(name)) == asked[name] or (isinstance(row.get(name), bool) and row[name] == is_true(asked[name])) for name in names)]


# ---- products and prices ---------------------------------------------------------------------------------------------------------


@on("POST", "products")
def create_product(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return fake.add("product", {"active": True, "description": None, **asked}, event="product.created")


@on("GET", "products/{id}")
def get_product(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return fake.get("product", id)


@on("POST", "products/{id}")
def change_product(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("product", id)
    found.update({k: is_true(v) if k == "active" else v for k, v in asked.items()})
    fake.tell("product.updated", found)
    return found


@on("GET", "products")
def list_products(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(matching(fake, "product", asked, "active"), asked, "/v1/products")


@on("POST", "prices")
def create_price(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    fake.get("product", asked["product"])
    key = asked.get("lookup_key")
    holder = next((p for p in fake.all("price").values() if key and p["lookup_key"] == key), None)
    transfers = is_true(asked.pop("transfer_lookup_key", False))
    if holder is not None:
        if not transfers:
            raise Refused(400, f"A price (`{holder['id']}`) already uses that lookup key.")
        holder["lookup_key"] = None
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": None, **asked.pop("recurring", {})}
    if recurring["usage_type"] == "metered":
        fake.get("billing.meter", recurring["meter"])
    values = {"active": True, "lookup_key": None, "billing_scheme": "per_unit", "transform_quantity": None, "type": "recurring", **asked, "recurring": recurring, "unit_amount": int(asked["unit_amount"])}
    return fake.add("price", values, event="price.created")


@on("POST", "prices/{id}")
def change_price(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("price", id)
    if set(asked) - {"active", "metadata", "lookup_key", "nickname"}:
        raise Refused(400, "Received unknown parameter: prices cannot be changed")
    found.update({k: is_true(v) if k == "active" else v for k, v in asked.items()})
    fake.tell("price.updated", found)
    return found


@on("GET", "prices")
def list_prices(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    rows = matching(fake, "price", asked, "active", "product")
    if keys := asked.get("lookup_keys"):
        rows = [row for row in rows if row["lookup_key"] in keys]
    return page(rows, asked, "/v1/prices")


# ---- meters ----------------------------------------------------------------------------------------------------------------------


@on("POST", "billing/meters")
def create_meter(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    if any(m["event_name"] == asked["event_name"] for m in fake.all("billing.meter").values()):
        raise Refused(400, "A meter with this event name exists already.")
    return fake.add("billing.meter", {"status": "active", **asked})


@on("GET", "billing/meters")
def list_meters(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(matching(fake, "billing.meter", asked, "status"), asked, "/v1/billing/meters")


@on("POST", "billing/meter_events")
def add_usage(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    fake.get("customer", asked["payload"]["stripe_customer_id"])
    if asked["identifier"] in fake.usage:
        raise Refused(400, f"An event already exists with identifier {asked['identifier']}.", code="duplicate_meter_event")
    found = {"object": "billing.meter_event", "created": fake.stamp, "livemode": False, "timestamp": fake.stamp, **asked}
    fake.usage[asked["identifier"]] = found
    return found


# ---- customers -------------------------------------------------------------------------------------------------------------------


@on("POST", "customers")
def create_customer(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return fake.add("customer", {"email": None, "name": None, "address": None, "currency": None, "delinquent": False, **asked}, event="customer.created")


@on("GET", "customers/{id}")
def get_customer(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    if id in fake.deleted:
        return {"id": id, "object": "customer", "deleted": True}
    return fake.get("customer", id)


@on("DELETE", "customers/{id}")
def delete_customer(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    """Its subscriptions end at once; asked for later it is answered as deleted."""
    found = fake.get("customer", id)
    for sub in [s for s in fake.all("subscription").values() if s["customer"] == id and s["status"] in subscriptions.LIVE]:
        subscriptions.cancel(fake, sub)
    fake.tell("customer.deleted", found)
    fake.deleted.add(id)
    del fake.all("customer")[id]
    return {"id": id, "object": "customer", "deleted": True}


@on("POST", "customers/{id}")
def change_customer(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("customer", id)
    found.update(asked)
    fake.tell("customer.updated", found)
    return found


@on("GET", "customers")
def list_customers(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(matching(fake, "customer", asked, "email"), asked, "/v1/customers")


@on("GET", "customers/{id}/tax_ids")
def list_tax_ids(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return page([t for t in fake.all("tax_id").values() if t["customer"] == id], asked, f"/v1/customers/{id}/tax_ids")


@on("POST", "customers/{id}/tax_ids")
def add_tax_id(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    fake.get("customer", id)
    return fake.add("tax_id", {"customer": id, "country": asked["type"][:2].upper(), **asked}, event="customer.tax_id.created")


# ---- checkout and portal -----------------------------------------------------------------------------------------------------------


@on("POST", "checkout/sessions")
def create_session(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    fake.get("customer", asked["customer"])
    for line in asked["line_items"]:
        price = fake.get("price", line["price"])
        if not price["active"]:
            raise Refused(400, "The price specified is inactive. This field only accepts active prices.")
        if subscriptions.is_metered(price) and "quantity" in line:
            raise Refused(400, "Quantity should not be specified where usage_type is `metered`.")
    trial_end = (asked.get("subscription_data") or {}).get("trial_end")
    if trial_end and int(trial_end) < fake.stamp + 48 * 3600:
        raise Refused(400, "The `trial_end` date has to be at least 2 days in the future.")
    found = fake.add("checkout.session", {"status": "open", "payment_status": "unpaid", "subscription": None, "expires_at": fake.stamp + 86400, **asked})
    found["url"] = f"{fake.url}/pay/{found['id']}"
    return found


@on("GET", "checkout/sessions/{id}")
def get_session(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return fake.get("checkout.session", id)


@on("GET", "checkout/sessions")
def list_sessions(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(matching(fake, "checkout.session", asked, "customer", "status", "subscription"), asked, "/v1/checkout/sessions")


@on("POST", "checkout/sessions/{id}/expire")
def expire_session(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("checkout.session", id)
    if found["status"] != "open":
        raise Refused(400, "Only Checkout Sessions with a status in [\"open\"] can be expired.")
    found["status"] = "expired"
    fake.tell("checkout.session.expired", found)
    return found


def complete(fake: Fake, session_id: str, *, tax_id: str = "") -> dict[str, Any]:
    """What the payment page does when somebody pays."""
    session = fake.get("checkout.session", session_id)
    if session["status"] != "open":
        raise Refused(400, "This session is over.")
    customer = fake.get("customer", session["customer"])
    if tax_id:
        add_tax_id(fake, {"type": "eu_vat", "value": tax_id}, customer["id"])
    sub = subscriptions.create(fake, customer["id"], session["line_items"], session.get("subscription_data") or {})
    session.update(status="complete", payment_status="paid" if sub["status"] == "active" else "no_payment_required", subscription=sub["id"])
    customer["currency"] = sub["currency"]
    fake.tell("customer.updated", customer)
    fake.tell("checkout.session.completed", session)
    return sub


@on("POST", "billing_portal/sessions")
def create_portal(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    fake.get("customer", asked["customer"])
    found = fake.add("billing_portal.session", dict(asked))
    found["url"] = f"{fake.url}/portal/{found['id']}"
    return found


# ---- subscriptions and invoices ------------------------------------------------------------------------------------------------------


@on("GET", "subscriptions/{id}")
def get_subscription(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return fake.get("subscription", id)


@on("GET", "subscriptions")
def list_subscriptions(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    status = asked.get("status")
    rows = matching(fake, "subscription", asked, "customer")
    rows = [row for row in rows if status == "all" or (row["status"] == status if status else row["status"] != "canceled")]
    return page(rows, asked, "/v1/subscriptions")


@on("POST", "subscriptions/{id}")
def change_subscription(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return subscriptions.update(fake, fake.get("subscription", id), asked)


@on("DELETE", "subscriptions/{id}")
def cancel_subscription(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("subscription", id)
    if found["status"] not in subscriptions.LIVE:
        raise Refused(404, f"No such subscription: '{id}'", code="resource_missing")
    return subscriptions.cancel(fake, found)


@on("GET", "invoices/{id}")
def get_invoice(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    return fake.get("invoice", id)


@on("GET", "invoices")
def list_invoices(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(matching(fake, "invoice", asked, "customer", "status"), asked, "/v1/invoices")


@on("POST", "invoices/create_preview")
def preview_invoice(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    """What a change would put on an invoice at once, or else the next one, with what waits for it."""
    sub = fake.get("subscription", asked["subscription"])
    asks = asked.get("subscription_details", {})
    after, lines = subscriptions.changed_items(fake, sub, asks)
    end = subscriptions.period(sub)[1]
    if asks.get("proration_behavior") != "always_invoice":
        waiting = [i for i in fake.all("invoiceitem").values() if i["subscription"] == sub["id"] and not i["invoice"]]
        lines = [*subscriptions.seat_lines({**sub, "items": {"data": after}}), *lines, *waiting]
    total = sum(line["amount"] for line in lines)
    return {"id": "upcoming", "object": "invoice", "customer": sub["customer"], "currency": sub["currency"], "total": total, "amount_due": max(0, total), "created": end, "next_payment_attempt": end}


@on("POST", "invoices/{id}/pay")
def pay_invoice(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = fake.get("invoice", id)
    if not subscriptions.pay(fake, found):
        raise Refused(402, "Your card was declined.", kind="card_error", code="card_declined")
    return found


@on("GET", "events")
def list_events(fake: Fake, asked: dict[str, Any]) -> dict[str, Any]:
    return page(fake.events, asked, "/v1/events")


@on("GET", "events/{id}")
def get_event(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    found = next((event for event in fake.events if event["id"] == id), None)
    if found is None:
        raise Refused(404, f"No such event: '{id}'", code="resource_missing")
    return found


# ---- the clock ----------------------------------------------------------------------------------------------------------------------


@on("POST", "test_helpers/test_clocks/{id}/advance")
def advance(fake: Fake, asked: dict[str, Any], id: str) -> dict[str, Any]:
    """There is one clock for everything here, whatever its id."""
    fake.advance(seconds=int(asked["frozen_time"]) - fake.stamp)
    return {"id": id, "object": "test_helpers.test_clock", "frozen_time": fake.stamp, "status": "ready", "livemode": False}
