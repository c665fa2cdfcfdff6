"""The tokens by which records are found again: a mark for what must be equal, grams for what may be similar. They stand in the table of
search tokens, beginning with signs that no word has, so finding them takes the same b-tree that row security lets the planner use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from saas.metadata.config import Config, Entity
from saas.runtime.context import Context
from saas.runtime.rows import Row
from saas.runtime.twins.forms import core, grams
from saas.runtime.twins.rules import NAME, Matcher, Part, looking_into
from saas.runtime.uniques import comparable

MARK, GRAM = "=", "~"


def part_value(config: Config, entity: Entity, part: Part, value: Any) -> Any:
    """A value as a part compares it."""
    if value in (None, "", []):
        return None
    field = entity.fields.get(part.own)
    if part.how == NAME:
        return core(str(value)).replace(" ", "")
    if field is not None and field.type == "phone" and isinstance(value, str):
        return re.sub(r"\D", "", value) or comparable(value)
    return comparable(value)


def mark_of(config: Config, matcher: Matcher, row: Row, *, other: bool) -> str | None:
    """The token for what must be equal; None where a part is missing, or nothing must be. `other`: the row is one that is looked for."""
    parts = matcher.exact
    entity = config.entity(matcher.source)
    values = [part_value(config, entity, part, row.get(part.other if other else part.own)) for part in parts]
    if not parts or any(v in (None, "", []) for v in values):
        return None
    digest = hashlib.sha256(json.dumps(values, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    return f"{MARK}{matcher.mark}:{digest}"


def marks(config: Config, entity: Entity, row: Row, matchers: Iterable[Matcher] | None = None) -> list[str]:
    """The marks of a record of `entity`: those by which others find it, or by which given matchers look for others like it."""
    if matchers is not None:
        found = (mark_of(config, m, row, other=False) for m in matchers if not m.similar)
    else:
        found = (mark_of(config, m, row, other=True) for m in looking_into(config, entity))
    return [mark for mark in found if mark is not None]


def tokens(config: Config, entity: Entity, row: Row) -> set[str]:
    """Everything by which the matchers of the configuration find this record."""
    found = set(marks(config, entity, row))
    for key in _gram_fields(config, entity):
        value = row.get(key)
        if isinstance(value, str) and value:
            found.update(f"{GRAM}{key}:{gram}" for gram in grams(value))
    return found


def _gram_fields(config: Config, entity: Entity) -> tuple[str, ...]:
    return config.cached(("twins.grams", entity.key), lambda: tuple(sorted({part.other for m in looking_into(config, entity) for part in m.similar})))


def fields_looked_at(config: Config, entity: Entity) -> set[str]:
    """Fields whose values stand in a record's tokens."""
    return config.cached(("twins.fields", entity.key), lambda: {part.other for m in looking_into(config, entity) for part in m.parts})


def signature(config: Config, entity: Entity) -> Any:
    """Equal for two configurations under which a record has the same tokens."""
    made = {
        (m.mark, tuple((part, config.entity(m.source).fields[part.own].type) for part in m.exact if part.own in config.entity(m.source).fields))
        for m in looking_into(config, entity)
        if m.exact
    }
    return frozenset(made), _gram_fields(config, entity)


async def marked(conn: Any, ctx: Context, wanted: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of these marks (number of the entity looked into, mark) that a living record has."""
    if not wanted:
        return set()
    rows = await conn.fetch(
        "SELECT e, m FROM unnest($2::int[], $3::text[]) AS g (e, m) WHERE EXISTS (SELECT 1 FROM search_token s JOIN record t ON t.entity_id = s.entity_id AND t.id = s.record_id "
        "WHERE s.tenant_id = $1 AND s.entity_id = g.e AND s.token = g.m AND t.tenant_id = $1 AND t.deleted_at IS NULL)",
        ctx.tenant_id, [e for e, _ in wanted], [m for _, m in wanted],
    )  # fmt: skip
    return {(row[0], row[1]) for row in rows}
