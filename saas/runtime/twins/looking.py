"""Finding records that may be the same, and saying no more of them than the rule and the person's rights allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from saas.errors import DuplicateFound
from saas.i18n import LazyString, lazy, pick, titled
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import DuplicateDef
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.present import present
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.twins.forms import compact, core, grams, similarity
from saas.runtime.twins.index import GRAM, mark_of, part_value
from saas.runtime.twins.pairs import keep_pairs, not_dismissed_sql
from saas.runtime.twins.rules import Matcher, own_rules
from saas.tenants import new_id

MOST = 20  # records named
EQUAL = 500  # records with the same mark that are looked at
FREQUENT = 1000  # a piece of a name that so many have says little
WEIGHED = 3000  # records with rare pieces that are counted
FEW = 5000  # records with a mark: so many are read to meet those with rare pieces
ASKED = 1000  # of the records with rare pieces, so many are asked for a mark that more have
COMPARED = 100  # of these, the ones that share most are compared letter by letter


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether a person saves all the same, and why. `unasked`: nobody can be asked, so what would only be asked about is a warning."""

    given: bool = False
    reason: str = ""
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What came of looking: warnings that were confirmed, and reviews in which the record is to wait."""

    warnings: list[str]
    reviews: list[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A record found, and how alike it is in percent. `row.holds["read"]`: whether the person may see it."""

    row: Row
    score: int


async def found_twins(
    conn: Any, ctx: Context, matcher: Matcher, row: Row, *, only_readable: bool = False, fields: Iterable[str] = (), also: str | None = None, limit: int = MOST
) -> list[Hit]:
    """Living records like `row` by a matcher, the most alike first; whoever they belong to, unless `only_readable`. `fields` are read of them
    beside the compared ones; `also` is a further condition on them."""
    target = ctx.config.entity(matcher.target)
    if any(row.get(part.own) in (None, "", []) for part in matcher.parts):
        return []
    mark = mark_of(ctx.config, matcher, row, other=False)
    if matcher.exact and mark is None:
        return []
    ids = await _candidates(conn, ctx, target, matcher, row, mark)
    if not ids:
        return []
    statement = Statement(ctx)
    scope = RecordScope(statement, target, "t")
    projection = Projection(scope, {target.defn.title, *(part.other for part in matcher.parts), *fields})
    readable = permissions.right_sql("read", scope)
    projection.flag("read", readable)
    for condition in permissions.conditions(ctx, target):
        projection.flag(condition, ex.to_where(ex.parse(condition), scope))
    where = [f"t.entity_id = {target.number}", "t.deleted_at IS NULL", f"t.id = ANY({scope.param(ids, 'uuid[]')})"]
    if matcher.source == matcher.target:
        me = scope.param(row.id, "uuid")
        where += [f"t.id <> {me}", not_dismissed_sql(target, scope.param(ctx.tenant_id, "uuid"), "t.id", me)]
    where += [ex.to_where(ex.parse(text), scope) for text in (matcher.where, also) if text]
    if only_readable:
        where.append(readable)
    rows = projection.rows(await conn.fetch(*statement.finish(f"SELECT {projection.sql} FROM record t WHERE {' AND '.join(where)} ORDER BY t.id LIMIT {EQUAL}")))
    hits = [Hit(other, score) for other in rows if (score := _score(ctx, matcher, row, other)) >= matcher.threshold or (score == 100)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.row.id))[:limit]


async def begun(conn: Any, ctx: Context, matcher: Matcher, text: str, fields: Iterable[str] = (), limit: int = MOST) -> list[Row]:
    """Records the person may see whose name, as far as the matcher compares one by its letters, contains what was typed so far. Of frequent
    pieces only some are looked at, so it takes no longer among a million records."""
    target = ctx.config.entity(matcher.target)
    wanted = compact(core(text))
    if not matcher.similar or not wanted:
        return []
    part = matcher.similar[0]
    looked = replace(matcher, parts=(part,))
    ids = await _candidates(conn, ctx, target, looked, Row(id=new_id(ctx.now), entity=matcher.source, version=0, values={part.own: text}), None)
    if not ids:
        return []
    statement = Statement(ctx)
    scope = RecordScope(statement, target, "t")
    projection = Projection(scope, {target.defn.title, part.other, *fields})
    for condition in permissions.conditions(ctx, target):
        projection.flag(condition, ex.to_where(ex.parse(condition), scope))
    where = f"t.entity_id = {target.number} AND t.deleted_at IS NULL AND t.id = ANY({scope.param(ids, 'uuid[]')}) AND {permissions.right_sql('read', scope)}"
    rows = projection.rows(await conn.fetch(*statement.finish(f"SELECT {projection.sql} FROM record t WHERE {where} ORDER BY t.id")))
    if permissions.static_access(ctx, target).get(part.other) not in ("read", "write"):  # what they do not see they cannot find by its letters
        return []
    return [row for row in rows if wanted in compact(str(row.get(part.other) or ""))][:limit]


def _score(ctx: Context, matcher: Matcher, row: Row, other: Row) -> int:
    """100 where all parts are equal; 0 where one that must be equal is not, or a similar one is far off."""
    source, config = ctx.config.entity(matcher.source), ctx.config
    if any(part_value(config, source, p, row.get(p.own)) != part_value(config, source, p, other.get(p.other)) for p in matcher.exact):
        return 0
    scores = [similarity(str(row.get(p.own)), str(other.get(p.other) or ""), matcher.threshold) for p in matcher.similar]
    return 0 if scores and min(scores) < matcher.threshold else min(scores, default=100)


async def _candidates(conn: Any, ctx: Context, target: Entity, matcher: Matcher, row: Row, mark: str | None) -> list[UUID]:
    """Ids of records worth comparing. All by the primary key of the tokens; its plan is that of a few index scans, however many records
    there are (tests/integration/twins/test_duplicates.py)."""
    if mark is not None:
        sql = "SELECT s.record_id FROM search_token s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = $3 LIMIT $4"
        equal = [r[0] for r in await conn.fetch(sql, ctx.tenant_id, target.number, mark, EQUAL + 1)]
        if not matcher.similar or len(equal) <= EQUAL:
            return equal[:EQUAL]
    part = matcher.similar[0]
    wanted = [f"{GRAM}{part.other}:{gram}" for gram in grams(str(row.get(part.own)))]
    rare = await _rarest(conn, ctx, target, wanted)
    if not rare:
        return []
    # Each piece by its own range of the index, so many records of each at most; those that share most of them first.
    sharing = (
        "SELECT s.record_id, count(*) AS shared FROM unnest($3::text[]) AS g (token) CROSS JOIN LATERAL ("
        "SELECT s.record_id FROM search_token s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = g.token LIMIT $4) s {beside}GROUP BY s.record_id"
    )
    given: list[Any] = [ctx.tenant_id, target.number, rare, WEIGHED, COMPARED]
    if mark is None:
        sql = f"SELECT c.record_id FROM ({sharing.format(beside='')}) c"
    elif await _is_rare(conn, ctx, target, mark):  # the records of the mark are read once
        sql = f"SELECT c.record_id FROM ({sharing.format(beside=f'JOIN (SELECT m.record_id FROM search_token m WHERE {_OF_MARK} LIMIT {FEW}) m ON m.record_id = s.record_id ')}) c"
        given.append(mark)
    else:  # there are too many: those that share most are asked one by one (LIMIT 1, or the planner reads all of the mark's)
        sql = (
            f"SELECT c.record_id FROM ({sharing.format(beside='')} ORDER BY count(*) DESC, s.record_id LIMIT {ASKED}) c "
            f"CROSS JOIN LATERAL (SELECT 1 FROM search_token m WHERE {_OF_MARK} AND m.record_id = c.record_id LIMIT 1) m"
        )
        given.append(mark)
    found = await conn.fetch(f"{sql} ORDER BY c.shared DESC, c.record_id LIMIT $5", *given)
    return [r[0] for r in found]


_OF_MARK = "m.tenant_id = $1 AND m.entity_id = $2 AND m.token = $6"


async def _is_rare(conn: Any, ctx: Context, target: Entity, mark: str) -> bool:
    """Whether few records have this mark."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM search_token s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = $3 LIMIT $4) c"
    return await conn.fetchval(sql, ctx.tenant_id, target.number, mark, FEW + 1) <= FEW


async def _rarest(conn: Any, ctx: Context, target: Entity, wanted: Sequence[str]) -> list[str]:
    """The pieces that fewest records have, as many as together name not too many records; at least the rarest that any has."""
    counted = await conn.fetch(
        "SELECT g.token, (SELECT count(*) FROM (SELECT 1 FROM search_token s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.token = g.token LIMIT $4) c) "
        "FROM unnest($3::text[]) AS g (token)",
        ctx.tenant_id, target.number, wanted, FREQUENT + 1,
    )  # fmt: skip
    chosen: list[str] = []
    total = 0
    for token, count in sorted(((r[0], r[1]) for r in counted if r[1]), key=lambda c: (c[1], c[0])):
        if chosen and total + count > WEIGHED:
            break
        chosen.append(token)
        total += count
    return chosen


# ---- when something is saved -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What one rule has to say; `queues`: nobody is asked, somebody looks at it later."""

    rule: DuplicateDef
    matcher: Matcher
    hits: list[Hit]
    refuses: bool
    may_confirm: bool
    queues: bool = False
    matches: list[dict[str, Any]] = field(default_factory=list)

    @property
    def message(self) -> str | LazyString:
        return pick(self.rule.message) or lazy("A similar record already exists")


async def look_for_duplicates(conn: Any, ctx: Context, entity: Entity, row: Row, changed: set[str], confirmation: Confirmation, *, is_new: bool) -> Told:
    """Apply the soft rules to a record that is about to be saved. Returns what was confirmed; raises DuplicateFound with all that may be told
    where one refuses, or was not confirmed."""
    found: list[_Found] = []
    # What an automation does is ordered by the configuration, but what it meets is told to the person who set it off.
    asker = ctx.replace(elevated=False) if ctx.user is not None else ctx
    unasked = ctx.unrestricted or confirmation.unasked
    for rule, matcher in own_rules(ctx.config, entity):
        act = rule.action if is_new else rule.on_update or rule.action
        if act == "ignore" or not changed & set(rule.match):
            continue
        hits = await found_twins(conn, asker, matcher, row, only_readable=not rule.across and not ctx.unrestricted, fields=reveal_of(rule))
        if hits:
            if act == "queue":
                found.append(_Found(rule, matcher, hits, refuses=False, may_confirm=True, queues=True))
                continue
            confirmable = act != "block" and (unasked or may_confirm(ctx, rule))
            agreed = unasked or (confirmation.given and (bool(confirmation.reason.strip()) or not rule.reason))
            found.append(_Found(rule, matcher, hits, not (confirmable and agreed), confirmable))
    refusing = [item for item in found if item.refuses]
    if refusing:
        await _tell(conn, asker, entity, refusing)
    alike = [(row.id, hit.row.id, item.rule.key, hit.score) for item in found if item.matcher.target == entity.key for hit in item.hits]
    await keep_pairs(conn, ctx, entity, alike)
    return Told([str(item.message) for item in found if not item.queues], [str(item.rule.review) for item in found if item.queues])


async def let_wait(conn: Any, ctx: Context, entity: Entity, record_id: UUID, reviews: Iterable[str]) -> None:
    """Put a record into the queues that rules named."""
    for key in dict.fromkeys(reviews):
        await conn.execute(
            "INSERT INTO review_item (tenant_id, id, review_key, entity_id, record_id, enqueued_at) VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT (tenant_id, review_key, record_id) WHERE decided_at IS NULL DO NOTHING",
            ctx.tenant_id, new_id(ctx.now), key, entity.number, record_id, ctx.now,
        )  # fmt: skip


async def _tell(conn: Any, ctx: Context, entity: Entity, refusing: list[_Found]) -> None:
    """Raise what the person may know: the strictest rule gives the message, all of them the records."""
    first = next((item for item in refusing if not item.may_confirm), refusing[0])
    matches: list[dict[str, Any]] = []
    seen: set[UUID] = set()
    for item in [first, *(other for other in refusing if other is not first)]:
        hits = [hit for hit in item.hits if hit.row.id not in seen]
        seen |= {hit.row.id for hit in hits}
        matches += await shown(conn, ctx, item.rule, item.matcher, hits)
    raise DuplicateFound(
        first.message, matches=matches[:MOST], rule=first.rule.key, action="warn" if first.may_confirm else "block", entity=entity.key,
        needs_reason=any(item.rule.reason for item in refusing) and first.may_confirm,
    )  # fmt: skip


def told(error: DuplicateFound) -> str:
    """A refusal in one line: the rule's message, and what may be told of the records that were found."""
    named = [", ".join(filter(None, (m["title"], m["owner"], *(s["text"] for s in m["shown"] if m["id"] is None)))) for m in error.data.get("matches") or ()]
    return titled(str(error.message), "; ".join(text for text in named if text)) if any(named) else str(error.message)


def may_confirm(ctx: Context, rule: DuplicateDef) -> bool:
    """Whether the person may save all the same, where the rule only warns."""
    return not rule.confirm_roles or permissions.is_admin(ctx) or bool(ctx.user and set(rule.confirm_roles) & set(ctx.user.role_keys))


def reveal_of(rule: DuplicateDef) -> tuple[str, ...]:
    return rule.against.reveal if rule.against else rule.reveal


async def shown(conn: Any, ctx: Context, rule: DuplicateDef, matcher: Matcher, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """What a person learns of records found: of those they may see name, link, compared and revealed fields; of the others the fields the rule
    reveals, as far as their role sees such fields at all. Records of which nothing may be told are one entry, however many they are."""
    target = ctx.config.entity(matcher.target)
    reveal = tuple(key for key in reveal_of(rule) if key in target.fields)
    keys = dict.fromkeys((target.defn.title, *(part.other for part in matcher.parts), *reveal, *(("owner",) if target.defn.owned else ())))
    records = await present(conn, ctx, target, [hit.row for hit in hits], list(keys))
    found = []
    for hit, record in zip(hits, records, strict=True):
        readable = bool(hit.row.holds.get("read"))
        told = keys if readable else reveal
        texts = {key: record.display[key] for key in told if record.display.get(key)}
        entry = {
            "entity": target.key, "id": str(record.id) if readable else None, "title": record.title if readable else texts.get(target.defn.title),
            "owner": texts.get("owner"), "score": hit.score if readable else None,
            "shown": [{"field": key, "label": pick(target.fields[key].label, ctx.locale), "text": text} for key, text in texts.items() if key not in ("owner", target.defn.title)],
        }  # fmt: skip
        if readable or texts or entry not in found:
            found.append(entry)
    return found
