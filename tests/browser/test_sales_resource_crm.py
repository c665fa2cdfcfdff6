"""The acceptance scenario of sales-resource-crm in the browser, in both languages: each step by the person who does it, in one tenant. (Its
print template is played where documents are.)"""

from __future__ import annotations

import re
import zipfile
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.runtime import execute, worker
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants.clock import set_offset
from tests.browser.conftest import Company

STAFF = {"Ada": ("admin", "management"), "Qian": ("manager", "sales"), "Zhou": ("sales", "sales"), "Wu": ("sales", "sales"), "Fu": ("gm", "management")}
WORDS = {
    "en": {"saved": "Saved", "gone": "Deleted", "name": "Name", "phone": "Phone", "person": "Person", "jiangsu": "Jiangsu", "suzhou": "Suzhou", "potential": "Potential", "visit": "Visit", "follow_ups": "Follow-ups", "contracts": "Contracts", "money": "Plan and receipts", "suppliers": "Suppliers and files", "wrong": "Wrong number", "deal": "Deal", "public": "Public library", "known": "A customer with this phone number exists already", "today": "Follow up with", "gm": "General manager", "soon": "goes back to “Public library” in 3 days", "dept": "Sales department"},
    "zh_CN": {"saved": "保存成功", "gone": "删除成功", "name": "客户名称", "phone": "电话", "person": "人", "jiangsu": "江苏", "suzhou": "苏州市", "potential": "潜在客户库", "visit": "拜访", "follow_ups": "客户跟进", "contracts": "合同", "money": "应收与回款", "suppliers": "供应商与文件", "wrong": "空号", "deal": "成交客户库", "public": "公共资源库", "known": "已有相同电话的客户", "today": "今日跟进：", "gm": "总经理", "soon": "将在 3 天后退回“公共资源库”", "dept": "销售部"},
}
DAY = 86400


@pytest_asyncio.fixture(scope="module")
async def company(staffed) -> Company:
    return await staffed("sales-resource-crm", {f"{name}{language[:2]}": (role, department, language) for language in WORDS for name, (role, department) in STAFF.items()})


async def after(company: Company, days: float) -> None:
    """The workspace's clock shows a later day, and what was due by then has run."""
    async with tenant_transaction(company.id) as conn:
        await set_offset(conn, company.id, round(await set_offset(conn, company.id, 0) + days * DAY))
    await run_due(await system_context(company.id))


@pytest.mark.parametrize("language", WORDS)
async def test_acceptance_scenario(company, visit, language, tmp_path) -> None:
    words, tail = WORDS[language], language[:2]
    digit = list(WORDS).index(language)  # telephone numbers of the one are not those of the other
    locale = language.replace("_", "-")
    admin, qian, zhou, wu, fu = [await visit(company, name, locale=locale) for name in (f"{n}{tail}" for n in STAFF)]
    top, sub, product, supplier = f"Recruitment {tail}", f"Headhunting {tail}", f"Executive search {tail}", f"Ruicai {tail}"
    precision, phone = f"Suzhou Precision {tail}", f"0512-660{digit}0000"

    ctx = await system_context(company.id)

    async def held(library: str) -> int:
        return len((await execute(ctx, ops.List(entity="customer", filter=f"library == '{library}'", limit=200))).records)

    before = {library: await held(library) for library in ("public", "deal")}  # of the other language

    # 1 categories in two levels: a third one is not even offered
    for name, parent in ((top, None), (sub, top)):
        await admin.go("/r/category/new")
        await admin.fill({"name": name, **({"parent": parent} if parent else {})})
        await admin.submit()
        await expect(admin.page.locator("h1")).to_have_text(name)
        await expect(admin.page.locator("main")).to_contain_text(re.compile(r"LB\d{3}"))
    await admin.go("/r/category/new")
    await expect(admin.within().locator("select[name=parent] option", has_text=top)).to_have_count(1)
    await expect(admin.within().locator("select[name=parent] option", has_text=sub)).to_have_count(0)

    # 2 a product with a code, found by a part of its name
    await admin.go("/r/product/new")
    await admin.fill({"name": product, "category": sub, "unit": words["person"], "fee": "30000"})
    await admin.submit()
    await expect(admin.page.locator("h1")).to_have_text(product)
    found = await admin.record_id()
    await admin.go(f"/r/product?q=exec+{tail}")
    for shown in (re.compile(r"CP\d{4}"), words["person"], "30,000.00"):
        await expect(admin.row(product)).to_contain_text(shown)

    # 3 deleted: gone from the list, still shown where it is used; restored
    quoted = (await execute(ctx, ops.Create(entity="supplier", values={"name": f"Quoting {tail}"}))).record.id
    quote = (await execute(ctx, ops.Create(entity="supplier_quote", values={"supplier": str(quoted), "product": found, "price": "28000"}))).record.id
    await admin.go(f"/r/product/{found}/delete")
    await admin.page.locator("[data-confirm-delete]").click()
    await admin.toast(words["gone"])
    await expect(admin.row(product)).to_have_count(0)
    await admin.go(f"/r/supplier_quote/{quote}")
    await expect(admin.value("product").first).to_contain_text(product)
    await admin.go("/r/product/bin")
    await admin.row(product).locator("button, a.button").last.click()
    await expect(admin.page.locator(f"article[data-record-id='{found}']")).to_be_visible()

    # 4 a supplier; the cities are those of the province
    await qian.go("/r/supplier/new")
    await qian.fill({"name": supplier, "province": words["jiangsu"]})
    cities = qian.within().locator("select[name=city]")
    await expect(cities.locator("option:not([hidden])", has_text=words["suzhou"])).to_have_count(1)
    await expect(cities.locator("option:not([hidden]):not([disabled])")).to_have_count(6)  # five cities and none
    await cities.select_option(label=words["suzhou"])
    await qian.submit()
    await expect(qian.page.locator("main")).to_contain_text(re.compile(r"GYS\d{4}"))
    served = await qian.record_id()

    # 5 twelve rows, one telephone number twice
    table = tmp_path / "customers.csv"
    rows = [f"{precision if not n else f'Company {n} {tail}'},0512-660{digit}00{min(n, 10):02d}" for n in range(12)]
    table.write_text("\n".join((f"{words['name']},{words['phone']}", *rows)), encoding="utf-8")
    await qian.go("/r/customer/import")
    await qian.page.locator("input[type=file]").set_input_files(table)
    await qian.page.locator("main button.primary").click()
    await expect(qian.page.locator("select[name='col.0']")).to_have_value("name")
    await qian.page.locator("main button.primary").click()
    await expect(qian.page.locator("#job")).to_be_visible()
    await worker.drain()
    job = qian.page.locator("#job")
    await expect(job.locator("dl.kv dd").first).to_have_text("11")
    await expect(job.locator("tbody tr")).to_have_count(1)
    await expect(job.locator("tbody tr")).to_contain_text(re.compile(rf"13.*{words['known']}", re.DOTALL))
    await qian.go(f"/r/customer?view=pool_public&q={tail}&limit=50")
    await expect(qian.page.locator("tr[data-record-id]")).to_have_count(11)

    # 6 claimed: potential, and gone from the public library
    await zhou.go(f"/r/customer?view=pool_public&q={tail}&limit=50")
    customer = await zhou.open_row(precision)
    await zhou.page.locator("[data-pool-act=claim]").click()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "potential")
    await wu.go(f"/r/customer?view=pool_public&q={tail}&limit=50")
    await expect(wu.row(precision)).to_have_count(0)

    # 7 the same number is blocked, with library and owner
    await wu.go("/r/customer/new")
    await wu.fill({"name": f"Precision Works {tail}", "phone": phone})
    await wu.submit()
    await expect(wu.page.locator("[data-duplicates]")).to_contain_text(words["known"])
    await expect(wu.page.locator("[data-duplicates]")).to_contain_text(words["potential"])
    await expect(wu.page.locator("[data-duplicates]")).to_contain_text(f"Zhou{tail}")
    await expect(wu.page.locator("[name=confirm_duplicates]")).to_have_count(0)

    # 8 an intended product and a follow-up, the next one tomorrow: in the timeline, and it is the last one
    await zhou.go(f"/r/customer/{customer}/edit")
    await zhou.fill({"intended": product})
    await zhou.submit()
    await zhou.toast(words["saved"])
    await expect(zhou.value("intended").first).to_contain_text(product)
    await expect(zhou.header("last_follow_up").filter(has_text=":")).to_have_count(0)
    await zhou.tab(words["follow_ups"])
    await zhou.page.locator("[data-new=follow_up]").click()
    now = (await system_context(company.id)).now.astimezone(ZoneInfo("Asia/Shanghai"))
    await zhou.fill({"method": words["visit"], "content": f"Two vacancies {tail}", "time": now.strftime("%Y-%m-%dT09:41"), "next_time": (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")})
    await zhou.submit()
    await zhou.toast(words["saved"])
    await zhou.go(f"/r/customer/{customer}")
    await expect(zhou.page.locator("#timeline")).to_contain_text(f"Two vacancies {tail}")
    await expect(zhou.header("last_follow_up")).to_contain_text(re.compile(rf"\b{now.day}\b.*9:41", re.DOTALL))

    # 9 the day after there is a reminder
    await after(company, 1)
    await zhou.go("/notifications")
    await expect(zhou.page.locator(".note", has_text=precision)).to_contain_text([words["today"]])

    # 10 a contract with a line, submitted
    await zhou.go(f"/r/contract/new?customer={customer}")
    await zhou.fill({"name": f"Search {tail}", "customer": precision})
    await zhou.submit()
    contract = await zhou.record_id()
    await zhou.page.locator("[data-new=contract_line]").click()
    await zhou.fill({"product": product, "quantity": "5", "price": "30000"})
    await zhou.submit()
    await zhou.toast(words["saved"])
    await zhou.go(f"/r/contract/{contract}")
    await expect(zhou.value("total").first).to_contain_text("150,000")
    await zhou.transition("submit").click()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")

    # 11 above 100,000 the general manager decides as well; the contract is effective, the customer a deal
    for person, step in ((qian, "manager"), (fu, "gm")):
        await person.go(f"/r/contract/{contract}")
        await expect(person.page.locator(f"#approval [data-flow-step={step}]")).to_have_attribute("data-flow-state", "current")
        await expect(person.page.locator("#approval [data-flow-step=gm]")).to_contain_text(words["gm"])
        await expect(person.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")
        await person.page.locator("#approval [data-decide] button[value=approve]").click()
        await expect(person.page.locator("#approval [data-decide] button[value=approve]")).to_have_count(0)
    await expect(fu.page.locator("[data-state]")).to_have_attribute("data-state", "effective")
    await zhou.go(f"/r/customer/{customer}")
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "deal")

    # 12 received in part, and never more than the total
    await zhou.go(f"/r/receipt/new?contract={contract}")
    await zhou.fill({"amount": "150001"})
    await zhou.submit()
    await zhou.problem("amount")
    await zhou.fill({"amount": "50000"})
    await zhou.submit()
    await zhou.toast(words["saved"])
    await zhou.go(f"/r/contract/{contract}")
    await expect(zhou.value("outstanding").first).to_contain_text("100,000")

    # 13 the target of the month
    await qian.go("/r/target")
    await qian.open_row(f"Zhou{tail}")
    await qian.page.locator("[data-key=e]").click()
    await qian.fill({"amount": "200000"})
    await qian.submit()
    await expect(qian.value("attainment").first).to_contain_text("75")

    # 14 invalid needs a reason; the manager restores
    await zhou.go(f"/r/customer?view=pool_public&q={tail}&limit=50")
    lost = await zhou.open_row(f"Company 1 {tail}")
    await zhou.page.locator("[data-pool-act=claim]").click()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "potential")
    await zhou.begin("invalidate")
    await zhou.submit()
    await zhou.problem("invalid_reason")
    await zhou.fill({"invalid_reason": words["wrong"]})
    await zhou.submit()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "invalid")
    await qian.go(f"/r/customer/{lost}")
    await qian.transition("restore").click()
    await expect(qian.page.locator("[data-state]")).to_have_attribute("data-state", "public")

    # 15 thirty days without a follow-up: warned, then back in the public library
    await wu.go(f"/r/customer?view=pool_public&q={tail}&limit=50")
    quiet = await wu.open_row(f"Company 2 {tail}")
    await wu.page.locator("[data-pool-act=claim]").click()
    await expect(wu.page.locator("[data-state]")).to_have_attribute("data-state", "potential")
    await after(company, 27)
    await wu.go("/notifications")
    await expect(wu.page.locator(".note", has_text=f"Company 2 {tail}")).to_contain_text([words["soon"]])
    await after(company, 3)
    await qian.go(f"/r/customer/{quiet}")
    await expect(qian.page.locator("[data-state]")).to_have_attribute("data-state", "public")

    # 16 a served customer stands on both sides
    await admin.go(f"/r/supplier/{served}/edit")
    await admin.fill({"served": precision})
    await admin.submit()
    await expect(admin.page.locator(f"article[data-record-id='{served}']")).to_be_visible()
    await zhou.go(f"/r/customer/{customer}")
    await zhou.tab(words["suppliers"])
    await expect(zhou.row(supplier)).to_have_count(1)

    # 17 the drive: shared with everybody in sales, who download it; nobody else sees it
    document = tmp_path / "HR contract template.docx"
    with zipfile.ZipFile(document, "w") as file:
        for part in ("[Content_Types].xml", "_rels/.rels", "word/document.xml"):
            file.writestr(part, "<x/>")
    await qian.go("/r/drive_file/new")
    await qian.fill({"name": f"HR contract template {tail}"})
    await qian.within().locator("input[type=file]").set_input_files(document)
    await qian.submit()
    await qian.toast(words["saved"])
    kept = await qian.record_id()
    await qian.go(f"/r/drive_file/{kept}/shares")
    await qian.page.locator("[name=subject]").select_option(label=words["dept"])
    await qian.page.locator("main form button.primary").click()
    await expect(qian.page.locator("[data-share^=dept]")).to_contain_text(words["dept"])
    await wu.go("/r/drive_file")
    await wu.open_row(f"HR contract template {tail}")
    async with wu.page.expect_download() as download:
        await wu.value("file").locator("a").first.click()
    assert (await download.value).suggested_filename == document.name
    assert (await (await download.value).path()).read_bytes() == document.read_bytes()
    await fu.go("/r/drive_file")
    await expect(fu.row(f"HR contract template {tail}")).to_have_count(0)

    # 18 the figures agree with what was done: of eleven customers one is a deal; Zhou's contract; three quarters of the target
    await qian.go("/reports/customers")
    table = qian.page.locator("[data-widget=by_library] details.data")
    await table.locator("summary").click()
    for label, library, more in ((words["public"], "public", 10), (words["deal"], "deal", 1)):
        await expect(table.locator("tr", has_text=label).locator("td")).to_have_text(str(before[library] + more))
    for report, widget, figure in (("sales", "by_person", "150,000.00"), ("performance", "attainment", "75.00")):
        await qian.go(f"/reports/{report}")
        table = qian.page.locator(f"[data-widget={widget}] details.data")
        await table.locator("summary").click()
        await expect(table.locator("tr", has_text=f"Zhou{tail}")).to_contain_text(figure)
