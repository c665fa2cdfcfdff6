"""The agent-referral acceptance scenario in the browser, in both languages: agents on their phones, the back office at a desk."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from saas.db import tenant_transaction
from saas.runtime.contexts import system_context
from saas.tenants.clock import set_offset
from tests.browser.conftest import Company

SHOTS = os.environ.get("SAAS_SHOTS")  # a folder for pictures, for whoever looks
ANNA, BOB = "seven blue kettles", "nine green ladders"
WORDS = {
    "en": {
        "browser": "en-GB", "allowed": "Allowed", "changed": "Your password has been changed", "saved": "Saved", "deleted": "Deleted", "tiles": ["New Referral", "Not yet approved", "Approved today", "This month"], "again": "Sign in as", "known": "This phone number has been entered already",
        "approve": "Approve", "rejected": "Rejected", "closed": "Please contact the back office: 400-000-0000", "item": "The verification item is wrong", "along": "3 records in “Referrals” are deleted with it.",
    },
    "zh_CN": {
        "browser": "zh-CN", "allowed": "允许登陆", "changed": "密码已修改", "saved": "保存成功", "deleted": "删除成功", "tiles": ["新建客户信息", "未过信息", "审过信息", "本月报表"], "again": "登录", "known": "此电话已经录入过", "approve": "审核通过",
        "rejected": "已驳回", "closed": "请联系后台：400-000-0000", "item": "验证信息不正确", "along": "“客户信息”中 3 条记录将一并删除。",
    },
}  # fmt: skip


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("lang", list(WORDS))
async def test_acceptance_scenario(staffed, visit, lang) -> None:
    """A company of its own for each language: its figures are those of the scenario, to the coin."""
    words = WORDS[lang]
    bureau = await staffed("agent-referral", {f"Office{lang}": ("office", None, lang)})
    office = await visit(bureau, f"Office{lang}", locale=words["browser"])
    page = office.page
    month = (await system_context(bureau.id)).today.strftime("%Y-%m")

    # 1 accounts: the form of the agent leads on to name and password
    for name, login, password in (("Agent A", "jiayuan", ANNA), ("Agent B", "lihua", BOB)):
        await office.go("/r/agent/new")
        await office.fill({"name": name, "login": login, "phone": "13700000001", "communities": "Jiayuan"})
        await office.submit()
        await expect(page.locator("[data-account=none]")).to_be_visible()
        await page.locator("[name=password]").fill(password)
        await shot(page, f"account-{lang}")
        await page.locator("main form button.primary").click()
        await office.toast(login)
    await office.go("/r/agent")
    for name in ("Agent A", "Agent B"):
        await expect(office.row(name)).to_contain_text(words["allowed"])
    other = await office.row("Agent B").get_attribute("data-record-id")

    # 2 price and notice
    for entity, values in (("settlement_price", {"price": "50"}), ("notice", {"text": "Report by 18:00 daily"})):
        await office.go(f"/r/{entity}/new")
        await office.fill(values)
        await office.submit()
        await office.toast(words["saved"])

    # 3 the notice comes before the four menus; the saved account needs no typing
    anna, bob = [await visit(bureau, phone=True, locale=words["browser"]) for _who in range(2)]
    for who, login, password in ((anna, "jiayuan", ANNA), (bob, "lihua", BOB)):
        await who.go("/login")
        await who.page.locator(f"footer.auth-foot button[value={lang}]").click()
        await _sign_in(who, login, password)
        await expect(who.page.locator("[data-notice]")).to_contain_text("Report by 18:00 daily")
        await shot(who.page, f"phone-notice-{lang}")
        await who.page.locator("form.auth-form button.primary").click()
        await expect(who.page.locator("[data-tile]")).to_have_count(4)
    await expect(anna.page.locator(".tile-name")).to_have_text(words["tiles"])
    await anna.no_sideways_scroll()
    await shot(anna.page, f"phone-start-{lang}")
    await anna.page.locator("header.shell-top button[popovertarget=side]").click()
    await anna.page.locator("#side .side-foot summary").click()
    await anna.page.locator("#side form[action='/logout'] button").click()
    again = anna.page.locator("[data-known] button.primary")
    await expect(again).to_contain_text("Agent A")
    await shot(anna.page, f"phone-again-{lang}")
    await again.click()
    await expect(anna.page.locator("[data-tile]")).to_have_count(4)

    # 4 submitted from the first tile
    await anna.page.locator("[data-tile]").first.click()
    await shot(anna.page, f"phone-enter-{lang}")
    await anna.fill({"name": "Mrs Lu", "phone": "13900000001", "wechat": "lu_wx"})
    await anna.submit()
    await expect(anna.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")
    mine = await anna.record_id()

    # 5, 6 the same number by another agent; two of his own
    await bob.go("/r/referral/new")
    await bob.fill({"name": "Lu", "phone": "13900000001"})
    await bob.submit()
    await bob.problem("phone", words["known"])
    theirs = []
    for number in (2, 3):
        await bob.go("/r/referral/new")
        await bob.fill({"name": f"Two {number}", "phone": f"1390000000{number}"})
        await bob.submit()
        await expect(bob.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")
        theirs.append(await bob.record_id())

    await bob.go("/r/referral?view=pending")
    await expect(bob.page.locator("tr[data-record-id]")).to_have_count(2)  # and nothing was stored of the refused one

    # 7 her own may be changed; hers is the only one she sees
    await anna.go(f"/r/referral/{mine}/edit")
    await anna.fill({"wechat": "lu_2"})
    await anna.submit()
    await anna.toast(words["saved"])
    await expect(anna.value("wechat").first).to_have_text("lu_2")
    await anna.go("/r/referral?view=pending")
    await expect(anna.page.locator("tr[data-record-id]")).to_have_count(1)
    await expect(anna.row("Mrs Lu")).to_have_count(1)
    await shot(anna.page, f"phone-pending-{lang}")

    # 8, 9 approved together, one rejected; nothing to edit or delete
    await office.go("/r/referral?view=review")
    for record in (mine, theirs[0]):
        await page.locator(f"tr[data-record-id='{record}'] input[type=checkbox]").check()
    await shot(page, f"review-{lang}")
    await page.locator("[data-bulkbar] summary", has_text=re.compile(".")).first.click()
    await page.locator("[data-bulkbar] button[value='transition:approve']").click()
    await page.locator(".page-dialog form .dialog-foot button, dialog[open] form .dialog-foot button").first.click()
    await expect(page.locator("tr[data-record-id]", has_text="Mrs Lu")).to_have_count(0)
    await office.go("/r/referral?view=all")
    for record in (mine, theirs[0]):
        await expect(page.locator(f"tr[data-record-id='{record}'] .badge-green")).to_be_visible()
    await office.go(f"/r/referral/{theirs[1]}")
    await expect(page.locator("[data-key=e], a[href$='/delete']")).to_have_count(0)
    await office.begin("reject")
    await office.submit()
    await office.problem("reason")
    await office.fill({"reason": "wrong number"})
    await office.submit()
    await office.toast(words["rejected"])

    # 10 corrected and back in review
    await bob.go(f"/r/referral/{theirs[1]}")
    await expect(bob.value("reason").first).to_contain_text("wrong number")
    await bob.go(f"/r/referral/{theirs[1]}/edit")
    await bob.fill({"phone": "13900000004"})
    await bob.submit()
    await expect(bob.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")

    # 11 approved today; the day after the list is empty, and the month still has it
    await anna.go("/r/referral?view=approved_today")
    await expect(anna.page.locator("tr[data-record-id]")).to_have_count(1)
    await expect(anna.row("Mrs Lu")).to_have_count(1)
    await _clock(bureau, 86400)
    await anna.go("/r/referral?view=approved_today")
    await expect(anna.page.locator("tr[data-record-id]")).to_have_count(0)
    await anna.go(f"/statements/monthly?period={month}")
    await expect(anna.page.locator("[data-details] tbody tr")).to_have_count(1)
    await expect(anna.page.locator("[data-details] tbody tr")).to_contain_text("Mrs Lu")
    await _clock(bureau, 0)

    # 12 her month is one referral and 50; nothing of B's by any link
    await expect(anna.page.locator("[data-total] .num")).to_have_text(["1", re.compile(r"\b50\.00")])
    await expect(anna.page.locator("main")).not_to_contain_text("Agent B")
    await anna.no_sideways_scroll()
    await shot(anna.page, f"phone-report-{lang}")
    for path in (f"/r/referral/{theirs[0]}", f"/statements/monthly?period={month}&party={other}"):
        await anna.go(path)
        await expect(anna.page.locator("article[data-record-id], [data-details] tbody tr")).to_have_count(0)
        await expect(anna.page.locator("body")).not_to_contain_text("Two")

    # 13 everybody's month, one agent's, and the same as Excel
    await office.go(f"/statements/monthly?period={month}")
    for row, figures in (("Agent A", ["1", "50.00"]), ("Agent B", ["1", "50.00"])):
        await expect(page.locator("tbody tr[data-href]", has=page.locator("a.title-link", has_text=row)).first.locator(".num")).to_have_text([re.compile(rf"^\D*{re.escape(f)}$") for f in figures])
    await expect(page.locator("[data-total] .num")).to_have_text(["2", re.compile(r"\b100\.00")])
    await shot(page, f"report-all-{lang}")
    await page.locator("[data-party-filter] select").select_option(label="Agent B")
    await page.locator("[data-party-filter] button").click()
    await expect(page.locator("[data-details] tbody tr")).to_have_count(1)
    await expect(page.locator("[data-total] .num")).to_have_text(["1", re.compile(r"\b50\.00")])
    await shot(page, f"report-{lang}")
    async with page.expect_download() as download:
        await page.locator("a[download]").first.click()
    with zipfile.ZipFile(await (await download.value).path()) as book:
        text = "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))
    assert "13900000002" in text and "13900000001" not in text and "Agent B" in text and re.search(r">50(\.0+)?<", text)

    # a third one of B, so that three go along in step 16
    await bob.go("/r/referral/new")
    await bob.fill({"name": "Two 5", "phone": "13900000005"})
    await bob.submit()
    await expect(bob.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")

    # 14 forbidden: the open session ends, the sign-in says whom to call
    await office.go(f"/r/agent/{other}/edit")
    await page.locator("[name=login_state]").first.select_option("forbidden")
    await office.submit()
    await office.toast(words["saved"])
    await bob.go("/start")
    await _sign_in(bob, "lihua", BOB, here=True)
    await expect(bob.page.locator("[role=alert]")).to_contain_text(words["closed"])
    await shot(bob.page, f"phone-closed-{lang}")

    # 15 her own password: the verification item is chosen with the first change, and a wrong one is refused
    changes = (("my first dog", "correct horse battery", "eleven paper boats", True), ("my second dog", "eleven paper boats", "twelve paper boats", False), ("my first dog", "eleven paper boats", "twelve paper boats", True))
    await office.go("/profile")
    for item, old, new, fine in changes:
        for name, value in (("current", old), ("password", new), ("item", item)):
            await page.locator(f"form[action='/profile/password'] [name={name}]").fill(value)
        await page.locator("form[action='/profile/password'] button").click()
        if fine:
            await office.toast(words["changed"])
        else:
            await expect(page.locator("[data-error-for=item]")).to_contain_text(words["item"])
            await shot(page, f"item-{lang}")

    # 16 the count is told before the agent goes
    await office.go(f"/r/agent/{other}/delete")
    await expect(page.locator("[data-along]")).to_contain_text(words["along"])
    await shot(page, f"delete-{lang}")
    await page.locator("[data-confirm-delete]").click()
    await office.toast(words["deleted"])
    await expect(office.row("Agent B")).to_have_count(0)
    await office.go("/r/referral?view=all")
    await expect(page.locator("tr[data-record-id]")).to_have_count(1)
    await expect(office.row("Mrs Lu")).to_have_count(1)
    await office.go(f"/statements/monthly?period={month}")
    await expect(page.locator("[data-total] .num")).to_have_text(["1", re.compile(r"\b50\.00")])
    await expect(page.locator("main")).not_to_contain_text("Agent B")

    # 17 exported, counted, confirmed
    await office.go("/r/referral/purge")
    await page.locator("main form button.primary").click()
    count = await page.locator("[data-purge-count]").get_attribute("data-purge-count")
    await expect(page.locator("[data-purge-export]")).to_be_visible()
    await shot(page, f"purge-{lang}")
    await page.locator("[name=count]").fill("0")
    await page.locator("main form button.danger").click()
    await expect(page.locator("[data-purge-error]")).to_be_visible()
    await page.locator("[name=count]").fill(str(count))
    await page.locator("main form button.danger").click()
    await expect(page.locator("tr[data-record-id]")).to_have_count(0)
    await office.go("/r/agent")
    await expect(office.row("Agent A")).to_have_count(1)


async def _clock(company: Company, seconds: int) -> None:
    """How far the clock of the workspace is ahead."""
    async with tenant_transaction(company.id) as conn:
        await set_offset(conn, company.id, seconds)


async def _sign_in(who, login: str, password: str, *, here: bool = False) -> None:
    if not here:
        await who.go("/login")
    await who.page.locator("[name=email]").fill(login)
    await who.page.locator("[name=password]").fill(password)
    await who.page.locator("[name=remember]").check()
    await who.page.locator("form.auth-form button.primary").click()
