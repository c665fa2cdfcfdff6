"""The main path of the agent-referral acceptance scenario in the browser: agents on the phone, in Chinese, the back office at a desk, in English."""

from __future__ import annotations

from playwright.async_api import expect


async def test_acceptance_scenario(staffed, visit) -> None:
    company = await staffed("agent-referral", {"Office": ("office", None, "en"), "Anna": ("agent", None, "zh_CN"), "Bob": ("agent", None, "zh_CN")})
    office = await visit(company, "Office")
    anna, bob = [await visit(company, name, phone=True) for name in ("Anna", "Bob")]

    # 2 price and notice
    await office.go("/r/settlement_price/new")
    await office.fill({"price": "50"})
    await office.submit()
    await office.toast("Saved")
    await office.go("/r/notice/new")
    await office.fill({"text": "Report by 18:00 daily"})
    await office.submit()
    await office.toast("Saved")

    # 3, 4 the notice stands on the agents' first page; a referral is entered on the phone
    await anna.go("/")
    await expect(anna.page.locator("main")).to_contain_text("Report by 18:00 daily")
    await anna.no_sideways_scroll()
    await anna.go("/r/referral/new")
    await anna.fill({"name": "Mrs Lu", "phone": "13900000001", "wechat": "lu_wx"})
    await anna.submit()
    await anna.toast("保存成功")
    await expect(anna.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")

    # 5 the same number by another agent
    await bob.go("/r/referral/new")
    await bob.fill({"name": "Lu", "phone": "139 0000 0001"})
    await bob.submit()
    await bob.problem("phone", "此电话已经录入过")
    await bob.fill({"name": "Three", "phone": "13900000003"})
    await bob.submit()
    await bob.toast("保存成功")
    theirs = await bob.record_id()

    # 8, 9 reviewed in English; nothing to edit or delete
    await office.go("/r/referral?view=review")
    await expect(office.row("Three")).to_have_count(1)
    await office.open_row("Mrs Lu")
    await expect(office.page.locator("[data-key=e], a[href$='/delete']")).to_have_count(0)
    await office.transition("approve").click()
    await office.toast("Approved")
    await office.go(f"/r/referral/{theirs}")
    await office.begin("reject")
    await office.submit()
    await office.problem("reason")
    await office.fill({"reason": "wrong number"})
    await office.submit()
    await office.toast("Rejected")

    # 10 corrected and back in review
    await bob.go(f"/r/referral/{theirs}")
    await expect(bob.value("reason").first).to_contain_text("wrong number")
    await bob.go(f"/r/referral/{theirs}/edit")
    await bob.fill({"phone": "13900000004"})
    await bob.submit()
    await expect(bob.page.locator("[data-state]")).to_have_attribute("data-state", "unreviewed")

    # 12, 13 her month and everybody's
    await anna.go("/reports/mine")
    await expect(anna.page.locator("main")).to_contain_text("¥50.00")
    await anna.no_sideways_scroll()
    await office.go("/reports/monthly")
    await expect(office.page.locator("main")).to_contain_text("CN¥50.00")
    await expect(office.page.locator("main")).to_contain_text("Mrs Lu")
