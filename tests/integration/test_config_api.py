"""The configuration over HTTP: plan, publish, compare, take back; and that every process follows at once."""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from saas.metadata import edits
from tests.acceptance.api import Person, refused
from tests.bundles import field, label

ROOT = Path(__file__).parents[2]
CUSTOMER, LEAD = "entities[customer]", "entities[lead]"


@pytest_asyncio.fixture
async def people(office) -> dict[str, Person]:
    return await office("baseline-crm", low="service")


@pytest_asyncio.fixture
async def admin(people) -> Person:
    return people["admin"]


async def bundle(admin: Person) -> dict[str, Any]:
    return (await admin.get("/config"))["bundle"]


def with_field(raw: dict[str, Any], key: str = "extra", of: str = CUSTOMER, **more: Any) -> dict[str, Any]:
    return edits.add(raw, f"{of}.fields", field(key, "text", **more))


async def test_a_plan_over_http(admin):
    made = await admin.create("lead", name="Northern", email="n@x.example")
    raw = with_field(await bundle(admin), of=LEAD, required=True)
    plan = await admin.call("POST", "/config/plan", {"bundle": raw})
    assert (plan["base_revision"], plan["kind"], plan["can_publish"], plan["problems"], plan["obstacles"]) == (1, "needs_backfill", True, [], [])
    [change] = plan["changes"]
    assert change["path"] == f"{LEAD}.fields[extra]" and change["title"] and change["noun"] and change["message"] and change["details"]
    [impact] = plan["impacts"]
    assert (impact["code"], impact["count"], impact["total"], impact["exact"], impact["severity"], impact["note"]) == ("required_missing", 1, 1, True, "warn", "")
    assert impact["samples"] == [{"id": made["id"], "title": "Northern", "url": f"/r/lead/{made['id']}", "value": ""}]
    again = await admin.get(f"/config/plans/{plan['plan_id']}")
    assert again.pop("bundle") == raw and again == plan
    fill = {"do": "fill", "entity": "lead", "field": "extra", "value": "x"}
    filled = await admin.call("POST", "/config/plan", {"bundle": raw, "data": [fill]})
    assert [i["code"] for i in filled["impacts"]] == ["required_filled"] and filled["data"] == [fill] and filled["seconds"] > 0
    published = await admin.call("POST", "/config/publish", {"plan_id": filled["plan_id"], "message": "More"})
    assert published["revision"] == 2 and published["message"] == "More" and published["author"] == admin.id
    assert (await admin.get(f"/records/lead/{made['id']}"))["values"]["extra"] == "x", "small companies see the work on their data at once"


async def test_a_plan_speaks_the_readers_language(admin):
    raw = with_field(await bundle(admin), of=LEAD, required=True)
    await admin.create("lead", name="Northern", email="n@x.example")
    english = await admin.call("POST", "/config/plan", {"bundle": raw})
    chinese = await admin.call("GET", f"/config/plans/{english['plan_id']}", headers={"accept-language": "zh-CN"})
    assert "Extra（中）" in chinese["impacts"][0]["message"] and "“Extra”" in english["impacts"][0]["message"]


async def test_problems_come_with_a_plan_that_cannot_be_published(admin):
    raw = edits.put(await bundle(admin), f"{CUSTOMER}.title", "nothing")
    plan = await admin.call("POST", "/config/plan", {"bundle": raw})
    assert not plan["can_publish"] and plan["obstacles"] and plan["problems"][0]["path"] == f"{CUSTOMER}.title"
    assert {"path", "code", "message", "hint", "fixes"} == set(plan["problems"][0])
    answer = refused(await admin.send("POST", "/config/publish", {"plan_id": plan["plan_id"]}), 422, "invalid_definition")
    assert answer["errors"][0]["path"] == f"{CUSTOMER}.title"
    refused(await admin.send("POST", "/config/plan", {"bundle": {"format": 1}}), 422, "invalid_definition")


async def test_data_steps_are_checked(admin):
    raw = await bundle(admin)
    refused(await admin.send("POST", "/config/plan", {"bundle": raw, "data": "all"}), 400)
    answer = refused(await admin.send("POST", "/config/plan", {"bundle": raw, "data": [{"do": "dance"}]}), 422)
    assert answer["errors"][0]["path"] == "data[0]"
    refused(await admin.send("POST", "/config/publish", {"bundle": raw, "data": [{"do": "dance"}]}), 422)


async def test_who_published_in_between(admin):
    raw = await bundle(admin)
    first = await admin.call("POST", "/config/publish", {"bundle": with_field(raw, "one"), "base_revision": 1, "message": "One"})
    answer = refused(await admin.send("POST", "/config/publish", {"bundle": with_field(raw, "two"), "base_revision": 1}), 409, "conflict")
    assert answer["revision"] == first["revision"]
    assert answer["since"] == [{"revision": 2, "author": "admin", "author_id": admin.id, "message": "One", "created_at": answer["since"][0]["created_at"]}]
    refused(await admin.send("POST", "/config/plan", {"bundle": with_field(raw, "two"), "base_revision": 1}), 409)
    assert (await admin.get("/config"))["bundle"] == with_field(raw, "one")


async def test_revisions_compared_and_taken_back(admin):
    raw = await bundle(admin)
    first = await admin.get("/config")
    await admin.call("POST", "/config/publish", {"patch": {"entities": with_field(raw)["entities"]}, "message": "Two"})
    listed = await admin.get("/config/revisions")
    assert [r["revision"] for r in listed["data"]] == [2, 1]
    two = await admin.get("/config/revisions/2")
    assert two["bundle"] == with_field(raw) and two["data"] == [] and two["message"] == "Two"
    compared = await admin.get("/config/revisions/1/compare/2")
    assert (compared["from"], compared["to"]) == (1, 2) and [c["path"] for c in compared["changes"]] == [f"{CUSTOMER}.fields[extra]"]
    assert [c["kind"] for c in (await admin.get("/config/revisions/2/compare/1"))["changes"]] == ["destructive"]
    refused(await admin.send("POST", "/config/revisions/1/revert", {"base_revision": 1}), 409)
    back = await admin.call("POST", "/config/revisions/1/revert", {"base_revision": 2})
    assert back["revision"] == 3 and back["hash"] == first["hash"] and (await bundle(admin)) == raw
    for path in ("/config/revisions/77", "/config/revisions/1/compare/77", "/config/revisions/99999999999", "/config/plans/nothing", f"/config/plans/{admin.id}"):
        refused(await admin.send("GET", path), 404)


async def test_a_stage_with_records_needs_somewhere_to_go(admin):
    customer = await admin.create("customer", name="Northern")
    deal = await admin.create("opportunity", name="Deal", customer=customer["id"])
    raw = copy.deepcopy(await bundle(admin))
    pipeline = next(p for p in raw["pipelines"] if p["entity"] == "opportunity")
    gone = next(s for s in pipeline["stages"] if s["key"] == deal["state"])
    stages = [s for s in pipeline["stages"] if s is not gone]
    pipeline["stages"] = [{"key": "entry", "label": label("Entry")}, *stages]
    text = (await admin.call("POST", "/config/plan", {"bundle": raw}))["problems"]
    if text:  # other parts of the pack name the stage: here it is only renamed for them
        raw = __import__("json").loads(__import__("json").dumps(raw).replace(f'"{gone["key"]}"', '"entry"').replace(f"'{gone['key']}'", "'entry'"))
    plan = await admin.call("POST", "/config/plan", {"bundle": raw})
    [stop] = [i for i in plan["impacts"] if i["severity"] == "stop"]
    assert (stop["code"], stop["count"], plan["can_publish"]) == ("stage_removed", 1, False), plan["problems"]
    refused(await admin.send("POST", "/config/publish", {"plan_id": plan["plan_id"]}), 422)
    step = {**stop["remedies"][0], "to": "entry"}
    plan = await admin.call("POST", "/config/plan", {"bundle": raw, "data": [step]})
    assert plan["can_publish"], plan["obstacles"]
    await admin.call("POST", "/config/publish", {"plan_id": plan["plan_id"]})
    assert (await admin.get(f"/records/opportunity/{deal['id']}"))["state"] == "entry"


async def test_only_with_the_right(people):
    low, admin = people["low"], people["admin"]
    plan = await admin.call("POST", "/config/plan", {"patch": {}})
    for method, path, body in (
        ("GET", "/config", None), ("POST", "/config/plan", {"patch": {}}), ("GET", f"/config/plans/{plan['plan_id']}", None), ("POST", "/config/publish", {"plan_id": plan["plan_id"]}),
        ("GET", "/config/revisions", None), ("GET", "/config/revisions/1", None), ("GET", "/config/revisions/1/compare/1", None), ("POST", "/config/revisions/1/revert", {}),
    ):  # fmt: skip
        refused(await low.send(method, path, body), 403)


async def test_without_a_configuration_there_is_none(tenant_factory, http):
    tenant = await tenant_factory()
    from saas.tenants import open_session

    token, _, _ = await open_session(tenant.id, tenant.admin_id, "api")
    admin = Person(http, f"{tenant.slug}.localhost", language="en")
    admin.token = token
    refused(await admin.send("GET", "/config"), 403)  # nobody has any right yet: the operator installs the first one


# ---- every process -------------------------------------------------------------------------------------------------------


@pytest.fixture
def another_process(settings: Any, database: Any):
    """The application served by a process of its own, on the same database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir)}
    process = subprocess.Popen([sys.executable, "-m", "saas", "serve", "--port", str(port), "--no-jobs"], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
async def test_another_process_follows_at_once(people, another_process):
    """Both ways: what this one publishes the other uses at once, and the other way round."""
    here = people["admin"]
    async with httpx.AsyncClient(base_url=another_process, timeout=60) as client:
        there = Person(client, here.host, language="en")
        there.token = here.token
        assert "extra" not in (await there.get("/schema/customer"))["properties"]  # the other has compiled revision 1
        raw = await bundle(here)
        await here.call("POST", "/config/publish", {"bundle": with_field(raw)})
        assert "extra" in (await there.get("/schema/customer"))["properties"]
        await there.call("POST", "/config/publish", {"bundle": raw})
        assert "extra" not in (await here.get("/schema/customer"))["properties"]


async def test_examples_outlive_a_new_required_field(admin):
    """They speak of other things: what they leave open is filled in plausibly, whatever its type."""
    raw = await bundle(admin)
    assert raw["examples"]
    for key, more in {"text": {}, "ref": {"to": "campaign"}, "user": {}, "option": {"options": [{"key": "a", "label": label("A")}]}, "phone": {}, "date": {}, "money": {}}.items():
        for entity in {e["entity"] for e in raw["examples"]} | {"customer"}:
            raw = edits.add(raw, f"entities[{entity}].fields", {"key": f"must_{key}", "type": key, "label": label(key), "required": True, **more})
    plan = await admin.call("POST", "/config/plan", {"bundle": raw})
    assert plan["can_publish"], (plan["obstacles"], plan["problems"], [e for e in plan["examples"] if not e["passed"]])
    assert plan["examples"] and all(e["passed"] for e in plan["examples"])


async def test_a_key_that_stands_twice_is_refused_as_from_a_file(admin):
    """One of the two would be lost, unseen."""
    raw = json.dumps(await bundle(admin))
    for path, text in (
        ("/config/plan", f'{{"bundle": {raw[:-1]}, "entities": []}}}}'), ("/config/plan", f'{{"bundle": {raw}, "bundle": {raw}}}'),
        ("/config/publish", '{"patch": {"settings": [], "settings": null}}'), ("/config/revisions/1/revert", '{"message": "a", "message": "b"}'),
    ):  # fmt: skip
        answer = await admin.send("POST", path, content=text.encode())
        assert answer.status_code == 422, answer.text
        assert [e["code"] for e in answer.json()["errors"]] == ["duplicate_key"]
    assert (await admin.get("/config"))["revision"] == 1
