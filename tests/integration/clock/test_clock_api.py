"""The clock and the timetable over the API: what administrators see and do, and that others do not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from saas.runtime.worker import drain
from saas.tenants.features import set_tenant_feature
from tests.acceptance.api import Person, refused
from tests.factories import PASSWORD, Lab, make_lab
from tests.integration.clock.material import bundle


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    found = await make_lab(bundle(), people=False)
    await found.person("sam", ["seller"])
    return found


@pytest_asyncio.fixture
async def sign_in(http, lab):
    async def person(who: str) -> Person:
        return await Person(http, f"{lab.slug}.localhost", language="en").sign_in(f"{who}@{lab.slug}.example", PASSWORD)

    return person


async def test_the_clock_is_moved_and_put_back(lab, sign_in):
    admin = await sign_in("admin")
    clock = await admin.get("/clock")
    assert (clock["offset_seconds"], clock["time_zone"], clock["moves"]) == (0, "Asia/Shanghai", [])
    to = datetime.fromisoformat(clock["now"]) + timedelta(days=3)
    refused(await admin.send("POST", "/clock", {"to": to.isoformat()}), 403)  # the operator does not allow it
    await set_tenant_feature(lab.tenant_id, "clock", True)
    for body in ({}, {"to": 5}, {"to": "tomorrow"}, {"to": "2001-01-01T00:00:00Z"}):
        refused(await admin.send("POST", "/clock", body), 400)
    job = (await admin.call("POST", "/clock", {"to": to.isoformat()}, expect=202))["job"]
    refused(await admin.send("POST", "/clock", {"to": to.isoformat()}), 409)
    await drain()
    moved = await admin.get("/clock")
    assert abs(moved["offset_seconds"] - 3 * 86400) < 60 and moved["movable"] and [m["id"] for m in moved["moves"]] == [job["id"]] and moved["moves"][0]["status"] == "done"
    assert (await admin.call("POST", "/clock/real", {}))["offset_seconds"] == 0 == (await admin.get("/clock"))["offset_seconds"]


async def test_the_timetable_is_read_and_run(lab, sign_in):
    admin = await sign_in("admin")
    entries = (await admin.get("/timetable"))["data"]
    assert {e["kind"] for e in entries} <= {"schedule", "automation"} and entries
    first = next(e for e in entries if e["kind"] == "schedule" and e["active"])
    assert first["next"] == sorted(first["next"]) and len(first["next"]) == 5
    found = await admin.get(f"/timetable/{first['key']}?at={first['next'][0]}")
    assert found["matching"] is not None
    job = (await admin.call("POST", f"/timetable/{first['key']}/run", {}, expect=202))["job"]
    await drain()
    assert (await admin.get(f"/jobs/{job['id']}"))["status"] == "done"
    assert len((await admin.get(f"/timetable/{first['key']}"))["runs"]) == len(found["runs"]) + 1
    refused(await admin.send("GET", f"/timetable/{first['key']}?at=soon"), 400)
    refused(await admin.send("GET", "/timetable/nothing"), 404)


@pytest.mark.parametrize(("method", "path"), [("GET", "/clock"), ("POST", "/clock"), ("POST", "/clock/real"), ("GET", "/timetable"), ("GET", "/timetable/nothing"), ("POST", "/timetable/nothing/run")])
async def test_others_may_not(method, path, sign_in):
    refused(await (await sign_in("sam")).send(method, path, {} if method == "POST" else None), 403)
