"""Pages over HTTP, as a browser without scripts sees them: every form works, every screen answers in both languages."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from saas.db import count_queries, query_count
from saas.tenants import create_user

PACK = "baseline-crm"
PASSWORD = "correct horse battery"


class Browser:
    """A person at one host: keeps cookies, sends the CSRF token of the page it saw last."""

    def __init__(self, http: httpx.AsyncClient, host: str) -> None:
        self.http, self.host, self.csrf = http, host, ""
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return self._seen(await self.http.get(path, headers=self._headers(headers)))

    async def post(self, path: str, data: Mapping[str, Any] | None = None, *, token: bool = True, **headers: str) -> httpx.Response:
        body = {**({"_csrf": self.csrf} if token else {}), **(data or {})}
        given = self._headers({"content-type": "application/x-www-form-urlencoded", **headers})
        return self._seen(await self.http.post(path, content=urlencode(body, doseq=True), headers=given))

    async def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        answer = await self.post("/login", {"email": email, "password": password})
        if answer.status_code == 303:
            await self.get("/profile")
        return answer

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        cookies = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        return {"host": self.host, **({"cookie": cookies} if cookies else {}), **{k.replace("_", "-"): v for k, v in more.items()}}

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _sign, rest = line.partition("=")
            value = rest.partition(";")[0]
            if "max-age=0" in line.lower().replace(" ", ""):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value.strip('"')
        if found := re.search(r'name="_csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack=PACK)


@pytest_asyncio.fixture
async def admin(http, tenant) -> Browser:
    browser = Browser(http, f"{tenant.slug}.localhost")
    assert (await browser.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    return browser


async def make(browser: Browser, entity: str, **values: Any) -> str:
    answer = await browser.post(f"/r/{entity}/new", values)
    assert answer.status_code == 303, answer.text[:2000]
    return answer.headers["location"].rpartition("/")[2]


def error_for(answer: httpx.Response, field: str) -> str:
    found = re.search(rf'data-error-for="{field}">([^<]*)<', answer.text)
    return html.unescape(found[1]) if found else ""


# ---- who ---------------------------------------------------------------------------------------------------------------


async def test_a_stranger_is_sent_to_the_sign_in_page_and_back(http, tenant):
    browser = Browser(http, f"{tenant.slug}.localhost")
    answer = await browser.get("/r/customer?q=a")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/r/customer%3Fq%3Da"
    answer = await browser.post("/login", {"email": tenant.admin_email, "password": tenant.admin_password, "next": "/r/customer?q=a"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/r/customer?q=a")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    assert "domain" not in answer.headers["set-cookie"].lower()


async def test_sign_in_never_leads_to_another_site(http, tenant):
    for address in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        browser = Browser(http, f"{tenant.slug}.localhost")
        answer = await browser.post("/login", {"email": tenant.admin_email, "password": tenant.admin_password, "next": address})
        assert answer.headers["location"] == "/"


async def test_a_wrong_password_is_said_calmly_and_keeps_the_address(http, tenant):
    browser = Browser(http, f"{tenant.slug}.localhost")
    answer = await browser.post("/login", {"email": "nobody@x.example", "password": "no"})
    assert answer.status_code == 401
    assert 'value="nobody@x.example"' in answer.text
    assert "session" not in browser.cookies


async def test_signing_out_ends_the_session(http, tenant):
    browser = Browser(http, f"{tenant.slug}.localhost")
    await browser.sign_in(tenant.admin_email, tenant.admin_password)
    token = browser.cookies["session"]
    await browser.post("/logout")
    browser.cookies["session"] = token
    assert (await browser.get("/profile")).status_code == 303


async def test_a_forged_form_changes_nothing(admin):
    for headers, token in (({}, False), ({"sec_fetch_site": "cross-site"}, True), ({"origin": "https://evil.example"}, True)):
        answer = await admin.post("/r/customer/new", {"name": "Forged"}, token=token, **headers)
        assert answer.status_code == 403
    assert "Forged" not in (await admin.get("/r/customer")).text


async def test_a_session_of_one_tenant_is_nothing_at_another(http, admin, tenant_factory):
    other = await tenant_factory(pack=PACK)
    stranger = Browser(http, f"{other.slug}.localhost")
    stranger.cookies = dict(admin.cookies)
    assert (await stranger.get("/r/customer")).status_code == 303


async def test_a_body_that_is_too_large_is_refused(http, tenant):
    browser = Browser(http, f"{tenant.slug}.localhost")
    answer = await browser.post("/login", {"email": "a@b.example", "password": "x" * 11_000_000})
    assert answer.status_code == 413


async def test_an_unknown_host_is_not_found(http):
    assert (await Browser(http, "nobody-here.localhost").get("/")).status_code == 404
    assert (await Browser(http, "127.0.0.1").get("/healthz")).status_code == 200


# ---- every screen, both languages -----------------------------------------------------------------------------------------

SCREENS = [
    "/r/customer", "/r/customer?view=key_accounts", "/r/customer/new", "/r/customer/bin", "/r/customer/views/new", "/r/customer/export", "/r/customer/import",
    "/r/opportunity/board", "/r/lead", "/notifications", "/search?q=x", "/profile", "/reports", "/settings", "/settings/brand", "/settings/entities", "/settings/entities/customer",
    "/settings/pipelines", "/settings/pipelines/opportunity", "/settings/roles", "/settings/roles/sales", "/settings/option-sets", "/settings/option-sets/industry",
    "/settings/values", "/settings/automations", "/settings/schedules", "/settings/views", "/settings/reports", "/settings/revisions", "/settings/users",
    "/settings/users/new", "/settings/audit", "/settings/jobs",
]  # fmt: skip


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.parametrize("path", SCREENS)
async def test_every_screen_answers_in_both_languages(admin, path, locale):
    admin.cookies["locale"] = locale
    answer = await admin.get(path)
    assert answer.status_code == 200, path
    assert f'<html lang="{"zh-CN" if locale == "zh_CN" else "en"}"' in answer.text
    assert " style=" not in answer.text
    assert "<main" in answer.text


async def test_all_dashboards_and_reports_of_the_pack_draw(admin):
    listed = await admin.get("/reports")
    paths = re.findall(r'class="tile" href="([^"]+)"', listed.text)
    assert len(paths) > 5
    for path in paths:
        assert (await admin.get(path)).status_code == 200, path


async def test_pages_carry_a_strict_policy(admin):
    answer = await admin.get("/r/customer")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert answer.headers["vary"].startswith("HX-Request")
    assert not re.search(r"<script(?![^>]*(src=|application/json))", answer.text)
    assert not re.search(r"\son[a-z]+=", answer.text)


async def test_static_files_are_hashed_compressed_and_kept_for_ever(admin):
    page = await admin.get("/profile")
    for url in set(re.findall(r'(?:src|href)="(/static/[^"#]+)', page.text)):
        answer = await admin.get(url, accept_encoding="br")
        assert answer.status_code == 200, url
        assert "immutable" in answer.headers["cache-control"]
        assert re.search(r"\.[0-9a-f]{12}\.", url)
    assert (await admin.get("/static/app.000000000000.css")).status_code == 404


async def test_the_brand_colour_is_the_tenants_and_readable(http, tenant, tenant_factory):
    from saas.db import tenant_transaction
    from saas.tenants import forget_host

    own = await tenant_factory(pack=PACK)
    async with tenant_transaction(own.id) as conn:
        await conn.execute("""UPDATE tenant SET brand = '{"color": "#ffd400"}' WHERE id = $1""", own.id)
    forget_host(own.slug)
    css = (await Browser(http, f"{own.slug}.localhost").get("/brand.css")).text
    assert "--brand-base:#ffd400" in css
    assert "--on-brand:#16161a" in css  # white would not be readable on yellow


# ---- records -----------------------------------------------------------------------------------------------------------


async def test_create_edit_and_history(admin):
    record = await make(admin, "customer", name="Harbour Tools Ltd", website="https://harbour.example")
    page = await admin.get(f"/r/customer/{record}")
    assert "<h1>Harbour Tools Ltd</h1>" in page.text
    form = await admin.get(f"/r/customer/{record}/edit")
    version = re.search(r'name="version" value="(\d+)"', form.text)[1]
    answer = await admin.post(f"/r/customer/{record}/edit", {"name": "Harbour Tools GmbH", "version": version})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/r/customer/{record}")
    page = await admin.get(f"/r/customer/{record}")
    assert "<h1>Harbour Tools GmbH</h1>" in page.text
    assert 'class="old">Harbour Tools Ltd' in page.text


async def test_a_refused_form_keeps_the_input_and_says_why_beside_the_field(admin):
    answer = await admin.post("/r/customer/new", {"name": "", "email": "not an address", "website": "https://kept.example"})
    assert answer.status_code == 422
    assert error_for(answer, "name")
    assert error_for(answer, "email")
    assert 'value="not an address"' in answer.text
    assert "kept.example" in answer.text
    assert 'href="#f-name"' in answer.text


async def test_hostile_text_stays_text(admin):
    name = '<img src=x onerror=alert(1)>"\'&'
    record = await make(admin, "customer", name=name)
    for path in (f"/r/customer/{record}", f"/r/customer/{record}/edit", "/r/customer", "/search?q=onerror"):
        answer = await admin.get(path)
        assert "<img src=x" not in answer.text, path
        assert html.escape(name, quote=False).replace('"', "&#34;").replace("'", "&#39;") in answer.text, path


async def test_a_stale_edit_shows_both_values_and_can_be_saved_on_purpose(admin):
    record = await make(admin, "customer", name="Stale Ltd")
    version = re.search(r'name="version" value="(\d+)"', (await admin.get(f"/r/customer/{record}/edit")).text)[1]
    await admin.post(f"/r/customer/{record}/edit", {"name": "Theirs Ltd", "version": version})
    answer = await admin.post(f"/r/customer/{record}/edit", {"name": "Mine Ltd", "version": version})
    assert answer.status_code == 409
    notice = re.search(r"data-conflict.*?</div></div>", answer.text, re.DOTALL)[0]
    assert "Theirs Ltd" in notice
    assert "Mine Ltd" in notice
    fresh = re.search(r'name="version" value="(\d+)"', answer.text)[1]
    assert (await admin.post(f"/r/customer/{record}/edit", {"name": "Mine Ltd", "version": fresh})).status_code == 303


async def test_a_duplicate_is_warned_about_and_saved_when_confirmed(admin):
    await make(admin, "customer", name="Twin Ltd", phone="+14145550111")
    answer = await admin.post("/r/customer/new", {"name": "Twin Ltd", "phone": "+14145550111"})
    assert answer.status_code == 409
    assert "data-duplicates" in answer.text
    assert "Twin Ltd" in answer.text
    again = {"name": "Twin Ltd", "phone": "+14145550111", "confirm_duplicates": "1"}
    assert (await admin.post("/r/customer/new", again)).status_code == 303


async def test_conditional_fields_come_from_the_server_without_writing(admin):
    before = await admin.get("/r/opportunity")
    answer = await admin.post("/r/opportunity/form", {"name": "Half typed"}, hx_request="true")
    assert answer.status_code == 200
    assert 'id="form-sections"' in answer.text
    assert 'value="Half typed"' in answer.text
    assert "<html" not in answer.text
    assert "Half typed" not in (await admin.get("/r/opportunity?view=all")).text + before.text


async def test_delete_asks_goes_to_the_bin_and_comes_back(admin):
    record = await make(admin, "customer", name="Gone Ltd")
    question = await admin.get(f"/r/customer/{record}/delete")
    assert "data-confirm-delete" in question.text
    assert (await admin.post(f"/r/customer/{record}/delete")).status_code == 303
    assert (await admin.get(f"/r/customer/{record}")).status_code == 404
    assert "Gone Ltd" in (await admin.get("/r/customer/bin")).text
    assert "Gone Ltd" in (await admin.get(f"/r/customer/{record}?deleted=1")).text
    assert (await admin.post(f"/r/customer/{record}/restore")).headers["location"] == f"/r/customer/{record}"
    assert (await admin.get(f"/r/customer/{record}")).status_code == 200


# ---- lists -------------------------------------------------------------------------------------------------------------


async def test_filters_chips_sort_and_paging_live_in_the_address(admin):
    for number in range(7):
        await make(admin, "campaign", name=f"Campaign {number}")
    first = await admin.get("/r/campaign?limit=5&sort=name")
    titles = re.findall(r'class="title-link"[^>]*>([^<]+)<', first.text)
    assert titles == [f"Campaign {n}" for n in range(5)]
    following = html.unescape(re.search(r'href="([^"]+)" data-key="n"', first.text)[1])
    second = await admin.get(following)
    assert "Campaign 6" in second.text
    back = html.unescape(re.search(r'href="([^"]+)" data-key="p"', second.text)[1])
    assert re.findall(r'class="title-link"[^>]*>([^<]+)<', (await admin.get(back)).text) == titles
    added = await admin.get("/r/campaign?add_field=name&add_op=contains&add_value=3")
    assert added.status_code == 303
    filtered = await admin.get(added.headers["location"])
    assert re.findall(r'class="title-link"[^>]*>([^<]+)<', filtered.text) == ["Campaign 3"]
    assert 'data-filter="name"' in filtered.text
    nothing = await admin.get("/r/campaign?f=name:eq:nothing-like-it")
    assert "Nothing matches" in nothing.text


async def test_a_list_fragment_is_only_the_list(admin):
    answer = await admin.get("/r/customer", hx_request="true", hx_target="div#list")
    assert answer.text.lstrip().startswith('<div class="page-body flush" id="list"')
    assert 'class="page-head"' in answer.text  # its menu depends on the view
    assert "<html" not in answer.text


async def test_a_list_page_needs_few_statements(admin):
    for number in range(4):
        await make(admin, "customer", name=f"Counted {number}")
    await admin.get("/r/customer")
    with count_queries():
        await admin.get("/r/customer")
        assert 0 < query_count() <= 8  # session, views, page, count, names of people, names of records, unread


async def test_bulk_edit_is_all_or_nothing(admin):
    ids = [await make(admin, "customer", name=f"Bulk {n}") for n in range(2)]
    body = {"ids": ids, "act": "edit", "field": "class", "class": "no_such_class", "confirmed": "1", "next": "/r/customer"}
    refused = await admin.post("/r/customer/bulk", body)
    assert refused.status_code == 422
    assert "Bulk 0" in refused.text
    done = await admin.post("/r/customer/bulk", {**body, "class": "key"})
    assert (done.status_code, done.headers["location"]) == (303, "/r/customer")
    assert "Key account" in (await admin.get(f"/r/customer/{ids[1]}")).text
    question = await admin.post("/r/customer/bulk", {"ids": ids, "act": "delete", "next": "/r/customer"})
    assert "Delete 2 records?" in question.text
    await admin.post("/r/customer/bulk", {"ids": ids, "act": "delete", "confirmed": "1", "next": "/r/customer"})
    assert (await admin.get(f"/r/customer/{ids[0]}")).status_code == 404


async def test_a_view_is_saved_with_its_filter_and_deleted(admin):
    await make(admin, "customer", name="Only Me Ltd")
    saved = await admin.post("/r/customer/views", {"name": "Only that one", "query": "f=name:contains:Only&sort=name"})
    assert saved.status_code == 303
    page = await admin.get(saved.headers["location"])
    assert "Only that one" in page.text
    assert re.findall(r'class="title-link"[^>]*>([^<]+)<', page.text) == ["Only Me Ltd"]
    key = saved.headers["location"].rpartition("=")[2]
    await admin.post(f"/r/customer/views/{key}/delete")
    assert "Only that one" not in (await admin.get("/r/customer")).text


async def test_drill_through_filters_become_chips(admin):
    query = urlencode({"filter": '{"and":[{"field":"name","op":"contains","value":"x"},{"field":"created_at","op":"relative","value":"this_month"}]}'})
    answer = await admin.get(f"/r/customer?{query}")
    assert answer.status_code == 200
    assert 'data-filter="name"' in answer.text
    assert 'data-filter="created_at"' in answer.text
    assert (await admin.get("/r/customer?filter=nonsense")).status_code == 400


# ---- stages ------------------------------------------------------------------------------------------------------------


async def _deal(admin: Browser, **values: Any) -> str:
    customer = await make(admin, "customer", name=f"Deal Customer {uuid4().hex[:6]}")
    return await make(admin, "opportunity", name="A deal", customer=customer, **values)


async def test_a_transition_asks_for_exactly_what_is_missing(admin):
    record = await _deal(admin)
    page = await admin.get(f"/r/opportunity/{record}")
    assert 'data-transition="lose"' in page.text or "data-transition=" in page.text
    key, url = next((k, u) for u, k in re.findall(r'href="(/r/opportunity/[^"]+/transitions/[^"]+)" data-transition="([^"]+)"', page.text) if "los" in k)
    dialog = await admin.get(url, hx_request="true", hx_target="dialog#dialog")
    assert 'name="lost_reason"' in dialog.text
    assert "<html" not in dialog.text
    refused = await admin.post(url, {})
    assert refused.status_code == 422
    assert error_for(refused, "lost_reason")
    option = re.search(r'name="lost_reason".*?<option value="([a-z_]+)"', refused.text, re.DOTALL)[1]
    done = await admin.post(url, {"lost_reason": option})
    assert (done.status_code, done.headers["location"]) == (303, f"/r/opportunity/{record}")
    assert 'data-state="lost"' in (await admin.get(f"/r/opportunity/{record}")).text
    again = await admin.post(url, {"lost_reason": option})
    assert again.status_code in (403, 409)
    assert key


async def test_the_board_moves_asks_and_refuses(admin):
    record = await _deal(admin)
    board = await admin.get("/r/opportunity/board")
    assert f'data-record-id="{record}"' in board.text
    assert 'data-stage="new"' in board.text
    card = board.text[board.text.index(f'data-record-id="{record}"') :][:600]
    targets = re.search(r'data-targets="([^"]*)"', card)[1].split()
    asks = await admin.post(f"/r/opportunity/{record}/move", {"to": "lost"}, hx_request="true", hx_target="board")
    assert asks.headers["x-move"] == "ask"
    assert 'name="lost_reason"' in asks.text
    refused = await admin.post(f"/r/opportunity/{record}/move", {"to": "won"}, hx_request="true", hx_target="board")
    if "won" not in targets:
        assert refused.status_code == 409
        assert refused.headers["x-reason"]
    listed = await admin.get(f"/r/opportunity/{record}/move")
    assert "data-transition=" in listed.text


# ---- rights ------------------------------------------------------------------------------------------------------------


async def test_a_salesperson_sees_no_settings_and_gets_calm_refusals(http, tenant, admin):
    email = f"rep@{tenant.slug}.example"
    await create_user(tenant.id, email, PASSWORD, "Rep", ["sales"])
    rep = Browser(http, f"{tenant.slug}.localhost")
    await rep.sign_in(email)
    home = await rep.get("/")
    page = await rep.get(home.headers["location"])
    assert 'href="/settings"' not in page.text
    for path in ("/settings", "/settings/users", "/settings/audit", "/settings/option-sets/industry", "/settings/jobs"):
        answer = await rep.get(path)
        assert answer.status_code == 403, path
        assert "Go back" in answer.text
        assert 'class="app"' in answer.text  # inside the shell
    as_json = await rep.get("/settings/users", accept="application/json")
    assert as_json.headers["content-type"].startswith("application/problem+json")
    assert (await rep.post("/settings/option-sets/industry", {"new.en": "x"})).status_code == 403


async def test_missing_things_read_the_same_as_hidden_ones(admin):
    answer = await admin.get("/r/customer/0197f000-0000-7000-8000-000000000000")
    assert answer.status_code == 404
    assert (await admin.get("/r/no_such_thing")).status_code == 404
    assert (await admin.get("/r/customer/not-an-id")).status_code == 404
    assert (await admin.get("/nowhere")).status_code == 404


# ---- settings ----------------------------------------------------------------------------------------------------------


async def test_an_admin_adds_a_person_but_cannot_lock_themselves_out(admin, tenant):
    answer = await admin.post("/settings/users/new", {"name": "New Colleague", "email": f"new@{tenant.slug}.example", "password": PASSWORD, "roles": ["sales"]})
    assert answer.status_code == 303
    assert "New Colleague" in (await admin.get("/settings/users")).text
    twice = await admin.post("/settings/users/new", {"name": "Twice", "email": f"new@{tenant.slug}.example", "password": PASSWORD, "roles": ["sales"]})
    assert twice.status_code == 409
    assert error_for(twice, "email")
    own = await admin.post(f"/settings/users/{tenant.admin_id}", {"name": "Me", "roles": ["sales"], "status": "active"})
    assert own.status_code == 422
    assert error_for(own, "roles")


async def test_language_and_password_are_the_persons_own(http, tenant_factory):
    own = await tenant_factory(pack=PACK)
    browser = Browser(http, f"{own.slug}.localhost")
    await browser.sign_in(own.admin_email, own.admin_password)
    await browser.post("/locale", {"locale": "zh_CN", "next": "/profile"})
    assert '<html lang="zh-CN"' in (await browser.get("/profile")).text
    wrong = await browser.post("/profile/password", {"current": "wrong", "password": "another fine one"})
    assert wrong.status_code == 422
    assert error_for(wrong, "current")
    done = await browser.post("/profile/password", {"current": own.admin_password, "password": "another fine one"})
    assert done.status_code == 303
    assert (await browser.get("/profile")).status_code == 200  # this session goes on
    assert (await Browser(http, f"{own.slug}.localhost").sign_in(own.admin_email, own.admin_password)).status_code == 401


async def test_theme_is_drawn_by_the_server(admin):
    await admin.post("/theme", {"theme": "dark", "next": "/profile"})
    assert 'data-theme="dark"' in (await admin.get("/profile")).text


# ---- operators ---------------------------------------------------------------------------------------------------------


async def test_operators_see_tenants_and_nobody_else_does(http, tenant, admin):
    from saas.db import system_transaction
    from saas.tenants import create_operator, open_operator_session

    operator_id = await create_operator("op@example.test", PASSWORD)
    operator = Browser(http, "operator.localhost")
    assert (await operator.get("/")).status_code == 303
    async with system_transaction("operator_console") as conn:  # a second factor; how it is set up is tested elsewhere
        await conn.execute("UPDATE operator_account SET factor_secret = 'x' WHERE id = $1", operator_id)
    operator.cookies["session"] = (await open_operator_session(operator_id))[0]
    page = await operator.get(f"/?q={tenant.slug}")  # other tests make more tenants than a page holds
    assert f'data-tenant="{tenant.slug}"' in page.text
    assert (await operator.post(f"/tenants/{tenant.slug}/suspend", {"reason": "The invoice of May"})).status_code == 303
    refused = await admin.post("/r/customer/new", {"name": "While suspended"})
    assert refused.status_code == 403
    assert (await operator.post(f"/tenants/{tenant.slug}/resume")).status_code == 303
    assert (await admin.post(f"/tenants/{tenant.slug}/resume")).status_code in (404, 405)
    landing = await Browser(http, "localhost").get("/")
    assert landing.status_code == 200
