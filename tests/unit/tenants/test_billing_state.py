"""What the provider's objects mean for us: a pure function."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from saas.tenants.billing.dunning import next_step, overdue_since
from saas.tenants.billing.extras import beyond
from saas.tenants.billing.snapshot import Snapshot, state_of
from saas.tenants.billing.store import Account

T = 1_800_000_000
NOW = datetime.fromtimestamp(T, UTC)


def item(plan: str = "team", quantity: int = 3, *, metered: bool = False) -> dict:
    price = {"id": "p", "metadata": {} if metered else {"plan": plan}, "recurring": {"usage_type": "metered" if metered else "licensed"}}
    return {"id": "si", "price": price, "current_period_start": T, "current_period_end": T + 100, **({} if metered else {"quantity": quantity})}


def sub(id: str, status: str = "active", *, created: int = T, ended: int | None = None, items: list | None = None, **more) -> dict:
    return {"id": id, "status": status, "created": created, "ended_at": ended, "currency": "usd", "items": {"data": items or [item()]}, "metadata": {}, **more}


def bill(id: str, status: str, at: int, *, attempts: int = 1, left: int = 100) -> dict:
    return {"id": id, "status": status, "currency": "usd", "amount_due": 100, "amount_remaining": left, "attempt_count": attempts, "created": at, "status_transitions": {"finalized_at": at}}


def state(subs=(), bills=(), customer=None):
    return state_of(Snapshot(customer or {"id": "cus"}, list(subs), list(bills)))


def test_the_oldest_bill_that_failed_counts():
    bills = [bill("b", "open", T + 50), bill("a", "open", T + 10), bill("c", "open", T + 1, attempts=0), bill("d", "paid", T), bill("e", "uncollectible", T), bill("f", "open", T, left=0)]
    assert state([sub("s", "past_due")], bills).unpaid_since == datetime.fromtimestamp(T + 10, UTC)
    assert state([sub("s", "past_due")], bills[::-1]) == state([sub("s", "past_due")], bills)
    assert state([sub("s", "past_due")]).unpaid_since == NOW
    assert state([sub("s", "canceled", ended=T)], bills).unpaid_since is None


def test_the_oldest_running_subscription_counts_else_the_one_that_ended_last():
    running = [sub("young", created=T + 5), sub("old", created=T + 1), sub("gone", "canceled", created=T, ended=T + 9)]
    assert (state(running).subscription_id, state(running).second_subscription) == ("old", True)
    ended = [sub("first", "canceled", ended=T + 1), sub("last", "canceled", ended=T + 2)]
    assert (state(ended).subscription_id, state(ended).is_live, state(ended[::-1]).subscription_id) == ("last", False, "last")


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired"])
def test_what_was_never_paid_was_never_bought(status):
    found = state([sub("s", status)])
    assert (found.status, found.subscription_id, found.trial_used) == ("none", "", False)


def test_extra_runs_need_the_item_and_the_number():
    both = [item(metered=True), item()]
    assert state([sub("s", items=both, metadata={"extra_runs": "5000"})]).extra_runs == 5000
    assert state([sub("s", items=both, metadata={"extra_runs": "5000"})]).seats == 3
    assert state([sub("s", metadata={"extra_runs": "5000"})]).extra_runs == 0
    for odd in ("", "-1", "1e3", "٣", "9" * 20, "x"):
        assert state([sub("s", items=both, metadata={"extra_runs": odd})]).extra_runs == 0


def test_a_deleted_customer_and_drafts_and_odd_links():
    found = state(bills=[{**bill("x", "open", T), "hosted_invoice_url": "javascript:alert(1)"}, bill("y", "draft", T)], customer={"id": "cus", "deleted": True})
    assert [(b.id, b.page_url) for b in found.bills] == [("x", "")] and found.status == "none"


def test_steps_one_at_a_time():
    days = {"grace_days": 7, "read_only_days": 14}
    late = NOW - timedelta(days=365)
    assert next_step(Account(), None, NOW, **days) == ""
    assert next_step(Account(), late, NOW, **days) == "past_due"
    for step, after, then in (("past_due", 6.9, "past_due"), ("past_due", 7, "read_only"), ("read_only", 13.9, "read_only"), ("read_only", 14, "suspended"), ("suspended", 1000, "suspended")):
        assert next_step(Account(step=step, step_at=NOW - timedelta(days=after)), late, NOW, **days) == then
    patient = Account(step="suspended", step_at=late, grace_until=NOW + timedelta(days=1))
    assert next_step(patient, late, NOW, **days) == "past_due" and next_step(patient, None, NOW, **days) == ""


def test_since_when_something_is_owed():
    assert overdue_since(Account(), [NOW + timedelta(seconds=1)], NOW) is None
    assert overdue_since(Account(unpaid_since=NOW), [NOW - timedelta(days=1)], NOW) == NOW - timedelta(days=1)
    assert overdue_since(Account(paid_until=NOW.date() - timedelta(days=1)), [], NOW) is not None
    assert overdue_since(Account(paid_until=NOW.date() - timedelta(days=9), status="active"), [], NOW) is None


def test_what_is_beyond_the_plan_day_by_day():
    days = {date(2026, 1, 31): 500, date(2026, 2, 1): 90, date(2026, 2, 2): 30, date(2026, 2, 3): 5}
    assert [beyond(days, 100, date(2026, 2, day)) for day in (1, 2, 3, 4)] == [0, 20, 5, 0]
    assert beyond(days, 0, date(2026, 2, 1)) == 90
