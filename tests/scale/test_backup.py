"""The whole platform on another server: what docs/operations.md says, done. Dump of one, restored into the other; the doctor is green, a
person signs in and finds a record with its file; the next record can be made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest

from saas.db import embedded, tenant_transaction
from saas.db.doctor import examine_url
from saas.db.migrate import migrate
from saas.db.roles import APP, role_login
from saas.provision import provision_tenant
from saas.runtime import archive
from saas.runtime.contexts import context_for_user
from saas.settings import Settings
from saas.tenants import find_tenant, find_user
from tests.acceptance.api import Person
from tests.conftest import PASSWORD, SECRET, _at
from tests.scale.conftest import serving
from tests.scale.servers import server

pytestmark = pytest.mark.slow
TABLES = ("record", "record_event", "app_user", "file", "config_revision", "search_token", "audit_event", "session", "field_column")


def run(program: str, *arguments: str) -> None:
    found = subprocess.run([str(embedded.find_binaries().bin / program), *arguments], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


async def on(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608  names of this file
    finally:
        await connection.close()


async def fill(client: httpx.AsyncClient) -> tuple[str, str]:
    """A record with a file: their ids."""
    await provision_tenant("acme", name="Acme", pack_key="baseline-crm", locale="en", admin_email="admin@acme.example", admin_password=PASSWORD)
    admin = await Person(client, "acme.localhost", language="en").sign_in("admin@acme.example", PASSWORD)
    customer = (await admin.create("customer", name="Restored Ltd"))["id"]
    headers = {"host": "acme.localhost", "authorization": f"Bearer {admin.token}"}
    upload = await client.post("/api/v1/files", files={"file": ("paper.txt", b"what was written")}, data={"entity": "interaction", "field": "attachments"}, headers=headers)
    file_id = upload.json()["id"]
    await admin.create("interaction", customer=customer, channel="phone", subject="A call", content="-", attachments=[file_id])
    return customer, file_id


@pytest.fixture(scope="module")
def first() -> Iterator[embedded.EmbeddedServer]:
    with server("first") as found:
        yield found


@pytest.fixture(scope="module")
def second() -> Iterator[embedded.EmbeddedServer]:
    with server("second") as found:
        yield found


async def test_a_dump_of_one_server_comes_to_life_on_another(tmp_path: Path, first, second):
    dump = tmp_path / "saas.dump"
    await on(first.url, "CREATE DATABASE saas")
    settings = Settings(database_url=_at(first.url, "saas"), secret_key=SECRET, data_dir=tmp_path / "one")
    await migrate(settings)
    async with serving(settings) as client:
        customer, file_id = await fill(client)
        run("pg_dump", "--format=custom", f"--file={dump}", settings.database_url)
        shutil.copytree(tmp_path / "one" / "files", tmp_path / "two" / "files")
    before = await counts(settings.database_url)

    await on(second.url, "CREATE DATABASE saas")
    restored = replace(settings, database_url=_at(second.url, "saas"), data_dir=tmp_path / "two")
    await migrate(restored)
    await on(second.url, "DROP DATABASE saas")
    await on(second.url, "CREATE DATABASE saas")
    run("pg_restore", f"--dbname={restored.database_url}", "--exit-on-error", str(dump))
    assert await counts(restored.database_url) == before
    assert not (await migrate(restored)).applied, "the dump holds the migrations that ran"
    report = await examine_url(restored.database_url, restored)
    assert report.is_healthy, report.as_text()
    login = await asyncpg.connect(**role_login(restored.database_url, SECRET, APP))
    assert await login.fetchval("SHOW statement_timeout") == "10s", "limits of roles are no part of a dump: migrating sets them"
    await login.close()
    async with serving(restored) as client:
        admin = await Person(client, "acme.localhost", language="en").sign_in("admin@acme.example", PASSWORD)
        assert (await admin.get(f"/records/customer/{customer}"))["values"]["name"] == "Restored Ltd"
        found = await client.get(f"/api/v1/files/{file_id}", headers={"host": "acme.localhost", "authorization": f"Bearer {admin.token}"})
        assert found.content == b"what was written"
        assert [row["values"]["name"] for row in (await admin.get("/records/customer", q="Restored"))["data"]] == ["Restored Ltd"]
        await admin.create("customer", name="After the restore")
        # A tenant of the restored platform goes on to live elsewhere like any other.
        row = await find_tenant("acme")
        await archive.write_archive(row.id, tmp_path / "acme.zip")
        made = await archive.restore_archive(tmp_path / "acme.zip", slug="acme2")
        assert made.rows["record"] == 3 and made.files == 1
        person = await find_user(made.tenant_id, email="admin@acme.example")
        ctx = await context_for_user(made.tenant_id, person["id"])
        async with tenant_transaction(made.tenant_id) as conn:
            assert await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", ctx.tenant_id) == 3
