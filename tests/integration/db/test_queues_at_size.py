"""The outbox, the log of runs, the timetable and the bell of a tenant that has used them for long: what is asked again and again reads a few rows,
not all that ever were.

SAAS_QUEUE_ROWS=1000000 makes each of them a million (a minute and a gigabyte); the limits stay the same.
"""

from __future__ import annotations

import json
import os

import asyncpg
import pytest
import pytest_asyncio

from saas.db import explain, tenant_transaction
from saas.runtime import jobs, outbox, resuming, run_log, timetable
from saas.runtime.messages import telling
from saas.runtime.notifications import inbox, waiting
from saas.runtime.outbox import queue
from tests.factories import make_lab
from tests.integration.clock.material import bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROWS = int(os.environ.get("SAAS_QUEUE_ROWS", "30000"))
MOST_PAGES = 400  # of 8 KB; all rows of one of the tables are some 500 at 30,000

FILL = {
    "outbox": "INSERT INTO outbox (tenant_id, id, kind, key, payload, status, due_at, created_at) SELECT $1, gen_random_uuid(), 'http', 'old ' || n, '{\"url\": \"https://x.example/hook\"}', "
    "'sent', now() - n * interval '1 minute', now() - n * interval '1 minute' FROM generate_series(1, $2) n",
    "automation_log": "INSERT INTO automation_log (tenant_id, id, automation_key, at, status, ended_at) SELECT $1, gen_random_uuid(), 'rule ' || n % 7, now() - n * interval '1 minute', 'done', now() FROM generate_series(1, $2) n",
    "schedule_log": "INSERT INTO schedule_log (tenant_id, id, schedule_key, at) SELECT $1, gen_random_uuid(), (ARRAY['warn', 'take', 'note'])[1 + n % 3], now() - n * interval '1 minute' FROM generate_series(1, $2) n",
    "job": "INSERT INTO job (tenant_id, id, kind, status, payload, run_at, created_at, finished_at) SELECT $1, gen_random_uuid(), 'run_schedules', 'done', '{}', now() - n * interval '1 minute', "
    "now() - n * interval '1 minute', now() FROM generate_series(1, $2) n",
    "notification": "INSERT INTO notification (tenant_id, id, user_id, created_at, read_at, title) SELECT $1, gen_random_uuid(), $3, now() - n * interval '1 minute', now(), 'Old' FROM generate_series(1, $2) n",
}


@pytest_asyncio.fixture(scope="module")
async def firm(database, settings):
    lab = await make_lab(bundle(), people=False)
    conn = await asyncpg.connect(settings.database_url)
    try:
        await conn.execute("DELETE FROM job WHERE status IN ('queued', 'running')")  # of other tests, which are over
        for table, sql in FILL.items():
            await conn.execute(sql, *([lab.tenant_id, ROWS, lab.people["admin"]] if "$3" in sql else [lab.tenant_id, ROWS]))
            await conn.execute(f"VACUUM (ANALYZE) {table}")  # without what other tests left dead
        yield lab
        for table in FILL:  # nobody else pays for them
            await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1", lab.tenant_id)  # noqa: S608  names of this file
    finally:
        await conn.close()


@pytest.mark.parametrize("name", ["outbox", "runs", "jobs", "bell"])
async def test_what_workers_ask_all_the_time(firm, settings, name):
    sql, args = {
        "outbox": (queue._CLAIM, ()), "runs": (resuming._DUE, (["active", "trial"],)), "jobs": (jobs._CLAIM, ()), "bell": (telling._DUE, ()),
    }[name]  # fmt: skip
    conn = await asyncpg.connect(settings.database_url)
    try:
        async with conn.transaction():
            args = args[: sql.count("$1")]
            plan = json.loads(await conn.fetchval("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, *args))[0]["Plan"]
            pages = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
            assert pages < MOST_PAGES, (name, pages)
            raise asyncpg.PostgresError  # nothing is taken
    except asyncpg.PostgresError:
        pass
    finally:
        await conn.close()


async def test_what_administrators_look_at(firm):
    ctx = await firm.ctx()

    async def bell() -> None:
        async with tenant_transaction(firm.tenant_id) as conn:
            await waiting(conn, ctx)
            await inbox(conn, ctx)
            await inbox(conn, ctx, unread=True)

    looks = {
        "outbox": lambda: outbox.list_messages(ctx), "failed effects": lambda: outbox.list_messages(ctx, status="failed"), "runs": lambda: run_log.list_runs(ctx), "failed runs": lambda: run_log.list_runs(ctx, status="failed"),
        "runs of a rule": lambda: run_log.list_runs(ctx, automation="rule 3"), "timetable": lambda: timetable.entries(ctx), "an entry": lambda: timetable.entry(ctx, "warn"), "jobs": lambda: jobs.list_jobs(ctx), "bell": bell,
    }  # fmt: skip
    read = {}
    for name, look in looks.items():
        async with explain.measured(firm.tenant_id, timeout_seconds=20) as found:
            await look()
        read[name] = max(q.pages for q in found.queries)
    assert {name: pages for name, pages in read.items() if pages >= MOST_PAGES} == {}, read
