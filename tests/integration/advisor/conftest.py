"""A company with a list that a fixture makes large, and a browser of one of its people."""

from __future__ import annotations

from typing import Any

import pytest

from saas.tenants import open_session
from saas.tenants.plans import Limits, PlanDef, catalogue
from tests.integration.test_pages import Browser


@pytest.fixture
def browse(http):
    """`await browse(lab, who)`: signed in."""

    async def make(lab: Any, who: str = "admin") -> Browser:
        ctx = await lab.ctx(who)
        browser = Browser(http, f"{lab.slug}.localhost")
        browser.cookies["session"] = (await open_session(lab.tenant_id, ctx.user_id, "web", "127.0.0.1", "test"))[0]
        await browser.get("/profile")
        return browser

    return make


@pytest.fixture
def offer(monkeypatch):
    """`offer(key, indexed_fields=2)`: one more plan."""

    def make(key: str, **limits: int) -> None:
        monkeypatch.setitem(catalogue(), key, PlanDef(key, {"en": key, "zh_CN": key}, Limits(**limits)))

    return make
