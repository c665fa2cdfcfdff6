"""Mixed work of many people at rising concurrency until the slowest twentieth waits a second.

Closed loop: each of N people asks again as soon as they have their answer. A fifth of the requests write. Reported are requests a
second, waiting times, and the processor time that the web process and the database spend on one request; afterwards one process asks
the same alone and says where its time goes: database, templates, other Python.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from saas.db.reading import CountingConnection
from saas.settings import Settings
from tests.benchmarks import data
from tests.benchmarks.asks import Asks, deep_cursors
from tests.benchmarks.client import Ask, Client, Login
from tests.benchmarks.material import Material, Size
from tests.benchmarks.measure import Report, quantile
from tests.benchmarks.pair import sign_in
from tests.benchmarks.place import Process, place, product

# Shares of a hundred requests: what people of a CRM do all day, one in five of it writing.
MIX = {
    "page_list": 18, "page_record": 14, "page_board": 2, "list": 5, "list_newest": 3, "list_links": 6, "filter": 8, "list_deep": 2, "count_capped": 4, "get": 12, "search_chinese": 5,
    "search_two_words": 1, "update": 11, "create": 4, "create_child": 2, "transition": 3,
}  # fmt: skip
STEPS = (1, 2, 4, 8, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
COLUMNS = {
    "people": "people", "throughput": "requests/s", "per_core": "per core", "p50": "p50, ms", "p95": "p95, ms", "p99": "p99, ms", "web_ms": "web CPU, ms", "database_ms": "database CPU, ms",
    "errors": "errors",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=100_000, help="Customers of the tenant (default 100,000).")
    parser.add_argument("--deals", type=int, default=50_000, help="Its deals (default 50,000).")
    parser.add_argument("--tenants", type=int, default=100, help="Small tenants beside it (default 100).")
    parser.add_argument("--seconds", type=float, default=10, help="Length of each step (default 10).")
    parser.add_argument("--limit", type=float, default=1000, help="Milliseconds that p95 may reach (default 1000).")
    parser.add_argument("--workers", type=int, default=1, help="Web processes (default 1).")


async def run(options: argparse.Namespace, say: data.Say) -> Report:
    size = Size(options.records, options.deals)
    report = Report("load", {"records": size.customers, "deals": size.deals, "tenants": options.tenants, "seconds": options.seconds, "workers": options.workers}, COLUMNS)
    async with place(options.data_dir, say) as settings:
        await data.prepare(settings, size, options.tenants, say)
        conn = await data.connect(settings.database_url or "")
        await conn.execute("VACUUM (ANALYZE)", timeout=3600)
        tenant_id, _, login = await sign_in(settings)
        asks = Asks(Material(size), deep=await deep_cursors(conn, tenant_id), run=f"{int(time.time()) % 100_000_000:x}")
        async with product(settings, workers=options.workers) as process:
            await _step(process, login, asks, conn, people=4, seconds=min(options.seconds, 3))  # warms up
            for people in STEPS:
                row = await _step(process, login, asks, conn, people=people, seconds=options.seconds)
                report.rows.append(row)
                say(f"{people:>4} people: {row['throughput']:>7,.1f} requests/s, p95 {row['p95']:>8,.1f} ms, {row['errors']} errors")
                if row["p95"] > options.limit:
                    break
        report.detail["alone"] = await _alone(settings, login, asks, say)
        await conn.close()
    best = max(report.rows, key=lambda row: row["throughput"])
    report.detail["best"] = {"throughput": best["throughput"], "per_core": best["per_core"], "people": best["people"]}
    alone = report.detail["alone"]["all"]
    report.notes.append(f"Most: {best['throughput']:,.0f} requests/s with {best['people']} people, {best['per_core']:,.0f} for each second of a core.")
    report.notes.append(f"Where the time of one request goes: {', '.join(f'{name} {alone[name]:.1f} ms' for name in ('database', 'templates', 'python'))}, of {alone['total']:.1f} ms.")
    return report


# ---- many people -----------------------------------------------------------------------------------------------------------


async def _step(process: Process, login: Login, asks: Asks, conn: asyncpg.Connection, *, people: int, seconds: float) -> dict[str, Any]:
    pids = await _web_processes(process)
    web, base = sum(map(_cpu, pids)), await _database_cpu(conn)
    began, until = time.perf_counter(), time.perf_counter() + seconds
    found: dict[str, list[float]] = {}
    errors: list[str] = []
    draw = random.Random(people)
    await asyncio.gather(*(_person(process.port, login, asks, until, found, errors, random.Random(draw.random())) for _ in range(people)))
    elapsed = time.perf_counter() - began
    web, base = sum(map(_cpu, pids)) - web, await _database_cpu(conn) - base
    every = [s * 1000 for times in found.values() for s in times]
    count = max(len(every), 1)
    return {
        "people": people, "requests": len(every), "throughput": round(len(every) / elapsed, 1), "per_core": round(len(every) / max(web + base, 0.001), 1),
        **{f"p{int(share * 100)}": round(quantile(every or [0.0], share), 2) for share in (0.5, 0.95, 0.99)}, "web_ms": round(1000 * web / count, 2),
        "database_ms": round(1000 * base / count, 2), "errors": len(errors), "first_error": errors[0] if errors else None,
        "operations": {key: {"count": len(times), "p50": round(quantile(times, 0.5) * 1000, 2), "p95": round(quantile(times, 0.95) * 1000, 2)} for key, times in sorted(found.items())},
    }  # fmt: skip


async def _person(port: int, login: Login, asks: Asks, until: float, found: dict[str, list[float]], errors: list[str], draw: random.Random) -> None:
    client = Client(port, f"{data.LARGE}.localhost:{port}", login)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    keys, shares = list(MIX), list(MIX.values())
    try:
        while (began := time.perf_counter()) < until:
            [key] = draw.choices(keys, shares)
            try:
                writer.write(client.raw(asks.make(key)))
            except StopIteration:  # no record is left for this
                continue
            began = time.perf_counter()
            status, body = await _answer(reader)
            found.setdefault(key, []).append(time.perf_counter() - began)
            if not 200 <= status < 300:
                errors.append(f"{key}: {status} {body[:200]!r}")
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        return int(head[9:12]), await reader.readexactly(lengths[0])
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += (await reader.readexactly(size + 2))[:size]
        if not size:
            return int(head[9:12]), body


async def _web_processes(process: Process) -> list[int]:
    """The server and the processes it started."""
    text = await asyncio.to_thread(lambda: Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    return [process.pid, *map(int, text.split())]


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _database_cpu(conn: asyncpg.Connection) -> float:
    """Seconds of the server's processes there are now and of those that ended (which their parent counts)."""
    backend = await conn.fetchval("SELECT pg_backend_pid()")
    parent = int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])  # noqa: ASYNC240  a file of the kernel
    fields = Path(f"/proc/{parent}/stat").read_text().rsplit(")", 1)[1].split()  # noqa: ASYNC240
    ended = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()  # noqa: ASYNC240
    return ended + sum(_cpu(int(child)) for child in children)


# ---- one alone, with a watch on each part ----------------------------------------------------------------------------------


class Watch:
    """Seconds spent in parts of the product; the outermost part counts."""

    def __init__(self) -> None:
        self.seconds = {"database": 0.0, "templates": 0.0}
        self._inside = 0  # one request at a time is watched, so what is called meanwhile is called by it

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Wraps the driver and the template engine of this process; everything behind them is the real thing."""
        import jinja2

        # The product's own class of connections has its own methods around the driver's.
        places: list[tuple[Any, str, str]] = [(CountingConnection, name, "database") for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval")]
        places += [(asyncpg.transaction.Transaction, name, "database") for name in ("start", "commit", "rollback")]
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in places] + [(jinja2.Template, "render", jinja2.Template.render)]
        for owner, name, part in places:
            setattr(owner, name, self._awaited(getattr(owner, name), part))
        jinja2.Template.render = self._called(jinja2.Template.render, "templates")  # type: ignore[method-assign]
        try:
            yield
        finally:
            for owner, name, method in kept:
                setattr(owner, name, method)

    def _awaited(self, method: Any, part: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            began, self._inside = time.perf_counter(), self._inside + 1
            try:
                return await method(*args, **kwargs)
            finally:
                self._inside -= 1
                if not self._inside:
                    self.seconds[part] += time.perf_counter() - began

        return call

    def _called(self, method: Any, part: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began, self._inside = time.perf_counter(), self._inside + 1
            try:
                return method(*args, **kwargs)
            finally:
                self._inside -= 1
                if not self._inside:
                    self.seconds[part] += time.perf_counter() - began

        return call


async def _alone(settings: Settings, login: Login, asks: Asks, say: data.Say) -> dict[str, Any]:
    """Milliseconds of each operation by part, asked one after the other in this process, without a network."""
    import httpx

    from saas.app import create_app
    from saas.db import close_database, open_database

    await open_database(settings)
    result: dict[str, Any] = {}
    try:
        transport = httpx.ASGITransport(app=create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{data.LARGE}.localhost") as client:
            for key in MIX:
                result[key] = await _parts(client, login, asks, key)
    finally:
        await close_database()
    done = {key: share for key, share in MIX.items() if result[key]["total"]}  # a small database may have no record left for some
    weight = sum(done.values())
    result["all"] = {name: round(sum(result[key][name] * share for key, share in done.items()) / weight, 3) for name in ("total", "database", "templates", "python")}
    for key in (*MIX, "all"):
        say(f"{key:<18} " + "  ".join(f"{name} {ms:.2f}" for name, ms in result[key].items()))
    return result


async def _parts(client: Any, login: Login, asks: Asks, key: str, rounds: int = 12) -> dict[str, float]:
    found: list[dict[str, float]] = []
    for number in range(rounds + 3):
        try:
            ask: Ask = asks.make(key)
        except StopIteration:
            break
        who = {"Cookie": f"session={login.cookie}"} if ask.page else {"Authorization": f"Bearer {login.token}"}
        watch = Watch()
        with watch.installed():
            began = time.perf_counter()
            answer = await client.request(ask.method, ask.path, content=ask.body, headers={**dict(ask.headers), **who, "Accept-Encoding": "br" if ask.page else "identity"})
            total = time.perf_counter() - began
        if answer.status_code >= 300:
            raise RuntimeError(f"{key}: {answer.status_code} {answer.text[:300]}")
        if number >= 3:
            found.append({"total": total, **watch.seconds, "python": total - sum(watch.seconds.values())})
    middle = sorted(found, key=lambda f: f["total"])[len(found) // 2] if found else {"total": 0.0, "database": 0.0, "templates": 0.0, "python": 0.0}
    return {name: round(seconds * 1000, 3) for name, seconds in middle.items()}
