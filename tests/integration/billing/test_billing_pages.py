"""The pages of billing over HTTP: who may, what they lead to, and that a workspace closed for want of money can still be paid for."""

from __future__ import annotations

import pytest

from saas.db import system_transaction
from saas.tenants import create_operator, create_user, list_audit, open_operator_session, request_deletion
from saas.ui.pages.billing_console import minor_of
from tests.conftest import PASSWORD
from tests.integration.test_pages import Browser, error_for
from tests.stripe_fake import server

ACTS = ("subscribe", "change", "extra", "portal", "cancel", "resume", "refresh")


async def arrive(company, email: str | None = None) -> Browser:
    browser = Browser(company.http, f"{company.slug}.localhost")
    assert (await browser.sign_in(email or company.email, PASSWORD)).status_code == 303
    return browser


async def operate(http, *, role: str = "full") -> Browser:
    """An operator with a second factor; how that is set up is tested elsewhere."""
    from saas.tenants import new_id

    operator_id = await create_operator(f"op-{new_id().hex[-12:]}@operator.example", PASSWORD, role=role)
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_account SET factor_secret = 'x' WHERE id = $1", operator_id)
    browser = Browser(http, "operator.localhost")
    browser.cookies["session"] = (await open_operator_session(operator_id))[0]
    return browser


async def test_only_administrators_see_and_do_it(payer):
    company = await payer()
    await create_user(company.id, f"s@{company.slug}.example", PASSWORD, "S", ["sales"])
    seller = await arrive(company, f"s@{company.slug}.example")
    assert (await seller.get("/settings/billing")).status_code == 403
    for act in ACTS:
        assert (await seller.post(f"/settings/billing/{act}", {"plan": "team", "seats": "3"})).status_code == 403
    stranger = Browser(company.http, f"{company.slug}.localhost")
    assert (await stranger.get("/settings/billing")).headers["location"].startswith("/login")
    assert not [call for call in company.stripe.asked if "customers" in call[1]]


async def test_forms_of_other_sites_do_nothing(payer):
    company = await payer()
    admin = await arrive(company)
    for act in ACTS:
        assert (await admin.post(f"/settings/billing/{act}", {"plan": "team", "seats": "3"}, token=False)).status_code == 403
        assert (await admin.post(f"/settings/billing/{act}", {}, sec_fetch_site="cross-site")).status_code == 403


async def test_a_form_leads_to_the_payment_page_and_only_there(payer):
    company = await payer()
    admin = await arrive(company)
    page = await admin.get("/settings/billing")
    assert f"form-action 'self' {company.stripe.url};" in page.headers["content-security-policy"]
    assert "form-action 'self';" in (await admin.get("/settings/brand")).headers["content-security-policy"]
    answer = await admin.post("/settings/billing/subscribe", {"plan": "team", "seats": "3"})
    assert answer.status_code == 303 and answer.headers["location"].startswith(f"{company.stripe.url}/pay/")
    assert "billing.checkout_started" in [e["kind"] for e in await list_audit(company.id)]


@pytest.mark.parametrize("seats", ["", "0", "-1", "1e3", "٣", "3.5", "99999999999999999999", "<b>"])
async def test_seats_that_are_no_number(payer, seats):
    company = await payer()
    admin = await arrive(company)
    answer = await admin.post("/settings/billing/subscribe", {"plan": "team", "seats": seats})
    assert answer.status_code == 422 and error_for(answer, "seats") and "<b>" not in answer.text.replace("<b>1", "").partition('id="f-seats"')[2][:200]


async def test_what_is_closed_for_want_of_money_can_be_paid_for(stripe, payer):
    company = await payer()
    await company.subscribe("team", 2)
    stripe.declines.add(await company.customer())
    stripe.advance(days=15)
    await company.hear()
    began = (await company.account()).step_at
    for days in (8, 30):
        await company.settle(days=days, at=began)
    assert (await company.row()).status == "suspended"
    admin = await arrive(company)
    assert (await admin.post("/r/customer/new", {"name": "Try"})).status_code == 403
    assert (await admin.get("/r/customer")).status_code == 200
    assert (await admin.get("/settings/everything")).status_code == 200
    page = await admin.get("/settings/billing")
    assert 'data-step="suspended"' in page.text and 'data-banner="payment"' in page.text
    assert (await admin.post("/settings/billing/portal")).headers["location"].startswith(f"{stripe.url}/portal/")
    server.settle(stripe, await company.customer())
    assert (await admin.post("/settings/billing/refresh")).status_code == 303
    assert (await company.row()).status == "active"
    assert (await admin.post("/r/customer/new", {"name": "Try"})).status_code == 303


async def test_for_a_workspace_that_leaves_nothing_more_is_bought(payer):
    company = await payer()
    await company.subscribe("team", 2)
    await request_deletion(company.id)
    admin = await arrive(company)
    assert (await admin.get("/settings/billing")).status_code == 200
    for act in ("subscribe", "change", "extra", "resume"):
        assert (await admin.post(f"/settings/billing/{act}", {"plan": "team", "seats": "9", "most": "1000"})).status_code == 403
    assert (await admin.post("/settings/billing/cancel")).status_code == 303 and (await company.account()).cancel_at is not None


async def test_without_a_provider_the_pages_say_so(database, http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm", plan_key="team")
    admin = Browser(http, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email)
    page = await admin.get("/settings/billing?returned=1")
    assert page.status_code == 200 and "data-manual" in page.text and "data-choose" not in page.text and "data-returned" not in page.text
    for act in ACTS[:-1]:
        answer = await admin.post(f"/settings/billing/{act}", {"plan": "team", "seats": "3", "most": "1000"})
        assert answer.status_code == 303 and answer.headers["location"] == "/settings/billing"
    operator = await operate(http)
    assert "data-manual" in (await operator.get("/billing")).text
    assert (await operator.post("/billing/reconcile")).status_code == 303


async def test_the_operators_pages(stripe, payer):
    company = await payer()
    await company.subscribe("team", 2)
    operator = await operate(company.http)
    page = await operator.get("/billing")
    assert page.status_code == 200 and f'data-account="{company.slug}"' in page.text
    where = f"/billing/workspaces/{company.slug}"
    assert (await operator.get(where)).status_code == 200
    bad = await operator.post(f"{where}/invoices", {"number": "", "amount": "x", "currency": "XXX", "issued": "soon", "due": ""})
    assert bad.status_code == 422 and all(error_for(bad, field) for field in ("currency", "issued", "due"))
    assert (await operator.post(where, {"plan": "team", "grace_until": "2999-01-01"})).status_code == 422
    answer = await operator.post(f"{where}/invoices", {"number": "1", "amount": "12.50", "currency": "EUR", "issued": "2026-01-01", "due": "2026-01-31"})
    assert answer.status_code == 303
    assert (await operator.post(f"{where}/invoices", {"number": "1", "amount": "12.50", "currency": "EUR", "issued": "2026-01-01", "due": "2026-01-31"})).status_code == 409
    manual = next(i for i in await company.invoices() if i["source"] == "manual")
    assert manual["amount_due"] == 1250 and (await company.row()).status == "past_due"
    assert (await operator.post(f"{where}/invoices/{manual['id']}", {"status": "paid"})).status_code == 303
    assert (await company.row()).status == "active"
    theirs = next(i for i in await company.invoices() if i["source"] == "stripe")
    assert (await operator.post(f"{where}/invoices/{theirs['id']}", {"status": "void"})).status_code == 404
    assert (await operator.post(f"{where}/refresh")).status_code == 303
    assert (await operator.get("/billing/workspaces/nobody")).status_code == 404
    events = await operator.get("/billing/events?state=applied&before=nonsense")
    assert events.status_code == 200 and "data-event" in events.text
    assert (await operator.post("/billing/events/evt_none/retry")).status_code == 404
    async with system_transaction("operator_console") as conn:
        kinds = {row[0] for row in await conn.fetch("SELECT kind FROM operator_audit WHERE tenant_id_text = $1", company.slug)}
    assert {"billing.invoice_recorded", "billing.invoice_paid"} <= kinds


async def test_an_operator_who_only_looks(stripe, payer):
    company = await payer()
    operator = await operate(company.http, role="read")
    assert (await operator.get("/billing")).status_code == 200
    where = f"/billing/workspaces/{company.slug}"
    assert (await operator.get(where)).status_code == 200
    for path in ("/billing/reconcile", "/billing/events/evt_1/retry", where, f"{where}/invoices", f"{where}/invoices/x", f"{where}/refresh"):
        assert (await operator.post(path, {"plan": "team", "number": "1", "status": "paid"})).status_code == 403
    assert (await company.row()).plan_key == "free"


@pytest.mark.parametrize("path", ["/billing", "/billing/events", "/billing/workspaces/acme"])
async def test_the_operators_pages_are_nowhere_else(payer, path):
    company = await payer()
    admin = await arrive(company)
    assert (await admin.get(path)).status_code == 404
    assert (await company.http.get(path, headers={"host": "localhost"})).status_code == 404


async def test_the_console_commands(stripe, payer, settings, monkeypatch):
    """`saas billing sync` and `reconcile`, as a process of their own would run them."""
    import asyncio
    import json
    import os
    import subprocess
    import sys

    company = await payer(pack=None)
    await company.subscribe("team", 3, hear=False)
    env = {**os.environ, "DATABASE_URL": settings.database_url, "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir), "STRIPE_API_KEY": stripe.key, "STRIPE_API_BASE": stripe.url}

    async def run(*arguments: str) -> tuple[int, dict]:
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "saas", "billing", *arguments, "--json"], capture_output=True, text=True, env=env, check=False)
        return done.returncode, json.loads(done.stdout)

    code, synced = await run("sync")
    assert code == 0 and synced["kept"] == 13
    code, report = await run("reconcile")
    assert code == 0 and {line["what"] for line in report["drift"]} >= {"status", "seats"} and (await company.row()).plan_key == "team"


@pytest.mark.parametrize(
    ("text", "places", "minor"),
    [("12.50", 2, 1250), ("12.5", 2, 1250), ("12", 2, 1200), ("1,299.00", 2, 129_900), ("1,234,567", 0, 1_234_567), ("1,50", 2, 0), ("1,5000", 2, 0), ("1e999999", 2, 0), ("1.505", 2, 0), ("5.0", 0, 0),
     ("-3", 2, 0), ("", 2, 0), ("１２", 2, 0), ("NaN", 2, 0), (",123", 2, 0), ("9" * 400, 2, 0)],
)  # fmt: skip
def test_amounts_mean_one_thing(text, places, minor):
    assert minor_of(text, places) == minor


async def test_an_amount_that_means_two_things_is_a_problem_there(payer):
    company = await payer(pack=None)
    operator = await operate(company.http)
    assert (await operator.get(f"/billing/workspaces/{company.slug}")).status_code == 200
    for amount in ("1,50", "1e999999"):
        answer = await operator.post(f"/billing/workspaces/{company.slug}/invoices", {"number": "2", "amount": amount, "currency": "EUR", "issued": "2026-01-01", "due": "2026-01-31"})
        assert answer.status_code == 422 and error_for(answer, "amount")
    assert await company.invoices() == []
