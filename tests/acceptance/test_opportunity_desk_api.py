"""The acceptance scenario of opportunity-desk through the API, in both languages, every step of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD
from tests.integration.test_pages import Browser


@pytest.mark.parametrize(("locale", "language"), [("zh_CN", "zh-CN"), ("en", "en")])
async def test_acceptance_scenario(http, tenant_factory, locale, language) -> None:
    tenant = await tenant_factory(pack="opportunity-desk", locale=locale)
    people = {}
    for key in ("clerk", "manager"):
        await create_user(tenant.id, f"{key}@{tenant.slug}.example", PASSWORD, key.title(), [key], locale=locale)
        people[key] = await Person(http, f"{tenant.slug}.localhost", language=language).sign_in(f"{key}@{tenant.slug}.example", PASSWORD)
    clerk, manager = people["clerk"], people["manager"]
    today = datetime.now(UTC).date()
    words = {"zh_CN": ("未完成", "成功", "失败", "学校", "客户分类"), "en": ("Unfinished", "Success", "Failure", "School", "Category")}[locale]

    async def names(entity: str, field: str, **params) -> list[str]:
        return [r["values"][field] for r in await clerk.list(entity, **params)]

    async def enter(subject: str, customer: dict, contact: dict | None, sales: list, *, expect: int = 201):
        parts = {"customer": customer, "sales": sales} | ({"contact": contact} if contact else {})
        return await clerk.call("POST", "/forms/entry", {"values": {"subject": subject}, "parts": parts}, expect=expect)

    async def step_1_customers_are_looked_up_never_entered_by_themselves() -> None:
        for entity, values in (("customer", {"name": "Alone"}), ("contact", {"name": "Alone"}), ("opportunity", {"subject": "Alone"})):
            refused(await clerk.send("POST", f"/records/{entity}", {"values": values}), 403)
        assert await clerk.list("customer") == []

    await step_1_customers_are_looked_up_never_entered_by_themselves()
    desk = (await clerk.create("product", name="Desk", price="200", minimum=20, unit="piece"))["id"]
    await clerk.create("stock_move", product=desk, direction="in", quantity=55, reason="purchase")
    await enter("First", {"values": {"name": "Hongda School", "category": "company"}}, None, [])
    first = (await clerk.list("opportunity"))[0]["id"]

    async def step_2_everything_in_one_window() -> None:
        """What "Hong" offers is what the list finds by it; the new name is taken all the same."""
        assert await names("customer", "name", q="Hong") == ["Hongda School"]
        await enter(
            "School desks", {"values": {"name": "Hongguang School", "category": "school"}}, {"values": {"name": "Mr Pei", "phone": "025-5551234", "address": "Ninghai Rd 3"}},
            [{"values": {"product": desk, "quantity": 40}}],
        )  # fmt: skip
        found = next(r for r in await clerk.list("opportunity") if r["values"]["subject"] == "School desks")
        [sale] = await clerk.list("sale")
        assert found["state"] == sale["state"] == "unfinished" and found["display"]["outcome"] == words[0] and sale["values"]["amount"]["amount"] == "8000.00"
        assert sorted(await names("customer", "name")) == ["Hongda School", "Hongguang School"] and len(await clerk.list("contact")) == 1
        problem = await enter("Bad", {"values": {"name": "Kept nowhere"}}, None, [{"values": {"product": desk, "quantity": 0}}], expect=422)
        assert any("sales.0.quantity" in field for field in fields_of(problem)) and len(await clerk.list("customer")) == 2

    await step_2_everything_in_one_window()
    opportunity, sale = next(r for r in await clerk.list("opportunity") if r["values"]["subject"] == "School desks"), (await clerk.list("sale"))[0]
    school, contact = opportunity["values"]["customer"], opportunity["values"]["contact"]

    async def step_3_the_phone_book() -> None:
        book = (await clerk.list("contact", view="phone_book"))[0]
        assert (book["values"]["name"], book["values"]["address"]) == ("Mr Pei", "Ninghai Rd 3") and book["display"]["phone"].replace(" ", "")== "025-5551234"

    async def step_4_the_school_there_is_picked() -> None:
        assert await names("customer", "name", q="Hongg") == ["Hongguang School"]
        await enter("Blackboards", {"id": school}, {"id": contact}, [])
        assert len(await clerk.list("customer")) == 2

    async def step_5_customers_of_a_category_are_printed() -> None:
        """Found by category; the report and the printed list have one line, on paper as well."""
        assert await names("customer", "name", filter="category == 'school'") == ["Hongguang School"]
        [listed] = [w for w in (await clerk.get("/reports/customers", category="school"))["widgets"] if w["type"] == "table"]
        assert len(listed["rows"]) == 1 and "Hongguang School" in str(listed["rows"]) and words[3] in str(listed["rows"])
        desk_ = Browser(http, clerk.host)
        await desk_.sign_in(f"clerk@{tenant.slug}.example")
        sheet = (await desk_.get("/r/customer/print?f=category:in:school", accept_language=language)).text
        lines = sheet[sheet.index("data-sheet") :].partition("<tbody")[2].partition("</tbody>")[0]
        assert lines.count("<tr") == 1 and "Hongguang School" in lines and words[3] in lines and words[4] in sheet
        paper = await desk_.get("/r/customer/print/pdf?f=category:in:school")
        assert paper.status_code == 200 and paper.content.startswith(b"%PDF-")

    async def step_6_activities_of_tomorrow_and_yesterday() -> None:
        for days, subject in ((1, "Call"), (-1, "Visit")):
            await clerk.create("activity", date=(today + timedelta(days=days)).isoformat(), contact=contact, subject=subject)
        assert {r["display"]["phone"] for r in await clerk.list("activity")} == {"025-5551234"}
        assert (await names("activity", "subject", view="coming"), await names("activity", "subject", view="past")) == (["Call"], ["Visit"])

    async def step_7_a_note_is_history_the_next_day() -> None:
        await clerk.create("note", text="Order more desks")
        assert await names("note", "text", view="coming") == ["Order more desks"] and await names("note", "text", view="past") == []
        later = await system_context(tenant.id, at=datetime.now(UTC) + timedelta(days=1, hours=12))
        assert [len((await execute(later, ops.List(entity="note", view=view))).records) for view in ("coming", "past")] == [0, 1]
        assert await manager.list("note") == []  # nobody else's

    async def step_8_a_ticked_sale_leaves_the_list_and_the_stock() -> list:
        done = await clerk.move("sale", sale["id"], "tick")
        assert await clerk.list("sale", view="unfinished") == [] and [r["id"] for r in await clerk.list("sale", view="finished")] == [sale["id"]]
        assert (await clerk.get(f"/records/sale/{sale['id']}"))["display"]["confirmation"] == words[1]
        assert float((await clerk.get(f"/records/product/{desk}"))["values"]["on_hand"]) == 15
        return done["warnings"]

    async def step_9_below_the_minimum_there_is_a_warning(warnings: list) -> None:
        assert any("Desk" in str(w) for w in warnings), warnings
        assert await names("product", "name", view="low") == ["Desk"]

    async def step_10_success_and_failure() -> None:
        others = {r["values"]["subject"]: r["id"] for r in await clerk.list("opportunity")}
        await clerk.move("opportunity", others["School desks"], "tick")
        await clerk.move("opportunity", others["Blackboards"], "blank")
        assert (await clerk.get(f"/records/opportunity/{others['Blackboards']}"))["display"]["outcome"] == words[2]
        assert await names("opportunity", "subject", view="open") == ["First"]
        await clerk.send("DELETE", f"/records/opportunity/{first}")  # was only there to be suggested
        assert await clerk.list("opportunity", view="open") == []

    async def step_11_feedback_needs_its_four_links() -> str:
        problem = await clerk.create("feedback", subject="Loose screws", opportunity=opportunity["id"], customer=school, expect=422)
        assert fields_of(problem) == {"contact"}
        return (await clerk.create("feedback", subject="Loose screws", opportunity=opportunity["id"], customer=school, contact=contact))["id"]

    async def step_12_feedback_of_a_customer(made: str) -> None:
        [found] = await manager.list("feedback", filter=f'{{"field": "customer", "op": "eq", "value": "{school}"}}')
        assert found["id"] == made and [found["display"][k] for k in ("opportunity", "customer", "contact")] == ["School desks", "Hongguang School", "Mr Pei"]

    async def step_13_the_report_of_the_month() -> None:
        report = await manager.get("/reports/opportunities", period="this_month")
        assert [w["text"] for w in report["widgets"] if w["type"] == "number"][:3] == ["2", "1", "50.00"]
        [listed] = [w for w in report["widgets"] if w["type"] == "table"]
        assert len(listed["rows"]) == 2 and all(text in str(listed["rows"]) for text in ("School desks", "Blackboards", words[1], words[2]))

    await step_3_the_phone_book()
    await step_4_the_school_there_is_picked()
    await step_5_customers_of_a_category_are_printed()
    await step_6_activities_of_tomorrow_and_yesterday()
    await step_7_a_note_is_history_the_next_day()
    await step_9_below_the_minimum_there_is_a_warning(await step_8_a_ticked_sale_leaves_the_list_and_the_stock())
    await step_10_success_and_failure()
    await step_12_feedback_of_a_customer(await step_11_feedback_needs_its_four_links())
    await step_13_the_report_of_the_month()
