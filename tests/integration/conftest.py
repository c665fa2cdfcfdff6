from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from saas import i18n
from saas.tenants import create_user
from tests.acceptance.api import Person
from tests.conftest import PASSWORD


class Marked(dict):
    """A catalogue that knows every text: what went through the translator can be told from what did not."""

    def get(self, message: Any, default: Any = None) -> tuple[str]:
        return (f"〔{message}〕",)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Chinese text from our sources stands in 〔〕, whether or not the catalogue has it yet."""
    monkeypatch.setattr(i18n, "_catalogue", lambda locale: Marked() if locale == "zh_CN" else {})


@pytest_asyncio.fixture(scope="session")
async def office(http, tenant_factory) -> Callable[..., Awaitable[dict[str, Person]]]:
    """`await office(pack, **{name: role})`: a fresh tenant with its signed-in people, "admin" among them, speaking English."""

    async def make(pack: str, locale: str = "en", **roles: str) -> dict[str, Person]:
        tenant = await tenant_factory(pack=pack, locale=locale)
        host = f"{tenant.slug}.localhost"
        people = {"admin": await Person(http, host, language="en").sign_in(tenant.admin_email, tenant.admin_password)}
        for name, role in roles.items():
            await create_user(tenant.id, f"{name}@{tenant.slug}.example", PASSWORD, name.title(), [role])
            people[name] = await Person(http, host, language="en").sign_in(f"{name}@{tenant.slug}.example", PASSWORD)
        return people

    return make
