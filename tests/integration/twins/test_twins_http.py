"""The same rules over HTTP: what a page shows and a program is told, nobody more than the rule reveals; old addresses of merged records."""

from __future__ import annotations

import re

import pytest_asyncio

from saas.runtime.merging import doing, undoing
from saas.runtime.worker import drain
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD
from tests.integration.test_pages import Browser


@pytest_asyncio.fixture(scope="module")
async def people(http, club) -> dict[str, Person]:
    host = f"{club.slug}.localhost"
    return {name: await Person(http, host, language="en").sign_in(f"{name}@{club.slug}.example", PASSWORD) for name in ("dong", "ma", "lin", "sub")}


@pytest_asyncio.fixture(scope="module")
async def ma(http, club) -> Browser:
    browser = Browser(http, f"{club.slug}.localhost")
    assert (await browser.sign_in(f"ma@{club.slug}.example")).status_code == 303
    return browser


@pytest_asyncio.fixture(scope="module")
async def lin(http, club) -> Browser:
    browser = Browser(http, f"{club.slug}.localhost")
    assert (await browser.sign_in(f"lin@{club.slug}.example")).status_code == 303
    return browser


async def test_a_program_is_told_and_may_confirm_with_a_reason(people):
    await people["dong"].create("customer", name="Harbin Boilers", city="Harbin")
    body = {"values": {"name": "Harbin Boiler", "city": "Harbin"}}
    problem = refused(await people["lin"].send("POST", "/records/customer", body), 409, "duplicate_found")
    assert problem["matches"][0]["title"] == "Harbin Boilers" and problem["matches"][0]["score"] > 90 and problem["needs_reason"]
    refused(await people["lin"].send("POST", "/records/customer", {**body, "confirm_duplicates": True}), 409, "duplicate_found")
    refused(await people["lin"].send("POST", "/records/customer", {**body, "confirm_duplicates": True, "duplicate_reason": 7}), 400)
    made = await people["lin"].call("POST", "/records/customer", {**body, "confirm_duplicates": True, "duplicate_reason": "Another site"}, expect=201)
    assert made["warnings"]
    hidden = refused(await people["ma"].send("POST", "/records/customer", {**body, "confirm_duplicates": True, "duplicate_reason": "x"}), 409, "duplicate_found")
    assert "Harbin Boilers" not in str(hidden) and hidden["action"] == "block"


async def test_an_import_tells_row_by_row(people):
    await people["dong"].create("customer", name="Row Owner", phone="13777770001")
    job = await people["ma"].call("POST", "/imports", {"entity": "customer", "rows": [{"name": "Row A", "phone": "13777770001"}, {"name": "Row B", "phone": "13777770002"}]})
    result = job["result"]
    assert (result["created"], result["failed"]) == (1, 1)
    [error] = result["errors"]
    assert error["row"] == 2 and "Somebody has this number" in error["message"] and "Dong" in error["message"] and "Row Owner" not in error["message"]


async def test_the_page_shows_them_beside_the_form(people, ma, lin):
    theirs = await people["dong"].create("customer", name="Beside Theirs", phone="13777771111")
    await ma.get("/r/customer/new")
    answer = await ma.post("/r/customer/new", {"name": "Mine", "phone": "13777771111"})
    assert answer.status_code == 409 and "Beside Theirs" not in answer.text and theirs["id"] not in answer.text
    assert "A record you may not see" in answer.text and "Dong" in answer.text and "Potential" in answer.text and "Save anyway" not in answer.text
    stolen = await ma.post("/r/customer/new", {"use_existing": theirs["id"]})
    missing = await ma.post("/r/customer/new", {"use_existing": "00000000-0000-7000-8000-000000000000"})
    assert (stolen.status_code, missing.status_code) == (404, 404) and _plain(stolen.text) == _plain(missing.text)
    await lin.get("/r/customer/new")
    answer = await lin.post("/r/customer/new", {"name": "Mine", "phone": "13777771111"})
    assert f'name="use_existing" value="{theirs["id"]}"' in answer.text
    used = await lin.post("/r/customer/new", {"use_existing": theirs["id"]})
    assert used.status_code == 303 and used.headers["location"] == f"/r/customer/{theirs['id']}"


def _plain(text: str) -> str:
    return re.sub(r"[0-9a-f-]{8,}|\d+", "", text)


async def test_merging_by_program_and_where_old_ids_lead(people, lin):
    one = await people["dong"].create("customer", name="Old ids one")
    two = await people["lin"].create("customer", name="Old ids two", phone="13777772222")
    asked = {"survivor": one["id"], "losers": [two["id"]]}
    sheet = await people["lin"].call("POST", "/records/customer/merge", {**asked, "preview": True})
    assert {f["field"] for f in sheet["fields"] if f["differs"]} == {"name", "phone", "owner"}
    refused(await people["dong"].send("POST", "/records/customer/merge", asked), 403)
    refused(await people["sub"].send("POST", "/records/customer/merge", asked), 404)
    done = await people["lin"].call("POST", "/records/customer/merge", {**asked, "choices": {"name": two["id"]}})
    assert done["record"]["values"]["name"] == "Old ids two"
    led = await people["lin"].send("GET", f"/records/customer/{two['id']}")
    assert led.status_code == 308 and led.headers["location"].endswith(f"/records/customer/{one['id']}") and led.json()["merged_into"] == one["id"]
    gone = refused(await people["lin"].send("PATCH", f"/records/customer/{two['id']}", {"values": {"city": "x"}}), 410, "merged")
    assert gone["merged_into"] == one["id"]
    unseen = refused(await people["ma"].send("GET", f"/records/customer/{two['id']}"), 404, "not_found")
    assert "merged" not in str(unseen)
    page = await lin.get(f"/r/customer/{two['id']}?tab=x")
    assert page.status_code == 303 and page.headers["location"] == f"/r/customer/{one['id']}?tab=x"
    past = await lin.get(f"/r/customer/merges/{done['merge']}")
    assert "Old ids two" in past.text and "Undo the merge" in past.text
    refused(await people["ma"].send("GET", f"/records/customer/merges/{done['merge']}"), 404)
    assert (await lin.post(f"/r/customer/merges/{done['merge']}/undo")).status_code == 303
    assert (await people["lin"].get(f"/records/customer/{two['id']}"))["values"]["name"] == "Old ids two"
    refused(await people["lin"].send("POST", f"/records/customer/merges/{done['merge']}/undo"), 409, "conflict")


async def test_merging_from_the_list(people, lin):
    ids = [(await people["lin"].create("customer", name=f"From list {i}", city=f"City {i}"))["id"] for i in range(3)]
    await lin.get("/r/customer")
    asked = await lin.post("/r/customer/bulk", {"act": "merge", "ids": ids, "next": "/r/customer"})
    assert asked.status_code == 303
    page = await lin.get(asked.headers["location"])
    assert page.status_code == 200 and page.text.count('name="choice.city"') == 3 and 'name="choice.owner"' not in page.text
    kept = re.findall(r'data-keep="([^"]+)"', page.text)
    assert kept == ids[1:]
    done = await lin.post("/r/customer/merge", {"ids": ids, "survivor": ids[0], "choice.city": ids[2], "next": "/r/customer"})
    assert done.status_code == 303 and done.headers["location"] == f"/r/customer/{ids[0]}"
    shown = await lin.get(f"/r/customer/{ids[0]}")
    assert "City 2" in shown.text and "merged other records into this one" in shown.text
    one = await lin.post("/r/customer/bulk", {"act": "merge", "ids": ids[:1], "next": "/r/customer"})
    assert (await lin.get(one.headers["location"])).status_code == 303


async def test_what_there_may_be_is_told_while_somebody_types(people, ma, lin):
    """The same as a refusal would tell, and names among one's own that contain what was typed; by page and program, and nothing is written."""
    mine = await people["ma"].create("customer", name="Qinghe Typed Works", phone="13777773333")
    theirs = await people["dong"].create("customer", name="Typed Secretly", phone="13777774444")
    form = (await ma.get("/r/customer/new")).text
    assert 'hx-post="/r/customer/alike"' in form and 'data-alike-of="city name phone secret"' in form
    begun = await ma.post("/r/customer/alike", {"name": "Qinghe Ty"})
    assert "Qinghe Typed Works" in begun.text and 'data-alike="named"' in begun.text and f'name="use_existing" value="{mine["id"]}"' in begun.text
    for values in ({"name": "Typed Secretly"}, {"name": "Typed Sec"}, {"name": "Q"}, {"phone": "1377777444"}, {}):  # nothing of what is not theirs before a rule finds it
        assert not (await ma.post("/r/customer/alike", values)).text.strip()
    told = await ma.post("/r/customer/alike", {"phone": "137 7777 4444", "name": "Anything"})
    assert "Dong" in told.text and "Potential" in told.text and 'data-alike="block"' in told.text and "Secretly" not in told.text and theirs["id"] not in told.text
    program = await people["ma"].call("POST", "/records/customer/alike", {"values": {"phone": "13777774444"}})
    assert program["action"] == "block" and program["matches"] == [{"entity": "customer", "id": None, "title": None, "owner": "Dong", "score": None, "shown": [{"field": "library", "label": "Library", "text": "Potential"}]}]
    seen = await people["lin"].call("POST", "/records/customer/alike", {"values": {"name": "Typed Secretli", "city": None}})
    assert seen["matches"] == [] and seen["action"] is None  # the rule wants the city as well
    assert (await people["lin"].call("POST", "/records/customer/alike", {"values": {"phone": "13777774444"}}))["matches"][0]["title"] == "Typed Secretly"
    refused(await people["lin"].send("POST", "/records/nothing/alike", {"values": {}}), 404)
    await people["lin"].create("customer", name="Typed Openly", library="public")
    begun = await lin.post("/r/prospect/alike", {"company": "Typed Ope"})  # compared as a whole, looked for by its beginning
    assert "Typed Openly" in begun.text and 'data-alike="named"' in begun.text and not (await ma.post("/r/prospect/alike", {"company": "Typed Ope"})).text.strip()
    other = await lin.post("/r/prospect/alike", {"company": "Typed Openly Ltd."})  # a record of another kind: looked at, not used instead
    assert "Typed Openly" in other.text and "use_existing" not in other.text
    assert len([r for r in await people["ma"].list("customer") if r["values"]["name"].startswith(("Anything", "Qinghe"))]) == 1


async def test_where_much_belongs_to_them_a_job_merges(club, people, lin, monkeypatch):
    """And takes it back: by program and page, in one transaction each, with nothing half done while it waits."""
    monkeypatch.setattr(doing, "MOST_CHILDREN", 2)
    monkeypatch.setattr(undoing, "MOST_CHILDREN", 2)
    one, two = [await people["lin"].create("customer", name=f"Much {n}", city=n) for n in ("Alpha", "Omega")]
    visits = [(await people["lin"].create("visit", subject=f"Visit {n}", customer=two["id"]))["id"] for n in range(3)]

    async def of(record: str) -> list[str]:
        return sorted(v["id"] for v in await people["lin"].list("visit", filter=f'{{"field": "customer", "op": "eq", "value": "{record}"}}'))

    answer = await people["lin"].send("POST", "/records/customer/merge", {"survivor": one["id"], "losers": [two["id"]], "choices": {"city": two["id"]}})
    assert answer.status_code == 202 and answer.json()["job"]["kind"] == "merge_records" and await of(two["id"]) == sorted(visits)
    await drain()
    done = (await people["lin"].get(f"/jobs/{answer.json()['job']['id']}"))["result"]
    assert await of(one["id"]) == sorted(visits) and (await people["lin"].get(f"/records/customer/{one['id']}"))["values"]["city"] == "Omega"
    undone = await lin.post(f"/r/customer/merges/{done['merge']}/undo")
    assert undone.status_code == 303 and undone.headers["location"].startswith("/jobs/")
    await drain()
    assert await of(two["id"]) == sorted(visits) and (await people["lin"].get(f"/records/customer/{one['id']}"))["values"]["city"] == "Alpha"
    ids = [one["id"], two["id"]]
    paged = await lin.post("/r/customer/merge", {"ids": ids, "survivor": one["id"], "next": "/r/customer"})
    assert paged.status_code == 303 and paged.headers["location"].startswith("/jobs/") and "Merge records" in (await lin.get(paged.headers["location"])).text
    await drain()
    assert await of(one["id"]) == sorted(visits)
