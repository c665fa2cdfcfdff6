"""Domains of tenants: named, proved by a real name server, answered, lost; and what must not become an address."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.app import create_app
from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound
from saas.runtime import domains as looking
from saas.settings import Settings
from saas.tenants import create_user, delete_tenant, domains, get_tenant, list_audit, open_session, resolve_host
from saas.tenants.domains import check_name, shown
from saas.tenants.links import address_of
from saas.tenants.tenants import forget_host
from tests.conftest import PASSWORD
from tests.integration.sso.browsing import Browser
from tests.mailbox import mailed, text_of
from tests.name_server import NameServer, name_server

HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest_asyncio.fixture
async def dns(database):
    async with name_server(database) as found:
        yield found


@pytest_asyncio.fixture
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


async def proved(dns: NameServer, tenant, name: str = "") -> str:
    name = await domains.add_domain(tenant.id, name or f"crm.{tenant.slug}.example")
    found = next(d for d in await domains.list_domains(tenant.id) if d.name == name)
    dns.prove(name, found.token)
    assert (await domains.check_now(tenant.id, name)).kind == "verified"
    return name


async def state(tenant, name: str) -> domains.Domain:
    return next(d for d in await domains.list_domains(tenant.id) if d.name == name)


async def due(tenant) -> None:
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE tenant_domain SET next_check_at = now() - interval '1 second' WHERE tenant_id = $1", tenant.id)


async def test_removing_the_main_domain_leads_to_the_own_address_at_once(dns, tenant, http):
    name, own = await proved(dns, tenant), f"{tenant.slug}.localhost"
    await domains.set_main(tenant.id, name)
    assert (await http.get("/r/customer", headers={"host": own, **HTML})).headers["location"].startswith(f"http://{name}")
    browser = Browser(http, name)
    assert (await browser.post("/login", {"email": tenant.admin_email, "password": PASSWORD})).status_code == 303
    answer = await browser.post("/settings/domain/remove", {"_csrf": await browser.token("/settings/domain"), "name": name})
    assert answer.status_code == 200 and answer.headers["refresh"] == f"0;url=http://{own}:8000/settings/domain"
    assert name not in (await http.get("/r/customer", headers={"host": own, **HTML})).headers["location"]


async def missing_for(tenant, days: float) -> None:
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE tenant_domain SET missing_since = now() - make_interval(secs => $2) WHERE tenant_id = $1 AND status = 'verified'", tenant.id, days * 86400)
    await due(tenant)


# ---- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "code"), [
    ("", "invalid"), ("crm", "private"), ("https://crm.example.org", "invalid"), ("crm.example.org/x", "invalid"), ("crm.example.org:443", "invalid"), ("user@crm.example.org", "invalid"),
    ("*.example.org", "wildcard"), ("crm.*.org", "wildcard"), ("127.0.0.1", "address"), ("[::1]", "invalid"), ("2130706433", "address"), ("10.0x1", "address"), ("1.2.3", "address"),
    ("localhost", "private"), ("crm.localhost", "private"), ("db.internal", "private"), ("printer.local", "private"), ("x.onion", "private"), ("1.0.0.127.in-addr.arpa", "private"),
    ("co.uk", "suffix"), ("com", "private"), ("github.io", "suffix"), ("s3.amazonaws.com", "suffix"), ("公司.cn", "suffix"),
    ("saas.example.net", "ours"), ("acme.saas.example.net", "ours"), ("operator.saas.example.net", "ours"), ("SAAS.Example.NET.", "ours"), ("example.net", "ours"), ("edge.example.com", "ours"),
    ("раураl.example.org", "mixed"), ("crm.exаmple.org", "mixed"), ("ехample.org", "mixed"), ("a b.example.org", "invalid"), ("crm..example.org", "invalid"), ("-crm.example.org", "invalid"),
    ("a_b.example.org", "invalid"), ("xn--a.example.org", "invalid"), ("x" * 64 + ".example.org", "invalid"), ("a." * 110 + "org", "invalid"), ("crm.example.org\r\nx", "invalid"), ("crm\x00.example.org", "invalid"),
    ("crm.example.org#", "invalid"), ("crm%2eexample.org", "invalid"),
])  # fmt: skip
def test_names_that_cannot_be_an_address(text, code):
    settings = Settings(base_domain="saas.example.net", domain_target="edge.example.com")
    with pytest.raises(InvalidInput) as caught:
        check_name(text, settings)
    assert caught.value.problems[0].code == code, caught.value.problems[0]


def test_names_as_dns_knows_them_and_as_people_read_them():
    settings = Settings(base_domain="saas.example.net")
    for given, name, seen in (
        (" CRM.Example.ORG. ", "crm.example.org", "crm.example.org"), ("bücher.example.org", "xn--bcher-kva.example.org", "bücher.example.org (xn--bcher-kva.example.org)"),
        ("客户.例子.中国", "xn--6oqx1r.xn--fsqu00a.xn--fiqs8s", None), ("ｃｒｍ。example。org", "crm.example.org", "crm.example.org"), ("xn--bcher-kva.example.org", "xn--bcher-kva.example.org", "bücher.example.org (xn--bcher-kva.example.org)"),
    ):  # fmt: skip
        assert check_name(given, settings) == name or seen is None
        if seen:
            assert shown(name) == seen
    for lookalike in ("аррӏе.example.org", "ѕсоре.example.org"):  # all Cyrillic, read as Latin: allowed to who owns it, never shown as letters
        name = check_name(lookalike, settings)
        assert name.startswith("xn--") and shown(name) == name
    assert "пример" in shown(check_name("пример.example.org", settings))


# ---- proving -------------------------------------------------------------------------------------------------------------


async def test_named_proved_answered_removed(dns, tenant, http, settings):
    name = await domains.add_domain(tenant.id, f"CRM.{tenant.slug}.example")
    assert name == f"crm.{tenant.slug}.example"
    with pytest.raises(Conflict):
        await domains.add_domain(tenant.id, name)
    assert (await http.get("/login", headers={"host": name})).status_code == 404, "named is not proved"
    assert (await domains.check_now(tenant.id, name)).kind == ""
    assert (await state(tenant, name)).found == "missing" and (f"_saas-challenge.{name}", "TXT") in dns.asked
    dns.records[f"_saas-challenge.{name}", "TXT"] = ["saas-domain-verification=of-somebody-else"]
    await domains.check_now(tenant.id, name)
    assert (await state(tenant, name)).found == "other"
    dns.prove(name, (await state(tenant, name)).token)
    dns.records[name, "CNAME"] = ["localhost."]
    assert (await domains.check_now(tenant.id, name)).kind == "verified"
    assert (await state(tenant, name)).points_here is True
    assert (await http.get("/login", headers={"host": name})).status_code == 200
    await domains.remove_domain(tenant.id, name)
    assert (await http.get("/login", headers={"host": name})).status_code == 404
    with pytest.raises(NotFound):
        await domains.check_now(tenant.id, name)
    assert [e["kind"] for e in await list_audit(tenant.id, limit=10) if e["kind"].startswith("domain")] == ["domain.removed", "domain.verified", "domain.added"]


async def test_one_owner_a_name_but_naming_blocks_nobody(dns, tenant, tenant_factory):
    other = await tenant_factory(pack="baseline-crm")
    name = f"crm.{tenant.slug}.example"
    await domains.add_domain(other.id, name)  # a squatter, who cannot prove it
    await proved(dns, tenant, name)
    token = (await state(other, name)).token
    dns.records[f"_saas-challenge.{name}", "TXT"].append(f"saas-domain-verification={token}")  # both records are there
    assert (await domains.check_now(other.id, name)).kind == ""
    assert (await state(other, name)).found == "taken"
    assert (await resolve_host(name)).id == tenant.id
    await domains.remove_domain(tenant.id, name)
    assert (await domains.check_now(other.id, name)).kind == "verified"
    assert (await resolve_host(name)).id == other.id
    with pytest.raises(NotFound):
        await domains.set_main(tenant.id, name)


async def test_two_prove_it_at_once(dns, tenant_factory):
    one, two = [await tenant_factory(pack="baseline-crm") for _ in range(2)]
    name = f"both.{one.slug}.example"
    for each in (one, two):
        await domains.add_domain(each.id, name)
        dns.records.setdefault((f"_saas-challenge.{name}", "TXT"), []).append("saas-domain-verification=" + (await state(each, name)).token)
    kinds = [c.kind for c in await asyncio.gather(domains.check_now(one.id, name), domains.check_now(two.id, name))]
    assert sorted(kinds) == ["", "verified"]


async def test_a_record_that_goes_missing_is_warned_about_and_then_lost(dns, tenant, database, http):
    name = await proved(dns, tenant)
    await domains.set_main(tenant.id, name)
    await create_user(tenant.id, f"sales@{tenant.slug}.example", PASSWORD, "Sales", ["sales"])
    record = dns.records.pop((f"_saas-challenge.{name}", "TXT"))
    async with mailed(database) as box:
        await due(tenant)
        assert await looking.check_due() >= 1
        assert (await state(tenant, name)).missing_since is not None
        for days in (1.1, 1.2, 4.5, 6.5):
            await missing_for(tenant, days)
            await looking.check_due()
            assert (await http.get("/login", headers={"host": name})).status_code == 200
        await missing_for(tenant, 7.1)
        await looking.check_due()
        from saas.tenants.mail import send_due

        await send_due()
        mine = box.to(tenant.admin_email)
        assert [m["Subject"].split(":")[0].split(" ")[1:3] for m in mine] != [] and len(mine) == 4, "three warnings and a farewell"
        assert f"_saas-challenge.{name}" in text_of(mine[0]) and f"http://{tenant.slug}.localhost:8000/settings/domain" in text_of(mine[-1])
        assert box.to(f"sales@{tenant.slug}.example") == []
    assert (await state(tenant, name)).status == "lost"
    assert (await http.get("/login", headers={"host": name})).status_code == 404
    assert (await get_tenant(tenant.id)).domain == ""
    dns.records[f"_saas-challenge.{name}", "TXT"] = record
    assert (await domains.check_now(tenant.id, name)).kind == "verified"


async def test_dns_that_cannot_be_asked_loses_nothing_and_servers_that_fail_do(dns, tenant, monkeypatch):
    name = await proved(dns, tenant)
    dns.silent = True
    await missing_for(tenant, 30)
    with monkeypatch.context() as patch:
        patch.setattr(domains.resolver, "LIFETIME_SECONDS", 0.3)
        await looking.check_due()
    assert (await state(tenant, name)).status == "verified" and (await state(tenant, name)).found == "unknown"
    dns.silent = False
    dns.broken.add(f"_saas-challenge.{name}")
    await missing_for(tenant, 30)
    await looking.check_due()
    assert (await state(tenant, name)).status == "lost"


async def test_a_record_that_comes_back_in_time_ends_the_worry(dns, tenant):
    name = await proved(dns, tenant)
    record = dns.records.pop((f"_saas-challenge.{name}", "TXT"))
    await due(tenant)
    await looking.check_due()
    assert (await state(tenant, name)).missing_since
    dns.records[f"_saas-challenge.{name}", "TXT"] = record
    await due(tenant)
    await looking.check_due()
    assert (await state(tenant, name)).missing_since is None


async def test_names_whose_owner_is_gone(dns, tenant_factory, settings):
    tenant = await tenant_factory(pack="baseline-crm")
    name = await proved(dns, tenant)
    owner = await asyncpg.connect(settings.database_url)
    try:
        await owner.execute("DELETE FROM tenant_domain WHERE name = $1", name)  # somebody died between two steps
        await owner.execute("UPDATE verified_domain SET verified_at = now() - interval '2 hours' WHERE name = $1", name)
        assert await domains.forget_unowned() >= 1
        assert not await domains.is_verified(name)
        again = await proved(dns, tenant, f"again.{tenant.slug}.example")
        await delete_tenant(tenant.slug)
        assert await owner.fetchval("SELECT count(*) FROM verified_domain WHERE owner_id = $1", tenant.id) == 0
    finally:
        await owner.close()
    assert await resolve_host(again) is None


async def test_nobody_is_asked_but_dns(dns, tenant, monkeypatch):
    """SSRF through the domain: whatever it points to, nothing but name servers hears of it."""
    name = await proved(dns, tenant)
    dns.records[name, "A"] = ["127.0.0.1", "169.254.169.254"]
    loop = asyncio.get_running_loop()
    opened = []
    monkeypatch.setattr(loop, "create_connection", lambda *given, **more: opened.append(given) or 1 / 0)
    await domains.check_now(tenant.id, name)
    assert opened == [] and {kind for asked, kind in dns.asked if asked == name} <= {"CNAME", "A", "AAAA"}


# ---- answering -----------------------------------------------------------------------------------------------------------


async def test_pages_lead_to_the_main_address_and_links_use_it(dns, tenant, http):
    name, old = await proved(dns, tenant), f"{tenant.slug}.localhost"
    row = await get_tenant(tenant.id)
    assert address_of(row) == f"http://{old}:8000/"
    await domains.set_main(tenant.id, name)
    assert address_of(await get_tenant(tenant.id), "/x") == f"http://{name}:8000/x"
    moved = await http.get("/r/customer?view=all&q=%2F%2Fevil.example", headers={"host": old, **HTML})
    assert moved.status_code == 307 and moved.headers["location"] == f"http://{name}:8000/r/customer?view=all&q=%2F%2Fevil.example"
    assert (await http.get("//evil.example/x", headers={"host": old, **HTML})).headers["location"].startswith(f"http://{name}:8000/")
    for path in ("/api/v1/me", "/static/x", "/brand.css", "/settings/domain", "/login?here=1"):
        assert (await http.get(path, headers={"host": old, **HTML})).headers.get("location", "").find(name) == -1, path
    assert (await http.get("/login", headers={"host": old})).status_code == 200, "no page was asked for"
    assert (await http.post("/login", data={"email": "x", "password": "y"}, headers={"host": old})).status_code == 401
    assert (await http.get("/login", headers={"host": name, **HTML})).status_code == 200
    await domains.set_main(tenant.id, name, redirects=False)
    assert (await http.get("/login", headers={"host": old, **HTML})).status_code == 200
    await domains.set_main(tenant.id, "")
    assert address_of(await get_tenant(tenant.id)) == f"http://{old}:8000/"


async def test_links_in_mails_lead_to_the_main_address_whatever_the_request_says(dns, tenant, http, database):
    from saas.tenants.mail import send_due

    name = await proved(dns, tenant)
    await domains.set_main(tenant.id, name, redirects=False)
    async with mailed(database) as box:
        for host in (f"{tenant.slug}.localhost", name):
            await http.post("/forgot", data={"email": tenant.admin_email}, headers={"host": host, "x-forwarded-host": "evil.example", "origin": f"http://{host}"})
        await send_due()
        assert len(box.to(tenant.admin_email)) == 2
        assert all(urlsplit(box.link(tenant.admin_email)).hostname == name for _ in range(2))


SPOOFED = [
    {"host": "evil.example"}, {"host": "{name}.evil.example"}, {"host": "evil.example@{name}"}, {"host": "{name}@evil.example"}, {"host": "{name}:80:80"}, {"host": "{name}/"}, {"host": "{name}#"}, {"host": " "}, {"host": ""},
    {"host": "evil.example", "x-forwarded-host": "{name}"}, {"host": "evil.example", "forwarded": "host={name}"}, {"host": "evil.example", "x-original-host": "{name}"}, {"host": "evil.example", "x-host": "{name}"},
    {"host": "{name},evil.example"}, {"host": "[{name}]"}, {"host": "127.0.0.1"}, {"host": "[::1]"}, {"host": "{name}..",}, {"host": "xn--{name}"}, {"host": "operator.{name}"}, {"host": "www.{name}"},
]  # fmt: skip


@pytest.mark.parametrize("headers", SPOOFED, ids=str)
async def test_hosts_that_are_nobodys(headers, dns, shared, http):
    tenant, name = shared
    answer = await http.get("/login", headers={key: value.format(name=name) for key, value in headers.items()})
    assert answer.status_code in (400, 404) and tenant.slug.title() not in answer.text


@pytest_asyncio.fixture(scope="module")
async def shared(database, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    async with name_server(database) as server:
        return tenant, await proved(server, tenant)


async def test_hosts_that_are_the_same(shared, http):
    tenant, name = shared
    for host in (name, name.upper(), f"{name}.", f"{name}:8443", f"{name}.:1", f"{tenant.slug}.LOCALHOST:99"):
        answer = await http.get("/login", headers={"host": host})
        assert answer.status_code == 200 and tenant.slug.title() in answer.text, host


async def test_two_hosts_are_none(shared, http):
    tenant, name = shared
    answer = await http.get("/login", headers=[("host", name), ("host", "evil.example")])
    assert answer.status_code in (400, 404)
    answer = await http.get("/login", headers={"host": name, "x-forwarded-host": f"{tenant.slug}.localhost, evil.example"})
    assert answer.status_code == 200, "not heard at all without a trusted proxy"


async def test_a_trusted_proxy_names_the_host(shared, settings):
    tenant, name = shared
    transport = httpx.ASGITransport(app=create_app(replace(settings, trusted_proxy=True)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert tenant.slug.title() in (await client.get("/login", headers={"host": "127.0.0.1:8000", "x-forwarded-host": name})).text
        assert (await client.get("/login", headers={"host": name, "x-forwarded-host": "evil.example"})).status_code == 404
        for several in (f"{name}, evil.example", f"evil.example, {name}"):  # a client's own, passed on by a careless proxy
            assert (await client.get("/login", headers={"host": "127.0.0.1", "x-forwarded-host": several})).status_code == 404
        assert tenant.slug.title() in (await client.get("/login", headers={"host": name})).text


async def test_an_absolute_address_in_the_request_line(shared, served_here):
    """RFC 9112, 3.2.2: what counts must be one thing. Our server takes the Host header; the path stays a path."""
    tenant, name = shared
    for line, host, there in (
        (b"GET http://evil.example/login HTTP/1.1", name, True), (f"GET http://{name}/login HTTP/1.1".encode(), "evil.example", False), (b"GET //evil.example/login HTTP/1.1", name, False),
    ):  # fmt: skip
        reader, writer = await asyncio.open_connection("127.0.0.1", served_here)
        writer.write(line + b"\r\nhost: " + host.encode() + b"\r\naccept: text/html\r\nconnection: close\r\n\r\n")
        answer = (await reader.read()).decode(errors="replace")
        writer.close()
        status = int(answer.split(" ", 2)[1])
        assert (status == 200 and tenant.slug.title() in answer) if there else status in (303, 307, 400, 404), (line, status)
        assert "location: http://evil" not in answer.lower() and "location: //evil" not in answer.lower()


@pytest_asyncio.fixture(scope="module")
async def served_here(database, settings):
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, lifespan="on"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def test_cookies_and_tokens_stay_with_their_tenant(dns, tenant, tenant_factory, http):
    """A session cookie, a CSRF token, an API token of one tenant on another's host or domain opens nothing."""
    other = await tenant_factory(pack="baseline-crm")
    mine, theirs = await proved(dns, tenant), await proved(dns, other)
    browser = Browser(http, mine)
    assert (await browser.post("/login", {"email": tenant.admin_email, "password": PASSWORD})).status_code == 303
    assert (await browser.get("/profile")).status_code == 200
    for host in (theirs, f"{other.slug}.localhost"):
        stolen = {"cookie": f"session={browser.cookies['session']}"}
        assert (await http.get("/profile", headers={"host": host, **stolen})).headers["location"].startswith("/login")
        assert (await http.post("/settings/brand", data={"_csrf": await browser.token("/profile"), "name": "x"}, headers={"host": host, **stolen})).status_code in (303, 401)
    token = (await http.post("/api/v1/tokens", json={"email": tenant.admin_email, "password": PASSWORD}, headers={"host": mine})).json()["token"]
    assert (await http.get("/api/v1/me", headers={"host": mine, "authorization": f"Bearer {token}"})).status_code == 200
    for host in (theirs, f"{other.slug}.localhost", "operator.localhost"):
        assert (await http.get("/api/v1/me", headers={"host": host, "authorization": f"Bearer {token}"})).status_code in (401, 404)
    api, _csrf, _expires = await open_session(other.id, other.admin_id, "api")
    assert (await http.get("/api/v1/me", headers={"host": mine, "authorization": f"Bearer {api}"})).status_code == 401
    crossed = await browser.post("/logout", {"_csrf": "x"}, headers={"origin": f"http://{theirs}"})
    assert crossed.status_code == 403, "a form on another tenant's domain"


# ---- the proxy's question ------------------------------------------------------------------------------------------------


async def test_the_proxy_asks_for_whom_it_may_get_a_certificate(shared, http, settings):
    tenant, name = shared

    async def ask(domain: str, *, headers: dict[str, str] | None = None, client=http) -> int:
        return (await client.get("/internal/domains/ask", params={"domain": domain}, headers={"host": "127.0.0.1:8000", **(headers or {})})).status_code

    assert await ask(name) == 200 and await ask(name.upper() + ".") == 200
    for wrong in ("evil.example", f"x.{name}", f"{tenant.slug}.localhost", "localhost", "", "*", "'; drop table tenant; --", "\0", "ü.example", "x" * 5000):
        assert await ask(wrong) == 404, wrong
    for noted in ("x-forwarded-for", "x-forwarded-host", "forwarded", "via"):
        assert await ask(name, headers={noted: "203.0.113.9"}) == 404, "somebody outside, through a proxy on this machine"
    far = httpx.ASGITransport(app=create_app(settings), client=("203.0.113.9", 5))
    async with httpx.AsyncClient(transport=far, base_url="http://localhost") as outside:
        assert await ask(name, client=outside) == 404
    secret = httpx.ASGITransport(app=create_app(replace(settings, internal_secret="s" * 40)), client=("203.0.113.9", 5))
    async with httpx.AsyncClient(transport=secret, base_url="http://localhost") as outside:
        assert await ask(name, client=outside) == 404
        assert await ask(name, client=outside, headers={"x-internal-secret": "t" * 40}) == 404
        assert await ask(name, client=outside, headers={"x-internal-secret": "s" * 40}) == 200
        assert (await outside.get("/internal/domains/ask", params={"domain": name, "secret": "s" * 40})).status_code == 200


# ---- settings ------------------------------------------------------------------------------------------------------------


async def test_the_page_from_naming_to_the_main_address(dns, tenant, http):
    admin = Browser(http, f"{tenant.slug}.localhost")
    await admin.post("/login", {"email": tenant.admin_email, "password": PASSWORD})
    csrf = await admin.token("/settings/domain")
    refused = await admin.post("/settings/domain", {"_csrf": csrf, "name": "https://crm.example.org/<script>"})
    assert refused.status_code == 422 and "Enter only the name" in refused.text and "<script>" not in refused.text
    name = f"crm.{tenant.slug}.example"
    assert (await admin.post("/settings/domain", {"_csrf": csrf, "name": name})).status_code == 303
    page = await admin.get("/settings/domain")
    assert f"_saas-challenge.{name}" in page.text and "Waiting for the record" in page.text
    assert (await admin.post("/settings/domain/main", {"_csrf": csrf, "main": name})).status_code == 404, "not proved yet"
    dns.prove(name, (await state(tenant, name)).token)
    await admin.post("/settings/domain/check", {"_csrf": csrf, "name": name})
    assert "Proved" in (await admin.get("/settings/domain")).text
    assert (await admin.post("/settings/domain/main", {"_csrf": csrf, "main": name, "redirects": "on"})).status_code == 303
    assert (await get_tenant(tenant.id)).domain == name
    assert (await admin.post("/settings/domain/remove", {"_csrf": csrf, "name": name})).status_code == 303
    assert (await get_tenant(tenant.id)).domain == ""
    assert (await admin.post("/settings/domain/check", {"_csrf": csrf, "name": name})).status_code == 404


async def test_only_administrators_and_not_too_many(tenant, http):
    await create_user(tenant.id, f"sales@{tenant.slug}.example", PASSWORD, "Sales", ["sales"])
    sales = Browser(http, f"{tenant.slug}.localhost")
    await sales.post("/login", {"email": f"sales@{tenant.slug}.example", "password": PASSWORD})
    assert (await sales.get("/settings/domain")).status_code == 403
    for path in ("", "/check", "/main", "/remove"):
        assert (await sales.post(f"/settings/domain{path}", {"_csrf": await sales.token("/profile"), "name": "x.example.org"})).status_code == 403
    for number in range(domains.MOST):
        await domains.add_domain(tenant.id, f"n{number}.{tenant.slug}.example")
    with pytest.raises(InvalidInput):
        await domains.add_domain(tenant.id, f"more.{tenant.slug}.example")


async def test_the_directory_is_the_systems_alone(tenant):
    async with tenant_transaction(tenant.id) as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with conn.transaction():
                await conn.fetch("SELECT * FROM verified_domain")
        await conn.execute("UPDATE tenant SET domain = 'evil.example' WHERE id = $1", tenant.id)  # its own row, and nobody is led astray by it:
    forget_host(tenant.slug)
    assert await resolve_host("evil.example") is None
    async with system_transaction("domains") as conn:
        assert json.dumps(await conn.fetchval("SELECT count(*) FROM verified_domain WHERE name = 'evil.example'")) == "0"
