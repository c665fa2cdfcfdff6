"""Clock, timetable and jobs over HTTP: what administrators see and do there, and that others do not."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.runtime import execute, jobs, timers
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from saas.tenants import open_session
from saas.tenants.features import set_tenant_feature
from tests.factories import Lab, make_lab
from tests.integration.clock.material import bundle


class Web:
    """A person's browser without scripts."""

    def __init__(self, http: httpx.AsyncClient, lab: Lab, token: str) -> None:
        self.http, self.headers = http, {"host": f"{lab.slug}.localhost", "cookie": f"session={token}"}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={**self.headers, **headers})

    async def post(self, path: str, page: str, **form: str) -> httpx.Response:
        csrf = re.search(r'name="_csrf" value="([^"]+)"', (await self.get(page)).text)
        assert csrf, page
        return await self.http.post(path, data={"_csrf": csrf[1], **form}, headers={**self.headers, "sec-fetch-site": "same-origin"})


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    found = await make_lab(bundle(), people=False)
    await found.person("sam", ["seller"])
    return found


@pytest_asyncio.fixture
async def web(http, lab):
    async def sign_in(who: str) -> Web:
        return Web(http, lab, (await open_session(lab.tenant_id, lab.people[who]))[0])

    return sign_in


async def test_the_clock_is_moved_and_everybody_sees_it(lab, web):
    admin, sam = await web("admin"), await web("sam")
    assert (await admin.get("/settings/clock")).status_code == 403, "not where the operator does not allow it"
    assert 'href="/settings/clock"' not in (await admin.get("/settings")).text
    await set_tenant_feature(lab.tenant_id, "clock", True)
    assert (await sam.get("/settings/clock")).status_code == 403
    assert 'data-banner="clock"' not in (await sam.get("/r/card")).text
    refused = await admin.post("/settings/clock", "/settings/clock", to="last week")
    assert refused.status_code == 422 and "last week" in refused.text
    today = (await lab.ctx("admin")).today
    assert (await admin.post("/settings/clock", "/settings/clock", by="1w")).status_code == 303
    await drain()
    assert (await lab.ctx("admin")).today == today + timedelta(days=7)
    for person in (admin, sam):
        assert 'data-banner="clock"' in (await person.get("/r/card")).text
    assert 'href="/settings/clock"' not in (await sam.get("/r/card")).text
    assert "7 days ahead of real time" in (await admin.get("/settings/clock")).text
    assert (await admin.post("/settings/clock/real", "/settings/clock")).status_code == 303
    assert 'data-banner="clock"' not in (await admin.get("/r/card")).text and (await lab.ctx("admin")).today == today


async def test_the_timetable_says_what_would_match_runs_it_and_shows_what_came_of_it(lab, web):
    admin, sam = await web("admin"), await web("sam")
    assert (await sam.get("/settings/timetable")).status_code == 403
    ctx = await lab.ctx("admin")
    due = await lab.make("card", "admin", name="Due soon", due=(ctx.today + timedelta(days=1)).isoformat())
    later = await lab.make("card", "admin", name="Due in four days", due=(ctx.today + timedelta(days=4)).isoformat())
    listing = (await admin.get("/settings/timetable")).text
    assert listing.count("data-rule=") == 3
    page = (await admin.get("/settings/timetable/warn")).text
    assert "Due soon" in page and "Due in four days" not in page
    assert ("Due in four days" in (await admin.get("/settings/timetable/warn?at=next")).text) == ((ctx.now.astimezone(ctx.zone) + timedelta(hours=16)).date() > ctx.today)
    assert (await lab.get("card", due)).values["step"] is None, "looking changes nothing"
    assert (await admin.post("/settings/timetable/warn/run", "/settings/timetable/warn")).status_code == 303
    await drain()
    assert ((await lab.get("card", due)).values["step"], (await lab.get("card", later)).values["step"]) == (1, None)
    page = (await admin.get("/settings/timetable/warn")).text
    assert f"/r/card/{due}" in page.partition("data-run-log")[2] and "1 record done" in page
    assert (await admin.get("/settings/timetable/nothing")).status_code == 404
    assert (await admin.post("/settings/timetable/nothing/run", "/settings/timetable/warn")).status_code == 404


async def test_jobs_are_watched_stopped_and_tried_again(lab, web):
    admin, sam = await web("admin"), await web("sam")
    assert (await sam.get("/settings/jobs")).status_code == 403
    await lab.fetch("DELETE FROM job WHERE tenant_id = $1 RETURNING 1")
    assert "Nothing is under way" in (await admin.get("/settings/jobs")).text
    states = {"queued": ("run_at", "now() + interval '1 hour'"), "running": ("locked_until", "now() + interval '1 minute'"), "failed": ("error", "'It was interrupted too often.'")}
    made = {}
    for status, (column, value) in states.items():
        [row] = await lab.fetch(f"INSERT INTO job (tenant_id, id, kind, status, attempts, created_by, {column}) VALUES ($1, gen_random_uuid(), 'import_records', $2, 2, $3, {value}) RETURNING id", status, lab.people["sam"])  # noqa: S608  words of this file
        made[status] = str(row[0])
    page = (await admin.get("/settings/jobs")).text
    assert made["queued"] in page and made["running"] in page and made["failed"] not in page
    assert "Sam" in page and "next try" in page and "2 attempts" in page and 'hx-trigger="every' in page
    part = (await admin.get("/settings/jobs", **{"hx-request": "true", "hx-target": "section#jobs"})).text
    assert "<html" not in part and made["queued"] in part
    failed = (await admin.get("/settings/jobs?tab=failed")).text
    assert "It was interrupted too often." in failed and f'action="/jobs/{made["failed"]}/retry"' in failed
    assert (await admin.post(f"/jobs/{made['failed']}/retry", "/settings/jobs?tab=failed", next="/settings/jobs?tab=failed")).headers["location"] == "/settings/jobs?tab=failed"
    assert (await admin.post(f"/jobs/{made['queued']}/cancel", "/settings/jobs")).status_code == 303
    now = {str(r["id"]): r["status"] for r in await lab.fetch("SELECT id, status FROM job WHERE tenant_id = $1")}
    assert (now[made["failed"]], now[made["queued"]], now[made["running"]]) == ("queued", "cancelled", "running")
    assert (await admin.get("/settings/jobs?tab=done&kind=import_records")).text.count("data-job=") == 1
    await lab.fetch("DELETE FROM job WHERE tenant_id = $1 RETURNING 1")


@pytest.mark.parametrize("path", ["/settings/jobs?tab=open&before=x&kind=nothing", "/settings/timetable/warn?at=never"])
async def test_what_no_link_says_is_no_error(web, path):
    assert (await (await web("admin")).get(path)).status_code == 200


async def test_one_schedule_run_by_hand_leaves_the_others_alone(lab):
    await lab.make("card", "admin", name="daily", daily=True)
    ctx = await lab.system()
    before = len((await execute(ctx, ops.List(entity="entry"))).records)
    async with tenant_transaction(lab.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, await lab.ctx("admin"), timers.JOB, {"only": "note"})
    await drain()
    job = await jobs.get_job(ctx, job_id)
    assert [r["what"] for r in job.result["ran"]] == ["note"] and len((await execute(ctx, ops.List(entity="entry"))).records) == before + 1
