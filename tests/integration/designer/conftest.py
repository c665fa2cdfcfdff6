"""An admin without scripts in front of the designer's pages: reads a form as a browser does, changes some controls, sends it."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest_asyncio

from saas.metadata import drafts, edits
from saas.metadata.parse import problems_of
from tests.integration.test_pages import Browser

TAG = re.compile(r"<(/?)(form|template|input|select|option|textarea)\b((?:[^>\"]|\"[^\"]*\")*)>")
ATTRIBUTE = re.compile(r"([\w:.-]+)(?:=\"([^\"]*)\")?")


class _Form:
    """The successful controls of the form with an action, without what scripts keep in templates. Pages are long and many: only the tags
    that matter are looked at."""

    def __init__(self, action: str) -> None:
        self.action, self.pairs = action, []
        self._inside = self._templates = 0
        self._select: str | None = None
        self._chosen: list[str] = []
        self._first: str | None = None
        self._many = False
        self._area: tuple[str, int] | None = None
        self.found = False

    def feed(self, text: str) -> None:
        for tag in TAG.finditer(text):
            if tag[1]:
                self._ends(tag[2], text, tag.start())
            else:
                self._begins(tag[2], {a[1]: html.unescape(a[2] or "") for a in ATTRIBUTE.finditer(tag[3])}, tag.end())

    def _begins(self, tag: str, given: dict[str, str], at: int) -> None:
        if tag == "form" and given.get("method") == "post" and given.get("action") == self.action:
            self._inside, self.found = 1, True
        if tag == "template":
            self._templates += 1
        if not self._inside or self._templates or "disabled" in given:
            return
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") not in ("submit", "button", "file", "search"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self.pairs.append((name, given.get("value", "")))
        elif tag == "select" and name:
            self._select, self._chosen, self._first, self._many = name, [], None, "multiple" in given
        elif tag == "option" and self._select is not None:
            self._first = self._first if self._first is not None else given.get("value", "")
            if "selected" in given:
                self._chosen.append(given.get("value", ""))
        elif tag == "textarea" and name:
            self._area = name, at

    def _ends(self, tag: str, text: str, at: int) -> None:
        if tag == "template":
            self._templates -= 1
        if not self._inside:
            return
        if tag == "form":
            self._inside = 0
        elif tag == "select" and self._select is not None:
            chosen = self._chosen or ([] if self._many or self._first is None else [self._first])
            self.pairs += [(self._select, value) for value in (chosen if self._many else chosen[-1:])]
            self._select = None
        elif tag == "textarea" and self._area is not None:
            name, start = self._area
            self.pairs.append((name, html.unescape(text[start:at])))
            self._area = None


class Designer(Browser):
    """An admin at their draft."""

    def __init__(self, http: httpx.AsyncClient, tenant: Any) -> None:
        super().__init__(http, f"{tenant.slug}.localhost")
        self.tenant = tenant

    async def fill(self, path: str, changes: dict[str, Any] | None = None, *, without: tuple[str, ...] = (), action: str | None = None) -> httpx.Response:
        """Open the page, change some controls (a list posts several values), leave others out, send the form."""
        page = await self.get(path)
        assert page.status_code == 200, (path, page.status_code)
        form = _Form(action or path)
        form.feed(page.text)
        assert form.found, f"{path} has no form for {action or path}"
        body: dict[str, list[str]] = {}
        for name, value in form.pairs:
            body.setdefault(name, []).append(value)
        for name, value in (changes or {}).items():
            body[name] = value if isinstance(value, list) else [str(value)]
        return await self.post(action or path, {k: v for k, v in body.items() if k not in ("_csrf", *without)})

    async def raw(self) -> Any:
        return (await self.draft()).raw

    async def draft(self) -> drafts.Draft:
        return await drafts.open_draft(self.tenant.id, self.tenant.admin_id)

    async def find(self, path: str) -> Any:
        return edits.find(await self.raw(), path)

    async def last(self) -> str:
        """The title of the last step; the draft must be valid with it."""
        draft = await self.draft()
        assert [(p.path, str(p.message)) for p in problems_of(draft.raw)] == []
        return draft.steps[0].title if draft.steps else ""


@pytest_asyncio.fixture
async def admin(http, tenant_factory) -> Designer:
    """A fresh company with a pack, and its administrator."""
    tenant = await tenant_factory(pack="baseline-crm")
    found = Designer(http, tenant)
    assert (await found.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    return found
