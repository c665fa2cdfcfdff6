"""Full text search by an inverted table of tokens: words and their prefixes for Latin text, bigrams for Chinese.

The plain b-tree of `search_token` is used under row security, which trigram and full text indexes are not
(their operators are not leakproof).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from saas.db import Write
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime.context import Context
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_RUN = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_IS_HAN = re.compile(rf"[{_HAN}]")
MAX_TOKEN = 40
MAX_TOKENS = 300
FEW = 5000  # records with a term: so many are looked up one by one
LAST = "\U0010ffff"


def is_han(text: str) -> bool:
    """Whether it begins with a character of a script without words: Chinese, kana, hangul."""
    return bool(_IS_HAN.match(text))


def runs(text: str) -> list[str]:
    return _RUN.findall(unicodedata.normalize("NFKC", text).lower())


def tokens(text: str) -> set[str]:
    """What is stored for a text: words (whole, prefixes come by range), bigrams of Chinese runs and their last character."""
    found: set[str] = set()
    for run in runs(text):
        if _IS_HAN.match(run):
            found.update(run[i : i + 2] for i in range(len(run) - 1))
            found.add(run[-1])
        else:
            found.add(run[:MAX_TOKEN])
    return set(sorted(found)[:MAX_TOKENS])


def search_terms(text: str) -> list[tuple[str, bool]]:
    """[(token, is_prefix)] that a record must all have; an empty list when the text holds nothing to search for."""
    terms: list[tuple[str, bool]] = []
    for run in runs(text)[:12]:
        if not _IS_HAN.match(run):
            terms.append((run[:MAX_TOKEN], True))
        elif len(run) == 1:
            terms.append((run, True))
        else:
            terms.extend((run[i : i + 2], False) for i in range(len(run) - 1))
    return list(dict.fromkeys(terms))[:16]


async def rarest(conn: Any, ctx: Context, entity: Entity, text: str | None) -> int | None:
    """Which term of `text` fewest records have, by its place among `search_terms`; -1 where one is in no record, None where all are
    frequent (or there is none). Asked of the index, for the planner does not know: words of all tenants are one column to it."""
    terms = search_terms(text or "")
    if not terms:
        return None
    statement = Statement(ctx)
    counts = [f"(SELECT count(*) FROM (SELECT 1 {_tokens_sql(statement, entity, *term)} LIMIT {FEW + 1}) c)" for term in terms]
    found = list(await conn.fetchrow(*statement.finish(f"SELECT {', '.join(counts)}")))
    if 0 in found:
        return -1
    return found.index(min(found)) if min(found) <= FEW else None


def _tokens_sql(statement: Statement, entity: Entity, term: str, is_prefix: bool) -> str:
    return f"FROM search_token s WHERE s.tenant_id = '{statement.ctx.tenant_id}'::uuid AND s.entity_id = {entity.number} AND {token_match(statement, term, is_prefix)}"


def token_match(statement: Statement, term: str, is_prefix: bool) -> str:
    """Condition: a row `s` of search_token is one of the term's."""
    low = statement.param(term, "text")
    return f"s.token >= {low} AND s.token < {statement.param(term + LAST, 'text')}" if is_prefix else f"s.token = {low}"


def search_condition(scope: RecordScope, text: str | None, rare: int | None = None) -> str | None:
    """SQL condition: the scope's record has all terms of `text`; "false" when there is text but nothing searchable in it. `rare`: what
    `rarest` says. The few records with that term are looked up first; where all terms are frequent the planner may walk the records
    in their order instead, and soon has a page full."""
    if not text or not text.strip():
        return None
    terms = search_terms(text)
    if not terms or rare == -1:
        return "false"
    parts = []
    for place, term in enumerate(terms):
        ids = f"SELECT s.record_id {_tokens_sql(scope.statement, scope.entity, *term)}"
        parts.append(f"{scope.alias}.id = ANY(ARRAY({ids}))" if place == rare else f"{scope.alias}.id IN ({ids})")
    return "(" + " AND ".join(parts) + ")"


def visible_condition(scope: RecordScope, text: str | None) -> str | None:
    """SQL condition for a guarded scope: each term also stands in a text the reader may see. Tokens do not tell which field they
    come from, so without this a masked phone number could be guessed digit by digit. None where nothing searched is kept from them."""
    entity, guard = scope.entity, scope.guard
    fields = [entity.fields[k] for k in searched(entity)]
    if guard is None or not text or all(guard.visible(entity, f) for f in fields):
        return None
    shown = [scope.path((f.key,)) for f in fields if guard.visible(entity, f)]
    texts = [sql for sql, kind in shown if kind == "text"]
    if not texts:
        return "false"
    haystack = f"lower(normalize(concat_ws(' ', {', '.join(texts)}), NFKC))"
    return "(" + " AND ".join(f"strpos({haystack}, {scope.param(term, 'text')}) > 0" for term, _prefix in search_terms(text)) + ")"


def searched(entity: Entity) -> tuple[str, ...]:
    """Fields the index is made of."""
    return entity.defn.search or (entity.defn.title,)


def searchable_text(ctx: Context, entity: Entity, row: Row) -> str:
    parts = []
    for key in searched(entity):
        value = row.get(key)
        if value in (None, "", []):
            continue
        field = entity.fields[key]
        if field_types.get(field.type).holds or field.type in ("formula", "rollup"):
            continue
        texts = {field_types.get(field.type).display(field, value, ctx.config, locale) for locale in ("en", "zh_CN")}
        parts.extend(texts)
        if field.type == "phone":
            digits = re.sub(r"\D", "", str(value))
            parts.extend(digits[i:] for i in range(0, max(len(digits) - 3, 0), 1))
    return "\n".join(parts)


def indexed(ctx: Context, entity: Entity, row: Row, marks: Iterable[str] = (), *, fresh: bool) -> list[Write]:
    """The statements that make the record's tokens what its texts say; `fresh` when it has none yet. `marks`: further tokens, which
    begin with what no word has."""
    wanted = sorted(tokens(searchable_text(ctx, entity, row)) | set(marks))
    writes: list[Write] = []
    if not fresh:
        gone = "DELETE FROM search_token WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND token <> ALL($4::text[])"
        writes.append((gone, (ctx.tenant_id, entity.number, row.id, wanted)))
    if wanted:
        new = "INSERT INTO search_token (tenant_id, entity_id, token, record_id) SELECT $1, $2, unnest($3::text[]), $4 ON CONFLICT DO NOTHING"
        writes.append((new, (ctx.tenant_id, entity.number, wanted, row.id)))
    return writes


async def index_many(conn: Any, ctx: Context, entity: Entity, wanted: Mapping[UUID, set[str]]) -> None:
    """Make these the tokens of these records, and no others."""
    rows = await conn.fetch(
        "SELECT record_id, token FROM search_token WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[])", ctx.tenant_id, entity.number, list(wanted)
    )
    have = {(r[0], r[1]) for r in rows}
    want = {(record_id, token) for record_id, tokens_ in wanted.items() for token in tokens_}
    if gone := sorted(have - want):
        await conn.execute(
            "DELETE FROM search_token s USING unnest($3::uuid[], $4::text[]) AS g (record_id, token) "
            "WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = g.token AND s.record_id = g.record_id",
            ctx.tenant_id, entity.number, [r for r, _ in gone], [t for _, t in gone],
        )  # fmt: skip
    if new := sorted(want - have):
        await conn.execute(
            "INSERT INTO search_token (tenant_id, entity_id, token, record_id) SELECT $1, $2, t, r FROM unnest($3::uuid[], $4::text[]) AS n (r, t) ON CONFLICT DO NOTHING",
            ctx.tenant_id, entity.number, [r for r, _ in new], [t for _, t in new],
        )  # fmt: skip


async def index_fresh(conn: Any, ctx: Context, entity: Entity, wanted: Mapping[UUID, Iterable[str]]) -> None:
    """The tokens of records that nobody else can see yet, so that none can be there. A record's tokens travel as one text: a list
    of them all, each with its record, takes longer to pack than to write."""
    texts = {record_id: "\n".join(tokens_) for record_id, tokens_ in wanted.items() if tokens_}
    if texts:
        await conn.execute(
            "INSERT INTO search_token (tenant_id, entity_id, token, record_id) SELECT $1, $2, t, r FROM unnest($3::uuid[], $4::text[]) AS n (r, ts), "
            "unnest(string_to_array(ts, E'\\n')) AS t ORDER BY t COLLATE \"C\", r",
            ctx.tenant_id, entity.number, list(texts), list(texts.values()),
        )  # fmt: skip

