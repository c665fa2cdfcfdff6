"""The search index follows the records; histories say what happened, newest first."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.runtime import execute, search
from saas.runtime import operations as ops


async def find(lab, q: str, by: str = "chief") -> set[UUID]:
    return {r.id for r in (await execute(await lab.ctx(by), ops.List(entity="thing", q=q, limit=200))).records}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("北京华北机械有限公司", ["北", "华北", "华北机", "机械有限", "公司", "司"], ["北华", "机有", "海"]),
        ("Acme Machinery-Works GmbH", ["acme", "ACM", "mach", "work gmb", "machinery works"], ["chinery", "acme x", "cme"]),
        ("ＡＢＣ全角 Zoë42", ["abc", "全角", "zoë", "ABC全角", "zoë4"], ["zoe9"]),
        ("Mr. O'Neil (50%)", ["neil", "o'n", "50"], ["%", "()"]),
    ],
)
async def test_words_and_chinese(lab, name, good, bad):
    made = await lab.make("thing", by="chief", name=name)
    for q in good:
        assert made in await find(lab, q), q
    for q in bad:
        assert made not in await find(lab, q), q


async def test_few_or_many_the_same_is_found(lab, monkeypatch):
    """However many records have a word: which one is looked up first changes no result."""
    common = [await lab.make("thing", by="chief", name=f"Gemein {i}") for i in range(6)]
    seldom = await lab.make("thing", by="chief", name="Gemein selten")
    ctx = await lab.ctx("chief")
    entity = ctx.config.entity("thing")
    texts = {"gemein": {*common, seldom}, "selten": {seldom}, "gemein selten": {seldom}, "selten gem": {seldom}, "gemein niemals": set()}
    for few, places in ((5000, (0, 0, 1, 0, -1)), (3, (None, 0, 1, 0, -1)), (0, (None, None, None, None, -1))):
        monkeypatch.setattr(search, "FEW", few)
        async with tenant_transaction(ctx.tenant_id) as conn:
            assert tuple([await search.rarest(conn, ctx, entity, q) for q in texts]) == places, few
        for q, expected in texts.items():
            assert await find(lab, q) == expected, (few, q)


async def test_phone_digits(lab):
    made = await lab.make("thing", by="chief", name="phoned", phone="13800138999")
    for q in ("13800138999", "8999", "0138999", "+8613800138999", "138 0013 8999"):
        assert made in await find(lab, q), q
    assert made not in await find(lab, "8998")


async def test_options_are_found_by_their_labels_in_both_languages(lab):
    made = await lab.make("thing", by="chief", name="colored", color="green")
    assert made in await find(lab, "colored gree") and made in await find(lab, "colored 中")


async def test_the_index_follows_changes(lab):
    ctx = await lab.ctx("chief")
    made = await lab.make("thing", by="chief", name="Wandering Quokka")
    await execute(ctx, ops.Update(entity="thing", id=made, values={"name": "Settled Wombat"}))
    assert made not in await find(lab, "quokka") and made in await find(lab, "wombat")
    await execute(ctx, ops.Update(entity="thing", id=made, values={"name": None}))
    assert made not in await find(lab, "wombat")
    await execute(ctx, ops.Update(entity="thing", id=made, values={"name": "Wombat"}))
    await execute(ctx, ops.Delete(entity="thing", id=made))
    assert made not in await find(lab, "wombat")
    await execute(ctx, ops.Restore(entity="thing", id=made))
    assert made in await find(lab, "wombat")


@pytest.mark.parametrize("q", ["", "   ", "%", "_", "\x00", "'; DROP TABLE record; --", "\ud800", "a" * 5000, "北" * 500, "\U0010ffff", "(((", "\\"])
async def test_odd_searches(lab, q):
    await find(lab, q)


# ---- history -----------------------------------------------------------------------------------------------------------


async def test_what_a_history_says(lab):
    helper = lab.people["assigned"]
    account = await lab.make("account", by="chief", name="Historic", phone="13800138777")
    start = (await lab.ctx()).now
    steps = [
        {"grade": "c", "reason": "late"}, {"helper": str(helper), "budget": "12.5"}, {"friends": [str(account)], "credit": 7}, {"grade": "b", "reason": None},
    ]  # fmt: skip
    for number, values in enumerate(steps, 1):
        ctx = await lab.ctx("chief", at=start + timedelta(hours=number))
        await execute(ctx, ops.Update(entity="account", id=account, values=values))
    found = await execute(await lab.ctx("chief"), ops.History(entity="account", id=account))
    assert [h.kind for h in found] == ["updated"] * 4 + ["created"] and {h.actor for h in found} == {"Chief"}
    lines = [{c["field"]: (c["old"], c["new"]) for c in h.changes} for h in found]
    assert lines[0] == {"grade": ("C", "B"), "reason": ("late", "")}
    assert lines[1] == {"friends": ("", "Historic"), "credit": ("", "7")}
    assert lines[2]["helper"] == ("", "Assigned") and lines[2]["budget"][1] in ("¥12.50", "CN¥12.50")
    assert lines[4]["name"] == ("", "Historic") and lines[4]["owner"] == ("", "Chief") and lines[4]["grade"] == ("", "B")
    assert "line_count" not in lines[4] and "title2" not in lines[4]
    chinese = await execute((await lab.ctx("chief")).replace(locale="zh_CN"), ops.History(entity="account", id=account))
    assert chinese[0].changes[0]["label"] == "Grade（中）" and chinese[0].changes[0]["new"] == "B（中）"


async def test_paging_through_a_history(lab):
    account = await lab.make("account", by="chief", name="Long story")
    at = (await lab.ctx()).now + timedelta(seconds=1)
    for i in range(1, 8):  # all at one moment
        await execute(await lab.ctx("chief", at=at), ops.Update(entity="account", id=account, values={"credit": i}))
    ctx, seen, before = await lab.ctx("chief"), [], None
    while True:
        page = await execute(ctx, ops.History(entity="account", id=account, limit=3, before=before))
        if not page:
            break
        seen += page
        before = page[-1].id
    assert [h.changes[0]["new"] for h in seen[:-1]] == ["7", "6", "5", "4", "3", "2", "1"] and seen[-1].kind == "created"
    assert len({h.id for h in seen}) == 8


@pytest.mark.parametrize("before", ["x", "~", "2025-01-01~", "2025-01-01~x", "2025-13-01T00:00:00+00:00~1", "2025-01-01~99999999999999999999", "0001-01-01T00:00:00+14:00~1", "2025-01-01~-5", "\x00~1"])
async def test_broken_history_links(lab, before):
    account = await lab.make("account", by="chief", name="Short story")
    try:
        await execute(await lab.ctx("chief"), ops.History(entity="account", id=account, before=before))
    except BadRequest as error:
        assert error.data["field"] == "before"
