"""The kingdee-k3-crm acceptance scenario through the pages, as its people would play it, once in each language. The ERP answers from the pack's samples,
texts go to a provider over HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.runtime import connectors, execute, outbox, timers
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import find_user, integrations
from tests.integration.outbox.receiver import receiving

WORDS = {
    "en": {
        "technical": "Technical department", "industry": "Equipment", "potential": "Potential", "trading": "Trading", "shipped": "Shipped", "task": "Task: Technical evaluation", "travel": "Travel", "merged": "merged",
        "late": "Late: Tender issued of Pump station", "today": "Birthday today: Gao", "refused": "Only a won opportunity that is not closed gives a contract", "stock": "Provided from stock",
        "stages": {"lead": "Lead", "needs": "Needs confirmed", "tender": "Tender issued"},
        "tabs": {"contacts": "Organisation chart", "plan": "Plan and reality", "live": "Transaction details"},
    },
    "zh_CN": {
        "technical": "技术部", "industry": "装备制造", "potential": "潜在客户", "trading": "交易客户", "shipped": "已发货", "task": "新任务：Technical evaluation", "travel": "差旅", "merged": "合并",
        "late": "进度延误：Pump station · 招标发布", "today": "今日生日：Gao", "refused": "只有已赢单且未关闭的商机才能生成合同", "stock": "提供",
        "stages": {"lead": "销售线索", "needs": "需求确认", "tender": "招标发布"},
        "tabs": {"contacts": "组织架构图", "plan": "阶段甘特图", "live": "历史交易明细"},
    },
}  # fmt: skip
PEOPLE = {"Dong": ("sales", "sales"), "Ma": ("sales", "sales"), "Cai": ("support", "technical"), "Lin": ("manager", "sales"), "Root": ("admin", "management")}


def day(days):
    return (datetime.now(UTC) + timedelta(hours=8, days=days)).date().isoformat()


async def moment(company, days=0, hour=9):
    ctx = await system_context(company.id)
    return ctx.replace(fixed_now=(datetime.now(ctx.zone) + timedelta(days=days)).replace(hour=hour, minute=0).astimezone(UTC))


@pytest_asyncio.fixture
async def provider(database):
    """Where text messages go."""
    async with receiving() as found:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", found.port)}))
        yield found
        database.settings = before


@pytest.mark.parametrize("language", list(WORDS))
async def test_acceptance_scenario(staffed, visit, provider, language) -> None:
    words = WORDS[language]
    company = await staffed("kingdee-k3-crm", {name: (role, department, language) for name, (role, department) in PEOPLE.items()})
    dong, ma, cai, lin = [await visit(company, name) for name in ("Dong", "Ma", "Cai", "Lin")]
    await connectors.pull_connector(await moment(company), "erp")
    await timers.run_all(await moment(company, days=-1))  # the worker's clock goes by

    async def make(entity, **values):
        """What is there before a step."""
        return str((await execute(await system_context(company.id), ops.Create(entity=entity, values=values))).record.id)

    async def saved(who, **values):
        await who.fill(values)
        await who.submit()
        await expect(who.page.locator("article[data-record-id]")).to_be_visible()
        return await who.record_id()

    async def state(who, key):
        await expect(who.page.locator("article [data-state]").first).to_have_attribute("data-state", key)

    me = str((await find_user(company.id, email=company.people["Dong"]))["id"])
    async with tenant_transaction(company.id) as conn:
        await integrations.save_integration(conn, company.id, "sms", "sms", "SMS", {"mode": "http", "url": provider.url})

    # 1 the administrator gives a new industry, equipment, the seven stages with a tender
    admin = await visit(company, "Root")
    await admin.go("/settings/option-sets/industry")
    await admin.page.locator("[name='new.en']").fill("Equipment")
    await admin.page.locator("[name='new.zh_CN']").fill("装备制造")
    await admin.page.locator("main form[data-guard] button.primary").last.click()
    await expect(admin.page.locator("[name='new.en']")).to_have_value("")  # taken
    await admin.go("/settings/entities/opportunity/fields/by_tender")
    await admin.page.locator("textarea[name='expr'], [name='expr']").first.fill("industry in ['engineering', 'equipment']")
    await admin.page.locator("main form[data-guard] button.primary").last.click()
    await admin.publish("Stages of equipment")

    # 2 a potential customer with two contacts; the drawing puts one under the other
    await dong.go("/r/customer/new")
    customer = await saved(dong, name="Tianhe Pumps", phone="0512-68000001")
    await expect(dong.value("kind").first).to_contain_text(words["potential"])
    await dong.go(f"/r/contact/new?customer={customer}")
    gao = await saved(dong, name="Gao", position="Director", phone="13900000001", birthday=f"1976-{day(2)[5:]}")
    await dong.go(f"/r/contact/new?customer={customer}")
    await saved(dong, name="Pan", position="Engineer", superior="Gao")
    await dong.go(f"/r/customer/{customer}")
    await dong.tab(words["tabs"]["contacts"])
    await expect(dong.page.locator("[data-node]", has_text="Gao").locator("[data-node]")).to_contain_text("Pan")

    # 3 the same number again: told, kept all the same, and both are in the analysis
    await ma.go("/r/customer/new")
    await ma.fill({"name": "Tianhe Pump Co.", "phone": "0512-68000001"})
    await ma.submit()
    await ma.page.locator("button[name=confirm_duplicates]").click()
    await expect(ma.page.locator("article h1")).to_have_text("Tianhe Pump Co.")
    twin = await ma.record_id()
    await make("activity", subject="Visit", customer=twin, time=f"{day(0)}T02:00:00Z")
    await lin.go("/r/customer/twins")
    group = lin.page.locator("[data-twin-group]")
    for name in ("Tianhe Pump Co.", "Tianhe Pumps"):
        await expect(group.locator("tbody tr", has_text=name)).to_have_count(1)

    # 4 Lin merges them: one is left, Ma's activity has moved, and the history tells
    await lin.go(f"/r/customer/merge?ids={customer}&ids={twin}&survivor={customer}")
    await lin.page.locator("main form[method=post] button.primary, main form[method=post] button.solid, main form[method=post] button.danger").last.click()
    await expect(lin.page.locator("article h1")).to_have_text("Tianhe Pumps")
    await expect(lin.page.locator("#timeline")).to_contain_text(words["merged"])
    await lin.go(f"/r/customer/{customer}?tab=activities")
    await expect(lin.page.locator("#related-activities tbody tr")).to_contain_text("Visit")

    # 5 Dong shares it with Ma, who reads and neither changes nor deletes it
    await dong.go(f"/r/customer/{customer}/shares")
    await dong.page.locator("#share-subject").select_option(label="Ma")
    await dong.page.locator("#share-level").select_option("read")
    await dong.page.locator("main form:has(#share-subject) button.primary").click()
    await expect(dong.page.locator("[data-share]")).to_contain_text("Ma")
    await ma.go(f"/r/customer/{customer}")
    await expect(ma.page.locator("article h1")).to_have_text("Tianhe Pumps")
    await expect(ma.page.locator("[data-key=e], .menu-item.danger")).to_have_count(0)

    # 6 an opportunity of two customers, with plans for its seven stages
    await make("customer", name="Tianhe Group", phone="0512-68000009", owner=me)
    await dong.go(f"/r/opportunity/new?customer={customer}")
    deal = await saved(dong, name="Pump station", customers="Tianhe Group", industry=words["industry"], income="800000", probability="40")
    await expect(dong.value("customers")).to_contain_text("Tianhe Group")
    await dong.go(f"/r/opportunity/{deal}?tab=stages")
    rows = dong.page.locator("#related-stage_logs tbody tr")
    await expect(rows).to_have_count(7)

    def stage(key):
        return rows.filter(has=dong.page.get_by_text(words["stages"][key], exact=True))

    tender = await stage("tender").get_attribute("data-record-id")
    await dong.go(f"/r/stage_log/{tender}/edit")
    await saved(dong, planned_start=day(-20), planned_end=day(-1))
    await dong.go(f"/r/opportunity/{deal}")
    await dong.tab(words["tabs"]["plan"])
    await expect(dong.page.locator("[data-bar] [data-planned]")).to_have_count(7)

    # 7 on to confirmed needs, one stage skipped: the real days are noted
    await dong.page.locator("[data-more-transitions]").click()
    await dong.transition("to_needs").click()
    await state(dong, "needs")
    await dong.go(f"/r/opportunity/{deal}?tab=stages")
    await expect(stage("lead").locator("td", has_text=re.compile(r"\d"))).to_have_count(4)  # two days planned, two that were
    await expect(stage("needs").locator("td", has_text=re.compile(r"\d"))).to_have_count(3)
    await expect(stage("lead")).to_contain_text("Dong")

    # 8 Cai is told of a task, sees the project it is for and no other, and completes it with a file
    await make("opportunity", name="Software", customer=customer, industry="it", income="1000", owner=me)
    await dong.go(f"/r/task/new?opportunity={deal}")
    await saved(dong, subject="Technical evaluation", unit=words["technical"], assignee="Cai", due=day(5))
    await cai.go("/r/opportunity")
    await expect(cai.page.locator("tr[data-record-id]")).to_have_count(1)
    await expect(cai.row("Pump station")).to_have_count(1)
    await cai.go("/notifications")
    await cai.page.locator(".note", has_text=words["task"]).click()
    await cai.begin("finish")
    await cai.within().locator("input[type=file]").set_input_files({"name": "report.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 evaluated"})
    await cai.fill({"result": "Feasible"})
    await cai.submit()
    await state(cai, "done")
    await expect(cai.value("file")).to_contain_text("report.pdf")

    # 9 a sample, a quotation of 780,000, an expense: what the project has cost
    await dong.go(f"/r/sample/new?opportunity={deal}")
    await saved(dong, product="成套供水设备", kind=words["stock"], needed_on=day(7))
    await dong.go(f"/r/quotation/new?opportunity={deal}")
    await dong.submit()
    await dong.page.locator("[data-new=quotation_line]").click()
    await saved(dong, product="成套供水设备", quantity="1", price="780000")
    await dong.go(f"/r/expense/new?opportunity={deal}")
    await saved(dong, type=words["travel"], amount="3200")

    # 10 a competitor and the four boxes, on their tab
    await dong.go(f"/r/competitor/new?opportunity={deal}")
    await saved(dong, name="Beiyang", price="750000", strength="Cheap", weakness="Slow")
    swot = {"strengths": "Service", "weaknesses": "Delivery", "chances": "Second phase", "threats": "Beiyang pumps"}
    await dong.go(f"/r/opportunity/{deal}/edit")
    await saved(dong, **swot)
    await expect(dong.value("total_expense")).to_contain_text("3,200")
    await dong.go(f"/r/opportunity/{deal}?tab=competition")
    for key, text in swot.items():
        await expect(dong.value(key)).to_have_text(text)
    await expect(dong.page.locator("#related-competitors tbody tr")).to_contain_text("Beiyang")

    # 11 the planned end of the tender has passed: the drawing shows the slip (who is told, see 15 and 17)
    await dong.page.locator("[data-more-transitions]").click()
    await dong.transition("to_tender").click()
    await state(dong, "tender")
    await timers.run_all(await moment(company))
    await dong.tab(words["tabs"]["plan"])
    await expect(dong.page.locator(f"[data-bar='{tender}'][data-late] [data-slip]")).to_have_count(1)

    # 12 won: the contract from the quotation; 13 the order is made in the ERP
    await dong.begin("win")
    await dong.fill({"quotation": "BJ"})
    await dong.submit()
    await state(dong, "won")
    await dong.go("/r/contract")
    await dong.page.locator("tr[data-record-id] a.title-link").first.click()
    await expect(dong.value("amount").first).to_contain_text("780,000")
    await dong.page.locator("[data-button=send_order]").click()
    await dong.page.locator("dialog#dialog[open] button.primary, dialog#dialog[open] button.solid").last.click()
    await expect(dong.page.locator("dialog#dialog[open]")).to_have_count(0)
    await outbox.send_due()
    await timers.run_all(await moment(company, days=1, hour=1))
    await run_due(await moment(company, days=1, hour=3), again=True)
    await dong.page.reload()
    await expect(dong.page.locator("article")).to_contain_text("XSDD000001")
    await expect(dong.page.locator("article")).to_contain_text(words["shipped"])

    # 12, 14 a trading customer with an overview made by night, and the ERP's own list
    await dong.go(f"/r/customer/{customer}")
    await expect(dong.value("kind").first).to_contain_text(words["trading"])
    await expect(dong.value("orders_amount").first).to_contain_text("780,000")
    await expect(dong.value("orders_count").first).to_have_text("1")
    await dong.tab(words["tabs"]["live"])
    await expect(dong.page.locator("[data-live=shown]")).to_contain_text("XSDD000001")

    # 15 Gao's birthday: the text has left, and Dong is reminded; 11 he was told of the delay, too
    await run_due(await moment(company, days=2), again=True)
    await outbox.send_due()
    assert [(t["to"], "生日快乐" in t["text"]) for t in (json.loads(a.body) for a in provider.asked)] == [("+8613900000001", True)]
    await dong.go("/notifications")
    for text in (words["late"], words["today"]):
        await expect(dong.page.locator(".note", has_text=text)).to_have_count(1)
    await dong.page.locator(".note", has_text=words["today"]).click()
    await expect(dong.page.locator(f"article[data-record-id='{gao}'] #timeline")).to_contain_text("SMS" if language == "en" else "短信")

    # 16 closed with a summary; no further contract
    second = await make("quotation", opportunity=deal, owner=me)
    await make("quotation_line", quotation=second, product=(await execute(await system_context(company.id), ops.List(entity="product", limit=1))).records[0].id, quantity=1, price="1000")
    await dong.go(f"/r/opportunity/{deal}")
    await dong.begin("close")
    await dong.fill({"summary": "Delivered well"})
    await dong.submit()
    await state(dong, "closed")
    await dong.go(f"/r/quotation/{second}")
    await dong.transition("accept").click()
    await expect(dong.page.locator("body")).to_contain_text(words["refused"])

    # 17 Lin looks at funnel and plan on the phone: the same figures as at the desk; 11 she was told of the delay
    phone = await visit(company, "Lin", phone=True)
    for report, figures in (("plans", ("780,000",)), ("funnel", ("800,000",))):
        texts = []
        for who in (lin, phone):
            await who.go(f"/reports/{report}")
            for figure in figures:
                await expect(who.page.locator("main")).to_contain_text(figure)
            texts.append(re.findall(r"\d[\d,.]*", await who.page.locator("main").inner_text()))
        assert texts[0] == texts[1]
    await phone.go("/notifications")
    await expect(phone.page.locator(".note", has_text=words["late"])).to_have_count(1)
    await phone.no_sideways_scroll()
