"""What a person may not see never reaches them: not in values, texts, history, filters, sorts, figures, search or errors."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import AppError, BadRequest, InvalidInput
from saas.runtime import execute, forms
from saas.runtime import operations as ops
from saas.runtime.views import save_view
from tests.factories import Lab, make_lab

SECRET, PHONE, TAX = "goldvault77", "+8613800138000", "TX123456789"


@pytest_asyncio.fixture(scope="module")
async def place(database) -> tuple[Lab, UUID, UUID]:
    """An account whose bank, phone and tax number the role `blind` must not learn; a second one to compare with."""
    lab = await make_lab()
    rid = await lab.make("account", name="Acme", bank=SECRET, phone=PHONE, taxno=TAX, budget="987654.00", credit=20)
    other = await lab.make("account", name="Beta", bank="aaa", phone="+14155552671", credit=30)
    await execute(await lab.ctx(), ops.Update(entity="account", id=rid, values={"bank": SECRET + "x", "phone": "+8613800138001", "grade": "a", "remark": "r"}))
    await execute(await lab.ctx(), ops.Update(entity="account", id=rid, values={"bank": SECRET, "phone": PHONE}))
    return lab, rid, other


def shown(found: Any) -> str:
    """All that is in an answer, as text. Formulas are the configuration's own word and left out."""
    text = json.dumps(found, default=lambda o: {s: getattr(o, s) for s in o.__slots__} if hasattr(o, "__slots__") else str(o), ensure_ascii=False)
    return text


def strip(record: ops.Record) -> ops.Record:
    for values in (record.values, record.display):
        values.pop("title2", None)  # a formula over the hidden field, which the configuration chose to show
    return record


SECRETS = (SECRET, "138001380", "138 0013 80", "13800138000", TAX, "987654")


async def test_reading(place) -> None:
    lab, rid, _ = place
    ctx = await lab.ctx("blind")
    one = strip(await execute(ctx, ops.Get(entity="account", id=rid)))
    page = await execute(ctx, ops.List(entity="account"))
    board = await execute(ctx, ops.Board(entity="account", view="grades"))
    history = await execute(ctx, ops.History(entity="account", id=rid))
    narrow = await execute(ctx, ops.List(entity="account", fields=["grade", "phone"]))
    for answer in (one, [strip(r) for r in page.records], [strip(r) for c in board for r in c.records], history, narrow.records):
        for secret in SECRETS:
            assert secret not in shown(answer), secret
    assert "bank" not in one.values and "bank" not in one.display
    assert one.values["phone"] == one.display["phone"] and one.values["phone"].startswith("****")
    assert one.values["taxno"] == "TX***89"
    assert "budget" not in one.values  # its condition holds: grade a
    assert "budget" in next(r for r in page.records if r.id != rid).values
    assert {c["field"] for h in history for c in h.changes}.isdisjoint({"bank", "budget"})
    assert any(c["field"] == "phone" and "****" in (c["old"] or c["new"]) for h in history for c in h.changes)


@pytest.mark.parametrize("field", ["bank", "phone", "taxno", "budget"])
async def test_naming_what_is_kept_from_one(place, field: str) -> None:
    """Filters, sorts, figures: as if the field did not exist, and the answer says no more than was asked."""
    lab, _rid, _ = place
    ctx = await lab.ctx("blind")
    ways = [
        ops.List(entity="account", filter={"field": field, "op": "is_empty", "value": False}), ops.List(entity="account", filter=f"{field} == null"),
        ops.List(entity="account", filter={"not": {"expr": f"is_empty({field})"}}), ops.List(entity="account", sort=[field]), ops.List(entity="account", sort=["name", f"-{field}"]),
        ops.List(entity="account", filter=f"exists(below where {field} != null)"), ops.List(entity="line", filter=f"account.{field} != null"),
        ops.List(entity="line", filter={"field": f"account.{field}", "op": "is_empty", "value": True}), ops.List(entity="account", filter=f"max(friend_of.{field}) != null"),
        ops.List(entity="line", filter=f"exists(contracts where account.{field} != null)"),
        ops.Aggregate(entity="account", measures=[ops.Measure(fn="count", field=field)]), ops.Aggregate(entity="account", measures=[ops.Measure(fn="count_distinct", field=field)]),
        ops.Aggregate(entity="account", measures=[ops.Measure(fn="max", field=field)]), ops.Aggregate(entity="account", measures=[ops.Measure(fn="count")], dimensions=[ops.Dimension(field=field)]),
        ops.Aggregate(entity="line", measures=[ops.Measure(fn="count")], dimensions=[ops.Dimension(field=f"account.{field}")]),
        ops.Aggregate(entity="account", measures=[ops.Measure(fn="count")], filter=f"{field} != null"), ops.Board(entity="account", by="grade", filter=f"{field} != null"),
        *([ops.List(entity="account", fields=["name", field])] if field in ("bank",) else []),
    ]  # fmt: skip
    for operation in ways:
        with pytest.raises(AppError) as caught:
            await execute(ctx, operation)
        assert isinstance(caught.value, BadRequest), operation
        said = str(caught.value.message) + str(caught.value.data)
        assert not any(secret in said for secret in SECRETS)
    if field != "bank":
        return
    async with tenant_transaction(lab.tenant_id) as conn:
        with pytest.raises(BadRequest):
            await save_view(conn, ctx, ctx.config.entity("account"), "spy", {"filter": f"{field} != null"})
        with pytest.raises(BadRequest):
            await save_view(conn, ctx, ctx.config.entity("account"), "spy", {"sort": [field]})


async def test_the_configurations_own_views_work_for_all(place) -> None:
    """A view of the configuration may filter by what the reader cannot name; its sort by such a field is passed over."""
    lab, _rid, _ = place
    page = await execute(await lab.ctx("blind"), ops.List(entity="account", view="hidden_filter"))
    assert page.records == []
    assert {r.id for r in (await execute(await lab.ctx("blind"), ops.List(entity="account", view="grades"))).records} == {
        r.id for r in (await execute(await lab.ctx("chief"), ops.List(entity="account", view="grades"))).records
    }


async def test_search_does_not_tell(place) -> None:
    lab, rid, _ = place
    chief, blind = await lab.ctx("chief"), await lab.ctx("blind")
    for text in (SECRET, SECRET[:5], "13800138000", "0138"):
        assert [r.id for r in (await execute(chief, ops.List(entity="account", q=text))).records] == [rid], text
        for operation in (ops.List(entity="account", q=text, count="exact"), ops.List(entity="account", q=f"Acme {text}")):
            page = await execute(blind, operation)
            assert page.records == [] and (page.count is None or page.count.value == 0), text
        assert sum(c.count for c in await execute(blind, ops.Board(entity="account", by="grade", q=text))) == 0
    assert [r.id for r in (await execute(blind, ops.List(entity="account", q="acm"))).records] == [rid]


async def test_writing(place) -> None:
    lab, rid, _ = place
    ctx = await lab.ctx("blind")
    for values, code in (({"bank": "x"}, "unknown_field"), ({"phone": "+8613800138009"}, "forbidden"), ({"credit": 25}, "forbidden"), ({"taxno": "TX***89"}, "forbidden")):
        for operation in (ops.Update(entity="account", id=rid, values=values), ops.Create(entity="account", values={"name": "x", **values})):
            with pytest.raises(InvalidInput) as caught:
                await execute(ctx, operation)
            assert [(p.field, p.code) for p in caught.value.problems] == [(next(iter(values)), code)]
            assert not any(s in str(p.message) for p in caught.value.problems for s in SECRETS)


async def test_forms_hold_nothing_hidden(place) -> None:
    lab, rid, _ = place
    state = await forms.form_state(await lab.ctx("blind"), "account", record_id=rid)
    assert state.fields["bank"].access == "hidden" and state.fields["phone"].access == "masked"
    assert SECRET not in shown({k: v for k, v in state.values.items() if k != "title2"}) and PHONE not in shown(state.values)


async def test_a_second_role_widens(place) -> None:
    """A union, field by field: read through the one, masked instead of hidden through the other. A role without rights adds nothing."""
    lab, rid, _ = place
    await lab.person("two_halves", ["blind", "half_blind"], "north")
    one = await execute(await lab.ctx("two_halves"), ops.Get(entity="account", id=rid))
    assert one.values["bank"] == SECRET and one.values["phone"].startswith("****")
    await lab.person("blind_nobody", ["blind", "nobody"], "north")
    assert "bank" not in (await execute(await lab.ctx("blind_nobody"), ops.Get(entity="account", id=rid))).values


async def test_a_hidden_title_is_hidden_everywhere(place) -> None:
    lab, rid, _other = place
    ctx = await lab.ctx("untitled")
    contract = await lab.make("contract", name="C", account=str(rid))
    found = [
        await execute(ctx, ops.Get(entity="contract", id=contract)), (await execute(ctx, ops.List(entity="account", fields=["grade"]))).records,
        strip(await execute(ctx, ops.Get(entity="account", id=rid))), await forms.choices(ctx, "contract", "account"),
        [[strip(r) for r in c.records] for c in await execute(ctx, ops.Board(entity="account", by="grade"))], await execute(ctx, ops.History(entity="contract", id=contract)),
    ]  # fmt: skip
    for answer in found:
        assert "Acme" not in shown(answer)


async def test_links_to_what_cannot_be_read_have_no_name(place) -> None:
    lab, rid, _ = place
    deal = await lab.make("deal", name="Linked", account=str(rid))
    one = await execute(await lab.ctx("seller"), ops.Get(entity="deal", id=deal))
    assert one.display["account"] == "···" and "Acme" not in shown(one)
    assert (await execute(await lab.ctx("seller"), ops.List(entity="deal", filter="account.name == 'Acme'"))).records == []
    assert (await execute(await lab.ctx("chief"), ops.List(entity="deal", filter="account.name == 'Acme'"))).records[0].id == deal
