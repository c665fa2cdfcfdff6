"""Entry forms: a record with its parts in one act, by API and page; what is wrong is said at its place and nothing is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest_asyncio

from saas.errors import AppError
from saas.metadata import drafts
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.acceptance.api import Person, refused
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, make_lab
from tests.integration.designer.conftest import Designer
from tests.integration.test_pages import error_for


@pytest_asyncio.fixture(scope="session")
async def chief(http, trade) -> Person:
    return await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"chief@{trade.slug}.example", PASSWORD)


@pytest_asyncio.fixture
async def desk(http, trade) -> Designer:
    await drafts.discard(trade.tenant_id, trade.people["admin"])
    found = Designer(http, SimpleNamespace(slug=trade.slug, id=trade.tenant_id, admin_id=trade.people["admin"]))
    assert (await found.sign_in(f"admin@{trade.slug}.example", PASSWORD)).status_code == 303
    return found


def line(product, quantity, price, **more):
    return {"values": {"product": product, "quantity": quantity, "price": price}, **more}


def called(name):
    return {"values": {"name": name}}


async def counts(chief) -> dict[str, int]:
    return {e: (await chief.get(f"/records/{e}", count="exact", limit=1))["count"]["value"] for e in ("deal", "customer", "contact", "sale", "product")}


async def test_one_request_makes_all_and_the_next_one_picks(chief):
    before = await counts(chief)
    parts = {"customer": called("Hongguang School"), "contact": {"values": {"name": "Mr Pei", "phone": "+862555512341"}}, "sales": [line(called("Desk"), 40, "200.00")]}
    answer = await chief.call("POST", "/forms/entry", {"values": {"subject": "School desks"}, "parts": parts}, expect=201)
    deal = answer["record"]
    assert deal["values"]["total"]["amount"] == "8000.00"
    assert {k: v - before[k] for k, v in (await counts(chief)).items()} == dict.fromkeys(before, 1)
    [contact] = await chief.list("contact", filter='{"field": "name", "op": "eq", "value": "Mr Pei"}')
    assert contact["values"]["customer"] == deal["values"]["customer"]  # known from beside it
    [sale] = await chief.list("sale", filter=f'{{"field": "deal", "op": "eq", "value": "{deal["id"]}"}}')
    assert sale["values"]["customer"] == deal["values"]["customer"]
    second = {"customer": {"id": deal["values"]["customer"]}, "sales": [line(sale["values"]["product"], 1, "5")]}
    await chief.call("POST", "/forms/entry", {"values": {"subject": "More"}, "parts": second}, expect=201)
    assert (await counts(chief))["customer"] == before["customer"] + 1

    lines = [{"id": sale["id"], "values": {"quantity": 41}}, line(sale["values"]["product"], 1, "100.00")]
    changed = await chief.call("POST", "/forms/entry", {"id": deal["id"], "values": {"subject": "Desks"}, "parts": {"sales": lines}})
    assert (changed["record"]["values"]["subject"], changed["record"]["values"]["total"]["amount"]) == ("Desks", "8300.00")
    gone = await chief.call("POST", "/forms/entry", {"id": deal["id"], "parts": {"sales": [{"id": sale["id"], "delete": True}]}})
    assert gone["record"]["values"]["total"]["amount"] == "100.00"


async def test_everything_wrong_is_said_at_its_place_and_nothing_is_kept(chief):
    before = await counts(chief)
    parts = {"customer": {"values": {"phone": "+862555512342"}}, "contact": called("Ms Lu"), "sales": [line(called("Chair"), 2, "10"), line(called("Shelf"), 0, None), {"values": {"product": None, "secret": 1, "quantity": 1}}]}
    problem = refused(await chief.send("POST", "/forms/entry", {"values": {"subject": ""}, "parts": parts}), 422)
    assert {e["field"]: e["code"] for e in problem["errors"]} == {
        "subject": "required", "customer.name": "required", "contact.customer": "required", "sales.1.quantity": "too_small", "sales.1.price": "required",
        "sales.2.secret": "unknown_field", "sales.2.product": "required", "sales.2.price": "required",
    }  # fmt: skip
    assert next(e["path"] for e in problem["errors"] if e["field"] == "sales.1.price") == "/parts/sales/1/price"
    assert await counts(chief) == before
    few = refused(await chief.send("POST", "/forms/entry", {"values": {"subject": "x"}, "parts": {"customer": called("Lone")}}), 422, field="sales", rule="too_few")
    assert len(few["errors"]) == 1 and await counts(chief) == before
    refused(await chief.send("POST", "/forms/entry", {"values": {}, "parts": {"nothing": {}}}), 422, rule="unknown_part")
    refused(await chief.send("POST", "/forms/entry", {"values": {}, "parts": {"sales": "x"}}), 400)
    twice = {"values": {"subject": "x"}, "parts": {"customer": called("Hongguang School"), "sales": [line(called("Stool"), 1, "1")]}}
    await chief.call("POST", "/forms/entry", twice, expect=201) if before["customer"] == 0 else refused(await chief.send("POST", "/forms/entry", twice), 409)


async def test_such_records_are_entered_nowhere_else(chief, trade):
    for entity in ("deal", "customer", "contact", "sale"):
        refused(await chief.send("POST", f"/records/{entity}", {"values": {"name": "x"}}), 403)
    made = await chief.call("POST", "/forms/entry", {"values": {"subject": "x"}, "parts": {"customer": called("Alone"), "sales": [line(called("Lamp"), 1, "1")]}}, expect=201)
    refused(await chief.send("PATCH", f"/records/deal/{made['record']['id']}", {"values": {"subject": "y"}}), 403)
    found = await execute((await trade.ctx("chief")).replace(origin="import"), ops.CreateMany(entity="customer", rows=[{"name": "A"}, {"name": "B"}]))
    assert all(isinstance(x, AppError) for x in found)
    assert await trade.make("customer", by=None, name="By a rule")
    paths = (await chief.get("/openapi.json"))["paths"]
    assert "/forms/entry" in paths and "post" not in paths["/records/customer"]
    assert [f["key"] for f in (await chief.get("/forms"))["data"]] == ["entry", "offer", "trial"]


async def test_the_reader_of_a_role_without_the_rights_gets_nothing(http, trade):
    reader = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"reader@{trade.slug}.example", PASSWORD)
    refused(await reader.send("POST", "/forms/entry", {"values": {"subject": "x"}, "parts": {"customer": called("X")}}), 403)
    assert (await reader.get("/forms"))["data"] == []


async def test_the_page_keeps_what_was_typed_and_counts_along(desk, chief):
    page = (await desk.get("/entry/entry")).text
    assert 'name="customer.id"' in page and 'name="sales.0.quantity"' in page and 'name="sales.0.product.new"' in page
    typed = {"subject": "Desks", "customer.name": "Ninghai Works", "sales.0.product.new": "Bench", "sales.0.quantity": "3", "sales.0.price": "20"}
    live = await desk.post("/entry/entry/live", typed)
    assert "60.00" in live.text
    more = await desk.post("/entry/entry", {**typed, "act": "add:sales"})
    assert more.status_code == 200 and 'name="sales.1.quantity"' in more.text and "Ninghai Works" in more.text and "Bench" in more.text
    wrong = await desk.post("/entry/entry", {**typed, "sales.1.quantity": "2"})
    assert wrong.status_code == 422 and error_for(wrong, "sales.1.product") and "Bench" in wrong.text and "Sales 2 · Price" in wrong.text
    saved = await desk.post("/entry/entry", typed)
    assert saved.status_code == 303
    url = saved.headers["location"]
    record = (await desk.get(url)).text
    assert f"/entry/entry/{url.rpartition('/')[2]}" in record and f"{url}/edit" not in record
    edited = await desk.fill(f"/entry/entry/{url.rpartition('/')[2]}", {"sales.0.quantity": "4"})
    assert edited.status_code == 303, edited.text[-3000:]
    assert (await chief.get(f"/records/deal/{url.rpartition('/')[2]}"))["values"]["total"]["amount"] == "80.00"
    assert "/entry/entry" in (await desk.get("/r/deal")).text and "/r/customer/new" not in (await desk.get("/r/customer")).text


async def test_what_is_computed_of_the_record_itself_is_tried_while_it_is_typed(desk):
    page = (await desk.get("/entry/trial")).text
    assert 'data-field="tax"' not in page and 'data-field="open"' in page  # what stands on the record's own children is there when it is saved
    live = (await desk.post("/entry/trial/live", {"amount": "200"})).text
    assert "tax" in live.lower() and "26.00" in live and "200.00" not in live


async def test_an_admin_puts_a_form_together(desk):
    assert 'data-rule="entry"' in (await desk.get("/settings/forms")).text
    kept = await desk.fill("/settings/forms/entry", {"label.en": "Take an order"})
    assert kept.status_code == 303
    form = await desk.find("forms[entry]")
    assert form["label"]["en"] == "Take an order" and [p["key"] for p in form["parts"]] == ["customer", "contact", "sales"] and form["parts"][2]["creates"] == ["product"]
    made = await desk.fill("/settings/forms/new?entity=purchase", {"label.en": "Buy", "fields": ["name"]}, action="/settings/forms/new")
    assert made.status_code == 303 and (await desk.find("forms[buy]"))["entity"] == "purchase"
    wrong = await desk.fill("/settings/forms/entry", {"parts.0.list": "sales"})
    assert wrong.status_code == 422


async def test_only_is_about_entering_and_moves_nobody_off(database):
    """A transition without named roles stays with whoever may change such records, though their fields are entered in a form alone."""
    stages = [{"key": "open", "label": label("Open")}, {"key": "done", "label": label("Done"), "kind": "won"}]
    bundle = {
        "format": 1, "pack": {"key": "only", "version": "1.0.0", "label": label("Only")},
        "entities": [{"key": "ticket", "label": label("Ticket"), "plural": label("Tickets"), "title": "name",
                      "fields": [fld("name", "text"), fld("why", "text"), fld("stage", "pipeline", pipeline="ticket")]}],
        "pipelines": [{"key": "ticket", "entity": "ticket", "field": "stage", "label": label("Ticket"), "stages": stages,
                       "transitions": [{"key": "close", "label": label("Close"), "from": ["open"], "to": "done", "ask": ["why"]}]}],
        "forms": [{"key": "take", "label": label("Take"), "entity": "ticket", "fields": ["name"], "only": True, "parts": []}],
        "roles": [{"key": "admin", "label": label("Admin"), "admin": True}, {"key": "clerk", "label": label("Clerk"), "entities": {"ticket": {"create": True, "read": "all", "update": "own"}}},
                  {"key": "reader", "label": label("Reader"), "entities": {"ticket": {"read": "all"}}}],
    }  # fmt: skip
    lab = await make_lab(bundle, people=False)
    for who in ("clerk", "reader"):
        await lab.person(who, [who])
    clerk, reader = await lab.ctx("clerk"), await lab.ctx("reader")
    made = (await execute(clerk, ops.Compose(entity="ticket", form="take", main=ops.Entered(values={"name": "Leak"}), parts={}))).record
    seen = await execute(clerk, ops.Get(entity="ticket", id=made.id))
    assert [o.key for o in seen.can.transitions] == ["close"] and not seen.can.update
    assert not (await execute(reader, ops.Get(entity="ticket", id=made.id))).can.transitions
    for who, values in ((reader, {}), (clerk, {"name": "Flood"})):  # besides what the transition asks for nothing can be written
        try:
            await execute(who, ops.Transition(entity="ticket", id=made.id, key="close", values=values))
        except AppError as error:
            assert error.status in (403, 422)
        else:
            raise AssertionError(values)
    await execute(clerk, ops.Transition(entity="ticket", id=made.id, key="close", values={"why": "mended"}))
    closed = await execute(clerk, ops.Get(entity="ticket", id=made.id))
    assert (closed.state, closed.values["why"], closed.values["name"]) == ("done", "mended", "Leak")
