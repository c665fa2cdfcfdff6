"""The API's description: valid OpenAPI 3.1 for every role of both packs, with nothing in it that the role may not use, and
nothing that does not answer."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from saas.metadata.packs import load_pack
from tests.acceptance.api import Person, refused

PACKS = ("baseline-crm", "jb-rm-crm")
ROLES = [(pack, role["key"]) for pack in PACKS for role in load_pack(pack)["roles"]]
REFUSALS = {"unknown_field", "wrong_type", "read_only", "forbidden", "unknown_option", "too_long", "too_short", "format", "pattern"}


@pytest_asyncio.fixture(scope="module")
async def worlds(office) -> dict[str, dict[str, Person]]:
    """{pack: {role: a person with it}}, with some record of every entity."""
    found = {}
    for pack in PACKS:
        found[pack] = await office(pack, **{f"p_{r['key']}": r["key"] for r in load_pack(pack)["roles"]})
        await fill(found[pack]["admin"])
    return found


async def fill(admin: Person) -> None:
    """One record of every kind that people may create, parents first, tried until nothing new comes."""
    document = await admin.get("/openapi.json")
    waiting = [p.removeprefix("/records/") for p, item in document["paths"].items() if "post" in item and p.count("/") == 2 and p.startswith("/records/")]
    for _ in range(4):
        failed = []
        for key in waiting:
            values = await make(admin, document, document["components"]["schemas"][f"{key}.new"], only_required=True)
            if (await admin.send("POST", f"/records/{key}", {"values": values, "confirm_duplicates": True})).status_code != 201:
                failed.append(key)
        waiting = failed


# ---- data that fits a schema -------------------------------------------------------------------------------------------


async def make(person: Person, document: dict[str, Any], schema: dict[str, Any], *, only_required: bool = False, seed: int = 0) -> dict[str, Any]:
    """Values that conform to a schema of records; what names other records or people names real ones."""
    chance = random.Random(seed)
    values = {}
    for key, prop in schema["properties"].items():
        if only_required and key not in schema.get("required", ()) and not prop.get("x-required") and key != "owner":
            continue
        value = await _reference(person, prop) if prop.get("x-type") in ("ref", "m2m", "user", "dept", "file", "image") else fit(prop, chance)
        if value is not None:
            values[key] = value
    return values


async def _reference(person: Person, prop: dict[str, Any]) -> Any:
    kind = prop["x-type"]
    if kind == "user":
        people = (await person.get("/users"))["data"]
        return next((u["id"] for u in people if u["roles"] != ["admin"]), person.id)
    if kind in ("ref", "m2m"):
        answer = await person.send("GET", f"/records/{prop['x-refers-to']}", limit=1)
        data = answer.json()["data"] if answer.status_code == 200 else []
        found = data[0]["id"] if data else None
        return found if kind == "ref" else ([found] if found else None)
    return None


def fit(schema: dict[str, Any], chance: random.Random) -> Any:
    if "anyOf" in schema:
        return fit(next(s for s in schema["anyOf"] if s.get("type") != "null"), chance)
    if "enum" in schema:
        return next(v for v in schema["enum"] if v is not None)
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else next(k for k in kinds if k != "null")
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 100)
        return chance.randint(int(low), int(high)) if high >= low else low
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "array":
        return [fit(schema.get("items", {}), chance)] if schema.get("minItems") else []
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties", {}))[: schema.get("minProperties", 0)]
        return {k: fit(v, chance) for k, v in schema.get("properties", {}).items() if k in wanted}
    examples = {"date": "2030-01-15", "date-time": "2030-01-15T08:00:00Z", "time": "08:30", "email": f"p{chance.randrange(10**9)}@example.com", "uri": "https://example.com/", "uuid": "0198c0de-0000-7000-8000-000000000000"}
    if schema.get("format") in examples:
        return examples[schema["format"]]
    for text in (f"Text {chance.randrange(10**6)}", "12.50", "A1", "CNY", "12345", "010-66668888", "a", "08:30", "2030-01-15", "https://example.com/", "x@example.com", "0198c0de-0000-7000-8000-000000000000"):
        if jsonschema.Draft202012Validator(schema).is_valid(text):
            return text
    return None


def person_of(worlds, pack: str, role: str) -> Person:
    return worlds[pack][f"p_{role}"]


# ---- the document ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "role"), ROLES)
async def test_it_is_valid(worlds, pack, role):
    document = await person_of(worlds, pack, role).get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(names) == len(set(names))
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema), name


@pytest.mark.parametrize(("pack", "role"), ROLES)
async def test_it_holds_only_what_the_role_may_use(worlds, pack, role):
    """What the document leaves out is refused, and hidden fields are in no schema."""
    person = person_of(worlds, pack, role)
    document = await person.get("/openapi.json")
    full = await worlds[pack]["admin"].get("/openapi.json")
    nobody = "0198c0de-0000-7000-8000-000000000000"
    for path, item in full["paths"].items():
        for method in item:
            if method in document["paths"].get(path, {}) or "/jobs" in path:
                continue
            body = {"values": {}, "entity": "customer", "action": "delete", "ids": [nobody], "measures": [{"fn": "count"}], "rows": [{"name": "x"}], "bundle": {}} if method in ("post", "patch") else None
            answer = await person.send(method.upper(), path.replace("{id}", nobody).replace("{number}", "1").replace("{other}", "1"), body)
            assert answer.status_code in (403, 404, 415), (method, path, answer.status_code, answer.text[:300])
    roles = {r["key"]: r for r in load_pack(pack)["roles"]}
    for entity, rights in roles[role].get("entities", {}).items():
        hidden = [f for f, access in (rights.get("fields") or {}).items() if access == "hidden"]
        for name, schema in document["components"]["schemas"].items():
            if name.partition(".")[0] == entity:
                assert not [f for f in hidden if f"'{f}':" in str(schema)]


@pytest.mark.parametrize(("pack", "role"), ROLES)
async def test_every_operation_answers(worlds, pack, role):
    """Called with data that fits its schema, each gives one of the answers it is described with; never 404, 405, 5xx."""
    person = person_of(worlds, pack, role)
    document = await person.get("/openapi.json")
    for path, item in document["paths"].items():
        if path == "/tokens":  # a wrong password counts against everybody here: test_openapi_answers.py
            continue
        for method, operation in sorted(item.items(), key=lambda pair: pair[0] == "delete"):
            url, known = await _address(person, path)
            answer = await _call(person, document, method, url, operation)
            assert str(answer.status_code) in operation["responses"] or answer.status_code in (400,), (method, url, answer.status_code, answer.text[:400])
            assert answer.status_code not in (405,) and answer.status_code < 500, (method, url, answer.text[:400])
            if known:
                assert answer.status_code != 404, (method, url, answer.text[:400])
            good = operation["responses"].get(str(answer.status_code), {}).get("content", {}).get("application/json")
            if good and answer.status_code < 300:
                jsonschema.Draft202012Validator({**good["schema"], "components": document["components"]}).validate(answer.json())


async def _address(person: Person, path: str) -> tuple[str, bool]:
    """The path with a real id in it, and whether the thing is really there for this person."""
    if "{number}" in path:
        return path.replace("{number}", "1").replace("{other}", "1"), True
    if path.startswith("/timetable/"):
        return path.replace("{key}", "nothing"), False
    if "{id}" not in path:
        return path, True
    if "/merges/" in path or path.startswith("/reviews/"):  # nothing was merged here, nothing waits
        return path.replace("{id}", "0198c0de-0000-7000-8000-000000000000").replace("{key}", "nothing"), False
    if path.startswith("/records/"):
        data = (await person.send("GET", f"/records/{path.split('/')[2]}", limit=1, deleted="true" if path.endswith("/restore") else "false")).json().get("data")
    else:
        data = (await person.get("/jobs", limit=1))["data"] if path == "/jobs/{id}" else None
    found = data[0]["id"] if data else "0198c0de-0000-7000-8000-000000000000"
    return path.replace("{id}", found), bool(data)


async def _call(person: Person, document: dict[str, Any], method: str, url: str, operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        schema = content["multipart/form-data"]["schema"]["properties"]
        headers = {"host": person.host, "authorization": f"Bearer {person.token}"}
        for entity in schema["entity"]["enum"]:
            answer = await person.client.post(f"/api/v1{url}", files={"file": ("x.png", _PNG)}, data={"entity": entity, "field": schema["field"]["enum"][0]}, headers=headers)
            if answer.status_code == 201:
                break
        return answer
    if not content:
        return await person.send(method.upper(), url)
    schema = _resolved(document, content["application/json"]["schema"])
    body = {k: v for k, v in ((k, fit(_resolved(document, s), random.Random(1))) for k, s in schema.get("properties", {}).items() if k in schema.get("required", ())) if v is not None}
    if "values" in schema.get("properties", {}):
        body["values"] = await make(person, document, _resolved(document, schema["properties"]["values"]), seed=1) if schema["properties"]["values"].get("$ref") or "properties" in schema["properties"]["values"] else {}
    if "rows" in body:
        body["rows"] = [{"name": "Imported"}]
    return await person.send(method.upper(), url, body)


_PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" + "1f15c4890000000d49444154789c6360000000000500015a0d2db40000000049454e44ae426082")


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


# ---- what POST accepts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "role"), ROLES)
async def test_the_schema_is_what_post_accepts(worlds, pack, role):
    """Conforming values are refused by a rule of the configuration at most; every other field is refused by name."""
    person = person_of(worlds, pack, role)
    document = await person.get("/openapi.json")
    for path, item in document["paths"].items():
        if "post" not in item or not path.startswith("/records/") or path.count("/") != 2:
            continue
        schema = document["components"]["schemas"][f"{path.rpartition('/')[2]}.new"]
        for seed in (1, 2):
            values = await make(person, document, schema, seed=seed)
            if not set(schema["required"]) - set(values):  # else there is nothing yet that a required reference could name
                jsonschema.Draft202012Validator(schema).validate(values)
            answer = await person.send("POST", path, {"values": values, "confirm_duplicates": True})
            assert answer.status_code in (201, 403, 409, 422), answer.text[:500]
            if answer.status_code == 422:
                codes = {(e["field"], e["code"]) for e in answer.json()["errors"]}
                assert not {c for c in codes if c[1] in REFUSALS and schema["properties"].get(c[0], {}).get("x-type") != "phone"}, (path, values, answer.text[:800])
        read = (await person.send("GET", f"/schema/{path.rpartition('/')[2]}")).json()["properties"]
        for field in (*(f for f, s in read.items() if s.get("readOnly") and s["x-type"] != "datetime" and not f.endswith("_by")), "nothing_like_it"):
            answer = await person.send("POST", path, {"values": {field: 7}})
            if answer.status_code == 422 and field not in ("created_at", "updated_at", "department"):
                assert field in {e["field"] for e in answer.json()["errors"]}, (path, field, answer.text[:500])
            else:
                assert answer.status_code in (403, 422) or field in ("created_at", "updated_at", "department"), (path, field, answer.text[:500])


async def test_nobody_gets_it_without_signing_in(worlds):
    person = worlds["jb-rm-crm"]["admin"]
    refused(await person.send("GET", "/openapi.json", headers={"authorization": "none"}), 401)
