"""Plan and usage over HTTP: the page, what a closed workspace still lets people do, and what each way to change something is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.runtime import jobs
from saas.tenants import create_user, find_tenant, set_tenant_limits, set_tenant_plan, set_tenant_status, set_trial_end
from tests.acceptance.api import Person
from tests.integration.test_pages import Browser, make

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    made = await tenant_factory(pack="baseline-crm")
    await create_user(made.id, f"seller@{made.slug}.example", PASSWORD, "Seller", ["sales"], locale="en")
    return made


@pytest_asyncio.fixture
async def admin(http, tenant) -> Browser:
    return await come(http, tenant, tenant.admin_email)


@pytest_asyncio.fixture
async def seller(http, tenant) -> Browser:
    return await come(http, tenant, f"seller@{tenant.slug}.example")


@pytest_asyncio.fixture
async def program(http, tenant) -> Person:
    return await Person(http, f"{tenant.slug}.localhost").sign_in(tenant.admin_email, PASSWORD)


async def come(http, tenant, email) -> Browser:
    browser = Browser(http, f"{tenant.slug}.localhost")
    assert (await browser.sign_in(email)).status_code == 303
    return browser


@pytest_asyncio.fixture
async def state(tenant):
    """`await state("suspended")`; active again afterwards."""

    async def put(status: str) -> None:
        await set_tenant_status(tenant.slug, status)

    yield put
    await set_tenant_status(tenant.slug, "active")


async def test_the_page_tells_what_is_used_and_is_the_administrators(tenant, admin, seller):
    await set_tenant_plan(tenant.slug, "free")
    await set_tenant_limits(tenant.slug, {"seats": 2, "mails": 0})
    try:
        page = (await admin.get("/settings/plan")).text
        assert 'data-plan="Free"' in page and 'data-limit="seats" data-level="100"' in page and 'data-limit="records" data-level="0"' in page
        assert "operator of this service" in page or "Change the plan" in page
        chinese = (await admin.get("/settings/plan?chart=seats", accept_language="zh-CN")).text
        assert 'data-chart="data-usage"' in chinese
        refused = await seller.get("/settings/plan")
        assert refused.status_code == 403
        assert 'href="/settings/plan"' not in (await seller.get("/profile")).text
    finally:
        await set_tenant_plan(tenant.slug, "unlimited")
        await set_tenant_limits(tenant.slug, {})


async def test_banners_say_how_the_workspace_stands(tenant, admin, seller, state):
    for status, words in (("suspended", "This workspace is suspended."), ("read_only", "read-only"), ("past_due", "overdue")):
        await state(status)
        for browser in (admin, seller):
            page = (await browser.get("/r/customer")).text
            assert words in page and "data-banner=" in page
    await state("active")
    await set_trial_end(tenant.slug, datetime.now(UTC) + timedelta(days=2, hours=3))
    assert "3 days of the trial are left." in (await admin.get("/r/customer")).text
    assert "data-banner" not in (await seller.get("/r/customer")).text
    await set_trial_end(tenant.slug, datetime.now(UTC) - timedelta(hours=3))
    assert "data-banner" not in (await admin.get("/r/customer")).text
    await set_trial_end(tenant.slug, None)


async def test_a_warning_leads_to_the_page(tenant, admin):
    from saas.runtime import usage

    await set_tenant_limits(tenant.slug, {"seats": 2})
    try:
        await usage.settle_one(tenant.id)
        async with tenant_transaction(tenant.id) as conn:
            note = await conn.fetchval("SELECT n.id FROM notification n JOIN app_user u ON u.tenant_id = n.tenant_id AND u.id = n.user_id WHERE n.tenant_id = $1 AND n.kind = 'usage' AND u.email = $2", tenant.id, tenant.admin_email)
        assert (await admin.get(f"/notifications/{note}")).headers["location"] == "/settings/plan"
    finally:
        await set_tenant_limits(tenant.slug, {})


CHANGES = (
    ("/r/customer/new", {"name": "Typed while closed"}), ("/r/customer/views", {"name": "Mine", "query": ""}), ("/r/customer/bulk", {"act": "delete", "ids": ""}),
    ("/r/customer/import", {}), ("/settings/brand", {"name": "Other"}), ("/settings/users/new", {"email": "x@x.example"}), ("/settings/security", {"minimum_length": "10"}),
    ("/settings/draft/publish", {}), ("/settings/invitations/new", {"email": "x@x.example"}), ("/settings/speed/measure", {"subject": "views[customer:all]"}), ("/settings/packs", {"key": "x"}),
)  # fmt: skip


@pytest.mark.parametrize("status", ["suspended", "read_only"])
async def test_a_closed_workspace_is_read_and_exported_and_nothing_else(http, tenant, admin, program, state, status):
    record = await make(admin, "customer", name=f"Before {status}")
    await state(status)
    words = {"suspended": "suspended", "read_only": "read-only"}[status]
    for path in ("/r/customer", f"/r/customer/{record}", "/settings/plan", "/settings/everything", "/reports", "/search?q=Before"):
        assert (await admin.get(path)).status_code == 200, path
    assert words in (await admin.get("/r/customer/new")).text.partition("data-error-summary")[2], "said before somebody types"
    assert f"/r/customer/{record}/edit" not in (await admin.get(f"/r/customer/{record}")).text, "nothing is offered that would be refused"
    assert words in (await admin.get(f"/r/customer/{record}/edit")).text
    for path, form in (*CHANGES, (f"/r/customer/{record}/edit", {"name": "Typed while closed", "version": "1"}), (f"/r/customer/{record}/delete", {"confirmed": "1"})):
        answer = await admin.post(path, form)
        assert answer.status_code in (403, 404, 405), (path, answer.status_code)
        if answer.status_code == 403:
            assert words in answer.text, path
            if "Typed" in str(form):
                assert "Typed while closed" in answer.text, path
    calls = (
        ("POST", "/records/customer", {"values": {"name": "No"}}), ("PATCH", f"/records/customer/{record}", {"values": {"name": "No"}}), ("DELETE", f"/records/customer/{record}", None),
        ("POST", "/imports", {"entity": "customer", "rows": [{"name": "No"}]}), ("POST", "/config/publish", {"patch": {}, "base_revision": 1}),
        ("POST", "/records/customer/bulk", {"action": "delete", "ids": [record]}), ("POST", "/invitations", {"email": "x@x.example", "roles": ["sales"]}),
    )  # fmt: skip
    for method, path, body in calls:
        answer = await program.send(method, path, body)
        assert answer.status_code == 403 and answer.json()["reason"] == status, (path, answer.text)
    upload = await http.post("/api/v1/files", files={"file": ("a.txt", b"a")}, data={"entity": "interaction", "field": "attachments"}, headers={"host": program.host, "authorization": f"Bearer {program.token}"})
    assert upload.status_code == 403
    assert (await program.send("POST", "/records/customer/aggregate", {"measures": [{"fn": "count"}]})).status_code == 200
    assert (await admin.post("/r/customer/export", {"format": "csv"})).status_code in (200, 303)
    assert (await admin.post("/settings/everything", {})).status_code == 303
    async with tenant_transaction(tenant.id) as conn:
        names = [r[0] for r in await conn.fetch("SELECT DISTINCT kind FROM job WHERE tenant_id = $1", tenant.id)]
        assert "import_records" not in names and not await conn.fetchval("SELECT true FROM invitation WHERE tenant_id = $1", tenant.id)
    assert (await admin.post("/profile", {"name": "Admin", "locale": "en"})).status_code in (200, 303)
    assert (await admin.get(f"/files/{uuid4()}")).status_code == 404


async def test_what_was_queued_before_changes_nothing_either(tenant, admin, program, state):
    """A job of a person waits until the worker takes it; the workspace is closed by then. Schedules are not run at all."""
    from saas.runtime import bulk, worker
    from saas.runtime.contexts import context_for_user

    record = await make(admin, "customer", name="Queued")
    ctx = await context_for_user(tenant.id, program.id)
    async with tenant_transaction(tenant.id) as conn:
        payload = {"plan": bulk.BulkPlan("customer", "delete").to_json(), "ids": [record], "locale": "en"}
        job_id = await jobs.enqueue(conn, ctx, "bulk_edit", payload, total=1)
    await state("suspended")
    await worker.drain()
    async with tenant_transaction(tenant.id) as conn:
        ended = await conn.fetchrow("SELECT status, result::text, error FROM job WHERE tenant_id = $1 AND id = $2", tenant.id, job_id)
        assert ended["status"] in ("failed", "done") and "suspended" in f"{ended['result']} {ended['error']}"
        assert await conn.fetchval("SELECT deleted_at IS NULL FROM record WHERE tenant_id = $1 AND id = $2", tenant.id, UUID(record))
    assert not (await find_tenant(tenant.slug)).is_active
