"""Drawings in a real browser: the plan against what happened, who stands below whom, who knows whom; on a telephone in Chinese, too."""

from __future__ import annotations

from datetime import timedelta

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Company
from tests.drawing_bundle import drawing_bundle
from tests.factories import Lab, make_lab


@pytest_asyncio.fixture(scope="module")
async def lab(served: int) -> Lab:
    made = await make_lab(drawing_bundle(), people=False)
    await made.person("mei", ["worker"], locale="zh_CN")
    return made


@pytest_asyncio.fixture(scope="module")
async def atelier(served: int, lab: Lab) -> Company:
    return Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", {who: f"{who}@{lab.slug}.example" for who in ("admin", "mei")})


async def test_drawings_say_how_things_stand(lab, atelier, visit):
    today = (await lab.ctx()).today

    def on(days: int) -> str:
        return (today + timedelta(days)).isoformat()

    project = str(await lab.make("project", name="Pumping station with a name that does not end soon"))
    steps = (
        ("Contact", -60, -50, -60, -49, "early"), ("Needs of all departments that take part", -49, -35, -48, -30, "early"), ("Offer", -34, -20, -29, -18, "deep"), ("Tender", -19, -3, -17, None, "deep"),
        ("Negotiation", -2, 10, None, None, None), ("Contract", 11, 20, None, None, None), ("Delivery", 21, 60, None, None, None),
    )  # fmt: skip
    for name, a, b, c, d, phase in steps:
        times = {"began": f"{on(c)}T09:00:00+08:00"} if c is not None else {}
        await lab.make("step", project=project, name=name, plan_from=on(a), plan_to=on(b), who="Lin", phase=phase, **times, **({"ended": on(d)} if d is not None else {}))
    gao = str(await lab.make("contact", name="Gao", project=project, post="Director"))
    below = {}
    for name, post in (("Pan", "Head of engineering"), ("Wu", "Head of purchasing"), ("Shi", "Finance")):
        below[name] = str(await lab.make("contact", name=name, project=project, superior=gao, post=post))
    for name in ("Qi", "Ren"):
        await lab.make("contact", name=name, project=project, superior=below["Pan"], post="Engineer")
    for one, other, kind in ((gao, below["Pan"], "mentor"), (below["Wu"], gao, "spouse"), (below["Shi"], gao, "mentor")):
        await lab.make("link", one=one, other=other, kind=kind, note="From school")

    visitor = await visit(atelier, "admin")
    page = await visitor.go(f"/r/project/{project}?tab=chart:plan")
    bars = page.locator("[data-bar]")
    await expect(bars).to_have_count(7)
    await expect(bars.filter(has_text="Tender")).to_contain_text("3 days late")
    planned, slip = page.locator("[data-bar] [data-planned]"), page.locator("[data-bar] [data-slip]")
    await expect(planned).to_have_count(7)
    await expect(slip).to_have_count(4)
    first, last = await planned.first.bounding_box(), await planned.last.bounding_box()
    assert first["x"] + first["width"] < last["x"] and last["width"] > first["width"] > 3
    await visitor.tab("Organisation")
    cards = page.locator(".org-card")
    await expect(cards).to_have_count(6)
    boss, head, engineer = [await cards.filter(has_text=name).first.bounding_box() for name in ("Gao", "Pan", "Qi")]
    assert boss["y"] < head["y"] < engineer["y"]
    await page.locator("summary.org-card", has_text="Pan").click()
    await expect(cards.filter(has_text="Qi")).to_be_hidden()
    page = await visitor.go(f"/r/contact/{gao}?tab=chart:circle")
    await expect(page.locator("svg.graph circle")).to_have_count(4)
    await expect(page.locator("[data-link]")).to_have_count(3)
    page = await visitor.go("/r/project/charts/projects")
    await expect(page.locator(".segmented [aria-current=page]")).to_contain_text("Time line")
    page = await visitor.go("/settings/charts/plan")
    await page.locator("[name=kind]").select_option("tree")
    await expect(page.locator("[name=parent]")).to_be_visible()
    await expect(page.locator("[name=planned_end]")).to_have_count(0)

    phone = await visit(atelier, "mei", locale="zh-CN", phone=True)
    for path in (f"/r/project/{project}?tab=chart:plan", f"/r/project/{project}?tab=chart:people", f"/r/contact/{gao}?tab=chart:circle", f"/r/project/{project}?tab=chart:web", "/r/project/charts/projects"):
        page = await phone.go(path)
        await expect(page.locator("[data-drawing]")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await phone.no_sideways_scroll()
