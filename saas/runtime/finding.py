"""Search over all kinds of records at once: what the search page, the palette and the API's /search answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saas.db import tenant_transaction
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.search import search_terms, token_match
from saas.runtime.sql import Statement


@dataclass(frozen=True, slots=True)
class Found:
    entity: str
    record: ops.Record
    subtitle: str


async def find_everywhere(ctx: Context, q: str, *, limit: int = 20) -> list[Found]:
    """Records of any entity that have all words of `q` and that the person may read, at most `limit`, kinds in their order."""
    terms = search_terms(q)
    if not terms:
        return []
    found: list[Found] = []
    async with tenant_transaction(ctx.tenant_id) as conn:
        keys = await _entities_with(conn, ctx, terms)
        each = max(3, limit // max(1, len(keys)))
        for key in keys:
            defn = ctx.config.entity(key).defn
            fields = [k for k in (defn.title, defn.subtitle) if k and permissions.static_access(ctx, ctx.config.entity(key)).get(k) in ("read", "write", "masked")]
            page = await execute(ctx, ops.List(entity=key, q=q, fields=fields, limit=each, sort=("-updated_at",)))
            found += [Found(key, r, r.display.get(defn.subtitle or "", "")) for r in page.records]
            if len(found) >= limit:
                break
    return found[:limit]


async def _entities_with(conn: Any, ctx: Context, terms: list[tuple[str, bool]]) -> list[str]:
    """Readable entities with some record for every term: one statement instead of a list query for each entity."""
    numbers = {e.number: e.key for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key)}
    statement = Statement(ctx)
    tenant, these = statement.param(ctx.tenant_id, "uuid"), statement.param(list(numbers), "int4[]")
    conditions = [
        f"EXISTS (SELECT 1 FROM search_token s WHERE s.tenant_id = {tenant} AND s.entity_id = e AND {token_match(statement, *term)})" for term in terms[:4]
    ]
    rows = await conn.fetch(*statement.finish(f"SELECT e FROM unnest({these}) e WHERE {' AND '.join(conditions)}"))
    have = {r[0] for r in rows}
    return [key for number, key in numbers.items() if number in have]
