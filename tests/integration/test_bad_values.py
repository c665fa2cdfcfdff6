"""Values that no field takes, records that cannot be named, and text that attacks: over HTTP, in both packs."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from saas.tenants import open_session
from tests.acceptance.api import is_chinese, refused
from tests.integration.test_openapi import make

NOBODY = "0198c0de-0000-7000-8000-000000000000"
PACKS = ("baseline-crm", "jb-rm-crm")
HOSTILE = ("'; DROP TABLE record; --", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}{% raw %}", "%s %(name)s %d", "\\'; SELECT 1", "=cmd|' /C calc'!A0", "‮evil‬ \u200b é 😀", "a' OR '1'='1")


@pytest_asyncio.fixture(scope="module")
async def worlds(office, http) -> dict[str, Any]:
    """{pack: its people, and one record of each kind that could be made}."""
    found = {}
    for pack in PACKS:
        people = await office(pack, **({"tao": "sales", "sun": "sales", "yu": "service"} if pack == "baseline-crm" else {"tao": "account_manager", "sun": "account_manager", "yu": "executive"}))
        admin = people["admin"]
        document = await admin.get("/openapi.json")
        schemas = {n.removesuffix(".new"): s for n, s in document["components"]["schemas"].items() if n.endswith(".new")}
        records: dict[str, str] = {}
        for _ in range(3):
            for key, schema in schemas.items():
                if key not in records:
                    values = await make(admin, document, schema, only_required=True)
                    answer = await admin.send("POST", f"/records/{key}", {"values": values, "confirm_duplicates": True})
                    if answer.status_code == 201:
                        records[key] = answer.json()["id"]
        found[pack] = {"people": people, "schemas": schemas, "records": records}
    return found


# ---- wrong values ------------------------------------------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "text": [[], {}, True, "x" * 30_000], "longtext": [[], {"a": 1}, "x" * 300_000], "richtext": [[], 5], "int": ["x", 1.5, [], True, 10**30], "number": ["x", [], 1e300, True], "percent": [101, -1, "x"],
    "bool": ["maybe", 2, []], "date": ["2025-02-30", "yesterday", 5, "99999-01-01", "2025-01-01T00:00:00Z"], "datetime": ["2025-02-30T00:00:00Z", "noon", 5], "time": ["25:00", 8, "8"],
    "email": ["nonsense", "@", 5], "url": ["nonsense", "javascript:alert(1)", 5], "address": [{"planet": "x"}, 5, ["x"]], "money": ["x", {"amount": "x"}, {"amount": "1", "currency": "ZZZ"}, [], {"amount": "1" * 40}],
    "option": ["no_such_option", 5, []], "multi": [["no_such_option"], "x", 5], "tags": [[5], {}, ["x" * 5000]], "rating": [0, 99, "x", 1.5], "score": ["x", 10**12], "user": [NOBODY, "x", 5], "dept": [NOBODY, "x"],
    "ref": [NOBODY, "x", 5, []], "m2m": [[NOBODY], ["x"], "x"], "file": [[NOBODY], ["x"], "x"], "image": [[NOBODY], "x"],
}  # fmt: skip


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_wrong_values_are_refused_by_name(worlds, pack, language, marked):
    """Every kind of field, every kind of nonsense: 422 naming the field and the rule, in the reader's language."""
    world = worlds[pack]
    admin = world["people"]["admin"]
    for entity, record in world["records"].items():
        before = (await admin.get(f"/records/{entity}/{record}"))["version"]
        for turn in range(5):
            fields = {k: p for k, p in world["schemas"][entity]["properties"].items() if len(WRONG.get(p["x-type"], ())) > turn}
            if not fields:
                continue
            sent = {k: WRONG[p["x-type"]][turn] for k, p in fields.items()}
            answer = await admin.send("PATCH", f"/records/{entity}/{record}", {"values": sent}, headers={"accept-language": language})
            if answer.status_code == 403:
                break  # closed by its state
            problem = refused(answer, 422, "invalid_input")
            named = {e["field"]: e for e in problem["errors"]}
            missing = {k: sent[k] for k in sent if k not in named}
            assert not missing, (entity, missing)
            for error in problem["errors"]:
                assert error["code"] and error["path"].startswith(f"/{error['field']}")
                assert ("〔" in error["message"] or is_chinese(error["message"])) if language == "zh-CN" else "〔" not in error["message"], error
        assert (await admin.get(f"/records/{entity}/{record}"))["version"] == before


@pytest.mark.parametrize("pack", PACKS)
async def test_unknown_and_forbidden_fields(worlds, pack):
    world = worlds[pack]
    admin = world["people"]["admin"]
    for name in ("nothing", "tenant_id", "id", "doc", "t1", "deleted_at; --", "__class__", "名称"):
        answer = await admin.send("PATCH", f"/records/customer/{world['records']['customer']}", {"values": {name: "x"}})
        refused(answer, 422, field=name, rule="unknown_field")


async def test_computed_and_locked_fields(worlds):
    world = worlds["jb-rm-crm"]
    admin = world["people"]["admin"]
    made = await admin.create("opportunity", customer_name="Locked", probability=10, summary="x")
    for field, rule in (("code", "read_only"), ("status", "read_only")):
        refused(await admin.send("PATCH", f"/records/opportunity/{made['id']}", {"values": {field: "assigned" if field == "status" else "X-1"}}), 422, field=field, rule=rule)


# ---- records that cannot be named --------------------------------------------------------------------------------------


async def test_lookups_to_what_is_not_there(worlds):
    """A record of another tenant, a deleted one and one that never was get the same answer."""
    people, other = worlds["baseline-crm"]["people"], worlds["jb-rm-crm"]["records"]["customer"]
    gone = await people["admin"].create("customer", name="Gone")
    await people["admin"].call("DELETE", f"/records/customer/{gone['id']}", expect=204)
    answers = [await people["admin"].send("POST", "/records/contact", {"values": {"name": "X", "customer": rid}}) for rid in (other, gone["id"], NOBODY)]
    for answer in answers:
        refused(answer, 422, field="customer", rule="unknown_record")
    assert len({str(a.json()["errors"]) for a in answers}) == 1
    foreign = worlds["jb-rm-crm"]["people"]["tao"].id
    refused(await people["admin"].send("POST", "/records/task", {"values": {"subject": "x", "due": "2030-01-01", "assignee": foreign}}), 422, field="assignee", rule="unknown_user")
    refused(await people["admin"].send("POST", "/records/customer", {"values": {"name": "Owned", "owner": foreign}}), 422, field="owner", rule="unknown_user")


async def test_a_deleted_record_is_gone_until_it_is_restored(worlds):
    admin = worlds["baseline-crm"]["people"]["admin"]
    rid = (await admin.create("customer", name="Here and gone"))["id"]
    await admin.call("DELETE", f"/records/customer/{rid}", expect=204)
    for method, path, body in (("GET", "", None), ("PATCH", "", {"values": {"name": "x"}}), ("DELETE", "", None), ("GET", "/history", None)):
        refused(await admin.send(method, f"/records/customer/{rid}{path}", body), 404, "not_found")
    assert (await admin.call("POST", f"/records/customer/{rid}/restore"))["id"] == rid
    answer = await admin.send("POST", f"/records/customer/{rid}/restore")
    assert answer.status_code in (404, 409)


# ---- versions, rights --------------------------------------------------------------------------------------------------


async def test_a_stale_version_changes_nothing(worlds, marked):
    admin = worlds["baseline-crm"]["people"]["admin"]
    made = await admin.create("customer", name="Versions")
    path = f"/records/customer/{made['id']}"
    assert (await admin.send("PATCH", path, {"values": {"background": "one"}}, headers={"if-match": f'"{made["version"]}"'})).status_code == 200
    for headers, body in (({"if-match": '"1"'}, {}), ({"if-match": 'W/"1"'}, {}), ({}, {"version": 1}), ({"if-match": '"99"'}, {})):
        for language in ("en", "zh-CN"):
            problem = refused(await admin.send("PATCH", path, {"values": {"background": "two"}, **body}, headers={**headers, "accept-language": language}), 409, "stale_version")
            assert ("〔" in problem["detail"]) == (language == "zh-CN")
    refused(await admin.send("DELETE", path, headers={"if-match": '"1"'}), 409, "stale_version")
    assert (await admin.get(path))["values"]["background"] == "one"


async def test_what_the_role_may_not_do(worlds):
    people = worlds["jb-rm-crm"]["people"]
    opportunity = await people["tao"].create("opportunity", customer_name="Rights", probability=10, summary="x")
    path = f"/records/opportunity/{opportunity['id']}"
    refused(await people["tao"].send("POST", f"{path}/transitions/assign", {"values": {"assigned_to": people["tao"].id}}), 403, "permission_denied")
    for who in ("yu", "sun"):
        assert (await people[who].send("DELETE", path)).status_code in (403, 404)  # 404 where they may not even read it
    refused(await people["yu"].send("DELETE", f"/records/customer/{worlds['jb-rm-crm']['records']['customer']}"), 403, "permission_denied")
    refused(await people["yu"].send("POST", "/records/opportunity", {"values": {}}), 403, "permission_denied")
    refused(await people["yu"].send("POST", "/config/plan", {"patch": {}}), 403)
    assert (await people["admin"].get(path))["version"] == 1


# ---- text that attacks -------------------------------------------------------------------------------------------------


async def _tables(settings) -> list[Any]:
    connection = await asyncpg.connect(settings.database_url)
    try:
        return [tuple(r) for r in await connection.fetch("SELECT relname, relkind, relnatts, relrowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")]
    finally:
        await connection.close()


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("text", HOSTILE)
async def test_text_is_kept_exactly_and_shown_escaped(worlds, http, settings, pack, text):
    """SQL, HTML, templates, formats and formulas in every text-like field: stored as sent, found again, escaped on the page."""
    world = worlds[pack]
    admin = world["people"]["admin"]
    before = await _tables(settings)
    slug = admin.host.partition(".")[0]
    connection = await asyncpg.connect(settings.database_url)
    tenant_id, user_id = await connection.fetchrow("SELECT t.id, u.id FROM tenant t JOIN app_user u ON u.tenant_id = t.id WHERE t.slug = $1 AND u.name ILIKE '%admin%' LIMIT 1", slug)
    await connection.close()
    token, _csrf, _expires = await open_session(tenant_id, user_id, "web")
    tried = 0
    for entity, record in world["records"].items():
        schema = world["schemas"][entity]["properties"]
        fields = [k for k, p in schema.items() if p["x-type"] in ("text", "longtext") and "pattern" not in str(p) and "enum" not in p]
        answer = await admin.send("PATCH", f"/records/{entity}/{record}", {"values": dict.fromkeys(fields, text), "confirm_duplicates": True})
        if answer.status_code != 200:
            assert answer.status_code in (403, 409, 422), answer.text[:500]
            continue
        read = (await admin.get(f"/records/{entity}/{record}"))["values"]
        assert {k: read[k] for k in fields} == dict.fromkeys(fields, text)
        tried += len(fields)
        if fields:
            listed = await admin.list(entity, filter=f'{{"field": "{fields[0]}", "op": "eq", "value": {json.dumps(text)}}}')
            assert record in {r["id"] for r in listed}
        for path in (f"/r/{entity}/{record}", f"/r/{entity}", f"/r/{entity}/{record}/edit"):
            page = await http.get(f"http://localhost{path}", headers={"host": admin.host, "cookie": f"session={token}"})
            assert page.status_code < 500
            for raw in ("<script>alert(1)", "<img src=x", '"><img'):
                assert raw not in page.text, (entity, path)
            if "{{" in text:
                assert "49{% raw" not in page.text
    assert tried > 5
    assert await _tables(settings) == before


async def test_rich_text_is_cleaned(worlds):
    admin = worlds["baseline-crm"]["people"]["admin"]
    sent = '<p onclick="x()">Hi <b>you</b><script>alert(1)</script><a href="javascript:alert(1)">x</a><img src=x onerror=alert(1)></p>'
    kept = (await admin.create("article", title="Rich", body=sent))["values"]["body"]
    assert "<b>you</b>" in kept
    for bad in ("script", "onclick", "onerror", "javascript"):
        assert bad not in kept
