"""From an offer to a contract to its money: lines copied as they stand, numbers given late, receipts spread over what is due first."""

from __future__ import annotations

from uuid import UUID

import pytest

from saas.errors import InvalidInput, PermissionDenied
from saas.metadata import edits
from saas.metadata.parse import problems_of
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.acceptance.api import Person
from tests.factories import PASSWORD
from tests.ledger_bundle import ledger_bundle


async def update(trade, entity, record_id, **values):
    return await execute(await trade.ctx(), ops.Update(entity=entity, id=record_id, values=values))


async def test_an_offer_becomes_a_contract_once_with_its_lines_and_prices(trade):
    product = str(await trade.make("product", name="Pump"))
    offer = await trade.make("offer", name="Pumps", note="soon")
    for price, quantity in (("901.60", 60), ("10.00", 2)):
        await trade.make("offer_line", offer=str(offer), product=product, price=price, quantity=quantity)
    done = await update(trade, "offer", offer, state="done")
    assert [e["entity"] for e in done.effects if e["action"] == "create"] == ["contract", "contract_line", "contract_line"]
    contract = UUID((await trade.get("offer", offer)).values["contract"])
    found = (await trade.get("contract", contract)).values
    assert (found["name"], found["note"], found["offer"], found["total"]["amount"], found["number"]) == ("Pumps", "From Pumps", str(offer), "54116.00", None)
    with pytest.raises(PermissionDenied):  # the source is closed
        await update(trade, "offer", offer, note="later")
    await update(trade, "contract", contract, signed=True)
    first = (await trade.get("contract", contract)).values["number"]
    assert first.startswith("V-")
    await update(trade, "contract", contract, signed=False)
    await update(trade, "contract", contract, signed=True)
    assert (await trade.get("contract", contract)).values["number"] == first
    drafts = [await trade.make("contract", name="Draft") for _ in range(2)]
    await update(trade, "contract", drafts[1], signed=True)
    assert int((await trade.get("contract", drafts[1])).values["number"][-3:]) == int(first[-3:]) + 1  # drafts took none


async def test_receipts_settle_what_is_due_first_and_never_too_much(trade):
    contract = str(await trade.make("contract", name="School"))
    plans = [await trade.make("plan", contract=contract, due=due, amount=amount) for due, amount in (("2026-03-01", "50.00"), ("2026-01-01", "30.00"), ("2026-02-01", "20.00"))]

    async def open_() -> list[str]:
        return [(await trade.get("plan", p)).values["open"]["amount"] for p in plans]

    await trade.make("receipt", contract=contract, amount="45.00", note="Bank")
    assert await open_() == ["50.00", "0.00", "5.00"]
    with pytest.raises(InvalidInput, match=r"0\.01"):
        await trade.make("receipt", contract=contract, amount="55.01")
    assert await open_() == ["50.00", "0.00", "5.00"]
    await trade.make("payment", plan=str(plans[0]), amount="10.00")  # by hand
    await trade.make("receipt", contract=contract, amount="45.00")
    assert await open_() == ["0.00", "0.00", "0.00"]
    assert (await trade.get("contract", UUID(contract))).values["owed"]["amount"] == "0.00"


async def test_what_a_transition_would_do_is_said_and_taken_back(trade, http):
    boss = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"admin@{trade.slug}.example", PASSWORD)
    who = str(await trade.make("member", name="Hu"))
    main = await trade.make("card", number=f"M-{who}", member=who)
    sub = await trade.make("card", number=f"S-{who}", member=who, main=str(main))
    told = await boss.call("POST", f"/records/card/{main}/transitions/replace", {}, preview="true")
    assert told["record"]["state"] == "replaced" and [(e["id"], e["title"]) for e in told["effects"]] == [(str(sub), f"S-{who}")]
    assert [(await trade.get("card", c)).state for c in (main, sub)] == ["active", "active"]


def test_what_such_steps_name_is_checked():
    steps = {
        "automations[accept].do[0].lists": (["nothing"], "automations[accept].do[0].lists[nothing]"), "automations[accept].do[0].back": ("name", "automations[accept].do[0].back"),
        "automations[receive].do[0].among": ("nobody == 1", "automations[receive].do[0].among"), "automations[receive].do[0].entity": ("entry", "automations[receive].do[0].entity"),
        "automations[receive].do[0].order": (["x"], "automations[receive].do[0].order[x]"), "ledgers[points].balance": ("level", "ledgers[points].balance"),
        "ledgers[stock].frees": ([], "ledgers[stock].frees"), "ledgers[points].reversal": ("purchase", "ledgers[points].reversal"),
        "entities[entry].append_only": (False, "ledgers[points].entity"), "forms[entry].parts[sales].list": ("nothing", "forms[entry].parts[sales].list"),
    }  # fmt: skip
    for path, (value, where) in steps.items():
        assert where in {p.path for p in problems_of(edits.put(ledger_bundle(), path, value))}, path
    assert problems_of(ledger_bundle()) == []
