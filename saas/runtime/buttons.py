"""Buttons of automations on a record: which are offered to somebody, and pressing one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.errors import Conflict, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.models import AutomationDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import run_automation
from saas.runtime.context import Context
from saas.runtime.env import prepare, read_row
from saas.runtime.records import load
from saas.runtime.rows import Row


def buttons_of(ctx: Context, entity: Entity) -> list[AutomationDef]:
    """The entity's automations that begin with a button."""
    return ctx.config.cached(("buttons.of", entity.key), lambda: [a for a in ctx.config.automations(entity.key) if a.on.trigger == "button"])


def text_of(ctx: Context, automation: AutomationDef) -> str:
    return pick(automation.on.options.get("text"), ctx.locale) or pick(automation.label, ctx.locale)


def may_press(ctx: Context, automation: AutomationDef) -> bool:
    """Whether the person may press it on any record at all."""
    return _may(ctx, automation, may_update=permissions.may(ctx, "update", automation.entity))


def _may(ctx: Context, automation: AutomationDef, *, may_update: bool) -> bool:
    roles = automation.on.options.get("roles") or ()
    if ctx.unrestricted or permissions.is_admin(ctx):
        return True
    return bool(ctx.user is not None and set(roles) & set(ctx.user.role_keys)) if roles else may_update


async def offers(conn: Any, ctx: Context, entity: Entity, record: ops.Record) -> tuple[ops.ButtonOffer, ...]:
    """The buttons the person may press on a record they see, now."""
    mine = [a for a in buttons_of(ctx, entity) if record.can is not None and _may(ctx, a, may_update=record.can.update)]
    if not mine or record.deleted_at is not None or not permissions.is_open(ctx) or (ctx.key is not None and "write" not in ctx.key.scopes):
        return ()
    row = await read_row(conn, ctx, entity, record.id)
    if row is None:
        return ()
    env = await prepare(conn, ctx, entity, row, [a.condition for a in mine])
    return tuple(
        ops.ButtonOffer(a.key, text_of(ctx, a), a.on.options.get("style", "default"), pick(a.on.options.get("confirm"), ctx.locale)) for a in mine if env.holds(a.condition)
    )


async def press(act: Act, entity: Entity, record_id: UUID, key: str) -> Row:
    """Errors: NotFound for an unknown button or a record the person may not see, PermissionDenied, Conflict while its condition does not
    hold, and those of its steps."""
    automation = next((a for a in buttons_of(act.ctx, entity) if a.key == key), None)
    if automation is None:
        raise NotFound(lazy("There is no button “%(key)s” here.", key=key))
    row = await load(act.conn, act.ctx, entity, record_id, lock=True)
    act.held.add((entity.key, record_id))
    if not _may(act.ctx, automation, may_update=row.holds.get("update", False)):
        raise PermissionDenied(lazy("You may not do “%(label)s” on this record.", label=text_of(act.ctx, automation)), button=key)
    if not await run_automation(act, automation, Happening("button", entity, row)):
        raise Conflict(lazy("“%(label)s” is not possible for this record now.", label=text_of(act.ctx, automation)), reason="condition")
    return row
