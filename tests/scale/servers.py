"""Real PostgreSQL servers of a test's own: primaries that others can follow, and a streaming replica."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saas.db import embedded
from saas.db import postgres_user as unprivileged
from tests.conftest import FAST

OPTIONS = {**FAST, "wal_level": "logical", "shared_buffers": "64MB", "max_connections": "100"}


@contextmanager
def server(name: str) -> Iterator[embedded.EmbeddedServer]:
    """A fresh server; everything is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix=f"saas-{name}-"))
    directory.chmod(0o755)  # the server's user has to reach it
    found = embedded.start(directory, OPTIONS)
    try:
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(slots=True)
class Standby:
    """A streaming replica. `url` is the superuser's."""

    url: str
    _data: Path
    _runner: Any
    _port: int

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in {**OPTIONS, "unix_socket_directories": ""}.items())
        self._run("pg_ctl", "start", "-D", self._data, "-w", "-l", self._data / "log", "-o", f"-h 127.0.0.1 -p {self._port} {options}")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w", check=False)

    def _run(self, program: str, *arguments: Any, check: bool = True) -> None:
        command = [*self._runner.prefix, str(self._runner.binaries / "bin" / program), *map(str, arguments)]
        output = subprocess.DEVNULL  # the server inherits it, so nobody may wait for its end
        subprocess.run(command, check=check, stdin=output, stdout=output, stderr=output, cwd="/", **self._runner.arguments)


@contextmanager
def standby(primary: embedded.EmbeddedServer) -> Iterator[Standby]:
    """Follow a server of this module."""
    directory = Path(tempfile.mkdtemp(prefix="saas-standby-"))
    directory.chmod(0o755)
    runner = unprivileged.choose(embedded.find_binaries().root, directory)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    head, _, tail = primary.url.rpartition(":")
    found = Standby(f"{head}:{port}/{tail.split('/', 1)[1]}", runner.home / "data", runner, port)
    try:
        found._run("pg_basebackup", "-d", primary.url, "-D", found._data, "-R", "-X", "stream", "-c", "fast")
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory, ignore_errors=True)
