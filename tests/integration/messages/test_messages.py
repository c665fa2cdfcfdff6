"""Messages to people: written with what causes them, sent once, left out for who wants none, looked up and sent again."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from saas.db import tenant_transaction
from saas.errors import BadRequest, PermissionDenied
from saas.metadata.parse import examine
from saas.metadata.usages import usages
from saas.runtime import execute, messages, outbox
from saas.runtime import operations as ops
from saas.runtime.messages import opt_outs, sms
from saas.runtime.worker import drain
from saas.tenants import integrations
from tests.integration.messages.club import club_bundle
from tests.integration.test_pages import Browser
from tests.mailbox import text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def sent_about(lab, record_id):
    ctx = await lab.ctx()
    async with tenant_transaction(lab.tenant_id) as conn:
        return await messages.messages_of(conn, ctx, ctx.config.entity("member").number, record_id)


async def test_an_automation_sends_in_the_receivers_language_with_a_way_out(club, box):
    member = await club.make("member", name="Lu Mei", email="Lu@x.example", level="gold", lang="zh_CN")
    await outbox.send_due()
    [mail] = box.to("lu@x.example")
    assert mail["Subject"] == "欢迎，Lu Mei"
    assert "Lu Mei，您好！" in text_of(mail)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"https://{club.slug}." in mail["List-Unsubscribe"] or f"http://{club.slug}." in mail["List-Unsubscribe"]
    [message] = await sent_about(club, member)
    assert (message.status, message.channel, message.recipient, message.attempts) == ("sent", "email", "lu@x.example", 1)
    assert message.reply.startswith("2") or message.reply


async def test_nothing_is_sent_for_what_was_rolled_back(club, box):
    before = len(await club.fetch("SELECT 1 FROM message WHERE tenant_id = $1"))
    with pytest.raises(RuntimeError):
        async with tenant_transaction(club.tenant_id):
            await execute(await club.ctx(), ops.Create(entity="member", values={"name": "Never", "email": "never@x.example", "level": "gold"}))
            raise RuntimeError
    await outbox.send_due()
    assert not box.to("never@x.example")
    assert len(await club.fetch("SELECT 1 FROM message WHERE tenant_id = $1")) == before


async def test_one_click_opts_out_and_looking_at_the_link_does_not(club, box, http):
    await club.make("member", name="Out", email="out@x.example", level="gold")
    await outbox.send_due()
    link = re.findall(r"<(\S+)>", box.to("out@x.example")[-1]["List-Unsubscribe"])[0]
    path, host = urlsplit(link).path, f"{club.slug}.localhost"
    stranger = Browser(http, host)
    page = await stranger.get(path)
    assert page.status_code == 200 and "out@x.example" in page.text
    again = await club.make("member", name="Out 2", email="OUT@x.example", level="gold")
    assert [m.status for m in await sent_about(club, again)] == ["queued"]
    # A mail program: no cookies, no token, from nowhere.
    answer = await http.post(path, content="List-Unsubscribe=One-Click", headers={"host": host, "content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200
    assert [m.status for m in await sent_about(club, again)] == ["left_out"]  # what waited stays here, too
    await outbox.send_due()
    third = await club.make("member", name="Out 3", email="out@x.example", level="gold")
    assert [m.status for m in await sent_about(club, third)] == ["left_out"]
    assert len(box.to("out@x.example")) == 1
    ctx = await club.ctx()
    assert (await messages.send_to_many(ctx, "member", "terms", "email", [third])).queued == 1  # what people need still comes
    await outbox.send_due()
    assert box.to("out@x.example")[-1]["List-Unsubscribe"] is None
    answer = await stranger.post(path, {"again": "1"})
    assert answer.status_code == 200
    fourth = await club.make("member", name="Out 4", email="out@x.example", level="gold")
    assert [m.status for m in await sent_about(club, fourth)] == ["queued"]


async def test_a_link_works_in_its_own_workspace_only_and_no_other_text_is_one(club, http, tenant_factory):
    other = await tenant_factory()
    path = opt_outs.unsubscribe_path(club.tenant_id, "email", "a@x.example")
    for host, tried in ((f"{other.slug}.localhost", path), (f"{club.slug}.localhost", path[:-2] + "AA"), (f"{club.slug}.localhost", "/unsubscribe/" + "A" * 900), (f"{club.slug}.localhost", "/unsubscribe/é")):
        assert (await http.post(tried, headers={"host": host})).status_code == 404
    assert not await club.fetch("SELECT 1 FROM opt_out WHERE tenant_id = $1 AND address = 'a@x.example'")


async def test_a_refused_message_fails_is_shown_and_can_be_sent_again(club, box, admin):
    box.refuse["gone@x.example"] = "550 no such person"
    member = await club.make("member", name="Gone", email="gone@x.example", level="gold")
    await outbox.send_due()
    [message] = await sent_about(club, member)
    assert (message.status, message.error) == ("failed", "recipient")
    page = await admin.get("/settings/messages?status=failed")
    assert "gone@x.example" in page.text
    del box.refuse["gone@x.example"]
    assert (await admin.get(f"/settings/messages/{message.id}")).status_code == 200
    answer = await admin.post(f"/settings/messages/{message.id}/again")
    assert answer.status_code == 303
    await outbox.send_due()
    assert [m.status for m in await sent_about(club, member)] == ["sent"]
    assert len(box.to("gone@x.example")) == 1
    assert "is on its way" not in (await admin.post(f"/settings/messages/{message.id}/again")).text


async def test_in_the_product_it_counts_as_unread_unless_the_person_wants_none(club, http):
    ctx = await club.ctx("clerk")
    member = await club.make("member", by="clerk", name="Due", phone="13900000011")
    await execute(ctx, ops.Update(entity="member", id=member, values={"birthday": "1990-05-05"}))
    unread = "SELECT title, body FROM notification WHERE tenant_id = $1 AND user_id = $2 AND record_id = $3"
    [note] = await club.fetch(unread, club.people["clerk"], member)
    assert (note["title"], note["body"]) == ("Due", "Due is due")
    clerk = Browser(http, f"{club.slug}.localhost")
    await clerk.sign_in(f"clerk@{club.slug}.example")
    assert (await clerk.post("/profile/channels", {"channels": ["email", "sms"]})).status_code == 303
    await execute(ctx, ops.Update(entity="member", id=member, values={"birthday": "1990-05-06"}))
    assert len(await club.fetch(unread, club.people["clerk"], member)) == 1
    assert [m.status for m in await sent_about(club, member)] == ["left_out", "delivered"]
    await clerk.post("/profile/channels", {"channels": ["email", "sms", "in_app"]})


async def test_without_a_provider_a_text_is_recorded_and_with_one_it_is_carried_once(club, receiver, admin, http):
    member = await club.make("member", name="Sms", phone="13900000012")
    ctx = await club.ctx()
    assert (await messages.send_to_many(ctx, "member", "due", "sms", [member])).recorded == 1
    saved = await admin.post(
        "/settings/sms",
        {"mode": "http", "url": f"{receiver.url}/send", "format": "json", "auth": "signature", "secret": "between us", "fields": "mobile={{ to }}\ncontent={{ text }}\nuid={{ id }}", "report_status": "state"},
    )  # fmt: skip
    assert saved.status_code == 303, saved.text[:1500]
    statuses = ["500 busy", "200 OK"]
    receiver.answer = lambda _asked: statuses.pop(0)
    assert (await messages.send_to_many(ctx, "member", "due", "sms", [member])).queued == 1
    await outbox.send_due()
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1", club.tenant_id)
    await outbox.send_due()
    assert len(receiver.asked) == 2 and len(receiver.effects) == 1
    told = json.loads(receiver.asked[-1].body)
    assert told["mobile"] == "+8613900000012" and told["content"] == "Sms is due"
    from saas.runtime.signatures import is_signed

    header = receiver.asked[-1].headers["x-signature"]
    moment = float(header.partition("t=")[2].partition(",")[0])
    assert is_signed(header, ["between us"], receiver.asked[-1].body.encode(), moment)
    assert not is_signed(header, ["between us"], receiver.asked[-1].body.encode() + b" ", moment)
    assert not is_signed(header, ["between us"], receiver.asked[-1].body.encode(), moment + 400)
    newest = (await sent_about(club, member))[0]
    assert newest.status == "sent"
    # The provider says what became of it, at an address that only it knows.
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE message SET provider_ref = 'ref-1' WHERE tenant_id = $1 AND id = $2", club.tenant_id, newest.id)
    path, host = sms.report_path(club.tenant_id), {"host": f"{club.slug}.localhost"}
    assert (await http.post(path, json=[{"id": "ref-1", "state": "delivered"}, {"id": "unknown"}, 7], headers=host)).json() == {"known": 1}
    assert (await sent_about(club, member))[0].status == "delivered"
    assert (await http.post(path[:-3] + "abc", json={"id": "ref-1"}, headers=host)).status_code == 404
    assert (await http.post(path, content=b"{", headers={**host, "content-type": "application/json"})).status_code == 400
    async with tenant_transaction(club.tenant_id) as conn:
        [found] = await integrations.list_integrations(conn, club.tenant_id, "sms")
        await integrations.save_integration(conn, club.tenant_id, "sms", "sms", "SMS", {**found.settings, "url": "http://169.254.169.254/latest", "mode": "http"})
    assert (await messages.send_to_many(ctx, "member", "due", "sms", [member])).queued == 1
    await outbox.send_due()
    newest = (await sent_about(club, member))[0]
    assert (newest.status, newest.error) == ("failed", "provider_away")
    assert (await club.get("member", member)).values["note"] == "missed, like nobody"  # the trigger `message`, and a record that was looked for in vain
    async with tenant_transaction(club.tenant_id) as conn:
        await integrations.save_integration(conn, club.tenant_id, "sms", "sms", "SMS", {"mode": "recorded"})


async def test_to_many_with_a_preview_and_by_a_job(club, box, http):
    clerk = Browser(http, f"{club.slug}.localhost")
    await clerk.sign_in(f"clerk@{club.slug}.example")
    made = [await club.make("member", name=f"Many {n}", email=f"many{n}@x.example" if n else None, note="only for eyes") for n in range(4)]
    async with tenant_transaction(club.tenant_id) as conn:
        await messages.opt_out(conn, await club.ctx(), "email", address="many1@x.example")
    page = await clerk.get("/r/member?q=Many")
    assert "/r/member/messages?" in page.text
    look = await clerk.post("/r/member/messages", {"template": "welcome", "channel": "email", "query": "q=Many", "act": "look"})
    assert look.status_code == 200
    assert re.search(r"data-receivers>2<", look.text) and re.search(r"data-left-out>1<", look.text)
    assert (await clerk.post("/r/member/bulk", {"act": "send", "ids": [str(i) for i in made[:2]]})).status_code == 200
    answer = await clerk.post("/r/member/messages", {"template": "welcome", "channel": "email", "query": "q=Many", "act": "send"})
    assert answer.status_code == 303
    await outbox.send_due()
    assert [len(box.to(f"many{n}@x.example")) for n in (1, 2, 3)] == [0, 1, 1]
    refused = await clerk.post("/r/member/messages", {"template": "terms", "channel": "sms", "query": "q=Many", "act": "send"})
    assert refused.status_code == 422
    ctx = await club.ctx()
    sixty = [await club.make("member", name=f"Sixty {n}", email=f"sixty{n}@x.example") for n in range(52)]
    job = await messages.send_to_many(ctx, "member", "welcome", "email", sixty)
    await drain()
    rows = await club.fetch("SELECT o.due_at FROM message m JOIN outbox o ON o.tenant_id = m.tenant_id AND o.key = 'message ' || m.id::text WHERE m.tenant_id = $1 AND m.recipient LIKE 'sixty%'")
    first = min(r["due_at"] for r in rows)
    assert len(rows) == 52 and sum(r["due_at"] - first >= timedelta(seconds=10) for r in rows) == 2, "what is more than a few goes out so many a minute"
    from saas.runtime import jobs

    assert (await jobs.get_job(ctx, job.id)).result["queued"] == 52


async def test_who_may_not_change_may_not_write(club):
    member = await club.make("member", name="Still", email="still@x.example")
    with pytest.raises(PermissionDenied):
        await messages.send_to_many(await club.ctx("reader"), "member", "welcome", "email", [member])
    with pytest.raises(BadRequest):
        await messages.send_to_many(await club.ctx("clerk"), "member", "nothing", "email", [member])


async def test_texts_know_only_the_records_fields_and_say_so(club):
    def problems(change):
        bundle = club_bundle()
        change(bundle)
        return {(p.path, p.code) for p in examine(bundle)[1]}

    def put(path, value):
        def change(bundle):
            bundle["templates"][0][path] = value
        return change

    assert not problems(lambda b: None)
    assert ("templates[welcome].body.en", "unknown_field") in problems(put("body", {"en": "{{ nmae }}", "zh_CN": "{{ name }}"}))
    assert any(p == "templates[welcome].entity" for p, _c in problems(put("entity", "membr")))
    assert any(p.startswith("templates[welcome].to") for p, _c in problems(put("to", ["emial"])))
    assert any(p.startswith("automations[greet].do[0]") and c == "wrong_channel" for p, c in problems(put("channels", ["sms"])))
    found = {u.path for u in usages(club_bundle(), "entities[member].fields[email]")}
    assert any(p.startswith("templates[welcome].to") for p in found)
    assert any(p.startswith("templates[welcome].subject") for p in {u.path for u in usages(club_bundle(), "entities[member].fields[name]")})


async def test_an_administrator_writes_a_text_in_the_designer(club, admin):
    page = await admin.get("/settings/templates")
    assert "Welcome" in page.text
    assert (await admin.get("/settings/templates/new")).status_code == 200
    form = await admin.get("/settings/templates/new?entity=member")
    assert 'name="body.en"' in form.text and 'name="channels"' in form.text
    refused = await admin.post("/settings/templates/new", {"entity": "member", "label.en": "Bye", "channels": ["email"], "body.en": "Bye {{ nmae }}"})
    assert refused.status_code == 422 and "nmae" in refused.text
    taken = await admin.post("/settings/templates/new", {"entity": "member", "label.en": "Bye", "channels": ["email"], "to.0.who": "email", "subject.en": "Bye", "body.en": "Bye {{ name }}"})
    assert taken.status_code == 303, re.findall(r'data-error-for="([^"]+)">([^<]+)<', taken.text)
    draft = (await club.fetch("SELECT bundle FROM config_draft WHERE tenant_id = $1"))[0]["bundle"]
    assert {"key": "bye", "label": {"en": "Bye"}, "entity": "member", "channels": ["email"], "to": ["email"], "subject": {"en": "Bye"}, "body": {"en": "Bye {{ name }}"}} in json.loads(draft)["templates"]
    assert (await admin.get("/settings/templates/bye")).status_code == 200
    assert (await admin.post("/settings/templates/bye/remove", {})).status_code == 303
    for page in ("/settings/opt-outs", "/settings/sms", "/settings/messages", "/profile"):
        assert (await admin.get(page)).status_code == 200
