"""A new password by e-mail, over HTTP."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
import pytest_asyncio

from saas.tenants import create_user, find_session, find_user, list_audit, open_session, resets, set_password, update_user
from saas.tenants.mail import send_due
from tests.conftest import PASSWORD
from tests.mailbox import text_of

NEW = "an entirely other passphrase"


@pytest_asyncio.fixture
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


async def send(http: httpx.AsyncClient, tenant, path: str, data: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    headers = {"host": f"{tenant.slug}.localhost", **headers}
    return await (http.get(f"http://localhost{path}", headers=headers) if data is None else http.post(f"http://localhost{path}", data=data, headers=headers))


async def asked(http, box, tenant, email: str | None = None) -> str:
    """The path of the link that arrived."""
    await send(http, tenant, "/forgot", {"email": email or tenant.admin_email})
    await send_due()
    return "/reset/" + box.link(email or tenant.admin_email).rpartition("/")[2]


async def test_forgotten_and_chosen_anew(http, box, tenant):
    session, _csrf, _expires = await open_session(tenant.id, tenant.admin_id)
    path = await asked(http, box, tenant)
    page = await send(http, tenant, path)
    assert page.status_code == 200 and tenant.admin_email in page.text and page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"
    short = await send(http, tenant, path, {"password": "short"})
    assert short.status_code == 422 and "characters" in short.text
    done = await send(http, tenant, path, {"password": NEW})
    assert done.status_code == 200 and "/login" in done.text
    assert await find_session(tenant.id, session) is None, "all sessions have ended"
    assert (await send(http, tenant, "/login", {"email": tenant.admin_email, "password": PASSWORD})).status_code == 401
    assert (await send(http, tenant, "/login", {"email": tenant.admin_email, "password": NEW})).status_code == 303
    kinds = [e["kind"] for e in await list_audit(tenant.id)]
    assert {"password_reset.asked", "password_reset.done", "password.changed"} <= set(kinds)
    await send_due()
    assert "was changed" in box.to(tenant.admin_email)[-1]["subject"]


async def test_a_link_works_once(http, box, tenant):
    path, other = await asked(http, box, tenant), await asked(http, box, tenant)
    answers = await asyncio.gather(*(send(http, tenant, path, {"password": f"{NEW} {n}"}) for n in range(4)))
    assert sorted(a.status_code for a in answers) == [200, 404, 404, 404]
    assert (await send(http, tenant, path)).status_code == 404
    assert (await send(http, tenant, other)).status_code == 404, "nor any other of the same person"


async def test_a_link_ends_after_an_hour_and_with_any_new_password(http, box, tenant, superuser):
    path = await asked(http, box, tenant)
    await superuser.execute("UPDATE password_reset SET expires_at = now() - interval '1 second' WHERE tenant_id = $1", tenant.id)
    assert (await send(http, tenant, path)).status_code == 404
    assert (await send(http, tenant, path, {"password": NEW})).status_code == 404
    path = await asked(http, box, tenant)
    life = await superuser.fetchval("SELECT max(expires_at - created_at) FROM password_reset WHERE tenant_id = $1", tenant.id)
    assert 3590 < life.total_seconds() <= 3601
    await set_password(tenant.id, tenant.admin_id, NEW)
    assert (await send(http, tenant, path, {"password": "the thief's passphrase"})).status_code == 404


async def test_a_link_of_one_tenant_is_nothing_in_another(http, box, tenant, tenant_factory):
    other = await tenant_factory(pack="baseline-crm")
    await create_user(other.id, tenant.admin_email, PASSWORD, "Same address", ["sales"])
    path = await asked(http, box, tenant)
    assert (await send(http, other, path)).status_code == 404
    assert (await send(http, other, path, {"password": NEW})).status_code == 404
    assert (await send(http, tenant, path)).status_code == 200, "and it is not used up by that"


async def test_the_database_knows_only_a_hash(http, box, tenant, superuser):
    token = (await asked(http, box, tenant)).rpartition("/")[2]
    for table in ("password_reset", "mail", "audit_event"):
        for row in await superuser.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE tenant_id = $1", tenant.id):  # noqa: S608  tables of this test
            assert token not in row["row"]


@pytest.mark.parametrize(
    "poison",
    [{"host": "{host}:6666"}, {"x-forwarded-host": "evil.example"}, {"forwarded": "host=evil.example"}, {"x-host": "evil.example"}, {"x-forwarded-proto": "https", "x-forwarded-port": "6666"}, {"host": "{HOST}"}],
)
async def test_the_link_leads_home_whatever_the_request_says(http, box, tenant, poison):
    host = f"{tenant.slug}.localhost"
    headers = {name: value.replace("{host}", host).replace("{HOST}", host.upper()) for name, value in poison.items()}
    assert (await send(http, tenant, "/forgot", {"email": tenant.admin_email}, **headers)).status_code == 200
    await send_due()
    (message,) = box.to(tenant.admin_email)
    assert box.link(tenant.admin_email).startswith(f"http://{host}:8000/reset/")
    for kind in ("plain", "html"):
        assert "evil" not in text_of(message, kind) and "6666" not in text_of(message, kind)


async def test_foreign_hosts_and_sites_are_refused(http, box, tenant):
    for headers in ({"host": "evil.example"}, {"host": f"{tenant.slug}.localhost.evil.example"}, {"host": "localhost"}, {"host": "operator.localhost"}):
        assert (await send(http, tenant, "/forgot", {"email": tenant.admin_email}, **headers)).status_code == 404
    assert (await send(http, tenant, "/forgot", {"email": tenant.admin_email}, origin="https://evil.example")).status_code == 403
    assert await send_due() == 0


async def test_unknown_people_are_answered_like_known_ones(http, box, tenant, monkeypatch):
    """The same page but for what was typed; no message; the same time."""
    sleeper = await create_user(tenant.id, "sleeper@x.example", PASSWORD, "Sleeper", ["sales"])
    await update_user(tenant.id, sleeper, {"status": "inactive"})
    await create_user(tenant.id, "never@x.example", "", "Without a password", ["sales"])
    monkeypatch.setattr(resets, "ANSWER_SECONDS", 1.0)
    answers, times = [], []

    async def ask(email: str) -> None:
        started = time.monotonic()
        answer = await send(http, tenant, "/forgot", {"email": email})
        times.append(time.monotonic() - started)
        answers.append((answer.status_code, answer.text.replace(email, "X") if email else None))

    await asyncio.gather(*(ask(email) for email in (tenant.admin_email, "nobody@x.example", "sleeper@x.example", "never@x.example", "no address", "")))
    assert len({a for a in answers if a[1]}) == 1 and {a[0] for a in answers} == {200}
    assert min(times) >= resets.ANSWER_SECONDS and max(times) - min(times) < 0.9, times
    await send_due()
    assert [m["to"].addresses[0].addr_spec for m in box.messages] == [tenant.admin_email]


async def test_asking_often_is_in_vain_and_looks_the_same(http, box, tenant, monkeypatch):
    monkeypatch.setattr(resets, "ANSWER_SECONDS", 0.0)
    for email in (tenant.admin_email, "nobody@x.example"):
        answers = await asyncio.gather(*(send(http, tenant, "/forgot", {"email": email}) for _ in range(8)))
        assert {a.status_code for a in answers} == {200} and len({a.text for a in answers}) == 1
    await send_due()
    assert len(box.to(tenant.admin_email)) == resets.MOST_PER_ACCOUNT
    statuses = [(await send(http, tenant, "/forgot", {"email": f"p{n}@x.example"})).status_code for n in range(10)]
    assert statuses[:4] == [200] * 4 and set(statuses[4:]) == {429}, "one address may ask twenty times in an hour"


async def test_a_locked_account_is_unlocked_by_it_and_the_message_speaks_its_language(http, box, tenant):
    await update_user(tenant.id, tenant.admin_id, {"locale": "zh_CN"})
    for _ in range(6):
        await send(http, tenant, "/login", {"email": tenant.admin_email, "password": "wrong guess"})
    path = await asked(http, box, tenant)
    assert "密码" in box.to(tenant.admin_email)[-1]["subject"] and "设置新密码" in (await send(http, tenant, path)).text
    await send(http, tenant, path, {"password": NEW})
    assert (await send(http, tenant, "/login", {"email": tenant.admin_email, "password": NEW})).status_code == 303
    assert (await find_user(tenant.id, email=tenant.admin_email))["locked_until"] is None


@pytest.mark.parametrize("token", ["x", "x" * 5000, "é", "%00", "..%2f", "' OR 1=1"])
async def test_tokens_that_are_none(http, box, tenant, token):
    for answer in (await send(http, tenant, f"/reset/{token}"), await send(http, tenant, f"/reset/{token}", {"password": NEW}), await send(http, tenant, f"/invitation/{token}")):
        assert answer.status_code == 404
