"""A real PostgreSQL for every test that asks for one: our embedded server, one migrated template, one clone a test process."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy as http_cookies
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import httpx
import hypothesis
import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from saas.db import close_database, current_database, embedded, is_database_open, open_database
from saas.db.migrate import migrate
from saas.db.scope import Database
from saas.runtime import load_kinds
from saas.settings import Settings
from saas.tenants import passwords

# The same examples every time: a run that fails fails again. HYPOTHESIS_PROFILE=default looks for new ones.
hypothesis.settings.register_profile("steady", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

load_kinds()  # as every process of the product does

ROOT = Path(__file__).parent.parent
SECRET = "tests-only-secret-key-0123456789abcdef"
PASSWORD = "correct horse battery"
# Nothing here must survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}


@dataclass(frozen=True, slots=True)
class TenantHandle:
    """A tenant made by `tenant_factory`, with what is needed to sign in as its administrator."""

    id: UUID
    slug: str
    admin_id: UUID
    admin_email: str
    admin_password: str


# How long a page waits for work before it leaves the rest to a worker. None runs here, so a slow machine would leave it undone.
PATIENT = (
    "saas.runtime.configuration.FOLLOW_SECONDS", "saas.runtime.handing_over.INLINE_SECONDS", "saas.runtime.purging.INLINE_SECONDS", "saas.runtime.succession.INLINE_SECONDS",
    "saas.ui.pages.clock.AT_ONCE_SECONDS", "saas.ui.pages.removed.PURGE_SECONDS", "saas.ui.pages.timetable.AT_ONCE_SECONDS",
)  # fmt: skip
# What also has to pass through pgbouncer in transaction mode: tests/scale/test_pooler.py runs these in a process of their own.
POOLED = (
    "tests/acceptance/test_jb_rm_crm_api.py", "tests/integration/backfill/test_backfill_publish.py", "tests/integration/backfill/test_field_indexes.py",
    "tests/integration/db/test_scope.py", "tests/integration/metadata/test_metadata_store.py", "tests/integration/runtime/test_automations.py",
    "tests/integration/runtime/test_pack_apply.py", "tests/integration/runtime/test_several_people.py",
    "tests/integration/runtime/test_uniques_and_numbers.py", "tests/integration/tenants", "tests/integration/test_sessions_http.py",
    "tests/integration/test_work_api.py",
)  # fmt: skip


# What takes minutes begins first, so that no process is left alone with it at the end (run.py hands modules out in this order).
FIRST = ("tests/isolation/test_routes", "tests/scale/", "tests/browser/", "tests/fuzz/", "tests/integration/designer_flow/", "tests/integration/figures/", "tests/integration/test_bench", "tests/property/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        return next((n for n, path in enumerate(FIRST) if place[item].startswith(path)), len(FIRST))

    place = {item: str(item.path.relative_to(ROOT)) for item in items}
    for item in items:
        if place[item].startswith(POOLED):
            item.add_marker(pytest.mark.pooler)
    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """As `saas serve` does: what is loaded by now, seventeen thousand tests among it, is not looked at again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


# Thousands of sign-ins: the parameters of production cost a fifth of the suite's time. tests/unit/tenants/test_password_hashes.py holds those.
passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Superuser URL of a server shared by all test processes of this machine; SAAS_TEST_DATABASE_URL overrides it."""
    if url := os.environ.get("SAAS_TEST_DATABASE_URL"):
        yield url
        return
    directory = _cache()
    server = embedded.start(directory, FAST)
    try:
        yield server.url
    finally:
        server.stop()


@pytest_asyncio.fixture(scope="session")
async def clone_database(server_url: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Make a fresh, migrated database; returns its URL. All are dropped at the end."""
    numbers, made = itertools.count(1), []

    async def clone() -> str:
        template = f"saas_template_{_schema_hash()}"
        name = f"saas_test_{os.getpid()}_{next(numbers)}"
        with _lock("template.lock"):  # a template may have no visitors while it is copied
            admin = await asyncpg.connect(server_url)
            try:
                await _drop_leftovers(admin)
                if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
                    await admin.execute(f'CREATE DATABASE "{template}_new"')
                    await migrate(_settings(_at(server_url, f"{template}_new")))
                    await admin.execute(f'ALTER DATABASE "{template}_new" RENAME TO "{template}"')
                await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # of a process that was killed and had this one's number
                await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            finally:
                await admin.close()
        made.append(name)
        return _at(server_url, name)

    yield clone
    admin = await asyncpg.connect(server_url)
    for name in made:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await admin.close()


@pytest_asyncio.fixture(scope="session")
async def settings(clone_database: Callable[[], Awaitable[str]], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of this test process: a database and a data directory of its own; through the pooler of SAAS_TEST_POOLER_URL."""
    found = replace(_settings(await clone_database()), data_dir=tmp_path_factory.mktemp("data"))
    if url := os.environ.get("SAAS_TEST_POOLER_URL"):
        found = replace(found, pooler_url=_at(url, urlsplit(found.database_url).path.lstrip("/")))
    return found


@pytest_asyncio.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The open database of this test process. Tests commit for real; use tenants of your own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in PATIENT:
            patch.setattr(name, 20.0)
        yield await open_database(settings)
        await close_database()


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def nothing_left_to_do() -> AsyncIterator[None]:
    """What a module leaves waiting is not the next one's to do: last looks at a published change come a minute after it."""
    yield
    if is_database_open():
        async with current_database().system.acquire() as conn:
            await conn.execute("DELETE FROM job")
            await conn.execute("DELETE FROM outbox")


@pytest_asyncio.fixture(scope="session")
async def tenant_factory(database: Database) -> Callable[..., Awaitable[TenantHandle]]:
    """`await tenant_factory(slug=None, pack=None, locale="en", …)`: a fresh tenant with an administrator.

    With `pack` the pack is installed and the administrator has its admin role; without, the role key is "admin".
    """
    from saas.tenants import create_tenant, find_user

    numbers = itertools.count(1)

    async def make(
        slug: str | None = None, *, pack: str | None = None, locale: str = "en", plan_key: str = "unlimited"
    ) -> TenantHandle:
        slug = slug or f"t{os.getpid()}-{next(numbers)}"
        email = f"admin@{slug}.example"
        if pack is None:
            tenant_id = await create_tenant(
                slug, name=slug.title(), pack_key="", locale=locale, admin_email=email, admin_password=PASSWORD,
                plan_key=plan_key, role_keys=["admin"],
            )
        else:
            from saas.provision import provision_tenant

            tenant_id = await provision_tenant(
                slug, name=slug.title(), pack_key=pack, locale=locale, admin_email=email, admin_password=PASSWORD,
                plan_key=plan_key,
            )
        admin = await find_user(tenant_id, email=email)
        return TenantHandle(tenant_id, slug, admin["id"], email, PASSWORD)

    return make


@pytest_asyncio.fixture(scope="session")
async def http(database: Database, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The application under test, in this process; send a Host header."""
    from saas.app import create_app

    transport = httpx.ASGITransport(app=create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        client.cookies.jar.set_policy(http_cookies(allowed_domains=[]))  # cookies are sent by the tests that mean to
        yield client


# ---- helpers -----------------------------------------------------------------------------------------------------------------


def _cache() -> Path:
    """Kept between runs, so that the server and the template are made once a machine."""
    directory = Path(tempfile.gettempdir()) / f"saas-tests-{os.getuid()}"
    directory.mkdir(mode=0o755, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        pytest.exit(f"{directory} belongs to somebody else; set SAAS_TEST_DATABASE_URL or remove it")
    return directory


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    with (_cache() / name).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _settings(url: str) -> Settings:
    return Settings(database_url=url, secret_key=SECRET)


def _at(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _schema_hash() -> str:
    """Templates are kept as long as nothing that makes them changes."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "migrations").rglob("*.py"), *(ROOT / "saas" / "db").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


async def _drop_leftovers(admin: asyncpg.Connection) -> None:
    """Databases of test processes that were killed, half-made templates, and templates of older schemas: a server looks after each."""
    made = "(pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification < now() - interval '6 hours' AS is_old"
    for row in await admin.fetch(f"SELECT datname, {made} FROM pg_database WHERE datname LIKE 'saas\\_te%'"):  # noqa: S608  no value in it
        name = row["datname"]
        parts = name.split("_")
        alive = name == f"saas_template_{_schema_hash()}"
        if parts[1] == "test" and parts[2].isdigit():
            alive = _is_running(int(parts[2]))
        elif parts[1] == "template" and not name.endswith("_new"):
            alive = alive or not row["is_old"]  # other checkouts on this machine may use it
        if not alive:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()
