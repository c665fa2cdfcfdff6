"""Bounds of dates and moments that are expressions over the record."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from saas.metadata import models as m
from saas.metadata.config import Config
from saas.runtime.context import Context, Tenant
from saas.runtime.kinds import load_package
from saas.runtime.rows import Row
from saas.runtime.validate import Draft, check

load_package("saas.runtime.fields")
ID = UUID("0196f3c2-7d1a-7b3e-9c4d-2a5b6c7d8e9f")
LABEL = {"en": "x"}
FIELDS = (
    m.FieldDef("name", "text", LABEL),
    m.FieldDef("start", "date", LABEL, options={"min": "today()", "max": None}),
    m.FieldDef("end", "date", LABEL, options={"min": "start", "max": "add_days(start, 30)"}),
    m.FieldDef("call", "datetime", LABEL, options={"min": "now()"}),
)


async def problems(**values: str) -> list[tuple[str, str]]:
    config = Config(m.Bundle(m.PackInfo("t", "1", LABEL), (m.EntityDef("visit", LABEL, LABEL, "name", FIELDS, owned=False),), ()))
    tenant = Tenant(id=ID, slug="t", name="T", time_zone="Asia/Shanghai")
    ctx = Context(tenant=tenant, config=config, fixed_now=datetime(2025, 3, 2, 20, 0, tzinfo=UTC))  # already the third in Shanghai
    row = Row(id=ID, entity="visit", version=0, values=dict(values))
    draft = Draft(config.entity("visit"), row, None, {}, changed=set(values))
    await check(None, ctx, draft)
    return [(p.field, p.code) for p in draft.problems]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"start": "2025-03-02"}, [("start", "too_early")]),
        ({"start": "2025-03-03"}, []),
        ({"start": "2025-03-03", "end": "2025-03-02"}, [("end", "too_early")]),
        ({"start": "2025-03-03", "end": "2025-04-02"}, []),
        ({"start": "2025-03-03", "end": "2025-04-03"}, [("end", "too_late")]),
        ({"end": "1999-01-01"}, []),  # nothing to compare with
        ({"call": "2025-03-02T19:59:59Z"}, [("call", "too_early")]),
        ({"call": "2025-03-02T20:00:00Z"}, []),
    ],
)
async def test_bound_is_compared_with_the_value(values: dict[str, str], found: list[tuple[str, str]]) -> None:
    assert await problems(**values) == found
