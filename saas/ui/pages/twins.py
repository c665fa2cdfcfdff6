"""Possible duplicates of an entity: groups of records that may be the same, merged or said to be different one after the other.

Who: whoever keeps the data tidy, once a month or when a colleague says that a customer is there twice. What next: merge, or the next group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import BadRequest
from saas.i18n import gettext as _
from saas.i18n import listed, pick
from saas.metadata.config import Entity
from saas.runtime import Context, jobs, permissions, twins
from saas.runtime import operations as ops
from saas.runtime.merging import MOST_RECORDS
from saas.runtime.records import entity_of
from saas.ui import formats
from saas.ui.guards import local_path, signed_in
from saas.ui.listing import is_uuid
from saas.ui.pages.merging import merge_url
from saas.ui.views import Choice, Toast

GROUPS = 20


@dataclass(frozen=True, slots=True)
class TwinRow:
    id: str
    title: str
    url: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupView:
    rows: tuple[TwinRow, ...]
    why: str
    score: str
    merge_url: str


@get("/r/{entity:str}/twins")
async def show(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found = ask.ctx, entity_of(ask.ctx, entity)
    rules = {rule.key: rule for rule, matcher in twins.own_rules(ctx.config, found) if matcher.target == found.key}
    rule = request.query_params.get("rule") if request.query_params.get("rule") in rules else None
    mine = request.query_params.get("mine") == "1"
    here = f"/r/{found.key}/twins" + (f"?rule={rule}" if rule else "") + (f"{'&' if rule else '?'}mine=1" if mine else "")
    async with ask.work() as conn:
        groups, more = await twins.twin_groups(conn, ctx, found, rule=rule, mine=mine, limit=GROUPS)
        last = await conn.fetchrow(
            "SELECT id, status, finished_at FROM job WHERE tenant_id = $1 AND kind = 'find_twins' AND payload ->> 'entity' = $2 ORDER BY created_at DESC LIMIT 1", ctx.tenant_id, found.key
        )
    heads = _columns(ctx, found)
    choices = (Choice("", _("all rules"), on=rule is None), *(Choice(k, _rule_words(ctx, found, k), on=k == rule) for k in rules))
    return ask.page(
        "records/twins.html", entity=found.key, entity_plural=pick(found.defn.plural, ctx.locale), list_url=f"/r/{found.key}", here=here, rules=choices, mine=mine, owned=found.defn.owned, more=more,
        heads=[pick(found.fields[k].label, ctx.locale) for k in heads], groups=[_group(ctx, found, g, heads, here) for g in groups], has_rules=bool(rules),
        running=bool(last) and last["status"] in ("queued", "running"), searched=formats.full(ctx, last["finished_at"]) if last and last["finished_at"] else "",
    )  # fmt: skip


def _columns(ctx: Context, entity: Entity) -> list[str]:
    """What is worth comparing: the fields the rules compare, the owner, when it was changed; not the title, which stands in front."""
    access = permissions.static_access(ctx, entity)
    compared = [part.own for _rule, matcher in twins.own_rules(ctx.config, entity) for part in matcher.parts if matcher.target == entity.key]
    keys = dict.fromkeys([*compared, *(["owner"] if entity.defn.owned else []), "updated_at"])
    return [k for k in keys if k != entity.defn.title and access.get(k, "hidden") != "hidden"][:6]


def _rule_words(ctx: Context, entity: Entity, key: str) -> str:
    rule = next(r for r in entity.defn.duplicates if r.key == key)
    return listed(pick(entity.fields[k].label, ctx.locale) for k in rule.match)


def _group(ctx: Context, entity: Entity, group: twins.TwinGroup, heads: list[str], here: str) -> GroupView:
    rows = tuple(TwinRow(str(r.id), r.title, f"/r/{entity.key}/{r.id}", tuple(_cell(ctx, r, k) for k in heads)) for r in group.records)
    why = "; ".join(_rule_words(ctx, entity, key) for key in group.rules)
    ids = [row.id for row in rows][:MOST_RECORDS]
    return GroupView(rows, why, _("%(percent)s %% alike", percent=group.score) if group.score < 100 else _("equal"), merge_url(entity.key, ids, ids[0], here))


def _cell(ctx: Context, record: ops.Record, key: str) -> str:
    return record.display.get(key, "")


@post("/r/{entity:str}/twins/search", status_code=200)
async def search(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    await ask.form()
    async with ask.work() as conn:
        started = await twins.start_search(conn, ask.ctx, found)
    jobs.ring()
    text = _("The search has begun; groups appear as they are found.") if started else _("A search is under way already.")
    return ask.redirect(f"/r/{found.key}/twins", Toast(text))


@post("/r/{entity:str}/twins/dismiss", status_code=200)
async def dismiss(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    ids = [UUID(str(v)) for v in form.getall("ids", []) if is_uuid(str(v))]
    back = local_path(str(form.get("next") or ""), f"/r/{found.key}/twins")
    try:
        async with ask.work() as conn:
            await twins.dismiss(conn, ask.ctx, found, ids)
    except BadRequest as error:
        return ask.redirect(back, Toast(str(error.message), "error"))
    return ask.redirect(back, Toast(_("These records are not shown together again.")))


router = Router("", route_handlers=[show, search, dismiss])
