"""Notifications that are not read reach those who chose so by e-mail or SMS: all of some minutes at once, and once."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.runtime import notifications, outbox
from saas.runtime.messages import telling
from saas.tenants import integrations, update_user
from tests.acceptance.api import Person, refused
from tests.factories import PASSWORD
from tests.integration.test_pages import Browser
from tests.mailbox import text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module")
async def mia(club) -> str:
    await club.person("mia", ["clerk"], locale="zh_CN")
    return f"mia@{club.slug}.example"


async def notify(lab, *titles, who=("mia",), **more):
    ctx = await lab.system()
    async with tenant_transaction(lab.tenant_id) as conn:
        for title in titles:
            await notifications.deliver(conn, ctx, [lab.people[w] for w in who], notifications.Notice({"en": title, "zh_CN": f"{title}。"}, {}, None, None, "test", **more))


async def after_a_while(lab) -> int:
    """As if the minutes had gone by; returns how many messages were put out for this company."""
    before = len(await lab.fetch("SELECT 1 FROM outbox WHERE tenant_id = $1 AND kind = 'notices'"))
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE notification SET due_at = now() - interval '1 second' WHERE tenant_id = $1 AND due_at IS NOT NULL", lab.tenant_id)
    await telling.announce_due()
    assert await telling.announce_due() == 0, "once is enough"
    await outbox.send_due()
    return len(await lab.fetch("SELECT 1 FROM outbox WHERE tenant_id = $1 AND kind = 'notices'")) - before


async def test_who_chose_so_gets_what_they_have_not_read_once(club, box, http, mia):
    await notify(club, "Before the choice")
    page = Browser(http, f"{club.slug}.localhost")
    await page.sign_in(mia)
    assert (await page.post("/profile/notifications", {"told": ["email", "fax"]})).status_code == 303
    assert 'name="told" value="email" checked' in (await page.get("/profile")).text
    await notify(club, "One", "Two", who=("mia", "reader"))
    await telling.announce_due()
    assert not box.to(mia)  # not yet: they may be looking at the bell
    assert await after_a_while(club) == 1
    [mail] = box.to(mia)
    assert mail["Subject"] == "2 条新通知" and "One。" in text_of(mail) and "Two。" in text_of(mail) and "Before" not in text_of(mail) and "/notifications" in text_of(mail)
    assert not box.to(f"reader@{club.slug}.example")
    assert await after_a_while(club) == 0 and len(box.to(mia)) == 1

    await notify(club, *(f"Of many {n}" for n in range(30)))
    assert await after_a_while(club) == 1
    assert box.to(mia)[-1]["Subject"] == "30 条新通知" and "Of many 29" not in text_of(box.to(mia)[-1])
    assert await club.fetch("SELECT 1 FROM notification WHERE tenant_id = $1 AND due_at IS NOT NULL") == [], "none of them waits on"

    await notify(club, "Alone")
    await after_a_while(club)
    assert box.to(mia)[-1]["Subject"] == "Alone。"
    [note] = await club.fetch("SELECT id FROM notification WHERE tenant_id = $1 AND title = 'Alone。'")
    assert f"/notifications/{note['id']}" in text_of(box.to(mia)[-1])

    await notify(club, "Read in time")
    assert (await page.post("/notifications/read", {})).status_code == 303
    await notify(club, "Said by a mail of its own", has_mail=True)
    assert await after_a_while(club) == 0 and len(box.to(mia)) == 3


async def test_what_was_read_opted_out_of_or_not_wanted_any_more_is_not_sent(club, box, http, mia):
    program = await Person(http, f"{club.slug}.localhost", language="en").sign_in(mia, PASSWORD)
    refused(await program.send("POST", "/notifications/channels", {"channels": ["fax"]}), 400)
    assert (await program.call("POST", "/notifications/channels", {"channels": ["email"]})) == {"channels": ["email"]} == await program.get("/notifications/channels")
    await notify(club, "Put out already")
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE notification SET due_at = now() - interval '1 second' WHERE tenant_id = $1 AND due_at IS NOT NULL", club.tenant_id)
    await telling.announce_due()
    await program.call("POST", "/notifications/read", {}, expect=204)
    before = len(box.to(mia))
    await outbox.send_due()
    assert len(box.to(mia)) == before
    await notify(club, "No more")
    await program.call("POST", "/notifications/channels", {"channels": []})
    await after_a_while(club)
    assert len(box.to(mia)) == before and not await club.fetch("SELECT 1 FROM notification WHERE tenant_id = $1 AND due_at IS NOT NULL")


async def test_a_mail_server_that_is_away_is_asked_again_and_nothing_is_lost(club, box, mia):
    await update_user(club.tenant_id, club.people["mia"], {"told_by": ["email"]})
    box.answers = ["451 later"]
    await notify(club, "Stubborn")
    assert await after_a_while(club) == 1
    before = len(box.to(mia))
    await notify(club, "Stubborn too")
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1 AND status = 'queued'", club.tenant_id)
    await outbox.send_due()
    assert len(box.to(mia)) == before + 1 and "Stubborn。" in text_of(box.to(mia)[-1])


async def test_by_text_message_where_there_is_a_provider_and_a_number(club, receiver, mia):
    await update_user(club.tenant_id, club.people["mia"], {"told_by": ["sms"], "phone": "13900000088"})
    await notify(club, "Nobody carries it")
    await after_a_while(club)
    async with tenant_transaction(club.tenant_id) as conn:
        await integrations.save_integration(conn, club.tenant_id, "sms", "sms", "SMS", {"mode": "http", "url": receiver.url, "fields": {"to": "{{ to }}", "text": "{{ text }}"}})
    await notify(club, "By text", "Another")
    await after_a_while(club)
    assert len(receiver.asked) == 1 and json.loads(receiver.asked[0].body)["to"] == "13900000088" and "By text" in json.loads(receiver.asked[0].body)["text"]
