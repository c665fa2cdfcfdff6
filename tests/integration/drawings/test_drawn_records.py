"""Drawings: what bars, branches and links are made of, for whom they are there, and that pages and API say the same."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from saas.metadata import edits
from saas.metadata.mentions import mentions_of
from saas.metadata.parse import problems_of
from saas.metadata.removal import removal
from saas.runtime import charts
from tests.acceptance.api import Person, refused
from tests.drawing_bundle import drawing_bundle
from tests.factories import PASSWORD
from tests.integration.designer.conftest import Designer


async def designer(lab, http) -> Designer:
    desk = Designer(http, SimpleNamespace(slug=lab.slug, id=lab.tenant_id, admin_id=lab.people["admin"]))
    await desk.sign_in(f"admin@{lab.slug}.example", PASSWORD)
    return desk


async def test_bars_show_the_plan_what_happened_and_how_late_it_is(atelier, http):
    ctx = await atelier.ctx("worker")
    today = ctx.today

    def on(days: int) -> str:
        return (today + timedelta(days)).isoformat()

    project = await atelier.make("project", name="Bridge")
    rows = {
        "Late": {"plan_from": on(-20), "plan_to": on(-11), "began": f"{on(-20)}T09:00:00+08:00", "ended": on(-8), "phase": "early", "who": "Lin"},
        "Early": {"plan_from": on(-9), "plan_to": on(-6), "began": f"{on(-9)}T09:00:00+08:00", "ended": on(-7)},
        "Running": {"plan_from": on(-5), "plan_to": on(-2), "began": f"{on(-4)}T23:30:00+08:00"},
        "Waiting": {"plan_from": on(5), "plan_to": on(9)},
        "Only an end": {"plan_to": on(12)},
        "Nothing": {},
    }
    for name, values in rows.items():
        await atelier.make("step", project=str(project), name=name, **values)
    found = await charts.draw(ctx, charts.chart_called(ctx, "plan"), project)
    bars = {b.node.title: b for b in found.bars}
    assert (bars["Late"].late, bars["Early"].late, bars["Running"].late, bars["Waiting"].late, bars["Only an end"].late, bars["Nothing"].late) == (3, -1, 2, None, None, None)
    assert bars["Running"].running and bars["Running"].actual == (today - timedelta(4), today) and not bars["Late"].running
    assert bars["Only an end"].planned == (today + timedelta(12),) * 2 and bars["Nothing"].planned is None
    assert (bars["Late"].node.color, bars["Late"].node.shows[0].text) == ("teal", "Lin")
    assert [b.node.title for b in found.bars][:4] == ["Late", "Early", "Running", "Waiting"]  # by their planned start

    boss = await Person(http, f"{atelier.slug}.localhost", language="en").sign_in(f"admin@{atelier.slug}.example", PASSWORD)
    told = await boss.get("/charts/plan", record=str(project))
    assert [(r["title"], r["late_days"]) for r in told["rows"]][:3] == [("Late", 3), ("Early", -1), ("Running", 2)] and told["rows"][0]["planned"] == [on(-20), on(-11)]
    assert "/charts/plan" in (await boss.get("/openapi.json"))["paths"] and {c["key"] for c in (await boss.get("/charts"))["data"]} == {"plan", "projects", "people", "org", "circle", "web"}
    refused(await boss.send("GET", "/charts/plan"), 400)
    refused(await boss.send("GET", "/charts/none"), 404)

    desk = await designer(atelier, http)
    page = (await desk.get(f"/r/project/{project}?tab=chart:plan")).text
    assert page.count("data-planned") == 5 and page.count("data-actual") == 3 and page.count("data-slip") == 2 and page.count("data-late") == 2 and 'class="today"' in page
    assert "3 days late" in page and "1 day early" in page and "style=" not in page.partition("data-drawing")[2].partition("</section>")[0]
    whole = (await desk.get("/r/project/charts/projects?q=Bridge")).text
    assert 'data-drawing="projects"' in whole and "Bridge" in whole
    assert (await desk.get("/r/project/charts/plan")).status_code == 404
    empty = await atelier.make("project", name="Empty")
    assert "There is nothing with dates here yet." in (await desk.get(f"/r/project/{empty}?tab=chart:plan")).text


async def test_trees_hang_together_however_the_records_lie(atelier, http):
    ctx = await atelier.ctx("worker")
    project = str(await atelier.make("project", name="Pumps"))
    gao = str(await atelier.make("contact", name="Gao", project=project, post="Director"))
    pan = str(await atelier.make("contact", name="Pan", project=project, superior=gao))
    wu = str(await atelier.make("contact", name="Wu", superior=pan))  # of no project
    shi = str(await atelier.make("contact", name="Shi", project=project, superior=wu))  # whose superior is not of it
    boss = await Person(http, f"{atelier.slug}.localhost", language="en").sign_in(f"admin@{atelier.slug}.example", PASSWORD)
    people = await boss.get("/charts/people", record=project)
    assert [(r["title"], [b["title"] for b in r["below"]]) for r in people["roots"]] == [("Gao", ["Pan"]), ("Shi", [])]
    assert people["roots"][0]["shows"] == {"post": "Director"}
    org = await boss.get("/charts/org", record=wu)
    [root] = org["roots"]
    assert (root["title"], root["below"][0]["below"][0]["title"], root["below"][0]["below"][0]["here"], root["below"][0]["below"][0]["below"][0]["title"]) == ("Gao", "Wu", True, "Shi")
    everybody = await charts.draw(ctx, charts.chart_called(ctx, "org"), None, filter_={"field": "id", "op": "in", "value": [gao, pan, wu, shi]})
    assert everybody.count == 4 and everybody.roots[0].below[0].node.title == "Pan"
    await boss.change("contact", gao, superior=shi)  # nothing forbids a circle here
    circle = await charts.draw(ctx, charts.chart_called(ctx, "org"), None, filter_={"field": "id", "op": "in", "value": [gao, pan, wu, shi]})
    assert circle.count == 4 and len(circle.roots) == 1
    desk = await designer(atelier, http)
    page = (await desk.get(f"/r/contact/{pan}?tab=chart:org")).text
    assert page.count("data-node=") == 4 and 'aria-current="true"' in page


async def test_links_are_drawn_in_their_direction(atelier, http):
    names = {}
    project = str(await atelier.make("project", name="Circle"))
    for name in ("An", "Bo", "Cai", "Du"):
        names[name] = str(await atelier.make("contact", name=name, **({"project": project} if name in ("An", "Bo") else {})))
    for one, other, kind in (("An", "Bo", "spouse"), ("Cai", "An", "mentor"), ("Bo", "Du", None)):
        await atelier.make("link", one=names[one], other=names[other], kind=kind, note=f"{one} and {other}")
    boss = await Person(http, f"{atelier.slug}.localhost", language="en").sign_in(f"admin@{atelier.slug}.example", PASSWORD)
    found = await boss.get("/charts/circle", record=names["An"])
    assert [(found["nodes"][x["from"]]["title"], x["text"], x["directed"], found["nodes"][x["to"]]["title"]) for x in found["lines"]] == [("An", "Spouse", False, "Bo"), ("Cai", "Mentor", True, "An")]
    assert found["centre"] == [f"contact/{names['An']}"] and found["lines"][0]["shows"] == {"note": "An and Bo"}
    assert len((await boss.get("/charts/web", record=project))["lines"]) == 3
    desk = await designer(atelier, http)
    for path in (f"/r/contact/{names['An']}?tab=chart:circle", f"/r/project/{project}?tab=chart:web"):
        page = (await desk.get(path)).text
        assert page.count("data-link=") >= 2 and page.count("<circle") >= 3
    reader = await atelier.ctx("reader")
    assert {c.key for c in charts.charts_of(reader)} == {"projects", "people", "org"}  # neither links nor planned ends are for their eyes


@pytest.mark.parametrize(("path", "value", "place"), [
    ("charts[plan].list", "nothing", "charts[plan].list"), ("charts[plan].planned_end", "who", "charts[plan].planned_end"), ("charts[people].parent", "project", "charts[people].parent"),
    ("charts[circle].symmetric", ["friend"], "charts[circle].symmetric[friend]"), ("charts[circle].link_from", None, "charts[circle].link_from"), ("charts[org].kind", "pie", "charts[org].kind"),
    ("charts[projects].shows", ["name", "due", "finished", "state", "owner"], "charts[projects].shows"),
])  # fmt: skip
def test_what_does_not_fit_is_told(path, value, place):
    raw = drawing_bundle()
    assert problems_of(raw) == []
    if value is None:
        del next(c for c in raw["charts"] if c["key"] == "circle")["link_from"]
    else:
        raw = edits.put(raw, path, value)
    assert place in {p.path for p in problems_of(raw)}


def test_removing_what_a_drawing_needs_takes_it_along():
    raw = drawing_bundle()
    assert any(m.owner == "charts[plan]" for m in mentions_of(raw).of("entities[step].fields[plan_to]"))
    left = removal(raw, "entities[contact].fields[superior]").bundle
    assert {c["key"] for c in left["charts"]} == {"plan", "projects", "circle", "web"} and problems_of(left) == []
    less = removal(raw, "entities[step].fields[who]").bundle
    assert next(c for c in less["charts"] if c["key"] == "plan").get("shows", []) == []


async def test_an_admin_makes_a_drawing_in_the_settings(atelier, http):
    desk = await designer(atelier, http)
    assert "Time line" in (await desk.get("/settings/charts")).text
    form = (await desk.get("/settings/charts/plan")).text
    assert 'name="planned_end"' in form and 'name="parent"' not in form
    asked = {"entity": "contact", "label.en": "Who leads whom", "label.zh_CN": "上下级", "kind": "tree", "parent": "superior"}
    done = await desk.post("/settings/charts/new", asked)
    assert done.status_code == 303, done.text
    assert "Who leads whom" in (await desk.get("/settings/charts")).text
