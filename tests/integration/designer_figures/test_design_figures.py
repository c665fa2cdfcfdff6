"""Reports, dashboards and their figures in the designer, without scripts."""

from __future__ import annotations

import json
import re

import pytest

from saas.metadata.kinds import widget_types
from tests.integration.designer_figures.conftest import form_of
from tests.integration.test_pages import error_for

REPORT = "/settings/reports/sales"


async def begin(admin, section: str, name: str) -> str:
    """A new, empty page of figures; its address."""
    url = f"/settings/{section}/new-page"
    answer = await admin.get(url)
    made = await admin.send(url, answer, url, label__en=name)
    assert made.status_code == 303
    return made.headers["location"]


async def test_an_untouched_figure_changes_nothing(admin):
    raw = await admin.draft()
    pages = [("reports", r) for r in raw["reports"][:4]] + [("dashboards", d) for d in raw["dashboards"][:2]]
    for section, page in pages:
        for widget in page["widgets"]:
            if "report" in widget:
                continue
            path = f"/settings/{section}/{page['key']}/widgets/{widget['key']}"
            answer = await admin.get(path)
            assert answer.status_code == 200, path
            saved = await admin.send(path, answer, path)
            assert saved.status_code == 303, (path, re.findall(r"data-error-for=\"[^\"]+\">[^<]+<", saved.text))
            now = await admin.find(f"{section}[{page['key']}].widgets[{widget['key']}]")
            assert now == widget, path
    assert await admin.titles() == []


async def test_from_nothing_to_a_dashboard(admin):
    url = await begin(admin, "dashboards", "Morning")
    assert "No figures yet" in (await admin.get(url)).text
    add = f"{url}/add-widget"
    answer = await admin.get(add)
    assert "data-chart" in answer.text or "no records" in answer.text  # something is there to look at at once
    answer = await admin.send(add, answer, add, _act="redraw", entity="opportunity", type="bar")
    assert 'name="entity"' in answer.text and "data-chart" in answer.text
    made = await admin.send(add, answer, add, measures__0__fn="sum", measures__0__field="expected_amount", dimensions__0__field="stage")
    assert made.status_code == 303 and made.headers["location"] == url
    [widget] = (await admin.find("dashboards[morning]"))["widgets"]
    assert (widget["type"], widget["entity"], widget["measures"], widget["dimensions"]) == ("bar", "opportunity", [{"fn": "sum", "field": "expected_amount"}], [{"field": "stage"}])
    assert widget["label"] == {"en": "Sum of Expected amount by Sales stage", "zh_CN": widget["label"]["zh_CN"]}
    page = await admin.get(url)
    assert "data-chart" in page.text and "Administrator" in page.text
    assert (await admin.titles())[0].startswith("Dashboards · Morning · ")


@pytest.mark.parametrize("kind", ["area", "bar", "funnel", "line", "list", "number", "pie", "table"])
async def test_every_kind_has_a_form_and_something_to_look_at(admin, kind):
    add = f"{REPORT}/add-widget"
    answer = await admin.get(add)
    answer = await admin.send(add, answer, add, _act="redraw", type=kind, entity="opportunity")
    assert answer.status_code == 200 and f'value="{kind}" checked' in answer.text
    assert 'data-preview-blank' not in answer.text
    for name, prop in widget_types.get(kind).options_schema["properties"].items():
        assert f'data-control="{name}"' in answer.text, (name, prop)
    made = await admin.send(add, answer, add)
    assert made.status_code == 303, re.findall(r"data-error-for=\"[^\"]+\">[^<]+<", made.text)
    assert (await admin.find("reports[sales]"))["widgets"][-1]["type"] == kind


async def test_only_numbers_can_be_added_up(admin):
    add = f"{REPORT}/add-widget"
    answer = await admin.get(add)
    answer = await admin.send(add, answer, add, _act="redraw", type="bar", entity="opportunity")
    offered = {key: fns.split() for key, fns in re.findall(r'<option value="(\w+)" data-for="([^"]*)"', answer.text)}
    assert "sum" in offered["expected_amount"] and "sum" not in offered["owner"] and "max" in offered["created_at"] and "sum" not in offered["created_at"]
    refused = await admin.send(add, answer, add, measures__0__fn="sum", measures__0__field="owner")
    assert refused.status_code == 422 and error_for(refused, "measures")
    refused = await admin.send(add, answer, add, measures__0__fn="sum", measures__0__field="")
    assert refused.status_code == 422 and "Choose the field" in error_for(refused, "measures") and "Choose the field" in refused.text.partition('id="preview"')[2]


async def test_what_is_missing_is_said_in_the_preview(admin):
    add = f"{REPORT}/add-widget"
    answer = await admin.get(add)
    answer = await admin.send(add, answer, add, _act="redraw", type="funnel", entity="product")
    assert "has no pipeline" in answer.text
    answer = await admin.send(add, answer, add, _act="redraw", type="bar", entity="campaign")
    assert "There are no records under “Campaigns” yet" in answer.text
    answer = await admin.send(add, answer, add, _act="redraw", type="list", entity="opportunity")
    shown = await admin.send(f"{REPORT}/preview?widget=", answer, add, **{"filter.mode": "text", "filter.text": "expected_amount > 1000000"})
    assert "None of the records under “Opportunities”" in shown.text
    shown = await admin.send(f"{REPORT}/preview?widget=", answer, add, **{"filter.mode": "text", "filter.text": "expected_amount >"})
    assert "data-preview-blank" in shown.text


async def test_another_kind_keeps_what_it_has_no_use_for(admin):
    path = f"{REPORT}/widgets/{(await admin.find('reports[sales]'))['widgets'][4]['key']}"
    before = (await admin.find("reports[sales]"))["widgets"][4]
    answer = await admin.get(path)
    answer = await admin.send(path, answer, path, _act="redraw", type="list")
    assert 'data-control="measures"' not in answer.text
    answer = await admin.send(path, answer, path, _act="redraw", type=before["type"])
    saved = await admin.send(path, answer, path)
    assert saved.status_code == 303, re.findall(r"data-error-for=\"[^\"]+\">[^<]+<", saved.text)
    after = (await admin.find("reports[sales]"))["widgets"][4]
    assert (after["measures"], after["dimensions"]) == (before["measures"], before["dimensions"])


async def test_a_hidden_input_that_was_tampered_with_breaks_nothing(admin):
    add = f"{REPORT}/add-widget"
    answer = await admin.get(add)
    for was in ("[]", "{", json.dumps({"measures": [1], "columns": 5, "sort": 7, "nonsense": {}}), "[" * 5000):
        assert (await admin.send(add, answer, add, _act="redraw", _was=was)).status_code == 200
    assert (await admin.send(add, answer, add, type="nothing")).status_code == 404
    assert (await admin.send(add, answer, add, entity="nothing")).status_code == 404


async def test_order_and_width_without_dragging(admin):
    raw = await admin.find("dashboards[overview]")
    answer = await admin.get("/settings/dashboards/overview")
    action = "/settings/dashboards/overview/arrange"
    changes = {f"place.{n}": "1" if n == 5 else str(n + 2) for n in range(len(raw["widgets"]))}
    done = await admin.send(action, answer, action, **changes, **{"width.0": "12"})
    assert done.status_code == 303
    now = (await admin.find("dashboards[overview]"))["widgets"]
    assert now[0] == raw["widgets"][5] and now[1] == {**raw["widgets"][0], "width": 12} and len(now) == len(raw["widgets"])
    late = await admin.send(action, answer, action, **{"width.0": "3"})
    assert late.status_code == 409 and "changed in another window" in late.text


async def test_a_script_gets_the_draft_bar_and_the_next_mark(admin):
    answer = await admin.get("/settings/dashboards/overview")
    action = "/settings/dashboards/overview/arrange"
    body = {**form_of(answer.text, action), "width.1": ["9"]}
    body.pop("_csrf")
    kept = await admin.post(action, body, **{"hx-request": "true"})
    assert kept.status_code == 200 and "data-draft-bar" in kept.text and 'value="/settings/dashboards/overview"' in kept.text
    again = await admin.post(action, {**body, "_mark": kept.headers["x-mark"], "width.1": ["8"]}, **{"hx-request": "true"})
    assert again.status_code == 200
    assert (await admin.post(action, body, **{"hx-request": "true"})).status_code == 409


async def test_figures_of_reports_on_a_dashboard(admin):
    url = await begin(admin, "dashboards", "Borrowed")
    answer = await admin.get(f"{url}/from-reports")
    figures = re.findall(r'name="figure" value="(sales:\w+)"', answer.text)
    assert (await admin.post(f"{url}/from-reports", {"figure": [*figures[:2], "sales:nothing", "x"]})).status_code == 303
    widgets = (await admin.find("dashboards[borrowed]"))["widgets"]
    assert [f"{w['report']}:{w['widget']}" for w in widgets] == figures[:2]
    answer = await admin.get(f"{url}/widgets/1")
    assert "belongs to the report" in answer.text
    assert (await admin.send(f"{url}/widgets/1", answer, f"{url}/widgets/1", label__en="Mine", width="12")).status_code == 303
    assert (await admin.find("dashboards[borrowed]"))["widgets"][1] == {**widgets[1], "label": {"en": "Mine"}, "width": 12}
    await admin.get(url)
    assert (await admin.post(f"{url}/widgets/0/copy")).status_code == 303
    now = (await admin.find("dashboards[borrowed]"))["widgets"]
    assert [("report" in w) for w in now] == [True, False, True]
    assert (await admin.post(f"{url}/widgets/0/remove")).status_code == 303
    assert len((await admin.find("dashboards[borrowed]"))["widgets"]) == 2


async def test_choices_above_a_report(admin):
    answer = await admin.get(REPORT)
    before = (await admin.find("reports[sales]"))["params"]
    assert (await admin.send(REPORT, answer, REPORT)).status_code == 303
    assert (await admin.find("reports[sales]"))["params"] == before
    answer = await admin.get(REPORT)
    assert (await admin.send(REPORT, answer, REPORT, params__3__what="expected_close|year", **{"params.3.label.en": "Year"})).status_code == 303
    assert (await admin.find("reports[sales]"))["params"][-1] == {"key": "expected_close", "field": "expected_close", "kind": "year", "label": {"en": "Year"}}


async def test_pages_are_ordered_copied_renamed_and_removed(admin):
    answer = await admin.get("/settings/reports")
    keys = re.findall(r'data-key="(\w+)"', answer.text)
    assert (await admin.post("/settings/reports/order", {"key": keys[::-1]})).status_code == 303
    assert [r["key"] for r in await admin.find("reports")] == keys[::-1]
    copied = await admin.post(f"{REPORT}/copy")
    assert copied.status_code == 303 and (await admin.get(copied.headers["location"])).status_code == 200
    refused = await admin.send(REPORT, await admin.get(REPORT), REPORT, label__en="", label__zh_CN="")
    assert refused.status_code == 422 and error_for(refused, "label")
    assert (await admin.get(f"{REPORT}/remove")).status_code == 200
    assert (await admin.post(f"{REPORT}/remove", {"clean": "yes"})).status_code == 303
    assert await admin.find("reports[sales]") is None
    assert "sales" not in json.dumps([r.get("reports") for r in await admin.find("roles") if isinstance(r.get("reports"), list)])


@pytest.mark.parametrize("path", ["/settings/reports/nothing", "/settings/dashboards/nothing", "/settings/reports/sales/widgets/nothing", "/settings/dashboards/overview/widgets/99", "/settings/dashboards/nothing/add-widget", "/settings/reports/sales/from-reports"])
async def test_what_is_not_there_is_not_found(admin, path):
    assert (await admin.get(path)).status_code == 404
