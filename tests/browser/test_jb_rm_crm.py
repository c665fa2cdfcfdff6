"""The 18 steps of the jb-rm-crm acceptance scenario, in Chinese, through what each person can see and press."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from tests.browser.visitor import Visitor


async def test_acceptance_scenario(huabei, visit) -> None:
    async def enter(name: str) -> Visitor:
        visitor = await visit(huabei, locale="zh-CN")
        await visitor.sign_in(huabei.people[name], huabei.password)
        return visitor

    admin, wang, li, zhao, chen = [await enter(name) for name in ("admin", "Wang", "Li", "Zhao", "Chen")]

    # 1 the administrator adds dictionary values and publishes them; they stand in the customer form
    for entry, english, chinese in (("地区", "North China Plain", "华北平原"), ("客户等级", "Key partner", "重点")):
        await admin.page.locator("#side a[href='/settings']").click()
        await admin.page.locator(".settings-nav a[href='/settings/option-sets']").click()
        await admin.page.locator(".settings-main a", has_text=entry).first.click()
        await admin.page.locator("[name='new.en']").fill(english)
        await admin.page.locator("[name='new.zh_CN']").fill(chinese)
        await admin.page.locator(".settings-main form button.primary").click()
        await expect(admin.page.locator("[data-option] input[lang='zh-CN']").last).to_have_value(chinese)
    await admin.publish("新增字典值")
    await zhao.menu("我的客户")
    await zhao.page.locator("[data-key=c]").click()
    await expect(zhao.within().locator(".field[data-field=region]")).to_contain_text("华北平原")
    await expect(zhao.within().locator(".field[data-field=grade]")).to_contain_text("重点")

    # 2 Li creates an opportunity
    await li.menu("销售机会管理")
    await li.page.locator("[data-key=c]").click()
    await li.fill({"source": "展会", "customer_name": "Huabei Machinery", "probability": 60, "summary": "10 台车床", "contact": "Sun Jie", "contact_phone": "010-88886666"})
    await li.submit()
    await li.toast("保存成功")
    opportunity = await li.record_id()
    await expect(li.value("code")).to_have_text(re.compile(r"\d"))
    await expect(li.value("created_by")).to_contain_text("Li")
    await expect(li.page.locator("[data-state]")).to_have_attribute("data-state", "unassigned")
    code = await li.value("code").inner_text()

    # 3 the form refuses a probability of 120 and an empty summary, and keeps what was typed
    await li.menu("销售机会管理")
    await li.page.locator("[data-key=c]").click()
    await li.fill({"customer_name": "某客户", "probability": 120, "summary": "概要"})
    await li.submit()
    await li.problem("probability", "0 到 100")
    await expect(li.within().locator("[name=customer_name]")).to_have_value("某客户")
    await li.fill({"probability": 20, "summary": ""})
    await li.submit()
    await li.problem("summary", "请填写概要")
    await expect(li.error("probability")).to_be_empty()

    # 4 Zhao sees it and finds no way to delete it
    await zhao.menu("销售机会管理")
    await zhao.open_row("Huabei Machinery")
    await expect(zhao.page.locator("a[href$='/delete']")).to_have_count(0)
    response = await zhao.page.goto(f"{huabei.base}/r/opportunity/{opportunity}/delete")
    assert response is not None and response.status == 403
    await expect(zhao.page.locator(".calm h1")).to_have_text(re.compile("[\u4e00-\u9fff]"))

    # 5 Li edits; code, creator and time are locked
    await li.menu("销售机会管理")
    await li.open_row("Huabei Machinery")
    await li.page.locator("[data-key=e]").click()
    await expect(li.within().locator("[name=code], [name=created_by], [name=created_at]")).to_have_count(0)
    await li.fill({"probability": 70})
    await li.submit()
    await li.toast("保存成功")
    await expect(li.value("probability")).to_contain_text("70")

    # 6 Wang assigns it to Zhao
    await wang.menu("销售机会管理")
    await wang.open_row("Huabei Machinery")
    await wang.begin("assign")
    await wang.submit()
    await wang.problem("assigned_to")
    await wang.fill({"assigned_to": "Zhao"})
    await wang.submit()
    await wang.toast("指派成功")
    await expect(wang.page.locator("[data-state]")).to_have_attribute("data-state", "assigned")
    await expect(wang.value("assigned_at")).to_contain_text(re.compile(r"\d"))
    await wang.menu("销售机会管理")
    await expect(wang.row("Huabei Machinery")).to_have_count(0)
    await zhao.go("/")
    await zhao.page.locator("#side a[href='/notifications']").click()
    await zhao.page.locator(".note", has_text="销售机会已指派给您：Huabei Machinery").click()
    await expect(zhao.page.locator(f"article[data-record-id='{opportunity}']")).to_be_visible()
    await li.menu("我创建的")
    await li.open_row("Huabei Machinery")
    await expect(li.page.locator("[data-key=e], a[href$='/delete'], [data-transition]")).to_have_count(0)

    # 7 Zhao plans two items under the opportunity
    for day, content in (("2025-03-03", "电话调研"), ("2025-03-10", "现场拜访")):
        await zhao.menu("客户开发计划")
        await zhao.open_row("Huabei Machinery")
        await zhao.page.locator("[data-new=plan_item]").click()
        await zhao.fill({"date": day, "content": content})
        await zhao.submit()
        await zhao.toast("保存成功")
    await zhao.menu("客户开发计划")
    await zhao.open_row("Huabei Machinery")
    await expect(zhao.page.locator("#related-plan_items tbody tr")).to_have_count(2)
    await expect(li.page.locator("[data-new=plan_item]")).to_have_count(0)

    # 8 the content of the second can change, its date cannot
    await zhao.page.locator("#related-plan_items tr", has_text="现场拜访").locator("a.title-link").click()
    await zhao.page.locator("[data-key=e]").click()
    await expect(zhao.within().locator("[name=date]:not([type=hidden]):not([disabled])")).to_have_count(0)
    await expect(zhao.within().locator(".field[data-field=date] .static")).to_contain_text("2025")
    await zhao.fill({"content": "现场拜访（改期）"})
    await zhao.submit()
    await expect(zhao.value("content")).to_have_text("现场拜访（改期）")

    # 9 the result is stored on that item
    await zhao.page.locator("[data-key=e]").click()
    await zhao.fill({"result": "同意拜访，需要报价"})
    await zhao.submit()
    await expect(zhao.value("result")).to_have_text("同意拜访，需要报价")

    # 10 won: a customer and a contact exist, Zhao is its manager
    await zhao.menu("客户开发计划")
    await zhao.open_row("Huabei Machinery")
    await zhao.begin("win")
    await expect(zhao.within()).to_contain_text("确认后将根据该销售机会创建客户及联系人")
    await zhao.submit()
    await zhao.toast("操作成功")
    await expect(zhao.page.locator("[data-state]")).to_have_attribute("data-state", "won")
    await zhao.value("customer").locator("a").click()
    await zhao.page.wait_for_url("**/r/customer/*")
    customer = await zhao.record_id()
    await expect(zhao.page.locator(".record-title h1")).to_have_text("Huabei Machinery")
    await expect(zhao.value("owner")).to_contain_text("Zhao")
    await expect(zhao.value("origin")).to_have_text(code)
    await zhao.tab("联系人")
    await expect(zhao.row("Sun Jie")).to_contain_text(re.compile(r"8888\s?6666"))

    # 11 a second opportunity is assigned and stopped; no customer comes of it
    await zhao.menu("销售机会管理")
    await zhao.page.locator("[data-key=c]").click()
    await zhao.fill({"customer_name": "Dongshan Tools", "probability": 30, "summary": "试用"})
    await zhao.submit()
    await zhao.toast("保存成功")
    await wang.menu("销售机会管理")
    await wang.open_row("Dongshan Tools")
    await wang.begin("assign")
    await wang.fill({"assigned_to": "Zhao"})
    await wang.submit()
    await wang.toast("指派成功")
    await zhao.menu("客户开发计划")
    await zhao.open_row("Dongshan Tools")
    await zhao.begin("stop")
    await expect(zhao.within()).to_contain_text("终止开发?")
    await zhao.submit()
    await expect(zhao.page.locator("[data-state]")).to_have_attribute("data-state", "failed")
    await zhao.menu("全部客户")
    await expect(zhao.page.locator("[data-list] tbody tr")).to_have_count(1)

    # 12 customer data; six stars cannot be given
    await zhao.open_row("Huabei Machinery")
    await zhao.page.locator("[data-key=e]").click()
    await expect(zhao.within().locator(".field[data-field=satisfaction] input[type=radio][value='6']")).to_have_count(0)
    await zhao.fill({"region": "华北平原", "grade": "重点", "credit": 5})
    await zhao.within().locator(".field[data-field=satisfaction] input[type=radio][value='5']").evaluate("star => { star.value = '6'; star.checked = true }")
    await zhao.submit()
    await zhao.problem("satisfaction")
    await zhao.fill({"satisfaction": 4})
    await zhao.submit()
    await zhao.toast("保存成功")
    await expect(zhao.value("grade")).to_have_text("重点")
    await li.menu("全部客户")
    await li.open_row("Huabei Machinery")
    await expect(li.page.locator("[data-key=e]")).to_have_count(0)

    # 13 a contact needs its customer, though the right to create it depends on that; and its office phone
    await zhao.menu("联系人")
    await zhao.page.locator("[data-key=c]").click()
    await zhao.fill({"name": "王芳"})
    await zhao.submit()
    await zhao.problem("customer")
    await expect(zhao.within().locator("[name=name]")).to_have_value("王芳")
    await zhao.go(f"/r/customer/{customer}")
    await zhao.tab("联系人")
    await zhao.page.locator("[data-new=contact]").click()
    await zhao.fill({"name": "王芳", "gender": "女", "position": "经理"})
    await zhao.submit()
    await zhao.problem("office_phone", "请填写联系电话")
    await expect(zhao.within().locator("[name=name]")).to_have_value("王芳")
    await zhao.fill({"office_phone": "010-66668888"})
    await zhao.submit()
    await zhao.toast("保存成功")

    # 14 Li records a complaint; Wang sees it
    await li.menu("我创建的服务")
    await li.page.locator("[data-key=c]").click()
    await li.fill({"customer": "Huabei", "service_type": "投诉", "summary": "机床异响", "request": "请尽快派人检查"})
    await li.submit()
    await expect(li.page.locator("[data-state]")).to_have_attribute("data-state", "new")

    # 15 dispatched, handled, answered: archived
    await wang.menu("待分配")
    await wang.open_row("机床异响")
    await wang.begin("assign")
    await wang.fill({"handler": "Zhao"})
    await wang.submit()
    await wang.toast("操作成功")
    await zhao.menu("我的待处理")
    await zhao.open_row("机床异响")
    await zhao.begin("handle")
    await zhao.submit()
    await zhao.problem("handling")
    await zhao.fill({"handling": "更换轴承"})
    await zhao.submit()
    await zhao.toast("操作成功")
    await zhao.menu("我的待反馈")
    await zhao.open_row("机床异响")
    await zhao.begin("feedback")
    await zhao.fill({"result": "客户满意", "satisfaction": 4})
    await zhao.submit()
    await expect(zhao.page.locator("[data-state]")).to_have_attribute("data-state", "archived")

    # 16 the nightly scan seven months later warns once
    later = datetime.now(UTC) + timedelta(days=214)
    assert sum(run.done for run in await run_due(await system_context(huabei.id, at=later))) >= 1
    await zhao.menu("我的流失预警")
    await expect(zhao.row("Huabei Machinery")).to_have_count(1)
    await run_due(await system_context(huabei.id, at=later + timedelta(days=1)))
    await zhao.menu("我的流失预警")
    await expect(zhao.row("Huabei Machinery")).to_have_count(1)
    await zhao.page.locator("#side a[href='/notifications']").click()
    await zhao.page.locator(".note", has_text="客户流失预警：Huabei Machinery").click()
    await expect(zhao.value("status")).to_have_text("预警")  # the message opens the warning itself

    # 17 postponed with a measure, then confirmed with a reason: the customer is lost and frozen
    await zhao.begin("postpone")
    await zhao.fill({"next_measure": "赠送春季折扣"})
    await zhao.submit()
    await zhao.toast("保存成功")
    await expect(zhao.page.locator("#related-measures")).to_contain_text("赠送春季折扣")
    await zhao.begin("confirm")
    await zhao.submit()
    await zhao.problem("reason")
    await zhao.fill({"reason": "更换供应商"})
    await zhao.submit()
    await zhao.toast("操作成功")
    await expect(zhao.page.locator("[data-state]")).to_have_attribute("data-state", "confirmed")
    await zhao.go(f"/r/customer/{customer}")
    await expect(zhao.value("status")).to_have_text("流失")
    await expect(zhao.page.locator("[data-key=e]")).to_have_count(0)

    # 18 Chen reads the four reports and can change nothing
    for name, text in (("客户贡献分析", "客户贡献明细"), ("客户构成分析", "重点"), ("客户服务分析", "投诉"), ("客户流失分析", "更换供应商")):
        await chen.menu(name)
        await expect(chen.page.locator(".page-head h1")).to_have_text(name)
        await expect(chen.page.locator("main")).to_contain_text(text)
    await expect(chen.page.locator(".error, .notice.error")).to_have_count(0)
    await chen.go(f"/r/customer/{customer}")
    await expect(chen.page.locator(".record-title h1")).to_have_text("Huabei Machinery")
    await expect(chen.page.locator("[data-key=e], [data-key=c], [data-transition], [data-new], a[href$='/delete']")).to_have_count(0)
    await chen.go("/r/customer")
    await expect(chen.page.locator("[data-key=c], input[name=ids]")).to_have_count(0)
