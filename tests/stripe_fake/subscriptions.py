"""Subscriptions of the fake: quantities, trials, renewals, proration, failing payments; and the invoices they make."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime
from typing import Any

from tests.stripe_fake.forms import is_true
from tests.stripe_fake.store import Fake, Refused

LIVE = ("trialing", "active", "past_due", "unpaid")
RETRY_DAYS = (3, 5, 7)  # after a payment failed


def a_month_later(stamp: int) -> int:
    at = datetime.fromtimestamp(stamp, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return int(at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1])).timestamp())


def items(sub: dict[str, Any]) -> list[dict[str, Any]]:
    return sub["items"]["data"]


def period(sub: dict[str, Any]) -> tuple[int, int]:
    return items(sub)[0]["current_period_start"], items(sub)[0]["current_period_end"]


def set_period(sub: dict[str, Any], start: int, end: int) -> None:
    for item in items(sub):
        item.update(current_period_start=start, current_period_end=end)


def is_metered(price: dict[str, Any]) -> bool:
    return price["recurring"]["usage_type"] == "metered"


# ---- making and changing -------------------------------------------------------------------------------------------------------


def create(fake: Fake, customer: str, lines: list[dict[str, Any]], data: dict[str, Any]) -> dict[str, Any]:
    start = fake.stamp
    trial_end = int(data["trial_end"]) if data.get("trial_end") else None
    if data.get("trial_period_days"):
        trial_end = start + int(data["trial_period_days"]) * 86400
    end = trial_end or a_month_later(start)
    sub = fake.add(
        "subscription",
        {
            "customer": customer, "status": "trialing" if trial_end else "active", "cancel_at_period_end": False, "cancel_at": None, "canceled_at": None, "ended_at": None,
            "trial_start": start if trial_end else None, "trial_end": trial_end, "start_date": start, "latest_invoice": None, "collection_method": "charge_automatically",
            "metadata": data.get("metadata", {}), "items": {"object": "list", "data": [], "has_more": False, "url": ""}, "currency": fake.get("price", lines[0]["price"])["currency"],
        },
    )  # fmt: skip
    for line in lines:
        add_item(fake, sub, line, start, end)
    invoice(fake, sub, [] if trial_end else seat_lines(sub), reason="subscription_create")
    fake.tell("customer.subscription.created", sub)
    return sub


def add_item(fake: Fake, sub: dict[str, Any], line: dict[str, Any], start: int, end: int) -> None:
    price = fake.get("price", line["price"])
    item = {
        "id": fake.new_id("subscription_item"), "object": "subscription_item", "created": fake.stamp, "metadata": {}, "price": price, "subscription": sub["id"],
        "current_period_start": start, "current_period_end": end,
    }  # fmt: skip
    if is_metered(price):
        if "quantity" in line:
            raise Refused(400, "You cannot set the quantity of a metered price.")
    else:
        item["quantity"] = int(line.get("quantity", 1))
    items(sub).append(item)


def changed_items(fake: Fake, sub: dict[str, Any], values: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The items after a change, and the lines for what is left of the period; nothing is written."""
    lines: list[dict[str, Any]] = []
    start, end = period(sub)
    left = max(0.0, (end - fake.stamp) / (end - start)) if end > start else 0.0
    after = [dict(item) for item in items(sub)]
    for change in values.get("items", []):
        at = next((i for i in after if i["id"] == change.get("id")), None)
        if is_true(change.get("deleted")):
            after.remove(at)  # type: ignore[arg-type]
            continue
        if at is None:
            holder = {"id": sub["id"], "items": {"data": []}}
            add_item(fake, holder, change, start, end)
            after.append(items(holder)[0])
            continue
        price = fake.get("price", change["price"]) if change.get("price") else at["price"]
        quantity = int(change.get("quantity", at.get("quantity", 1)))
        if sub["status"] != "trialing":
            before, now = at["quantity"] * at["price"]["unit_amount"], quantity * price["unit_amount"]
            lines += [
                {"amount": -round(before * left), "description": f"Unused time on {at['quantity']} seats", "proration": True},
                {"amount": round(now * left), "description": f"Remaining time on {quantity} seats", "proration": True},
            ]
        at.update(price=price, quantity=quantity)
    return after, lines


def update(fake: Fake, sub: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    if sub["status"] not in LIVE:
        raise Refused(404, f"No such subscription: '{sub['id']}'", code="resource_missing")
    end = period(sub)[1]
    after, lines = changed_items(fake, sub, values)
    behaviour = values.get("proration_behavior", "create_prorations")
    total = sum(line["amount"] for line in lines)
    if behaviour == "always_invoice" and total > 0 and sub["customer"] in fake.declines and values.get("payment_behavior") == "error_if_incomplete":
        raise Refused(402, "Your card was declined.", kind="card_error", code="card_declined")
    sub["items"]["data"] = after
    for name in ("cancel_at_period_end",):
        if name in values:
            sub[name] = is_true(values[name])
            sub["cancel_at"], sub["canceled_at"] = (end, fake.stamp) if sub[name] else (None, None)
    sub["metadata"] = {**sub["metadata"], **values.get("metadata", {})}
    if values.get("trial_end") == "now" and sub["status"] == "trialing":
        end_trial(fake, sub, fake.stamp)
    if behaviour == "always_invoice" and lines:
        invoice(fake, sub, lines, reason="subscription_update")
    elif behaviour == "create_prorations":
        for line in lines:
            fake.add("invoiceitem", {"customer": sub["customer"], "subscription": sub["id"], **line, "invoice": None})
    fake.tell("customer.subscription.updated", sub)
    return sub


def cancel(fake: Fake, sub: dict[str, Any]) -> dict[str, Any]:
    sub.update(status="canceled", canceled_at=sub["canceled_at"] or fake.stamp, ended_at=fake.stamp)
    fake.tell("customer.subscription.deleted", sub)
    return sub


# ---- invoices ------------------------------------------------------------------------------------------------------------------


def seat_lines(sub: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"amount": item["quantity"] * item["price"]["unit_amount"], "description": f"{item['quantity']} x {item['price']['lookup_key']}", "proration": False}
        for item in items(sub) if not is_metered(item["price"])
    ]  # fmt: skip


def used_lines(fake: Fake, sub: dict[str, Any], start: int, end: int) -> list[dict[str, Any]]:
    lines = []
    for item in items(sub):
        if is_metered(item["price"]):
            name = fake.get("billing.meter", item["price"]["recurring"]["meter"])["event_name"]
            used = sum(int(e["payload"]["value"]) for e in fake.usage.values() if e["event_name"] == name and e["payload"]["stripe_customer_id"] == sub["customer"] and start <= int(e["timestamp"]) < end)
            blocks = math.ceil(used / int((item["price"].get("transform_quantity") or {"divide_by": 1})["divide_by"]))
            lines.append({"amount": blocks * item["price"]["unit_amount"], "description": f"{used} extra", "proration": False})
    return lines


def invoice(fake: Fake, sub: dict[str, Any], lines: list[dict[str, Any]], *, reason: str) -> dict[str, Any]:
    """A finalized invoice of these lines and what waited for one; its payment is tried at once."""
    waiting = [i for i in fake.all("invoiceitem").values() if i["subscription"] == sub["id"] and not i["invoice"]] if reason == "subscription_cycle" else []
    lines = [*lines, *({"amount": i["amount"], "description": i["description"], "proration": True} for i in waiting)]
    total = sum(line["amount"] for line in lines)
    start, end = period(sub)
    found = fake.add(
        "invoice",
        {
            "customer": sub["customer"], "number": f"INV-{fake.salt.upper()}-{len(fake.all('invoice')) + 1:04d}", "status": "open", "currency": sub["currency"], "total": total,
            "amount_due": max(0, total), "amount_paid": 0, "amount_remaining": max(0, total), "attempt_count": 0, "attempted": False, "next_payment_attempt": None, "due_date": None,
            "period_start": start, "period_end": end, "billing_reason": reason, "collection_method": "charge_automatically", "hosted_invoice_url": "", "invoice_pdf": "",
            "status_transitions": {"finalized_at": fake.stamp, "paid_at": None, "voided_at": None, "marked_uncollectible_at": None},
            "parent": {"type": "subscription_details", "subscription_details": {"subscription": sub["id"], "metadata": {}}},
            "lines": {"object": "list", "data": [{"object": "line_item", **line} for line in lines], "has_more": False, "url": ""},
        },
    )  # fmt: skip
    found["hosted_invoice_url"] = f"{fake.url}/invoice/{found['id']}"
    found["invoice_pdf"] = f"{fake.url}/invoice/{found['id']}/pdf"
    for waited in waiting:
        waited["invoice"] = found["id"]
    sub["latest_invoice"] = found["id"]
    fake.tell("invoice.created", found)
    fake.tell("invoice.finalized", found)
    pay(fake, found)
    return found


def pay(fake: Fake, found: dict[str, Any]) -> bool:
    """Try to take the money."""
    if found["status"] != "open":
        return found["status"] == "paid"
    sub = fake.all("subscription").get(found["parent"]["subscription_details"]["subscription"])
    found["attempted"] = True
    if found["amount_due"] and found["customer"] in fake.declines:
        number = found["attempt_count"] = found["attempt_count"] + 1
        found["next_payment_attempt"] = fake.stamp + RETRY_DAYS[number - 1] * 86400 if number <= len(RETRY_DAYS) else None
        fake.tell("invoice.payment_failed", found)
        if sub and sub["status"] in LIVE:
            sub["status"] = "past_due" if found["next_payment_attempt"] else "unpaid"
            fake.tell("customer.subscription.updated", sub)
        return False
    found["attempt_count"] += 1 if found["amount_due"] else 0
    found.update(status="paid", amount_paid=found["amount_due"], amount_remaining=0, next_payment_attempt=None)
    found["status_transitions"]["paid_at"] = fake.stamp
    fake.tell("invoice.paid", found)
    if sub and sub["status"] in ("past_due", "unpaid") and not unpaid(fake, sub):
        sub["status"] = "active"
        fake.tell("customer.subscription.updated", sub)
    return True


def unpaid(fake: Fake, sub: dict[str, Any]) -> list[dict[str, Any]]:
    return [i for i in fake.all("invoice").values() if i["status"] == "open" and i["parent"]["subscription_details"]["subscription"] == sub["id"]]


# ---- what time brings ------------------------------------------------------------------------------------------------------------


def next_due(fake: Fake) -> float | None:
    ends = [period(sub)[1] for sub in fake.all("subscription").values() if sub["status"] in LIVE]
    retries = [i["next_payment_attempt"] for i in fake.all("invoice").values() if i["status"] == "open" and i["next_payment_attempt"]]
    return min([*ends, *retries], default=None)


def run_due(fake: Fake, due: float) -> None:
    for found in list(fake.all("invoice").values()):
        if found["status"] == "open" and found["next_payment_attempt"] and found["next_payment_attempt"] <= due:
            pay(fake, found)
    for sub in list(fake.all("subscription").values()):
        if sub["status"] in LIVE and period(sub)[1] <= due:
            renew(fake, sub)


def renew(fake: Fake, sub: dict[str, Any]) -> None:
    start, end = period(sub)
    if sub["cancel_at_period_end"]:
        if used := used_lines(fake, sub, start, end):
            invoice(fake, sub, used, reason="subscription_cycle")
        cancel(fake, sub)
        return
    if sub["status"] == "trialing":
        end_trial(fake, sub, end)
        return
    used = used_lines(fake, sub, start, end)
    set_period(sub, end, a_month_later(end))
    invoice(fake, sub, [*seat_lines(sub), *used], reason="subscription_cycle")
    fake.tell("customer.subscription.updated", sub)


def end_trial(fake: Fake, sub: dict[str, Any], at: int) -> None:
    sub.update(status="active", trial_end=at)
    set_period(sub, at, a_month_later(at))
    invoice(fake, sub, seat_lines(sub), reason="subscription_cycle")
    fake.tell("customer.subscription.updated", sub)


