"""A real pgbouncer in front of a server: transaction mode, two connections for each role and database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from saas.db import embedded
from saas.db.roles import APP, SYSTEM, role_password

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
POOL = 2


@dataclass(frozen=True, slots=True)
class Pooler:
    """`url` ends before the name of the database; `directory` holds its files."""

    url: str
    port: int
    directory: Path

    def show(self, what: str) -> list[dict[str, str]]:
        """The answer of its own console, e.g. to SHOW POOLS."""
        psql = embedded.find_binaries().bin / "psql"
        environment = {**os.environ, "PGPASSWORD": "statistics"}
        command = [psql, "-h", "127.0.0.1", "-p", str(self.port), "-U", "statistics", "-d", "pgbouncer", "--csv", "-c", f"SHOW {what}"]
        lines = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.splitlines()
        names = lines[0].split(",")
        return [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]


def is_there() -> bool:
    return Path(PROGRAM).exists()


@contextmanager
def pgbouncer(directory: Path, server_url: str, secret_key: str, options: Mapping[str, str] | None = None) -> Iterator[Pooler]:
    """Start one, and stop it at the end."""
    server = urlsplit(server_url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    users = {APP: role_password(secret_key, APP), SYSTEM: role_password(secret_key, SYSTEM), "statistics": "statistics"}
    (directory / "userlist.txt").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
    settings = {
        "listen_addr": "127.0.0.1", "listen_port": str(port), "unix_socket_dir": "", "auth_type": "scram-sha-256",
        "auth_file": str(directory / "userlist.txt"), "stats_users": "statistics", "pool_mode": "transaction", "default_pool_size": str(POOL),
        "max_client_conn": "500", "server_reset_query_always": "0", "logfile": str(directory / "pgbouncer.log"), **(options or {}),
    }  # fmt: skip
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.hostname} port={server.port}\n[pgbouncer]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    runner: dict[str, object] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody")
        for path in (directory, *directory.parents):
            path.chmod(path.stat().st_mode | 0o011)
        runner = {"user": "nobody", "extra_groups": []}
    # It writes each login to its log and to stderr: a pipe that nobody reads would stop it.
    output = subprocess.DEVNULL
    process = subprocess.Popen([PROGRAM, "-q", str(directory / "pgbouncer.ini")], stdout=output, stderr=output, **runner)  # type: ignore[call-overload]
    try:
        _wait(port, process, directory / "pgbouncer.log")
        yield Pooler(f"postgresql://127.0.0.1:{port}", port, directory)
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"pgbouncer did not start: {log.read_text() if log.exists() else 'it wrote no log'}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
