"""The acceptance scenario of hualei-ebseries in the browser, in both languages: each step by the person who does it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

STAFF = {"Su": ("executor", "team_a"), "Lin": ("executor", "team_a"), "Ou": ("project_owner", "team_a"), "Dai": ("director", "sales"), "Root": ("admin", "company")}
WORDS = {
    "en": {"saved": "Saved", "distributor": "Distributor", "volume": "Volume", "type": "Customer type", "cash": "Cash", "cash_kind": "Cash", "chain": "Retail chain", "promotion": "Promotion", "not_valid": "not valid", "done": "The order is made", "stage": "Stage-centred", "direct": "Customer-centred", "orders": "Quotations and orders"},
    "zh_CN": {"saved": "保存成功", "distributor": "经销商", "volume": "销量折扣", "type": "客户类型折扣", "cash": "现金", "cash_kind": "现金折扣", "chain": "连锁零售", "promotion": "促销折扣", "not_valid": "不", "done": "已生成订单", "stage": "以阶段为中心", "direct": "以客户为中心", "orders": "报价与订单"},
}


@pytest.mark.parametrize("language", WORDS)
async def test_acceptance_scenario(staffed, visit, language) -> None:
    words = WORDS[language]
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    company = await staffed("hualei-ebseries", {name: (role, team, language) for name, (role, team) in STAFF.items()})
    admin, su, lin, ou, dai = [await visit(company, name) for name in ("Root", "Su", "Lin", "Ou", "Dai")]
    pump, kaida, deal, win = "Pump 200", "Kaida", "Kaida pumps", "Win Kaida"

    # 1 two code rules; 2 a further customer type beside the distributor; published by the administrator
    for what, pattern, first in (("customer", "C-{yyyy}-{seq:4}", f"C-{today.year}-0001"), ("product", "P{seq:5}", "P00001")):
        await admin.go(f"/settings/numbering/{what}/code")
        await admin.page.locator("[name=pattern]").fill(pattern)
        if what == "customer":
            await admin.page.locator("[name=reset]").select_option("year")
        await admin.page.locator("main form.design-form button.primary").first.click()
        await expect(admin.page.locator("main")).to_contain_text(first)
    await admin.go("/settings/option-sets/customer_type")
    await expect(admin.page.locator(f"main input[value='{words['distributor']}']")).to_have_count(1)
    for name, text in (("new.en", "Retail chain"), ("new.zh_CN", "连锁零售")):
        await admin.page.locator(f"[name='{name}']").fill(text)
    await admin.page.locator("main form[data-guard] button.primary").last.click()
    await expect(admin.page.locator("[name='new.en']")).to_have_value("")  # taken
    await admin.publish("Code rules")

    # 2 a product, on one screen with the list: refused without a price, made, changed, found
    await admin.go("/r/product")
    await admin.page.locator("[data-key=c]").click()
    panel = admin.page.locator("#panel")
    await panel.locator("[name=name]").fill(pump)
    await panel.locator("button.primary").click()
    await expect(panel.locator("[data-error-for=list_price]")).not_to_be_empty()
    await panel.locator("[name=list_price]").first.fill("900")
    await panel.locator("button.primary").click()
    await expect(admin.row(pump)).to_have_class(re.compile("is-open"))
    await panel.locator("[name=list_price]").first.fill("1000")
    await panel.locator("button.primary").click()
    for text in ("P00001", "1,000.00", "13"):
        await expect(admin.row(pump)).to_contain_text(text)

    # 3 the four strategies, and one too many that is deleted again, all beside their list
    last = today.replace(day=1) - timedelta(days=1)
    kinds = {"volume": words["volume"], "customer_type": words["type"], "cash": words["cash_kind"], "promotion": words["promotion"]}
    for name, kind, percent, more in (
        ("From 50", "volume", "5", {"min_quantity": "50"}), ("Trade", "customer_type", "8", {"customer_type": words["distributor"]}), ("Cash", "cash", "2", {"payment_term": words["cash"]}),
        ("Last month", "promotion", "10", {"valid_from": last.replace(day=1).isoformat(), "valid_to": last.isoformat()}), ("Mistake", "promotion", "90", {}),
    ):  # fmt: skip
        await admin.go("/r/strategy?view=all&open=new")
        await panel.locator("[name=name]").fill(name)
        await panel.locator("select[name=kind]").select_option(label=kinds[kind])
        await panel.locator("[name=percent]").fill(percent)
        for key, value in more.items():
            control = panel.locator(f"[name={key}]")
            await (control.fill(value) if key in ("min_quantity", "valid_from", "valid_to") else control.select_option(label=value))
        await panel.locator("button.primary").click()
        await expect(admin.row(name)).to_have_class(re.compile("is-open"))
    await panel.locator("[data-panel-delete]").click()
    await admin.page.locator("dialog [data-confirm-delete]").click()
    await expect(admin.row("Mistake")).to_have_count(0)
    await expect(admin.row("Last month")).to_have_count(1)

    # the customer carries the new code; its type is one of three
    await su.go("/r/customer?open=new")
    mine = su.page.locator("#panel")
    await mine.locator("[name=name]").fill(kaida)
    await expect(mine.locator("select[name=type] option", has_text=words["chain"])).to_have_count(1)
    await mine.locator("select[name=type]").select_option(label=words["distributor"])
    await mine.locator("button.primary").click()
    await expect(su.row(kaida)).to_contain_text(f"C-{today.year}-0001")
    await su.go("/r/opportunity/new")
    await su.fill({"subject": deal, "customer": kaida})
    await su.submit()
    await su.toast(words["saved"])
    opportunity = await su.record_id()

    # 4, 5 sixty pumps: the recommendation and why, while typing; cash takes two percent off that
    async def enter(form: str, quantity: str) -> None:
        await su.go(f"/entry/{form}")
        await su.page.locator("select[name=customer]").select_option(label=next(o for o in await su.page.locator("select[name=customer] option").all_text_contents() if o.startswith(kaida)))
        await su.page.locator("select[name='lines.0.product']").select_option(label=next(o for o in await su.page.locator("select[name='lines.0.product'] option").all_text_contents() if o.startswith(pump)))
        await su.page.locator("[name='lines.0.quantity']").fill(quantity)

    await enter("quote", "60")
    live = su.page.locator("#compose-live")
    await expect(live).to_contain_text("920.00")
    await expect(live).to_contain_text(re.compile(rf"✓ {words['type']}.*8 %"))
    await expect(live).to_contain_text(re.compile(rf"– {words['volume']}.*5 %"))
    await expect(live).not_to_contain_text(f"✓ {words['promotion']}")
    await su.page.locator("select[name=opportunity]").select_option(label=deal)
    await su.page.locator("main form button.primary").last.click()
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "draft")
    quotation = await su.record_id()
    await su.page.locator("[data-key=e]").click()
    await su.fill({"term": words["cash"]})
    await su.submit()
    await expect(su.value("net")).to_contain_text("54,096.00")
    await expect(su.page.locator("#related-lines")).to_contain_text("901.60")

    # 6 the totals
    await expect(su.value("tax")).to_contain_text("7,032.48")
    await expect(su.value("total")).to_contain_text("61,128.48")

    # 7 a task of three levels; the project owner, then the director
    await ou.go("/r/task/new")
    await expect(ou.page.locator("[name=opportunity]").first).to_be_attached()
    await ou.fill({"subject": win, "opportunity": deal, "director": "Dai", "project_owner": "Ou", "executors": "Su", "due": (today + timedelta(days=20)).isoformat()})
    await ou.submit()
    await ou.toast(words["saved"])
    task = await ou.record_id()
    await su.go(f"/r/task/{task}")
    await su.page.locator("[data-new=step]").click()
    await su.fill({"result": "Samples shown"})
    await su.submit()
    await su.toast(words["saved"])
    await su.go(f"/r/task/{task}")
    await su.transition("submit").click()
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")

    async def decide(person, path: str, act: str = "approve", comment: str = "") -> None:
        await person.go(path)
        card = person.page.locator("#approval [data-decide]")
        await card.locator("[name=comment]").fill(comment)
        await card.locator(f"button[value={act}]").click()
        await expect(card).to_have_count(0)

    await dai.go(f"/r/task/{task}")
    await expect(dai.page.locator("#approval [data-decide]")).to_have_count(0)
    await decide(ou, f"/r/task/{task}")
    await decide(dai, f"/r/task/{task}")
    await su.go(f"/r/task/{task}")
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "approved")
    for name in ("Ou", "Dai"):
        await expect(su.page.locator("#timeline")).to_contain_text(name)

    # 8 the order is foreseen with its lines, then made: the same lines, discount and tax, with nothing left to type
    await su.go(f"/r/quotation/{quotation}")
    quoted = (await su.page.locator("#related-lines tbody td").all_inner_texts())[:8]
    assert [quoted[n] for n in (1, 5, 7)] == ["60.00", "9.84%", "CN¥7,032.48" if language == "en" else "¥7,032.48"], quoted
    await su.transition("approve").click()
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "approved")
    await su.begin("convert")
    made = su.page.locator("dialog [data-made]")
    for text in ("61,128.48", "901.60", pump):
        await expect(made).to_contain_text(text)
    await su.submit()
    await su.toast(words["done"])
    await su.go(f"/r/opportunity/{opportunity}")
    await su.tab(words["orders"])
    await su.page.locator("#related-orders a.title-link").click()
    await expect(su.value("mode")).to_contain_text(words["stage"])
    await expect(su.value("total")).to_contain_text("61,128.48")
    await expect(su.page.locator("#related-lines [data-record-id]")).to_have_count(1)
    assert await su.page.locator("#related-lines tbody td").all_inner_texts() == quoted
    await expect(su.page.locator("[data-new=order_line]")).to_have_count(0)

    # 9 an order straight from the customer
    await enter("direct_order", "10")
    await expect(su.page.locator("[data-totals]")).to_contain_text("9,200.00")
    await su.page.locator("main form button.primary").last.click()
    await expect(su.value("mode")).to_contain_text(words["direct"])

    # 10 an expense: sent back with a comment, then approved on both levels
    await su.go(f"/r/expense/new?task={task}")
    await su.fill({"amount": "800"})
    await su.submit()
    await su.toast(words["saved"])
    expense = f"/r/expense/{await su.record_id()}"
    await su.transition("submit").click()
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")
    await decide(ou, expense, "reject", "Tickets are missing")
    await su.go(expense)
    await expect(su.page.locator("#timeline")).to_contain_text("Tickets are missing")
    await su.transition("submit").click()
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")
    await decide(ou, expense)
    await decide(dai, expense)
    await su.go(expense)
    await expect(su.page.locator("[data-state]")).to_have_attribute("data-state", "approved")

    # 11 who stands higher sees it, who stands beside does not
    await dai.go("/r/opportunity")
    await expect(dai.row(deal)).to_have_count(1)
    await lin.go("/r/opportunity")
    await expect(lin.row(deal)).to_have_count(0)

    # 12 who changed the quotation, and when
    await admin.go("/settings/log?entity=quotation")
    row = admin.page.locator("[data-log] tbody tr", has=admin.page.locator(f"a[href='/r/quotation/{quotation}']"))
    await expect(row.filter(has_text=words["cash"]).first).to_contain_text("Su")
    await expect(row.first.locator("time")).to_have_attribute("datetime", re.compile(r"\d{4}-\d\d-\d\d"))
    await dai.go(f"/r/quotation/{quotation}")
    await expect(dai.page.locator("#timeline")).to_contain_text("Su")
