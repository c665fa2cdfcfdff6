"""Figures: what they say, whom they say it to, and that each opens exactly its records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from saas.errors import BadRequest, NotFound, PermissionDenied
from saas.i18n import use_locale
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.reports import (
    home_dashboard,
    list_dashboards,
    list_reports,
    load_dashboard,
    load_report,
    report_rows,
    report_sheets,
)
from saas.ui.render import markup
from tests.factories import Lab

NOW = datetime(2025, 5, 20, 10, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    from tests.factories import make_lab
    from tests.integration.figures.conftest import figures_bundle

    lab = await make_lab(figures_bundle(), people=False)
    for name, role in {"ann": "seller", "bob": "seller", "lim": "limited", "sid": "stranger"}.items():
        await lab.person(name, [role])
    rome = await lab.make("customer", name="Rome Ltd", city="rome")
    oslo = await lab.make("customer", name="Oslo AS", city="oslo")
    deals = [
        ("ann", {"name": "A1", "kind": "new", "amount": "100", "cost": "10", "closed": "2025-05-02", "customer": str(rome)}),
        ("ann", {"name": "A2", "kind": "old", "amount": "50", "cost": "4", "closed": "2025-02-10", "customer": str(oslo)}),
        ("ann", {"name": "A3", "kind": "new", "amount": "7.50", "closed": "2025-05-31"}),
        ("bob", {"name": "B1", "kind": "new", "amount": "1000", "cost": "20", "closed": "2025-04-30", "phone": "+8613800138000", "cost_note": "rebate", "customer": str(rome)}),
        ("bob", {"name": "B2", "amount": "2000", "cost": "30", "closed": "2024-12-31"}),
        ("bob", {"name": "B3", "rank": 0}),
    ]  # fmt: skip
    ids = {values["name"]: await lab.make("deal", who, **values) for who, values in deals}
    for name, keys in {"A1": ["offer", "win"], "B1": ["offer", "lose"], "B2": ["offer"]}.items():
        for key in keys:
            ctx = await lab.ctx("ann" if name[0] == "A" else "bob")
            await execute(ctx, ops.Transition(entity="deal", id=ids[name], key=key))
    return lab


async def widgets(lab: Lab, who: str, params: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    ctx = await lab.ctx(who, at=NOW)
    report = await load_report(ctx, "all", params)
    json.dumps(report)
    return {w["key"]: w for w in report["widgets"]}


async def opened(lab: Lab, who: str, url: str) -> list[str]:
    """Names of the records a link opens."""
    parts = urlsplit(url)
    assert parts.path == "/r/deal"
    text = parse_qs(parts.query).get("filter")
    page = await execute(await lab.ctx(who, at=NOW), ops.List(entity="deal", filter=json.loads(text[0]) if text else None, sort=["name"], limit=200))
    return [r.title for r in page.records]


async def test_scope_own_sees_only_own_figures(lab):
    everybody, ann = await widgets(lab, "admin"), await widgets(lab, "ann")
    assert everybody["sum"]["value"]["amount"] == "3157.50"
    assert ann["sum"]["value"]["amount"] == "157.50"
    assert ann["by_kind"]["series"][0]["data"] == [2, 1]
    assert [c["text"] for r in ann["records"]["rows"] for c in r["cells"][:1]] == ["A1", "A2", "A3"]
    assert {r["keys"][0]: r["values"][0] for r in ann["funnel"]["rows"]} == {"open": 3, "offer": 1, "won": 1}
    assert not {"B1", "B2"} & set(json.dumps(ann).replace('"', " ").split())


async def test_hidden_and_masked_fields_give_no_figures(lab):
    seen = await widgets(lab, "lim")
    assert {k for k, w in seen.items() if w["denied"]} == {"costs", "costly", "by_phone"}
    assert seen["costs"].keys() == seen["costly"].keys()
    text = json.dumps(seen)
    assert "13800138000" not in text and "rebate" not in text
    assert [c["key"] for c in seen["records"]["columns"]] == ["name", "phone", "customer.city"]
    assert "****8000" in text
    # the filter of the list is the configuration's own, so it applies; but its link would name what lim may not see
    assert [r["title"] for r in seen["list"]["rows"]] == ["B2", "B1"]
    assert seen["list"]["drill"] is None


async def test_without_the_entity_everything_is_denied(lab):
    seen = await widgets(lab, "sid")
    assert all(w["denied"] for w in seen.values())
    assert not any("value" in w or "rows" in w for w in seen.values())


async def test_every_link_opens_exactly_the_counted_records(lab):
    for who in ("admin", "ann", "lim"):
        seen = await widgets(lab, who)
        for key in ("by_kind", "standing", "funnel", "table"):
            for row in [*seen[key]["rows"], *seen[key].get("lost", ())]:
                assert len(await opened(lab, who, row["drill"])) == row["values"][0], (who, key, row["labels"])
        for row in seen["stacked"]["rows"]:
            for url, value in zip(row["drills"], row["values"], strict=True):
                assert len(await opened(lab, who, url)) == value
    assert await opened(lab, "admin", (await widgets(lab, "admin"))["monthly"]["drill"]) == ["A1", "A3"]


async def test_gaps_between_buckets_are_zero(lab):
    seen = await widgets(lab, "admin")
    assert seen["by_month"]["categories"] == ["Dec 2024", "Jan 2025", "Feb 2025", "Mar 2025", "Apr 2025", "May 2025"]
    currency = seen["sum"]["value"]["currency"]
    assert seen["by_month"]["series"] == [{"name": "Amount", "data": [2000, 0, 50, 0, 1000, 107.5], "money": currency}]
    assert seen["by_month"]["rows"][1]["texts"][0].endswith("0.00")


async def test_second_dimension_stacks(lab):
    stacked = (await widgets(lab, "admin"))["stacked"]
    assert stacked["stacked"] and [s["name"] for s in stacked["series"]] == ["New", "Old", "None"]
    assert [s["data"][-1] for s in stacked["series"]] == [2, 0, 0]


async def test_pie_puts_the_small_ones_together(lab):
    pie = (await widgets(lab, "admin"))["shares"]
    assert pie["categories"] == ["B2", "B1", "Other"]
    assert pie["series"][0]["data"] == [2000, 1000, 157.5]
    assert pie["rows"][2]["drill"] is None
    assert sum(r["share"] for r in pie["rows"]) == pytest.approx(100, abs=0.2)


async def test_number_compares_with_the_month_before_and_its_target(lab):
    monthly = (await widgets(lab, "admin"))["monthly"]
    assert monthly["value"] == 2
    assert (monthly["compare"]["value"], monthly["compare"]["delta"], monthly["compare"]["percent"], monthly["compare"]["direction"]) == (1, 1, 100.0, "up")
    assert (monthly["target"]["value"], monthly["target"]["percent"], monthly["target"]["reached"]) == (4, 50, False)


async def test_table_has_totals_and_links(lab):
    table = (await widgets(lab, "admin"))["table"]
    assert [c["label"] for c in table["columns"]] == ["Kind", "City", "Count", "Average of Amount"]
    assert table["total_values"][0] == 6 and table["total_values"][1]["amount"] == "631.50"
    assert table["rows"][0]["values"][0] == max(r["values"][0] for r in table["rows"])


async def test_funnel_says_who_ever_reached_a_stage(lab):
    funnel = (await widgets(lab, "admin"))["funnel"]
    assert [(r["keys"][0], r["values"][0], r["conversion"]) for r in funnel["rows"]] == [("open", 6, None), ("offer", 3, 50), ("won", 1, 33)]
    assert funnel["rows"][1]["values"][1]["amount"] == "3100.00"
    assert [(r["keys"][0], r["values"][0]) for r in funnel["lost"]] == [("lost", 1)]
    assert all(r["days"] is not None for r in funnel["rows"])


async def test_parameters_filter_what_has_their_field(lab):
    assert (await widgets(lab, "admin", {"year": "2024"}))["sum"]["value"]["amount"] == "2000.00"
    assert (await widgets(lab, "admin", {"kind": "old"}))["sum"]["value"]["amount"] == "50.00"
    assert (await widgets(lab, "admin", {"who": str(lab.people["bob"])}))["sum"]["value"]["amount"] == "3000.00"
    assert (await widgets(lab, "ann", {"who": "me"}))["sum"]["value"]["amount"] == "157.50"
    assert (await widgets(lab, "ann", {"who": str(lab.people["bob"])}))["sum"]["value"]["amount"] == "0.00"
    assert (await widgets(lab, "admin", {"when": "last_month"}))["sum"]["value"]["amount"] == "1000.00"
    assert (await widgets(lab, "admin", {"when_from": "2025-02-01", "when_to": "2025-04-30"}))["sum"]["value"]["amount"] == "1050.00"
    assert (await widgets(lab, "admin", {"year": "2025"}))["monthly"]["compare"] is None
    report = await load_report(await lab.ctx("admin", at=NOW), "all", {"year": "2025"})
    assert [p["key"] for p in report["params"]] == ["year", "when", "kind", "who"]
    assert [c["key"] for c in report["params"][0]["choices"]] == ["2025", "2024"] and report["params"][0]["value"] == "2025"


async def test_a_bad_parameter_is_refused(lab):
    for params in ({"year": "soon"}, {"year": "99999"}, {"when_from": "yesterday"}):
        with pytest.raises(BadRequest):
            await load_report(await lab.ctx("admin"), "all", params)
    seen = await widgets(lab, "admin", {"kind": "nothing"})
    assert seen["sum"]["error"]


async def test_only_reports_and_dashboards_of_the_role(lab):
    ann = await lab.ctx("ann")
    assert [r["key"] for r in list_reports(ann)] == ["all"] and [d["key"] for d in list_dashboards(ann)] == ["start"]
    assert home_dashboard(ann) == "start" and home_dashboard(await lab.ctx("admin")) == "admin" and home_dashboard(await lab.ctx("lim")) is None
    with pytest.raises(PermissionDenied):
        await load_report(ann, "closed")
    with pytest.raises(PermissionDenied):
        await load_dashboard(ann, "admin")
    with pytest.raises(NotFound):
        await load_report(ann, "nothing")
    board = await load_dashboard(ann, "start")
    assert [w["width"] for w in board["widgets"]] == [3, 3] and board["widgets"][0]["value"]["amount"] == "157.50"


async def test_sheets_hold_numbers_and_nothing_hidden(lab):
    admin, lim, ann = await lab.ctx("admin", at=NOW), await lab.ctx("lim", at=NOW), await lab.ctx("ann", at=NOW)
    sheet = await report_rows(admin, "all", {}, "by_month")
    assert sheet["columns"] == ["Closed", "Amount"] and sheet["rows"][0] == ["Dec 2024", 2000.0]
    assert (await report_rows(admin, "all", {}, "table"))["rows"][-1][0] == "Total"
    records = await report_rows(lim, "all", {}, "records")
    assert records["columns"] == ["Name", "Phone", "City"] and "13800138000" not in json.dumps(records)
    with pytest.raises(PermissionDenied):
        await report_rows(lim, "all", {}, "costs")
    assert [r[0] for r in (await report_rows(ann, "all", {}, "records"))["rows"]] == ["A1", "A2", "A3"]
    titles = [s["title"] for s in await report_sheets(lim, "all")]
    assert "Costs" not in titles and "Sum" in titles


@pytest.mark.parametrize("who", ["admin", "lim", "sid"])
async def test_templates_show_every_state(lab, who):
    ctx = await lab.ctx(who, at=NOW)
    for locale in ("en", "zh_CN"):
        with use_locale(locale):
            report = await load_report(ctx.replace(locale=locale), "all")
            for view, widget in zip(report["widgets"], ctx.config.reports["all"].widgets, strict=True):
                html = markup(f"widgets/{view['type']}/widget.html", view=view, widget=widget, locale=locale)
                assert "style=" not in html and "onclick" not in html
                assert ("data-denied" in html) == view["denied"]


async def test_an_empty_report_is_calm(company):
    lab = await company()
    ctx = await lab.ctx("admin")
    for view, widget in zip((await load_report(ctx, "all"))["widgets"], ctx.config.reports["all"].widgets, strict=True):
        assert view["empty"] or view["type"] == "number"
        markup(f"widgets/{view['type']}/widget.html", view=view, widget=widget, locale="en")
