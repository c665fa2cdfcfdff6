"""Rules of signing in run by every way in, once each, and by none of the ways that fail."""

from __future__ import annotations

import pyotp
import pytest_asyncio

from saas.runtime.worker import drain
from saas.tenants import enable_second_factor, offer_second_factor, remove_second_factor, sso
from saas.tenants.mail import send_due
from saas.tenants.sso import SingleSignOn
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, make_lab
from tests.integration.sso.browsing import Browser
from tests.mailbox import mailed
from tests.oidc_provider.lying import CLIENT_ID, SECRET

OTHER = "another long pass phrase 5"


def bundle():
    desk = {"key": "desk", "label": label("Desk"), "plural": label("Desks"), "title": "name", "fields": [fld("name", "text"), fld("visits", "int", default=0)]}
    return {
        "format": 1, "pack": {"key": "desks", "version": "1.0.0", "label": label("Desks")}, "entities": [desk],
        "roles": [{"key": "admin", "label": label("Administrator"), "admin": True}, {"key": "clerk", "label": label("Clerk"), "entities": {"desk": {"read": "own"}}}],
        "automations": [{"key": "hello", "label": label("Hello"), "entity": "desk", "on": {"trigger": "login", "person": "owner"}, "do": [{"action": "score", "field": "visits", "by": "1"}]}],
    }  # fmt: skip


@pytest_asyncio.fixture
async def firm(database, provider):
    lab = await make_lab(bundle(), people=False)
    await lab.person("eva", ["clerk"])
    lab.desk = await lab.make("desk", name="Eva", owner=str(lab.people["eva"]))  # type: ignore[attr-defined]
    await lab.make("desk", name="Nobody's", owner=None)
    await sso.set_single_sign_on(lab.tenant_id, SingleSignOn(provider.issuer, CLIENT_ID, SECRET, "on", "Corporate", (f"{lab.slug}.example",)))
    provider.redirect_uris.add(f"http://{lab.slug}.localhost:8000/sso/callback")
    provider.person = {"sub": "eva", "email": f"eva@{lab.slug}.example", "email_verified": True, "name": "Eva"}
    return lab


async def visits(lab) -> int:
    await drain()
    return (await lab.get("desk", lab.desk)).values["visits"]


async def test_a_rule_of_signing_in_runs_by_every_way(firm, http, database):
    eva, host, who = f"eva@{firm.slug}.example", f"{firm.slug}.localhost", firm.people["eva"]
    browser = Browser(http, host)
    assert (await browser.post("/login", {"email": eva, "password": "wrong"})).status_code == 401
    assert await visits(firm) == 0
    assert (await browser.post("/login", {"email": eva, "password": PASSWORD})).status_code == 303
    assert await visits(firm) == 1, "password"
    assert (await http.post("/api/v1/tokens", json={"email": eva, "password": PASSWORD}, headers={"host": host})).status_code == 201
    assert await visits(firm) == 2, "token"
    assert (await Browser(http, host).sign_in()).status_code == 303
    assert await visits(firm) == 3, "single sign-on"

    at_home = Browser(http, host)
    await at_home.post("/login", {"email": eva, "password": PASSWORD, "remember": "on"})
    at_home.cookies.pop("session")
    assert (await at_home.post("/login/device", {})).status_code == 303
    assert await visits(firm) == 5, "a device that is remembered"

    offer = offer_second_factor(firm.tenant_id, who, account="a", issuer="b")
    phone = pyotp.TOTP(offer.secret)
    codes = await enable_second_factor(firm.tenant_id, who, offer.sealed, phone.now())
    guarded = Browser(http, host)
    assert (await guarded.post("/login", {"email": eva, "password": PASSWORD})).headers["location"].startswith("/login/code")
    assert (await guarded.post("/login/code", {"code": "000000"})).status_code == 401
    assert await visits(firm) == 5, "half way is not in"
    assert (await guarded.post("/login/code", {"code": codes[0]})).status_code == 303
    assert await visits(firm) == 6, "second factor"
    await remove_second_factor(firm.tenant_id, who, actor_id=None)

    async with mailed(database) as box:
        await browser.post("/forgot", {"email": eva})
        await send_due()
        path = "/reset/" + box.link(eva).rpartition("/")[2]
    assert (await Browser(http, host).post(path, {"password": OTHER})).status_code in (200, 303)
    assert await visits(firm) == 6, "a new password opens nothing"
    assert (await Browser(http, host).post("/login", {"email": eva, "password": OTHER})).status_code == 303
    assert await visits(firm) == 7, "signing in with it does"
