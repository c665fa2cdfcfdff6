"""A small company whose people may not see each other's customers, with rules that look for the same customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab


def bundle() -> dict[str, Any]:
    customer = {
        "key": "customer", "label": label("Customer"), "plural": label("Customers"), "title": "name", "sharing": True,
        "fields": [
            fld("name", "text", required=True, max_length=80), fld("phone", "phone"), fld("mail", "email"), fld("city", "text"), fld("taxno", "text"),
            fld("library", "option", options=[{"key": "public", "label": label("Public")}, {"key": "potential", "label": label("Potential")}], default="potential"),
            fld("secret", "text"), fld("tags", "tags"), fld("parent", "ref", to="customer", inverse={"key": "below", "label": label("Below")}, on_delete="set_null"),
            fld("same_as", "ref", to="customer", on_delete="set_null"), fld("visit_count", "rollup", of="visits", fn="count"),
        ],
        "unique": [{"key": "taxno", "fields": ["taxno"], "loose": True, "message": label("This tax number was entered already")},
                   {"key": "mail", "fields": ["library", "mail"], "with_deleted": True}],
        "duplicates": [
            {"key": "phone", "match": ["phone"], "action": "block", "reveal": ["owner", "library"], "message": label("Somebody has this number")},
            {"key": "name", "match": ["name", "city"], "similar": ["name"], "threshold": 80, "action": "warn", "reason": True, "confirm_roles": ["lead"]},
            {"key": "mine", "match": ["secret"], "action": "warn", "across": False, "on_update": "ignore"},
        ],
    }  # fmt: skip
    lead = {
        "key": "prospect", "label": label("Prospect"), "plural": label("Prospects"), "title": "company",
        "fields": [fld("company", "text"), fld("tel", "phone")],
        "duplicates": [{"key": "customer", "match": ["company"], "names": ["company"], "action": "warn", "message": label("A customer already"),
                        "against": {"entity": "customer", "fields": ["name"], "reveal": ["library"], "where": "library == 'public'"}}],
    }  # fmt: skip
    visit = {
        "key": "visit", "label": label("Visit"), "plural": label("Visits"), "title": "subject", "editable_if": "closed != true",
        "fields": [fld("subject", "text"), fld("code", "text"), fld("closed", "bool"), fld("customer", "ref", to="customer", inverse={"key": "visits", "label": label("Visits")})],
        "unique": [{"key": "code", "fields": ["code", "customer"]}],
    }  # fmt: skip
    entry = {
        "key": "entry", "label": label("Entry"), "plural": label("Entries"), "title": "text", "append_only": True, "owned": False,
        "fields": [fld("text", "text"), fld("customer", "ref", to="customer", inverse={"key": "entries", "label": label("Entries")})],
    }  # fmt: skip
    group = {"key": "group", "label": label("Group"), "plural": label("Groups"), "title": "name", "fields": [fld("name", "text"), fld("members", "m2m", to="customer")]}
    own = {"create": True, "read": "own", "update": "own", "delete": "own", "import": True}
    return {
        "format": 1, "pack": {"key": "twins", "version": "1.0.0", "label": label("Twins")},
        "entities": [customer, lead, visit, entry, group],
        "roles": [
            {"key": "admin", "label": label("Admin"), "admin": True},
            {"key": "sales", "label": label("Sales"), "entities": {"*": own}},
            {"key": "lead", "label": label("Lead"), "entities": {"*": {**own, "read": "all", "update": "all", "bulk": True, "merge": True}}},
            {"key": "sub", "label": label("Sub"), "entities": {"*": {**own, "merge": True}, "customer": {**own, "merge": True, "fields": {"secret": "hidden"}}}},
            {"key": "blind", "label": label("Blind"), "entities": {"*": {**own, "fields": {}}, "customer": {**own, "fields": {"owner": "hidden"}}}},
        ],
        "automations": [
            {"key": "copy", "label": label("Copy"), "entity": "prospect", "on": {"trigger": "create"}, "if": "tel != null",
             "do": [{"action": "create", "entity": "customer", "values": {"name": "company", "phone": "tel"}}]},
            {"key": "same", "label": label("Same"), "entity": "customer", "on": {"trigger": "update", "fields": ["same_as"]}, "if": "same_as != null",
             "do": [{"action": "merge", "target": "same_as"}]},
        ],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="session")
async def club(database) -> AsyncIterator[Lab]:
    found = await make_lab(bundle(), people=False)
    for name, role in {"dong": "sales", "ma": "sales", "lin": "lead", "bo": "blind", "sub": "sub"}.items():
        await found.person(name, [role])
    yield found
