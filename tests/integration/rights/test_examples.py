"""Examples of a configuration: what holds is green, what does not says why, nothing remains, and a red one keeps the configuration
from being published."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from saas.db import tenant_transaction
from saas.errors import InvalidDefinition
from saas.i18n import LOCALES, use_locale
from saas.metadata.packs import list_packs, load_pack
from saas.runtime import configuration
from saas.runtime.contexts import context_for_user
from saas.runtime.examples import run_examples
from tests.bundles import label
from tests.factories import Lab
from tests.integration.rights.conftest import Office

ACCOUNT = {"key": "acc", "entity": "account", "values": {"name": "Acme", "taxno": "T-1"}}
DEAL = {"name": "Lathe", "amount": "500", "winner": "@me"}


def example(key: str, expect: str = "allowed", **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key), "entity": "deal", "as": "seller", "expect": expect, "when": {"read": True}, **more}


HOLD = [
    example("guard", "refused", given={**DEAL, "amount": "50"}, when={"transition": "win"}, message="amount TOO small", then=["stage == 'open'", "won_on == null"]),
    example("guard_in_chinese", "refused", given={**DEAL, "amount": "50"}, when={"transition": "win"}, message="Amount too small（中）"),
    example("effects", given={**DEAL, "account": "@acc"}, records=[ACCOUNT], when={"transition": "win"}, then=["stage == 'won'", "account.credit == 20", "won_on == today()", "exists(tasks where name == 'Thank Lathe')"]),
    example("asked_values", given={"name": "Lathe", "amount": "500"}, when={"transition": "win", "values": {"winner": "@role:seller"}}, then=["winner != null", "winner != me()"]),
    example("missing_value", "refused", given={"name": "Lathe", "amount": "500"}, when={"transition": "win"}, message="Winner: This field is required"),
    example("placed", given={"name": "Lathe"}, state="lost", when={"transition": "reopen", "values": {"satisfaction": 5}}, then=["stage == 'offer'"]),
    example("wrong_stage", "refused", given={"name": "Lathe"}, state="won", when={"transition": "offer"}, message="not possible while the stage is"),
    example("own", entity="account", given={"name": "Mine"}, when={"read": True}),
    example("others", "refused", entity="account", given={"name": "Theirs", "owner": "@other"}, when={"read": True}),
    example("colleagues_of_all", entity="account", given={"name": "Theirs", "owner": "@other"}, when={"read": True}, **{"as": "chief"}),
    example("closed", "refused", entity="account", given={"name": "Mine", "frozen": True}, when={"update": {"name": "Other"}}, message="closed", then=["name == 'Mine'"]),
    example("changed", entity="account", given={"name": "Mine"}, when={"update": {"name": "Other"}}, then=["name == 'Other'", "old('name') == 'Mine'"]),
    example("children", "refused", entity="account", given={"name": "Mine"}, records=[{"key": "con", "entity": "contract", "values": {"name": "C", "account": "@given"}}], when={"delete": True}, message="still belong", **{"as": "chief"}),
    example("deleted", entity="account", given={"name": "Mine"}, when={"delete": True}),
    example("system", entity="feed", given={"text": "from outside"}, when={"update": {"text": "again"}}, then=["text == 'again'"], **{"as": "system"}),
    example("from_outside", "refused", entity="feed", given={"text": "from outside"}, when={"update": {"text": "again"}}, message="come from another system"),
    example("created", entity="account", given={"name": "New"}, when={"create": {"grade": "c", "reason": "r"}}, then=["grade == 'c'", "owner == me()", "since == today()"]),
    example("unique", "refused", entity="account", given={"name": "New", "taxno": "t 1"}, records=[ACCOUNT | {"values": {"name": "Acme", "taxno": "T1"}}], when={"create": {}}, message="Tax number taken"),
    example("rollup", entity="account", given={"name": "Mine"}, records=[{"key": "one", "entity": "line", "values": {"name": "L", "account": "@given", "amount": "7"}}], then=["line_count == 1", "line_sum == 7"]),
    example("hidden_field", "refused", entity="account", given={"name": "Mine"}, when={"update": {"bank": "x"}}, message="There is no field", **{"as": "blind"}),
    example("conditional_create", "refused", entity="account", given={"name": "New", "grade": "c", "reason": "r"}, when={"create": {}}, message="does not allow creating", **{"as": "conditional"}),
]  # fmt: skip

FAIL = {
    "allowed though": (example("x", "refused", given=DEAL, when={"transition": "win"}), "It was allowed, but should be refused."),
    "refused though": (example("x", entity="account", given={"name": "A", "owner": "@other"}), "It was refused, but should be allowed: This record does not exist, or you may not see it."),
    "other reason": (example("x", "refused", given={**DEAL, "amount": "1"}, when={"transition": "win"}, message="too late"), "It was refused as it should be, but for another reason: Amount too small"),
    "afterwards": (example("x", given=DEAL, when={"transition": "win"}, then=["stage == 'open'", "chance == 50"]), "Afterwards this does not hold: stage == 'open'; chance == 50"),
    "not made": (example("x", entity="account", given={"grade": "c"}), "The situation could not be made: Reason: This field is required."),
    "not a value": (example("x", entity="account", given={"name": "A", "credit": "many"}), "The situation could not be made: Credit: Enter a whole number."),
}  # fmt: skip


async def tried(lab: Lab, raw: dict[str, Any], *examples: dict[str, Any]) -> list[Any]:
    return await run_examples(await lab.ctx("admin"), {**raw, "examples": list(examples)})


async def test_what_holds_is_green(office: Office) -> None:
    assert {r.key: str(r.message) for r in await tried(office.lab, office.raw, *HOLD) if not r.passed} == {}
    with use_locale("zh_CN"):
        assert [r.key for r in await tried(office.lab, office.raw, *(e for e in HOLD if e["key"].startswith("guard"))) if not r.passed] == []


@pytest.mark.parametrize("name", FAIL)
async def test_what_does_not_says_why(office: Office, name: str) -> None:
    one, message = FAIL[name]
    [result] = await tried(office.lab, office.raw, one)
    assert (result.passed, str(result.message)) == (False, message)


async def test_an_approval_that_begins_is_decided_by_whoever_is_asked(office: Office) -> None:
    approval = {
        "key": "check", "label": label("Check"), "entity": "deal", "start": {"transitions": ["offer"]}, "outcome": {"approved": "win"},
        "steps": [{"key": key, "label": label(key), "approvers": [{"by": "role", "role": key}]} for key in ("chief", "keeper")],
    }  # fmt: skip
    offered: dict[str, Any] = {"given": DEAL, "when": {"transition": "offer"}}
    yes, no = ({"as": "chief", "act": act} for act in ("approve", "reject"))
    then = {"as": "keeper", "act": "approve"}
    results = await tried(
        office.lab, {**office.raw, "approvals": [approval]},
        example("waits", **offered, decisions=[yes], then=["stage == 'offer'"]), example("agreed", **offered, decisions=[yes, then], then=["stage == 'won'"]),
        example("rejected", **offered, decisions=[no], then=["stage == 'offer'"]), example("over", "refused", **offered, decisions=[no, then], message="no approval under way"),
        example("not_asked", "refused", **offered, decisions=[then], message="not yours to decide"),
        example("none", "refused", given=DEAL, when={"update": {"name": "Mill"}}, decisions=[yes], message="no approval under way"),
    )  # fmt: skip
    assert [(r.key, str(r.message)) for r in results if not r.passed] == []


async def test_one_does_not_touch_the_next(office: Office) -> None:
    """Also where the same record is made again and again, and a red one stands between."""
    once = example("again", entity="account", given={"name": "Same", "taxno": "same"}, when={"delete": True})
    results = await tried(office.lab, office.raw, once, {**once, "key": "again_2"}, FAIL["afterwards"][0], {**once, "key": "again_3"})
    assert [r.passed for r in results] == [True, True, False, True]
    some = await run_examples(await office.lab.ctx("admin"), {**office.raw, "examples": [once, {**once, "key": "again_2"}]}, only={"again_2"})
    assert [r.key for r in some] == ["again_2"]


async def test_real_records_do_not_decide(office: Office) -> None:
    """A customer who exists has the same tax number, phone and mail as the one of an example."""
    await office.lab.make("account", name="Real", taxno="REAL-1", phone="13900139000", mail="real@example.com")
    twin = {"name": "Made up", "taxno": "real-1", "phone": "13900139000", "mail": "real@example.com"}
    results = await tried(
        office.lab, office.raw, example("made", entity="account", given=twin, when={"create": {}}), example("given", entity="account", given=twin),
        example("changed", entity="account", given={"name": "Made up"}, when={"update": {"taxno": "REAL-1", "mail": "real@example.com"}}),
    )  # fmt: skip
    assert [(r.passed, str(r.message)) for r in results] == [(True, "")] * 3
    assert (await office.lab.fetch("SELECT count(*) FROM unique_value WHERE tenant_id = $1 AND rule_key = 'taxno'"))[0][0] >= 1


async def test_nothing_remains(office: Office) -> None:
    tables = ("record", "record_event", "stage_history", "search_token", "unique_value", "counter", "notification", "app_user", "user_role", "audit_event", "automation_log", "record_link", "entity")
    count = "SELECT " + ", ".join(f"(SELECT coalesce(sum(hashtext(x::text)::bigint), 0) FROM {t} x WHERE tenant_id = $1)" for t in tables)  # noqa: S608  names of our own
    before = await office.lab.fetch(count)
    assert await tried(office.lab, office.raw, *HOLD, *({**e, "key": f"red_{n}"} for n, (e, _) in enumerate(FAIL.values())))
    assert await office.lab.fetch(count) == before


async def test_fifty_are_fast(office: Office) -> None:
    many = [{**HOLD[n % len(HOLD)], "key": f"k{n}"} for n in range(50)]
    started = time.process_time()  # what others do on this machine does not count
    assert all(r.passed for r in await tried(office.lab, office.raw, *many))
    assert time.process_time() - started < 10


async def test_a_red_one_blocks_publishing(fresh_office: Lab) -> None:
    lab, raw = fresh_office, (await configuration_of(fresh_office))
    raw["examples"] = [HOLD[0], FAIL["allowed though"][0] | {"key": "red"}]
    ctx = await lab.ctx("admin")
    plan = await configuration.make_plan(ctx, raw)
    assert not plan.report.can_publish and [(e.key, e.passed) for e in plan.report.examples] == [("guard", True), ("red", False)]
    with pytest.raises(InvalidDefinition) as caught:
        await configuration.publish(ctx, plan_id=plan.id)
    assert [(p.path, str(p.message)) for p in caught.value.problems] == [("examples[red]", "It was allowed, but should be refused.")]
    raw["examples"].pop()
    revision = await configuration.publish(ctx, raw=raw, base_revision=ctx.config.revision)
    ctx = await lab.ctx("admin")
    # The rule the example speaks of is taken away: now the example stands in the way.
    raw["pipelines"][0]["transitions"][1].pop("guard")
    with pytest.raises(InvalidDefinition) as caught:
        await configuration.publish(ctx, raw=raw, base_revision=revision.number)
    assert [p.path for p in caught.value.problems] == ["examples[guard]"]


async def configuration_of(lab: Lab) -> dict[str, Any]:
    from saas.metadata import store

    return copy.deepcopy(dict((await store.revision(lab.tenant_id)).bundle))


@pytest.fixture
async def fresh_office(database: Any) -> Lab:
    from tests.factories import make_lab

    return await make_lab(people=False)


@pytest.mark.parametrize("pack", [p.key for p in list_packs()])
async def test_shipped_packs_keep_their_own_examples(pack: str, tenant_factory: Any) -> None:
    raw = load_pack(pack)
    assert len(raw["examples"]) >= 2 and all(set(e["label"]) >= set(LOCALES) for e in raw["examples"])
    tenant = await tenant_factory(pack=pack)
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    assert {r.key: str(r.message) for r in await run_examples(ctx, raw) if not r.passed} == {}
    opened = copy.deepcopy(raw)  # without any rule of roles and pipelines some of them must turn red
    for role in opened["roles"]:
        if not role.get("portal"):  # a role for people outside is one for nothing else
            role["admin"] = True
            role.pop("external", None)
    for pipeline in opened["pipelines"]:
        for stage in pipeline["stages"]:
            stage.pop("if", None)
        for transition in pipeline["transitions"]:
            transition.pop("guard", None)
    assert any(not r.passed for r in await run_examples(ctx, opened))
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", tenant.id) == 0
