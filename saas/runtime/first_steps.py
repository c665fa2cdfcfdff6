"""The first ten minutes of an administrator in a new workspace: a short list of what is worth doing, written from the configuration and ticked
by what has really happened, not by clicks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import pick, titled
from saas.metadata.packs import list_packs
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.leading import leading
from saas.runtime.sample_data import KIND as LOADING
from saas.tenants.first_steps import has_first_steps

_FACTS = """
SELECT
  EXISTS (SELECT 1 FROM sample_record s WHERE s.tenant_id = $1) AS had_sample,
  EXISTS (SELECT 1 FROM sample_record s JOIN record r ON r.tenant_id = s.tenant_id AND r.entity_id = s.entity_id AND r.id = s.record_id AND r.deleted_at IS NULL
          WHERE s.tenant_id = $1) AS has_sample,
  EXISTS (SELECT 1 FROM record_event e JOIN sample_record s ON s.tenant_id = e.tenant_id AND s.entity_id = e.entity_id AND s.record_id = e.record_id
          WHERE e.tenant_id = $1 AND e.at > $4 AND e.origin <> 'sample' AND e.actor_id IS NOT NULL AND e.kind IN ('updated', 'transition')) AS tried_sample,
  EXISTS (SELECT 1 FROM record r WHERE r.tenant_id = $1 AND r.entity_id = $2 AND r.created_by IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM sample_record s WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.record_id = r.id)) AS created,
  EXISTS (SELECT 1 FROM record_event e WHERE e.tenant_id = $1 AND e.entity_id = $3 AND e.at > $4 AND e.kind = 'transition' AND e.origin <> 'sample'
          AND e.actor_id IS NOT NULL) AS moved,
  EXISTS (SELECT 1 FROM audit_event a WHERE a.tenant_id = $1 AND a.kind = 'records.imported') AS imported,
  EXISTS (SELECT 1 FROM invitation i WHERE i.tenant_id = $1 AND i.withdrawn_at IS NULL)
    OR (SELECT count(*) > 1 FROM app_user u WHERE u.tenant_id = $1 AND u.sample_key IS NULL) AS invited,
  (SELECT jsonb_build_array(j.progress, coalesce(j.total, 0), j.status, j.id) FROM job j WHERE j.tenant_id = $1 AND j.kind = $5 ORDER BY j.created_at DESC LIMIT 1) AS loading
"""


@dataclass(frozen=True, slots=True)
class Step:
    """`key` names it for scripts and tests; `act` is what the button says."""

    key: str
    title: str
    text: str
    url: str
    act: str
    done: bool


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """`loading`: (done, of) of the sample data that is being filled in, None when nothing is; `failed`: it could not be."""

    steps: tuple[Step, ...]
    loading: tuple[int, int] | None = None
    failed: bool = False

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps)


async def shown_to(conn: Any, ctx: Context) -> FirstSteps | None:
    """The list of somebody who has one and has not put it away; within an open transaction of the tenant."""
    if ctx.user_id is None or not permissions.is_admin(ctx) or not await has_first_steps(conn, ctx.tenant_id, ctx.user_id):
        return None
    return await first_steps(conn, ctx)


async def first_steps(conn: Any, ctx: Context) -> FirstSteps:
    """What is done and what is not; within an open transaction of the tenant."""
    found = leading(ctx.config)
    main, moving = found.main, found.moving
    # What sample people did lies before the moment at which filling in began.
    begun = await conn.fetchval("SELECT coalesce((SELECT min(loaded_at) FROM sample_record WHERE tenant_id = $1), (SELECT created_at FROM tenant WHERE id = $1))", ctx.tenant_id)
    facts = await conn.fetchrow(_FACTS, ctx.tenant_id, main.number if main else 0, moving.number if moving else 0, begun, LOADING)
    progress, total, status, _id = json.loads(facts["loading"]) if facts["loading"] else (0, 0, "done", None)
    loading = (progress, total) if status in ("queued", "running", "paused") else None
    return FirstSteps(tuple(_steps(ctx, facts)), loading, status in ("failed", "cancelled"))


def _steps(ctx: Context, facts: Any) -> list[Step]:
    found, steps = leading(ctx.config), []
    main, moving = found.main, found.moving
    pack = ctx.config.bundle.pack.key
    where = moving or main
    if facts["had_sample"] and where is not None:
        steps.append(Step("sample", _("Look around in the sample data"), _("Open a record (%(name)s), change something, see its history.", name=pick(where.defn.label)), f"/r/{where.key}", _("Look around"), facts["tried_sample"] or not facts["has_sample"]))
    elif not facts["loading"] and any(p.key == pack and p.has_sample for p in list_packs()):
        steps.append(Step("sample", _("Fill in sample data"), _("Invented records that show what everything is for. They can be taken out again."), "/settings/sample", _("Fill in"), False))
    if main is not None and permissions.may(ctx, "create", main.key):
        name = pick(main.defn.label)
        steps.append(Step("create", _("Create your first own record"), _("For example one of these: %(name)s", name=name), f"/r/{main.key}/new", _("New %(name)s", name=name), facts["created"]))
    if moving is not None and moving.pipeline is not None:
        stages = " → ".join(pick(s.label) for s in moving.pipeline.stages if not s.is_final) or pick(moving.pipeline.stages[0].label)
        url = f"/r/{moving.key}/board" + (f"?view={found.board.key}" if found.board else "") if found.board else f"/r/{moving.key}"
        steps.append(Step("move", _("Take a record to its next stage"), str(titled(pick(moving.defn.plural), stages)), url, _("Open the pipeline"), facts["moved"]))
    if main is not None and permissions.may(ctx, "import", main.key):
        steps.append(Step("import", _("Import your list"), _("From Excel or CSV: %(name)s", name=pick(main.defn.plural)), f"/r/{main.key}/import", _("Import"), facts["imported"]))
    steps.append(Step("invite", _("Invite a colleague"), _("With the role they need; they get a link by e-mail."), "/settings/users/invite", _("Invite"), facts["invited"]))
    brand = ctx.tenant.brand
    steps.append(Step("brand", _("Give it your colours"), _("Logo and colour, seen by everybody at once."), "/settings/brand", _("Brand"), bool(brand.get("color") or brand.get("logo"))))
    if facts["had_sample"]:
        steps.append(Step("clear", _("Clear the sample data"), _("When you have seen enough. What you have added or changed stays."), "/settings/sample", _("Look at what goes"), not facts["has_sample"]))
    return steps
