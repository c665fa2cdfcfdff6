"""The tiannuo-club acceptance scenario in the browser, in both languages: the service centre, the sales site, the approver, and people outside at the
website, each at their pages. The marketing system and the card reader knock over HTTP as they do, texts go to a provider over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.runtime import execute, inbound_hooks, outbox, timers, web_forms
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user, integrations
from saas.tenants.clock import set_offset
from tests.browser.conftest import Company
from tests.conftest import PASSWORD
from tests.integration.outbox.receiver import Receiver, receiving

STAFF = {"hu": ("service", "service"), "jin": ("site", "sales_site"), "xie": ("approver", "service")}
IDS = {"en": "320106198503010011", "zh_CN": "320106198503020017"}
WORDS = {
    "en": {"name": "He Fang", "saved": "Saved", "site": "Sales site", "salon": "Salon", "phone": "Phone", "house": "House quality", "high": "High", "contact": "Contact invalid", "add": "Add", "yes": "Yes", "cards": {"active": "Active", "replaced": "Replaced", "void": "Void"}, "waits": "Nothing waits", "exists": "This member already exists", "thanks": "Your application has been received", "no_main": "has no main card", "before": "after the approval and before the end", "overdue": "Overdue complaint", "done": "Done", "birthday": "Birthday"},
    "zh_CN": {"name": "何芳", "saved": "保存成功", "site": "案场", "salon": "沙龙", "phone": "电话", "house": "房屋质量", "high": "高", "contact": "联系无效", "add": "加", "yes": "是", "cards": {"active": "正常", "replaced": "换卡", "void": "注销"}, "waits": "没有等待的记录", "exists": "该会员已存在", "thanks": "感谢您的申请", "no_main": "没有主卡", "before": "活动批准后、结束前", "overdue": "投诉处理超时", "done": "已关怀", "birthday": "生日"},
}  # fmt: skip


@dataclass(slots=True)
class Club:
    """One company for both languages, with what is there before the scenario, and what stands around it."""

    company: Company
    provider: Receiver
    knock: Callable[..., Awaitable[Any]]

    async def make(self, entity: str, **values: Any) -> str:
        ctx = await system_context(self.company.id)
        return str((await execute(ctx, ops.Create(entity=entity, values=values))).record.id)

    async def deliver(self) -> list[str]:
        """Send what waits; the texts the provider got."""
        seen = len(self.provider.asked)
        async with tenant_transaction(self.company.id) as conn:
            await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1 AND status = 'queued'", self.company.id)
        await outbox.send_due()
        return [json.loads(a.body)["text"] for a in self.provider.asked[seen:]]

    async def clock(self, days: int) -> None:
        async with tenant_transaction(self.company.id) as conn:
            await set_offset(conn, self.company.id, days * 86400)
        await timers.run_all(await system_context(self.company.id))  # the worker's next tick


@pytest_asyncio.fixture(scope="module")
async def club(staffed, database):
    company = await staffed("tiannuo-club", {f"{name}-{locale[:2]}": (role, department, locale) for name, (role, department) in STAFF.items() for locale in WORDS})
    async with receiving() as provider, httpx.AsyncClient(base_url=company.base.replace(f"{company.slug}.localhost", "127.0.0.1"), timeout=60) as client:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", provider.port)}))
        ctx = await system_context(company.id)
        async with tenant_transaction(company.id) as conn:
            await integrations.save_integration(conn, company.id, "sms", "sms", "SMS", {"mode": "http", "url": f"{provider.url}/sms", "auth": "none"})
            hooks = {h.key: await inbound_hooks.ensure(conn, company.id, h, h.key) for h in ctx.config.bundle.inbound_hooks}

        async def knock(key: str, body: dict[str, Any]) -> Any:
            answer = await client.post(inbound_hooks.path_of(company.id, hooks[key]), json=body, headers={"host": company.base.removeprefix("http://")})
            assert answer.status_code == 200, answer.text
            return answer.json()["record"]

        found = Club(company, provider, knock)
        vip = await found.make("card_kind", name="VIP", group="main")
        ordinary = await found.make("card_kind", name="Ordinary", group="main", upgrade_points=500, upgrade_to=vip)
        discount = await found.make("card_kind", name="Discount", group="sub", base_points=20)
        await found.make("points_rule", name="Purchase", event="purchase", points=500)
        await found.make("project", name="Garden", old_project=True)
        await found.make("redemption_plan", name="Kettle", item="Kettle", points_needed=200, stock=9)
        await found.make("member", name="No Card", mobile="13900000055")
        for name, offer in (("Green Tea House", "8折"), ("Fit and Well", "7折")):
            await found.make("merchant_service", merchant=await found.make("merchant", name=name), name="For members", discount=offer)
        for n in range(19):
            await found.make("card", number=f"G-{n}", kind=ordinary, member=await found.make("member", name=f"Guest {n}", mobile=f"1390000{n + 100:04}"))
        for tail in ("en", "zh"):  # an ordinary-card member who is going to buy
            buyer = await found.make("member", name=f"Lu Yan {tail}", mobile=f"139000000{60 if tail == 'en' else 61}")
            await found.make("card", number=f"ORD-{tail}", kind=ordinary, member=buyer)
            await found.make("card", number=f"S-{tail}", kind=discount, member=buyer)
            await found.make("buyer", code=f"L-{tail}", name=f"Lu Yan {tail}", state="buyer", is_member=True, member=buyer)
        await timers.run_all(await system_context(company.id))  # the worker's clock goes by
        yield found
        database.settings = before


@pytest.mark.parametrize("locale", list(WORDS))
async def test_acceptance_scenario(club, visit, monkeypatch, locale) -> None:
    monkeypatch.setattr(web_forms, "FASTEST_SECONDS", 0)  # people are slower than this test
    company, w, tail = club.company, WORDS[locale], locale[:2]
    hu, jin, xie = [await visit(company, f"{name}-{tail}") for name in STAFF]
    website = await visit(company, locale=locale.replace("_", "-"), phone=True)
    name, mobile, identity = w["name"], f"1390000000{1 if tail == 'en' else 2}", IDS[locale]
    customer = await club.knock("customers", {"code": f"K-{tail}", "name": name, "id_no": identity, "mobile": mobile, "state": "prospect"})

    async def make(who, entity, query="", **values):
        await who.go(f"/r/{entity}/new{query}")
        await who.fill(values)
        await who.submit()
        await who.toast(w["saved"])
        return await who.record_id()

    async def refused(who, text, **values):
        """What was sent is not taken: the reason stands in the form."""
        await who.fill(values)
        await who.submit()
        await expect(who.page.locator("[role=alert]").first).to_contain_text(text)

    async def state(who, key):
        await expect(who.page.locator("article [data-state]").first).to_have_attribute("data-state", key)

    async def act(who, key, **values):
        await who.begin(key)
        await who.fill(values)
        await who.submit()

    async def approve(path, *, then):
        await xie.go(path)
        await xie.page.locator("#approval [data-decide] button[value=approve]").click()
        await state(xie, then)

    async def apply(**values):
        """Somebody outside applies on the website, on the telephone."""
        page = await website.go(f"/f/join?lang={locale}")
        for key, value in values.items():
            await page.locator(f"[name={key}]").fill(value)
        one, other = re.findall(r"\d+", await page.locator("label[for=f-question]").inner_text())
        await page.locator("[name=question]").fill(str(int(one) + int(other)))
        await page.locator("form.auth-form button.primary").click()

    # 1 a word that was missing in a dictionary
    await hu.go("/option-lists")
    box = hu.page.locator("[data-option-list=exit_type]")
    await box.locator(f"[name={locale}]").fill(f"Moved abroad {tail}")
    await box.locator("button.primary").click()
    await expect(hu.page.locator("[data-option-list=exit_type]")).to_contain_text(f"Moved abroad {tail}")

    # 2, 3 two applications of the same person wait: from the sales site, and from the public page
    await make(jin, "application", name=name, id_no=identity, mobile=mobile, channel=w["site"])
    await state(jin, "pending")
    await apply(name=name, mobile=mobile)
    await expect(website.page.locator("[data-thanks]")).to_contain_text(w["thanks"])

    # 4 both become one new member with a card; nothing waits any more, and the marketing system's customer is a member
    await hu.go("/reviews/membership")
    await expect(hu.page.locator("[data-queue] [data-item]")).to_have_count(2)
    await hu.page.locator("[data-queue] a.title-link").last.click()
    await expect(hu.page.locator("[data-targets] [name=_target]")).to_have_count(0)
    await hu.page.locator("[data-sources] [name=_sources]").check()
    await hu.fill({"address": "1 Park Road", "card_no": f"VIP-{tail}", "card_kind": "VIP"})
    await hu.page.locator("button.case-sources_only").click()
    await expect(hu.page.locator(".blank h2")).to_have_text(w["waits"])
    await hu.go(f"/r/buyer?q=K-{tail}")
    await expect(hu.row(name)).to_contain_text(w["yes"])

    # 5 the number is known: the website says so; from the sales site it is the purchase that is associated
    await apply(name=name, mobile=mobile, id_no=identity)
    await expect(website.page.locator("[role=alert]")).to_contain_text(w["exists"])
    await make(jin, "application", name=name, id_no=identity, mobile=mobile, channel=w["site"], project="Garden")
    await state(jin, "merged")
    await hu.go(f"/r/buyer/{customer}?tab=purchases")
    await expect(hu.page.locator("#related-purchases tbody tr")).to_contain_text("Garden")

    # 6 the welcome text fails once: listed for another try, which succeeds
    club.provider.answer = lambda asked: "400 no such number"
    await club.deliver()
    await hu.go("/r/notice")
    await expect(hu.row(name)).to_have_count(1)
    await hu.go("/r/member?view=not_notified")
    await expect(hu.row(name)).to_have_count(1)
    club.provider.answer = lambda asked: "200 OK"
    await run_due(await system_context(company.id, at=datetime.now(UTC) + timedelta(days=1)), again=True)
    assert [t for t in await club.deliver() if name in t]
    member = await hu.open_row(name)
    await expect(hu.page.locator(".record-sub")).to_contain_text(w["yes"])
    await expect(hu.page.locator(".record-sub")).to_contain_text("VIP")

    # 7 a new number, and the day of birth: the history has both
    birthday = datetime(1985, 3, 1 if tail == "en" else 2)
    await hu.page.locator("[data-key=e]").click()
    await hu.fill({"mobile": f"1390000009{1 if tail == 'en' else 2}", "birthday": birthday.date().isoformat()})
    await hu.submit()
    await hu.toast(w["saved"])
    await expect(hu.page.locator("#timeline")).to_contain_text(re.compile(rf"139 0000 000{mobile[-1]}.*139 0000 009{mobile[-1]}", re.S))

    # 8 a sub-card adds its points to the main card; without a main card there is none
    await make(hu, "card", number=f"D-{tail}", kind="Discount", member=name)
    await hu.page.locator(".detail[data-field=main_card] a").click()
    await expect(hu.page.locator(".record-sub")).to_contain_text(re.compile(r"(?<!\d)20(?!\d)"))
    await hu.go("/r/card/new")
    await refused(hu, w["no_main"], number=f"D-x{tail}", kind="Discount", member="No Card")

    # 9 points without an origin are refused
    await hu.go("/r/points_entry/new")
    await hu.fill({"member": name, "direction": w["add"], "points": "100"})
    await hu.submit()
    await hu.problem("event")

    # 10 a purchase: nothing at 80 %, points at 100 %, after Xie's approval
    paid = {"number": f"C-{tail}", "customer": f"K-{tail}", "project": "Garden", "unit": "3-1201", "date": "2026-05-01", "price": "2000000"}
    await club.knock("purchases", {**paid, "rate": 80})
    await xie.go("/r/points_entry?view=pending")
    await expect(xie.row(name)).to_have_count(0)
    await club.knock("purchases", {**paid, "rate": 100})
    await club.knock("purchases", {**paid, "number": f"C-L{tail}", "customer": f"L-{tail}", "rate": 100})
    for who in (f"Lu Yan {tail}", name):
        await xie.go("/r/points_entry?view=pending")
        await expect(xie.row(who)).to_contain_text("500")
        await xie.open_row(who)
        await xie.transition("approve").click()
        await state(xie, "approved")
    await hu.go(f"/r/member/{member}")
    await expect(hu.page.locator(".record-sub")).to_contain_text("520")

    # 11 the threshold is reached: a request, carried out with a new main card; the old sub-card is void
    await hu.go("/r/upgrade")
    await hu.row(f"Lu Yan {tail}").locator("a.title-link").click()
    await act(hu, "execute", new_number=f"NEW-{tail}")
    await state(hu, "executed")
    await hu.go(f"/r/card?view=all&q={tail}")
    for number, was in ((f"NEW-{tail}", "active"), (f"ORD-{tail}", "replaced"), (f"S-{tail}", "void")):
        await expect(hu.row(number)).to_contain_text(w["cards"][was])

    # 12 an activity: no participants before Xie has approved; then the reader adds twenty cards
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    salon = await make(hu, "activity", name=f"Salon {tail}", type=w["salon"], start=f"{day}T13:30", end=f"{day}T17:00", expected="30", expected_cost="6000", points_each="10")
    number = (await hu.value("number").inner_text()).strip()
    await hu.go(f"/r/participation/new?activity={salon}")
    await refused(hu, w["before"], member=name)
    await hu.go(f"/r/activity/{salon}")
    await hu.transition("submit").click()
    await state(hu, "in_approval")
    await approve(f"/r/activity/{salon}", then="approved")
    for card in (f"VIP-{tail}", *(f"G-{n}" for n in range(19))):
        await club.knock("reader", {"id": f"{tail} {card}", "activity": number, "card": card})

    # 13 costs, tried before they are kept; after the end nobody takes part
    await hu.go("/entry/cost")
    await hu.fill({"activity": f"Salon {tail}", "public_cost": "4000", "per_head": "50"})
    for amount in ("1,000.00", "5,000.00", "250.00"):
        await expect(hu.page.locator("main form")).to_contain_text(amount)
    await hu.submit()
    for key, amount in (("apportioned", "1,000.00"), ("total", "5,000.00"), ("per_capita", "250.00")):
        await expect(hu.value(key).first).to_contain_text(amount)
    await hu.go(f"/r/activity/{salon}")
    await expect(hu.page.locator(".record-sub")).to_contain_text(re.compile(r"(?<!\d)20(?!\d)"))
    await act(hu, "finish")
    await state(hu, "ended")
    await hu.go(f"/r/participation/new?activity={salon}")
    await refused(hu, w["before"], member="No Card")

    # 14 her birthday: the text was sent; seen from the member and from the care side
    await club.deliver()
    await run_due(await system_context(company.id, at=birthday.replace(year=datetime.now(UTC).year + 1, hour=1, tzinfo=UTC)), again=True)
    assert any("生日快乐" in text and name in text for text in await club.deliver())  # in the company's language
    await hu.go("/r/care?view=all")
    await expect(hu.row(name).filter(has_text=w["birthday"])).to_contain_text(w["done"])
    await hu.go(f"/r/member/{member}?tab=activities")
    await expect(hu.page.locator("#related-cares tbody tr", has_text=w["birthday"])).to_contain_text(w["done"])

    # 15 a complaint whose step is overdue: listed and reminded of; another step, and it is closed
    complaint = await make(hu, "complaint", member=name, channel=w["phone"], type=w["house"], importance=w["high"], content="Wall crack")
    title = await hu.page.locator("article h1").inner_text()
    await make(hu, "complaint_step", f"?complaint={complaint}", opinion="Somebody looks", expected=(datetime.now(UTC) + timedelta(days=1)).date().isoformat())
    await club.clock(days=3)
    await hu.go("/notifications")
    await expect(hu.page.locator(".note", has_text=f"{w['overdue']}").filter(has_text=title)).to_have_count(1)
    await hu.go("/r/complaint?view=overdue")
    await expect(hu.row(name)).to_have_count(1)
    await make(hu, "complaint_step", f"?complaint={complaint}", opinion="Repaired")
    await hu.go(f"/r/complaint/{complaint}")
    await hu.transition("close").click()
    await state(hu, "done")
    await club.clock(days=0)

    # 16 a kettle; more than the balance is refused; she sees it on the website
    await make(hu, "redemption", plan="Kettle", member=name)
    await hu.go("/r/redemption/new")
    await refused(hu, "330", plan="Kettle", member=name, quantity="2")
    account = await create_user(company.id, f"fang-{tail}@{company.slug}.example", PASSWORD, name, ["member"], locale=locale)
    await execute(await system_context(company.id), ops.Update(entity="member", id=UUID(member), values={"account": str(account)}))
    await website.sign_in(f"fang-{tail}@{company.slug}.example", PASSWORD)
    await website.go("/r/redemption")
    await expect(website.row("Kettle")).to_have_count(1)
    await website.go(f"/r/member/{member}")
    await expect(website.page.locator(".record-sub")).to_contain_text("330")

    # 17 the exit: filed here, with the new word among the types, approved there
    await hu.go(f"/r/member/{member}")
    await hu.begin("request_exit")
    await expect(hu.within().locator("[name=exit_type]")).to_contain_text(f"Moved abroad {tail}")
    await hu.fill({"exit_type": w["contact"]})
    await hu.submit()
    await state(hu, "pending_exit")
    await approve(f"/r/member/{member}", then="exited")
    assert any("已退出" in text and name in text for text in await club.deliver())
    await hu.go("/r/member?view=archive")
    await expect(hu.row(name)).to_contain_text(w["contact"])
    await hu.go(f"/r/card?view=all&q={tail}")
    for card in (f"VIP-{tail}", f"D-{tail}"):
        await expect(hu.page.locator("tr[data-record-id]", has=hu.page.get_by_text(card, exact=True))).to_contain_text(w["cards"]["void"])

    # 18 a merchant by the discount of its service
    await hu.go("/r/merchant_service?q=8折")
    await expect(hu.page.locator("tr[data-record-id]")).to_have_count(1)
    await hu.row("Green Tea House").get_by_role("link", name="Green Tea House").click()
    await expect(hu.page.locator("#related-offers")).to_contain_text("8折")
