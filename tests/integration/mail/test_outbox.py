"""The outbox and its sender, against a real SMTP server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import replace

import pytest

from saas.db import system_transaction, tenant_transaction
from saas.errors import InvalidInput
from saas.tenants import clean_up, get_tenant
from saas.tenants.mail import (
    Message,
    check_recipient,
    compose,
    get_mail,
    list_mail,
    outbox,
    queue_mail,
    queue_platform_mail,
    run_sender,
    send_due,
    sender,
    smtp,
)
from tests.conftest import ROOT
from tests.mailbox import mailed, text_of

HELLO = Message("invitation", "en", "Acme", "Hello", "the text\n", "<p>the text</p>")


async def queue(tenant, recipient: str = "anna@example.com", message: Message = HELLO, **more):
    async with tenant_transaction(tenant.id) as conn:
        return await queue_mail(conn, tenant.id, message, recipient, **more)


async def test_a_message_leaves_with_the_transaction_that_wrote_it(box, tenant_factory):
    tenant = await tenant_factory()
    with contextlib.suppress(RuntimeError):
        async with tenant_transaction(tenant.id) as conn:
            await queue_mail(conn, tenant.id, HELLO, "nobody@example.com")
            raise RuntimeError
    mail_id = await queue(tenant, name="Anna Arendt")
    assert await send_due() == 1
    (message,) = box.messages
    assert message["to"] == "Anna Arendt <anna@example.com>" and message["from"] == "Acme <no-reply@localhost>"
    assert message["message-id"] == f"<{mail_id}@localhost>" and message["subject"] == "Hello"
    assert text_of(message).strip() == "the text" and "<p>" in text_of(message, "html")
    found = await get_mail(tenant.id, mail_id)
    assert (found["status"], found["attempts"], found["body_text"]) == ("sent", 1, "the text\n")
    assert await send_due() == 0


async def test_the_text_of_a_secret_is_kept_no_longer_than_needed(box, tenant_factory, superuser):
    tenant = await tenant_factory()
    mail_id = await queue(tenant, is_secret=True)
    assert (await get_mail(tenant.id, mail_id))["body_text"] == ""  # to nobody's eyes while it waits
    await send_due()
    row = await superuser.fetchrow("SELECT status, body_text, body_html FROM mail WHERE id = $1", mail_id)
    assert tuple(row) == ("sent", "", "")
    assert "the text" in text_of(box.messages[0])


async def test_a_server_that_is_busy_or_away_gets_it_later(box, database, tenant_factory, superuser):
    tenant = await tenant_factory()
    mail_id = await queue(tenant)
    box.answers = ["451 try again later"]
    await send_due()
    found = await get_mail(tenant.id, mail_id)
    assert (found["status"], found["error"], found["attempts"]) == ("queued", "busy", 1) and "451" in found["reply"]
    assert await send_due() == 0, "not before its time"
    settings = database.settings
    database.settings = replace(settings, smtp_url="smtp://127.0.0.1:1")
    await superuser.execute("UPDATE mail SET next_attempt_at = now() WHERE id = $1", mail_id)
    await send_due()
    assert (await get_mail(tenant.id, mail_id))["error"] == "unreachable"
    waits = await superuser.fetchval("SELECT extract(epoch FROM next_attempt_at - now()) FROM mail WHERE id = $1", mail_id)
    assert outbox.BACK_OFF[1] - 5 < waits <= outbox.BACK_OFF[1]
    database.settings = settings
    await superuser.execute("UPDATE mail SET next_attempt_at = now() WHERE id = $1", mail_id)
    await send_due()
    assert (await get_mail(tenant.id, mail_id))["status"] == "sent" and len(box.envelopes) == 1


async def test_what_is_refused_for_good_is_not_tried_again(box, tenant_factory, superuser):
    tenant = await tenant_factory()
    box.refuse = {"gone@example.com": "550 no such user"}
    gone, bad = await queue(tenant, "gone@example.com", is_secret=True), await queue(tenant)
    box.answers = ["554 we do not like it"]
    assert await send_due() == 2
    found = {m["id"]: m for m in await list_mail(tenant.id)}
    assert (found[gone]["status"], found[gone]["error"], found[gone]["reply"]) == ("failed", "recipient", "550 no such user")
    assert (found[bad]["status"], found[bad]["error"]) == ("failed", "refused")
    assert await superuser.fetchval("SELECT body_text FROM mail WHERE id = $1", gone) == ""
    last = await queue(tenant)
    box.answers = ["451 later"]
    await superuser.execute("UPDATE mail SET attempts = $2 WHERE id = $1", last, outbox.MAX_ATTEMPTS - 1)
    await send_due()
    assert (await get_mail(tenant.id, last))["status"] == "failed"


async def test_a_sender_killed_after_sending_leaves_the_same_message_id(box, tenant_factory, superuser, monkeypatch):
    tenant = await tenant_factory()
    mail_id = await queue(tenant)

    async def killed(*_args):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(sender.outbox, "mark_sent", killed)
        with pytest.raises(asyncio.CancelledError):
            await send_due()
    assert len(box.envelopes) == 1 and (await get_mail(tenant.id, mail_id))["status"] == "sending"
    assert await send_due() == 0, "the lease still holds"
    await superuser.execute("UPDATE mail SET locked_until = now() - interval '1 second' WHERE id = $1", mail_id)
    assert await send_due() == 1
    first, second = box.messages
    assert first["message-id"] == second["message-id"] == f"<{mail_id}@localhost>" and first["date"] == second["date"]
    assert (await get_mail(tenant.id, mail_id))["status"] == "sent"


async def test_a_worker_killed_while_the_server_takes_the_message(box, database, tenant_factory, superuser):
    """A process of its own, gone without a word before it knows that the server has the message."""
    tenant, settings = await tenant_factory(), database.settings
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir), "SMTP_URL": settings.smtp_url}
    worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "saas", "worker", env=environ, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    box.on_taken = worker.kill
    try:
        mail_id = await queue(tenant)
        await asyncio.wait_for(worker.wait(), 60)
    finally:
        box.on_taken = None
        if worker.returncode is None:
            worker.kill()
    assert worker.returncode == -9 and len(box.envelopes) == 1
    assert (await get_mail(tenant.id, mail_id))["status"] == "sending"
    await superuser.execute("UPDATE mail SET locked_until = now() - interval '1 second' WHERE id = $1", mail_id)
    await superuser.execute("DELETE FROM mail WHERE id <> $1", mail_id)  # what the worker wrote to others
    assert await send_due() == 1
    assert [m["message-id"] for m in box.messages] == [f"<{mail_id}@localhost>"] * 2


async def test_a_late_sender_undoes_nothing(box, tenant_factory, superuser):
    tenant = await tenant_factory()
    mail_id = await queue(tenant)
    late = await outbox.claim_next()
    await superuser.execute("UPDATE mail SET locked_until = now() - interval '1 second' WHERE id = $1", mail_id)
    await send_due()
    await outbox.mark_failed(late, "unreachable", "", for_good=True)
    assert (await get_mail(tenant.id, mail_id))["status"] == "sent"


async def test_many_senders_send_each_message_once(box, tenant_factory):
    tenant = await tenant_factory()
    for number in range(12):
        await queue(tenant, f"p{number}@example.com")
    assert sum(await asyncio.gather(*(send_due() for _ in range(4)))) == 12
    assert len({m["message-id"] for m in box.messages}) == len(box.envelopes) == 12


async def test_the_worker_sends(box, tenant_factory):
    stop, tenant = asyncio.Event(), await tenant_factory()
    task = asyncio.create_task(run_sender(stop))
    await queue(tenant)
    for _ in range(1200):
        if box.envelopes:
            break
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(task, 30)
    assert len(box.envelopes) == 1


async def test_without_a_server_messages_are_recorded(tenant_factory, database):
    assert database.settings.smtp_url is None
    tenant = await tenant_factory()
    mail_id = await queue(tenant, is_secret=True)
    found = await get_mail(tenant.id, mail_id)
    assert (found["status"], found["body_text"]) == ("recorded", "the text\n")
    await asyncio.wait_for(run_sender(asyncio.Event()), 10)
    async with mailed(database) as box:
        assert await send_due() == 0 and not box.envelopes, "what was recorded is not sent weeks later"


async def test_the_platforms_own_messages(box, tenant_factory):
    """Of no tenant: nobody but the system's role reads or writes them."""
    tenant = await get_tenant((await tenant_factory()).id)
    async with system_transaction("send_mail") as conn:
        await queue_platform_mail(conn, compose("password_changed", tenant, "en", {"name": "", "url": "http://localhost/", "at": "today"}), "new@example.com", is_secret=True)
    assert await send_due() == 1 and box.to("new@example.com")
    async with system_transaction("send_mail") as conn:
        assert tuple(await conn.fetchrow("SELECT status, body_text FROM platform_mail")) == ("sent", "")


async def test_a_login_goes_only_where_it_may(database, tenant_factory):
    tenant = await tenant_factory()
    async with mailed(database, auth=True) as box:
        base = database.settings
        database.settings = replace(base, smtp_url=f"smtp://us%40er:right@127.0.0.1:{box.port}")
        await queue(tenant)
        await send_due()
        assert box.logins[-1] == (b"us@er", b"right") and len(box.envelopes) == 1
        database.settings = replace(base, smtp_url=f"smtp://us%40er:wrong@127.0.0.1:{box.port}")
        mail_id = await queue(tenant)
        await send_due()
        assert (await get_mail(tenant.id, mail_id))["error"] == "login"
        # Where TLS is demanded and the server has none, the password stays here.
        count = len(box.logins)
        database.settings = replace(base, smtp_url=f"smtp://user:right@127.0.0.1:{box.port}?tls=require")
        mail_id = await queue(tenant)
        await send_due()
        assert (await get_mail(tenant.id, mail_id))["status"] == "queued" and len(box.logins) == count
    assert smtp.server_of("smtp://u:p@mail.example.com").start_tls is True, "over the network a login needs TLS"
    assert smtp.server_of("smtps://mail.example.com").use_tls and smtp.server_of("smtps://mail.example.com").port == 465
    assert "secret" not in repr(smtp.server_of("smtp://u:secret@h"))


@pytest.mark.parametrize(
    "address",
    ["", "a", "a@", "@b.example", "a b@c.example", "a@b.example\nBcc: x@y.example", "a@b.example\r\n", "a,b@c.example", "<a@b.example>", '"a b"@c.example', "a@b@c.example", "a;b@c.example", "a@b..example", "é@b.example", "a@-b.example", "a@b.example,c@d.example", "x" * 70 + "@b.example", "a(c)@b.example", "a@[127.0.0.1]"],
)
async def test_addresses_that_are_not_exactly_one_persons(address):
    if address.endswith("\r\n"):
        assert check_recipient(address) == "a@b.example"  # what surrounds it is no part of it
        return
    with pytest.raises(InvalidInput):
        check_recipient(address)


async def test_an_address_of_another_alphabet():
    assert check_recipient("info@天合.example") == "info@xn--3kq28kn0b.example".replace("xn--3kq28kn0b", "天合".encode("idna").decode())


async def test_nothing_that_people_type_becomes_a_header(box, tenant_factory):
    tenant = await get_tenant((await tenant_factory()).id)
    evil = "Eve\r\nBcc: victim@example.com\r\n\r\nhttp://evil.example www.evil.example"
    message = compose("invitation", replace(tenant, name=evil), "en", {"name": "Anna", "inviter": evil, "url": "http://x.localhost/invitation/t", "until": "tomorrow"})
    await queue(tenant, "anna@example.com", message, name=evil)
    await send_due()
    (arrived,) = box.messages
    assert box.envelopes[0].rcpt_tos == ["anna@example.com"]
    assert arrived["bcc"] is None and arrived["cc"] is None and len(arrived.get_all("to")) == 1
    assert "\n" not in arrived["subject"] and "http://evil" not in arrived["subject"] + arrived["from"]


async def test_logs_and_reprs_hold_no_addresses_or_links(box, tenant_factory, caplog, capsys):
    tenant = await tenant_factory()
    await queue(tenant, "anna.secret@example.com", replace(HELLO, text="http://x/reset/topsecret"), is_secret=True)
    box.refuse = {"anna.secret@example.com": "550 anna.secret@example.com unknown"}
    await send_due()
    said = caplog.text + "".join(capsys.readouterr())
    assert "anna.secret" not in said and "topsecret" not in said


async def test_a_tenant_sees_its_own_messages_only(box, tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    mail_id = await queue(one)
    assert await list_mail(two.id) == []
    from saas.errors import NotFound

    with pytest.raises(NotFound):
        await get_mail(two.id, mail_id)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.parametrize("kind", ["invitation", "password_reset", "password_changed"])
async def test_our_messages_speak_the_readers_language(tenant_factory, kind, locale):
    tenant = replace(await get_tenant((await tenant_factory()).id), name="Acme <b>", brand={"color": "#AA3300"})
    values = {"name": "Anna <i>", "inviter": "Boss & Co", "url": "http://acme.localhost/x/abc", "minutes": 60, "until": "U", "at": "A"}
    message = compose(kind, tenant, locale, values)
    chinese = [any("\u4e00" <= c <= "\u9fff" for c in part) for part in (message.subject, message.text, message.html)]
    assert chinese == [locale == "zh_CN"] * 3
    assert "http://acme.localhost/x/abc" in message.text and 'href="http://acme.localhost/x/abc"' in message.html
    assert "#aa3300" in message.html and "<b>" not in message.html and "Acme <b>" in message.text and "Anna &lt;i&gt;" in message.html


async def test_old_messages_are_removed(tenant_factory, superuser):
    tenant = await tenant_factory()
    old, recorded = await queue(tenant), await queue(tenant, is_secret=True)
    await superuser.execute("UPDATE mail SET created_at = now() - interval '91 days' WHERE id = $1", old)
    await superuser.execute("UPDATE mail SET created_at = now() - interval '9 days' WHERE id = $1", recorded)
    assert (await clean_up())["mail"] == 1
    assert (await get_mail(tenant.id, recorded))["body_text"] == ""
