"""A storm: people write, automations follow, schedules and bulk changes run, while web, worker and database are killed without warning.
Afterwards SQL says whether anything was lost or done twice.

SAAS_STORM_ROUNDS=20 makes it larger: so many times everything is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.db import embedded
from tests.conftest import FAST, ROOT, SECRET

ROUNDS = int(os.environ.get("SAAS_STORM_ROUNDS", "1"))
PATIENCE = 60 + 30 * ROUNDS
# A commit that was answered is in the log of the server when that is killed.
OPTIONS = {**FAST, "synchronous_commit": "on", "shared_buffers": "64MB", "max_connections": "100"}


class Machine:
    """The parts of an installation, each a process that can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = embedded.start(directory / "pg", OPTIONS)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"], "DATABASE_URL": self.server.url, "SAAS_SECRET_KEY": SECRET, "SAAS_DATA_DIR": str(directory / "data"), "SAAS_LOG_LEVEL": "ERROR", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.processes: dict[str, subprocess.Popen[Any]] = {}
        self.killing = False

    def call(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], env=self.environment, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def start(self, part: str) -> None:
        arguments = {"web": ["serve", "--no-jobs", "--port", str(self.port)], "worker": ["worker"]}[part]
        self.processes[part] = subprocess.Popen([sys.executable, "-m", "saas", *arguments], env=self.environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, part: str) -> None:
        if part == "database":
            os.kill(int(next(self.directory.glob("pg/postgres/*/server/data/postmaster.pid")).read_text().split()[0]), signal.SIGKILL)
            while embedded.is_accepting(self.server.url):  # it takes a moment to be gone
                time.sleep(0.05)
            assert self.server.ensure_running() and self.server.url == self.environment["DATABASE_URL"]
            return
        self.killing = True
        self.processes[part].kill()
        self.processes[part].wait()
        self.start(part)
        self.killing = False

    async def supervise(self) -> None:
        """As a service manager does: what gave up by itself, because the database was away as it started, is started again."""
        while True:
            await asyncio.sleep(0.5)
            for part, process in list(self.processes.items()):
                if process.poll() is not None and self.processes[part] is process and not self.killing:
                    self.start(part)

    async def end_leases(self) -> None:
        """As time would do it: a dead worker's jobs are free again. What it was in the middle of is not tried less often for that."""
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(self.server.url)
            await connection.execute("UPDATE job SET locked_until = now() - interval '1 second', attempts = least(attempts, 2) WHERE status = 'running'")
            await connection.close()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.server.stop()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    directory = Path(tempfile.mkdtemp(prefix="saas-storm-"))
    directory.chmod(0o755)  # the server's user has to reach it
    made = Machine(directory)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


class Writer:
    """Somebody who writes, and sends again whatever was not answered, under the same key."""

    def __init__(self, machine: Machine, company: dict[str, str]) -> None:
        self.company = company
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{machine.port}/api/v1", headers={"host": f"{company['slug']}.localhost:{machine.port}"}, timeout=20)
        self.orders: list[str] = []
        self.unanswered = 0

    async def send(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        until, last = time.monotonic() + PATIENCE, "none at all"
        while True:
            self.unanswered += 1
            with contextlib.suppress(httpx.TransportError):
                answer = await self.client.post(path, json=body, headers={"idempotency-key": key} if key else {})
                if answer.status_code < 300:
                    self.unanswered -= 1
                    return answer.json()
                # 409: the first attempt with this key is still under way; the others: something is away.
                assert answer.status_code in (409, 429, 500, 502, 503), answer.text
                last = f"{answer.status_code} {answer.text[:500]}"
            assert time.monotonic() < until, f"no answer for {path}: {last}"
            await asyncio.sleep(0.1)

    async def sign_in(self) -> None:
        token = await self.send("/tokens", {"email": self.company["email"], "password": self.company["password"]})
        self.client.headers["authorization"] = f"Bearer {token['token']}"

    async def write(self, name: str) -> None:
        made = await self.send("/records/order", {"values": {"name": name, "account": self.company["account"]}}, key=f"order-{name}")
        self.orders.append(made["id"])


@pytest_asyncio.fixture
async def writers(machine) -> AsyncIterator[list[Writer]]:
    companies = json.loads((await asyncio.to_thread(machine.call, "-m", "tests.storm.company")).strip().splitlines()[-1])
    machine.start("web")
    machine.start("worker")
    supervisor = asyncio.create_task(machine.supervise())
    found = [Writer(machine, company) for company in companies]
    for writer in found:
        await writer.sign_in()
    yield found
    supervisor.cancel()
    for writer in found:
        await writer.client.aclose()


async def put(machine: Machine, tenant: str, kind: str, payload: dict[str, Any]) -> None:
    connection = await asyncpg.connect(machine.server.url)
    await connection.execute("INSERT INTO job (tenant_id, id, kind, payload, created_by) VALUES ($1, gen_random_uuid(), $2, $3::jsonb, (SELECT id FROM app_user WHERE tenant_id = $1 LIMIT 1))", tenant, kind, json.dumps(payload))
    await connection.close()


@pytest.mark.slow
async def test_nothing_is_lost_or_doubled_whatever_is_killed(machine, writers):
    """Web, worker and database go down in the middle of it, one after the other."""
    stop = asyncio.Event()
    batches = [0, 0]

    async def storm(number: int, writer: Writer) -> None:
        """Orders by the dozen; each dozen is swept by a schedule and moved a step by a bulk change of all there are."""
        while not stop.is_set() or batches[number] < 2:
            batches[number] += 1
            await asyncio.gather(*(writer.write(f"{batches[number]}-{i}") for i in range(12)))
            plan = {"entity": "order", "action": "update", "values": {"step": batches[number]}}
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                await put(machine, writer.company["id"], "run_schedules", {"only": "sweep"})
                await put(machine, writer.company["id"], "bulk_edit", {"plan": plan, "ids": list(writer.orders)})
            await asyncio.sleep(0.2)

    storms = [asyncio.create_task(storm(n, w)) for n, w in enumerate(writers)]
    for _ in range(ROUNDS):
        for part in ("worker", "web", "database", "worker"):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(machine.kill, part)
            await machine.end_leases()
    stop.set()
    await asyncio.wait_for(asyncio.gather(*storms), PATIENCE)
    assert all(w.unanswered for w in writers) and all(len(w.orders) >= 24 for w in writers), "it was a storm"
    for writer in writers:  # what the last dozen needs
        await put(machine, writer.company["id"], "run_schedules", {"only": "sweep"})
    await _quiet(machine)
    await _check(machine, writers)


async def _quiet(machine: Machine) -> None:
    """Until every job is over."""
    until = time.monotonic() + PATIENCE
    connection = await asyncpg.connect(machine.server.url)
    while await connection.fetchval("SELECT count(*) FROM job WHERE status IN ('queued', 'running') AND run_at < now() + interval '1 minute'"):
        await machine.end_leases() if time.monotonic() > until - PATIENCE / 2 else None
        assert time.monotonic() < until, await connection.fetch("SELECT kind, status, attempts, error FROM job WHERE status IN ('queued', 'running')")
        await asyncio.sleep(0.3)
    await connection.close()


async def _check(machine: Machine, writers: list[Writer]) -> None:
    connection = await asyncpg.connect(machine.server.url)
    for writer in writers:
        records = await _records(connection, writer.company["id"])
        orders, entries = records["order"], records["entry"]
        assert sorted(str(o["id"]) for o in orders) == sorted(writer.orders), "each answered order exists once, and no other"
        assert len({o["name"] for o in orders}) == len(orders)
        assert sorted(o["number"] for o in orders) == [f"{n:05}" for n in range(1, len(orders) + 1)], "numbers without gaps, none twice"
        for order in orders:
            mine = [e for e in entries if e["order"] == str(order["id"])]
            kinds = [e["kind"] for e in mine]
            assert kinds.count("made") == 1, "an automation of creating runs once for each"
            assert kinds.count("sweep") == 1, "a schedule does each once, ever"
            steps = await connection.fetchval("SELECT count(*) FROM record_event WHERE tenant_id = $1 AND record_id = $2 AND kind = 'updated' AND changes::text LIKE '%step%'", writer.company["id"], order["id"])
            assert kinds.count("step") == steps, "one entry for each change of the step that stands in the history"
        [account] = records["account"]
        assert (account["seen"], account["total"]) == (len(orders), len(orders)), "sums are those of the records"
        failed = await connection.fetch("SELECT kind, error FROM job WHERE tenant_id = $1 AND status = 'failed'", writer.company["id"])
        assert not failed, failed
        runs = await connection.fetchval("SELECT count(*) FROM automation_log WHERE tenant_id = $1 AND automation_key = 'made' AND status = 'done'", writer.company["id"])
        assert runs == len(orders)
    await connection.close()


async def _records(connection: asyncpg.Connection, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """All live records by entity, read through the columns that the configuration gave their fields."""
    places: dict[str, dict[str, str]] = {}
    for row in await connection.fetch("SELECT e.key, e.id, c.field_key, c.column_name FROM entity e JOIN field_column c ON c.tenant_id = e.tenant_id AND c.entity_id = e.id WHERE e.tenant_id = $1 AND c.retired_at IS NULL AND c.storage NOT IN ('doc', 'links')", tenant):
        places.setdefault(f"{row['key']} {row['id']}", {})[row["field_key"]] = row["column_name"]
    found = {}
    for place, columns in places.items():
        key, number = place.split()
        shown = ", ".join(f'{column} AS "{field}"' for field, column in columns.items())
        rows = await connection.fetch(f"SELECT id, {shown} FROM record WHERE tenant_id = $1 AND entity_id = {int(number)} AND deleted_at IS NULL", tenant)  # noqa: S608  names are ours
        found[key] = [{name: str(value) if name == "order" else value for name, value in dict(row).items()} for row in rows]
    return found
