"""What people do all day in a company's CRM, in a real browser."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from uuid import uuid4

from playwright.async_api import Locator, Route, expect

from saas.runtime.worker import drain
from tests.browser.visitor import Visitor


def name_of(text: str) -> str:
    """A name nobody else uses, so that tests may run in any order on the same company."""
    return f"{text} {uuid4().hex[:6]}"


async def new_customer(visitor: Visitor, name: str, **values: object) -> str:
    await visitor.go("/r/customer/new")
    await visitor.fill({"name": name, **values})
    await visitor.submit()
    await expect(visitor.page.locator(".record-title h1")).to_have_text(name)
    return await visitor.record_id()


async def new_opportunity(visitor: Visitor, name: str, customer: str, **values: object) -> str:
    await visitor.go("/r/opportunity/new")
    await visitor.fill({"name": name, "customer": customer, **values})
    await visitor.submit()
    await expect(visitor.page.locator(".record-title h1")).to_have_text(name)
    return await visitor.record_id()


# ---- lists -------------------------------------------------------------------------------------------------------------


async def names_in(visitor: Visitor) -> list[str]:
    return [text.strip() for text in await visitor.page.locator("[data-list] tbody a.title-link").all_inner_texts()]


TYPED_THEN_DRAWN = """(lists) => {
  const box = document.querySelector("#list-q");
  box.dispatchEvent(new Event("input", { bubbles: true }));
  const kept = lists.map((action) => {
    const fragment = document.createRange().createContextualFragment(`<form action="${action}"><input data-list-search></form>`);
    document.dispatchEvent(new CustomEvent("htmx:before:swap", { detail: { ctx: {}, tasks: [{ fragment }] } }));
    return fragment.querySelector("input").hasAttribute("hx-preserve");
  });
  box.replaceWith(box.cloneNode(true));  // what was typed is not searched for
  return kept;
}"""


async def test_list_finds_narrows_sorts_and_pages(acme, visit) -> None:
    someone = await visit(acme, "admin")
    page = await someone.go("/r/customer?limit=200")
    everyone = await names_in(someone)
    wanted = everyone[3]

    await page.keyboard.press("/")
    await expect(page.locator("#list-q")).to_be_focused()
    typed = asyncio.Event()

    async def late(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    await page.route("**/r/customer?*", late)
    async with page.expect_request("**/r/customer?*"):
        await page.keyboard.type(wanted[:2])
    await page.keyboard.type(wanted[2:])  # while the answer to the first letters is on its way
    typed.set()
    await expect(page.locator("[data-list] tbody tr")).to_have_count(1)
    assert await names_in(someone) == [wanted]
    await expect(page.locator("#list-q")).to_be_focused()
    await expect(page.locator("#list-q")).to_have_value(wanted)
    await page.locator("#list-q").fill("no such customer anywhere")
    await expect(page.locator(".blank h2")).to_be_visible()
    await page.locator(".blank .actions a").first.click()
    await expect(page.locator("[data-list] tbody tr")).to_have_count(len(everyone))

    await page.locator("#add-filter").click()
    await page.locator("#filter-panel").get_by_role("link", name="Class", exact=True).click()
    editor = page.locator("#filter-panel form.filter-editor")
    await editor.get_by_label("Key account").or_(editor.locator("input[value=key]")).first.check()
    await editor.locator("button.primary").click()
    chip = page.locator(".chip[data-filter='class']")
    await expect(chip).to_be_visible()
    narrowed = await names_in(someone)
    assert 0 < len(narrowed) < len(everyone)
    await expect(page.locator("#count")).to_contain_text(str(len(narrowed)))
    await chip.locator("a[aria-label^='Remove']").click()
    await expect(chip).to_have_count(0)
    await expect(page.locator("[data-list] tbody tr")).to_have_count(len(everyone))

    await page.locator("thead th a", has_text="Name").click()
    await expect(page.locator("thead th[aria-sort=ascending]")).to_contain_text("Name")
    ascending = await names_in(someone)
    await page.locator("thead th a", has_text="Name").click()
    await expect(page.locator("thead th[aria-sort=descending]")).to_contain_text("Name")
    assert await names_in(someone) == ascending[::-1] and ascending[0].lower() < ascending[-1].lower()

    await page.locator(".toolbar summary", has_text="Columns").click()
    await page.locator(".toolbar input[name=cols][value=industry]").uncheck()
    await page.locator(".toolbar input[name=cols][value=email]").check()
    await page.locator(".toolbar .filter-editor button.primary").click()
    await expect(page.locator("thead")).to_contain_text("E-mail")
    await expect(page.locator("thead")).not_to_contain_text("Industry")

    await page.locator("#limit").select_option("25")
    await expect(page.locator("[data-list] tbody tr")).to_have_count(25)
    first = await names_in(someone)
    await page.locator("[data-key=n]").click()
    await expect(page.locator("[data-key=p]")).to_be_visible()
    second = await names_in(someone)
    assert len(second) == min(25, len(everyone) - 25) and not set(first) & set(second)
    await page.locator("[data-key=p]").click()
    await expect(page.locator("[data-key=p]")).to_have_count(0)
    assert await names_in(someone) == first
    # A box in which somebody has just typed stays when its own list is drawn anew, and goes with it when another takes its place.
    assert await page.evaluate(TYPED_THEN_DRAWN, ["/r/customer", "/r/contact"]) == [True, False]


async def test_saved_view_is_kept_and_removed(acme, visit) -> None:
    someone = await visit(acme, "tao")
    page = await someone.go("/r/customer?f=class:in:key")
    shown, name = await names_in(someone), name_of("My key accounts")
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name="Save as view …").click()
    await page.locator("button.primary").click()
    await someone.problem("name")
    await page.locator("[name=name]").fill(name)
    await page.locator("button.primary").click()
    await someone.toast("View saved")
    await expect(page.locator(".viewbar .tab[aria-current=page]")).to_have_text(name)
    assert await names_in(someone) == shown
    await someone.go("/r/customer")
    await page.locator(".viewbar .tab", has_text=name).click()
    await expect(page.locator(".viewbar .tab[aria-current=page]")).to_have_text(name)
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name="Delete this view …").click()
    await page.locator("button.danger").click()
    await someone.toast("View deleted")
    await expect(page.locator(".viewbar .tab", has_text=name)).to_have_count(0)


async def test_bulk_edit_changes_the_ticked_records(acme, visit) -> None:
    someone = await visit(acme, "admin")
    names = [name_of("Bulk One"), name_of("Bulk Two"), name_of("Bulk Three")]
    for name in names:
        await new_customer(someone, name)
    page = await someone.go("/r/customer")
    for name in names[:2]:
        await someone.row(name).locator("input[name=ids]").check()
    await expect(page.locator("[data-bulk-count]")).to_have_text("2")
    await page.locator("[data-bulkbar] button[value=edit]").click()
    await page.locator("#bulk-field").select_option(label="Class")
    await page.locator("button[name=choose]").click()
    await page.locator("main select[name=class]").select_option("key")
    await page.locator("main .dialog-foot button").click()
    await someone.toast("2 records changed")
    for name, kind in zip(names, ("Key", "Key", "Standard"), strict=True):
        await expect(someone.row(name)).to_contain_text(kind)


# ---- boards ------------------------------------------------------------------------------------------------------------


async def drag(visitor: Visitor, card: Locator, column: Locator) -> None:
    await visitor.page.wait_for_load_state()  # before that, no card can be dragged
    await card.scroll_into_view_if_needed()
    start, end = await card.bounding_box(), await column.bounding_box()
    assert start and end
    mouse = visitor.page.mouse
    await mouse.move(start["x"] + 40, start["y"] + 12)
    await mouse.down()
    await mouse.move(start["x"] + 60, start["y"] + 30, steps=4)
    await mouse.move(end["x"] + end["width"] / 2, end["y"] + 40, steps=12)
    await mouse.move(end["x"] + end["width"] / 2 + 3, end["y"] + 44, steps=2)
    await mouse.up()


async def test_board_moves_refuses_and_asks(acme, visit) -> None:
    tao = await visit(acme, "tao")
    customer, name = name_of("Board Customer"), name_of("Board deal")
    await new_customer(tao, customer)
    await new_opportunity(tao, name, customer)
    page = await tao.go("/r/opportunity/board")
    await page.locator("#list-q").fill(name)
    await expect(page.locator(".board .card")).to_have_count(1)

    def column(stage: str) -> Locator:
        return page.locator(f".board-col[data-stage='{stage}']")

    card = page.locator(".card", has_text=name)
    await expect(column("new").locator(".card")).to_have_count(1)

    await drag(tao, card, column("won"))  # there is no such transition
    await tao.toast("Won")
    await expect(page.locator(".toast.error")).to_be_visible()
    await expect(column("new").locator(".card")).to_have_count(1)
    await page.locator(".toast.error button").click()

    await drag(tao, card, column("qualified"))  # asks; cancelled, the card is back
    await expect(page.locator("dialog#dialog")).to_be_visible()
    await page.locator("dialog#dialog .dialog-foot [data-close]").click()
    await expect(column("new").locator(".card")).to_have_count(1)

    await drag(tao, card, column("proposal"))  # needs two fields
    await tao.submit()
    await tao.problem("expected_amount")
    await tao.fill({"expected_amount": "1250.50", "expected_close": "2031-05-04"})
    await tao.submit()
    await expect(column("proposal").locator(".card")).to_have_count(1)
    await expect(column("proposal").locator(".board-sum")).to_contain_text("1,250.50")

    await drag(tao, card, column("qualified"))  # asks for nothing: moved at once, and saved a moment later
    await expect(column("qualified").locator(".card:not(.is-saving)")).to_have_count(1)
    await page.reload()
    await expect(column("qualified").locator(".card")).to_have_count(1)

    await card.locator(".card-menu").click()  # the keyboard's way
    await page.locator("dialog#dialog [data-transition=back_to_new]").click()
    await expect(column("new").locator(".card")).to_have_count(1)


# ---- one record --------------------------------------------------------------------------------------------------------


async def test_two_editors_are_told_about_each_other(acme, visit) -> None:
    first, second = await visit(acme, "tao"), await visit(acme, "tao")
    name = name_of("Contested")
    customer = await new_customer(first, name)
    for editor in (first, second):
        await editor.go(f"/r/customer/{customer}/edit")
    await second.fill({"needs": "Second was faster"})
    await second.submit()
    await expect(second.value("needs")).to_have_text("Second was faster")
    await first.fill({"needs": "First was slower"})
    await first.submit()
    notice = first.page.locator("[data-conflict]")
    await expect(notice).to_be_focused()
    await expect(notice).to_contain_text("Second was faster")
    await expect(first.within().locator("[name=needs]")).to_have_value("First was slower")
    await first.submit()
    await expect(first.value("needs")).to_have_text("First was slower")


async def test_related_records_timeline_delete_and_restore(acme, visit) -> None:
    tao = await visit(acme, "tao")
    name, person = name_of("Parent"), name_of("Child")
    customer = await new_customer(tao, name)
    await tao.tab("People")
    await tao.page.locator("[data-new=contact]").click()
    box = tao.within().locator(".field[data-field=customer]")
    await expect(box.locator("select")).to_have_value(customer)
    await expect(box.locator("input[role=combobox]")).to_have_value(name)
    await tao.fill({"name": person})
    await tao.submit()
    await expect(tao.page.locator("#related-contacts")).to_contain_text(person)

    await tao.go(f"/r/customer/{customer}/edit")
    await tao.fill({"background": "Founded by two sisters"})
    await tao.submit()
    await expect(tao.page.locator("#timeline")).to_contain_text("Founded by two sisters")
    await expect(tao.page.locator("#timeline")).to_contain_text("Tao Chen")

    await tao.page.locator("#side .nav-item[href='/r/contact']").click()
    await tao.page.locator("#list-q").fill(person)
    await expect(tao.page.locator("[data-list] tbody tr")).to_have_count(1)
    contact = await tao.open_row(person)
    await tao.page.locator(".page-head details.menu summary").click()
    await tao.page.locator("a[href$='/delete']").click()
    await tao.page.locator("[data-confirm-delete]").click()
    await expect(tao.page).to_have_url(re.compile("/r/contact$"))
    await expect(tao.row(person)).to_have_count(0)
    await tao.go("/r/contact/bin")
    await tao.row(person).locator("button").click()
    await expect(tao.page.locator(f"article[data-record-id='{contact}'] h1")).to_have_text(person)
    await tao.go(f"/r/customer/{customer}?tab=people")
    await expect(tao.page.locator("#related-contacts")).to_contain_text(person)


async def test_create_form_keeps_input_warns_of_duplicates_and_creates_what_it_links_to(acme, visit) -> None:
    tao = await visit(acme, "tao")
    page = await tao.go("/r/customer/new")
    await tao.fill({"email": "not an address", "background": "Typed with care"})
    await tao.submit()
    await tao.problem("name")
    await tao.problem("email")
    await expect(page.locator("[data-error-summary]")).to_be_focused()
    await expect(tao.within().locator("[name=background]")).to_have_value("Typed with care")
    await expect(tao.within().locator("[name=email]")).to_have_value("not an address")
    name = name_of("Twice")
    await tao.fill({"name": name, "email": ""})
    await tao.submit()
    await expect(page.locator(".record-title h1")).to_have_text(name)

    await tao.go("/r/customer/new")
    await tao.fill({"name": name})
    await tao.submit()
    warning = page.locator("[data-duplicates]")
    await expect(warning).to_contain_text("A customer with this name exists already.")
    await expect(warning.get_by_role("link", name=name)).to_be_visible()
    await warning.locator("button[name=confirm_duplicates]").click()
    await expect(page.locator(".record-title h1")).to_have_text(name)

    await tao.go("/r/opportunity/new")
    await tao.fill({"name": name_of("Linked deal"), "next_step": "Half filled in"})
    made = name_of("Made on the way")
    await tao.within().locator(".field[data-field=customer] [data-create-for]").click()
    await expect(page.locator("dialog#dialog form")).to_be_visible()
    await tao.submit()
    await tao.problem("name")
    await tao.fill({"name": made})
    await tao.submit()
    await expect(page.locator("dialog#dialog")).to_be_hidden()
    await expect(tao.within().locator(".field[data-field=customer] input[role=combobox]")).to_have_value(made)
    await expect(tao.within().locator("[name=next_step]")).to_have_value("Half filled in")
    await tao.submit()
    await expect(tao.value("customer")).to_have_text(made)


async def test_dialog_shows_fields_only_while_they_apply(acme, visit) -> None:
    tao = await visit(acme, "tao")
    await tao.go("/r/lead/new")
    await tao.fill({"name": name_of("Lead"), "email": f"{uuid4().hex[:8]}@lead.example"})
    await tao.submit()
    await expect(tao.page.locator("[data-state=new]")).to_be_visible()
    await tao.begin("convert")
    asked = tao.within().locator(".field[data-field=opportunity_name]")
    await expect(asked).to_be_visible()
    await tao.within().locator(".field[data-field=create_opportunity] input[type=checkbox]").uncheck()
    await expect(asked).to_have_count(0)
    await expect(tao.within().locator(".field[data-field=create_opportunity] input[type=checkbox]")).to_be_focused()
    await tao.within().locator(".field[data-field=create_opportunity] input[type=checkbox]").check()
    await expect(asked).to_be_visible()


# ---- figures -----------------------------------------------------------------------------------------------------------


async def test_charts_are_drawn_and_figures_lead_to_their_records(acme, visit) -> None:
    admin = await visit(acme, "admin")
    page = await admin.go("/reports/sales")
    await expect(page.locator("[data-widget=by_month] .chart svg")).to_be_visible()
    await expect(page.locator("[data-widget=by_source] .chart svg .chart-mark").first).to_be_attached()
    figure = page.locator("[data-widget=won_count] .figure")
    number = int((await figure.inner_text()).replace(",", ""))
    assert number > 0
    await figure.locator("a").click()
    await expect(page.locator("#count")).to_have_text(re.compile(rf"^\s*{number} records?\s*$"))
    await admin.go("/")
    await expect(page.locator(".widget .chart svg").first).to_be_visible()


# ---- in and out --------------------------------------------------------------------------------------------------------


async def test_import_and_export(acme, visit, tmp_path: Path) -> None:
    tao = await visit(acme, "tao")
    names = [name_of("Imported"), name_of("Imported")]
    table = tmp_path / "customers.csv"
    table.write_text(f"Name,E-mail,Class\n{names[0]},first@import.example,Key\n{names[1]},wrong address,Standard\n", encoding="utf-8")
    page = await tao.go("/r/customer")
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name="Import", exact=True).click()
    await page.locator("input[type=file]").set_input_files(table)
    await page.locator("main button.primary").click()
    await expect(page.locator("main")).to_contain_text(names[0])
    await expect(page.locator("select[name='col.0']")).to_have_value("name")
    await page.locator("main button.primary").click()
    await expect(page.locator("#job")).to_be_visible()
    await drain()
    await expect(page.locator("[data-job-status]")).to_have_text("Done")
    await expect(page.locator("#job")).to_contain_text("Created")

    await tao.go(f"/r/customer?q={names[0].replace(' ', '+')}")
    await expect(tao.row(names[0])).to_contain_text("Key")
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name="Export", exact=True).click()
    await page.locator("input[name=format][value=csv]").check()
    await page.locator("dialog[open] button.primary").click()
    await expect(page.locator("#job")).to_be_visible()
    await drain()
    async with page.expect_download() as download:
        await page.locator("#job a.primary").click()
    text = (await (await download.value).path()).read_text(encoding="utf-8-sig")
    assert names[0] in text and names[1] not in text and text.startswith("Name")


# ---- the frame ---------------------------------------------------------------------------------------------------------


async def test_language_and_theme(acme, visit) -> None:
    nina = await visit(acme, "nina")
    page = await nina.go("/r/campaign")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.locator(".side-foot summary").click()
    await page.locator(".side-foot button[lang='zh-CN']").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page).to_have_url(re.compile("/r/campaign"))
    await expect(page.locator("h1")).to_have_text(re.compile("[\u4e00-\u9fff]"))
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.locator(".side-foot summary").click()
    await page.locator(".side-foot button[name=theme][value=dark]").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    await page.locator(".side-foot summary").click()
    await page.locator(".side-foot button[lang=en]").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_keyboard_map(acme, visit) -> None:
    tao = await visit(acme, "tao")
    page = await tao.go("/r/customer")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator("[data-list] tbody tr").nth(1)).to_have_class(re.compile("is-current"))
    await page.keyboard.press("k")
    await expect(page.locator("[data-list] tbody tr").nth(0)).to_have_class(re.compile("is-current"))
    opened = await page.locator("[data-list] tbody tr").nth(0).get_attribute("data-record-id")
    await page.keyboard.press("o")
    await expect(page.locator(f"article[data-record-id='{opened}']")).to_be_visible()
    await page.wait_for_load_state()  # before that, nobody listens to the keys
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("/r/customer$"))
    await page.wait_for_load_state()
    await page.keyboard.press("?")
    await expect(page.locator("#shortcuts")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#shortcuts")).to_be_hidden()
    await page.keyboard.press("c")
    await expect(page).to_have_url(re.compile("/r/customer/new"))
    await page.locator("main").focus()

    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette input")).to_be_focused()
    await page.keyboard.type("New task")
    await expect(page.locator("#palette [role=option]").first).to_have_text(re.compile("New task", re.I))
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/r/task/new"))

    name = name_of("Needle")
    await new_customer(tao, name)
    await page.keyboard.press("Control+k")
    await page.keyboard.type(name)
    await expect(page.locator("#palette [role=option]").first).to_contain_text(name)
    await page.keyboard.press("Enter")
    await expect(page.locator(".record-title h1")).to_have_text(name)


async def test_everything_by_keyboard_from_sign_in_to_a_new_record(acme, visit) -> None:
    someone = await visit(acme)
    page, keys = await someone.go("/login?next=/r/lead"), someone.page.keyboard
    await expect(page.locator("[name=email]")).to_be_focused()
    await keys.type(acme.people["priya"])
    await keys.press("Tab")
    await keys.type(acme.password)
    await keys.press("Enter")
    await expect(page).to_have_url(re.compile(r"^[^?]+/r/lead"))
    await page.wait_for_load_state()  # before that, nobody listens to the keys
    await keys.press("Tab")
    await expect(page.locator("a.skip")).to_be_focused()
    await keys.press("Enter")
    await keys.press("c")
    await expect(page.locator("main form [name=name]")).to_be_visible()
    await page.wait_for_load_state()
    name = name_of("By keyboard")
    for _step in range(60):
        if await page.evaluate("document.activeElement?.getAttribute('name')") == "name":
            break
        await keys.press("Tab")
    await expect(page.locator("main form [name=name]")).to_be_focused()
    await keys.type(name)
    while await page.evaluate("document.activeElement?.getAttribute('name')") != "phone":
        await keys.press("Tab")
    await keys.type("+49 30 901820")
    await keys.press("Control+Enter")
    await expect(page.locator(".record-title h1")).to_have_text(name)


# ---- the phone ---------------------------------------------------------------------------------------------------------


async def test_phone_can_do_the_days_work(acme, visit) -> None:
    tao = await visit(acme, "tao", phone=True)
    page = await tao.go("/r/customer")
    await tao.no_sideways_scroll()
    await page.locator(".shell-top button[popovertarget=side]").click()
    await expect(page.locator("#side")).to_be_visible()
    await page.locator("#side .nav-item", has_text="Opportunities").click()
    await expect(page).to_have_url(re.compile("/r/opportunity"))
    await expect(page.locator("#side")).to_be_hidden()
    await tao.go("/r/customer")
    await page.locator("[data-list] tbody a.title-link").first.click()
    await expect(page.locator(".record-title h1")).to_be_visible()
    await tao.no_sideways_scroll()
    await tao.go("/r/customer/new")
    name = name_of("Made on a phone")
    await tao.fill({"name": name})
    await tao.no_sideways_scroll()
    await tao.submit()
    await expect(page.locator(".record-title h1")).to_have_text(name)
    await tao.no_sideways_scroll()
    await tao.go("/r/lead/new")
    await tao.fill({"name": name_of("Phone lead"), "email": f"{uuid4().hex[:8]}@lead.example"})
    await tao.submit()
    await expect(page.locator("[data-state=new]")).to_be_visible()
    await tao.begin("disqualify")
    await tao.no_sideways_scroll()
    await tao.fill({"disqualify_reason": "No need"})
    await tao.submit()
    await expect(page.locator("[data-state=disqualified]")).to_be_visible()
