"""What the pages of billing show: money, states and plans in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import format_currency, get_currency_precision

from saas.db import current_database
from saas.i18n import LazyString, get_locale, lazy, pick
from saas.i18n import gettext as _
from saas.runtime import Context
from saas.tenants import PlanDef, TenantRow
from saas.tenants.billing import Account, catalogue
from saas.tenants.billing.checkout import Cost
from saas.tenants.limits import amount
from saas.tenants.plans import NAMES
from saas.tenants.plans import catalogue as plans
from saas.ui.middleware import POLICY

# Of the payment provider's own pages, to which our forms lead on.
PAY_PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com")
# What plans are compared by; per month, minute or day where that is how it is counted.
COMPARED: Mapping[str, LazyString] = {
    "records": NAMES["records"], "storage": NAMES["storage"], "custom_entities": NAMES["custom_entities"], "automation_runs": lazy("Automation runs a month"), "api_requests": NAMES["api_requests"],
    "mails": lazy("E-mails a day"),
}  # fmt: skip
EXTRA_CHOICES = (0, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000)
INVOICE_STATES: Mapping[str, tuple[LazyString, str]] = {
    "paid": (lazy("paid"), "green"), "open": (lazy("not paid yet"), "yellow"), "void": (lazy("cancelled"), "gray"), "uncollectible": (lazy("written off"), "red"),
}  # fmt: skip
SUBSCRIPTION_STATES: Mapping[str, tuple[LazyString, str]] = {
    "none": (lazy("no subscription"), "gray"), "trialing": (lazy("trial"), "blue"), "active": (lazy("paid"), "green"), "past_due": (lazy("payment overdue"), "red"),
    "unpaid": (lazy("payment overdue"), "red"), "paused": (lazy("paused"), "yellow"), "canceled": (lazy("ended"), "gray"),
}  # fmt: skip
STEPS: Mapping[str, tuple[LazyString, str]] = {
    "past_due": (lazy("payment overdue"), "yellow"), "read_only": (lazy("read-only"), "red"), "suspended": (lazy("suspended"), "red"),
}  # fmt: skip


def policy() -> dict[str, str]:
    """Browsers hold `form-action` also against where a form's answer leads: the payment page must be named."""
    base = current_database().settings.stripe_api_base
    parts = urlsplit(base) if base else None
    pages = (f"{parts.scheme}://{parts.netloc}",) if parts else PAY_PAGES
    return {"content-security-policy": POLICY.replace("form-action 'self'", f"form-action 'self' {' '.join(pages)}")}


def money(minor: int, currency: str) -> str:
    """Minor units as people write them: ¥1,234.50."""
    places = get_currency_precision(currency)
    return format_currency(Decimal(minor).scaleb(-places), currency, locale=get_locale())


def cost(found: Cost | None) -> str:
    """What a change of the subscription costs; empty when nothing changes."""
    if found is None:
        return ""
    if found.now:
        return _("You pay %(amount)s now, for what is left of this period, before tax.", amount=money(found.now, found.currency))
    if found.next is not None:
        return _("Nothing is charged now. The next invoice will be about %(amount)s, before tax.", amount=money(max(0, found.next), found.currency))
    return _("Nothing is charged now.")


def plan_name(key: str) -> str:
    plan = plans().get(key)
    return pick(plan.label) if plan else key


def plan_cards(tenant: TenantRow, account: Account, currency: str, chosen: str) -> list[dict[str, Any]]:
    """The plans that can be chosen, with what they allow; the free one stands before them for comparison."""
    free = [plan for plan in plans().values() if plan.offered and plan.key not in catalogue.sold()]
    return [_card(plan, tenant, account, currency, chosen) for plan in (*free, *catalogue.sold().values())]


def _card(plan: PlanDef, tenant: TenantRow, account: Account, currency: str, chosen: str) -> dict[str, Any]:
    own = catalogue.currency_of(plan, currency) if plan.prices else currency
    price = plan.prices.get(own, 0)
    lines = [(str(label), amount(name, value) if (value := getattr(plan.limits, name)) is not None else _("no limit")) for name, label in COMPARED.items()]
    return {
        "key": plan.key, "name": pick(plan.label), "price": money(price, own) if price else "", "is_sold": plan.key in catalogue.sold(), "current": plan.key == tenant.plan_key,
        "chosen": plan.key == chosen, "lines": lines, "seats": plan.limits.seats,
        "trial": plan.trial_days if plan.trial_days and not account.trial_used and account.trial_told is None and tenant.trial_ends_at is None else 0,
    }  # fmt: skip


def invoices(ctx: Context, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        text, color = INVOICE_STATES.get(row["status"], (row["status"], "gray"))
        late = row["status"] == "open" and row["due_at"] is not None and row["due_at"] <= ctx.real_now
        found.append(
            {
                "id": row["id"], "number": row["number"] or row["id"], "at": day(ctx, row["issued_at"]), "due": day(ctx, row["due_at"]) if row["due_at"] else "", "amount": money(row["amount_due"], row["currency"]),
                "status": _("overdue") if late else str(text), "color": "red" if late else color, "page_url": row["page_url"], "pdf_url": row["pdf_url"], "note": row["note"], "paid": day(ctx, row["paid_at"]) if row["paid_at"] else "",
            }
        )  # fmt: skip
    return found


def day(ctx: Context, at: datetime) -> str:
    return f"{at.astimezone(ctx.zone):%Y-%m-%d}"


def facts(ctx: Context, account: Account, tenant: TenantRow, people: int) -> dict[str, Any]:
    """The contract in words."""
    text, color = SUBSCRIPTION_STATES.get(account.status, (account.status, "gray"))
    step = STEPS.get(account.step)
    seats = tenant.limits.seats
    next_at = account.trial_end if account.status == "trialing" else account.period_end
    price = plans()[account.plan_key].prices.get(account.currency, 0) if account.plan_key in plans() else 0
    return {
        "plan": plan_name(tenant.plan_key), "seats": seats, "people": people, "status": str(step[0] if step else text), "color": step[1] if step else color, "step": account.step,
        "is_live": account.is_live, "is_trial": account.status == "trialing", "next_at": day(ctx, next_at) if next_at and account.is_live and not account.cancel_at else "",
        "next_amount": money(price * account.seats, account.currency) if price else "", "ends": day(ctx, account.cancel_at) if account.cancel_at and account.is_live else "",
        "ended": day(ctx, account.ended_at) if account.ended_at and not account.is_live else "", "email": account.email, "tax_ids": account.tax_ids, "extra_runs": account.extra_runs,
        "trial_ends": day(ctx, tenant.trial_ends_at) if tenant.trial_ends_at else "", "paid_until": account.paid_until.isoformat() if account.paid_until else "",
        "second": account.second_subscription, "has_customer": bool(account.customer_id),
    }  # fmt: skip


def extra(account: Account, tenant: TenantRow) -> dict[str, Any] | None:
    """What automation runs beyond the plan cost; None where there is nothing beyond it."""
    plan = plans().get(account.plan_key)
    if not account.is_live or plan is None or plan.limits.automation_runs is None or account.currency not in catalogue.RUNS.prices:
        return None
    choices = sorted({*EXTRA_CHOICES, account.extra_runs})
    price = catalogue.RUNS.prices[account.currency]
    return {
        "included": f"{plan.limits.automation_runs:,}", "price": money(price, account.currency), "block": f"{catalogue.RUNS.block:,}",
        "choices": [(n, _("none") if not n else _("up to %(count)s, at most %(amount)s a month", count=f"{n:,}", amount=money(n // catalogue.RUNS.block * price, account.currency)), n == account.extra_runs) for n in choices],
    }  # fmt: skip
