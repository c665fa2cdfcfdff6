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
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.db import embedded
from tests.conftest import FAST, ROOT, SECRET

ROUNDS = int(os.environ.get("SAAS_STORM_ROUNDS", "1"))
PATIENCE = 300 + 60 * ROUNDS
# A commit that was answered is in the log of the server when that is killed.
OPTIONS = {**FAST, "synchronous_commit": "on", "shared_buffers": "64MB", "max_connections": "100"}


class Receiver(ThreadingHTTPServer):
    """Another system: remembers what came under which key, and asks for patience now and then."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Heard)
        self.heard: dict[str, list[str]] = {}
        self.asked, self.lock = 0, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Heard(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with self.server.lock:
            self.server.asked += 1
            is_busy = self.server.asked % 9 == 0
            if not is_busy:
                self.server.heard.setdefault(self.headers["idempotency-key"], []).append(body)
        self.send_response(503 if is_busy else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *given: Any) -> None:
        """Nothing."""


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
        self.receiver = Receiver()
        self.environment |= {"STORM_RECEIVER": f"http://{self.receiver.place}/", "SAAS_OUTBOUND_ALLOW": self.receiver.place}
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
            process = int(next(self.directory.glob("pg/postgres/*/server/data/postmaster.pid")).read_text().split()[0])
            os.kill(process, signal.SIGKILL)
            while embedded.is_accepting(self.server.url):  # it takes a moment to be gone
                time.sleep(0.05)
            assert self.server.ensure_running()
            assert self.server.url == self.environment["DATABASE_URL"]
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
                    await self.end_leases()

    async def end_leases(self) -> None:
        """As time would do it: a dead worker's jobs and messages are free again. What it was in the middle of is not tried less often for that."""
        await self._change(
            "UPDATE job SET locked_until = now() - interval '1 second', attempts = least(attempts, 2) WHERE status = 'running'",
            "UPDATE outbox SET due_at = now() - interval '1 second', attempts = least(attempts, 2) WHERE status = 'sending'",
        )

    async def end_waits(self) -> None:
        """As time would do it: what is waited for has come. The companies' clocks stand later, and pauses after a failure are over."""
        await self._change(
            "UPDATE tenant SET clock_offset_seconds = clock_offset_seconds + 1900", "UPDATE outbox SET due_at = now() - interval '1 second' WHERE status = 'queued' AND due_at > now()",
            "UPDATE job SET run_at = now() WHERE status = 'queued' AND run_at > now()",
        )  # fmt: skip

    async def _change(self, *statements: str) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self.server.url)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

    async def count(self, table: str, condition: str = "true") -> int:
        connection = await asyncpg.connect(self.server.url)
        found = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}")  # noqa: S608  ours
        await connection.close()
        return found

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.receiver.shutdown()
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
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await put(machine, writer.company["id"], "run_schedules", {"only": "sweep"})
                await put(machine, writer.company["id"], "bulk_edit", {"plan": plan, "ids": list(writer.orders)})
            await asyncio.sleep(0.2)

    storms = [asyncio.create_task(storm(n, w)) for n, w in enumerate(writers)]
    for _ in range(ROUNDS):
        for part in ("worker", "web", "database", "worker"):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(machine.kill, part)
            await machine.end_leases()
            await machine.end_waits()
    stop.set()
    await asyncio.wait_for(asyncio.gather(*storms), PATIENCE)
    assert all(w.unanswered for w in writers) and all(len(w.orders) >= 24 for w in writers), "it was a storm"
    for writer in writers:  # what the last dozen needs
        await put(machine, writer.company["id"], "run_schedules", {"only": "sweep"})
    for part in ("worker", "database", "worker"):  # in the middle of runs that go on after their waits
        await machine.end_waits()
        await _some_more(machine, 10)
        await asyncio.to_thread(machine.kill, part)
        await machine.end_leases()
    await _quiet(machine)
    await _check(machine, writers)


async def _some_more(machine: Machine, count: int) -> None:
    """Until so many more effects on the outside are written, or all of them."""
    enough, until = await machine.count("outbox") + count, time.monotonic() + PATIENCE
    while await machine.count("outbox") < enough and await machine.count("automation_log", "status IN ('waiting', 'queued')"):
        assert time.monotonic() < until, await _state(machine)
        await asyncio.sleep(0.05)


async def _quiet(machine: Machine) -> None:
    """Until every job and run is over and every message has left."""
    until, rounds = time.monotonic() + PATIENCE, 0
    while (
        await machine.count("job", "status IN ('queued', 'running') AND run_at < now() + interval '1 minute'")
        + await machine.count("automation_log", "status IN ('waiting', 'queued')") + await machine.count("outbox", "status IN ('queued', 'sending')")
    ):  # fmt: skip
        assert time.monotonic() < until, await _state(machine)
        rounds += 1
        await machine.end_waits()
        if rounds % 30 == 0:  # a worker that lives, but could not mark what it was at while the database was away
            await machine.end_leases()
        await asyncio.sleep(0.3)


async def _state(machine: Machine) -> list[Any]:
    connection = await asyncpg.connect(machine.server.url)
    found = [await connection.fetch(f"SELECT {shown}, status, count(*), max(error) FROM {table} GROUP BY 1, 2") for shown, table in (("kind", "job"), ("automation_key", "automation_log"), ("kind", "outbox"))]  # noqa: S608  ours
    await connection.close()
    return found


async def _check(machine: Machine, writers: list[Writer]) -> None:
    connection = await asyncpg.connect(machine.server.url)
    told = _told(machine.receiver)
    for writer in writers:
        company = writer.company["id"]
        records = await _records(connection, company)
        orders, entries = records["order"], records["entry"]
        assert sorted(str(o["id"]) for o in orders) == sorted(writer.orders), "each answered order exists once, and no other"
        assert len({o["name"] for o in orders}) == len(orders)
        assert sorted(o["number"] for o in orders) == [f"{n:05}" for n in range(1, len(orders) + 1)], "numbers without gaps, none twice"
        for order in orders:
            kinds = Counter(e["kind"] for e in entries if e["order"] == str(order["id"]))
            steps = await connection.fetchval("SELECT count(*) FROM record_event WHERE tenant_id = $1 AND record_id = $2 AND kind = 'updated' AND changes::text LIKE '%step%'", company, order["id"])
            assert kinds.pop("step", 0) == steps, "one entry for each change of the step that stands in the history"
            # An automation of creating and a schedule do each once; whoever waited goes on once, one way, and through each part.
            assert kinds == {"made": 1, "sweep": 1, "later": 1, "way": 1, "part": 2}
            parts = [p for p in records["part"] if p["order"] == str(order["id"])]
            assert [p["done"] for p in parts] == [1, 1]
            assert told.pop(str(order["id"])) == Counter({"branch": 1, "end": 1, **{str(p["id"]): 1 for p in parts}}), "another system hears of each effect under one key"
        [account] = records["account"]
        assert (account["seen"], account["total"], account["told"]) == (len(orders),) * 3, "sums are those of the records"
        failed = await connection.fetch("SELECT kind, error FROM job WHERE tenant_id = $1 AND status = 'failed'", company)
        assert not failed, failed
        runs = dict(await connection.fetch("SELECT automation_key, count(*) FROM automation_log WHERE tenant_id = $1 AND automation_key <> 'stepped' AND status = 'done' GROUP BY 1", company))
        assert runs == {"made": len(orders), "later": len(orders)}
        assert await connection.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1 AND status = 'sent'", company) == 4 * len(orders) == await connection.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", company)
    assert not told, "of nothing else"
    await connection.close()


def _told(receiver: Receiver) -> dict[str, Counter[str]]:
    """What it was told of each order, by keys: the same key says the same, however often it comes."""
    found: dict[str, Counter[str]] = {}
    for said in receiver.heard.values():
        assert len(set(said)) == 1
        body = json.loads(said[0])
        found.setdefault(body["order"], Counter())[body["tells"]] += 1
    return found


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
