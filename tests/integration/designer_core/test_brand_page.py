"""The brand page over HTTP: what is saved is seen, what is hostile is refused with the rest of the input kept."""

from __future__ import annotations

import asyncio
import io
import json
import re

import pytest_asyncio
from PIL import Image

from saas.db import tenant_transaction
from tests.integration.test_pages import Browser, error_for


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture
async def admin(http, tenant) -> Browser:
    browser = Browser(http, f"{tenant.slug}.localhost")
    assert (await browser.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    await browser.get("/settings/brand")
    return browser


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "#116611").save(out, "PNG")
    return out.getvalue()


async def send(browser: Browser, values: dict[str, str], files: dict[str, tuple[str, bytes]]):
    request = browser.http.build_request("POST", "/settings/brand", data={"_csrf": browser.csrf, **values}, files=files, headers=browser._headers({}))
    return browser._seen(await browser.http.send(request))


async def test_logo_icon_and_colours_are_seen_by_everybody(admin, http, tenant):
    answer = await send(admin, {"name": "Möbel & Co", "color": "#226633", "color_dark": "#77dd99"}, {"logo": ("a.png", picture()), "icon": ("b.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h4v4z"/></svg>')})
    assert answer.status_code == 303, answer.text
    stranger = Browser(http, f"{tenant.slug}.localhost")
    login = (await stranger.get("/login")).text
    address = login.split('src="/brand/logo?v=')[1].split('"')[0]
    logo = await stranger.get(f"/brand/logo?v={address}")
    assert logo.headers["content-type"] == "image/png" and "sandbox" in logo.headers["content-security-policy"]
    icon = await stranger.get("/favicon.svg")
    assert b"M0 0h4v4z" in icon.content and icon.headers["content-type"].startswith("image/svg+xml")
    css = (await stranger.get("/brand.css")).text
    assert "#226633" in css and "#77dd99" in css
    page = (await admin.get("/settings/brand")).text
    assert "Möbel &amp; Co" in page and "/brand/logo?v=" in page
    removed = await send(admin, {"name": "Möbel & Co", "color": "#226633", "color_dark": "", "logo.remove": "on"}, {})
    assert removed.status_code == 303
    assert (await stranger.get("/brand/logo")).status_code == 404


async def test_a_hostile_logo_is_refused_and_the_rest_is_kept(admin):
    answer = await send(admin, {"name": "Kept name", "color": "#123456", "color_dark": "nonsense"}, {"logo": ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')})
    assert answer.status_code == 422
    assert "script" in error_for(answer, "logo") and error_for(answer, "color_dark")
    assert 'value="Kept name"' in answer.text and 'value="#123456"' in answer.text


async def test_colours_are_judged_while_they_are_chosen(admin):
    faint = await admin.get("/settings/brand/contrast?color=%23ffee00", hx_request="true")
    assert "badge-orange" in faint.text and "Better" in faint.text
    strong = await admin.get("/settings/brand/contrast?color=%231b3a8f", hx_request="true")
    assert "badge-orange" not in strong.text


async def saved(tenant) -> tuple[str, dict]:
    async with tenant_transaction(tenant.id) as conn:
        row = await conn.fetchrow("SELECT name, brand FROM tenant WHERE id = $1", tenant.id)
    return row["name"], json.loads(row["brand"])


async def as_shown(browser: Browser) -> dict[str, str]:
    """The form as a person finds it."""
    page = (await browser.get("/settings/brand")).text
    shown = dict(re.findall(r'name="shown\.(\w+)" value="([^"]*)"', page))
    assert set(shown) >= {"name", "color", "color_dark"}
    return {**{f"shown.{k}": v for k, v in shown.items()}, **shown}


async def test_two_who_save_at_once_both_get_what_they_changed(admin, http, tenant):
    assert (await send(admin, {"name": "Both", "color": "#112233", "color_dark": ""}, {})).status_code == 303
    other = Browser(http, f"{tenant.slug}.localhost")
    await other.sign_in(tenant.admin_email, tenant.admin_password)
    mine, theirs = await as_shown(admin), await as_shown(other)
    answers = await asyncio.gather(send(admin, mine, {"logo": ("a.png", picture())}), send(other, {**theirs, "color": "#226633"}, {}))
    assert [a.status_code for a in answers] == [303, 303]
    name, brand = await saved(tenant)
    assert name == "Both" and brand["color"] == "#226633" and brand["logo"]


async def test_who_changes_what_somebody_else_changed_meanwhile_is_told(admin, http, tenant):
    assert (await send(admin, {"name": "Told", "color": "#112233", "color_dark": ""}, {})).status_code == 303
    other = Browser(http, f"{tenant.slug}.localhost")
    await other.sign_in(tenant.admin_email, tenant.admin_password)
    mine, theirs = await as_shown(admin), await as_shown(other)
    assert (await send(other, {**theirs, "color": "#226633"}, {})).status_code == 303
    answer = await send(admin, {**mine, "color": "#aa3311", "color_dark": "#ffaa88"}, {"logo": ("a.png", picture())})
    assert answer.status_code == 409 and "#226633" in error_for(answer, "color") and 'value="#aa3311"' in answer.text
    kept = (await saved(tenant))[1]
    assert kept["color"] == "#226633" and "color_dark" not in kept
    again = {**mine, **dict((f"shown.{k}", v) for k, v in re.findall(r'name="shown\.(\w+)" value="([^"]*)"', answer.text)), "color": "#aa3311"}
    assert (await send(admin, again, {})).status_code == 303
    assert (await saved(tenant))[1]["color"] == "#aa3311"
