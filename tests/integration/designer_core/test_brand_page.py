"""The brand page over HTTP: what is saved is seen, what is hostile is refused with the rest of the input kept."""

from __future__ import annotations

import io

import pytest_asyncio
from PIL import Image

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
