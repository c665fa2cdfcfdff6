"""A form that is sent back as it was shown changes nothing: what people did not touch stays as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.integration.designer.conftest import Designer


def pages(raw: Mapping[str, Any]) -> Iterator[str]:
    for pipeline in raw.get("pipelines", ()):
        url = f"/settings/pipelines/{pipeline['key']}"
        yield f"{url}/edit"
        yield from (f"{url}/stages/{s['key']}" for s in pipeline["stages"])
        yield from (f"{url}/transitions/{t['key']}" for t in pipeline["transitions"])
    for part in ("automations", "schedules"):
        yield from (f"/settings/{part}/{r['key']}" for r in raw.get(part, ()))
    for role in raw["roles"]:
        url = f"/settings/roles/{role['key']}"
        yield f"{url}/general"
        yield from (f"{url}/entities/{key}" for key in role.get("entities", {}) if key != "*")
        if not role.get("admin"):
            yield url
            yield f"{url}/default"


async def test_saving_without_a_change_changes_nothing_at_a_trader(admin):
    await saved_as_they_are(admin)


async def test_saving_without_a_change_changes_nothing_at_a_maker(maker):
    await saved_as_they_are(maker)


async def saved_as_they_are(designer: Designer) -> None:
    before = await designer.raw()
    wrong = []
    for path in pages(before):
        answer = await designer.fill(path)
        after = await designer.raw()
        if answer.status_code != 303 or after != before:
            wrong.append(f"{path}: {answer.status_code} {difference(before, after)}")
            before = after
    assert not wrong, "\n".join(wrong)


def difference(before: Any, after: Any, path: str = "") -> str:
    """Where two bundles differ first."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            if before.get(key) != after.get(key):
                return difference(before.get(key), after.get(key), f"{path}.{key}")
        return f"{path}: order {list(before)} {list(after)}" if list(before) != list(after) else ""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                return difference(a, b, f"{path}[{number}]")
    return f"{path}: {json.dumps(before)[:300]} -> {json.dumps(after)[:300]}" if before != after else ""
