from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest_asyncio

from tests.factories import Lab, make_lab, rich_bundle


@dataclass
class Office:
    """A tenant with people, accounts of several owners and grades, and somebody who configures without being an administrator."""

    lab: Lab
    raw: dict[str, Any]
    accounts: dict[str, UUID]


def office_bundle() -> dict[str, Any]:
    """The rich bundle, and a role that may configure and reads its own accounts, without their bank."""
    raw = rich_bundle()
    own = {"create": True, "read": "own", "update": "own", "delete": "own", "fields": {"bank": "hidden", "phone": "masked"}}
    raw["roles"].append({"key": "builder", "label": {"en": "Builder", "zh_CN": "设计员"}, "settings": ["config"], "entities": {"account": own, "deal": {"read": "all"}}})
    raw["roles"].append({"key": "keeper", "label": {"en": "Keeper", "zh_CN": "保管员"}, "settings": ["users"], "entities": {"*": {"read": "all"}}})
    raw["roles"].append({"key": "banker", "label": {"en": "Banker", "zh_CN": "银行员"}, "entities": {"account": {"read": "all", "update": {"scope": "all", "if": "bank == 'gold builder b'"}}}})
    next(e for e in raw["entities"] if e["key"] == "account")["owner_roles"].append("builder")
    return raw


@pytest_asyncio.fixture(scope="session")
async def office(database: Any) -> AsyncIterator[Office]:
    raw = office_bundle()
    lab = await make_lab(raw)
    await lab.person("builder", ["builder"], "north")
    await lab.person("keeper", ["keeper"], "north")
    await lab.person("banker", ["banker"], "south")
    await lab.person("south_chief", ["chief"], "south")
    accounts = {}
    for owner in ("seller", "dept_user", "south_chief", "builder"):
        for grade in ("b", "c"):
            accounts[f"{owner}-{grade}"] = await lab.make("account", name=f"{owner} {grade}", grade=grade, reason="r", owner=str(lab.people[owner]), bank=f"gold {owner} {grade}", phone="13800138000")
    yield Office(lab, raw, accounts)
