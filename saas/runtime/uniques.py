"""Hard uniqueness, race-safe through a primary key. Soft rules: saas.runtime.twins."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import plan_by_values
from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import UniqueDef
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, prepare
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement

_SPACE = re.compile(r"\s+")
_SIGNS = re.compile(r"[\W_]+")


def comparable(value: Any) -> Any:
    """Text compares without case, width and space; other values as they are."""
    if isinstance(value, str):
        return _SPACE.sub("", unicodedata.normalize("NFKC", value)).casefold()
    return value


def unique_key(row: Row, fields: tuple[str, ...], *, loose: bool = False) -> str | None:
    """The value a unique rule stores, or None when a part is missing (the rule then does not apply). `loose`: of texts only letters and
    digits count, so that “AB-12/3” is “ab123”."""
    parts = [comparable(row.get(f)) for f in fields]
    if loose:
        parts = [_SIGNS.sub("", part) if isinstance(part, str) else part for part in parts]
    if any(p in (None, "", []) for p in parts):
        return None
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


async def _wanted(conn: Any, ctx: Context, entity: Entity, row: Row | None) -> dict[str, str]:
    if row is None:
        return {}
    return claims_of(entity, row, await prepare(conn, ctx, entity, row, [u.when for u in entity.defn.unique]))


def claims_of(entity: Entity, row: Row, env: RecordEnv) -> dict[str, str]:
    """{rule: value} the record should hold; `env` can evaluate the rules' conditions."""
    found = {}
    for rule in entity.defn.unique:
        key = unique_key(row, rule.fields, loose=rule.loose)
        if key and env.holds(rule.when):
            found[rule.key] = key
    return found


async def claim(conn: Any, ctx: Context, entity: Entity, row: Row | None, old: Row | None) -> None:
    """Move the record's unique values from `old` to `row` (either may be None). Raises InvalidInput when one is taken."""
    if not entity.defn.unique:
        return
    before, after = await _wanted(conn, ctx, entity, old), await _wanted(conn, ctx, entity, row)
    record_id = (row or old).id
    for rule in entity.defn.unique:
        have, want = before.get(rule.key), after.get(rule.key)
        if have == want or (row is None and rule.with_deleted):
            continue
        if have:
            await conn.execute(
                "DELETE FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3 AND value = $4 AND record_id = $5",
                ctx.tenant_id, entity.number, rule.key, have, record_id,
            )  # fmt: skip
        if want:
            kept = await conn.fetchval(
                "INSERT INTO unique_value (tenant_id, entity_id, rule_key, value, record_id) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT DO NOTHING RETURNING record_id",
                ctx.tenant_id, entity.number, rule.key, want, record_id,
            )  # fmt: skip
            # One that comes back from the bin may hold its value still.
            if kept is None and not (old is None and rule.with_deleted and await _holds(conn, ctx, entity, rule, want, record_id)):
                raise InvalidInput([_taken(entity, rule)])


async def _holds(conn: Any, ctx: Context, entity: Entity, rule: UniqueDef, value: str, record_id: UUID) -> bool:
    holder = await conn.fetchval(
        "SELECT record_id FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3 AND value = $4", ctx.tenant_id, entity.number, rule.key, value
    )
    return holder == record_id


# Each looked up by the primary key: OFFSET keeps the planner from reading all values there are for a few hundred. Planned by
# values: of an unknown tenant it expects so many values that it reads them one after the other.
_HELD = """
FROM unnest($3::text[], $4::text[]) AS g (rule_key, value) CROSS JOIN LATERAL (
    SELECT v.rule_key, v.value, v.record_id FROM unique_value v
    WHERE v.tenant_id = $1 AND v.entity_id = $2 AND v.rule_key = g.rule_key AND v.value = g.value OFFSET 0
) u
"""


async def taken(conn: Any, ctx: Context, entity: Entity, claims: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (rule, value) that some record holds."""
    if not claims:
        return set()
    await plan_by_values(conn)
    rows = await conn.fetch(
        f"SELECT u.rule_key, u.value {_HELD}",
        ctx.tenant_id, entity.number, *_columns(list(claims)),
    )  # fmt: skip
    return {tuple(row) for row in rows}


async def claim_many(conn: Any, ctx: Context, entity: Entity, wanted: Mapping[UUID, Mapping[str, str]]) -> None:
    """First claims of new records. Raises InvalidInput when one of them is taken, whichever."""
    new = sorted((rule, value, record_id) for record_id, claims in wanted.items() for rule, value in claims.items())
    if not new:
        return
    rows = await conn.fetch(
        "INSERT INTO unique_value (tenant_id, entity_id, rule_key, value, record_id) SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::uuid[]) "
        "ON CONFLICT DO NOTHING RETURNING rule_key, record_id",
        ctx.tenant_id, entity.number, *_columns(new),
    )  # fmt: skip
    if len(rows) < len(new):
        made = {tuple(row) for row in rows}
        late = {rule for rule, _, record_id in new if (rule, record_id) not in made}
        raise InvalidInput([_taken(entity, rule) for rule in entity.defn.unique if rule.key in late])


@dataclass(frozen=True, slots=True)
class Collision:
    """A record whose value another record holds already."""

    rule: str
    record_id: UUID
    holder_id: UUID | None


def rules_about(ctx: Context, entity: Entity, keys: set[str]) -> list[UniqueDef]:
    """The rules whose claims may be others when these fields change; one that asks for formulas, parents or children always is."""

    def make() -> list[tuple[UniqueDef, set[str] | None]]:
        return [(rule, _looks_at(entity, rule)) for rule in entity.defn.unique]

    return [rule for rule, fields in ctx.config.cached(("uniques.about", entity.key), make) if fields is None or fields & keys]


def _looks_at(entity: Entity, rule: UniqueDef) -> set[str] | None:
    needs = ex.needs(ex.parse(rule.when)) if rule.when else None
    fields = {*rule.fields, *((path[0] for path in needs.paths) if needs else ())}
    beyond = needs is not None and (needs.children or any(len(path) > 1 for path in needs.paths))
    if beyond or any(key in entity.declared and entity.declared[key].type == "formula" for key in fields):
        return None
    return fields


async def sync(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID], rules: Sequence[UniqueDef]) -> list[Collision]:
    """Make the records' claims under these rules what their values say. Where one is taken the holder keeps it; among the
    records given the one with the smallest id is first."""
    if not rules or not ids:
        return []
    wanted = await _wanted_by(conn, ctx, entity, ids, rules)
    keys = [rule.key for rule in rules]
    rows = await conn.fetch(
        "SELECT rule_key, value, record_id FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) AND rule_key = ANY($4::text[])",
        ctx.tenant_id, entity.number, list(ids), keys,
    )  # fmt: skip
    have = {tuple(row) for row in rows}
    if gone := sorted(have - wanted):
        await conn.execute(
            "DELETE FROM unique_value u USING unnest($3::text[], $4::text[], $5::uuid[]) AS g (rule_key, value, record_id) "
            "WHERE u.tenant_id = $1 AND u.entity_id = $2 AND u.rule_key = g.rule_key AND u.value = g.value AND u.record_id = g.record_id",
            ctx.tenant_id, entity.number, *_columns(gone),
        )  # fmt: skip
    new = sorted(wanted - have)
    if not new:
        return []
    made = await conn.fetch(
        "INSERT INTO unique_value (tenant_id, entity_id, rule_key, value, record_id) SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::uuid[]) "
        "ON CONFLICT DO NOTHING RETURNING rule_key, value, record_id",
        ctx.tenant_id, entity.number, *_columns(new),
    )  # fmt: skip
    late = sorted(set(new) - {tuple(row) for row in made})
    if not late:
        return []
    await plan_by_values(conn)
    holders = await conn.fetch(
        f"SELECT u.rule_key, u.value, u.record_id {_HELD}",
        ctx.tenant_id, entity.number, *_columns(late)[:2],
    )  # fmt: skip
    held = {(row[0], row[1]): row[2] for row in holders}
    return [Collision(rule, record_id, held.get((rule, value))) for rule, value, record_id in late]


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def _wanted_by(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID], rules: Sequence[UniqueDef]) -> set[tuple[str, str, UUID]]:
    """(rule, value, record) of what these records should hold, as they are stored: the living ones, and deleted ones where the rule says so."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope, {key for rule in rules for key in rule.fields})
    for rule in rules:
        if rule.when:
            projection.flag(rule.key, ex.to_where(ex.parse(rule.when), scope))
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
    rows = [projection.row(found) for found in await conn.fetch(*statement.finish(sql))]
    return {
        (rule.key, key, row.id) for row in rows for rule in rules if (row.deleted_at is None or rule.with_deleted) and row.holds.get(rule.key, True) and (key := unique_key(row, rule.fields, loose=rule.loose)) is not None
    }


def _taken(entity: Entity, rule: UniqueDef) -> FieldProblem:
    field = rule.fields[0]
    label = pick(entity.fields[field].label) if field in entity.fields else field
    message = pick(rule.message) or lazy("Another record already has this value in “%(label)s”.", label=label)
    return FieldProblem(field=field, code="not_unique", message=message, path=f"/{field}")
