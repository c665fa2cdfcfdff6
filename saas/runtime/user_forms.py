"""Forms that people make and fill in at run time: making one is publishing a configuration with it; filling in is making a record."""

from __future__ import annotations

from dataclasses import dataclass

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata import store
from saas.metadata.config import Entity
from saas.metadata.form_blueprints import FormWish, add_form
from saas.runtime import configuration, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute

RECENT = 10


@dataclass(frozen=True, slots=True)
class Filled:
    """A form somebody filled in, or a draft of one."""

    entity: Entity
    record: ops.Record


def forms(ctx: Context) -> list[Entity]:
    """The forms the person may fill in or look at."""
    found = [e for e in ctx.config.entities.values() if e.defn.form]
    return [e for e in found if permissions.may(ctx, "create", e.key) or permissions.may(ctx, "read", e.key)]


def may_make(ctx: Context) -> bool:
    return permissions.may_configure(ctx, "forms") or permissions.may_configure(ctx, "config")


async def make_form(ctx: Context, wish: FormWish) -> str:
    """Publish the configuration with one more form; the key of its entity. Errors: PermissionDenied, and as `configuration.publish`:
    InvalidDefinition, Conflict (somebody published meanwhile), PlanLimitReached."""
    permissions.require_active(ctx)
    if not may_make(ctx):
        permissions.require_setting(ctx, "forms")
    raw = (await store.revision(ctx.tenant_id)).bundle or {}
    bundle, key = add_form(raw, wish)
    # Whoever has the right to make forms gets no other by it: what is published differs from what is live by this form only.
    await configuration.publish(ctx.replace(elevated=True), raw=bundle, base_revision=ctx.config.revision, message=_("Form “%(name)s”", name=pick(wish.label, ctx.locale)))
    return key


async def filled(ctx: Context) -> list[Filled]:
    """What the person filled in last, drafts included, newest first."""
    found: list[Filled] = []
    if ctx.user_id is None or ctx.viewer is not None:
        return found
    for entity in forms(ctx):
        if permissions.may(ctx, "read", entity.key):
            page = await execute(ctx, ops.List(entity=entity.key, within={"field": "created_by", "op": "eq", "value": str(ctx.user_id)}, sort=("-created_at",), limit=RECENT))
            found += [Filled(entity, record) for record in page.records]
    found.sort(key=lambda f: f.record.created_at, reverse=True)
    return found[: RECENT * 2]
