"""The operator's console over HTTP: signing in with the second factor, the list, one tenant with its acts, announcements, switches,
monitors, and what stands in the audit log."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pyotp
import pytest
import pytest_asyncio

from saas.db import system_transaction, tenant_transaction
from saas.errors import NotFound
from saas.runtime import jobs
from saas.runtime.contexts import system_context
from saas.tenants import create_operator, figures, find_tenant, list_audit, platform, traffic
from saas.tenants.features import FEATURES, is_on, set_installation_feature, set_tenant_feature
from tests.factories import PASSWORD
from tests.integration.test_pages import Browser

HOST = "operator.localhost"


class Phone:
    """An authenticator app. Each code opens once, so it tells that of this half minute and then the next one, which opens early."""

    def __init__(self, secret: str) -> None:
        self.totp, self.step = pyotp.TOTP(secret), 0

    def code(self) -> str:
        self.step = max(self.step + 1, int(time.time()) // 30)
        return self.totp.generate_otp(self.step)


async def enter(http: httpx.AsyncClient, email: str, **account: Any) -> tuple[Browser, Phone, list[str]]:
    """A new operator's first sign-in."""
    await create_operator(email, PASSWORD, **account)
    browser = Browser(http, HOST)
    assert (await browser.post("/login", {"email": email, "password": PASSWORD})).status_code == 303
    led = await browser.get("/")
    assert led.status_code == 303 and led.headers["location"] == "/account/second-factor"
    page = await browser.get("/account/second-factor")
    phone = Phone(re.search(r"data-secret>([A-Z2-7 ]+)<", page.text)[1].replace(" ", ""))
    offer = re.search(r'name="offer" value="([^"]+)"', page.text)[1]
    page = await browser.post("/account/second-factor", {"offer": offer, "code": phone.code()})
    codes = re.findall(r"<li>([A-Z0-9]{4}(?:-[A-Z0-9]{4}){3})</li>", page.text)
    assert page.status_code == 200 and len(codes) == 10
    return browser, phone, codes


@pytest_asyncio.fixture(scope="module")
async def seat(settings, database):
    from saas.app import create_app

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(settings)), base_url="http://localhost") as http:
        yield http


@pytest_asyncio.fixture(scope="module")
async def console(seat) -> Browser:
    return (await enter(seat, "console@platform.example", name="Connie"))[0]


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


async def acts_of(slug: str) -> list[tuple[str, dict[str, Any]]]:
    async with system_transaction("operator_console") as conn:
        return [(r["kind"], json.loads(r["data"])) for r in await conn.fetch("SELECT kind, data FROM operator_audit WHERE tenant_id_text = $1 AND operator_id IS NOT NULL ORDER BY at DESC", slug)]


# ---- signing in --------------------------------------------------------------------------------------------------------------


async def test_nothing_opens_without_a_second_factor(seat):
    email = "fresh@platform.example"
    await create_operator(email, PASSWORD)
    browser = Browser(seat, HOST)
    await browser.post("/login", {"email": email, "password": PASSWORD})
    await browser.get("/account/second-factor")
    for path in ("/", "/tenants", "/operators", "/announcements", "/switches", "/monitor/jobs", "/monitor/mail", "/operator-audit", "/operator-audit/csv"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account/second-factor"), path
    assert (await browser.post("/switches/api_keys", {"state": "off"})).headers["location"] == "/account/second-factor"
    assert is_on(None, "api_keys")
    token = await seat.post("/api/v1/tokens", json={"email": email, "password": PASSWORD}, headers={"host": HOST})
    assert token.status_code == 201  # programs of an operator without one, as SAAS_OPERATOR_TOTP says
    bearer = {"host": HOST, "authorization": f"Bearer {token.json()['token']}"}
    assert (await seat.get("/api/v1/tenants", headers=bearer)).status_code == 200
    program = Browser(seat, HOST)
    program.cookies["session"] = token.json()["token"]
    for path in ("/", "/account/second-factor"):
        assert (await program.get(path)).headers["location"].startswith("/login"), path  # a program's token opens no page
    page = await browser.get("/account/second-factor")
    phone = Phone(re.search(r"data-secret>([A-Z2-7 ]+)<", page.text)[1].replace(" ", ""))
    offer = re.search(r'name="offer" value="([^"]+)"', page.text)[1]
    assert (await browser.post("/account/second-factor", {"offer": offer, "code": phone.code()})).status_code == 200
    assert (await browser.get("/")).status_code == 200
    assert (await seat.get("/api/v1/tenants", headers=bearer)).status_code == 401  # what was got without a code ends


async def test_then_each_sign_in_asks_for_a_code(seat):
    _browser, phone, codes = await enter(seat, "codes@platform.example")
    browser = Browser(seat, HOST)
    answer = await browser.post("/login", {"email": "codes@platform.example", "password": PASSWORD})
    assert answer.headers["location"] == "/login/code" and "session" not in browser.cookies
    step = dict(browser.cookies)
    assert (await browser.get("/")).headers["location"] == "/login"
    await browser.get("/login/code")
    assert (await browser.post("/login/code", {"code": "AAAA-AAAA-AAAA-AAAA"})).status_code == 401
    assert (await browser.post("/login/code", {"code": codes[0]})).status_code == 303
    assert (await browser.get("/")).status_code == 200
    again = Browser(seat, HOST)
    again.cookies = step
    assert (await again.post("/login/code", {"code": codes[1]})).headers["location"] == "/login"  # the step is used up
    call = {"email": "codes@platform.example", "password": PASSWORD}
    refused = await seat.post("/api/v1/tokens", json=call, headers={"host": HOST})
    assert refused.status_code == 401 and refused.json()["code"] == "second_factor_required"
    assert (await seat.post("/api/v1/tokens", json={**call, "totp": phone.code()}, headers={"host": HOST})).status_code == 201
    assert (await seat.get("/api/v1/tenants", headers={"host": HOST, "authorization": f"Bearer {browser.cookies['session']}"})).status_code == 401  # a page's session is no program's


async def test_ones_own_password_needs_the_old_one_and_a_code(seat):
    browser, _phone, codes = await enter(seat, "own@platform.example", role="read")
    elsewhere = Browser(seat, HOST)
    await elsewhere.post("/login", {"email": "own@platform.example", "password": PASSWORD})
    await elsewhere.post("/login/code", {"code": codes[0]})
    assert (await elsewhere.get("/")).status_code == 200
    typed = {"current": PASSWORD, "code": codes[1], "password": "another long phrase"}
    for wrong, field in (({"current": "wrong"}, "current"), ({"code": "000000"}, "code"), ({"password": "short"}, "password")):
        answer = await browser.post("/account/password", {**typed, **wrong})
        assert answer.status_code == 422 and re.search(rf'data-error-for="{field}"[^>]*>[^<]+<', answer.text), field
    assert (await browser.post("/account/password", {**typed, "code": codes[2]})).status_code == 303
    assert (await browser.get("/")).status_code == 200
    assert (await elsewhere.get("/")).status_code == 303  # signed out
    again = Browser(seat, HOST)
    assert (await again.post("/login", {"email": "own@platform.example", "password": PASSWORD})).status_code == 401
    assert (await again.post("/login", {"email": "own@platform.example", "password": "another long phrase"})).headers["location"] == "/login/code"


async def test_who_only_looks_changes_nothing(seat, tenant):
    reader, _phone, _codes = await enter(seat, "reader@platform.example", role="read")
    assert "Have it deleted" not in (await reader.get(f"/tenants/{tenant.slug}")).text
    posts = [f"/tenants/{tenant.slug}/suspend", "/tenants", "/announcements", "/switches/api_keys", "/operators", f"/monitor/jobs/{uuid4()}", f"/tenants/{tenant.slug}/support"]
    for path in posts:
        assert (await reader.post(path, {"reason": "because", "state": "off"})).status_code == 403, path
    assert (await reader.post(f"/tenants/{tenant.slug}/export", {"reason": "because"})).status_code == 403


async def test_no_page_of_it_is_on_other_hosts(seat, tenant, console):
    for host in (f"{tenant.slug}.localhost", "localhost"):
        stray = Browser(seat, host)
        stray.cookies = dict(console.cookies)
        for path in ("/tenants", f"/tenants/{tenant.slug}", "/operators", "/switches", "/monitor/jobs", "/operator-audit"):
            assert (await stray.get(path)).status_code == 404, (host, path)


# ---- the list ----------------------------------------------------------------------------------------------------------------


async def test_the_list_shows_what_was_measured(seat, console, tenant):
    for number in range(3):
        traffic.note(tenant.id, method="GET", route="/r/{entity}", status=500 if number == 0 else 200, seconds=0.1, request_id=f"request-{number}")
    await traffic.store()
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("INSERT INTO usage_day (tenant_id, meter, day, amount) VALUES ($1, 'records', (now() AT TIME ZONE 'UTC')::date, 1234) ON CONFLICT (tenant_id, meter, day) DO UPDATE SET amount = 1234", tenant.id)
    assert await figures.measure() >= 1
    row = (await figures.list_figures(q=tenant.slug)).rows[0]
    assert (row["records"], row["seats"], row["errors_hour"], row["trouble"]) == (1234, 1, 1, 2) and row["requests_day"] >= 3
    page = await console.get(f"/?q={tenant.slug.upper()}")
    assert "1,234" in page.text and "in trouble" in page.text and page.text.count("data-tenant=") == 1
    detail = await console.get(f"/tenants/{tenant.slug}")
    assert "request-0" in detail.text and "/r/{entity}" in detail.text
    assert (await figures.list_figures(sort="-errors")).rows[0]["errors_day"] >= 1
    assert (await figures.list_figures(q="100%_no")).total == 0
    assert "Nothing found" in (await console.get("/?status=suspended&q=zzz")).text


async def test_ten_thousand_are_listed_at_once(seat, console):
    """The list reads one row a tenant, whatever they hold."""
    ids = [uuid4() for _ in range(10_000)]
    async with system_transaction("operator_console") as conn:
        await conn.execute("INSERT INTO tenant (id, slug, name) SELECT i, 'many-' || n, 'Many ' || n FROM unnest($1::uuid[]) WITH ORDINALITY x (i, n)", ids)
        await conn.execute("INSERT INTO tenant_figures (tenant, records, errors_day, requests_hour) SELECT i, n, n % 7, n % 100 FROM unnest($1::uuid[]) WITH ORDINALITY x (i, n)", ids)
    try:
        began = time.perf_counter()
        found = await figures.list_figures(q="many-", sort="-records", page=3)
        assert found.total == 10_000 and [r["records"] for r in found.rows] == list(range(9_900, 9_850, -1))
        page = await console.get("/?sort=-health&page=2")
        assert page.status_code == 200 and page.text.count("data-tenant=") == figures.PAGE
        assert time.perf_counter() - began < 20  # some hundred milliseconds, on a machine that does other things as well
    finally:
        async with system_transaction("operator_console") as conn:
            await conn.execute("DELETE FROM tenant WHERE id = ANY($1)", ids)
            await conn.execute("DELETE FROM tenant_figures WHERE tenant = ANY($1)", ids)


# ---- acts ----------------------------------------------------------------------------------------------------------------------


async def test_suspended_says_why_on_every_page(seat, console, tenant):
    base = f"/tenants/{tenant.slug}"
    await console.get(base)
    assert (await console.post(f"{base}/suspend", {"reason": ""})).status_code == 422
    assert (await console.post(f"{base}/suspend", {"reason": "The invoice of May is open <b>"})).status_code == 303
    admin = Browser(seat, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email, tenant.admin_password)
    page = await admin.get("/r/customer")
    assert page.status_code == 200 and "The invoice of May is open &lt;b&gt;" in page.text
    refused = await admin.post("/r/customer/new", {"name": "Late"})
    assert refused.status_code == 403
    assert (await admin.post("/settings/everything")).status_code == 303  # taking everything along stays possible
    assert (await console.post(f"{base}/resume")).status_code == 303
    assert (await find_tenant(tenant.slug)).status_reason == "" and "invoice of May" not in (await admin.get("/r/customer")).text
    kinds = dict(await acts_of(tenant.slug))
    assert kinds["tenant.suspended"]["before"] == "active" and kinds["tenant.suspended"]["after"]["reason"].startswith("The invoice")


async def test_plan_trial_limits_with_before_and_after(console, tenant):
    base = f"/tenants/{tenant.slug}"
    await console.get(base)
    preview = await console.post(f"{base}/plan", {"plan": "free"})
    assert preview.status_code == 200 and 'name="sure"' in preview.text and (await find_tenant(tenant.slug)).plan_key == "unlimited"
    assert (await console.post(f"{base}/limits", {"how_seats": "most", "most_seats": "0"})).status_code == 303
    assert "over the limit" in (await console.post(f"{base}/plan", {"plan": "free"})).text
    assert (await console.post(f"{base}/plan", {"plan": "nothing", "sure": "yes"})).status_code == 422
    assert (await console.post(f"{base}/plan", {"plan": "team", "sure": "yes"})).status_code == 303
    for wrong in ("", "many", "-1", "1.5", "inf", "1e999999"):
        refused = await console.post(f"{base}/limits", {"how_seats": "most", "most_seats": wrong, "how_storage": "none"})
        assert refused.status_code == 422 and f'value="{wrong}"' in refused.text, wrong
        assert re.search(r'data-error-for="most_seats">[^<]+<', refused.text), wrong
    assert (await console.post(f"{base}/trial", {"until": "next week"})).status_code == 422
    assert (await console.post(f"{base}/trial", {"until": "2031-05-06"})).status_code == 303
    row = await find_tenant(tenant.slug)
    assert (row.plan_key, dict(row.limit_overrides), f"{row.trial_ends_at:%Y-%m-%d}") == ("team", {"seats": 0}, "2031-05-06")
    await console.post(f"{base}/limits", {"how_storage": "most", "most_storage": "1.5", "how_packs": "most", "most_packs": "one, two", "how_records": "none"})
    assert (await find_tenant(tenant.slug)).limit_overrides == {"storage": 3 * 2**29, "packs": ["one", "two"], "records": None}
    shown = (await console.get(base)).text
    assert 'value="1.5"' in shown and 'value="one two"' in shown
    await console.post(f"{base}/limits", {"how_seats": ""})
    assert (await find_tenant(tenant.slug)).limit_overrides == {}
    kinds = dict(await acts_of(tenant.slug))
    assert kinds["tenant.plan_changed"] == {"before": "unlimited", "after": "team"} and "tenant.trial_changed" in kinds
    await console.post(f"{base}/plan", {"plan": "unlimited", "sure": "yes"})


async def test_a_tenant_from_birth_to_export_to_deletion(seat, console):
    await console.get("/tenants")
    given = {"slug": "born-here", "name": "Born Here", "pack": "baseline-crm", "locale": "en", "plan": "free", "admin_email": "boss@born.example", "admin_password": PASSWORD}
    assert (await console.post("/tenants", {**given, "slug": "operator"})).status_code == 422
    assert (await console.post("/tenants", {**given, "admin_password": "short"})).status_code == 422
    assert (await console.post("/tenants", given)).headers["location"] == "/tenants/born-here"
    assert (await console.post("/tenants", given)).status_code == 409
    await console.get("/tenants/born-here")
    assert (await console.get("/tenants/born-here/export")).status_code in (404, 405)
    unsaid = await console.post("/tenants/born-here/export", {"reason": "no"})
    assert unsaid.status_code == 422 and "the tenant reads it." in unsaid.text
    archive = await console.post("/tenants/born-here/export", {"reason": "They leave us"})
    born = (await find_tenant("born-here")).id
    async with tenant_transaction(born) as conn:
        assert await conn.fetchval("SELECT count(*) FROM notification WHERE tenant_id = $1 AND kind = 'operator_export'", born) == 1
        assert "They leave us" in await conn.fetchval("SELECT body_text FROM mail WHERE tenant_id = $1 AND kind = 'operator_export'", born)
    assert (await list_audit(born, kind="tenant.exported"))[0]["data"]["reason"] == "They leave us"
    assert archive.status_code == 200 and archive.headers["content-disposition"] == 'attachment; filename="born-here.zip"'
    sent = await seat.post("/tenants/import", headers=console._headers({}), data={"_csrf": console.csrf, "file_slug": "born-again"}, files={"file": ("a.zip", archive.content)})
    assert sent.status_code == 303, sent.text[:500]
    assert (await find_tenant("born-again")).name == "Born Here"
    broken = await seat.post("/tenants/import", headers=console._headers({}), data={"_csrf": console.csrf, "file_slug": "born-broken"}, files={"file": ("a.zip", b"no archive")})
    assert broken.status_code == 400
    with pytest.raises(NotFound):
        await find_tenant("born-broken")
    await console.get("/tenants/born-again")
    assert (await console.post("/tenants/born-again/delete", {"confirm": "born-here"})).status_code == 422
    assert (await console.post("/tenants/born-again/delete", {"confirm": "born-again"})).status_code == 303
    assert (await find_tenant("born-again")).delete_after is not None
    assert (await console.post("/tenants/born-again/keep")).status_code == 303
    assert {"tenant.created", "tenant.exported"} <= {k for k, _ in await acts_of("born-here")} and {"tenant.imported", "tenant.deletion_taken_back"} <= {k for k, _ in await acts_of("born-again")}


# ---- everybody -----------------------------------------------------------------------------------------------------------------


async def test_announcements_reach_those_they_are_for_until_read(seat, console, tenant, tenant_factory):
    other = await tenant_factory(pack="baseline-crm")
    await console.get("/announcements")
    form = {"text_en": "Maintenance <tonight>", "text_zh_CN": "今晚维护", "kind": "warning", "from": "2020-01-01T00:00", "until": "2031-01-01T00:00", "tenants": tenant.slug}
    assert (await console.post("/announcements", {**form, "text_zh_CN": ""})).status_code == 422
    assert (await console.post("/announcements", {**form, "until": "2019-01-01T00:00"})).status_code == 422
    assert (await console.post("/announcements", {**form, "tenants": "nobody-there"})).status_code == 422
    assert (await console.post("/announcements", form)).status_code == 303
    admin, stranger = Browser(seat, f"{tenant.slug}.localhost"), Browser(seat, f"{other.slug}.localhost")
    for browser, firm in ((admin, tenant), (stranger, other)):
        await browser.sign_in(firm.admin_email, firm.admin_password)
    page = await admin.get("/r/customer")
    assert "Maintenance &lt;tonight&gt;" in page.text and 'data-banner="announcement"' in page.text
    assert "Maintenance" not in (await stranger.get("/r/customer")).text
    dismiss = re.search(r'action="(/announcements/[^"]+/dismiss)"', page.text)[1]
    assert (await admin.post(dismiss, {"next": "/r/customer"})).headers["location"] == "/r/customer"
    assert "Maintenance" not in (await admin.get("/r/customer")).text
    await console.get("/announcements")
    announcement = dismiss.split("/")[2]
    assert (await console.post(f"/announcements/{announcement}/end")).status_code == 303
    assert (await console.post(f"/announcements/{announcement}/end")).status_code == 404


async def test_switches_of_the_installation_and_of_one_tenant(seat, console, tenant):
    admin = Browser(seat, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email, tenant.admin_password)
    key = {"name": "Program", "scopes": "read", "reach": "all", "expires_at": f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"}
    made = await admin.post("/profile/keys", key)
    token = re.search(r"(?:saas|key)[A-Za-z0-9_.-]{20,}", made.text)
    await console.get("/switches")
    try:
        assert (await console.post("/switches/api_keys", {"state": "off"})).status_code == 303
        assert (await admin.post("/profile/keys", key)).status_code == 403
        if token:
            answer = await seat.get("/api/v1/me", headers={"host": f"{tenant.slug}.localhost", "authorization": f"Bearer {token[0]}"})
            assert answer.status_code == 403 and answer.json()["feature"] == "api_keys"
        await console.get(f"/tenants/{tenant.slug}")
        assert (await console.post(f"/tenants/{tenant.slug}/feature", {"key": "api_keys", "state": "on"})).status_code == 303
        assert (await admin.post("/profile/keys", key)).status_code == 200
        assert (await console.post(f"/tenants/{tenant.slug}/feature", {"key": "tenant_export", "state": "off"})).status_code == 303
        assert (await admin.post("/settings/everything")).status_code == 403
        noted = await list_audit(tenant.id, kind="tenant.feature_changed")
        assert [(e["target"], e["data"]) for e in noted] == [("tenant_export", {"before": None, "after": False}), ("api_keys", {"before": None, "after": True})]
        assert (await console.post(f"/tenants/{tenant.slug}/feature", {"key": "sign_up", "state": "off"})).status_code == 404
    finally:
        await set_installation_feature("api_keys", True)
        for name in ("api_keys", "tenant_export"):
            await set_tenant_feature(tenant.id, name, None)
        await platform.refresh()
    row = await find_tenant(tenant.slug)
    assert {name: is_on(row, name) for name in FEATURES} == {name: feature.default for name, feature in FEATURES.items()}


# ---- watching ------------------------------------------------------------------------------------------------------------------


async def test_jobs_of_everybody_and_trying_again(console, tenant):
    ctx = await system_context(tenant.id)
    async with tenant_transaction(tenant.id) as conn:
        job_id = await jobs.enqueue(conn, ctx, "export_records", {"entity": "customer"})
        await conn.execute("UPDATE job SET status = 'failed', error = 'It was interrupted too often.', finished_at = now() WHERE tenant_id = $1 AND id = $2", tenant.id, job_id)
    page = await console.get("/monitor/jobs?status=failed")
    assert f'data-job="{job_id}"' in page.text and "interrupted too often" in page.text
    assert (await console.post(f"/monitor/jobs/{job_id}", {"act": "retry"})).status_code == 303
    page = await console.get("/monitor/jobs?status=queued")
    assert f'data-job="{job_id}"' in page.text
    assert (await console.post(f"/monitor/jobs/{job_id}", {"act": "cancel"})).status_code == 303
    assert (await console.post(f"/monitor/jobs/{job_id}", {"act": "explode"})).status_code == 400
    assert {"job.retried", "job.cancelled"} <= {k for k, _ in await acts_of(tenant.slug)}


async def test_mail_is_watched_without_being_read(console, tenant):
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute(
            "INSERT INTO mail (tenant_id, id, kind, recipient, subject, body_text, status) VALUES ($1, $2, 'invitation', 'secret-person@x.example', 'Secret subject', 'Secret text', 'failed')",
            tenant.id, uuid4(),
        )  # fmt: skip
    page = await console.get("/monitor/mail?status=failed")
    assert page.status_code == 200 and tenant.slug in page.text and "Secret" not in page.text and "secret-person" not in page.text


async def test_the_audit_log_is_filtered_and_taken_along(console, tenant):
    page = await console.get(f"/operator-audit?tenant={tenant.slug}&kind=tenant.&operator=console@platform.example")
    assert page.status_code == 200 and "tenant.plan_changed" in page.text and "announcement.made" not in page.text
    assert (await console.get("/operator-audit?since=yesterday")).status_code == 400
    answer = await console.get("/operator-audit/csv?kind=tenant.")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["at", "operator", "kind", "tenant", "ip", "data"] and all(r[2].startswith("tenant.") for r in rows[1:]) and len(rows) > 3
