"""Ledgers from outside: statement, reversal, the designer's form, the API and what it says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest_asyncio

from saas.metadata import drafts
from tests.acceptance.api import Person, refused
from tests.factories import PASSWORD
from tests.integration.designer.conftest import Designer
from tests.integration.test_pages import error_for


@pytest_asyncio.fixture(scope="session")
async def boss(http, trade) -> Person:
    return await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"admin@{trade.slug}.example", PASSWORD)


@pytest_asyncio.fixture
async def admin(http, trade) -> Designer:
    await drafts.discard(trade.tenant_id, trade.people["admin"])
    found = Designer(http, SimpleNamespace(slug=trade.slug, id=trade.tenant_id, admin_id=trade.people["admin"]))
    assert (await found.sign_in(f"admin@{trade.slug}.example", PASSWORD)).status_code == 303
    return found


async def _account(boss: Person) -> tuple[str, str]:
    """A member with 100 and then 30 points less, and the second entry."""
    who = (await boss.create("member", name="Lan"))["id"]
    entry = {"member": who, "event": "issue", "way": "automatic"}
    await boss.create("entry", amount=100, **entry)
    return who, (await boss.create("entry", amount=30, direction="subtract", note="Kettle", **entry))["id"]


async def test_the_statement_says_the_balance_after_each_entry(boss, admin, trade, http):
    who, entry = await _account(boss)
    await boss.create("entry", member=who, amount=7, event="issue")  # waits
    assert (await boss.get(f"/records/member/{who}/ledgers"))["data"] == [{"key": "points", "label": "Points", "balance": 70, "text": "70"}]
    found = await boss.get(f"/records/member/{who}/ledgers/points")
    assert [(line["amount"], line["balance"], line["counted"]) for line in found["data"]] == [(7, 70, False), (-30, 70, True), (100, 100, True)]
    first = await boss.get(f"/records/member/{who}/ledgers/points", limit=1)
    rest = await boss.get(f"/records/member/{who}/ledgers/points", after=first["next"])
    assert [line["balance"] for line in rest["data"]] == [70, 100]
    page = (await admin.get(f"/r/member/{who}/ledgers/points")).text
    assert "Kettle" in page and "-30" in page.replace("−", "-") and f"/r/entry/{entry}" in page
    assert f"/r/member/{who}/ledgers/points" in (await admin.get(f"/r/member/{who}")).text
    clerk = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"clerk@{trade.slug}.example", PASSWORD)
    refused(await clerk.send("GET", f"/records/member/{who}/ledgers/points"), 403)
    assert (await clerk.get(f"/records/member/{who}/ledgers"))["data"] == []
    assert "ledgers/points" not in str((await clerk.get("/openapi.json"))["paths"])
    refused(await boss.send("GET", f"/records/member/{who}/ledgers/nothing"), 404)


async def test_an_entry_is_reversed_by_page_and_api(boss, admin):
    who, entry = await _account(boss)
    assert f"/r/entry/{entry}/reverse" in (await admin.get(f"/r/entry/{entry}")).text
    answer = await admin.fill(f"/r/entry/{entry}/reverse", {"reason": "Returned"})
    assert answer.status_code == 303
    again = await admin.fill(f"/r/entry/{entry}/reverse", {"reason": "Twice"})
    assert again.status_code == 422 and "Twice" in again.text
    refused(await boss.send("POST", f"/records/entry/{entry}/reverse", {}), 422)
    assert (await boss.get(f"/records/member/{who}"))["values"]["points"] == 100
    assert "/records/entry/{id}/reverse" in (await boss.get("/openapi.json"))["paths"]
    spend = {"values": {"member": who, "amount": 101, "direction": "subtract", "event": "redeem", "way": "automatic"}}
    refused(await boss.send("POST", "/records/entry", spend), 422, field="amount", rule="ledger.balance")


async def test_an_admin_makes_a_ledger_without_code(admin):
    assert 'data-rule="points"' in (await admin.get("/settings/ledgers")).text
    page = await admin.get("/settings/ledgers/stock")
    assert page.status_code == 200 and "Never below" not in page.text and "These reserve" in page.text
    assert (await admin.fill("/settings/ledgers/stock", {"label.en": "Warehouse"})).status_code == 303
    assert (await admin.find("ledgers[stock]"))["label"]["en"] == "Warehouse" and (await admin.find("ledgers[stock]"))["holds"] == ["reserve"]
    wrong = await admin.fill("/settings/ledgers/stock", {"takes": [], "adds": ["in", "out"]})
    assert wrong.status_code == 422 and error_for(wrong, "direction")
    asked = await admin.fill("/settings/ledgers/new?entity=payment", {"label.en": "Dues", "party": "plan", "_gesture": "all|show|"}, action="/settings/ledgers/new")
    assert asked.status_code == 200 and 'value="paid"' in asked.text  # the party's figures are offered once it is chosen
    made = await admin.fill("/settings/ledgers/new?entity=payment", {"label.en": "Dues", "party": "plan", "amount": "amount", "balance": "paid"}, action="/settings/ledgers/new")
    assert made.status_code == 303 and (await admin.find("ledgers[dues]"))["party"] == "plan"
    assert (await admin.fill("/settings/ledgers/dues/remove", action="/settings/ledgers/dues/remove")).status_code == 303
    used = (await admin.get("/settings/ledgers/points/remove")).text
    assert "Rise" in used
