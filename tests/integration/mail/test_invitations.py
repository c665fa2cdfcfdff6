"""Invitations: who may invite, what the link gives, and that nobody gets more than they were given."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.tenants import create_department, create_user, find_user, invitations, list_audit, update_user
from saas.tenants.mail import send_due
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD
from tests.factories import make_lab
from tests.integration.mail.test_resets import send
from tests.integration.runtime.test_flow_acts import acts_bundle

NEW = "an entirely other passphrase"


@pytest_asyncio.fixture
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture
async def admin(http, tenant) -> Person:
    return await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(tenant.admin_email, tenant.admin_password)


async def invited(admin: Person, box, email: str = "new@x.example", **more) -> str:
    """The path of the link that arrived."""
    await admin.call("POST", "/invitations", {"email": email, "roles": ["sales"], **more}, expect=201)
    await send_due()
    return "/invitation/" + box.link(email).rpartition("/")[2]


async def test_from_the_invitation_to_a_person_who_is_signed_in(http, box, tenant, admin):
    department = await create_department(tenant.id, "north", {"en": "North"})
    path = await invited(admin, box, "New.Colleague@x.example".lower(), name="New Colleague", department=str(department), locale="zh_CN")
    assert "邀请" in box.messages[-1]["subject"]
    page = await send(http, tenant, path)
    assert page.status_code == 200 and "New Colleague" in page.text and "开始使用" in page.text
    assert (await send(http, tenant, path, {"name": "", "password": NEW})).status_code == 422
    assert (await send(http, tenant, path, {"name": "Nina", "password": ""})).status_code == 422
    done = await send(http, tenant, path, {"name": "Nina New", "password": NEW})
    assert done.status_code == 303 and any(c.startswith("session=") and "HttpOnly" in c for c in done.headers.get_list("set-cookie"))
    person = await find_user(tenant.id, email="new.colleague@x.example")
    assert (person["name"], person["role_keys"], person["department_ids"], person["locale"]) == ("Nina New", ["sales"], [department], "zh_CN")
    assert (await Person(http, f"{tenant.slug}.localhost").sign_in("new.colleague@x.example", NEW)).token
    assert (await admin.get("/invitations"))["data"] == []
    assert {"invitation.sent", "invitation.accepted", "user.created"} <= {e["kind"] for e in await list_audit(tenant.id)}
    assert (await send(http, tenant, path)).status_code == 404, "once"


async def test_two_who_come_at_once_are_one(http, box, tenant, admin):
    path = await invited(admin, box)
    answers = await asyncio.gather(*(send(http, tenant, path, {"name": f"N{n}", "password": NEW}) for n in range(4)))
    assert sorted(a.status_code for a in answers) == [303, 404, 404, 404]


async def test_sent_again_and_withdrawn(http, box, tenant, admin):
    first = await invited(admin, box)
    (waiting,) = (await admin.get("/invitations"))["data"]
    assert (waiting["email"], waiting["roles"], waiting["delivery"], waiting["expired"]) == ("new@x.example", ["sales"], "sent", False)
    await admin.call("POST", f"/invitations/{waiting['id']}/resend", {})
    await send_due()
    second = "/invitation/" + box.link("new@x.example").rpartition("/")[2]
    assert (await send(http, tenant, first)).status_code == 404 and (await send(http, tenant, second)).status_code == 200
    await admin.call("DELETE", f"/invitations/{waiting['id']}", expect=204)
    assert (await send(http, tenant, second)).status_code == 404
    assert (await send(http, tenant, second, {"name": "N", "password": NEW})).status_code == 404
    refused(await admin.send("POST", f"/invitations/{waiting['id']}/resend", {}), 404)
    refused(await admin.send("DELETE", f"/invitations/{waiting['id']}"), 404)
    await invited(admin, box)  # and anew


async def test_it_runs_out_after_a_week(http, box, tenant, admin, superuser):
    path = await invited(admin, box)
    life = await superuser.fetchval("SELECT expires_at - sent_at FROM invitation WHERE tenant_id = $1", tenant.id)
    assert life.days in (6, 7)
    await superuser.execute("UPDATE invitation SET expires_at = now() - interval '1 second' WHERE tenant_id = $1", tenant.id)
    assert (await send(http, tenant, path)).status_code == 404
    assert (await send(http, tenant, path, {"name": "N", "password": NEW})).status_code == 404
    assert (await admin.get("/invitations"))["data"][0]["expired"]
    await invited(admin, box)  # an old one is not in the way


async def test_a_link_of_one_tenant_is_nothing_in_another(http, box, tenant, admin, tenant_factory):
    other = await tenant_factory(pack="baseline-crm")
    path = await invited(admin, box)
    assert (await send(http, other, path)).status_code == 404
    assert (await send(http, other, path, {"name": "N", "password": NEW})).status_code == 404
    assert (await send(http, tenant, path)).status_code == 200
    stranger = await Person(http, f"{other.slug}.localhost", language="en").sign_in(other.admin_email, other.admin_password)
    mine = (await admin.get("/invitations"))["data"][0]["id"]
    refused(await stranger.send("DELETE", f"/invitations/{mine}"), 404)
    refused(await stranger.send("POST", f"/invitations/{mine}/resend", {}), 404)


async def test_nobody_gives_more_than_they_have(http, box, tenant, admin):
    from saas.metadata.store import revision
    from saas.runtime import configuration
    from saas.runtime.contexts import context_for_user

    ctx = await context_for_user(tenant.id, tenant.admin_id)
    bundle = dict((await revision(tenant.id)).bundle)
    bundle["roles"] = [*bundle["roles"], {"key": "hr", "label": {"en": "HR", "zh_CN": "人事"}, "settings": ["users"]}]
    await configuration.publish(ctx, raw=bundle, message="HR")
    hr_id = await create_user(tenant.id, "hr@x.example", PASSWORD, "Hr", ["hr"])
    low = await create_user(tenant.id, "low@x.example", PASSWORD, "Low", ["sales"])
    hr, seller = [await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(f"{n}@x.example", PASSWORD) for n in ("hr", "low")]
    assert low
    for method, path in (("GET", "/invitations"), ("POST", "/invitations")):
        refused(await seller.send(method, path, {"email": "a@x.example", "roles": ["sales"]} if method == "POST" else None), 403)
    refused(await hr.send("POST", "/invitations", {"email": "a@x.example", "roles": ["admin"]}), 422, field="roles", rule="forbidden")
    refused(await hr.send("POST", "/invitations", {"email": "a@x.example", "roles": ["nothing"]}), 422, field="roles", rule="unknown")
    refused(await hr.send("POST", "/invitations", {"email": "a@x.example", "roles": []}), 422, field="roles", rule="required")
    made = await admin.call("POST", "/invitations", {"email": "boss@x.example", "roles": ["admin"]}, expect=201)
    refused(await hr.send("POST", f"/invitations/{made['id']}/resend", {}), 422, field="roles")
    # What somebody gave is worth nothing once they could not give it any more.
    path = await invited(hr, box)
    await update_user(tenant.id, hr_id, {"role_keys": ["sales"]})
    assert (await send(http, tenant, path)).status_code == 404 and (await send(http, tenant, path, {"name": "N", "password": NEW})).status_code == 404
    await update_user(tenant.id, hr_id, {"role_keys": ["hr"]})
    assert (await send(http, tenant, path)).status_code == 200
    await update_user(tenant.id, hr_id, {"status": "inactive"})
    assert (await send(http, tenant, path)).status_code == 404 and (await send(http, tenant, path, {"name": "N", "password": NEW})).status_code == 404


async def test_who_is_here_or_invited_is_not_invited(box, tenant, admin):
    refused(await admin.send("POST", "/invitations", {"email": tenant.admin_email.upper(), "roles": ["sales"]}), 409)
    await invited(admin, box)
    refused(await admin.send("POST", "/invitations", {"email": "NEW@x.example", "roles": ["sales"]}), 409)
    for body in ({}, {"email": 5}, {"email": "x", "roles": ["sales"]}, {"email": "a@x.example\nBcc: b@x.example", "roles": ["sales"]}, {"email": "a@x.example", "roles": "sales"}, {"email": "a@x.example", "roles": ["sales"], "locale": "xx"}, {"email": "a@x.example", "roles": ["sales"], "name": 5}):
        refused(await admin.send("POST", "/invitations", body), 422)
    refused(await admin.send("POST", "/invitations", {"email": "a@x.example", "roles": ["sales"], "department": "x"}), 400)


async def test_somebody_who_came_another_way_meanwhile(http, box, tenant, admin):
    path = await invited(admin, box)
    await create_user(tenant.id, "new@x.example", PASSWORD, "Made by hand", ["sales"])
    answer = await send(http, tenant, path, {"name": "N", "password": NEW})
    assert answer.status_code == 409 and "exists already" in answer.text
    assert (await find_user(tenant.id, email="new@x.example"))["name"] == "Made by hand"


async def test_not_even_an_administrator_writes_to_the_world(box, tenant, admin, monkeypatch):
    monkeypatch.setattr(invitations, "MOST_A_DAY", 5)
    answers = await asyncio.gather(*(admin.send("POST", "/invitations", {"email": f"p{n}@x.example", "roles": ["sales"]}) for n in range(9)))
    assert sorted(a.status_code for a in answers) == [201] * 5 + [429] * 4
    assert all("retry-after" in a.headers for a in answers if a.status_code == 429)
    one = (await admin.get("/invitations"))["data"][0]
    refused(await admin.send("POST", f"/invitations/{one['id']}/resend", {}), 429)


async def test_a_suspended_workspace_invites_nobody(http, box, tenant, admin):
    from saas.tenants import set_tenant_status

    path = await invited(admin, box)
    await set_tenant_status(tenant.slug, "suspended")
    refused(await admin.send("POST", "/invitations", {"email": "b@x.example", "roles": ["sales"]}), 403)
    assert (await send(http, tenant, path, {"name": "N", "password": NEW})).status_code == 404
    await set_tenant_status(tenant.slug, "active")
    assert (await send(http, tenant, path)).status_code == 200


async def test_without_a_mail_server_the_administrator_finds_the_link(http, tenant, admin, office):
    from saas.tenants import open_session
    from tests.mailbox import LINK

    await admin.call("POST", "/invitations", {"email": "new@x.example", "roles": ["sales"]}, expect=201)
    token, csrf, _expires = await open_session(tenant.id, tenant.admin_id, "web")
    cookie = {"cookie": f"session={token}; locale=en"}
    people = await send(http, tenant, "/settings/users", **cookie)
    assert "only recorded" in people.text
    log = await send(http, tenant, "/settings/mail", **cookie)
    assert "new@x.example" in log.text and "/invitation/" not in log.text
    path = log.text.partition('href="/settings/mail/')[2].partition('"')[0]
    assert "/invitation/" not in (await send(http, tenant, f"/settings/mail/{path}", **cookie)).text
    shown = await send(http, tenant, f"/settings/mail/{path}/text", {"_csrf": csrf}, **cookie)
    assert len(LINK.findall(shown.text)) == 1
    assert "mail.read" in {e["kind"] for e in await list_audit(tenant.id)}


@pytest.mark.parametrize("role", ["sales", "service"])
async def test_the_log_is_not_everybodys(http, tenant, role):
    from saas.tenants import open_session

    user_id = await create_user(tenant.id, f"{role}@x.example", PASSWORD, "Low", [role])
    token, csrf, _expires = await open_session(tenant.id, user_id, "web")
    cookie = {"cookie": f"session={token}"}
    nobody = "0198c0de-0000-7000-8000-000000000000"
    assert (await send(http, tenant, "/settings/mail", **cookie)).status_code == 403
    assert (await send(http, tenant, f"/settings/mail/{nobody}", **cookie)).status_code == 403
    assert (await send(http, tenant, f"/settings/mail/{nobody}/text", {"_csrf": csrf}, **cookie)).status_code == 403
    assert (await send(http, tenant, "/settings/users/invite", **cookie)).status_code == 403


async def test_whoever_accepts_an_invitation_has_signed_in(http, box):
    """What begins when somebody signs in begins then, too."""
    lab = await make_lab(acts_bundle(), people=False)
    admin = await Person(http, f"{lab.slug}.localhost", language="en").sign_in(f"admin@{lab.slug}.example", PASSWORD)
    path = await invited(admin, box, f"new@{lab.slug}.example", roles=["clerk"])
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("DELETE FROM job WHERE tenant_id = $1", lab.tenant_id)
    assert (await send(http, lab, path, {"name": "Nina", "password": NEW})).status_code == 303
    person = await find_user(lab.tenant_id, email=f"new@{lab.slug}.example")
    assert [row["payload"] for row in await lab.fetch("SELECT payload FROM job WHERE tenant_id = $1 AND kind = 'login_rules'")] == [f'{{"user": "{person["id"]}"}}']
