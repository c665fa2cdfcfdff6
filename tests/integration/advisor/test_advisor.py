"""The advisor: a slow list is found by running it, its field is named, taken into the draft with one click, and measured again."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.db.roles import OWNER, role_login
from saas.errors import NotFound, PermissionDenied
from saas.metadata import drafts
from saas.runtime import advisor, configuration, jobs
from saas.runtime.worker import drain
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab
from tests.integration.backfill.conftest import workshop

MANY = 30_000
LIST = "views[order:by_rank]"


def bundle() -> dict[str, Any]:
    """More whole numbers than there are general indexes, then the field in question."""
    raw = workshop()
    order = next(e for e in raw["entities"] if e["key"] == "order")
    order["fields"] += [*(fld(f"n{n}", "int") for n in range(6)), fld("rank", "int"), fld("tier", "int"), fld("remark", "longtext")]
    raw["views"] = [
        {"key": "by_rank", "entity": "order", "label": label("By rank"), "columns": ["name", "rank"], "sort": ["-rank"]},
        {"key": "tier", "entity": "order", "label": label("One tier"), "columns": ["name"], "filter": {"field": "tier", "op": "eq", "value": 5}, "sort": ["-created_at"]},
        {"key": "words", "entity": "order", "label": label("Words"), "columns": ["name"], "filter": {"field": "remark", "op": "contains", "value": "zzz"}},
        {"key": "newest", "entity": "order", "label": label("Newest"), "columns": ["name"], "sort": ["-created_at"]},
        {"key": "people", "entity": "customer", "label": label("All customers"), "columns": ["name"], "sort": ["name"]},
    ]
    raw["dashboards"] = [{"key": "home", "label": label("Home"), "widgets": [{"key": "ranks", "type": "number", "label": label("Ranks"), "entity": "order", "measures": [{"fn": "count"}], "filter": {"field": "rank", "op": "gt", "value": 5}}]}]
    return raw


@pytest_asyncio.fixture(scope="module")
async def owner(settings, database):
    connection = await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))
    yield connection
    await connection.close()


async def company() -> Any:
    """The views come later than the fields: else those would have been given columns that have an index."""
    raw = bundle()
    lab = await make_lab({k: v for k, v in raw.items() if k not in ("views", "dashboards")}, people=False)
    await lab.publish(raw)
    return lab


async def large(lab: Any, owner: Any) -> None:
    entity = (await lab.ctx()).config.entity("order")
    columns = entity.columns
    async with tenant_transaction(lab.tenant_id, timeout_seconds=120) as conn:
        await conn.execute(
            f"INSERT INTO record (tenant_id, entity_id, id, {columns['name']}, {columns['rank']}, {columns['tier']}) "  # noqa: S608  names of ours
            "SELECT $1, $2, gen_random_uuid(), 'o' || n, (n * 7919) % 100003, n % 1000 FROM generate_series(1, $3::int) n",
            lab.tenant_id, entity.number, MANY,
        )  # fmt: skip
    await owner.execute("ANALYZE record")


@pytest_asyncio.fixture
async def lab(database, owner):
    lab = await company()
    await large(lab, owner)
    return lab


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """Thirty thousand records stand for a million: reading them all counts as slow, on the quickest machine, too."""
    monkeypatch.setattr(advisor, "FAST_MS", 0.5)


async def known(lab: Any) -> dict[str, advisor.Verdict]:
    return {v.subject.path: v for v in await advisor.verdicts(await lab.ctx())}


async def test_before_anything_is_measured(lab):
    found = await known(lab)
    said = {path: (v.state, v.reason) for path, v in found.items()}
    assert said["views[customer:people]"] == ("fast", "few")
    assert said["views[order:newest]"] == ("fast", "served")
    assert said[LIST] == ("unknown", "burdened") and [b.field.key for b in found[LIST].burdens] == ["rank"]
    assert said["dashboards[home].widgets[ranks]"] == ("unknown", "burdened")


async def test_a_slow_list_becomes_fast(lab, browse, monkeypatch):
    """The whole way, through the pages: measure, one click, publish, the index is made, measure again."""
    browser = await browse(lab)
    page = await browser.get("/settings/speed")
    assert page.status_code == 200 and "not measured yet" in page.text
    assert (await browser.post("/settings/speed/measure", {"subject": LIST})).status_code == 303
    before = (await known(lab))[LIST]
    assert before.state == "slow" and before.now.records == MANY and before.now.reading["rows_read"] >= MANY
    assert [(p.field, p.use, p.status) for p in before.proposals] == [("rank", "sort", "open")]
    page = await browser.get("/settings/views/order/by_rank")
    assert "slow at your size" in page.text and "All records are sorted by “Rank”, which has no index." in page.text and "Make “Rank” fast" in page.text
    assert "slow at your size" in (await browser.get("/settings/views")).text

    assert (await browser.post("/settings/speed/index", {"entity": "order", "field": "rank"})).status_code == 303
    ctx = await lab.ctx()
    draft = await drafts.open_draft(lab.tenant_id, ctx.user_id)
    assert [s.title for s in draft.steps] == ["Orders: “Rank” becomes fast to sort and filter"]
    page = await browser.get("/settings/speed")
    assert "“Rank” is in your draft" in page.text and "1 more in your draft" in page.text

    await configuration.publish(ctx, raw=draft.raw)
    while await drain():
        pass
    assert [j.status for j in await jobs.list_of_kind(await lab.ctx(), "backfill", limit=1)] == ["done"]
    stale = (await known(lab))[LIST]
    assert stale.is_stale and stale.proposals[0].status == "ready"
    page = await browser.get("/settings/speed")
    assert "“Rank” has an index now" in page.text and "1 of 20" in page.text and 'hx-trigger="submit, load"' in page.text

    monkeypatch.setattr(advisor, "FAST_MS", before.now.milliseconds / 2)
    for _ in range(20):  # one measure may meet a machine that does other things as well
        row = await browser.post("/settings/speed/measure", {"subject": LIST}, hx_request="true")
        if "fast at your size" in row.text:
            break
    assert row.status_code == 200 and "<html" not in row.text and "fast at your size" in row.text
    after = (await known(lab))[LIST]
    assert after.state == "fast" and not after.is_stale and after.before is not None
    assert after.now.milliseconds <= after.before.milliseconds / 2 and after.now.reading["rows_read"] < MANY / 4
    assert any(name.startswith("record_e") for name in after.now.reading["indexes"])


async def test_the_right_field_is_named(lab):
    """A filter that leaves few records wants its own field; a text that is looked for inside others cannot be helped by an index."""
    ctx = await lab.ctx()
    tier = await advisor.measure(ctx, "views[order:tier]")
    assert [(p["field"], p["use"]) for p in tier.reading["proposals"]] == [("tier", "filter")]
    words = await advisor.measure(ctx, "views[order:words]")
    assert words.reading["proposals"] == [] and [b.why for b in (await known(lab))["views[order:words]"].burdens] == ["text"]
    figure = await advisor.measure(ctx, "dashboards[home].widgets[ranks]")
    assert figure.reading["rows_read"] >= MANY and [p["field"] for p in figure.reading["proposals"]] == ["rank"]


async def test_what_takes_too_long_is_stopped_and_said(lab, monkeypatch, browse):
    monkeypatch.setattr(advisor, "SECONDS", 0.002)
    ctx = await lab.ctx()
    for path in (LIST, "dashboards[home].widgets[ranks]"):
        found = await advisor.measure(ctx, path)
        assert found.is_stopped and not found.is_fast, path
    page = await (await browse(lab)).get("/settings/speed")
    assert "Stopped after" in page.text


async def test_measuring_writes_nothing_and_sees_one_tenant(lab):
    other = await company()
    await advisor.measure(await lab.ctx(), LIST)
    assert (await known(other))[LIST].now is None
    found = await advisor.measure(await other.ctx(), LIST)
    assert found.records == 0 and not found.is_stopped


async def test_everything_in_one_go(lab, monkeypatch):
    ctx = await lab.ctx()
    count = len(advisor.subjects(ctx.config))
    assert await advisor.measure_all(ctx) == (count, count)
    assert all(v.now is not None for v in (await known(lab)).values())
    monkeypatch.setattr(advisor, "ALL_SECONDS", -1.0)
    assert await advisor.measure_all(ctx) == (0, count)


async def test_old_measures_go(lab):
    for number in range(advisor.KEPT + 2):
        raw = bundle()
        raw["views"][-1]["label"] = label(f"All customers {number}")
        await lab.publish(raw)
        await advisor.measure(await lab.ctx(), "views[customer:people]")
    rows = await lab.fetch("SELECT revision FROM view_measure WHERE tenant_id = $1 AND subject = 'views[customer:people]' ORDER BY revision")
    assert len(rows) == advisor.KEPT and rows[-1]["revision"] == (await lab.ctx()).config.revision


async def test_only_who_configures_may_ask(lab):
    await lab.person("carl", ["clerk"])
    ctx = await lab.ctx("carl")
    for act in (advisor.verdicts(ctx), advisor.measure(ctx, LIST)):
        with pytest.raises(PermissionDenied):
            await act
    with pytest.raises(NotFound):
        await advisor.measure(await lab.ctx(), "views[order:nothing]")
