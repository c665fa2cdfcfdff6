"""The company's words on the sign-in page, its name and address on mails, its icon in the tab; and what must not come along with them."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.tenants import forget_host
from saas.tenants.mail import send_due
from saas.ui.brand_text import paragraphs
from tests.conftest import PASSWORD
from tests.integration.sso.browsing import Browser
from tests.mailbox import mailed

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">{}</svg>'


@pytest_asyncio.fixture
async def admin(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    browser = Browser(http, f"{tenant.slug}.localhost")
    await browser.post("/login", {"email": tenant.admin_email, "password": PASSWORD})
    browser.tenant, browser.csrf = tenant, await browser.token("/settings/brand")  # type: ignore[attr-defined]
    return browser


async def save(admin, **changes: str):
    return await admin.post("/settings/brand", {"_csrf": admin.csrf, "name": "Acme", "color": "#3b5bdb", "color_dark": "", "login_en": "", "login_zh_CN": "", "sender_name": "", "reply_to": "", **changes})


async def test_the_companys_words_in_the_readers_language(admin, http):
    text = "Welcome to **Acme**.\r\nAsk [the helpdesk](https://help.example.org/?a=1&b=2).\r\n\r\n<script>alert(1)</script> [x](javascript:alert(1)) [y](//evil.example) [z](https://a@evil.example)"
    assert (await save(admin, login_en=text, login_zh_CN="欢迎使用**客户系统**")).status_code == 303
    page = (await http.get("/login", headers={"host": admin.host})).text
    assert "Welcome to <strong>Acme</strong>.<br>Ask <a href=\"https://help.example.org/?a=1&amp;b=2\"" in page
    assert "<script>alert" not in page and "&lt;script&gt;" in page and 'href="javascript' not in page and 'href="//evil' not in page and 'href="https://a@' not in page
    chinese = (await http.get("/login", headers={"host": admin.host, "cookie": "locale=zh_CN"})).text
    assert "<strong>客户系统</strong>" in chinese and "Welcome to" not in chinese
    assert "Welcome to **Acme**" in (await admin.get("/settings/brand")).text
    assert (await save(admin, login_en="x" * 1001)).status_code == 422


@pytest.mark.parametrize("text", ["[a](data:text/html,x)", "[a](http://plain.example)", "[a](https://\u202eevil.example)", "[a](https:evil)", "[a](mailto:a@b?cc=c@d)", "[a](  )", "[a](https://x\\y)", "[](https://x.example)"])
def test_links_that_are_none_stay_text(text):
    assert all(piece.kind == "text" for part in paragraphs(text) for line in part for piece in line)


async def test_mails_name_the_company_and_answers_go_where_it_wants(admin, database):
    assert (await save(admin, sender_name="Acme Vertrieb Süd", reply_to="Sales@acme.example")).status_code == 303
    async with mailed(database) as box:
        await admin.post("/forgot", {"email": admin.tenant.admin_email})
        await send_due()
        mail = box.to(admin.tenant.admin_email)[-1]
    assert mail["From"].addresses[0].display_name == "Acme Vertrieb Süd via saas" and mail["From"].addresses[0].addr_spec == "no-reply@localhost"
    assert str(mail["Reply-To"]) == "Sales@acme.example" and "Acme Vertrieb Süd" in mail["Subject"]


@pytest.mark.parametrize(("field", "text"), [
    ("sender_name", "Acme\r\nBcc: all@example.org"), ("sender_name", "Acme\nX: y"), ("sender_name", "Acme <boss@bank.example>"), ("sender_name", "boss@bank.example"), ("sender_name", "www.evil.example"),
    ("sender_name", "https://evil.example"), ("sender_name", "a\u202eb"), ("sender_name", "x" * 61), ("reply_to", "a@b.example\r\nBcc: c@d.example"), ("reply_to", "a@b.example, c@d.example"),
    ("reply_to", "A <a@b.example>"), ("reply_to", "nobody"), ("reply_to", "a@b@c.example"),
])  # fmt: skip
async def test_nothing_typed_becomes_a_header(admin, field, text, database):
    answer = await save(admin, **{field: text})
    assert answer.status_code == 422 and re.search(rf'data-error-for="{field}">[^<]', answer.text)
    async with tenant_transaction(admin.tenant.id) as conn:  # and when it comes by another way, such as an archive
        await conn.execute("UPDATE tenant SET brand = brand || $2::jsonb WHERE id = $1", admin.tenant.id, json.dumps({field: text}))
    forget_host(admin.tenant.slug)
    async with mailed(database) as box:
        await admin.post("/forgot", {"email": admin.tenant.admin_email})
        await send_due()
        (mail,) = box.to(admin.tenant.admin_email)
    assert len(mail["From"].addresses) == 1 and mail["From"].addresses[0].addr_spec == "no-reply@localhost"
    assert mail["Bcc"] is None and mail["X"] is None and (mail["Reply-To"] is None or field != "reply_to")
    assert " via " in mail["From"].addresses[0].display_name


async def test_the_icon_of_the_tab_changes_at_once(admin, http):
    assert '<link rel="icon" href="/favicon.svg">' in (await admin.get("/login")).text
    files = {"icon": ("i.svg", SVG.format('<path d="M0 0h8v8z"/>').encode(), "image/svg+xml")}
    form = {"_csrf": admin.csrf, "name": "Acme", "color": "#3b5bdb", "color_dark": ""}
    headers = {"host": admin.host, "cookie": "; ".join(f"{k}={v}" for k, v in admin.cookies.items())}
    assert (await http.post("/settings/brand", data=form, files=files, headers=headers)).status_code == 303
    url = re.search(r'<link rel="icon" href="(/favicon\.svg\?v=[0-9a-f]+)">', (await admin.get("/login")).text)[1]
    icon = await admin.get(url)
    assert icon.headers["content-type"].startswith("image/svg+xml") and "sandbox" in icon.headers["content-security-policy"] and "M0 0h8v8z" in icon.text


async def test_a_logo_makes_us_ask_nobody(admin, http):
    """SSRF by the logo: what it names elsewhere is refused, and nothing arrives there while it is looked at."""
    visits = []

    async def visited(reader, writer):
        visits.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    there = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    headers = {"host": admin.host, "cookie": "; ".join(f"{k}={v}" for k, v in admin.cookies.items())}
    form = {"_csrf": admin.csrf, "name": "Acme", "color": "#3b5bdb", "color_dark": ""}
    for inner in (
        f'<image xlink:href="{there}/a.png"/>', f'<use xlink:href="{there}/a.svg#a"/>', f'<path fill="url({there}/x)" d="M0 0"/>', f'<style>@import url({there}/a.css)</style><image href="{there}"/>',
        f'<foreignObject><iframe src="{there}"/></foreignObject>',
    ):  # fmt: skip
        for body in (SVG.format(inner), f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "{there}/xxe">]>' + SVG.format("<text>&x;</text>")):
            answer = await http.post("/settings/brand", data=form, files={"logo": ("l.svg", body.encode(), "image/svg+xml")}, headers=headers)
            assert answer.status_code == 422
    answer = await http.post("/settings/brand", data={**form, "logo": f"{there}/logo.png"}, headers=headers)
    assert answer.status_code == 303, "an address is no file, and is passed over"
    server.close()
    assert visits == []
