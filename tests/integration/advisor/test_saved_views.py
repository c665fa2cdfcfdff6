"""Views people saved for themselves: measured with their rights, shown without what they wrote into them; and what their owner is told."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.runtime import advisor, costs
from saas.runtime.views import delete_view, save_view
from saas.tenants import update_user
from tests.integration.advisor.test_advisor import LIST, MANY, company, known, large, owner  # noqa: F401  fixtures

SECRET = "Bankrupt soon"


@pytest_asyncio.fixture
async def lab(database, owner):  # noqa: F811  the fixture
    lab = await company()
    await large(lab, owner)
    await lab.person("carl", ["clerk"])
    return lab


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(advisor, "FAST_MS", 0.5)


async def save(lab: Any, who: str, name: str, *, shared: bool = False, **definition: Any) -> str:
    ctx = await lab.ctx(who)
    async with tenant_transaction(lab.tenant_id) as conn:
        return await save_view(conn, ctx, ctx.config.entity("order"), name, definition, shared=shared)


def path_of(key: str) -> str:
    return f"saved[order:{key}]"


async def test_the_same_measure_and_the_same_field(lab):
    key = await save(lab, "carl", SECRET, filter={"field": "tier", "op": "eq", "value": 537}, sort=["-created_at"])
    verdict = (await known(lab))[path_of(key)]
    assert (verdict.state, verdict.reason) == ("unknown", "burdened") and verdict.subject.person == "Carl"
    measured = await advisor.measure(await lab.ctx(), path_of(key))
    assert not measured.is_fast and measured.records == MANY and measured.reading["rows_read"] >= MANY
    after = (await known(lab))[path_of(key)]
    assert after.state == "slow" and [(p.field, p.use, p.status) for p in after.proposals] == [("tier", "filter", "open")]
    assert measured.reading["matches"] is None  # how many it finds is its owner's


async def test_name_and_filter_stay_with_the_owner(lab, browse):
    private = await save(lab, "carl", SECRET, filter={"field": "tier", "op": "eq", "value": 537})
    shared = await save(lab, "admin", "For everybody", shared=True, sort=["rank"])
    mine = await save(lab, "admin", "My own", sort=["-rank"])
    done, all_ = await advisor.measure_all(await lab.ctx())
    assert done == all_ == len(await advisor.subjects_of(await lab.ctx()))
    page = (await (await browse(lab)).get("/settings/speed")).text
    assert "A view of Carl" in page and SECRET not in page and "537" not in page.replace(private, "")
    assert "“Tier” is compared in every record, because it has no index." in page and "Make “Tier” fast" in page
    assert f"/r/order?view={private}" not in page
    for key, name in ((shared, "For everybody"), (mine, "My own")):
        assert f"/r/order?view={key}" in page and name in page


async def test_it_runs_with_its_owners_rights(lab):
    """Each sees their own records only: the right is part of what the page runs."""
    from tests.integration.advisor.test_advisor import bundle

    raw = bundle()
    clerk = next(r for r in raw["roles"] if r["key"] == "clerk")
    clerk["entities"] = {"customer": clerk["entities"]["customer"], "order": {**clerk["entities"]["order"], "read": ["own"]}}
    await lab.publish(raw)
    key = await save(lab, "carl", "Mine", sort=["rank"])
    found = await advisor.measure(await lab.ctx(), path_of(key))
    assert found.reading["rows_read"] < MANY / 10 and not found.is_stopped
    assert (await advisor.measure(await lab.ctx(), LIST)).reading["rows_read"] >= MANY


async def test_what_its_owner_cannot_open_holds_nobody_up(lab):
    from tests.integration.advisor.test_advisor import bundle

    key = await save(lab, "carl", "Tier", filter={"field": "tier", "op": "eq", "value": 1})
    raw = bundle()
    next(r for r in raw["roles"] if r["key"] == "clerk")["entities"].pop("order")
    await lab.publish(raw)
    done, all_ = await advisor.measure_all(await lab.ctx())
    assert done == all_ and (await known(lab))[path_of(key)].now is None
    await update_user(lab.tenant_id, lab.people["carl"], {"status": "inactive"})
    assert path_of(key) not in await known(lab)


async def test_its_measures_go_with_it(lab):
    key = await save(lab, "carl", "Gone", sort=["rank"])
    await advisor.measure(await lab.ctx(), path_of(key))
    ctx = await lab.ctx("carl")
    async with tenant_transaction(lab.tenant_id) as conn:
        await delete_view(conn, ctx, ctx.config.entity("order"), key)
    assert await lab.fetch("SELECT 1 FROM view_measure WHERE tenant_id = $1 AND subject = $2", path_of(key)) == []
    with pytest.raises(NotFound):
        await advisor.measure(await lab.ctx(), path_of(key))


async def test_another_company_has_its_own(lab):
    key = await save(lab, "carl", SECRET, sort=["rank"])
    other = await company()
    assert path_of(key) not in await known(other)
    with pytest.raises(NotFound):
        await advisor.measure(await other.ctx(), path_of(key))


# ---- the hint ----------------------------------------------------------------------------------------------------------


async def test_the_owner_is_told_why_it_is_slow(lab, browse, monkeypatch):
    slow, fast = await save(lab, "carl", "By rank", sort=["-rank"]), await save(lab, "carl", "Newest", sort=["-created_at"])
    monkeypatch.setattr(advisor, "NOTICE_SECONDS", 0.0)  # whatever it takes here is too long
    carl, admin = await browse(lab, "carl"), await browse(lab)
    page = await carl.get(f"/r/order?view={slow}")
    assert "This list is slow. All records are sorted by “Rank”, which has no index. Ask an administrator to make “Rank” fast to sort and filter." in page.text
    assert "data-slow" not in (await carl.get(f"/r/order?view={fast}")).text  # no index would help
    assert "Make “Rank” fast to sort and filter: Settings → Speed." in (await admin.get("/r/order?sort=-rank")).text
    monkeypatch.setattr(costs, "FEW", MANY + 1)
    assert "data-slow" not in (await carl.get(f"/r/order?view={slow}")).text  # so few records need no index


async def test_a_fast_list_says_nothing(lab, browse, monkeypatch):
    key = await save(lab, "carl", "By rank", sort=["-rank"])
    monkeypatch.setattr(advisor, "NOTICE_SECONDS", 60.0)
    page = await (await browse(lab, "carl")).get(f"/r/order?view={key}")
    assert page.status_code == 200 and "data-slow" not in page.text
