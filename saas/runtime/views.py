"""Views of lists and boards: those of the configuration that a person's roles see, and those people saved themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import PoolDef, ViewDef
from saas.metadata.pools import COUNTDOWN, POOL_VIEW
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.pools.rights import sees, sources_of
from saas.runtime.query import Query, parse_sort
from saas.tenants import new_id

ALL_KEY = "all"
ALL_VIEW = {"en": "All", "zh_CN": "全部"}
_ALLOWED = {"columns", "filter", "sort", "page_size", "kind", "board", "label", "q", "panel"}


def default_columns(entity: Entity) -> tuple[str, ...]:
    shown = [f.key for f in entity.defn.fields if f.type not in ("longtext", "richtext", "file", "image", "address", "m2m") and not f.hidden]
    title = entity.defn.title
    keys = [title, *(k for k in shown if k != title)][:6]
    return (*keys, "owner", "created_at") if entity.defn.owned else (*keys, "created_at")


def configured_views(ctx: Context, entity: Entity) -> list[ViewDef]:
    """The configuration's views of the entity that the person's roles see; never empty."""
    mine = set(ctx.user.role_keys) if ctx.user else set()
    views = [v for v in ctx.config.views(entity.key) if not v.roles or mine & set(v.roles) or permissions.is_admin(ctx)]
    if not any(v.kind == "list" for v in views):
        views.insert(0, everything(entity))
    taken = {v.key for v in ctx.config.views(entity.key)}
    views += [view for pool in entity.defn.pools if (view := pool_view(entity, pool)).key not in taken and (sees(ctx, pool) or permissions.is_admin(ctx))]
    return views


def pool_view(entity: Entity, pool: PoolDef) -> ViewDef:
    """What lies in a pool, the oldest first."""
    parts = ["owner == null"]
    for other in entity.defn.pools:
        if other.key == pool.key:
            parts += [f"({pool.when})"] if pool.when else []
            break
        parts.append(f"not ({other.when or 'true'})")
    sources = sources_of(entity, pool.claim_transition)
    if sources is not None and entity.pipeline is not None:
        parts.append(f"{entity.pipeline.field} in [{', '.join(repr(s) for s in sources)}]")
    columns = tuple(k for k in default_columns(entity) if k not in ("owner", COUNTDOWN))
    return ViewDef(key=f"{POOL_VIEW}{pool.key}", entity=entity.key, label=pool.label, columns=columns, filter={"expr": " and ".join(parts)}, sort=("created_at",))


def everything(entity: Entity) -> ViewDef:
    """The view without a filter. It can be asked for where the configuration offers none: links from figures need it."""
    return ViewDef(key=ALL_KEY, entity=entity.key, label=ALL_VIEW, columns=default_columns(entity), sort=("-created_at",))


async def saved_views(conn: Any, ctx: Context, entity: Entity) -> list[ViewDef]:
    """The person's own views and those shared with everybody; who looks through another's eyes sees the latter only."""
    if ctx.user is None:
        return []
    found = await conn.fetch(
        "SELECT key, definition FROM saved_view WHERE tenant_id = $1 AND entity_key = $2 AND (user_id = $3 OR shared) ORDER BY position, created_at",
        ctx.tenant_id, entity.key, ctx.user_id if ctx.viewer is None else None,
    )  # fmt: skip
    return [_view(entity, item["key"], json.loads(item["definition"])) for item in found]


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view that somebody saved, with its owner."""

    view: ViewDef
    user_id: UUID
    user_name: str
    is_shared: bool


async def peoples_views(conn: Any, ctx: Context, *, most: int) -> list[SavedView]:
    """Views that people saved, of those who can sign in, the newest first. What a view is called and what it filters by is its owner's
    alone unless it is shared: the caller shows neither to anybody else. Errors: PermissionDenied."""
    permissions.require_setting(ctx, "config")
    found = await conn.fetch(
        "SELECT v.entity_key, v.key, v.definition, v.user_id, v.shared, u.name FROM saved_view v "
        "JOIN app_user u ON u.tenant_id = v.tenant_id AND u.id = v.user_id AND u.status = 'active' "
        "WHERE v.tenant_id = $1 AND v.entity_key = ANY($2::text[]) ORDER BY v.created_at DESC, v.id LIMIT $3",
        ctx.tenant_id, list(ctx.config.entities), most,
    )  # fmt: skip
    return [
        SavedView(_view(ctx.config.entity(item["entity_key"]), item["key"], json.loads(item["definition"])), item["user_id"], item["name"], item["shared"])
        for item in found
    ]  # fmt: skip


def _view(entity: Entity, key: str, definition: Mapping[str, Any]) -> ViewDef:
    return ViewDef(
        key=key, entity=entity.key, label=definition["label"], kind=definition.get("kind", "list"),
        columns=tuple(k for k in definition.get("columns") or default_columns(entity) if k in entity.fields),
        filter=definition.get("filter"), sort=tuple(definition.get("sort") or ()), page_size=definition.get("page_size", 50),
        board=definition.get("board"), panel=bool(definition.get("panel")),
    )  # fmt: skip


async def all_views(conn: Any, ctx: Context, entity: Entity) -> list[ViewDef]:
    return [*configured_views(ctx, entity), *await saved_views(conn, ctx, entity)]


async def save_view(conn: Any, ctx: Context, entity: Entity, name: str, definition: Mapping[str, Any], *, shared: bool = False) -> str:
    """Save a view for the person; returns its key. Sharing needs the right to configure."""
    permissions.require(ctx, "read", entity.key)
    if shared:
        permissions.require_setting(ctx, "config")
    name = name.strip()
    if not name or len(name) > 60:
        raise InvalidInput([FieldProblem("name", "required", lazy("Give the view a name of at most 60 characters."))])
    kept = {k: v for k, v in definition.items() if k in _ALLOWED and v not in (None, "", [])}
    Query(ctx, entity).filter(kept.get("filter"))  # refuses what the person may not name
    parse_sort(ctx, entity, kept.get("sort"))
    kept["label"] = {ctx.locale: name}
    kept["page_size"] = min(max(int(kept.get("page_size", 50)), 5), 200)
    view_id = new_id(ctx.now)
    key = f"u_{re.sub('[^a-z0-9]', '', view_id.hex)[-12:]}"
    await conn.execute(
        "INSERT INTO saved_view (tenant_id, id, entity_key, key, user_id, shared, definition, position, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, 0, $8)",
        ctx.tenant_id, view_id, entity.key, key, ctx.user_id, shared, json.dumps(kept, ensure_ascii=False), ctx.now,
    )  # fmt: skip
    return key


async def delete_view(conn: Any, ctx: Context, entity: Entity, key: str) -> None:
    found = await conn.fetchrow("SELECT id, user_id FROM saved_view WHERE tenant_id = $1 AND entity_key = $2 AND key = $3", ctx.tenant_id, entity.key, key)
    if found is None:
        raise NotFound()
    if found["user_id"] != ctx.user_id and not permissions.may_configure(ctx, "config"):
        raise PermissionDenied()
    await conn.execute("DELETE FROM saved_view WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, UUID(str(found["id"])))
    await conn.execute("DELETE FROM view_measure WHERE tenant_id = $1 AND subject = $2", ctx.tenant_id, saved_path(entity.key, key))


def saved_path(entity_key: str, key: str) -> str:
    """What measures of a saved view are kept under."""
    return f"saved[{entity_key}:{key}]"
