from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest_asyncio

from saas.metadata import drafts, edits
from tests.acceptance.api import Person
from tests.integration.test_pages import Browser

CONTROL = re.compile(r"<(input|select|textarea)\b([^>]*)>(.*?)(?=<(?:input|select|textarea)\b|</form>)", re.DOTALL)


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture(scope="module")
async def records(http, tenant) -> dict[str, Any]:
    """A customer and three opportunities to look at; `person` is their maker."""
    person = await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(tenant.admin_email, tenant.admin_password)
    customer = (await person.create("customer", name="Northwind"))["id"]
    for name, amount in (("Small deal", "100"), ("Big deal", "900"), ("Huge deal", "5000")):
        await person.create("opportunity", name=name, customer=customer, expected_amount=amount)
    return {"customer": customer, "person": person}


class Designer(Browser):
    """An admin without scripts: sends back the forms of pages as they are, with a few values changed."""

    def __init__(self, http: httpx.AsyncClient, tenant: Any) -> None:
        super().__init__(http, f"{tenant.slug}.localhost")
        self.tenant = tenant

    async def draft(self) -> Any:
        return (await drafts.open_draft(self.tenant.id, self.tenant.admin_id)).raw

    async def titles(self) -> list[str]:
        return [s.title for s in (await drafts.open_draft(self.tenant.id, self.tenant.admin_id)).steps]

    async def find(self, path: str) -> Any:
        return edits.find(await self.draft(), path)

    async def send(self, path: str, answer: httpx.Response, action: str, **changes: Any) -> httpx.Response:
        """Post the form of a page to `action` as it stands, with `changes`; None takes a value away."""
        body = form_of(answer.text, action)
        for name, value in changes.items():
            name = name.replace("__", ".")
            body[name] = [] if value is None else value if isinstance(value, list) else [str(value)]
        return await self.post(path, {k: v for k, v in body.items() if k != "_csrf"})


def form_of(text: str, action: str) -> dict[str, list[str]]:
    """What a browser without scripts would send: the controls of the form with this action, templates left out."""
    start = re.search(rf'<form method="post" action="{re.escape(action)}"', text)
    assert start, f"no form for {action}"
    part = re.sub(r"<template\b.*?</template>", "", text[start.end() : text.index("</form>", start.end())], flags=re.DOTALL) + "</form>"
    found: dict[str, list[str]] = {}
    for tag, attributes, inner in CONTROL.findall(part):
        given = {k: html.unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', attributes)}
        name = given.get("name")
        if not name or re.search(r"\sdisabled\b", attributes):
            continue
        if tag == "select":
            options = re.findall(r"<option([^>]*)>", inner.partition("</select>")[0])
            values = [(html.unescape(m[1]) if (m := re.search(r'value="([^"]*)"', o)) else "", " selected" in o) for o in options]
            chosen = [v for v, on in values if on] or ([values[0][0]] if values and " multiple" not in attributes else [])
            found.setdefault(name, []).extend(chosen)
        elif given.get("type") in ("checkbox", "radio"):
            if re.search(r"\schecked\b", attributes):
                found.setdefault(name, []).append(given.get("value", "on"))
        else:
            value = html.unescape(inner.partition("</textarea>")[0]) if tag == "textarea" else given.get("value", "")
            found.setdefault(name, []).append(value)
    return found


@pytest_asyncio.fixture
async def admin(http, tenant, records) -> Designer:
    """With an empty draft."""
    await drafts.discard(tenant.id, tenant.admin_id)
    designer = Designer(http, tenant)
    assert (await designer.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    return designer


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
