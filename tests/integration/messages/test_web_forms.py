"""Public forms: what people send becomes a record once, what programs send does not, and no other site can use them."""

from __future__ import annotations

import html
import re
import time

import pytest

from saas.db import tenant_transaction
from saas.metadata.parse import examine
from saas.runtime import web_forms
from saas.tenants.tokens import make_token, read_token
from tests.integration.messages.club import club_bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Visitor:
    """Somebody on the public page; `late`: how long they look at it, without the test waiting and however slow the machine is."""

    def __init__(self, http, lab, monkeypatch) -> None:
        self.http, self.host, self.lab, self.monkeypatch = http, f"{lab.slug}.localhost", lab, monkeypatch
        self.late = 5.0

    async def see(self, key="join"):
        self.page = await self.http.get(f"/f/{key}", headers={"host": self.host})
        self.token = re.search(r'name="_shown" value="([^"]+)"', self.page.text)[1] if self.page.status_code == 200 else ""
        self.shown = read_token(web_forms.PURPOSE, self.lab.tenant_id, self.token)["t"] if self.token else time.time()
        return self.page

    async def send(self, key="join", *, token=None, ip=None, **values):
        self.monkeypatch.setattr(web_forms.time, "time", lambda: self.shown + self.late)
        try:
            transport_ip = ip or "203.0.113.7"
            client = self.http._transport
            before, client.client = client.client, (transport_ip, 4711)
            try:
                return await self.http.post(f"/f/{key}", data={"_shown": self.token if token is None else token, **values}, headers={"host": self.host, "sec-fetch-site": "cross-site", "origin": "https://evil.example"})
            finally:
                client.client = before
        finally:
            self.monkeypatch.undo()


@pytest.fixture
def visitor(http, club, monkeypatch):
    return Visitor(http, club, monkeypatch)


@pytest.fixture(autouse=True)
async def nothing_before(club):
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE form_entry SET at = at - interval '2 hours' WHERE tenant_id = $1", club.tenant_id)


def told(page) -> dict[str, str]:
    return {key: html.unescape(text) for key, text in re.findall(r'data-error-for="([^"]+)">([^<]+)<', page.text)}


async def members(lab, email):
    return await lab.fetch(
        "SELECT r.id, r.owner_id, e.origin FROM record r JOIN record_event e ON e.tenant_id = r.tenant_id AND e.record_id = r.id AND e.kind = 'created' "
        "WHERE r.tenant_id = $1 AND e.changes -> 'email' ->> 1 = $2", email,
    )  # fmt: skip


async def test_what_somebody_sends_becomes_a_record_with_all_that_follows(visitor, club):
    page = await visitor.see()
    assert page.status_code == 200 and 'name="email"' in page.text and 'name="note"' not in page.text
    answer = await visitor.send(name="Ann", email="ann@x.example", note="smuggled", owner=str(club.people["admin"]))
    assert answer.status_code == 200 and "See you" in answer.text
    [made] = await members(club, "ann@x.example")
    assert made["origin"] == "form" and made["owner_id"] == club.people["clerk"]
    record = await club.get("member", made["id"])
    assert record.values["note"] == "from the web: Ann", "only what is asked is taken; the rest is set by itself"
    assert record.values["lang"] == "en", "the trigger inbound"


async def test_one_page_makes_one_record_and_a_second_page_finds_it_again(visitor, club):
    await visitor.see()
    await visitor.send(name="Bob", email="bob@x.example")
    again = await visitor.send(name="Bob", email="other-bob@x.example")
    assert again.status_code == 200 and "check your answers" in again.text and 'value="other-bob@x.example"' in again.text
    assert not await members(club, "other-bob@x.example")
    await visitor.see()
    assert "See you" in (await visitor.send(name="Robert", email="BOB@x.example", phone="13900000201")).text
    [made] = await members(club, "bob@x.example")
    record = await club.get("member", made["id"])
    assert (record.values["name"], record.values["phone"]) == ("Bob", "+8613900000201"), "what was empty is filled, nothing is overwritten"


async def test_rules_of_the_record_hold(visitor, club):
    await visitor.see()
    answer = await visitor.send(name="", email="no address", level="platinum")
    assert answer.status_code == 422
    assert {"name"} <= set(told(answer))
    visitor.late = 20
    answer = await visitor.send(name="C", email="no address", level="platinum", token=re.search(r'name="_shown" value="([^"]+)"', answer.text)[1])
    assert {"email", "level"} <= set(told(answer)), told(answer)
    await club.make("member", name="Has", phone="13900000202")
    await visitor.see()
    answer = await visitor.send(name="Thief", email="thief@x.example", phone="13900000202")
    assert answer.status_code == 422 and told(answer)["phone"] == "This number is known"
    assert not await members(club, "thief@x.example")


@pytest.mark.parametrize(
    ("what", "status"),
    [("none", 200), ("quick", 200), ("old", 200), ("other form", 200), ("other tenant", 200), ("garbage", 200), ("trap", 200), ("nulls", 422)],
)
async def test_what_programs_send_makes_nothing(visitor, club, what, status):
    await visitor.see()
    said = read_token(web_forms.PURPOSE, club.tenant_id, visitor.token)
    values = {"name": "Bot", "email": f"bot-{what.replace(' ', '')}@x.example"}
    token = visitor.token
    if what == "none":
        token = ""
    elif what == "quick":
        visitor.late = 0
    elif what == "old":
        visitor.late = 13 * 3600
    elif what == "other form":
        token = make_token(web_forms.PURPOSE, club.tenant_id, {**said, "f": "ask"})
    elif what == "other tenant":
        token = make_token(web_forms.PURPOSE, club.people["admin"], said)
    elif what == "garbage":
        token = "A" * 3000
    elif what == "trap":
        values[web_forms.HONEYPOT] = "https://spam.example"
    elif what == "nulls":
        values["name"] = "Bo\x00t"
    answer = await visitor.send(token=token, **values)
    assert answer.status_code == status
    assert not await members(club, values["email"])


async def test_a_network_and_a_form_take_only_so_much(visitor, club, monkeypatch):
    for number in range(web_forms.PER_PLACE):
        await visitor.see()
        assert (await visitor.send(name=f"N{number}", email=f"n{number}@x.example")).status_code == 200
    await visitor.see()
    answer = await visitor.send(name="More", email="more@x.example")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "3600"
    assert (await visitor.send(name="More", email="more@x.example", ip="198.51.100.9")).status_code == 200
    assert len(await members(club, "more@x.example")) == 1


async def test_a_small_sum_and_the_way_on(visitor, club):
    page = await visitor.see("ask")
    a, b = map(int, re.search(r"How much is (\d+) \+ (\d+)", page.text).groups())
    assert (await visitor.send("ask", name="Quiz", question=str(a + b + 1))).status_code == 422
    answer = await visitor.send("ask", name="Quiz", question=str(a + b))
    assert (answer.status_code, answer.headers["location"]) == (303, "https://www.club.example/thanks")
    assert "form-action 'self' https://www.club.example;" in page.headers["content-security-policy"]


async def test_frames_of_named_sites_only_and_no_script_reads_an_answer(visitor, http, club):
    page = await visitor.see()
    assert "frame-ancestors 'self' https://www.club.example" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in (await visitor.see("ask")).headers["content-security-policy"]
    assert not [name for name in page.headers if name.startswith("access-control")]
    asked = await http.options("/f/join", headers={"host": visitor.host, "origin": "https://evil.example", "access-control-request-method": "POST"})
    assert not [name for name in asked.headers if name.startswith("access-control")]
    for key in ("closed", "nothing", "JOIN", "join%00"):
        assert (await http.get(f"/f/{key}", headers={"host": visitor.host})).status_code == 404
    assert (await http.get("/f/join", headers={"host": "localhost"})).status_code == 404


async def test_definitions_are_checked(club):
    def problems(**changes):
        bundle = club_bundle()
        bundle["web_forms"][0].update(changes)
        return {p.code for p in examine(bundle)[1]}

    assert not problems()
    assert "not_public" in problems(fields=["name", "email", "referrer"])
    assert "unknown_field" in problems(match=["birthday"]) or problems(match=["birthday"])
    assert problems(redirect="javascript:alert(1)") and problems(embed_on=["https://x.example; script-src *"]) and problems(owner_role="nobody")


async def test_the_designer_makes_one(admin):
    assert "Join" in (await admin.get("/settings/web-forms")).text
    page = await admin.get("/settings/web-forms/join")
    assert "/f/join" in page.text and "iframe" in page.text
    assert (await admin.get("/settings/web-forms/new?entity=member")).status_code == 200
    answer = await admin.post("/settings/web-forms/new", {"entity": "member", "label.en": "Call me", "fields": ["name", "phone"], "required": ["phone"], "active": "on"})
    assert answer.status_code == 303, told(answer)
    assert (await admin.get("/settings/web-forms/call_me")).status_code == 200
