"""Killed in the middle: an export leaves nothing that the next one does not write over, an import leaves nothing that counts, and what
lies on the disk is cleared away by the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

ROOT = Path(__file__).parents[3]
SECRET = "tests-only-secret-key-0123456789abcdef"
EVENTS = 40_000


@pytest_asyncio.fixture(scope="module")
async def environment(clone_database, tmp_path_factory):
    return {"PATH": os.environ["PATH"], "DATABASE_URL": await clone_database(), "SAAS_SECRET_KEY": SECRET, "SAAS_DATA_DIR": str(tmp_path_factory.mktemp("killed"))}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "saas", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def ask(environment: dict[str, str], *arguments: str):
    process = start(environment, *arguments, "--json")
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return json.loads(out)


def kill_when(process: subprocess.Popen[str], word: str) -> None:
    """As soon as it tells of this step."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        if line.startswith(word):
            break
        assert line, "it ended before"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
async def company(environment):
    made = ask(environment, "tenant", "create", "big", "--name", "Big", "--pack", "baseline-crm", "--admin-email", "a@big.example", "--admin-password", "correct horse battery")
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    await connection.execute(
        "INSERT INTO audit_event (tenant_id, id, kind, data) SELECT $1, gen_random_uuid(), 'test', jsonb_build_object('n', n, 'text', repeat('x', 200)) FROM generate_series(1, $2) n", made["id"], EVENTS,
    )  # fmt: skip
    content = os.urandom(200_000)
    import hashlib

    sha = hashlib.sha256(content).hexdigest()
    await connection.execute(
        "INSERT INTO file (tenant_id, id, entity_key, record_id, field_key, name, size_bytes, content_type, sha256) VALUES ($1, gen_random_uuid(), 'x', gen_random_uuid(), 'x', 'x.bin', $2, 'application/octet-stream', $3)",
        made["id"], len(content), sha,
    )  # fmt: skip
    await connection.close()
    folder = Path(environment["SAAS_DATA_DIR"]) / "files" / made["id"] / sha[:2]
    folder.mkdir(parents=True)
    (folder / sha).write_bytes(content)
    return made


async def tenants(environment) -> list[str]:
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    rows = await connection.fetch("SELECT slug FROM tenant ORDER BY slug")
    await connection.close()
    return [row[0] for row in rows]


async def test_killed_at_any_point(environment, company, tmp_path):
    target = tmp_path / "big.zip"
    kill_when(start(environment, "tenant", "export", "big", str(target)), "rows: ")
    assert not target.exists(), "what is not whole has not the name of what is"
    left = [path.name for path in tmp_path.iterdir()]
    assert left == ["big.zip.part"]
    written = ask(environment, "tenant", "export", "big", str(target))
    assert written["rows"] > EVENTS and [path.name for path in tmp_path.iterdir()] == ["big.zip"]

    files = Path(environment["SAAS_DATA_DIR"]) / "files"
    for step in ("files: ", "rows: "):
        kill_when(start(environment, "tenant", "import", str(target), "--slug", "copy"), step)
        assert await tenants(environment) == ["big"], "half of it is nothing"
    assert len(list(files.glob("*.importing"))) >= 1 and len([p for p in files.iterdir() if p.is_dir()]) >= 2, "otherwise this proves nothing"
    made = ask(environment, "tenant", "import", str(target), "--slug", "copy", "--admin-email", "a@big.example", "--admin-password", "correct horse battery")
    assert await tenants(environment) == ["big", "copy"] and made["rows"]["audit_event"] > EVENTS
    assert sorted(p.name for p in files.iterdir()) == sorted([company["id"], made["id"]]), "what the killed ones left is gone"

    deleted = ask(environment, "tenant", "delete", "copy", "--now", "--yes")
    assert deleted["files_removed"] == 1 and set(deleted["left"].values()) == {0} and deleted["files_left"] == 0
    assert len(deleted["left"]) > 30 and await tenants(environment) == ["big"]
    assert [p.name for p in files.iterdir()] == [company["id"]]


async def test_memory_stays_flat(environment, company, tmp_path):
    """Twenty times as many rows need hardly more."""

    def peak(*arguments: str) -> int:
        code = "import resource, sys; from saas.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        found = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert found.returncode == 0, found.stderr
        return int(found.stderr.splitlines()[-1])

    ask(environment, "tenant", "create", "small", "--name", "Small", "--pack", "baseline-crm", "--admin-email", "a@small.example", "--admin-password", "correct horse battery")
    small, large = (peak("tenant", "export", slug, str(tmp_path / f"{slug}.zip")) for slug in ("small", "big"))
    assert large - small < 25_000, (small, large)  # kB; the rows are 20 MB as text
    small, large = (peak("tenant", "import", str(tmp_path / f"{slug}.zip"), "--slug", f"{slug}2") for slug in ("small", "big"))
    assert large - small < 25_000, (small, large)
