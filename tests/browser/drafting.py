"""What the tests of the designer share: whose draft it is, what stands in it, and the bar that tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import Locator, Page

from saas.metadata import drafts, edits
from saas.tenants import find_user

if TYPE_CHECKING:
    from tests.browser.conftest import Company


async def admin_of(company: Company) -> Any:
    return (await find_user(company.id, email=company.people["admin"]))["id"]


async def discard(company: Company) -> None:
    await drafts.discard(company.id, await admin_of(company))


async def drafted(company: Company, path: str) -> Any:
    return edits.find((await drafts.open_draft(company.id, await admin_of(company))).raw, path)


def bar(page: Page) -> Locator:
    return page.locator("[data-draft-bar]")
