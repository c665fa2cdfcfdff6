"""Where a benchmark runs: an embedded server in a data directory of its own, and processes of the product on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from saas.db import embedded
from saas.settings import Settings

# Both systems run on this one server. Larger than the product's defaults: those are for a laptop, and both get the same.
OPTIONS = {
    "shared_buffers": "2GB", "effective_cache_size": "8GB", "maintenance_work_mem": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min",
    "max_parallel_workers_per_gather": "2",
}  # fmt: skip
SECRET = "benchmark-secret-key-of-a-database-nobody-else-uses"
ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60


@asynccontextmanager
async def place(data_dir: Path | None, say: Callable[[str], None]) -> AsyncIterator[Settings]:
    """Settings of a running server. Without a directory everything is removed at the end."""
    directory = data_dir or Path(tempfile.mkdtemp(prefix="saas-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    server = await asyncio.to_thread(embedded.start, directory, OPTIONS)
    try:
        yield Settings(database_url=server.url, data_dir=directory, secret_key=SECRET, log_level="WARNING")
    finally:
        await asyncio.to_thread(server.stop)
        if data_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A server process under test, reachable at `port`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process, self.port = process, port

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, *, peak: bool = False) -> float:
        """Resident memory now, or its highest since `forget_peak`."""
        name = "VmHWM" if peak else "VmRSS"
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1]) / 1024

    def forget_peak(self) -> None:
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@asynccontextmanager
async def running(command: Sequence[str], port: int, environment: dict[str, str], log: Path) -> AsyncIterator[Process]:
    """Start a Python module as a server and wait until it listens; SIGINT at the end. Errors: RuntimeError with its last words."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, env={**os.environ, **environment}, stdout=output, stderr=output, cwd=ROOT
        )
    try:
        await _listening(process, port, log)
        yield Process(process, port)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    for _ in range(START_SECONDS * 10):
        if process.returncode is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise RuntimeError(f"the server did not start: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


@asynccontextmanager
async def product(settings: Settings, *, workers: int = 1) -> AsyncIterator[Process]:
    """`saas serve` as it is shipped."""
    port = free_port()
    environment = {
        "DATABASE_URL": settings.database_url or "", "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir), "SAAS_LOG_LEVEL": "WARNING",
        "SAAS_BASE_DOMAIN": "localhost",
    }  # fmt: skip
    command = ["saas", "serve", "--port", str(port), *(["--workers", str(workers)] if workers > 1 else [])]
    async with running(command, port, environment, settings.data_dir / "product.log") as process:
        yield process


@asynccontextmanager
async def baseline(settings: Settings) -> AsyncIterator[Process]:
    """The hand-written application on the same server."""
    port = free_port()
    environment = {"BASELINE_DATABASE": settings.database_url or "", "BASELINE_FILES": str(settings.data_dir / "baseline-files")}
    async with running(["tests.benchmarks.baseline", str(port)], port, environment, settings.data_dir / "baseline.log") as process:
        yield process
