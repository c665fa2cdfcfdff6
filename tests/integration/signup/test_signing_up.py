"""A company gets its workspace: form, message, confirmation, and in; and what people may try instead."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from dataclasses import replace

import pytest

from saas.errors import NotFound, TooManyRequests
from saas.runtime.worker import drain
from saas.tenants import find_session, find_tenant, list_audit, list_users, signups
from saas.tenants.hand_over import begin_hand_over
from saas.tenants.mail import send_due
from tests.integration.signup.conftest import PASSWORD
from tests.mailbox import text_of

_numbers = itertools.count(1)


def fresh() -> str:
    return f"new{os.getpid()}-{next(_numbers)}"


async def made(apex, box, slug: str, **more: str):
    """The answer to the confirmation, which leads on to the workspace."""
    assert (await apex.fill(slug, **more)).status_code == 200
    return await apex.post(await apex.link(box, f"boss@{slug}.example"), {"password": PASSWORD})


async def inside(apex, answer):
    """(host, cookie) after following the way in."""
    host, path = re.fullmatch(r"http://([^/:]+):8000(/welcome/.+)", answer.headers["location"]).groups()
    entered = await apex.get(path, host)
    assert entered.status_code == 303 and entered.headers["location"] == "/"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "lax" in cookie.lower() and "domain" not in cookie.lower()
    return host, cookie.partition(";")[0]


@pytest.mark.parametrize(("pack", "locale", "sample"), [("baseline-crm", "en", ""), ("jb-rm-crm", "zh_CN", "1")])
async def test_from_the_form_to_the_first_page(apex, box, pack, locale, sample):
    slug = fresh()
    answer = await apex.fill(slug, pack=pack, locale=locale, sample=sample, time_zone="Europe/Paris")
    assert answer.status_code == 200 and f"{slug}.localhost" in answer.text and answer.headers["referrer-policy"] == "no-referrer"
    with pytest.raises(NotFound):
        await find_tenant(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    for _look in range(2):  # mail filters look, too
        page = await apex.get(path)
        assert page.status_code == 200 and f"{slug}.localhost" in page.text and f'lang="{locale.replace("_", "-")}"' in page.text
    short = await apex.post(path, {"password": "short"})
    assert short.status_code == 422 and 'data-error-for="password"' in short.text
    with pytest.raises(NotFound):
        await find_tenant(slug)
    answer = await apex.post(path, {"password": PASSWORD})
    assert answer.status_code == 303
    host, cookie = await inside(apex, answer)
    tenant = await find_tenant(slug)
    assert (tenant.locale, tenant.time_zone, tenant.pack_key, tenant.name) == (locale, "Europe/Paris", pack, f"{slug.title()} Company")
    home = await apex.get("/", host, cookie=cookie)
    assert home.status_code == 303 and (await apex.get(home.headers["location"], host, cookie=cookie)).status_code == 200
    assert {e["kind"] for e in await list_audit(tenant.id)} >= {"tenant.created", "tenant.signed_up", "sign_in.succeeded"}
    again = await apex.get(path)
    assert again.status_code == 200 and f"//{slug}.localhost:8000/login" in again.text
    assert (await apex.post(path, {"password": PASSWORD})).status_code == 200 and len([u for u in await list_users(tenant.id) if not u["sample_key"]]) == 1


async def test_the_link_works_once(apex, box):
    slug = fresh()
    await apex.fill(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    answers = await asyncio.gather(*(apex.post(path, {"password": PASSWORD}) for _ in range(4)))
    assert sorted(a.status_code for a in answers).count(303) == 1


async def test_asked_again_gets_a_fresh_link(apex, box):
    slug, email = fresh(), ""
    for _ in range(2):
        assert (await apex.fill(slug, email)).status_code == 200
    await send_due()
    first, second = (re.search(r"/signup/confirm/[\w-]+", text_of(m))[0] for m in box.to(f"boss@{slug}.example"))
    assert (await apex.get(first)).status_code == 404 and (await apex.get(second)).status_code == 200


async def test_a_link_ends_after_a_day(apex, box, superuser):
    slug = fresh()
    await apex.fill(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    assert 23.9 < (await superuser.fetchval("SELECT expires_at - created_at FROM signup WHERE slug = $1", slug)).total_seconds() / 3600 <= 24.01
    await superuser.execute("UPDATE signup SET expires_at = now() WHERE slug = $1", slug)
    assert (await apex.get(path)).status_code == 404 and (await apex.post(path, {"password": PASSWORD})).status_code == 404
    assert (await apex.get("/signup/confirm/" + "x" * 43)).status_code == 404


async def test_the_database_knows_only_hashes(apex, box, superuser):
    slug = fresh()
    await apex.fill(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    answer = await apex.post(path, {"password": PASSWORD})
    for token in (path.rpartition("/")[2], answer.headers["location"].rpartition("/")[2]):
        for table in ("signup", "platform_mail", "hand_over", "audit_event", "operator_audit"):
            for row in await superuser.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table} t"):  # noqa: S608  tables of this test
                assert token not in row["row"], table


# ---- addresses -----------------------------------------------------------------------------------------------------------------


async def test_addresses_are_checked_while_typing(apex, box, tenant_factory):
    taken = (await tenant_factory()).slug
    held = fresh()
    await apex.fill(held)
    for slug, state in ((fresh(), "free"), (taken, "taken"), (held, "taken"), ("www", "reserved"), ("support", "reserved"), ("-no-", "malformed"), ("ab", "malformed"), ("a--b", "malformed"), ("xn--bcher-kva", "malformed"), ("UPPER", "free")):
        found = await apex.get(f"/signup/address?slug={slug}", **{"hx-request": "true", "hx-target": "address-state"})
        assert f'data-state="{state}"' in found.text, slug
    proposed = await apex.get("/signup/address?company=天河机床有限公司&slug=&proposed=", **{"hx-target": "address"})
    assert 'value="tianhejichuang"' in proposed.text and 'data-state="free"' in proposed.text
    own = await apex.get("/signup/address?company=天河&slug=my-own&proposed=tianhe", **{"hx-target": "address"})
    assert 'value="my-own"' in own.text, "what somebody typed stays"


async def test_a_form_says_all_that_is_wrong(apex, box):
    answer = await apex.fill("www", email="nonsense", company=" ", name="", pack="none", locale="xx", sample="")
    assert answer.status_code == 422 and await send_due() == 0
    for field in ("company", "slug", "name", "email", "pack", "locale"):
        assert re.search(rf'data-error-for="{field}"[^>]*>(?!</p>)', answer.text), field
    hostile = await apex.fill(fresh(), company='<script>alert("1")</script>', email="bad@")
    assert "<script>alert" not in hostile.text


async def test_an_address_is_held_for_a_while_only(apex, box, superuser):
    slug = fresh()
    await apex.fill(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    assert (await apex.fill(slug, "other@x.example")).status_code == 422
    await superuser.execute("UPDATE signup SET held_until = now() WHERE slug = $1", slug)
    assert (await apex.fill(slug, "other@x.example")).status_code == 200
    assert (await apex.post(await apex.link(box, "other@x.example"), {"password": PASSWORD})).status_code == 303
    late = await apex.post(path, {"password": PASSWORD})
    assert late.status_code == 422 and 'name="slug"' in late.text, "who comes late chooses another address"
    assert (await apex.post(path, {"password": PASSWORD, "slug": "admin"})).status_code == 422
    assert (await apex.post(path, {"password": PASSWORD, "slug": f"{slug}-b"})).status_code == 303
    assert (await find_tenant(f"{slug}-b")).name == f"{slug.title()} Company"


async def test_one_mailbox_holds_few_addresses(apex, box, superuser, monkeypatch):
    monkeypatch.setattr(signups, "PER_EMAIL", signups.throttles.Throttle("signup.email", 100, 3600))
    first = fresh()
    for slug in (first, *(fresh() for _ in range(5))):
        assert (await apex.fill(slug, "squatter@x.example")).status_code == 200
    assert await superuser.fetchval("SELECT count(*) FROM signup WHERE held_until > now()") == signups.MOST_HELD_PER_EMAIL
    await send_due()
    links = [re.search(r"/signup/confirm/[\w-]+", text_of(m))[0] for m in box.to("squatter@x.example")]
    assert len(links) == 6
    for link in links:  # what was mailed works
        assert (await apex.get(link)).status_code == 200
    assert (await signups.look_up(first)).is_free


# ---- abuse ---------------------------------------------------------------------------------------------------------------------


async def test_mass_sign_up_ends_soon(apex, box, superuser):
    answers = await asyncio.gather(*(apex.fill(fresh(), f"p{n}@x.example") for n in range(16)))
    statuses = [a.status_code for a in answers]
    assert statuses.count(200) == signups.PER_NETWORK.most and statuses.count(429) == 16 - signups.PER_NETWORK.most
    assert all(a.headers["retry-after"].isdigit() for a in answers if a.status_code == 429)
    assert await superuser.fetchval("SELECT count(*) FROM platform_mail") == signups.PER_NETWORK.most


async def test_only_messages_count_for_the_installation(apex, box, monkeypatch):
    monkeypatch.setattr(signups, "PER_NETWORK", signups.throttles.Throttle("signup.ip", 1000, 3600))
    monkeypatch.setattr(signups, "PER_INSTALLATION", signups.throttles.Throttle("signup.all", 5, 3600))
    taken = fresh()
    assert (await apex.fill(taken)).status_code == 200
    for n in range(4):
        assert (await apex.fill(taken, f"p{n}@x.example")).status_code == 422
    for _ in range(6):  # four of them are sent
        assert (await apex.fill(fresh(), "one@x.example")).status_code == 200
    assert (await apex.fill(fresh(), "two@x.example")).status_code == 429


async def test_a_machine_with_many_addresses_is_one(database, superuser, monkeypatch):
    monkeypatch.setattr(signups, "CHECKS", signups.throttles.Throttle("signup.check", 2, 60))
    for ip in ("2001:db8:0:7::1", "2001:db8:0:7:ffff::2"):
        await signups.look_up(fresh(), ip)
    with pytest.raises(TooManyRequests):
        await signups.look_up(fresh(), "2001:db8:0:7:1:2:3:4")
    await signups.look_up(fresh(), "2001:db8:0:8::1")
    network = signups.throttles.network_of
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7" and network("fe80::1%eth0") == "fe80::/64" and network("testclient") == "testclient"


async def test_one_mailbox_gets_few_messages_and_nobody_can_tell(apex, box, monkeypatch):
    monkeypatch.setattr(signups, "PER_NETWORK", signups.throttles.Throttle("signup.ip", 1000, 3600))
    answers = []
    for _ in range(7):
        slug = fresh()
        answers.append((await apex.fill(slug, "victim@x.example")).text.replace(slug, "X"))
    assert len(set(answers)) == 1
    await send_due()
    assert len(box.to("victim@x.example")) == signups.PER_EMAIL.most


async def test_a_known_mailbox_is_answered_like_any_other(apex, box, tenant_factory):
    tenant = await tenant_factory()
    texts = set()
    for email in (tenant.admin_email, "nobody@x.example"):
        slug = fresh()
        texts.add((await apex.fill(slug, email)).text.replace(slug, "X").replace(email, "Y"))
    assert len(texts) == 1
    await send_due()
    assert len(box.to(tenant.admin_email)) == 1


async def test_looking_addresses_up_has_an_end(apex, box):
    statuses = [(await apex.get(f"/signup/address?slug=guess-{n}", **{"hx-target": "address-state"})).status_code for n in range(signups.CHECKS.most + 5)]
    assert set(statuses[: signups.CHECKS.most]) == {200} and set(statuses[signups.CHECKS.most :]) == {429}


async def test_programs_that_fill_in_forms_get_nothing(apex, box, monkeypatch):
    slug = fresh()
    trapped = await apex.fill(slug, website="https://spam.example")
    assert trapped.status_code == 200 and await send_due() == 0, "told what people are told"
    assert (await apex.fill(slug, began="")).status_code == 422
    assert (await apex.fill(slug, began=f"{int(time.time() * 10)}.{'0' * 24}")).status_code == 422
    monkeypatch.setattr(signups, "LEAST_SECONDS", 2)
    assert (await apex.fill(slug)).status_code == 422 and await send_due() == 0


@pytest.mark.parametrize(
    "poison", [{"host": "localhost:6666"}, {"x-forwarded-host": "evil.example"}, {"forwarded": "host=evil.example"}, {"x-forwarded-proto": "https", "x-forwarded-port": "6666"}, {"host": "LOCALHOST"}]
)
async def test_the_link_leads_home_whatever_the_request_says(apex, box, poison):
    slug, headers = fresh(), dict(poison)
    host = headers.pop("host", "localhost")
    assert (await apex.fill(slug, host=host, headers=headers)).status_code == 200
    await send_due()
    (message,) = box.to(f"boss@{slug}.example")
    assert box.link(f"boss@{slug}.example").startswith("http://localhost:8000/signup/confirm/")
    for kind in ("plain", "html"):
        assert "evil" not in text_of(message, kind) and "6666" not in text_of(message, kind)
    path = await apex.link(box, f"boss@{slug}.example")
    answer = await apex.post(path, {"password": PASSWORD}, host, **headers)
    assert answer.headers["location"].startswith(f"http://{slug}.localhost:8000/welcome/")


async def test_other_hosts_and_sites_have_no_sign_up(apex, box, tenant_factory):
    tenant = await tenant_factory()
    for host in (f"{tenant.slug}.localhost", "operator.localhost", "evil.example", "localhost.evil.example"):
        assert (await apex.get("/signup", host)).status_code == 404
        assert (await apex.fill(fresh(), host=host)).status_code == 404
    assert (await apex.fill(fresh(), headers={"origin": "https://evil.example"})).status_code == 403
    assert await send_due() == 0


async def test_the_way_in_works_once_and_only_at_home(apex, box, tenant_factory, superuser):
    slug = fresh()
    answer = await made(apex, box, slug)
    other = await tenant_factory()
    path = re.sub(r"^http://[^/]+", "", answer.headers["location"])
    stolen = await apex.get(path, f"{other.slug}.localhost")
    assert stolen.headers["location"] == "/login" and "session=" not in stolen.headers.get("set-cookie", "")
    assert (await apex.get(path)).status_code == 404
    host, cookie = await inside(apex, answer)
    replayed = await apex.get(path, host)
    assert replayed.headers["location"] == "/login" and "set-cookie" not in replayed.headers
    tenant = await find_tenant(slug)
    assert await find_session(tenant.id, cookie.partition("=")[2]) and await find_session(other.id, cookie.partition("=")[2]) is None
    [admin] = await list_users(tenant.id)
    late = await begin_hand_over(tenant.id, admin["id"])
    await superuser.execute("UPDATE hand_over SET expires_at = now()")
    assert (await apex.get(f"/welcome/{late}", host)).headers["location"] == "/login"


# ---- closed, or without mail -----------------------------------------------------------------------------------------------------


async def test_the_operator_can_close_it(apex, box, database, monkeypatch):
    slug = fresh()
    await apex.fill(slug)
    path = await apex.link(box, f"boss@{slug}.example")
    with monkeypatch.context() as patch:
        patch.setattr(database, "settings", replace(database.settings, signup_open=False))
        assert (await apex.get("/signup")).status_code == 403 and 'href="/signup"' not in (await apex.get("/")).text
        assert (await apex.post("/signup", {"slug": fresh()})).status_code == 403
        assert (await apex.get("/signup/address?slug=abc-d")).status_code == 403
    assert (await apex.post(path, {"password": PASSWORD})).status_code == 303, "who was let in before may finish"


async def test_without_a_mail_server_a_developer_sees_the_link_and_nobody_else(apex, superuser, database, monkeypatch):
    slug = fresh()
    answer = await apex.fill(slug)
    link = re.search(r'href="http://localhost:8000(/signup/confirm/[\w-]+)"', answer.text)
    assert link and (await apex.post(link[1], {"password": PASSWORD})).status_code == 303
    began = re.search(r'name="began" value="([^"]+)"', (await apex.get("/signup")).text)[1]
    with monkeypatch.context() as patch:
        patch.setattr(database, "settings", replace(database.settings, base_domain="example.com"))
        page, refused = await apex.get("/"), await apex.post("/signup", {"slug": fresh(), "began": began})
    assert "data-closed" in page.text and refused.status_code == 403


async def test_housekeeping_takes_what_is_over(apex, box, superuser):
    from saas.tenants import clean_up

    await apex.fill(fresh())
    await superuser.execute("UPDATE signup SET expires_at = now() - interval '8 days'; UPDATE throttle SET window_start = now() - interval '2 days'")
    removed = await clean_up()
    assert removed["signup"] == 1 and removed["throttle"] >= 1
    await drain()
