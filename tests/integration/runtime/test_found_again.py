"""The statement that finds a record is made once for a person: not for another, not for later rights, not for another day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saas.errors import NotFound
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import update_user
from tests.factories import label, make_lab, rich_bundle


async def finds(lab, ctx, entity, record_id) -> bool:
    try:
        await execute(ctx, ops.Get(entity=entity, id=record_id))
    except NotFound:
        return False
    return True


async def test_rights_that_change_are_asked_at_once(database) -> None:
    lab = await make_lab()
    await lab.person("other", ["seller"], "south")
    mine = await lab.make("account", by="seller", name="Mine", credit=1)
    for who, expected in (("seller", True), ("other", False), ("seller", True)):
        assert await finds(lab, await lab.ctx(who), "account", mine) is expected, who
    await update_user(lab.tenant_id, lab.people["other"], {"role_keys": ["chief"]})
    assert await finds(lab, await lab.ctx("other"), "account", mine)
    await update_user(lab.tenant_id, lab.people["other"], {"role_keys": ["nobody"]})
    assert not await finds(lab, await lab.ctx("other"), "account", mine)
    elsewhere = await make_lab()
    assert not await finds(elsewhere, await elsewhere.ctx("seller"), "account", mine)


async def test_what_a_rule_says_about_today_is_asked_each_time(database) -> None:
    bundle = rich_bundle()
    bundle["roles"].append({"key": "daily", "label": label("Daily"), "entities": {"thing": {"read": {"scope": "all", "if": "due >= today()"}}}})
    lab = await make_lab()
    await lab.publish(bundle)
    await lab.person("clerk", ["daily"], "north")
    now = datetime(2026, 3, 3, 12, tzinfo=UTC)
    thing = await lab.make("thing", by="chief", name="Due", due="2026-03-04")
    for days, expected in ((0, True), (5, False), (1, True), (2, False)):
        assert await finds(lab, await lab.ctx("clerk", at=now + timedelta(days=days)), "thing", thing) is expected, days


async def test_a_new_configuration_is_asked_at_once(database) -> None:
    lab = await make_lab()
    bundle = rich_bundle()
    thing = await lab.make("thing", by="chief", name="Seen")
    assert await finds(lab, await lab.ctx("reader"), "thing", thing)
    next(r for r in bundle["roles"] if r["key"] == "reader")["entities"] = {"*": {"read": "none"}}
    await lab.publish(bundle)
    with pytest.raises(NotFound):
        await execute(await lab.ctx("reader"), ops.Get(entity="thing", id=thing))


async def test_a_link_that_is_hidden_on_some_records_is_named_on_the_others(database) -> None:
    bundle = rich_bundle()
    bundle["roles"].append({"key": "partly", "label": label("Partly"), "entities": {"account": {"read": "all", "fields": {"helper": {"access": "hidden", "if": "grade == 'c'"}}}}})
    lab = await make_lab()
    await lab.publish(bundle)
    await lab.person("clerk", ["partly"], "north")
    seller = str(lab.people["seller"])
    for grade, shown in (("b", "Seller"), ("c", None)):
        account = await lab.make("account", by="chief", name=f"Grade {grade}", grade=grade, reason="r", helper=seller)
        record = await lab.get("account", account, by="clerk")
        assert record.display.get("helper") == shown and (record.values.get("helper") == seller) is (shown is not None), grade
