"""Two companies with packs, and their administrators without scripts."""

from __future__ import annotations

from typing import Any

import pytest_asyncio

from saas.metadata import drafts
from tests.integration.designer.conftest import Designer


@pytest_asyncio.fixture(scope="module")
async def companies(tenant_factory) -> dict[str, Any]:
    return {pack: await tenant_factory(pack=pack) for pack in ("baseline-crm", "jb-rm-crm")}


async def _designer(http, tenant: Any) -> Designer:
    await drafts.discard(tenant.id, tenant.admin_id)
    found = Designer(http, tenant)
    assert (await found.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    return found


@pytest_asyncio.fixture
async def admin(http, companies) -> Designer:
    """At the pack for any trade, with an empty draft."""
    return await _designer(http, companies["baseline-crm"])


@pytest_asyncio.fixture
async def maker(http, companies) -> Designer:
    """At the machine tool maker's, with an empty draft."""
    return await _designer(http, companies["jb-rm-crm"])
