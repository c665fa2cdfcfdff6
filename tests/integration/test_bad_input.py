"""Addresses, bodies and parameters that make no sense: each is a clear problem in the reader's language, nothing is a 500."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from tests.acceptance.api import Person, is_chinese, refused

NOBODY = "0198c0de-0000-7000-8000-000000000000"  # an id that nothing has


@pytest_asyncio.fixture(scope="module")
async def people(office) -> dict[str, Person]:
    return await office("jb-rm-crm", li="account_manager", zhao="account_manager", chen="executive")


@pytest_asyncio.fixture(scope="module")
async def admin(people) -> Person:
    return people["admin"]


@pytest_asyncio.fixture(scope="module")
async def customer(people) -> str:
    return (await people["admin"].create("customer", name="Ada Ltd", owner=people["li"].id))["id"]


# ---- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["nobody-here.localhost", "", "evil.example", "a b", "..localhost", "x" * 300 + ".localhost", "127.0.0.1", "x.localhost:port", "[::1]:8000", "[.localhost", "é.localhost"])
async def test_unknown_host(admin, host):
    for path in ("/me", "/records/customer", "/tokens"):
        refused(await admin.send("GET" if path != "/tokens" else "POST", path, headers={"host": host.encode("latin-1")}), 404, "not_found")


UNKNOWN = [
    ("GET", "/records/nothing"), ("POST", "/records/nothing"), ("GET", f"/records/nothing/{NOBODY}"), ("PATCH", f"/records/nothing/{NOBODY}"),
    ("GET", "/schema/nothing"), ("GET", "/views/nothing"), ("GET", "/reports/nothing"), ("POST", "/records/nothing/aggregate"),
    ("GET", f"/records/customer/{NOBODY}"), ("GET", "/records/customer/not-an-id"), ("PATCH", f"/records/customer/{NOBODY}"),
    ("DELETE", f"/records/customer/{NOBODY}"), ("POST", f"/records/customer/{NOBODY}/restore"), ("GET", f"/records/customer/{NOBODY}/history"),
    ("POST", f"/records/customer/{NOBODY}/transitions/win"), ("POST", f"/records/opportunity/{NOBODY}/transitions/nothing"),
    ("GET", "/nothing"), ("GET", "/records"), ("GET", f"/records/customer/{NOBODY}/nothing"), ("POST", "/config/revisions/999/revert"),
    ("POST", "/config/revisions/99999999999999999999/revert"), ("GET", f"/jobs/{NOBODY}"), ("GET", f"/files/{NOBODY}"), ("GET", "/files/x"), ("GET", "/jobs/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
async def test_what_does_not_exist(admin, method, path):
    body = {"values": {}} if method in ("POST", "PATCH") else None
    if path.endswith("aggregate"):
        body = {"measures": [{"fn": "count"}]}
    refused(await admin.send(method, path, body), 404, "not_found")


async def test_unknown_transition(admin):
    made = await admin.create("opportunity", customer_name="X", probability=1, summary="y")
    refused(await admin.send("POST", f"/records/opportunity/{made['id']}/transitions/nothing", {}), 404, "not_found")


WRONG_METHODS = [("PUT", "/records/customer"), ("PATCH", "/me"), ("DELETE", "/records/customer"), ("PUT", f"/records/customer/{NOBODY}"), ("POST", "/schema"), ("GET", "/tokens"), ("DELETE", "/config"), ("PATCH", "/reports")]


@pytest.mark.parametrize(("method", "path"), WRONG_METHODS)
async def test_wrong_method(admin, method, path):
    answer = await admin.send(method, path)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


# ---- bodies ------------------------------------------------------------------------------------------------------------

BODIES = {
    "not JSON": (b"{", 400, "bad_request"),
    "a list": (b"[1]", 400, "bad_request"),
    "a text": (b'"x"', 400, "bad_request"),
    "null": (b"null", 400, "bad_request"),
    "NaN": (b'{"values": {"credit": NaN}}', 400, "bad_request"),
    "Infinity": (b'{"values": {"credit": -Infinity}}', 400, "bad_request"),
    "a number too large": (b'{"values": {"credit": 1e999}}', 400, "bad_request"),
    "a number too long": (b'{"values": {"credit": ' + b"9" * 500 + b"}}", 422, "invalid_input"),
    "not UTF-8": (b'{"values": {"name": "\xff\xfe"}}', 400, "bad_request"),
    "a lone surrogate": (b'{"values": {"name": "\\ud800"}}', 400, "bad_request"),
    "deep lists": (b'{"values": {"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400, "bad_request"),
    "deep objects": (b'{"values": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}", 400, "bad_request"),
    "NUL in a value": (b'{"values": {"name": "a\\u0000b"}}', 422, "invalid_input"),
    "NUL in a key": (b'{"values": {"na\\u0000me": "b"}}', 422, "invalid_input"),
    "values are no object": (b'{"values": [1]}', 400, "bad_request"),
    "two documents": (b"{}{}", 400, "bad_request"),
    "UTF-16": ('{"values": {}}').encode("utf-16"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(admin, customer, name):
    content, status, code = BODIES[name] if isinstance(BODIES[name], tuple) else (BODIES[name], 400, "bad_request")
    for method, path in (("POST", "/records/customer"), ("PATCH", f"/records/customer/{customer}")):
        refused(await admin.send(method, path, content=content), status, code)
    assert (await admin.get(f"/records/customer/{customer}"))["version"] == 1


async def test_where_an_unusable_character_stands(admin):
    problem = refused(await admin.send("POST", "/records/customer", content=b'{"values": {"name": "a\\u0000b"}}'), 422, field="name", rule="invalid_characters")
    assert problem["errors"][0]["path"] == "/values/name"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"])
async def test_wrong_content_type(admin, kind):
    refused(await admin.send("POST", "/records/customer", content=b'{"values": {"name": "x"}}', headers={"content-type": kind}), 415, "unsupported_media_type", field="Content-Type")


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_more_than_ten_megabytes(admin, declared):
    async def parts():
        yield b'{"values": {"name": "'
        for _ in range(11):
            yield b"x" * 1_000_000
        yield b'"}}'

    content = b"".join([p async for p in parts()]) if declared else parts()
    refused(await admin.send("POST", "/records/customer", content=content), 413, "payload_too_large")


# ---- parameters --------------------------------------------------------------------------------------------------------

PARAMETERS = [
    ({"limit": "0"}, "limit"), ({"limit": "201"}, "limit"), ({"limit": "-1"}, "limit"), ({"limit": "ten"}, "limit"), ({"limit": "1e3"}, "limit"), ({"limit": "9" * 5000}, "limit"),
    ({"count": "all"}, "count"), ({"after": "nonsense"}, "after"), ({"after": "e30"}, "after"), ({"after": "WzEsMl0"}, "after"), ({"after": "é"}, "after"),
    ({"filter": "{"}, "filter"), ({"filter": "[]]"}, "filter"), ({"filter": '{"field": "nothing", "op": "eq", "value": 1}'}, "filter"),
    ({"filter": '{"field": "name", "op": "like", "value": 1}'}, "filter"), ({"filter": '{"field": "credit", "op": "eq", "value": "x"}'}, "filter"),
    ({"filter": '{"field": "credit", "op": "eq", "value": {"a": 1}}'}, "filter"), ({"filter": '{"and": 1}'}, "filter"), ({"filter": '{"or": [{"not": []}]}'}, "filter"),
    ({"filter": "name =="}, "filter"), ({"filter": "nothing > 1"}, "filter"), ({"filter": "credit + 'x'"}, "filter"), ({"filter": "1"}, "filter"),
    ({"filter": '{"field": "credit", "op": "gt", "value": ' + "9" * 400 + "}"}, "filter"), ({"filter": "(" * 3000}, "filter"),
    ({"filter": "not " * 3000 + "true"}, "filter"), ({"filter": json.dumps({"and": [{"field": "name", "op": "eq", "value": "x"}] * 500})}, "filter"),
    ({"filter": '{"not":' * 400 + "1" + "}" * 400}, "filter"),
    ({"filter": '{"field": "created_at", "op": "gt", "value": "yesterday"}'}, "filter"), ({"filter": '{"field": "created_at", "op": "relative", "value": "soon"}'}, "filter"),
    ({"filter": '{"field": "owner", "op": "eq", "value": "me"}'}, "filter"), ({"filter": '{"field": "name", "op": "contains", "value": "a\\u0000b"}'}, "filter"),
    ({"filter": '{"field": "created_at", "op": "relative", "value": "last_n_days:99999999999"}'}, "filter"),
    ({"sort": "nothing"}, "sort"), ({"sort": "--name"}, "sort"), ({"sort": "remark"}, "sort"), ({"sort": "name,code,credit,-level"}, "sort"), ({"sort": "name; drop table record"}, "sort"),
    ({"fields": "nothing"}, "fields"), ({"fields": "name,tenant_id"}, "fields"), ({"view": "nothing"}, "view"), ({"q": "a\x00b"}, "q"), ({"deleted": "x"}, "deleted"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "field"), PARAMETERS, ids=lambda v: str(v)[:60])
async def test_parameters_of_a_list(admin, customer, params, field):
    refused(await admin.send("GET", "/records/customer", **params), 400, "bad_request", field=field)


async def test_a_cursor_of_another_sort_or_entity(people, admin, customer):
    await admin.create("customer", name="Second", owner=people["li"].id)
    cursor = (await admin.get("/records/customer", limit=1, sort="-name"))["next"]
    assert cursor
    for params in ({"sort": "credit"}, {"sort": "name,code"}, {"sort": "-created_at"}):
        answer = await admin.send("GET", "/records/customer", after=cursor, **params)
        assert answer.status_code == 200 or refused(answer, 400, "bad_request", field="after")


AGGREGATES = [
    ({}, "measures"), ({"measures": []}, "measures"), ({"measures": "count"}, "measures"), ({"measures": [{"fn": "nothing"}]}, "measures"),
    ({"measures": [{"fn": "sum"}]}, "measures"), ({"measures": [{"fn": "sum", "field": "name"}]}, "measures"), ({"measures": [{"fn": "sum", "field": "nothing"}]}, "measures"),
    ({"measures": [{"fn": "count"}] * 11}, "measures"), ({"measures": [{"fn": "count"}], "dimensions": [{"field": "nothing"}]}, "dimensions"),
    ({"measures": [{"fn": "count"}], "dimensions": [{"field": "created_at", "bucket": "century"}]}, "dimensions"), ({"measures": [{"fn": "count"}], "dimensions": {}}, "dimensions"),
    ({"measures": [{"fn": "count"}], "dimensions": [{"field": "name"}], "limit": -5}, "limit"), ({"measures": [{"fn": "count"}], "limit": 10**30}, "limit"),
    ({"measures": [{"fn": "count"}], "limit": True}, "limit"), ({"measures": [{"fn": "count"}], "limit": "5"}, "limit"), ({"measures": [{"fn": "count"}], "sort": 5}, "sort"),
    ({"measures": [{"fn": "count"}], "sort": "drop"}, "sort"), ({"measures": [{"fn": "count"}], "filter": {"field": "nothing"}}, "filter"), ({"measures": [{"fn": "count"}], "filter": 5}, "filter"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), AGGREGATES, ids=lambda v: str(v)[:60])
async def test_parameters_of_a_measure(admin, customer, body, field):
    refused(await admin.send("POST", "/records/customer/aggregate", body), 400, "bad_request", field=field)


OTHERS = [
    ("GET", "/notifications", {"limit": "x"}, "limit"), ("GET", "/notifications", {"before": "x"}, "before"), ("GET", "/search", {"q": "a", "limit": "x"}, "limit"),
    ("GET", "/search", {"q": "a\x00"}, "q"), ("GET", "/reports/contribution", {"nothing": "1"}, "nothing"), ("GET", "/jobs", {"limit": "0"}, "limit"),
    ("GET", "/config/revisions", {"before": "x"}, "before"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "params", "field"), OTHERS)
async def test_parameters_elsewhere(admin, method, path, params, field):
    refused(await admin.send(method, path, **params), 400, "bad_request", field=field)


@pytest.mark.parametrize("before", ["x", NOBODY, "a\x00", "' OR 1=1 --", f"2025-01-01~{NOBODY}", f"9999-12-31T23:59:59~{NOBODY}"])
async def test_history_before_something_unknown(admin, customer, before):
    answer = await admin.send("GET", f"/records/customer/{customer}/history", before=before)
    assert (answer.status_code == 200 and answer.json()["data"] == []) or refused(answer, 400, "bad_request", field="before")


@pytest.mark.parametrize("version", ['"x"', "1.5", "9" * 400, "0x1", '"1"; drop', "١"])
async def test_if_match_that_is_no_version(admin, customer, version):
    answer = await admin.send("PATCH", f"/records/customer/{customer}", {"values": {"credit": 1}}, headers={"if-match": version.encode()})
    refused(answer, 400, "bad_request", field="If-Match")


@pytest.mark.parametrize("body", [{"version": "x", "values": {}}, {"version": True, "values": {}}, {"version": [1], "values": {}}, {"version": 1.5, "values": {}}, {"values": {}, "confirm_duplicates": "yes"}])
async def test_a_version_in_the_body_that_is_none(admin, customer, body):
    refused(await admin.send("PATCH", f"/records/customer/{customer}", body), 400, "bad_request", field="version" if "version" in body else "confirm_duplicates")


CONFIGS = [
    ("/config/plan", {}, 400), ("/config/plan", {"bundle": 5}, 400), ("/config/plan", {"bundle": {}}, 422), ("/config/plan", {"patch": {"entities": "x"}}, 422),
    ("/config/plan", {"bundle": {"format": 1, "entities": {}, "roles": 5}}, 422), ("/config/publish", {}, 400), ("/config/publish", {"plan_id": "nothing"}, 409),
    ("/config/publish", {"plan_id": "a' OR 1=1"}, 409), ("/config/publish", {"bundle": {}, "base_revision": "x"}, 400), ("/config/publish", {"bundle": {}, "base_revision": True}, 400),
    ("/config/publish", {"patch": {"entities": None}, "base_revision": 1}, 422), ("/config/publish", {"patch": {}, "base_revision": 10**20}, 400), ("/config/plan", {"patch": {}, "base_revision": 2**31}, 400), ("/config/publish", {"patch": {}, "base_revision": 2**31 - 1}, 409), ("/config/publish", {"plan_id": 5}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status"), CONFIGS, ids=str)
async def test_configurations(admin, path, body, status):
    revision = (await admin.get("/config"))["revision"]
    refused(await admin.send("POST", path, body), status)
    assert (await admin.get("/config"))["revision"] == revision


# ---- language ----------------------------------------------------------------------------------------------------------


async def test_every_word_is_in_the_readers_language(admin, customer, marked):
    """Whatever a problem says came through the translator, or is a label of the configuration."""
    cases = [
        ("GET", "/records/nothing", None, {}), ("GET", "/records/customer", None, {"limit": "x"}), ("GET", "/records/customer", None, {"filter": "{"}),
        ("GET", "/records/customer", None, {"filter": "nothing > 1"}), ("GET", "/records/customer", None, {"after": "x"}), ("GET", "/records/customer", None, {"sort": "x"}),
        ("PUT", "/records/customer", None, {}), ("GET", "/nowhere", None, {}), ("POST", "/records/customer", {"values": {"credit": 99}}, {}),
        ("POST", "/records/customer", {"values": {"nothing": 1}}, {}), ("POST", "/records/customer", {"values": 1}, {}), ("POST", "/config/plan", {}, {}),
        ("PATCH", f"/records/customer/{customer}", {"values": {"name": "B"}, "version": 99}, {}), ("POST", "/tokens", {"email": "x", "password": "y"}, {}), ("POST", "/tokens", {}, {}),
        ("POST", "/records/customer/aggregate", {"measures": [{"fn": "x"}]}, {}),
    ]  # fmt: skip
    for method, path, body, params in cases:
        chinese = (await admin.send(method, path, body, headers={"accept-language": "zh-CN,zh;q=0.9"}, **params)).json()
        english = (await admin.send(method, path, body, **params)).json()
        for text in (chinese["title"], chinese["detail"], *(e["message"] for e in chinese["errors"])):
            assert "〔" in text or is_chinese(text), (method, path, text)
        assert "〔" not in json.dumps(english, ensure_ascii=False)
