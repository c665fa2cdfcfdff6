"""What a line should cost: the best discount, cash on top, why others did not count; the same by API, rule, import and form."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest_asyncio

from saas.metadata import edits
from saas.metadata.parse import problems_of
from saas.runtime import composing, execute
from saas.runtime import operations as ops
from tests.factories import PASSWORD
from tests.integration.designer.conftest import Designer
from tests.ledger_bundle import ledger_bundle


@pytest_asyncio.fixture(scope="session")
async def pump(trade) -> str:
    """A product with its discounts."""
    today = (await trade.ctx()).today
    pump = str(await trade.make("product", name="Pump 200", price="1000"))
    for values in (
        {"name": "50 and more", "kind": "volume", "percent": 5, "least": 50}, {"name": "Distributors", "kind": "buyer", "percent": 8, "buyer": "distributor"},
        {"name": "Cash", "kind": "cash", "percent": 2, "term": "cash"}, {"name": "Spring", "kind": "promotion", "percent": 10, "ends": (today - timedelta(days=20)).isoformat()},
    ):
        await trade.make("discount", **values, product=pump)
    return pump


async def quote(trade, **values) -> str:
    return str(await trade.make("quote", name="Kaida", **values))


async def line(trade, of: str, pump: str, **values):
    made = await trade.make("quote_line", **{"quote": of, "product": pump, "quantity": 60, **values})
    return made, (await trade.get("quote_line", made)).values


async def test_the_best_discount_then_cash_and_why(trade, pump):
    offer = await quote(trade, buyer="distributor")
    made, found = await line(trade, offer, pump)
    assert (found["list"]["amount"], found["suggested"]["amount"], found["price"]["amount"], found["below"]) == ("1000.00", "920.00", "920.00", False)
    why = found["why"].splitlines()
    assert "920.00" in why[0] and why[1].startswith("✓ Buyer Distributors −8 %") and "another one is better" in why[2]
    assert why[3].startswith("– Promotion Spring") and "not valid" in why[3] and "only for another" in why[4]
    await execute(await trade.ctx(), ops.Update(entity="quote", id=UUID(offer), values={"term": "cash"}))
    found = (await trade.get("quote_line", made)).values
    assert (found["suggested"]["amount"], found["price"]["amount"]) == ("901.60", "901.60")  # nobody had typed another
    total = (await trade.get("quote", UUID(offer))).values
    assert (total["net"]["amount"], total["tax"]["amount"]) == ("54096.00", "7032.48")


async def test_a_lower_price_is_flagged_and_kept(trade, pump):
    offer = await quote(trade, buyer="user")
    made, found = await line(trade, offer, pump, price="940", quantity=50)
    assert (found["suggested"]["amount"], found["price"]["amount"], found["below"]) == ("950.00", "940.00", True)
    await execute(await trade.ctx(), ops.Update(entity="quote_line", id=made, values={"quantity": 10}))
    found = (await trade.get("quote_line", made)).values
    assert (found["suggested"]["amount"], found["price"]["amount"]) == ("1000.00", "940.00")
    await execute(await trade.ctx(), ops.Update(entity="quote_line", id=made, values={"price": "1000"}))
    assert (await trade.get("quote_line", made)).values["below"] is False


async def test_the_price_list_that_says_most_wins_and_imports_find_it(trade):
    product = str(await trade.make("product", name="Valve", price="100"))
    for values in ({"price": "90"}, {"price": "80", "buyer": "distributor"}, {"price": "85", "begins": "2020-01-01"}, {"price": "1", "begins": "2999-01-01"}):
        await trade.make("tariff", product=product, **values)
    mine, theirs = await quote(trade, buyer="user"), await quote(trade, buyer="distributor")
    rows = [{"quote": of, "product": product, "quantity": 1} for of in (mine, theirs)]
    ids = await execute(await trade.ctx(), ops.CreateMany(entity="quote_line", rows=rows))
    assert [(await trade.get("quote_line", i)).values["list"]["amount"] for i in ids] == ["85.00", "80.00"]
    bare = str(await trade.make("product", name="Bolt"))
    _made, found = await line(trade, mine, bare)
    assert found["suggested"] is None and found["price"] is None and "no list price" in found["why"]


async def test_a_form_recommends_while_it_is_typed(trade, pump, http):
    ctx = await trade.ctx()
    form = composing.form_called(ctx, "offer")
    desk = Designer(http, SimpleNamespace(slug=trade.slug, id=trade.tenant_id, admin_id=trade.people["admin"]))
    assert (await desk.sign_in(f"admin@{trade.slug}.example", PASSWORD)).status_code == 303
    typed = {"name": "Kaida", "buyer": "distributor", "term": "cash", "lines.0.product": pump, "lines.0.quantity": "60"}
    await desk.get("/entry/offer")
    live = (await desk.post("/entry/offer/live", typed)).text
    assert "901.60" in live and "54,096.00" in live and "✓ Cash" in live and form.entity == "quote"
    saved = await desk.post("/entry/offer", typed)
    assert saved.status_code == 303
    assert (await trade.get("quote", UUID(saved.headers["location"].rpartition("/")[2]))).values["net"]["amount"] == "54096.00"
    page = (await desk.get("/settings/pricing/quotes")).text
    assert "the best one, then some on top" in page
    assert (await desk.fill("/settings/pricing/quotes", {"combine": "sum"})).status_code == 303
    kept = await desk.find("pricing[quotes]")
    assert kept["combine"] == "sum" and kept["match"] == {"product": "product", "buyer": "quote.buyer", "term": "quote.term"}


def test_what_pricing_names_is_checked():
    for path, value, where in (
        ("pricing[quotes].match", {"nothing": "product"}, "pricing[quotes].match[nothing]"), ("pricing[quotes].match", {"term": "quote.nothing"}, "pricing[quotes].match.term"),
        ("pricing[quotes].discount", "name", "pricing[quotes].discount"), ("pricing[quotes].then", ["x"], "pricing[quotes].then[x]"),
    ):  # fmt: skip
        assert where in {p.path for p in problems_of(edits.put(ledger_bundle(), path, value))}, path
