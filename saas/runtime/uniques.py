"""Hard uniqueness (race-safe through a primary key) and soft duplicate rules."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any

from saas.errors import DuplicateFound, FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import DuplicateDef, UniqueDef
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.permissions import right_sql
from saas.runtime.present import title_sql, title_text
from saas.runtime.rows import Projection, Row
from saas.runtime.search import search_condition
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, column_of, storage_of

_SPACE = re.compile(r"\s+")


def comparable(value: Any) -> Any:
    """Text compares without case, width and space; other values as they are."""
    if isinstance(value, str):
        return _SPACE.sub("", unicodedata.normalize("NFKC", value)).casefold()
    return value


def unique_key(row: Row, fields: tuple[str, ...]) -> str | None:
    """The value a unique rule stores, or None when a part is missing (the rule then does not apply)."""
    parts = [comparable(row.get(f)) for f in fields]
    if any(p in (None, "", []) for p in parts):
        return None
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


async def _wanted(conn: Any, ctx: Context, entity: Entity, row: Row | None) -> dict[str, str]:
    if row is None:
        return {}
    env = await prepare(conn, ctx, entity, row, [u.when for u in entity.defn.unique])
    found = {}
    for rule in entity.defn.unique:
        key = unique_key(row, rule.fields)
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
        if have == want:
            continue
        if have:
            await conn.execute(
                "DELETE FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3 AND value = $4 AND record_id = $5",
                ctx.tenant_id, entity.number, rule.key, have, record_id,
            )  # fmt: skip
        if want:
            taken = await conn.fetchval(
                "INSERT INTO unique_value (tenant_id, entity_id, rule_key, value, record_id) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT DO NOTHING RETURNING record_id",
                ctx.tenant_id, entity.number, rule.key, want, record_id,
            )  # fmt: skip
            if taken is None:
                raise InvalidInput([_taken(entity, rule)])


def _taken(entity: Entity, rule: UniqueDef) -> FieldProblem:
    field = rule.fields[0]
    label = pick(entity.fields[field].label) if field in entity.fields else field
    message = pick(rule.message) or lazy("Another record already has this value in “%(label)s”.", label=label)
    return FieldProblem(field=field, code="not_unique", message=message, path=f"/{field}")


async def look_for_duplicates(
    conn: Any, ctx: Context, entity: Entity, row: Row, changed: set[str], *, confirmed: bool
) -> list[str]:
    """Apply the soft rules. Returns warnings that were confirmed; raises DuplicateFound otherwise."""
    warnings: list[str] = []
    for rule in entity.defn.duplicates:
        if not changed & set(rule.match) or unique_key(row, rule.match) is None:
            continue
        matches = await _matches(conn, ctx, entity, rule, row)
        if not matches:
            continue
        message = pick(rule.message) or lazy("A similar record already exists")
        if rule.action == "block" or not (confirmed or ctx.unrestricted):
            raise DuplicateFound(message, matches=matches, rule=rule.key, action=rule.action, entity=entity.key)
        warnings.append(str(message))
    return warnings


async def _matches(conn: Any, ctx: Context, entity: Entity, rule: DuplicateDef, row: Row) -> list[dict[str, Any]]:
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope, rule.match)
    projection.flag("readable", right_sql("read", scope))
    where = [f"t.entity_id = {entity.number}", "t.deleted_at IS NULL", f"t.id <> {scope.param(row.id, 'uuid')}"]
    for key in rule.match:
        field = entity.fields[key]
        column = column_of(ctx.config, entity, field)
        if isinstance(row.get(key), str) and key in entity.defn.search:
            where.append(search_condition(scope, row.get(key)) or "true")
        elif column and isinstance(row.get(key), str) and storage_of(ctx.config, field) == "text":
            where.append(f"lower(t.{column}) = lower({scope.param(row.get(key), 'text')})")
        elif column:
            stored = field_types.get(field.type).to_column(field, row.get(key), ctx.config)
            where.append(f"t.{column} = {scope.param(stored, PG_TYPES[storage_of(ctx.config, field)])}")
    found = await conn.fetch(
        *statement.finish(
            f"SELECT {projection.sql}, {title_sql(scope)}, (SELECT u.name FROM app_user u WHERE u.tenant_id = t.tenant_id AND u.id = t.owner_id) "  # noqa: S608  compiled
            f"FROM record t WHERE {' AND '.join(where)} ORDER BY t.id LIMIT 20"
        )
    )
    wanted = unique_key(row, rule.match)
    matches = []
    for item in found:
        other = projection.row(item)
        if unique_key(other, rule.match) != wanted:
            continue
        readable = other.holds["readable"]
        matches.append(
            {
                "id": str(other.id) if readable else None,
                "title": title_text(ctx, entity, item[-2]) if readable else None,
                "owner": item[-1],
            }
        )
    return matches
