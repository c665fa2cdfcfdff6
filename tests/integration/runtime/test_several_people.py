"""Fields that hold several people: found by who is in them, seen by scopes, named everywhere, closed to who has left."""

from __future__ import annotations

import copy
import csv
import io
import re
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import InvalidDefinition, InvalidInput
from saas.metadata.parse import parse_bundle
from saas.runtime import configuration, execute
from saas.runtime import operations as ops
from saas.runtime.configuration import make_plan
from saas.runtime.files import store
from saas.runtime.forms import choices, form_state
from saas.runtime.transfer import preview_import, stream_csv
from saas.runtime.worker import drain
from saas.tenants import create_department, update_user
from saas.ui.forms import Drawing, pick_filters
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab

VISIT = {
    "key": "visit", "label": label("Visit"), "plural": label("Visits"), "title": "name", "search": ["name"], "assignees": ["crew"],
    "fields": [
        fld("name", "text", required=True),
        fld("crew", "users", roles=["crew", "scoped", "taking_part"]),
        fld("watchers", "users", picker=["dept", "role"]),
        fld("season", "option", options=[{"key": "spring", "label": label("Spring")}, {"key": "autumn", "label": label("Autumn")}]),
        fld("after", "ref", to="visit", picker=["season"]),
        fld("starters", "users", default={"expr": "me()"}),
        fld("mine", "formula", returns="bool", expr="me() in crew"),
        fld("size", "formula", returns="int", expr="len(crew)"),
    ],
    "rules": [{"key": "not_alone", "expr": "is_empty(watchers) or not (owner in watchers)", "message": label("The owner watches anyway"), "field": "watchers"}],
}  # fmt: skip
BUNDLE: dict[str, Any] = {
    "format": 1, "pack": {"key": "visits", "version": "1.0.0", "label": label("Visits"), "icon": "box"}, "entities": [VISIT],
    "roles": [
        {"key": "admin", "label": label("Admin"), "admin": True},
        {"key": "crew", "label": label("Crew"), "entities": {"visit": {"create": True, "read": "all", "update": "all"}}},
        {"key": "scoped", "label": label("Scoped"), "entities": {"visit": {"create": True, "read": "assigned", "update": "assigned"}}},
        {"key": "taking_part", "label": label("Taking part"), "entities": {"visit": {"create": True, "read": "participant"}}},
        {"key": "other", "label": label("Other"), "entities": {"visit": {"create": True, "read": {"scope": "all", "if": "me() in watchers"}, "fields": {"season": "hidden"}}}},
    ],
    "automations": [
        {"key": "tell", "label": label("Tell"), "entity": "visit", "on": {"trigger": "create"},
         "do": [{"action": "notify", "to": ["watchers"], "title": label("{{ name }}: {{ crew }}")}]},
    ],
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def visits(database) -> Lab:
    lab = await make_lab(copy.deepcopy(BUNDLE), people=False)
    for key, role in (("ann", "crew"), ("bob", "scoped"), ("cat", "taking_part"), ("dan", "other"), ("eve", "crew")):
        await lab.person(key, [role])
    return lab


async def make(lab: Lab, name: str, by: str = "admin", **people: list[str]) -> UUID:
    return await lab.make("visit", by, name=name, **{field: [str(lab.people[p]) for p in who] for field, who in people.items()})


async def found(lab: Lab, who: str, filter_: Any = None) -> set[str]:
    page = await execute(await lab.ctx(who), ops.List(entity="visit", filter=filter_, limit=200))
    return {r.title for r in page.records}


async def test_they_are_kept_named_and_shown(visits: Lab) -> None:
    made = await make(visits, "kept", crew=["bob", "ann"])
    record = await visits.get("visit", made)
    assert sorted(record.values["crew"]) == sorted(str(visits.people[p]) for p in ("ann", "bob"))
    assert sorted(record.display["crew"].split(", ")) == ["Ann", "Bob"]
    assert record.values["size"] == 2 and record.values["mine"] is False
    assert (await visits.get("visit", made, by="ann")).values["mine"] is True
    assert record.values["starters"] == [str(visits.people["admin"])], "a default that gives one person"


async def test_they_are_found_by_who_is_in_them(visits: Lab) -> None:
    await make(visits, "f1", crew=["ann", "eve"])
    await make(visits, "f2", crew=["eve"])
    await make(visits, "f3")
    ann, eve = (str(visits.people[p]) for p in ("ann", "eve"))
    named = {"field": "name", "op": "starts_with", "value": "f"}
    for filter_, expected in (
        ({"field": "crew", "op": "contains", "value": "me()"}, {"f1"}), ({"field": "crew", "op": "contains", "value": eve}, {"f1", "f2"}),
        ({"field": "crew", "op": "in", "value": [ann, "me()"]}, {"f1"}), ({"field": "crew", "op": "not_in", "value": [ann]}, {"f2", "f3"}),
        ({"field": "crew", "op": "is_empty", "value": True}, {"f3"}), ({"expr": "me() in crew"}, {"f1"}), ({"expr": "contains(crew, me()) or len(crew) == 1"}, {"f1", "f2"}),
        ({"expr": "owner in crew"}, set()), ({"expr": "not (me() in crew)"}, {"f2", "f3"}),
    ):  # fmt: skip
        assert await found(visits, "ann", {"and": [named, filter_]}) == expected, filter_


async def test_scopes_see_them(visits: Lab) -> None:
    await make(visits, "s1", crew=["bob"])
    await make(visits, "s2", watchers=["cat", "dan"])
    await make(visits, "s3", crew=["cat", "ann"])
    named = {"field": "name", "op": "starts_with", "value": "s"}
    assert await found(visits, "bob", named) == {"s1"}
    assert await found(visits, "cat", named) == {"s2", "s3"}
    assert await found(visits, "dan", named) == {"s2"}
    assert await found(visits, "ann", named) == {"s1", "s2", "s3"}


async def test_nobody_who_left_is_chosen_anew(visits: Lab) -> None:
    gone = await visits.person("fay", ["crew"])
    made = await make(visits, "left", crew=["fay", "ann"])
    await update_user(visits.tenant_id, gone, {"status": "inactive"})
    ctx = await visits.ctx()
    offered = {c.id for c in await choices(ctx, "visit", "crew")}
    assert str(gone) not in offered and str(visits.people["ann"]) in offered
    assert str(visits.people["dan"]) not in offered, "has none of the field's roles"
    assert {c.label for c in await choices(ctx, "visit", "crew", q="an")} == {"Ann"}
    kept = [str(gone), str(visits.people["eve"])]
    change = await execute(ctx, ops.Update(entity="visit", id=made, values={"crew": kept}))
    assert sorted(change.record.values["crew"]) == sorted(kept), "who was there before may stay"
    for person in ("fay", "dan"):
        with pytest.raises(InvalidInput) as caught:
            await make(visits, "new", crew=[person])
        assert [(p.field, p.code) for p in caught.value.problems] == [("crew", "unknown_user")]


async def test_the_history_names_them(visits: Lab) -> None:
    made = await make(visits, "told", crew=["ann"])
    await execute(await visits.ctx(), ops.Update(entity="visit", id=made, values={"crew": [str(visits.people["bob"])]}))
    entries = await execute(await visits.ctx(), ops.History(entity="visit", id=made))
    line = next(c for c in entries[0].changes if c["field"] == "crew")
    assert (line["old"], line["new"]) == ("Ann", "Bob")


async def test_they_are_notified_and_named_in_texts(visits: Lab) -> None:
    await make(visits, "note", crew=["ann"], watchers=["dan", "eve"])
    rows = await visits.fetch("SELECT user_id, title FROM notification WHERE tenant_id = $1 AND title LIKE 'note%'")
    assert {(r["user_id"], r["title"]) for r in rows} == {(visits.people[p], "note: Ann") for p in ("dan", "eve")}


async def test_they_go_out_and_come_in_by_name(visits: Lab) -> None:
    await make(visits, "sheet", crew=["eve", "ann"])
    ctx = await visits.ctx()
    out = b"".join([part async for part in stream_csv(ctx, "visit", columns=["name", "crew"], filter={"field": "name", "op": "eq", "value": "sheet"})])
    rows = list(csv.reader(io.StringIO(out.decode("utf-8-sig"))))
    assert sorted(rows[1][1].split(", ")) == ["Ann", "Eve"]

    async def parts() -> Any:
        yield b"Name,Crew\nback,\"Ann; eve\"\nalone,Bob\nnobody,\nodd,Zed\n"

    seen = await preview_import(ctx, (await store(ctx, "t.csv", parts())).id, {"entity": "visit"})
    ids = {p: str(visits.people[p]) for p in ("ann", "bob", "eve")}
    assert [r["parsed"].get("crew") for r in seen["rows"]] == [[ids["ann"], ids["eve"]], [ids["bob"]], None, None]
    assert [r["action"] for r in seen["rows"]] == ["created", "created", "created", "failed"]


async def test_a_plan_says_who_can_no_longer_be_chosen(visits: Lab) -> None:
    await make(visits, "planned", crew=["bob", "cat"])
    await make(visits, "kept", crew=["ann"])
    raw = copy.deepcopy(BUNDLE)
    next(f for f in raw["entities"][0]["fields"] if f["key"] == "crew")["roles"] = ["crew", "scoped"]
    plan = await make_plan(await visits.ctx(), raw)
    impact = next(i for i in plan.report.impacts if i.code == "people_without_role")
    with_cat = await found(visits, "admin", {"field": "crew", "op": "contains", "value": str(visits.people["cat"])})
    assert impact.count == len(with_cat) and "planned" in {s["title"] for s in impact.samples} <= with_cat


async def test_one_person_becomes_several_and_back(database) -> None:
    """Through the door an admin uses: publish, then the data follows."""
    raw = copy.deepcopy(BUNDLE)
    raw["entities"][0]["fields"] += [fld("lead", "user"), fld("effort", "text")]
    lab = await make_lab(raw, people=False)
    for key in ("ann", "bob"):
        await lab.person(key, ["crew"])
    made = await lab.make("visit", name="v", lead=str(lab.people["ann"]), crew=[str(lab.people["bob"])], effort="1 h 30 min")
    changed = copy.deepcopy(raw)
    by_key = {f["key"]: f for f in changed["entities"][0]["fields"]}
    by_key["lead"]["type"], by_key["crew"]["type"], by_key["effort"]["type"] = "users", "user", "duration"
    changed["entities"][0]["fields"] = [f for f in by_key.values() if f["key"] not in ("mine", "size")]
    await configuration.publish(await lab.ctx(), raw=changed, base_revision=1)
    await drain()
    record = await lab.get("visit", made)
    assert (record.values["lead"], record.values["crew"], record.values["effort"]) == ([str(lab.people["ann"])], str(lab.people["bob"]), 5400)
    assert await _found_by(lab, {"field": "lead", "op": "contains", "value": str(lab.people["ann"])}) == ["v"]
    await configuration.revert(await lab.ctx(), 1, base_revision=2)
    await drain()
    record = await lab.get("visit", made)
    assert (record.values["lead"], record.values["crew"], record.values["effort"]) == (str(lab.people["ann"]), [str(lab.people["bob"])], "1 h 30 min")


async def _found_by(lab: Lab, filter_: Any) -> list[str]:
    return [r.title for r in (await execute(await lab.ctx(), ops.List(entity="visit", filter=filter_))).records]


async def test_rules_are_checked_while_writing(visits: Lab) -> None:
    with pytest.raises(InvalidInput) as caught:
        await make(visits, "rule", by="ann", watchers=["ann"])
    assert caught.value.problems[0].code == "rule.not_alone"


@pytest.mark.parametrize("text", ["crew == me()", "name in crew and 5 in crew", "my_dept() in crew"])
def test_what_makes_no_sense_of_a_list_of_people_is_refused(text: str) -> None:
    bundle = copy.deepcopy(BUNDLE)
    bundle["entities"][0]["rules"].append({"key": "odd", "expr": text, "message": label("Odd")})
    with pytest.raises(InvalidDefinition) as caught:
        parse_bundle(bundle)
    assert [p.code for p in caught.value.problems] == ["bad_expression"]


def test_assignees_must_hold_people() -> None:
    bundle = copy.deepcopy(BUNDLE)
    bundle["entities"][0]["assignees"] = ["name"]
    with pytest.raises(InvalidDefinition) as caught:
        parse_bundle(bundle)
    assert [p.code for p in caught.value.problems] == ["not_a_user"]


async def test_giving_back_leaves_the_successor_where_they_stood_before(visits: Lab) -> None:
    from saas.runtime import succession

    both, only = await make(visits, "both", crew=["ann", "eve"]), await make(visits, "only", crew=["ann"])
    ctx, (ann, eve) = await visits.ctx("admin"), (visits.people[p] for p in ("ann", "eve"))
    await succession.deactivate(ctx, ann, successor_id=eve)
    await drain()
    for made in (both, only):
        assert (await visits.get("visit", made)).values["crew"] == [str(eve)]
    await succession.reactivate(ctx, ann)
    await drain()
    assert set((await visits.get("visit", both)).values["crew"]) == {str(ann), str(eve)}
    assert (await visits.get("visit", only)).values["crew"] == [str(ann)]


async def test_a_window_narrows_what_can_be_chosen(visits: Lab) -> None:
    """People by department (with those below it) and role, records by a choice; the form has the window with these filters and nothing to type into."""
    ctx = await visits.ctx("ann")
    [north, below] = [str(await create_department(visits.tenant_id, key, label(key), parent_key=parent)) for key, parent in (("uplands", None), ("valley", "uplands"))]
    await update_user(visits.tenant_id, visits.people["bob"], {"department_ids": [UUID(below)]})

    async def names(field: str, **narrow: str) -> set[str]:
        return {c.label for c in await choices(ctx, "visit", field, narrow=narrow, limit=50)}

    assert await names("watchers", dept=north) == {"Bob"} == await names("watchers", dept=below, role="scoped")
    assert await names("watchers", role="crew") == {"Ann", "Eve"} and await names("watchers", dept=below, role="crew") == set()
    assert await names("crew", dept=below) >= {"Ann", "Eve"}, "a field without a window has no filters"
    for season in ("spring", "autumn"):
        await visits.make("visit", "ann", name=f"in {season}", season=season)
    assert await names("after", season="spring") == {"in spring"} and {"in spring", "in autumn"} <= await names("after")
    assert await names("after", season="' or true or '") == set()
    drawing = Drawing(ctx, ctx.config.entity("visit"), await form_state(ctx, "visit"))
    async with tenant_transaction(visits.tenant_id) as conn:
        await drawing.load(conn, ["after", "watchers"])
    for key, filters in (("after", ["season"]), ("watchers", ["dept", "role"])):
        html = (await drawing.field(key)).html
        assert "data-window=" in html and "data-picker=" not in html and re.findall('data-pick-filter="([^"]+)"', html) == filters
    after = ctx.config.entity("visit").fields["after"]
    assert await pick_filters(ctx, after) and not await pick_filters(await visits.ctx("dan"), after), "nor a filter by what the person may not see"


@pytest.mark.parametrize(("field", "picker", "code"), [("after", ["color"], "unknown_field"), ("after", ["name"], "not_an_option_field"), ("watchers", ["team"], "unknown_choice")])
async def test_a_window_filters_by_choices_that_are_there(field: str, picker: list[str], code: str) -> None:
    bundle = copy.deepcopy(BUNDLE)
    next(f for f in bundle["entities"][0]["fields"] if f["key"] == field)["picker"] = picker
    with pytest.raises(InvalidDefinition) as error:
        parse_bundle(bundle)
    assert [p.code for p in error.value.problems] == [code]
