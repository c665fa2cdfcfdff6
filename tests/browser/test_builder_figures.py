"""The designer's pages of what people see, in a real browser: views, layouts, figures, menus. Nothing published; every draft is thrown away."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.drafting import bar, drafted
from tests.browser.test_every_page import look_at

pytestmark = pytest.mark.usefixtures("no_drafts")
PAGES = {
    "en": ("/settings/views", "/settings/views/opportunity/board", "/settings/views/new-view?entity=customer", "/settings/layouts", "/settings/layouts/customer/default",
           "/settings/layouts/new-layout", "/settings/reports", "/settings/reports/sales", "/settings/reports/sales/add-widget", "/settings/reports/new-page",
           "/settings/dashboards", "/settings/dashboards/overview", "/settings/dashboards/overview/from-reports", "/settings/menus", "/settings/menus/sales"),
    "zh_CN": ("/settings/views", "/settings/views/customer/by_grade", "/settings/layouts/customer/main", "/settings/reports/contribution", "/settings/reports/contribution/add-widget",
              "/settings/dashboards/supervisor", "/settings/menus", "/settings/menus/supervisor"),
}  # fmt: skip


async def drag(page: Page, thing: Locator, to: Locator) -> None:
    """As a hand does it: press, wander, hold still over the place, let go."""
    await thing.scroll_into_view_if_needed()
    start = await thing.bounding_box()
    assert start
    await page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(start["x"] + start["width"] / 2 - 8, start["y"] + start["height"] / 2 + 6, steps=4)
    for steps in (14, 4):  # what it passes over makes room for it, so the place may have moved
        end = await to.bounding_box()
        assert end
        await page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=steps)
        await page.mouse.move(end["x"] + end["width"] / 2 + 3, end["y"] + end["height"] / 2 + 3, steps=3)
    await page.mouse.up()


async def shown_again(page: Page) -> Any:
    """Wait for the answer that draws the preview."""
    return page.expect_response(lambda answer: "/preview" in answer.url and answer.ok)


# ---- every page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_every_page_opens_named_and_narrow_enough(acme, tianhe, visit, locale):
    await look_at(await visit(tianhe if locale == "zh_CN" else acme, "admin"), locale, PAGES[locale], main=".settings-main")


# ---- views --------------------------------------------------------------------------------------------------------------


async def test_a_view_is_changed_while_its_result_is_watched(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/views")
    await page.locator("#customer .title-link", has_text="All customers").click()
    heads = page.locator("#preview thead th")
    await expect(heads.filter(has_text="Phone")).to_have_count(1)
    async with await shown_again(page):
        await page.locator("[data-control=columns] input[value=phone]").uncheck()
    await expect(heads.filter(has_text="Phone")).to_have_count(0)
    async with await shown_again(page):
        await page.locator("[data-control=group] select").select_option(label="Class")
    await expect(page.locator("#preview .group-row").first).to_be_visible()
    grip = page.locator("[data-control=columns] .sorter-row[data-key=industry] .grip")
    async with await shown_again(page):
        await grip.focus()
        await page.keyboard.press("ArrowUp")
    await expect(bar(page)).to_have_count(0)  # nothing is saved yet
    await page.locator(".form-foot button.primary").click()
    await expect(bar(page)).to_contain_text("1 unpublished change")
    found = await drafted(acme, "views[customer:all]")
    assert found["group"] == "class" and "phone" not in found["columns"] and found["columns"].index("industry") == 2


async def test_a_list_becomes_a_board_and_a_name_is_asked_for(tianhe, visit):
    admin = await visit(tianhe, "admin")
    page = await admin.go("/settings/views/new-view?entity=customer")
    async with await shown_again(page):
        await page.locator("input[name=kind][value=board]").check()
    await expect(page.locator("[data-preview-blank]")).to_contain_text("看板")
    async with await shown_again(page):
        await page.locator("select[name='board.by']").select_option(index=1)
    await expect(page.locator("#preview .board-col").first).to_be_visible()
    await page.locator(".form-foot button.primary").click()
    await expect(page.locator("[data-error-for=label]")).not_to_be_empty()
    await page.locator("input[name='label.zh_CN']").fill("按等级")
    await page.locator(".form-foot button.primary").click()
    await expect(bar(page)).to_be_visible()
    assert (await drafted(tianhe, "views[customer:an_deng_ji]"))["kind"] == "board"


# ---- layouts ------------------------------------------------------------------------------------------------------------


async def test_fields_are_dragged_and_moved_by_keyboard(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/layouts/customer/default")
    zones = page.locator(".design-canvas [data-zone=fields]")
    created = page.locator("[data-chip='Created']")
    async with await shown_again(page):
        await drag(page, created, zones.nth(1).locator("[data-chip]").first)
    await expect(zones.nth(1).locator("[data-chip='Created']")).to_have_count(1)
    await expect(page.locator("#preview .detail dt", has_text=re.compile("^Created$"))).to_have_count(1)

    async with await shown_again(page):  # the keyboard's way: into the next section, then off the page
        grip = page.locator("[data-chip='Website'] .grip").first
        await grip.focus()
        for _press in range(3):
            await page.keyboard.press("ArrowDown")
    await expect(zones.nth(1).locator("[data-chip='Website']")).to_have_count(1)
    async with await shown_again(page):
        await page.locator("[data-chip='Campaign'] .grip").first.focus()
        await page.keyboard.press("Delete")
    await expect(page.locator(".design-palette [data-chip='Campaign']")).to_have_count(1)

    async with await shown_again(page):  # by a menu, for those with neither mouse nor arrow keys
        await page.locator("[data-chip='Source']").first.hover()
        await page.locator("[data-chip='Source'] [data-move-menu]").click()
        await page.locator(".move-menu .menu-item", has_text="What we know").click()
    await expect(zones.nth(2).locator("[data-chip='Source']")).to_have_count(1)

    await page.locator(".form-foot button.primary").click()
    await expect(bar(page)).to_be_visible()
    sections = (await drafted(acme, "layouts[customer:default]"))["tabs"][0]["sections"]
    assert "created_at" in sections[1]["fields"] and "website" in sections[1]["fields"] and "source" in sections[2]["fields"]
    assert all("campaign" not in s["fields"] for s in sections)


async def test_a_tab_is_added_and_must_have_a_name(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/layouts/contact/default")
    await page.locator(".design-canvas > [data-add-block=tab]").click()
    fresh = page.locator(".design-tab").last
    await fresh.locator("[data-add-block=section]").click()
    await expect(fresh.locator(".design-section")).to_have_count(2)
    await fresh.locator(".design-section").last.locator("[data-drop-block]").click()
    await drag(page, page.locator(".design-palette [data-zone=fields] [data-chip]").first, fresh.locator("[data-zone=fields]"))
    await expect(fresh.locator("[data-zone=fields] [data-chip]")).to_have_count(1)
    await page.locator(".form-foot button.primary").click()
    await expect(page.locator(".design-tab.has-error")).to_contain_text("Give this tab a name.")
    await page.locator(".design-tab.has-error input[data-title]").first.fill("Paper trail")
    await page.locator(".form-foot button.primary").click()
    await expect(bar(page)).to_be_visible()
    tab = (await drafted(acme, "layouts[contact:default]"))["tabs"][-1]
    assert tab["label"] == {"en": "Paper trail"} and len(tab["sections"]) == 1 and len(tab["sections"][0]["fields"]) == 1


# ---- figures ------------------------------------------------------------------------------------------------------------


async def test_a_dashboard_from_nothing(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/dashboards")
    await page.locator(".page-head a.primary").click()
    await page.locator(".form-foot button.primary").click()
    await expect(page.locator("[data-error-for=label]")).not_to_be_empty()
    await page.locator("input[name='label.en']").fill("Lending desk")
    await page.locator(".form-foot button.primary").click()
    await page.locator(".blank a.primary", has_text="Add a figure").click()

    await page.locator("select[name=entity]").select_option(label="Opportunities")
    await expect(page.locator("input[name=_entity]")).to_have_value("opportunity")
    await expect(page.locator("#preview .chart svg").first).to_be_visible()
    async with await shown_again(page):
        await page.locator("[data-fn]").select_option(label="Sum of")
    await expect(page.locator("[data-preview-blank]")).to_contain_text("Choose the field")
    options = await page.locator("[data-of] option:not([disabled])").all_text_contents()
    assert "Expected amount" in options and "Owner" not in options
    async with await shown_again(page):
        await page.locator("[data-of]").select_option(label="Expected amount")
    await expect(page.locator("#preview h2")).to_have_text("Sum of Expected amount by Sales stage")
    await page.locator(".type-tile", has_text="Line chart").click()
    await expect(page.locator("[data-figure=line]")).to_be_visible()
    await page.locator("[data-by]").first.select_option(label="Created")
    await expect(page.locator("[data-bucket]").first).to_have_value("month")
    await page.locator(".type-tile", has_text="Funnel").click()
    await expect(page.locator("[data-figure=funnel]")).to_be_visible()
    await expect(page.locator("[data-fn]")).to_have_count(0)
    await page.locator(".type-tile", has_text="Bar chart").click()
    await expect(page.locator("[data-of]")).to_have_value("expected_amount")  # what was chosen before came back
    await page.locator("#editor .form-foot button.primary").click()
    await expect(page.locator(".design-grid [data-item]")).to_have_count(1)
    await expect(bar(page)).to_be_visible()
    [widget] = (await drafted(acme, "dashboards[lending_desk]"))["widgets"]
    assert (widget["type"], widget["measures"]) == ("bar", [{"fn": "sum", "field": "expected_amount"}])


async def test_figures_are_dragged_resized_duplicated_and_removed(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/dashboards/overview")
    before = (await drafted(acme, "dashboards[overview]"))["widgets"]
    items = page.locator(".design-grid [data-item]")

    def kept() -> Any:
        return page.expect_response(lambda answer: answer.url.endswith("/arrange") and answer.ok)

    async with kept():
        await drag(page, items.nth(0).locator(".grip"), items.nth(2))
    await expect(bar(page)).to_contain_text("1 unpublished change")  # the bar came without leaving the page
    dragged = (await drafted(acme, "dashboards[overview]"))["widgets"]
    assert [w.get("key") for w in dragged] != [w.get("key") for w in before]
    async with kept():
        await items.nth(0).hover()
        await items.nth(0).locator("[data-width]").select_option("6")
    async with kept():
        await items.nth(1).locator(".grip").focus()
        await page.keyboard.press("Shift+ArrowRight")
    async with kept():
        await page.keyboard.press("ArrowRight")
    handle = items.nth(3).locator("[data-resize]")
    await items.nth(3).hover()
    box = await handle.bounding_box()
    assert box
    async with kept():
        await page.mouse.move(box["x"] + 4, box["y"] + 20)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 190, box["y"] + 24, steps=8)
        await page.mouse.up()
    after = (await drafted(acme, "dashboards[overview]"))["widgets"]
    assert [w.get("key") for w in after] == [w.get("key") for w in (dragged[0], dragged[2], dragged[1], *dragged[3:])]
    assert after[0]["width"] == 6 and after[3].get("width", 6) > 3

    borrowed = next(n for n, w in enumerate(after) if "report" in w)  # addressed by its place
    async with kept():
        await items.nth(borrowed).locator(".grip").focus()
        await page.keyboard.press("ArrowLeft")
    await expect(items.nth(borrowed - 1).locator("h2 a")).to_have_attribute("href", re.compile(rf"/widgets/{borrowed - 1}$"))

    await items.nth(0).hover()
    await items.nth(0).locator("button[formaction$='/copy']").click()
    await expect(items).to_have_count(len(before) + 1)
    await items.nth(1).hover()
    await items.nth(1).locator("a[href$='/remove']").click()
    await page.locator("form button.danger").click()
    await expect(items).to_have_count(len(before))


# ---- menus --------------------------------------------------------------------------------------------------------------


async def test_a_menu_is_arranged_and_the_sidebar_follows(tianhe, visit):
    admin = await visit(tianhe, "admin")
    page = await admin.go("/settings/menus/account_manager")
    await page.set_viewport_size({"width": 1440, "height": 1800})  # a hand can only drag what it sees
    await page.locator("[data-add-block=group]").click()
    group = page.locator(".design-group").last
    await group.locator("input[data-title][lang='zh-CN']").fill("常用")
    async with await shown_again(page):
        await drag(page, page.locator(".design-group").nth(1).locator("[data-chip]").first, group.locator("[data-zone]"))
    await expect(page.locator("#preview .nav-title").last).to_have_text("常用")
    async with await shown_again(page):
        await group.locator(".block-grip").focus()
        await page.keyboard.press("ArrowUp")
    await page.locator(".form-foot button.primary").click()
    await expect(bar(page)).to_be_visible()
    menu = (await drafted(tianhe, "roles[account_manager]"))["menu"]
    assert menu[-2]["label"] == {"zh_CN": "常用"} and len(menu[-2]["items"]) == 1
