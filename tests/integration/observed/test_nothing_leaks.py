"""Marked values go through the product by every way in; none of them is found in logs, slow statements, metrics or traces."""

from __future__ import annotations

import pytest

from saas.db import tenant_transaction
from saas.runtime.worker import drain
from saas.tenants import open_session, resolve_host, slow
from saas.ui.api import records
from saas.ui.measured import figures
from tests.integration.observed.conftest import attributes

MARK = "Quoxle7"  # stands in every value, whatever it is in


async def id_of(person):
    tenant = await resolve_host(person.host, "localhost")
    return tenant.id


async def test_no_value_is_told(office, http, written, all_slow, traces, monkeypatch):
    people = await office("baseline-crm")
    admin = people["admin"]
    tenant_id = await id_of(admin)
    web, csrf, _ = await open_session(tenant_id, admin.id, "web", "127.0.0.1", MARK)
    page = {"host": admin.host, "cookie": f"session={web}", "user-agent": f"{MARK} browser", "referer": f"http://{admin.host}/{MARK}"}

    made = await admin.create("customer", name=f"{MARK} Ltd")
    await admin.change("customer", made["id"], name=f"{MARK} & Co")
    await admin.get("/records/customer", filter=f'{{"field": "name", "op": "contains", "value": "{MARK}"}}', sort="-name")
    await admin.get("/records/customer", q=MARK)
    await admin.get("/search", q=MARK)
    await http.get(f"http://{admin.host}/r/customer", params={"q": MARK, "f": f"name:contains:{MARK}"}, headers=page)
    await http.get(f"http://{admin.host}/search", params={"q": MARK}, headers=page)
    await http.get(f"http://{admin.host}/r/customer/{made['id']}", headers=page)
    await http.post(f"http://{admin.host}/r/customer/new", data={"_csrf": csrf, "name": f"{MARK} again"}, headers=page)
    # What goes wrong: signing in, addresses that are none, values that cannot be.
    for email, password in ((f"{MARK}@nowhere.example", MARK), (f"admin@{admin.host.partition('.')[0]}.example", MARK)):
        await admin.send("POST", "/tokens", {"email": email, "password": password})
        await http.post(f"http://{admin.host}/login", data={"email": email, "password": password}, headers=page)
    await http.post(f"http://{admin.host}/forgot", data={"email": f"{MARK}@nowhere.example"}, headers=page)
    for path in (f"/{MARK}", f"/r/{MARK}", f"/r/customer/{MARK}", f"/reset/{MARK}", f"/static/{MARK}.js", f"/api/v1/records/{MARK}", f"/api/v1/{MARK}"):
        await http.get(f"http://{admin.host}{path}", headers=page)
    await http.get("http://nobody.localhost/", headers={"host": f"{MARK.lower()}.localhost"})
    await admin.send("POST", "/records/customer", {"values": {"name": {"odd": MARK}, MARK: MARK}})
    await admin.send("POST", "/records/customer", content=f'{{"values": {MARK}'.encode())
    await admin.send("POST", "/records/customer", {"values": {"name": f"{MARK}\x00"}})
    # Files, imports and their jobs.
    table = f"name\n{MARK} one\n{MARK} two\n".encode()
    sent = {"host": admin.host, "authorization": f"Bearer {admin.token}"}
    answer = await http.post(f"http://{admin.host}/api/v1/imports", files={"file": (f"{MARK}.csv", table)}, data={"entity": "customer"}, headers=sent)
    assert answer.status_code in (200, 202), answer.text
    await admin.call("POST", "/exports", {"entity": "customer", "q": MARK, "format": "csv"}, expect=None)
    await drain()
    assert len(await admin.list("customer", q=MARK)) >= 3
    # What nobody expected: the interpreter and the database name values in their errors.
    async def breaks(*args, **kwargs):
        async with tenant_transaction(tenant_id) as conn:
            try:
                await conn.fetchval("SELECT $1::text::int", MARK)
            except Exception as error:
                raise ValueError(f"could not take {MARK}") from error

    monkeypatch.setattr(records, "execute", breaks)
    broken = await admin.send("GET", f"/records/customer/{made['id']}")
    monkeypatch.undo()
    assert broken.status_code == 500

    assert written.events("request.failed")[0]["exception"][-1]["kind"] == "ValueError"
    assert [line for line in written.events("query.slow") if line["failed"]]
    assert {line["route"] for line in written.events("request.ended")} >= {"/r/{entity}", "/api/v1/records/{entity}/{rid}", "/login", "unmatched"}
    await slow.store()
    kept = await slow.list_slow(tenant_id, limit=200)
    spans = await traces.spans()
    assert kept and spans and written.events("job.ended")
    told = {
        "log": written.text, "slow": repr(kept), "metrics": (await figures()).decode(), "traces": repr([(span.name, attributes(span), span.status.message, span.events) for span in spans]),
        "sent": b"".join(traces.bodies).decode("latin-1"),
    }  # fmt: skip
    secrets = {web, csrf, admin.token, f"admin@{admin.host.partition('.')[0]}.example", "correct horse battery"}
    for place, text in told.items():
        for word in (MARK, MARK.lower(), *secrets):
            at = text.find(word)
            assert at < 0, f"{place}: …{text[max(0, at - 200) : at + 100]}…"


async def test_a_line_says_whose_it_was(office, written):
    admin = (await office("baseline-crm"))["admin"]
    answer = await admin.send("GET", "/records/customer", headers={"x-request-id": "asked-here-1"})
    assert answer.status_code == 200
    [line] = [line for line in written.events("request.ended") if line["request_id"] == "asked-here-1"]
    assert line["route"] == "/api/v1/records/{entity}" and line["method"] == "GET" and line["status"] == 200
    assert line["user_id"] == admin.id and line["tenant_id"] == str(await id_of(admin))
    assert line["queries"] >= 1 and 0 < line["ms"] < 60_000 and line["level"] == "info"


async def test_a_job_names_the_request_that_caused_it(office, written):
    admin = (await office("baseline-crm"))["admin"]
    sent = {"x-request-id": "imported-by-1"}
    rows = [{"name": f"Row {n}"} for n in range(600)]
    job = await admin.call("POST", "/imports", {"entity": "customer", "rows": rows}, headers=sent, expect=202)
    await drain()
    [line] = [line for line in written.events("job.ended") if line["job_id"] == job["id"]]
    assert line["cause"] == "imported-by-1" and line["outcome"] == "done" and line["user_id"] == admin.id and line["tenant_id"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_both_forms_tell_the_same_event(form):
    import io

    from saas.log import configure_logging, get_logger

    stream = io.StringIO()
    configure_logging("INFO", stream, form=form)
    get_logger("saas.some").info("thing.happened", count=3)
    assert "thing.happened" in stream.getvalue() and "count" in stream.getvalue()
    assert stream.getvalue().startswith("{") is (form == "json")


