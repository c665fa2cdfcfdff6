"""Explanations in words: who stands behind a refusal, what only shows when it is tried, and what is not told to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from saas.errors import NotFound
from saas.i18n import use_locale
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.explain import Step, Verdict, explain
from saas.runtime.simulation import person_of
from saas.tenants import update_user
from tests.integration.rights.conftest import Office


def told(verdict: Verdict) -> str:
    def lines(steps: tuple[Step, ...]) -> list[str]:
        return [line for s in steps for line in (f"{s.holds}: {s.text} [{s.detail}]", *lines(s.steps))]

    return "\n".join(lines(verdict.steps))


async def ask(office: Office, who: str, *question: Any, asker: str = "admin", **changes: Any) -> Verdict:
    ctx = (await office.lab.ctx(asker)).replace(**changes)
    return await explain(ctx, await person_of(ctx, office.lab.people[who]), *question)


async def test_the_scope_names_the_people(office: Office) -> None:
    verdict = await ask(office, "seller", "account", office.accounts["south_chief-b"], "read")
    assert not verdict.allowed and "False: Seller: own records [Owner: South_Chief]" in told(verdict)
    verdict = await ask(office, "dept_user", "account", office.accounts["south_chief-b"], "read")
    assert "False: Dept_User: records of their department [Owner: South_Chief; Department: South]" in told(verdict)
    verdict = await ask(office, "conditional", "account", office.accounts["seller-c"], "update")
    assert verdict.allowed and "Conditional: all records, if grade == 'c' [the condition holds: grade == 'c' (Grade: C)]" in told(verdict)


async def test_a_default_for_all_other_entities_is_named(office: Office) -> None:
    verdict = await ask(office, "reader", "deal", None, "read")
    assert verdict.allowed and "by its rule for all other entities" in told(verdict)
    verdict = await ask(office, "creator", "deal", None, "read")
    assert not verdict.allowed and "it says nothing about this entity" in told(verdict)


async def test_fields_say_which_role_limits_them(office: Office) -> None:
    record = office.accounts["seller-b"]
    phone, bank = [await ask(office, "blind", "account", record, "see_field", key) for key in ("phone", "bank")]
    assert (phone.allowed, phone.level, bank.allowed, bank.level) == (False, "masked", False, "hidden") and "Blind: hidden" in told(bank)
    computed = await ask(office, "chief", "account", record, "change_field", "line_sum")
    assert not computed.allowed and "False: People can set this value [It is computed.]" in told(computed)
    once = await ask(office, "chief", "account", record, "change_field", "since")
    assert not once.allowed and "It cannot change after it was first saved." in told(once)


async def test_what_shows_only_when_it_is_tried(office: Office) -> None:
    """A block at the end of a transition's effects, records below: the engine's own words; and nothing has happened."""
    deal = await office.lab.make("deal", name="Huge", amount="9000", winner=str(office.lab.people["chief"]))
    verdict = await ask(office, "chief", "deal", deal, "transition", None, "win")
    assert not verdict.allowed and "False: Nothing else stands against it when it is tried [Too much]" in told(verdict)
    small = await office.lab.make("deal", name="Small", amount="5")
    text = told(await ask(office, "chief", "deal", small, "transition", None, "win"))
    assert "[Still empty: Winner. The dialog asks for them.]" in text and "[Amount too small; amount > 100 (Amount: " in text
    fine = await office.lab.make("deal", name="Fine", amount="500", winner=str(office.lab.people["chief"]))
    assert (await ask(office, "chief", "deal", fine, "transition", None, "win")).allowed
    assert (await office.lab.get("deal", fine)).state == "open"
    parent = await office.lab.make("account", name="Parent")
    await office.lab.make("contract", name="C", account=str(parent))
    verdict = await ask(office, "chief", "account", parent, "delete")
    assert not verdict.allowed and "False: Nothing in “Contracts” belongs to it any more [1 record]" in told(verdict)


async def test_the_person_and_the_workspace(office: Office) -> None:
    await office.lab.person("leaver", ["chief"], "north")
    assert (await ask(office, "leaver", "account", office.accounts["seller-b"], "read")).allowed
    await update_user(office.lab.tenant_id, office.lab.people["leaver"], {"status": "inactive"})
    verdict = await ask(office, "leaver", "account", office.accounts["seller-b"], "read")
    assert not verdict.allowed and "The account is switched off." in told(verdict)
    ctx = await office.lab.ctx("admin")
    suspended = replace(ctx.tenant, status="suspended")
    assert not (await ask(office, "chief", "account", office.accounts["seller-b"], "update", tenant=suspended)).allowed
    assert (await ask(office, "chief", "account", office.accounts["seller-b"], "read", tenant=suspended)).allowed
    await office.lab.person("former", ["no_such_role"], "north")
    verdict = await ask(office, "former", "account", office.accounts["seller-b"], "read")
    assert not verdict.allowed and "not in this configuration: no_such_role" in told(verdict)


async def test_the_bin(office: Office) -> None:
    gone = await office.lab.make("account", name="Gone")
    await execute(await office.lab.ctx("admin"), ops.Delete(entity="account", id=gone))
    assert not (await ask(office, "chief", "account", gone, "read")).allowed
    assert (await ask(office, "chief", "account", gone, "restore")).allowed
    assert not (await ask(office, "reader", "account", gone, "restore")).allowed
    assert not (await ask(office, "chief", "account", office.accounts["seller-b"], "restore")).allowed


async def test_who_asks_learns_no_value_they_may_not_see(office: Office) -> None:
    own, others = office.accounts["builder-b"], office.accounts["seller-b"]
    assert "gold builder b)" in told(await ask(office, "banker", "account", own, "update"))
    verdict = await ask(office, "banker", "account", own, "update", asker="builder")
    assert verdict.allowed and "(Bank: not shown to you)" in told(verdict)
    with pytest.raises(NotFound):
        await ask(office, "banker", "account", others, "update", asker="builder")


async def test_in_chinese(office: Office) -> None:
    with use_locale("zh_CN"):
        verdict = await ask(office, "seller", "account", office.accounts["south_chief-b"], "read")
    assert "自己的记录" in told(verdict) and "Seller（中）" in told(verdict)


@pytest.mark.parametrize("question", [("no_such", None, "read"), ("account", None, "fly"), ("account", None, "see_field", "no_such"), ("account", None, "transition", None, "win"), ("deal", None, "transition", None, "no_such")])
async def test_what_does_not_exist(office: Office, question: tuple[Any, ...]) -> None:
    with pytest.raises(NotFound):
        await ask(office, "chief", *question)
