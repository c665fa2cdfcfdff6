"""Webhooks: events leave signed and once, their receiver's trouble is shown, and nothing of ours is reached; messages of others become records."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
from dataclasses import replace
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import make_msgid
from urllib.parse import urlsplit

import pytest

from saas import outbound
from saas.db import tenant_transaction
from saas.errors import AppError
from saas.runtime import exchanges, execute, files, inbound_hooks, inbound_mail, outbox
from saas.runtime import operations as ops
from saas.runtime.signatures import is_signed, signature
from saas.tenants import integrations
from saas.ui.watch import HELD_BYTES
from tests.integration.outbox.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def connect(lab, url, key="crm"):
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET status = 'cancelled' WHERE tenant_id = $1 AND status IN ('queued', 'sending')", lab.tenant_id)
        await integrations.save_integration(conn, lab.tenant_id, "webhook", key, "To the shop", {"url": url}, secret="our secret")
        await conn.execute("UPDATE integration SET failing_since = NULL, active = true WHERE tenant_id = $1", lab.tenant_id)
        return await integrations.get_integration(conn, lab.tenant_id, "webhook", key=key)


async def log_of(lab, found):
    async with tenant_transaction(lab.tenant_id) as conn:
        return await exchanges.list_exchanges(conn, lab.tenant_id, found.id)


async def due(lab):
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1 AND status = 'queued'", lab.tenant_id)


def told(receiver, name):
    return [json.loads(a.body) for a in receiver.asked if json.loads(a.body).get("record") and json.loads(a.body)["record"]["values"].get("name") == name]


async def test_events_are_told_once_signed_and_only_what_is_meant(club, receiver):
    found = await connect(club, f"{receiver.url}/events")
    ctx = await club.ctx()
    plain = await club.make("member", name="Plain")
    gold = await club.make("member", name="Gold", level="gold", note="secret")
    await execute(ctx, ops.Update(entity="member", id=gold, values={"phone": "13900000301", "email": "gold@x.example"}))
    await execute(ctx, ops.Delete(entity="member", id=gold))
    receiver.answer = lambda asked, seen=[]: "500 down" if len(seen) == 0 and not seen.append(1) else "200 OK"
    await outbox.send_due()
    await due(club)
    await outbox.send_due()
    events = [json.loads(a.body) for a in receiver.effects.values()]
    assert sorted(e["event"] for e in events) == ["create", "delete", "update"]
    assert all(e["record"]["id"] == str(gold) and set(e["record"]["values"]) == {"name", "email", "level"} for e in events)
    assert next(e for e in events if e["event"] == "update")["changed"] == ["email"]
    assert len(receiver.asked) == 4 and str(plain) not in "".join(a.body for a in receiver.asked)
    for asked in receiver.asked:
        moment = float(asked.headers["x-signature"].partition("t=")[2].partition(",")[0])
        assert is_signed(asked.headers["x-signature"], ["our secret"], asked.body.encode(), moment) and abs(moment - time.time()) < 60
        assert "cookie" not in asked.headers
    log = await log_of(club, found)
    assert sorted((x.event, x.status, x.attempts) for x in log)[0][1] == "done" and {x.attempts for x in log} == {1, 2}
    assert all(x.request and x.http_status == 200 for x in log)


async def test_an_import_tells_each_record(club, receiver):
    await connect(club, f"{receiver.url}/events")
    rows = [{"name": f"Row {n}", "level": "gold"} for n in range(3)]
    await execute(await club.ctx(), ops.CreateMany(entity="member", rows=rows))
    await outbox.send_due()
    assert {json.loads(a.body)["record"]["values"]["name"] for a in receiver.asked} == {"Row 0", "Row 1", "Row 2"}


async def test_nothing_of_ours_is_reached(club, database):
    """Not by address, not by a name that leads there, not by one that changes its mind, not by a redirect."""
    async with receiving() as inner:
        settings = database.settings
        for url in (
            f"http://127.0.0.1:{inner.port}/", f"http://localhost:{inner.port}/", f"http://[::ffff:127.0.0.1]:{inner.port}/", f"http://2130706433:{inner.port}/", "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/", f"http://user@127.0.0.1:{inner.port}/",
        ):  # fmt: skip
            found = await connect(club, url)
            await club.make("member", name="Try", level="gold")
            await outbox.send_due()
            newest = (await log_of(club, found))[0]
            assert newest.status == "failed" and newest.http_status is None and newest.error, url
        assert not inner.asked

        async def leads_inside(host, port):
            return ["127.0.0.1"]

        answers = [["93.184.216.34"], ["127.0.0.1"]]

        async def changes(host, port):
            return answers.pop(0)

        with pytest.raises(outbound.OutboundFailed) as error:
            await outbound.request("POST", f"http://rebind.example:{inner.port}/", settings=settings, resolver=leads_inside)
        assert error.value.reason == "private"
        await changes("x", 1)
        with pytest.raises(outbound.OutboundFailed):
            await outbound.request("POST", f"http://rebind.example:{inner.port}/", settings=settings, resolver=changes)
        assert not inner.asked


async def test_a_redirect_is_not_followed(club, database):
    async with receiving() as inner:
        visits = []

        async def moved(reader, writer):
            visits.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{inner.port}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(moved, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", port)}))
        try:
            found = await connect(club, f"http://127.0.0.1:{port}/")
            await club.make("member", name="Led on", level="gold")
            await outbox.send_due()
        finally:
            database.settings = before
            server.close()
        assert visits and not inner.asked
        assert (await log_of(club, found))[0].status == "failed"


async def test_after_failing_for_days_it_is_switched_off_and_said(club, receiver, admin):
    found = await connect(club, f"{receiver.url}/events")
    receiver.answer = lambda _asked: "503 down"
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE integration SET failing_since = now() - interval '4 days' WHERE tenant_id = $1 AND id = $2", club.tenant_id, found.id)
    await club.make("member", name="Down", level="gold")
    await outbox.send_due()
    page = await admin.get("/settings/connections")
    assert "switched off: failed for days" in page.text
    notes = await club.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND kind = 'connection' AND user_id = $2", club.people["admin"])
    assert notes
    asked = len(receiver.asked)
    await club.make("member", name="Later", level="gold")
    await outbox.send_due()
    assert len(receiver.asked) == asked, "it is left alone"


async def test_the_page_sets_the_address_tests_it_and_sends_again(club, receiver, admin):
    refused = await admin.post("/settings/connections/webhook/crm", {"url": "ftp://x.example/"})
    assert refused.status_code == 422
    await connect(club, f"{receiver.url}/x")
    assert (await admin.post("/settings/connections/webhook/crm", {"url": f"{receiver.url}/hooks", "active": "on"})).status_code == 303
    secret = await admin.post("/settings/connections/webhook/crm/secret")
    shown = re.search(r'class="expr">([^<]+)<', secret.text)[1]
    receiver.answer = lambda _asked: "422 no"
    assert (await admin.post("/settings/connections/webhook/crm/test")).status_code == 303
    await outbox.send_due()
    test = receiver.asked[-1]
    moment = float(test.headers["x-signature"].partition("t=")[2].partition(",")[0])
    assert json.loads(test.body)["event"] == "test" and test.path == "/hooks"
    for accepted in (html.unescape(shown), "our secret"):  # while a secret changes both are good
        assert is_signed(test.headers["x-signature"], [accepted], test.body.encode(), moment)
    page = await admin.get("/settings/connections/webhook/crm")
    assert 'data-exchange="failed"' in page.text and shown not in page.text
    message = re.search(r'name="message" value="([^"]+)"', page.text)[1]
    receiver.answer = lambda _asked: "200 OK"
    assert (await admin.post("/settings/connections/webhook/crm/again", {"message": message})).status_code == 303
    await outbox.send_due()
    assert receiver.asked[-1].headers["idempotency-key"] == test.headers["idempotency-key"]
    assert (await admin.post("/settings/connections/webhook/crm/again", {"message": str(club.tenant_id)})).status_code == 404
    assert (await admin.get("/settings/connections/webhook/nothing")).status_code == 404


# ---- what comes in -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def door(club, http):
    async with tenant_transaction(club.tenant_id) as conn:
        hooks = {h.key: h for h in (await club.system()).config.bundle.inbound_hooks}
        found = {key: await inbound_hooks.ensure(conn, club.tenant_id, hook, key) for key, hook in hooks.items()}

    async def knock(key, body, headers=None, path=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.post(path or inbound_hooks.path_of(club.tenant_id, found[key]), content=content, headers={"host": f"{club.slug}.localhost", "content-type": "application/json", **(headers or {})})

    knock.found = found
    return knock


async def test_a_message_becomes_a_record_once_and_changes_it_later(club, door):
    first = await door("shop", {"id": 1, "buyer": {"name": "Buyer", "mail": "buyer@x.example", "phone": 13900000401}})
    assert first.status_code == 200 and first.json()["made"]
    assert (await door("shop", {"id": 1, "buyer": {"name": "Twice", "mail": "twice@x.example"}})).json() == {"record": first.json()["record"], "made": False, "again": True}
    second = await door("shop", {"id": 2, "buyer": {"name": "Buyer 2", "mail": "BUYER@x.example"}})
    assert second.json() == {"record": first.json()["record"], "made": False, "again": False}
    record = await club.get("member", first.json()["record"])
    assert (record.values["name"], record.values["phone"], record.values["note"]) == ("Buyer 2", "+8613900000401", "shop")
    history = await execute(await club.ctx(), ops.History(entity="member", id=record.id))
    assert {h.origin for h in history} == {"webhook"}


async def test_a_mirror_is_fed_from_outside_and_by_nobody_here(club, door):
    first = await door("stock", {"no": "A1", "title": "Lamp", "pieces": 5})
    second = await door("stock", {"no": "A1", "title": "Lamp", "pieces": 3})
    assert (first.json()["made"], second.json()["made"]) == (True, False)
    record = await club.get("stock", first.json()["record"])
    assert record.values["pieces"] == 3 and record.updated_at >= record.created_at
    ctx = await club.ctx()
    for operation in (ops.Create(entity="stock", values={"name": "x"}), ops.Update(entity="stock", id=record.id, values={"pieces": 9}), ops.Delete(entity="stock", id=record.id)):
        with pytest.raises(AppError):
            await execute(ctx, operation)


MAIL = {"content-type": "message/rfc822"}


def letter(text: str, *, kind: str = "plain", sender: str = "Lu Mei <LU@post.example>", **headers: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = sender, "post@club.example", "Hello 你好", headers.pop("id", make_msgid())
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text, subtype=kind)
    return bytes(mail)


async def test_an_e_mail_becomes_a_record_as_a_mail_server_hands_it_over(club, door):
    first = letter("早上好\n\n\n\nGood morning", id="<one@post.example>")
    made = await door("post", first, MAIL)
    assert inbound_mail.read_mail(first).content["text"] == "早上好\n\nGood morning"
    assert made.status_code == 200 and made.json()["made"], made.text
    record = await club.get("member", made.json()["record"])
    assert (record.values["name"], record.values["email"], record.values["note"], record.values["lang"]) == ("Lu Mei", "lu@post.example", "早上好  Good morning", "mail")
    assert (await door("post", first, MAIL)).json()["again"], "a server that hands it over twice"
    marked = letter("<style>p{color:red}</style><p>One &amp; two</p><script>alert(1)</script>three<br>four", kind="html")
    assert (await door("post", marked, MAIL)).json() == {"record": str(record.id), "made": False, "again": False}
    assert (await club.get("member", record.id)).values["note"] == "One & two three four"  # a text of one line


async def test_letters_that_are_none_break_nothing(club, door):
    with_file = EmailMessage(policy=SMTP)
    with_file["From"], with_file["Auto-Submitted"] = "x@post.example", "auto-replied"
    with_file.set_content("see there")
    with_file.add_attachment(b"%PDF-1.4 " + b"0" * 300_000, maintype="application", subtype="pdf", filename="../报价.pdf")
    with_file.add_attachment(b"MZ\x90", maintype="application", subtype="octet-stream", filename="virus.exe")
    read = inbound_mail.read_mail(bytes(with_file)).content
    assert read["files"] == ["../报价.pdf", "virus.exe"] and read["automatic"] and read["text"] == "see there" and read["from"] == {"name": "x@post.example", "address": "x@post.example"}
    assert not inbound_mail.read_mail(letter("x")).content["automatic"]
    for alphabet in ("utf-8", "gb18030"):  # in headers without a word of which one, and a text in one that nobody knows
        odd = inbound_mail.read_mail("From: 张三 <z@post.example>\nContent-Type: text/plain; charset=x-nobodys\n\nHello".encode(alphabet)).content
        assert (odd["from"]["name"], odd["text"]) == ("张三", "Hello")
    assert not inbound_mail.read_mail(letter("<br" * 400_000, kind="html")).content["text"], "in no time"
    for heavy in (b"From: x@x.example\nTo: " + b"a@b.example, " * 5_000 + b"\n\nHello", b"From: x@x.example\n\n" + b"Content-Type: multipart/mixed; boundary=x\n\n" * 50):
        assert (await door("post", heavy, MAIL)).status_code == 400
    taken = await door("post", bytes(with_file), MAIL)
    assert taken.status_code == 200, "longer than another message may be"
    record = await club.get("member", taken.json()["record"])
    assert record.display["papers"] and len(record.values["papers"]) == 1, "what the field takes hangs on the record, the rest does not"
    [kept] = (await files.describe(await club.ctx(), record.values["papers"])).values()
    assert kept.name == "报价.pdf" and kept.size_bytes == 300_009
    assert (await door("shop", b'{"a": "' + b"x" * 300_000 + b'"}')).status_code == 413
    for body in (b"", b"no letter", b"From: nobody\r\n\r\nx", b"From: =?utf-8?q?=ff?= <a@>\r\n\r\nx", b"\xff\xfe" * 50, b"Content-Type: multipart/mixed; boundary=a\r\nFrom: a@b.example, \r\n\r\n--a\r\n" + b"--a\r\n" * 500):
        answer = await door("post", body, MAIL)
        assert answer.status_code in (200, 400, 422), (body[:40], answer.text)


async def test_a_letter_is_read_to_its_end_whatever_stands_between():
    def part(content: str, kind: str = "plain") -> MIMEText:
        return MIMEText(content, kind, "utf-8")

    picture, note = MIMEImage(b"\x89PNG", "png"), part("of its own")
    note.add_header("Content-Disposition", "inline", filename="note.txt")
    both = MIMEMultipart("alternative", _subparts=[part("plain half"), MIMEMultipart("mixed", _subparts=[part("<p>plain half</p>", "html"), picture, part("<p>again</p>", "html")])])
    marked = MIMEMultipart("alternative", _subparts=[MIMEMultipart("related", _subparts=[part("<p>marked half</p>", "html"), picture])])
    for parts, text, names in (
        ([part("first half"), picture, part("SECOND HALF")], "first half\nSECOND HALF", ["attachment.png"]),
        ([both, part("the list's line")], "plain half\nthe list's line", ["attachment.png"]),
        ([marked, part("the list's line")], "marked half\n\nthe list's line", ["attachment.png"]),
        ([part("a letter"), note], "a letter", ["note.txt"]),
        ([note], "of its own", []),
    ):
        mail = MIMEMultipart("mixed", _subparts=parts)
        mail["From"] = "x@post.example"
        read = inbound_mail.read_mail(mail.as_bytes()).content
        assert (read["text"], read["files"]) == (text, names)


async def test_files_of_every_letter_join_those_of_the_record_however_they_hang_on_it(club, door):
    def written(text: str = "see there") -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["Subject"], mail["Message-ID"] = "many@post.example", "Offer", make_msgid()
        mail.set_content(text)
        return mail

    (first := written()).add_attachment("one", filename="one.txt")
    (second := written()).add_attachment("two", filename="two.txt")
    (repeats := written()).add_attachment("two", filename="two again.txt")
    (forwards := written()).add_attachment(second)
    alone = written("")
    alone.set_content(b"%PDF-1.4 alone", maintype="application", subtype="pdf", disposition="attachment")
    (deep := written()).add_alternative("<p>see there</p>", subtype="html")
    deep.get_payload()[1].make_mixed()
    deep.get_payload()[1].add_attachment("deep", filename="deep.txt")
    sent = [first, second, written(), repeats, forwards, alone, deep]
    answers = [(await door("post", bytes(mail), MAIL)).json() for mail in sent]
    assert len({a["record"] for a in answers}) == 1
    record = await club.get("member", answers[0]["record"])
    kept = await files.describe(await club.ctx(), record.values["papers"])
    assert [kept[i].name for i in record.values["papers"]] == ["one.txt", "two.txt", "Offer.eml", "attachment.pdf", "deep.txt"]
    [(_name, content)] = inbound_mail.read_mail(bytes(forwards)).files
    assert inbound_mail.read_mail(content).files == inbound_mail.read_mail(bytes(second)).files, "with what hangs on it"


async def test_little_is_read_of_what_is_sent_to_an_address_there_is_not(club, door, http):
    """No more than of any request before its turn."""
    path, sent = inbound_hooks.path_of(club.tenant_id, door.found["post"]), []

    async def letter():
        for _ in range(16):
            sent.append(b"x" * 65_536)
            yield sent[-1]

    for address, status in ((path[:-4] + "AAAA", 404), (path, 400)):
        sent.clear()
        assert (await http.post(address, content=letter(), headers={"host": f"{club.slug}.localhost", **MAIL})).status_code == status
        assert len(b"".join(sent)) == HELD_BYTES if status == 404 else len(sent) == 16


async def test_ten_at_once_are_one(club, door):
    answers = await asyncio.gather(*(door("shop", {"id": "storm", "buyer": {"name": "Storm", "mail": "storm@x.example"}}) for _ in range(10)))
    assert len({a.json()["record"] for a in answers}) == 1 and sum(a.json()["made"] for a in answers) == 1


@pytest.mark.parametrize("body", [b"", b"[", b"7", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"buyer": 7}', b'{"buyer": {"mail": "no address", "name": "x"}}', b'{"id": 9, "buyer": {"name": ["a"], "mail": {}}}'])
async def test_nonsense_is_refused_and_noted(club, door, body):
    answer = await door("shop", body)
    assert 400 <= answer.status_code < 500
    assert (await log_of(club, door.found["shop"]))[0].status == "refused"


async def test_who_may_knock(club, door, tenant_factory, http):
    body = json.dumps({"name": "Signed"}).encode()
    secret = door.found["signed"].secret
    assert (await door("signed", body)).status_code == 401
    assert (await door("signed", body, {"x-signature": signature([secret], body, time.time() - 4000)})).status_code == 401
    assert (await door("signed", body, {"x-signature": signature(["another"], body, time.time())})).status_code == 401
    assert (await door("signed", body + b" ", {"x-signature": signature([secret], body, time.time())})).status_code == 401
    assert (await door("signed", body, {"x-signature": signature([secret], body, time.time())})).status_code == 200
    path = inbound_hooks.path_of(club.tenant_id, door.found["shop"])
    other = await tenant_factory()
    assert (await http.post(path, content=b"{}", headers={"host": f"{other.slug}.localhost"})).status_code == 404
    assert (await door("shop", {}, path=path[:-4] + "AAAA")).status_code == 404
    async with tenant_transaction(club.tenant_id) as conn:
        await integrations.change_secret(conn, club.tenant_id, door.found["shop"].id)
        await conn.execute("UPDATE integration SET old_until = now() - interval '1 second' WHERE tenant_id = $1", club.tenant_id)
    assert (await door("shop", {}, path=path)).status_code == 404, "an old address ends with its secret"
    assert urlsplit(path).query == ""


async def test_the_designer_makes_both(admin):
    for part, form in (
        ("webhooks", {"label.en": "Out", "events": ["create"], "active": "on"}), ("inbound-hooks", {"label.en": "In", "map": "name = who.name\nemail = who.mail", "active": "on"}),
    ):  # fmt: skip
        assert (await admin.get(f"/settings/{part}/new?entity=member")).status_code == 200
        answer = await admin.post(f"/settings/{part}/new", {"entity": "member", **form})
        assert answer.status_code == 303, re.findall(r'data-error-for="([^"]+)">([^<]+)<', answer.text)
    wrong = await admin.post("/settings/inbound-hooks/new", {"entity": "member", "label.en": "In", "map": "nmae = who.name"})
    assert wrong.status_code == 422 and "nmae" in wrong.text


async def test_a_linked_record_is_found_by_what_others_call_it(club, door):
    known = await club.make("member", name="Recommends", email="recommends@x.example")
    answer = await door("friend", {"name": "Friend", "from": "RECOMMENDS@x.example"})
    assert answer.status_code == 200
    record = await club.get("member", answer.json()["record"])
    assert record.values["referrer"] == str(known)
    refused = await door("friend", {"name": "Nobody's", "from": "nobody@x.example"})
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "referrer"
    assert (await door("friend", {"name": "Alone"})).status_code == 200
