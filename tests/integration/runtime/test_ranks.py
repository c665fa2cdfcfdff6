"""rank() and ntile(): the place of a record among all of its kind, in conditions and in what actions set."""

from __future__ import annotations

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import AppError
from saas.metadata.expression_words import expression_words
from saas.metadata.naming import Lookup
from saas.metadata.parse import problems_of
from saas.metadata.usages import usages
from saas.runtime import execute, ranks
from saas.runtime import operations as ops
from saas.runtime.schedules import run_schedule
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab, options


def bundle():
    shop = {
        "key": "shop", "label": label("Shop"), "plural": label("Shops"), "title": "name", "owned": False,
        "fields": [
            fld("name", "text", max_length=9), fld("revenue", "money"), fld("region", "option", options=options("north", "south")), fld("costs", "int"),
            fld("margin", "formula", returns="number", expr="revenue - coalesce(costs, 0)"), fld("place", "int"), fld("near", "int"), fld("fifth", "int"), fld("best", "int"),
        ],
    }  # fmt: skip
    return {
        "format": 1, "pack": {"key": "shops", "version": "1.0.0", "label": label("Shops")}, "entities": [shop],
        "roles": [{"key": "admin", "label": label("Administrator"), "admin": True}],
        "schedules": [{
            "key": "nightly", "label": label("Nightly"), "every": {"cron": "0 0 * * *"}, "entity": "shop", "once_per": "run",
            "do": [{"action": "set", "values": {"place": "rank('revenue')", "near": "rank('revenue', 'region')", "fifth": "ntile('revenue', 5)", "best": "rank('margin')"}}],
        }, {"key": "halve", "label": label("Halve"), "every": {"cron": "0 0 * * *"}, "entity": "shop", "where": "revenue != null", "once_per": "run", "do": [
            {"action": "set", "values": {"place": "rank('revenue')"}}, {"action": "set", "values": {"revenue": "revenue / 2"}}, {"action": "set", "values": {"fifth": "rank('revenue')"}},
            {"action": "set", "values": {"name": "if(costs == 10, 'too long for a name', name)"}},
        ]}],
        "automations": [{
            "key": "classify", "label": label("Classify"), "entity": "shop", "on": {"trigger": "button"}, "if": "rank('revenue') <= 9",
            "do": [{"action": "set", "values": {"place": "rank('revenue')", "near": "rank('revenue', 'region')", "fifth": "ntile('revenue', 5)", "best": "rank('margin')"}}],
        }],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    return await make_lab(bundle(), people=False)


async def test_places_and_parts(lab):
    ctx, made = await lab.ctx(), {}
    for name, revenue, region, costs in (("a", 100, "north", 90), ("b", 80, "south", 0), ("c", 80, "north", 10), ("d", 50, None, 0), ("e", 10, "south", 0), ("none", None, "south", 0)):
        made[name] = await lab.make("shop", name=name, revenue=revenue, region=region, costs=costs)
    gone = await lab.make("shop", name="gone", revenue=999)
    await execute(ctx, ops.Delete(entity="shop", id=gone))
    for name, rid in made.items():
        if name != "none":
            await execute(ctx, ops.Press(entity="shop", id=rid, key="classify"))
    told = {}
    for name, rid in made.items():
        values = (await lab.get("shop", rid)).values
        told[name] = tuple(values[k] for k in ("place", "near", "fifth", "best"))
    assert told == {"a": (1, 1, 1, 4), "b": (2, 1, 2, 1), "c": (2, 2, 2, 2), "d": (4, 1, 4, 3), "e": (5, 2, 5, 4), "none": (None, None, None, None)}
    with pytest.raises(AppError):  # nothing to be compared by: the condition does not hold
        await execute(ctx, ops.Press(entity="shop", id=made["none"], key="classify"))
    for expression in ("rank('revenue') == 1", "ntile('revenue', 4) == 1"):
        with pytest.raises(AppError):
            await execute(ctx, ops.List(entity="shop", filter={"expr": expression}))


async def test_a_run_over_many_asks_once_for_all_and_answers_the_same(lab, monkeypatch):
    """Unless it changes what is compared: then each record is asked for by itself, as always."""
    system, asked = await lab.system(), []
    for record in (await execute(system, ops.List(entity="shop", limit=200))).records:
        await execute(system, ops.Delete(entity="shop", id=record.id))
    made = {}
    for name, revenue, region, costs in (("a", 100, "north", 90), ("b", 80, "south", 0), ("c", 80, "north", 10), ("d", 50, None, 0), ("e", 10, "south", 0), ("none", None, "south", 0)):
        made[name] = await lab.make("shop", name=name, revenue=revenue, region=region, costs=costs)
    for name, place in (("_places", ranks._places), ("_place", ranks._place)):
        monkeypatch.setattr(ranks, name, lambda *given, name=name, place=place: (asked.append(name), place(*given))[1])
    schedules = {s.key: s for s in system.config.bundle.schedules}
    assert (await run_schedule(system, schedules["nightly"])).done == 6 and asked == ["_places"] * 3, "by revenue, by revenue within the region, by margin"
    found = {name: (await lab.get("shop", rid)).values for name, rid in made.items()}
    told = {name: tuple(values[k] for k in ("place", "near", "fifth", "best")) for name, values in found.items()}
    assert told == {"a": (1, 1, 1, 4), "b": (2, 1, 2, 1), "c": (2, 2, 2, 2), "d": (4, 1, 4, 3), "e": (5, 2, 5, 4), "none": (None, None, None, None)}
    asked.clear()
    shop = system.config.entity("shop")
    async with tenant_transaction(lab.tenant_id) as conn:
        with ranks.batch(shop, [made["b"]]):
            assert await ranks.place_of(conn, system, shop, made["b"], ("revenue", None), frozenset({"revenue"})) == (2, 5)
    assert asked == ["_place"], "one alone: nothing is sorted"
    asked.clear()
    report = await run_schedule(system, schedules["halve"])
    assert (report.done, report.failed) == (4, 1) and asked == ["_places", *["_place"] * 9]
    found = {name: (await lab.get("shop", rid)).values for name, rid in made.items() if name != "none"}
    told = {name: (values["revenue"]["amount"], values["place"], values["fifth"]) for name, values in found.items()}
    assert told == {"a": ("50.00", 1, 3), "b": ("40.00", 1, 4), "c": ("80.00", 2, 2), "d": ("25.00", 2, 4), "e": ("5.00", 5, 5)}


@pytest.mark.parametrize(
    "expression", ["rank('nothing')", "rank('name')", "rank(revenue)", "rank('revenue', 'nothing')", "ntile('revenue')", "ntile('revenue', 1)", "ntile('revenue', costs)", "ntile('revenue', 4, 5)"]
)
def test_what_makes_no_sense_is_told(expression):
    wrong = bundle()
    wrong["automations"][0]["do"][0]["values"]["place"] = expression
    assert any("place" in p.path for p in problems_of(wrong)), expression


@pytest.mark.parametrize("expression", ["rank('revenue') == 1", "rank('revenue', 'region') == 1", "ntile('revenue', 4) == 1", "ntile('revenue', 4, 'region') == 1"])
def test_it_is_told_in_words(expression):
    said = str(expression_words(Lookup(bundle()), expression, "shop"))
    assert "Revenue" in said and "'" not in said and "rank" not in said and "ntile" not in said


def test_a_formula_has_no_place_and_a_field_that_is_compared_is_in_use():
    wrong = bundle()
    wrong["entities"][0]["fields"].append(fld("always", "formula", returns="int", expr="rank('revenue')"))
    assert any("always" in p.path for p in problems_of(wrong))
    found = bundle()
    assert any("classify" in str(u) for u in usages(found, "entities[shop].fields[revenue]")) and any("classify" in str(u) for u in usages(found, "entities[shop].fields[region]"))
