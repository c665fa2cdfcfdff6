"""What there may be already of a record that somebody is entering, said while they type and not only when they save.

Told is what saving would tell: the same rules find, and `twins.shown` says no more of records the person may not see than the rules reveal. Beside
it stand records they may see whose names contain what was typed so far.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.runtime import operations as ops
from saas.runtime import permissions, twins
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.present import present
from saas.runtime.rows import Row
from saas.runtime.search import is_han, rarest
from saas.runtime.twins.looking import begun, may_confirm, reveal_of, shown
from saas.runtime.twins.rules import EXACT
from saas.runtime.validate import Draft, defaults, forget_unreadable, lay
from saas.tenants import new_id

MOST = 8
NAMED = 5  # records whose names contain what was typed
BEGUN_HAN, BEGUN = 2, 3  # characters after which a name is looked for


@dataclass(frozen=True, slots=True)
class Alike:
    """`matches`: as in a refusal (`DuplicateFound`): entity, id and title where they may be told, owner, shown, score. `message` and `action`
    (block or warn) are those of the strictest rule that found one; "" where the names alone are alike."""

    matches: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""
    action: str = ""


def looked_at(ctx: Context, entity: Entity) -> tuple[str, ...]:
    """The fields of an entity of which a rule asks whether there is the same already; () where none does that people are told of."""

    def make() -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.own for rule, matcher in twins.own_rules(ctx.config, entity) if rule.action in ("block", "warn") for part in matcher.parts))

    return ctx.config.cached(("alike.fields", entity.key), make)


async def look_up(conn: Any, ctx: Context, entity: Entity, values: Mapping[str, Any]) -> Alike:
    """`values`: JSON values as typed; what cannot be understood yet, or is not theirs to fill in, is left out. Nothing is written.
    Errors: PermissionDenied where they could not create such a record."""
    permissions.require(ctx, "create", entity.key)
    access = permissions.static_access(ctx, entity)
    row = Row(id=new_id(ctx.now), entity=entity.key, version=0, created_at=ctx.now, updated_at=ctx.now)
    lay(ctx, entity, row, {k: v for k, v in values.items() if access.get(k) == "write"})
    await forget_unreadable(conn, ctx, entity, row, None)
    await defaults(conn, ctx, Draft(entity, row, None, access))
    matches: list[dict[str, Any]] = []
    message = action = ""
    seen: set[UUID] = set()
    for rule, matcher in sorted(twins.own_rules(ctx.config, entity), key=lambda pair: pair[0].action != "block"):
        if rule.action not in ("block", "warn"):
            continue
        found = await twins.found_twins(conn, ctx, matcher, row, only_readable=not rule.across, fields=reveal_of(rule), limit=MOST)
        hits = [hit for hit in found if hit.row.id not in seen]
        if found and not action:
            action = "warn" if rule.action == "warn" and may_confirm(ctx, rule) else "block"
            message = pick(rule.message, ctx.locale) or str(lazy("A similar record already exists"))
        seen |= {hit.row.id for hit in hits}
        matches += await shown(conn, ctx, rule, matcher, hits)
    for match in await _named(conn, ctx, entity, row) if len(matches) < MOST else ():
        if UUID(match["id"]) not in seen and not seen.add(UUID(match["id"])):
            matches.append(match)
    return Alike(matches[:MOST], message, action)


async def _named(conn: Any, ctx: Context, entity: Entity, row: Row) -> list[dict[str, Any]]:
    """Records the person may see whose names contain what was typed so far. Names compared as wholes are looked for as the search does, as long
    as few records have the rarest of their words."""
    found: dict[UUID, dict[str, Any]] = {}
    asked: set[tuple[str, str]] = set()
    for rule, matcher in twins.own_rules(ctx.config, entity):
        target = ctx.config.entity(matcher.target)
        part = next((p for p in matcher.parts if p.how != EXACT or p.other == target.defn.title), None)
        text = str(row.get(part.own) or "")[:100] if part else ""
        if rule.action not in ("block", "warn") or (target.key, text) in asked or not _begun(text) or not permissions.may(ctx, "read", target.key):
            continue
        asked.add((target.key, text))
        keys = [target.defn.title, *(("owner",) if target.defn.owned else ())]
        if matcher.similar:
            records = await present(conn, ctx, target, await begun(conn, ctx, matcher, text, keys, NAMED), keys)
        elif (rare := await rarest(conn, ctx, target, text)) is not None and rare >= 0:
            records = (await execute(ctx, ops.List(entity=target.key, q=text, limit=NAMED, fields=keys))).records
        else:
            continue
        for record in records:
            found[record.id] = {"entity": target.key, "id": str(record.id), "title": record.title, "owner": record.display.get("owner"), "score": None, "shown": []}
    return list(found.values())


def _begun(text: str) -> bool:
    letters = re.sub(r"\W", "", text)
    return sum(is_han(sign) for sign in letters) >= BEGUN_HAN or len(letters) >= BEGUN
