from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from saas.tenants import create_user, sso
from saas.tenants.sso import SingleSignOn
from tests.conftest import PASSWORD
from tests.integration.sso.browsing import Browser
from tests.oidc_provider.lying import CLIENT_ID, SECRET, Provider, lying_provider

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def _provider() -> Iterator[Provider]:
    with lying_provider() as found:
        yield found


@pytest_asyncio.fixture
async def provider(_provider: Provider, database: Any) -> AsyncIterator[Provider]:
    """Honest at the beginning of each test, and the one place of our own network that tenants may name."""
    fresh = Provider(port=_provider.port, key=_provider.key)
    _provider.__dict__.update(fresh.__dict__)
    before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", _provider.port)}))
    sso.provider._known.clear()
    sso.provider._failed.clear()
    yield _provider
    database.settings = before


@dataclass
class Company:
    """A tenant with single sign-on by the provider."""

    id: Any
    slug: str
    host: str
    admin_id: Any
    admin_email: str
    single: SingleSignOn
    http: Any

    def browser(self) -> Browser:
        return Browser(self.http, self.host)

    def person(self, name: str, **more: Any) -> dict[str, Any]:
        """Claims of somebody of this company."""
        return {"sub": f"sub-{name}", "email": f"{name}@{self.slug}.example", "email_verified": True, "name": name.title(), **more}

    async def set(self, **changes: Any) -> None:
        self.single = replace(self.single, **changes)
        await sso.set_single_sign_on(self.id, self.single)

    async def add(self, name: str, *roles: str, password: str = PASSWORD) -> Any:
        return await create_user(self.id, f"{name}@{self.slug}.example", password, name.title(), roles or ("sales",))

    async def admin(self) -> Browser:
        browser = self.browser()
        answer = await browser.post("/login", {"email": self.admin_email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser


@pytest_asyncio.fixture
async def make_company(provider: Provider, tenant_factory: Any, http: Any) -> Callable[..., Awaitable[Company]]:
    async def make(**changes: Any) -> Company:
        tenant = await tenant_factory(pack="baseline-crm")
        single = SingleSignOn(provider.issuer, CLIENT_ID, SECRET, "on", "Corporate", (f"{tenant.slug}.example",), **changes)
        found = Company(tenant.id, tenant.slug, f"{tenant.slug}.localhost", tenant.admin_id, tenant.admin_email, single, http)
        await found.set()
        provider.redirect_uris.add(f"http://{tenant.slug}.localhost:8000/sso/callback")
        return found

    return make


@pytest_asyncio.fixture(scope="package")
async def shared_company(_provider: Provider, tenant_factory: Any, http: Any) -> Any:
    """Made once for tests that leave no traces others could see: each brings people of its own."""
    tenant = await tenant_factory(pack="baseline-crm")
    single = SingleSignOn(f"http://127.0.0.1:{_provider.port}", CLIENT_ID, SECRET, "on", "Corporate", (f"{tenant.slug}.example",))
    return Company(tenant.id, tenant.slug, f"{tenant.slug}.localhost", tenant.admin_id, tenant.admin_email, single, http)


@pytest_asyncio.fixture
async def company(shared_company: Company, provider: Provider) -> Company:
    shared_company.single = SingleSignOn(provider.issuer, CLIENT_ID, SECRET, "on", "Corporate", (f"{shared_company.slug}.example",))
    await shared_company.set()
    provider.redirect_uris.add(f"http://{shared_company.host}:8000/sso/callback")
    return shared_company


@pytest.fixture
def name() -> str:
    """Somebody nobody else is."""
    return f"person{next(_numbers)}"
