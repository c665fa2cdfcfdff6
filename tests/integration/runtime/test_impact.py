"""What a plan means for real data: every count equals what a look at the records themselves gives."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.metadata import edits, slots
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.runtime.impact import Impact, Survey, look
from tests.bundles import field, label
from tests.factories import Lab, make_lab, rich_bundle

CUSTOMER = "entities[account]"


@pytest_asyncio.fixture(scope="module")
async def lab(database: Any) -> Lab:
    """Accounts 0…11, some things and deals; "seller" reads only the accounts they own."""
    made = await make_lab(people=False)
    await made.person("seller", ["seller"])
    for n in range(12):
        await made.make(
            "account", name=f"Account {n}", grade="abc"[n % 3], credit=10 * (n + 1) if n < 9 else None, phone=f"1380013800{n % 10}" if n % 2 else None,
            bank="Same Bank" if n < 3 else f"Bank {n}", reason="because", remark="kept" if n % 3 == 0 else None, budget=str(n * 100),
            owner=str(made.people["seller"]) if n in (1, 4) else str(made.people["admin"]), region="north" if n % 2 else "south", helper=str(made.people["seller"]) if n == 5 else None,
        )  # fmt: skip
    for n in range(6):
        await made.make("thing", name=f"Thing {n}", rank=n, color=("red", "green", "blue")[n % 3], kinds=["x", "y"] if n % 2 else ["z"], note=str(n) if n < 4 else "four")
    for n in range(4):
        await made.make("deal", name=f"Deal {n}", amount=str(n * 50))
    return made


async def impacts(lab: Lab, raw: Mapping[str, Any], data: Sequence[Mapping[str, Any]] = (), *, who: str = "admin", seconds: float = 10.0) -> list[Impact]:
    ctx = await lab.ctx(who)
    bundle = parse_bundle(raw)
    async with tenant_transaction(lab.tenant_id, snapshot=True) as conn:
        numbers, columns = await slots.preview(conn, lab.tenant_id, bundle)
        after = Config(bundle, numbers=numbers, columns=columns, currency="CNY", country="CN", time_zone="Asia/Shanghai")
        return await look(Survey(ctx, conn, after, raw=raw, data=data, seconds=seconds))


def changed(path: str, **more: Any) -> dict[str, Any]:
    raw = rich_bundle()
    return edits.put(raw, path, {**edits.find(raw, path), **more})


def only(found: Sequence[Impact], code: str, path: str | None = None) -> Impact:
    matching = [i for i in found if i.code == code and path in (None, i.path)]
    assert len(matching) == 1, [(i.code, i.path, str(i.message)) for i in found]
    return matching[0]


def titles(impact: Impact) -> list[str]:
    return [s["title"] for s in impact.samples]


async def test_the_same_configuration_has_no_impact(lab):
    assert await impacts(lab, rich_bundle()) == []


# ---- required ----------------------------------------------------------------------------------------------------------


async def test_a_field_becomes_required(lab):
    found = only(await impacts(lab, changed(f"{CUSTOMER}.fields[credit]", required=True)), "required_missing")
    assert (found.count, found.exact, found.looked_at, found.total, found.severity) == (3, True, 12, 12, "warn")
    assert titles(found) == ["Account 9", "Account 10", "Account 11"] and found.path == f"{CUSTOMER}.fields[credit].required"
    assert found.samples[0]["url"] == f"/r/account/{found.samples[0]['id']}"
    assert str(found.message).startswith("3 records have no value in “Credit”")
    assert {"do": "fill", "entity": "account", "field": "credit", "value": None} in found.remedies


async def test_a_data_step_fills_what_is_missing(lab):
    raw = changed(f"{CUSTOMER}.fields[credit]", required=True)
    found = await impacts(lab, raw, [{"do": "fill", "entity": "account", "field": "credit", "value": 5}])
    assert [i.code for i in found] == ["required_filled"] and only(found, "required_filled").count == 3
    found = await impacts(lab, raw, [{"do": "fill", "entity": "account", "field": "credit", "expr": "if(name == 'Account 9', 7, null)"}])
    assert only(found, "required_filled").count == 1 and titles(only(found, "required_missing")) == ["Account 10", "Account 11"]


async def test_a_new_required_field_is_missing_everywhere(lab):
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.fields", field("extra", "text", required=True))
    assert only(await impacts(lab, raw), "required_missing").count == 12


async def test_required_only_where_visible(lab):
    raw = edits.put(rich_bundle(), f"{CUSTOMER}.fields[taxno]", field("taxno", "text", max_length=30, required=True, visible_if="grade == 'a'"))
    assert titles(only(await impacts(lab, raw), "required_missing")) == ["Account 0", "Account 3", "Account 6", "Account 9"]


async def test_a_condition_for_required(lab):
    raw = changed(f"{CUSTOMER}.fields[taxno]", required_if="credit > 70")
    assert titles(only(await impacts(lab, raw), "required_missing", f"{CUSTOMER}.fields[taxno].required_if")) == ["Account 7", "Account 8"]


# ---- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "more", "expected"),
    [
        ("credit", {"max": 70}, ["Account 7", "Account 8"]),
        ("credit", {"min": 21}, ["Account 0", "Account 1"]),
        ("name", {"max_length": 9}, ["Account 10", "Account 11"]),
        ("bank", {"min_length": 7}, ["Account 3", "Account 4", "Account 5", "Account 6", "Account 7", "Account 8", "Account 9"]),
        ("bank", {"pattern": "[A-Za-z]+ [A-Za-z0-9]"}, ["Account 0", "Account 1", "Account 2", "Account 10", "Account 11"]),
        ("budget", {"max": 900}, ["Account 10", "Account 11"]),
        ("since", {"min": "add_days(today(), 1)"}, [f"Account {n}" for n in range(12)]),
        ("since", {"max": "2001-01-01"}, [f"Account {n}" for n in range(12)]),
    ],
)  # fmt: skip
async def test_limits_become_tighter(lab, key, more, expected):
    found = only(await impacts(lab, changed(f"{CUSTOMER}.fields[{key}]", **more)), "limit_broken")
    assert titles(found) == expected and found.count == len(expected)
    assert found.samples[0]["value"], "the value stands beside the sample"


async def test_limits_that_are_looser_or_hold_anyway_are_no_impact(lab):
    assert await impacts(lab, changed(f"{CUSTOMER}.fields[credit]", max=1000)) == []
    assert await impacts(lab, changed(f"{CUSTOMER}.fields[name]", max_length=50)) == []


async def test_sql_and_the_field_type_agree_about_limits(lab):
    """The quick way (SQL) gives what the field type's own validation says of each value."""
    from saas.metadata.compile import value_problems

    for key, more in (("credit", {"max": 70}), ("name", {"max_length": 9}), ("budget", {"max": 900}), ("bank", {"min_length": 7})):
        raw = changed(f"{CUSTOMER}.fields[{key}]", **more)
        config = Config(parse_bundle(raw), currency="CNY", country="CN", time_zone="Asia/Shanghai")
        refused = 0
        for record in await lab.fetch("SELECT r.id FROM record r JOIN entity e ON e.id = r.entity_id WHERE r.tenant_id = $1 AND e.key = 'account' AND r.deleted_at IS NULL"):
            value = (await lab.get("account", record[0])).values[key]
            refused += value is not None and bool(value_problems(config, config.entity("account").fields[key], value))
        assert only(await impacts(lab, raw), "limit_broken").count == refused


# ---- rules, closed records ---------------------------------------------------------------------------------------------


async def test_a_new_rule(lab):
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.rules", {"key": "known", "expr": "credit != null and credit < 90", "message": label("Credit below 90"), "field": "credit"})
    found = only(await impacts(lab, raw), "rule_broken")
    assert titles(found) == ["Account 8", "Account 9", "Account 10", "Account 11"] and found.samples[0]["value"] == "90"
    assert "“Credit below 90”" in str(found.message)


async def test_a_rule_over_children_and_formulas(lab):
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.rules", {"key": "lines", "expr": "exists(lines) or average != null", "message": label("Needs lines")})
    assert only(await impacts(lab, raw), "rule_broken").count == 12


async def test_a_rule_that_says_something_else_because_its_formula_changed(lab):
    raw = edits.add(rich_bundle(), "entities[thing].rules", {"key": "small", "expr": "twice == null or twice <= 10", "message": label("Small")})
    assert [i.code for i in await impacts(lab, raw)] == []
    await lab.publish(raw)
    try:
        changed_formula = edits.put(raw, "entities[thing].fields[twice].expr", "rank * 3")
        assert titles(only(await impacts(lab, changed_formula), "rule_broken")) == ["Thing 4", "Thing 5"]
    finally:
        await lab.publish(rich_bundle())


async def test_a_rule_about_changes_looks_at_records_at_rest(lab):
    rule = {"key": "steady", "expr": "not is_changed('credit') and (old('credit') == null or credit < 80)", "message": label("Steady")}
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.rules", rule)
    assert titles(only(await impacts(lab, raw), "rule_broken")) == ["Account 7", "Account 8"]
    fill = [{"do": "fill", "entity": "account", "field": "credit", "value": 90}]
    assert titles(only(await impacts(lab, raw, fill), "rule_broken")) == [f"Account {n}" for n in range(7, 12)]


async def test_a_rule_is_judged_by_the_values_that_data_steps_make(lab):
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.rules", {"key": "known", "expr": "credit != null", "message": label("Credit known")})
    fill = [{"do": "fill", "entity": "account", "field": "credit", "expr": "if(name == 'Account 9', 1, null)"}]
    assert titles(only(await impacts(lab, raw, fill), "rule_broken")) == ["Account 10", "Account 11"]


async def test_records_are_closed(lab):
    raw = edits.put(rich_bundle(), f"{CUSTOMER}.editable_if", "credit == null or credit < 80")
    assert titles(only(await impacts(lab, raw), "frozen")) == ["Account 7", "Account 8"]
    raw = edits.put(rich_bundle(), "entities[thing].append_only", True)
    assert only(await impacts(lab, raw), "frozen").count == 6


# ---- unique ------------------------------------------------------------------------------------------------------------


async def test_unique_over_equal_values(lab):
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.unique", {"key": "bank", "fields": ["bank"]})
    found = only(await impacts(lab, raw), "not_unique")
    assert (found.count, found.severity) == (3, "warn") and titles(found) == ["Account 0", "Account 1", "Account 2"]
    assert "(groups: 1)" in str(found.message) and found.samples[0]["value"] == "Same Bank"


async def test_unique_compares_as_the_rule_does(lab):
    """Without case, width and blanks; only where the condition holds; never where a part is missing."""
    extra = [await lab.make("thing", name=n) for n in ("Sa me", "ＳＡＭＥ", "same", "other")]
    try:
        raw = changed("entities[thing].fields[name]", unique=True)
        assert only(await impacts(lab, raw), "not_unique").count == 3
        raw = edits.put(rich_bundle(), "entities[thing].unique", [{"key": "named", "fields": ["name", "color"]}])
        assert await impacts(lab, raw) == []
        raw = edits.put(rich_bundle(), "entities[thing].unique", [{"key": "named", "fields": ["color"], "when": "rank < 4"}])
        assert titles(only(await impacts(lab, raw), "not_unique")) == ["Thing 0", "Thing 3"]
    finally:
        for one in extra:
            await lab.fetch("DELETE FROM record WHERE tenant_id = $1 AND id = $2", one)


async def test_a_warning_about_similar_records_becomes_a_refusal(lab):
    raw = changed(f"{CUSTOMER}.duplicates[same_name]", action="block", match=["bank"])
    assert only(await impacts(lab, raw), "duplicates_refused").count == 3


# ---- choices and stages ------------------------------------------------------------------------------------------------


async def test_a_choice_goes(lab):
    raw = edits.remove(rich_bundle(), "entities[thing].fields[color].options[red]")
    found = only(await impacts(lab, raw), "option_removed")
    assert titles(found) == ["Thing 0", "Thing 3"] and found.path == "entities[thing].fields[color].options[red]" and found.samples[0]["value"] == "Red"
    assert found.remedies == ({"do": "replace", "entity": "thing", "field": "color", "from": "red", "rules": [], "to": None},)
    step = [{"do": "replace", "entity": "thing", "field": "color", "from": "red", "to": "blue"}]
    assert [i.code for i in await impacts(lab, raw, step)] == ["option_replaced"]


async def test_one_of_several_choices_goes(lab):
    raw = edits.remove(rich_bundle(), "entities[thing].fields[kinds].options[y]")
    assert titles(only(await impacts(lab, raw), "option_removed")) == ["Thing 1", "Thing 3", "Thing 5"]
    raw = edits.put(rich_bundle(), "entities[thing].fields[kinds].options[z].active", False)
    assert only(await impacts(lab, raw), "option_retired").severity == "info"


async def test_a_stage_goes_and_somebody_must_say_where_records_move(lab):
    raw = rich_bundle()
    raw["pipelines"][0]["stages"].pop(0)
    raw["pipelines"][0]["transitions"] = []
    found = only(await impacts(lab, raw), "stage_removed")
    assert (found.count, found.severity) == (4, "stop") and found.remedies[0]["from"] == "open"
    step = [{"do": "replace", "entity": "deal", "field": "stage", "from": "open", "to": "offer"}]
    assert [(i.code, i.severity, i.count) for i in await impacts(lab, raw, step)] == [("stage_replaced", "info", 4)]
    assert [i.severity for i in await impacts(lab, raw, [{**step[0], "to": None}])] == ["stop"]


async def test_a_pipeline_is_new_and_records_enter_it(lab):
    raw = edits.add(rich_bundle(), "entities[thing].fields", field("state", "pipeline", pipeline="things"))
    raw["pipelines"].append({
        "key": "things", "entity": "thing", "field": "state", "label": label("Things"),
        "stages": [{"key": "new", "label": label("New")}, {"key": "done", "label": label("Done"), "kind": "done"}],
        "transitions": [{"key": "finish", "label": label("Finish"), "from": ["new"], "to": "done"}],
    })  # fmt: skip
    assert only(await impacts(lab, raw), "pipeline_new").count == 6


# ---- what goes, what comes back -----------------------------------------------------------------------------------------


async def test_a_field_goes(lab):
    raw = edits.remove(rich_bundle(), "entities[thing].fields[rank]")
    raw = edits.remove(raw, "entities[thing].fields[twice]")
    found = only(await impacts(lab, raw), "values_hidden")
    assert (found.count, found.path) == (6, "entities[thing].fields[rank]") and found.samples[0]["value"] == "0"


async def test_an_entity_goes(lab):
    raw = rich_bundle()
    raw["entities"] = [e for e in raw["entities"] if e["key"] != "thing"]
    raw["automations"] = [a for a in raw["automations"] if a["entity"] != "thing"]
    for role in raw["roles"]:
        role.get("entities", {}).pop("thing", None)
    found = await impacts(lab, raw)
    assert only(found, "records_hidden").count == 6


async def test_what_went_comes_back(lab):
    raw = edits.remove(edits.remove(rich_bundle(), "entities[thing].fields[rank]"), "entities[thing].fields[twice]")
    await lab.publish(raw)
    try:
        assert only(await impacts(lab, rich_bundle()), "values_return").count == 6
    finally:
        await lab.publish(rich_bundle())


# ---- people and roles --------------------------------------------------------------------------------------------------


async def test_people_lose_their_only_role(lab):
    raw = rich_bundle()
    raw["roles"] = [r for r in raw["roles"] if r["key"] != "seller"]
    raw = edits.put(raw, f"{CUSTOMER}.owner_roles", ["admin"])
    raw = edits.put(raw, f"{CUSTOMER}.fields[helper].roles", ["assigned"])
    raw["pipelines"][0]["transitions"][2]["roles"] = ["chief"]
    found = await impacts(lab, raw)
    lost = only(found, "role_removed")
    assert (lost.count, titles(lost), lost.total) == (1, ["Seller"], 2)
    assert lost.remedies == ({"do": "role", "from": "seller", "to": None},)
    assert only(found, "people_without_role", f"{CUSTOMER}.fields[helper].roles").count == 1
    assert titles(only(found, "people_without_role", f"{CUSTOMER}.owner_roles")) == ["Account 1", "Account 4"]
    found = await impacts(lab, raw, [{"do": "role", "from": "seller", "to": "chief"}])
    assert "role_removed" not in [i.code for i in found]


async def test_the_last_administrator_may_not_go(lab):
    raw = rich_bundle()
    raw["roles"][0] = {"key": "boss", "label": label("Boss"), "admin": True}
    raw = edits.put(raw, f"{CUSTOMER}.owner_roles", ["boss"])
    stop = only(await impacts(lab, raw), "nobody_configures")
    assert stop.severity == "stop" and titles(stop) == ["admin"]
    assert {"do": "role", "from": "admin", "to": None} in stop.remedies
    assert "nobody_configures" not in [i.code for i in await impacts(lab, raw, [{"do": "role", "from": "admin", "to": "boss"}])]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["entities"]["account"].update(read="none"),
        lambda r: r["entities"]["account"].update(fields={"bank": "hidden"}),
        lambda r: r["entities"]["account"].update(create=False),
        lambda r: r["entities"]["account"].update(read={"scope": "own", "if": "grade == 'a'"}),
        lambda r: r.update(transitions={"deal": ["win"]}),
    ],
)  # fmt: skip
async def test_a_role_gives_less(lab, change: Callable[[Any], None]):
    raw = rich_bundle()
    change(next(r for r in raw["roles"] if r["key"] == "seller"))
    assert only(await impacts(lab, raw), "role_shrinks").count == 1


@pytest.mark.parametrize("change", [lambda r: r["entities"]["account"].update(read="all"), lambda r: r.update(label=label("Sales")), lambda r: r.update(settings=["config"])])
async def test_a_role_gives_as_much_or_more(lab, change: Callable[[Any], None]):
    raw = rich_bundle()
    change(next(r for r in raw["roles"] if r["key"] == "seller"))
    assert await impacts(lab, raw) == []


# ---- who sees what, and when ---------------------------------------------------------------------------------------------


async def test_samples_are_what_the_asking_person_may_read(lab):
    raw = changed(f"{CUSTOMER}.fields[credit]", max=5)
    found = only(await impacts(lab, raw, who="seller"), "limit_broken")
    assert found.count == 9 and titles(found) == ["Account 1", "Account 4"]
    raw = edits.add(rich_bundle(), f"{CUSTOMER}.unique", {"key": "bank", "fields": ["bank"]})
    found = only(await impacts(lab, raw, who="seller"), "not_unique")
    assert found.count == 3 and titles(found) == ["Account 1"]


async def test_hidden_values_stay_hidden(lab):
    await lab.person("blind", ["blind"])
    raw = changed(f"{CUSTOMER}.fields[bank]", max_length=2)
    found = only(await impacts(lab, raw, who="blind"), "limit_broken")
    assert found.count == 12 and all(s["value"] == "" for s in found.samples)
    raw = changed(f"{CUSTOMER}.fields[phone]", required=True)
    assert all("1380" not in str(i) for i in await impacts(lab, raw, who="blind"))


async def test_deleted_records_do_not_count(lab):
    gone = await lab.make("account", name="Gone")
    from saas.runtime import execute
    from saas.runtime import operations as ops

    await execute(await lab.ctx(), ops.Delete(entity="account", id=gone))
    assert only(await impacts(lab, changed(f"{CUSTOMER}.fields[credit]", required=True)), "required_missing").count == 3


async def test_without_time_the_report_says_so(lab):
    found = only(await impacts(lab, changed(f"{CUSTOMER}.fields[credit]", required=True), seconds=0), "required_missing")
    assert (found.count, found.exact, found.looked_at) == (0, False, 0) and found.note


async def test_time_runs_out_in_the_middle(lab, monkeypatch):
    """What was looked at counts; the rest is said to be missing."""
    from saas.runtime.impact._shared import survey as module

    monkeypatch.setattr(module, "FIRST_RUN", 5)
    monkeypatch.setattr(module, "QUICK_SECONDS", -1)
    real, runs = Survey.runs, []

    async def runs_then_stops(self: Survey, entity: Any, *, most: int) -> Any:
        async for run in real(self, entity, most=most):
            runs.append(run)
            if len(runs) == 3:
                self.deadline = 0
            yield run

    monkeypatch.setattr(Survey, "runs", runs_then_stops)
    found = only(await impacts(lab, changed(f"{CUSTOMER}.fields[credit]", required=True)), "required_missing")
    assert (found.count, found.exact, found.looked_at, found.total) == (1, False, 10, 12)
    assert "10 of 12" in found.note and titles(found) == ["Account 9"]


async def test_a_statement_that_takes_too_long_is_stopped_and_the_rest_goes_on(lab):
    from saas.runtime.impact._shared.survey import OutOfTime

    ctx = await lab.ctx()
    async with tenant_transaction(lab.tenant_id, snapshot=True) as conn:
        survey = Survey(ctx, conn, ctx.config, raw=rich_bundle(), seconds=0.2)
        with pytest.raises(OutOfTime):
            await survey.rows("SELECT pg_sleep(5)")
        survey.deadline += 60
        assert await survey.total(ctx.config.entity("account")) == 12


async def test_what_cannot_be_computed_does_not_spoil_the_rest(lab, monkeypatch):
    """A field type that stumbles over a value costs its own figure, not the plan."""
    from saas.metadata.kinds import field_types

    monkeypatch.setattr(type(field_types.get("text")), "taken", lambda *_: 1 / 0)
    raw = edits.put(changed(f"{CUSTOMER}.fields[credit]", required=True), f"{CUSTOMER}.fields[bank].pattern", "[A-Z]+")
    found = await impacts(lab, raw)
    assert only(found, "required_missing").count == 3
    broken = only(found, "limit_broken")
    assert (broken.count, broken.exact, broken.looked_at) == (0, False, 0) and broken.note


async def test_runs_of_any_size_count_the_same(lab, monkeypatch):
    from saas.runtime.impact._shared import survey as module

    monkeypatch.setattr(module, "FIRST_RUN", 1)
    raw = edits.add(changed(f"{CUSTOMER}.fields[credit]", required=True), f"{CUSTOMER}.unique", {"key": "bank", "fields": ["bank"]})
    raw = edits.put(raw, f"{CUSTOMER}.fields[bank].pattern", "[A-Za-z]+ [A-Za-z0-9]")
    found = await impacts(lab, raw)
    assert {(i.code, i.count, i.looked_at) for i in found} == {("required_missing", 3, 12), ("limit_broken", 5, 12), ("not_unique", 3, 12)}


async def test_all_of_it_sees_one_moment(lab):
    """A plan runs while others write: everything in it is of one moment."""
    ctx, raw = await lab.ctx(), changed("entities[thing].fields[rank]", required=True)
    bundle = parse_bundle(raw)
    async with tenant_transaction(lab.tenant_id, snapshot=True) as conn:
        numbers, columns = await slots.preview(conn, lab.tenant_id, bundle)
        survey = Survey(ctx, conn, Config(bundle, numbers=numbers, columns=columns, time_zone="Asia/Shanghai"), raw=raw)
        assert await survey.total(ctx.config.entity("thing")) == 6
        new = await asyncio.create_task(_made_elsewhere(lab))
        found = await look(survey)
    assert found == []
    try:
        assert only(await impacts(lab, raw), "required_missing").count == 1
    finally:
        await lab.fetch("DELETE FROM record WHERE tenant_id = $1 AND id = $2", new)


async def _made_elsewhere(lab: Lab) -> Any:
    """In a context of its own, so that it does not join the snapshot."""
    import contextvars

    return await asyncio.create_task(lab.make("thing", name="Late"), context=contextvars.Context())


async def test_a_snapshot_writes_nothing(lab):
    import asyncpg

    async with tenant_transaction(lab.tenant_id, snapshot=True) as conn:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with conn.transaction():
                await conn.execute("UPDATE tenant SET name = 'x' WHERE id = $1", lab.tenant_id)


def test_impacts_keep_their_translation():
    from saas.i18n import LazyLabel, lazy_plural, use_locale

    made = Impact("x", "p", "e", None, lazy_plural("%(count)s value of “%(field)s” is no longer shown.", "%(count)s values of “%(field)s” are no longer shown.", 2, field=LazyLabel(label("Name"))), 2)
    again = Impact.from_json(copy.deepcopy(made.to_json()))
    assert again == made and str(again.message) == "2 values of “Name” are no longer shown."
    with use_locale("zh_CN"):
        assert "Name（中）" in str(again.message)




# ---- other types -------------------------------------------------------------------------------------------------------



async def test_a_type_changes_and_some_values_are_lost(lab):
    raw = rich_bundle()
    raw["automations"] = [a for a in raw["automations"] if a["entity"] != "thing"]
    raw = edits.put(raw, "entities[thing].fields[note]", field("note", "int"))
    found = await impacts(lab, raw)
    lost = only(found, "values_lost")
    assert (lost.count, lost.path, titles(lost)) == (2, "entities[thing].fields[note].type", ["Thing 4", "Thing 5"])
    assert [s["value"] for s in lost.samples] == ["four", "four"]
    assert only(found, "values_converted").count == 4


async def test_rules_see_the_converted_values(lab):
    raw = rich_bundle()
    raw["automations"] = [a for a in raw["automations"] if a["entity"] != "thing"]
    raw = edits.put(raw, "entities[thing].fields[note]", field("note", "int", required=True))
    raw = edits.add(raw, "entities[thing].rules", {"key": "few", "expr": "note == null or note < 2", "message": label("Few")})
    found = await impacts(lab, raw)
    assert titles(only(found, "rule_broken")) == ["Thing 2", "Thing 3"]
    assert titles(only(found, "required_missing")) == ["Thing 4", "Thing 5"]
    found = await impacts(lab, raw, [{"do": "fill", "entity": "thing", "field": "note", "value": 9}])
    assert titles(only(found, "rule_broken")) == ["Thing 2", "Thing 3", "Thing 4", "Thing 5"] and only(found, "required_filled").count == 2


async def test_a_target_changes(lab):
    thing = await lab.make("contract", name="Paper", account=str((await lab.fetch(
        "SELECT r.id FROM record r JOIN entity e ON e.id = r.entity_id WHERE r.tenant_id = $1 AND e.key = 'account' AND r.deleted_at IS NULL LIMIT 1"))[0][0]))  # fmt: skip
    raw = rich_bundle()
    raw = edits.remove(raw, "entities[contract].fields[line].filter")
    raw = edits.put(raw, "entities[contract].fields[account].to", "thing")
    raw = edits.put(raw, "entities[contract].fields[account].inverse.key", "written")
    lost = only(await impacts(lab, raw), "values_lost")
    assert lost.count == 1 and titles(lost) == ["Paper"] and thing


async def test_a_currency_changes(lab):
    found = await impacts(lab, changed(f"{CUSTOMER}.fields[budget]", currency="JPY"))
    assert sum(i.count for i in found if i.code in ("values_lost", "values_converted")) == 12
