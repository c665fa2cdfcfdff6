"""What the API's description says of answers other than the good ones is what really comes: 304, 409, 422, 429, 503."""

from __future__ import annotations

from typing import Any

import asyncpg
import jsonschema
import pytest_asyncio

from saas.db import limits
from saas.db.roles import OWNER, role_login
from tests.acceptance.api import Person
from tests.integration.test_database_away import _close, _open, server  # noqa: F401  a fixture
from tests.integration.test_openapi import _address, fill

Document = dict[str, Any]


@pytest_asyncio.fixture(scope="module")
async def admin(office) -> Person:
    found = (await office("baseline-crm"))["admin"]
    await fill(found)
    return found


@pytest_asyncio.fixture(scope="module")
async def document(admin) -> Document:
    return await admin.get("/openapi.json")


def described(document: Document, method: str, path: str, answer: Any) -> None:
    """The answer is one of those described: its body fits the schema, its headers are there."""
    told = document["paths"][path][method]["responses"]
    assert str(answer.status_code) in told, (method, path, answer.status_code, sorted(told))
    told = told[str(answer.status_code)]
    told = document["components"]["responses"][told["$ref"].rpartition("/")[2]] if "$ref" in told else told
    assert told["description"]
    for name, header in told.get("headers", {}).items():
        assert name.lower() in answer.headers, (method, path, name)
        if header["schema"]["type"] == "integer":
            assert int(answer.headers[name.lower()]) >= header["schema"].get("minimum", 0)
    if "content" in told:
        kind = answer.headers["content-type"].partition(";")[0]
        jsonschema.Draft202012Validator({**told["content"][kind]["schema"], "components": document["components"]}).validate(answer.json())
    else:
        assert answer.content == b""


async def test_reads_say_when_nothing_changed(admin, document):
    """Exactly those that are described so."""
    said = set()
    for path, item in document["paths"].items():
        if "get" not in item:
            continue
        url, _known = await _address(admin, path)
        first = await admin.send("GET", url)
        if first.status_code != 200:
            continue
        described(document, "get", path, first)
        names = {p["name"] for p in item["get"].get("parameters", ())}
        assert ("304" in item["get"]["responses"]) == ("If-None-Match" in names)
        again = await admin.send("GET", url, headers={"if-none-match": first.headers.get("etag", "*")})
        assert (again.status_code == 304) == ("304" in item["get"]["responses"]), (path, again.status_code)
        described(document, "get", path, again)
        said.add(again.status_code)
    assert said == {200, 304}  # one record has its version instead


async def test_a_change_of_what_somebody_else_changed(admin, document):
    made = await admin.create("customer", name="Seen")
    one, path = f"/records/customer/{made['id']}", "/records/customer/{id}"
    seen = (await admin.send("GET", one)).headers["etag"]
    assert (await admin.send("PATCH", one, {"values": {"name": "Mine"}}, headers={"if-match": seen})).status_code == 200
    for method, body in (("PATCH", {"values": {"name": "Theirs"}}), ("DELETE", None)):
        answer = await admin.send(method, one, body, headers={"if-match": seen})
        assert (answer.status_code, answer.json()["code"]) == (409, "stale_version"), method
        described(document, method.lower(), path, answer)
    now = (await admin.send("GET", one)).headers["etag"]
    assert now != seen and (await admin.send("DELETE", one, headers={"if-match": now})).status_code == 204


async def test_transitions_ask_for_the_version_too(admin, document):
    """Of every transition the document describes, on a record that somebody changed since."""
    tried = 0
    for path, item in document["paths"].items():
        if "/transitions/" not in path:
            continue
        assert "If-Match" in {p["name"] for p in item["post"]["parameters"]}
        url, known = await _address(admin, path)
        if known:
            answer = await admin.send("POST", url, {"values": {}}, headers={"if-match": '"999999"'})
            described(document, "post", path, answer)
            tried += answer.status_code == 409 and answer.json()["code"] == "stale_version"
    assert tried


async def test_what_takes_too_long(admin, document, settings, monkeypatch):
    """The records are locked, so that reading them takes as long as it may."""
    for kind in limits.STATEMENT_SECONDS:
        monkeypatch.setitem(limits.STATEMENT_SECONDS, kind, 0.2)  # type: ignore[arg-type]
    calls = [
        ("get", "/records/customer", None, {"sort": "name"}), ("get", "/search", None, {"q": "Anna"}),
        ("post", "/records/customer/aggregate", {"measures": [{"fn": "count"}]}, {}),
    ]  # fmt: skip
    owner = await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE record, search_token IN ACCESS EXCLUSIVE MODE")
            for method, path, body, query in calls:
                answer = await admin.send(method.upper(), path, body, **query)
                assert (answer.status_code, answer.json()["code"]) == (422, "too_slow"), (path, answer.text)
                assert "retry-after" not in answer.headers
                described(document, method, path, answer)
    finally:
        await owner.close()


async def test_while_the_database_is_away(admin, document, server, settings):  # noqa: F811  the fixture
    await _close(server, settings)
    try:
        for method, path, body in (("get", "/records/customer", None), ("post", "/records/customer", {"values": {"name": "x"}}), ("get", "/reports", None), ("post", "/tokens", {"email": "a@b.example", "password": "x"})):
            answer = await admin.send(method.upper(), path, body)
            assert answer.status_code == 503
            described(document, method, path, answer)
    finally:
        await _open(server, settings)
    for item in document["paths"].values():
        assert all("503" in operation["responses"] for operation in item.values())


async def test_signing_in(office):
    """In a company of its own: what is tried here counts against everybody."""
    person = (await office("baseline-crm"))["admin"]
    document = await person.get("/openapi.json")
    email = (await person.get("/me"))["email"]
    described(document, "post", "/tokens", await person.send("POST", "/tokens", {"email": email}))
    answers = [await person.send("POST", "/tokens", {"email": email, "password": f"wrong {n}"}) for n in range(8)]
    for answer in answers:
        described(document, "post", "/tokens", answer)
    assert {a.status_code for a in answers} == {401, 429}


async def test_the_words_are_in_the_readers_language(admin):
    chinese = (await admin.send("GET", "/openapi.json", headers={"accept-language": "zh-CN"})).json()
    english = (await admin.send("GET", "/openapi.json", headers={"accept-language": "en"})).json()
    for name, response in english["components"]["responses"].items():
        assert chinese["components"]["responses"][name]["description"] != response["description"], name
