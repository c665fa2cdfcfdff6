"""Bulk acts, imports, exports, jobs, files, search and views over HTTP."""

from __future__ import annotations

import csv
import io

import pytest
import pytest_asyncio

from saas.runtime.worker import drain
from tests.acceptance.api import Person, refused


@pytest_asyncio.fixture(scope="module")
async def people(office) -> dict[str, Person]:
    return await office("baseline-crm", tao="sales", sun="sales", yu="service", boss="manager", chief="management")


@pytest_asyncio.fixture(scope="module")
async def tao(people) -> Person:
    return people["tao"]


async def _upload(person: Person, path: str, name: str, content: bytes, **fields: str):
    headers = {"host": person.host, "authorization": f"Bearer {person.token}", "accept-language": "en"}
    return await person.client.post(f"/api/v1{path}", files={"file": (name, content)}, data=fields, headers=headers)


async def test_bulk_changes_what_it_may_and_says_what_it_could_not(people, tao):
    mine = [(await tao.create("customer", name=f"Bulk {i}"))["id"] for i in range(3)]
    theirs = (await people["sun"].create("customer", name="Not yours"))["id"]
    person = people["boss"] if (await _may_bulk(people["boss"])) else people["admin"]
    found = await person.call("POST", "/records/customer/bulk", {"action": "update", "ids": [*mine, "0198c0de-0000-7000-8000-000000000000"], "values": {"background": "old friend"}})
    assert found["done"] == 3 and found["failed_count"] == 1 and found["failed"][0]["message"]
    assert (await tao.get(f"/records/customer/{mine[0]}"))["values"]["background"] == "old friend"
    assert (await people["sun"].get(f"/records/customer/{theirs}"))["values"].get("background") is None


async def _may_bulk(person: Person) -> bool:
    return next(e for e in (await person.get("/schema"))["entities"] if e["key"] == "customer")["can"]["bulk"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "action"), ({"action": "explode", "ids": []}, "action"), ({"action": "delete"}, "ids"), ({"action": "delete", "ids": "all"}, "ids"), ({"action": "delete", "ids": ["x"]}, "ids"),
     ({"action": "update", "ids": [], "values": []}, "values"), ({"action": "update", "ids": []}, "values"), ({"action": "delete", "ids": [], "q": "x"}, "ids"),
     ({"action": "transition", "ids": [], "key": "nothing"}, "key"), ({"action": "assign", "ids": []}, "owner"), ({"action": 5}, "action"),
     ({"action": "delete", "filter": {"field": "nothing", "op": "eq", "value": 1}}, "filter"), ({"action": "delete", "view": "nothing"}, "view")],
)  # fmt: skip
async def test_bulk_refuses_what_makes_no_sense(people, body, field):
    refused(await people["admin"].send("POST", "/records/customer/bulk", body), 400, "bad_request", field=field)


async def test_an_export_is_a_job_with_a_file(people):
    admin = people["admin"]
    await admin.create("customer", name='=cmd|"x"', background="a,b\nc")
    job = await admin.call("POST", "/exports", {"entity": "customer", "format": "csv", "columns": ["name", "background"], "sort": ["name"]})
    assert job["status"] == "done" and (await admin.get(f"/jobs/{job['id']}"))["result"]["rows"] >= 1
    answer = await admin.send("GET", f"/jobs/{job['id']}/result")
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"] and answer.headers["x-content-type-options"] == "nosniff"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][0] == "Name" and not any(row[0].startswith("=") for row in rows)
    assert ["a,b\nc"] in [row[1:] for row in rows]
    assert job["id"] in {j["id"] for j in (await admin.get("/jobs"))["data"]}
    for other in (people["tao"], people["chief"]):
        refused(await other.send("GET", f"/jobs/{job['id']}"), 404, "not_found")
        refused(await other.send("GET", f"/jobs/{job['id']}/result"), 404, "not_found")
        refused(await other.send("GET", f"/files/{job['result']['file_id']}"), 404, "not_found")


async def test_who_may_not_export_does_not(people):
    for entity in ("customer", "opportunity", "order"):
        allowed = next((e["can"]["export"] for e in (await people["yu"].get("/schema"))["entities"] if e["key"] == entity), False)
        answer = await people["yu"].send("POST", "/exports", {"entity": entity, "format": "csv"})
        assert answer.status_code in (200, 202) if allowed else answer.status_code == 403


@pytest.mark.parametrize(("body", "status", "field"), [({}, 400, "entity"), ({"entity": 5}, 400, "entity"), ({"entity": "nothing"}, 404, None), ({"entity": "customer", "format": "pdf"}, 400, "format"),
    ({"entity": "customer", "columns": ["nothing"]}, 400, "columns"), ({"entity": "customer", "columns": 5}, 400, "columns"), ({"entity": "customer", "filter": "nothing > 1"}, 400, "filter"), ({"entity": "customer", "sort": "nothing"}, 400, "sort")])  # fmt: skip
async def test_exports_that_make_no_sense(people, body, status, field):
    refused(await people["admin"].send("POST", "/exports", body), status, field=field)


async def test_an_import_of_a_file_reports_each_row(people):
    admin = people["admin"]
    table = b"Name,Phone,Ignore\nImported One,010-66668881,x\n,010-66668882,y\nImported Two,,z\n"
    before = (await admin.get("/records/customer", count="exact"))["count"]["value"]
    preview = await _upload(admin, "/imports", "people.csv", table, entity="customer", preview="1")
    assert preview.status_code == 200 and preview.json()["total"] == 3
    assert (await admin.get("/records/customer", count="exact"))["count"]["value"] == before
    job = (await _upload(admin, "/imports", "people.csv", table, entity="customer")).json()
    assert job["status"] == "done" and job["result"]["created"] == 2 and job["result"]["failed"] == 1, job
    assert job["result"]["errors"][0]["row"] == 3 and job["result"]["errors"][0]["field"] == "name"
    assert (await admin.send("GET", f"/jobs/{job['id']}/result")).content[:2] == b"PK"


async def test_an_import_of_json_rows_with_a_mapping(people):
    admin = people["admin"]
    rows = [{"Firma": "Rows AG", "Notiz": "first; second"}, {"Firma": "", "Notiz": "nobody"}]
    job = await admin.call("POST", "/imports", {"entity": "customer", "rows": rows, "mapping": {"Firma": "name", "Notiz": "background"}})
    assert (job["result"]["created"], job["result"]["failed"]) == (1, 1)
    again = await admin.call("POST", "/imports", {"entity": "customer", "rows": rows[:1], "mapping": {"Firma": "name"}, "duplicates": "skip", "match": "name"})
    assert (again["result"]["created"], again["result"]["skipped"]) == (0, 1)


@pytest.mark.parametrize(("body", "field"), [({"entity": "customer"}, "rows"), ({"entity": "customer", "rows": []}, "rows"), ({"entity": "customer", "rows": [1]}, "rows"), ({"rows": [{"name": "x"}]}, "entity"),
    ({"entity": "customer", "rows": [{"name": "x"}], "mapping": []}, "mapping"), ({"entity": "customer", "rows": [{"name": "x"}], "mapping": {"other": "name"}}, "mapping"),
    ({"entity": "customer", "rows": [{"name": "x"}], "mapping": {"name": "nothing"}}, "mapping"), ({"entity": "customer", "rows": [{"name": "x"}], "mapping": {"name": 5}}, "mapping"),
    ({"entity": "customer", "rows": [{"name": "x"}], "duplicates": "merge"}, "duplicates"), ({"entity": "customer", "rows": [{"name": "x"}], "duplicates": "skip"}, "match"),
    ({"entity": "customer", "rows": [{"zzz": "x"}]}, "mapping"), ({"entity": "customer", "rows": [{"name": "x"}], "confirm": "yes"}, "confirm")])  # fmt: skip
async def test_imports_that_make_no_sense(people, body, field):
    refused(await people["admin"].send("POST", "/imports", body), 400, "bad_request", field=field)


async def test_files_that_are_no_tables(people):
    admin = people["admin"]
    for name, content in (("x.exe", b"MZ\x00\x01"), ("x.xlsx", b"PK\x03\x04nonsense"), ("x.csv", b"\x00\x01\x02\x03" * 50), ("empty.csv", b"")):
        answer = await _upload(admin, "/imports", name, content, entity="customer")
        assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
    answer = await admin.send("POST", "/imports", content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"})
    assert 400 <= answer.status_code < 500


async def test_a_file_belongs_to_its_uploader_until_a_record_has_it(people, tao):
    customer = (await tao.create("customer", name="Files Ltd"))["id"]
    field = "attachments"
    answer = await _upload(tao, "/files", "../../etc/<b>note.txt", b"hello", entity="interaction", field=field)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert "/" not in found["name"] and "<" not in found["name"]
    refused(await people["sun"].send("GET", f"/files/{found['id']}"), 404, "not_found")
    got = await tao.send("GET", f"/files/{found['id']}")
    assert got.content == b"hello" and got.headers["x-content-type-options"] == "nosniff" and "attachment" in got.headers["content-disposition"]
    await tao.create("interaction", customer=customer, channel="phone", subject="Call", content="x", **{field: [found["id"]]})
    assert (await tao.send("GET", f"/files/{found['id']}")).status_code == 200
    refused(await _upload(tao, "/files", "x.txt", b"x", entity="interaction", field="nothing"), 404)
    refused(await _upload(tao, "/files", "x.txt", b"", entity="interaction", field=field), 422, field=field, rule="empty_file")
    refused(await tao.send("POST", "/files", {"entity": "interaction"}), 415, field="Content-Type")
    problem = refused(await people["sun"].send("POST", "/records/interaction", {"values": {"customer": customer, field: [found["id"]]}}), 422)
    assert problem["errors"]


async def test_search_finds_what_the_caller_may_read(people, tao):
    await tao.create("customer", name="Zwiebelfisch Verlag")
    assert [h["title"] for h in (await tao.get("/search", q="zwiebelf"))["data"]] == ["Zwiebelfisch Verlag"]
    assert (await tao.get("/search", q=""))["data"] == []
    assert len((await people["admin"].get("/search", q="b", limit=1))["data"]) <= 1


async def test_a_larger_import_waits_for_the_worker(people):
    admin = people["admin"]
    job = await admin.call("POST", "/imports", {"entity": "group", "rows": [{"name": f"Group {i}"} for i in range(600)]}, expect=202)
    assert job["status"] == "queued"
    refused(await admin.send("GET", f"/jobs/{job['id']}/result"), 404)
    await drain()
    done = await admin.get(f"/jobs/{job['id']}")
    assert done["status"] == "done" and done["result"]["created"] == 600 and done["progress"] == done["total"] == 600


async def test_views_people_and_reports(people, tao):
    views = (await tao.get("/views/customer"))["data"]
    assert views and {"key", "label", "kind", "columns", "sort"} <= set(views[0])
    users = (await tao.get("/users"))["data"]
    assert {"Tao", "Sun"} <= {u["name"] for u in users} and all(set(u) == {"id", "name", "roles", "departments"} for u in users)
    keys = [r["key"] for r in (await people["chief"].get("/reports"))["data"]]
    for key in keys:
        report = await people["chief"].get(f"/reports/{key}")
        assert {"key", "label", "params", "widgets"} <= set(report) and all({"key", "label", "type"} <= set(w) for w in report["widgets"])
    denied = {r["key"] for r in (await people["admin"].get("/reports"))["data"]} - {r["key"] for r in (await tao.get("/reports"))["data"]}
    for key in denied:
        refused(await tao.send("GET", f"/reports/{key}"), 403)
