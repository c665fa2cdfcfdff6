"""Search over everything a person may read, grouped by kind of record."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from saas.db import tenant_transaction
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.search import runs

MAX_TEXT = 200


async def global_search(ctx: Context, text: str, limit: int = 20, *, per_entity: int = 5) -> list[dict[str, Any]]:
    """[{"entity", "label", "icon", "hits": [{"id", "title", "subtitle", "url"}], "more": url | None}]; groups in the order of the
    configuration, those with a title that begins with the text first. Only entities and records the person may read."""
    text = text.strip()[:MAX_TEXT]
    if not runs(text) or limit < 1:
        return []
    groups: list[dict[str, Any]] = []
    async with tenant_transaction(ctx.tenant_id):
        for entity in ctx.config.entities.values():
            if entity.defn.search and permissions.may(ctx, "read", entity.key):
                found = await _hits(ctx, entity, text, min(per_entity, limit))
                if found:
                    groups.append(found)
    groups.sort(key=lambda g: not _begins(g["hits"][0]["title"], text))
    return _cut(groups, limit)


async def _hits(ctx: Context, entity: Entity, text: str, limit: int) -> dict[str, Any] | None:
    access = permissions.static_access(ctx, entity)
    shown = [k for k in (entity.defn.title, entity.defn.subtitle) if k and access.get(k, "hidden") != "hidden"]
    page = await execute(ctx, ops.List(entity=entity.key, q=text, fields=shown, sort=["-updated_at"], limit=limit + 10))
    if not page.records:
        return None
    hits = [
        {"id": str(r.id), "title": r.title, "subtitle": r.display.get(entity.defn.subtitle or "", ""), "url": f"/r/{entity.key}/{r.id}"}
        for r in page.records
    ]
    hits.sort(key=lambda h: not _begins(h["title"], text))
    return {
        "entity": entity.key, "label": pick(entity.defn.plural, ctx.locale), "icon": entity.defn.icon, "hits": hits[:limit],
        "more": f"/r/{entity.key}?q={quote(text, safe='')}" if len(hits) > limit or page.next else None,
    }  # fmt: skip


def _begins(title: str, text: str) -> bool:
    return title.casefold().startswith(text.casefold())


def _cut(groups: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    kept = []
    for group in groups:
        if limit <= 0:
            break
        group["hits"] = group["hits"][:limit]
        limit -= len(group["hits"])
        kept.append(group)
    return kept
