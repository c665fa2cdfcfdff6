"""A served application and one real Chromium for all browser tests; tenants with a small part of their pack's sample data."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Locator, async_playwright, expect

from saas.db.scope import Database
from saas.metadata.packs import load_pack, sample
from saas.provision import load_sample
from saas.settings import Settings
from saas.tenants import create_user, find_user, open_session
from tests.browser import drafting
from tests.browser.visitor import PATIENCE, Visitor
from tests.conftest import PASSWORD

CHROMIUM = os.environ.get("SAAS_CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium"
# No calls home, no sandbox (containers), no pauses for effects.
FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-gpu", "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider", "--mute-audio",
]  # fmt: skip
MOST_SAMPLES = 40  # of one entity
ACTS = ("click", "dblclick", "press", "press_sequentially", "fill", "check", "uncheck", "select_option", "set_input_files", "hover", "focus")

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass(slots=True)
class Company:
    """A tenant under test: where it answers and who works there."""

    id: UUID
    slug: str
    base: str
    people: dict[str, str] = field(default_factory=dict)  # name -> e-mail
    password: str = PASSWORD


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest_asyncio.fixture(scope="session")
async def served(database: Database, settings: Settings) -> AsyncIterator[int]:
    """The port on which the real application answers, in this process and over real HTTP."""
    from saas.app import create_app

    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


def _when_loaded(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Act upon a page that has loaded, and end when the page it leads to has: playwright waits until that is committed only, when our
    deferred scripts do not listen yet to what a person, who is slower, does next."""

    @functools.wraps(act)
    async def acted(self: Locator, *given: Any, **more: Any) -> Any:
        await self.page.wait_for_load_state()
        answer = await act(self, *given, **more)
        await self.page.wait_for_load_state()
        return answer

    return acted


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"NO BROWSER: {CHROMIUM} does not exist. Install Chromium or set SAAS_CHROMIUM; no page has been tested.")
    async with async_playwright() as playwright:
        for name in ACTS:
            setattr(Locator, name, _when_loaded(getattr(Locator, name)))
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session")
async def acme(served: int, tenant_factory: Any) -> Company:
    """A company with the pack for any trade, in English, with part of its sample data."""
    return await _company("baseline-crm", "en", served, tenant_factory)


@pytest_asyncio.fixture(scope="session")
async def tianhe(served: int, tenant_factory: Any) -> Company:
    """A Chinese machine tool maker, with part of its sample data."""
    return await _company("jb-rm-crm", "zh_CN", served, tenant_factory)


@pytest_asyncio.fixture(scope="session")
async def huabei(served: int, tenant_factory: Any) -> Company:
    """The people of the jb-rm-crm acceptance scenario, and no records."""
    tenant = await tenant_factory(pack="jb-rm-crm", locale="zh_CN")
    company = Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})
    roles = {"Wang": "supervisor", "Li": "account_manager", "Zhao": "account_manager", "Chen": "executive"}
    for name, role in roles.items():
        company.people[name] = f"{name.lower()}@{tenant.slug}.example"
        await create_user(tenant.id, company.people[name], PASSWORD, name, [role], department_key="sales")
    return company


@pytest.fixture(scope="session")
def staffed(served: int, tenant_factory: Any) -> Callable[..., Awaitable[Company]]:
    """`await staffed("pack", {"Han": ("employee", "dept_a", "zh_CN")})`: a company with a pack, these people (role, department, language) and no records."""

    async def found(pack: str, staff: dict[str, tuple[str, str | None, str]]) -> Company:
        tenant = await tenant_factory(pack=pack, locale="zh_CN")
        company = Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})
        for name, (role, department, locale) in staff.items():
            company.people[name] = f"{name.lower()}@{tenant.slug}.example"
            await create_user(tenant.id, company.people[name], PASSWORD, name, [role], department_key=department, locale=locale)
        return company

    return found


@pytest_asyncio.fixture
async def visit(chromium: Browser) -> AsyncIterator[Callable[..., Awaitable[Visitor]]]:
    """`await visit(company, "tao", locale=…, phone=…, dark=…)`: a fresh browser window; signed in when a person is named.

    At the end of the test no window may have seen a console error, an exception or a policy violation."""
    visitors: list[Visitor] = []

    async def arrive(company: Company, person: str | None = None, *, locale: str = "en-GB", phone: bool = False, dark: bool = False) -> Visitor:
        context = await chromium.new_context(
            locale=locale, viewport={"width": 390, "height": 844} if phone else {"width": 1440, "height": 900}, has_touch=phone, is_mobile=phone,
            color_scheme="dark" if dark else "light", reduced_motion="reduce", accept_downloads=True,
        )  # fmt: skip
        visitor = await Visitor.arrive(context, company.base)
        visitors.append(visitor)
        if person:
            user = await find_user(company.id, email=company.people[person])
            token, _csrf, _expires = await open_session(company.id, user["id"], "web", "127.0.0.1", "browser test")
            await context.add_cookies([{"name": "session", "value": token, "url": company.base}])
        return visitor

    yield arrive
    wrong = [line for visitor in visitors for line in visitor.wrong]
    for visitor in visitors:
        await visitor.context.close()
    assert not wrong, "\n".join(wrong)


async def _company(pack: str, locale: str, port: int, tenant_factory: Any) -> Company:
    tenant = await tenant_factory(pack=pack, locale=locale)
    data = sample(pack, locale)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saas.runtime.sample_data.sample", lambda *_: {**data, "records": _part(data["records"], _details(pack))})
        await load_sample(tenant.id, tenant.slug, pack, locale, password=PASSWORD)
    people = {"admin": tenant.admin_email} | {u["key"]: f"{u['email']}@{tenant.slug}.example" for u in data["users"]}
    return Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{port}", people)


def _details(pack: str) -> set[str]:
    """Entities whose records live inside another one (order lines): a record needs all of its own."""
    return {e["key"] for e in load_pack(pack)["entities"] if any(f.get("detail") for f in e["fields"])}


def _part(records: list[dict[str, Any]], details: set[str]) -> list[dict[str, Any]]:
    """The first records of each entity whose links all lead to records that are kept."""
    keys = {r["key"] for r in records if r.get("key")}
    kept: list[dict[str, Any]] = []
    there: set[str] = set()
    counts: Counter[str] = Counter()
    for record in records:
        values = [v for step in (record, *record.get("steps", ())) for v in (step.get("values") or step.get("update") or {}).values()]
        names = {v[1:] for value in values for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and v.startswith("@")}
        if (counts[record["entity"]] >= MOST_SAMPLES and record["entity"] not in details) or (names & keys) - there:
            continue
        counts[record["entity"]] += 1
        kept.append(record)
        if record.get("key"):
            there.add(record["key"])
    return kept


@pytest_asyncio.fixture
async def no_drafts(acme: Company, tianhe: Company) -> AsyncIterator[None]:
    """The test begins and ends with the published configuration."""
    for company in (acme, tianhe):
        await drafting.discard(company)
    yield
    for company in (acme, tianhe):
        await drafting.discard(company)
