"""Stages that are there only for some records: one entity, other pipelines for each kind of record, on every path."""

from __future__ import annotations

import pytest
import pytest_asyncio

from saas.errors import AppError
from saas.metadata.mentions import Mentions
from saas.metadata.parse import problems_of
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab
from tests.integration.test_pages import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


def deals():
    deal = {
        "key": "deal", "label": label("Deal"), "plural": label("Deals"), "title": "name",
        "fields": [fld("name", "text"), fld("trade", "option", options=[{"key": k, "label": label(k)} for k in ("works", "shop")], default="shop"), fld("state", "pipeline", pipeline="deal"), fld("push", "bool")],
    }  # fmt: skip
    stages = [{"key": "lead", "label": label("Lead")}, {"key": "tender", "label": label("Tender"), "if": "trade == 'works'"}, {"key": "won", "label": label("Won"), "kind": "won"}]
    return {
        "format": 1, "pack": {"key": "deals", "version": "1.0.0", "label": label("Deals")}, "entities": [deal],
        "pipelines": [{"key": "deal", "entity": "deal", "field": "state", "label": label("Deal"), "stages": stages, "transitions": [
            {"key": "tender", "label": label("To tender"), "from": ["lead"], "to": "tender"},
            {"key": "on", "label": label("On"), "from": ["lead"], "branches": [{"if": "push == true", "to": "tender"}, {"to": "won"}]},
            {"key": "win", "label": label("Win"), "from": ["lead", "tender"], "to": "won"},
        ]}],
        "roles": [{"key": "admin", "label": label("Administrator"), "admin": True}, {"key": "clerk", "label": label("Clerk"), "entities": {"deal": {"create": True, "read": "all", "update": "all", "bulk": True}}}],
        "automations": [{"key": "pushed", "label": label("Pushed"), "entity": "deal", "on": {"trigger": "update", "fields": ["push"]}, "do": [{"action": "transition", "transition": "tender"}]}],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    found = await make_lab(deals(), people=False)
    await found.person("clerk", ["clerk"])
    return found


async def test_others_are_neither_offered_nor_let_into_such_a_stage(lab, http):
    clerk = await lab.ctx("clerk")
    works, shop = [await lab.make("deal", name=n, trade=n) for n in ("works", "shop")]
    offered = {n: {t.key for t in (await execute(clerk, ops.Get(entity="deal", id=i))).can.transitions} for n, i in (("works", works), ("shop", shop))}
    assert offered == {"works": {"tender", "on", "win"}, "shop": {"on", "win"}}
    for act in (ops.Transition(entity="deal", id=shop, key="tender"), ops.Update(entity="deal", id=shop, values={"push": True})):  # also what a rule orders
        with pytest.raises(AppError) as refused:
            await execute(clerk, act)
        assert "is not for this record" in str(refused.value.message)
    browser = Browser(http, f"{lab.slug}.localhost")
    await browser.sign_in(f"clerk@{lab.slug}.example")
    paths = [(await browser.get(f"/r/deal/{i}")).text.partition('<ol class="path"')[2].partition("</ol>")[0] for i in (works, shop)]
    assert ["Tender" in p for p in paths] == [True, False]
    assert (await execute(clerk, ops.Transition(entity="deal", id=works, key="tender"))).record.state == "tender"
    # Whoever changes kind stays where they are, and goes on from there.
    await execute(clerk, ops.Update(entity="deal", id=works, values={"trade": "shop"}))
    assert "Tender" in (await browser.get(f"/r/deal/{works}")).text.partition('<ol class="path"')[2].partition("</ol>")[0]
    assert (await execute(clerk, ops.Transition(entity="deal", id=works, key="win"))).record.state == "won"


async def test_what_is_written_is_checked_and_known():
    assert problems_of(deals()) == []
    raw = deals()
    raw["pipelines"][0]["stages"][0]["if"] = "trade == 'works'"
    raw["pipelines"][0]["stages"][1]["if"] = "nothing == 1"
    assert {p.path for p in problems_of(raw)} == {"pipelines[deal].stages[lead].if", "pipelines[deal].stages[tender].if"}
    assert "pipelines[deal].stages[tender].if" in {m.path for m in Mentions(deals()).of("entities[deal].fields[trade]")}
