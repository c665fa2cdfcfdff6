"""Any values, any type and back: publishing and taking it back restores every value exactly; what was edited between is converted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field as fld
from tests.factories import options
from tests.integration.backfill.conftest import Shop, workshop

TEXTS = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn")), min_size=1, max_size=30), st.integers().map(str), st.floats(allow_nan=False).map(str),
    st.decimals(-10**9, 10**9, places=2).map(str), st.dates().map(str), st.sampled_from(["yes", "no", "true", "1,234.50", "¥12", "12%", " 7 ", "０１２", "gold", "a@b.example", "+86 10 6552 9988"]),
)  # fmt: skip
TYPES: dict[str, Any] = {
    "int": st.integers(-(2**53), 2**53), "number": st.decimals(-10**6, 10**6, places=2).map(float), "date": st.dates().map(str).filter(lambda d: d > "0001-01-01"),
    "bool": st.booleans(), "money": st.decimals(-10**6, 10**6, places=2).map(lambda d: {"amount": str(d), "currency": "CNY"}), "option": st.sampled_from(["gold", "silver"]),
    "tags": st.lists(st.sampled_from(["red", "blue", "a b"]), min_size=1, unique=True), "longtext": TEXTS.map(str.strip).filter(bool), "rating": st.integers(1, 5),
    "email": st.just("x@y.example"), "phone": st.just("+861065529988"), "percent": st.integers(0, 100),
}  # fmt: skip
MORE = {"option": {"options": options("gold", "silver")}}


@pytest.mark.slow
@pytest.mark.parametrize("type_", sorted(TYPES))
@settings(max_examples=5, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
async def test_text_to_any_type_and_back(shop: Shop, type_: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXTS.map(str.strip).filter(bool), min_size=8, max_size=12))
    edits = data.draw(st.lists(TYPES[type_], min_size=2, max_size=2))
    await _there_and_back(shop, workshop(), type_, texts, edits)


async def _there_and_back(shop: Shop, first: dict[str, Any], type_: str, texts: list[str], edits: list[Any]) -> None:
    shop.raw = copy.deepcopy(first)
    ids = {f"o{number}": await shop.lab.make("order", name=f"o{number}", place=text) for number, text in enumerate(texts)}
    stored = {name: (await shop.lab.get("order", i)).values["place"] for name, i in ids.items()}
    shop.put("order", fld("place", type_, **MORE.get(type_, {})))
    await shop.follow()
    names = list(ids)
    ctx = await shop.lab.ctx("clerk")
    for name, value in zip(names, edits, strict=False):
        await execute(ctx, ops.Update(entity="order", id=ids[name], values={"place": value}))
    emptied = names[2]
    was_shown = (await shop.lab.get("order", ids[emptied])).values["place"]
    await execute(ctx, ops.Update(entity="order", id=ids[emptied], values={"place": None}))
    seen = {name: (await shop.lab.get("order", ids[name])).values["place"] for name in names[:2]}
    await shop.follow(raw=first)
    for name, record_id in ids.items():
        value = (await shop.lab.get("order", record_id)).values["place"]
        if name in seen:
            assert isinstance(value, str) and value
        elif name == emptied:
            assert value == (None if was_shown is not None else stored[name])
        else:
            assert value == stored[name]
    shop.put("order", fld("place", type_, **MORE.get(type_, {})))
    await shop.follow()
    assert {name: (await shop.lab.get("order", ids[name])).values["place"] for name in names[:2]} == seen
    await shop.follow(raw=first)
    for record_id in ids.values():
        await execute(await shop.lab.ctx("admin"), ops.Delete(entity="order", id=record_id))
