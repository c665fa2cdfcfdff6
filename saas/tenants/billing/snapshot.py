"""What the payment provider says about a customer at one moment, and what that means for us: a pure function, so that events may come
twice, late, in any order or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from saas.tenants.billing import client
from saas.tenants.tenants import SUBSCRIBED as LIVE

_NEVER = ("incomplete", "incomplete_expired")  # the first payment did not succeed: nothing was ever bought


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The provider's own objects: the customer with tax ids, all subscriptions ever, all invoices."""

    customer: Mapping[str, Any]
    subscriptions: Sequence[Mapping[str, Any]]
    invoices: Sequence[Mapping[str, Any]]
    tax_ids: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice; amounts in minor units."""

    id: str
    number: str
    status: str
    currency: str
    amount_due: int
    amount_paid: int
    issued_at: datetime
    due_at: datetime | None = None
    paid_at: datetime | None = None
    page_url: str = ""
    pdf_url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """A tenant's contract as the provider has it. `status` is the provider's word, "none" without a subscription; `extra_runs`: how many
    automation runs a month beyond the plan are paid by use, at most."""

    customer_id: str = ""
    subscription_id: str = ""
    status: str = "none"
    plan_key: str = ""
    currency: str = ""
    seats: int = 0
    extra_runs: int = 0
    period_start: datetime | None = None
    period_end: datetime | None = None
    trial_end: datetime | None = None
    cancel_at: datetime | None = None
    ended_at: datetime | None = None
    unpaid_since: datetime | None = None
    trial_used: bool = False
    second_subscription: bool = False
    email: str = ""
    tax_ids: Sequence[str] = ()

    @property
    def is_live(self) -> bool:
        """Whether a subscription runs."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class State(Contract):
    """The contract just fetched, with its invoices."""

    bills: Sequence[Bill] = ()

    def columns(self) -> dict[str, Any]:
        """As they stand in billing_account."""
        found = asdict(self)
        found.pop("bills")
        return {**found, "tax_ids": list(self.tax_ids)}


async def fetch(customer_id: str) -> Snapshot:
    """Errors: as `client.ask`; NotThere for a customer that the provider does not know."""
    customer = await client.ask("customers.retrieve", customer_id)
    subscriptions = await client.every("subscriptions", {"customer": customer_id, "status": "all"})
    invoices = await client.every("invoices", {"customer": customer_id})
    tax_ids = [] if customer.get("deleted") else await client.every("customers.tax_ids", None, customer_id)
    return Snapshot(customer, subscriptions, invoices, tax_ids)


async def customer_or_none(customer_id: str) -> dict[str, Any] | None:
    """None for one that was deleted: the provider answers with hardly more than that. Errors: as `client.ask`."""
    try:
        found = await client.ask("customers.retrieve", customer_id)
    except client.NotThere:
        return None
    return None if found.get("deleted") else found


def state_of(found: Snapshot) -> State:
    """The same for the same objects, whatever was known before."""
    bills = tuple(sorted((_bill(i) for i in found.invoices if i["status"] != "draft"), key=lambda b: (b.issued_at, b.id)))
    base = State(
        found.customer["id"], email=found.customer.get("email") or "", tax_ids=tuple(sorted(f"{t['type'].replace('_', ' ').upper()} {t['value']}" for t in found.tax_ids)), bills=bills,
        currency=(found.customer.get("currency") or "").upper(),
    )  # fmt: skip
    bought = [sub for sub in found.subscriptions if sub["status"] not in _NEVER]
    live = sorted((sub for sub in bought if sub["status"] in LIVE), key=lambda sub: (sub["created"], sub["id"]))
    ended = sorted((sub for sub in bought if sub["status"] not in LIVE), key=lambda sub: (sub.get("ended_at") or 0, sub["id"]))
    if not bought:
        return base
    sub = live[0] if live else ended[-1]
    values = {**asdict(base), "bills": bills, "tax_ids": base.tax_ids, **_subscription(sub)}
    values |= {"trial_used": True, "second_subscription": len(live) > 1}
    if live:
        values["unpaid_since"] = _unpaid_since(sub, found.invoices, values["period_start"])
    return State(**values)


def _subscription(sub: Mapping[str, Any]) -> dict[str, Any]:
    items = sub["items"]["data"]
    seats = next((item for item in items if (item["price"].get("recurring") or {}).get("usage_type") != "metered"), None)
    metered = any((item["price"].get("recurring") or {}).get("usage_type") == "metered" for item in items)
    first = seats or (items[0] if items else {})
    extra = str((sub.get("metadata") or {}).get("extra_runs") or "")
    return {
        "subscription_id": sub["id"], "status": sub["status"], "currency": str(sub.get("currency") or "").upper(),
        "plan_key": str((seats["price"].get("metadata") or {}).get("plan") or "") if seats else "", "seats": int(seats.get("quantity") or 0) if seats else 0,
        "extra_runs": int(extra) if metered and extra.isascii() and extra.isdigit() and len(extra) < 10 else 0,
        "period_start": _at(first.get("current_period_start")), "period_end": _at(first.get("current_period_end")), "trial_end": _at(sub.get("trial_end")),
        "cancel_at": _at(sub.get("cancel_at")), "ended_at": _at(sub.get("ended_at")),
    }  # fmt: skip


def _unpaid_since(sub: Mapping[str, Any], invoices: Sequence[Mapping[str, Any]], begin: datetime | None) -> datetime | None:
    """The oldest bill whose payment failed."""
    due = [_issued(i) for i in invoices if i["status"] == "open" and i.get("amount_remaining", i["amount_due"]) > 0 and i.get("attempt_count")]
    if due:
        return min(due)
    return begin if sub["status"] in ("past_due", "unpaid") else None


def _bill(invoice: Mapping[str, Any]) -> Bill:
    times = invoice.get("status_transitions") or {}
    return Bill(
        invoice["id"], invoice.get("number") or "", invoice["status"], str(invoice["currency"]).upper(), int(invoice.get("amount_due") or 0), int(invoice.get("amount_paid") or 0),
        _issued(invoice), _at(invoice.get("due_date")), _at(times.get("paid_at")), _web(invoice.get("hosted_invoice_url")), _web(invoice.get("invoice_pdf")),
    )  # fmt: skip


def _issued(invoice: Mapping[str, Any]) -> datetime:
    return _at((invoice.get("status_transitions") or {}).get("finalized_at")) or datetime.fromtimestamp(invoice["created"], UTC)


def _web(address: Any) -> str:
    """An address that may become a link."""
    return address if isinstance(address, str) and address.startswith(("https://", "http://")) else ""


def _at(stamp: Any) -> datetime | None:
    return datetime.fromtimestamp(stamp, UTC) if stamp else None
