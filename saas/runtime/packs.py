"""Packs and tenants: what applying a pack to a configured tenant means. Nothing an admin changed is overwritten silently: a pack
that was installed before is merged with the admin's changes, any other one replaces the configuration only when that is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from saas.db import tenant_transaction
from saas.errors import Conflict, DefinitionProblem, InvalidDefinition
from saas.i18n import lazy, lazy_plural
from saas.metadata import merge as merging
from saas.metadata import store
from saas.metadata.build import build_bundle
from saas.metadata.quotas import IndexQuota, within
from saas.runtime import configuration, permissions
from saas.runtime.context import Context

Choices = Mapping[str, str] | Literal["mine", "theirs"]
Mode = Literal["install", "upgrade", "replace", "same"]


@dataclass(frozen=True, slots=True)
class PackPlan:
    """`raw` is what would be published: with mode install and replace the pack exactly, with upgrade the pack merged with what the
    admin changed since `installed` (the version) was put in, mine where a conflict is undecided. `open` are the conflicts nobody
    decided; `kept` the paths of the admin's own changes."""

    mode: Mode
    pack: Mapping[str, Any]
    raw: Mapping[str, Any]
    base_revision: int
    installed: str | None = None
    conflicts: tuple[merging.Conflict, ...] = ()
    open: tuple[merging.Conflict, ...] = ()
    kept: tuple[str, ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()

    @property
    def key(self) -> str:
        return self.pack["pack"]["key"]

    @property
    def version(self) -> str:
        return self.pack["pack"]["version"]

    @property
    def only_if_empty(self) -> bool:
        """It takes the place of another configuration unasked, because nobody did anything with that so far."""
        return self.mode == "install" and self.base_revision > 0


async def plan_pack(ctx: Context, raw: Any, choices: Choices | None = None) -> PackPlan:
    """What applying the pack `raw` to the tenant comes to. `choices` decides conflicts: a side for each path, or one side for all.
    Errors: PermissionDenied; InvalidDefinition when `raw` is no pack."""
    permissions.require_setting(ctx, "config")
    key = _key_of(raw)
    async with tenant_transaction(ctx.tenant_id, snapshot=True) as conn:
        number = await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1", ctx.tenant_id)
        if not number:
            return PackPlan("install", raw, raw, 0)
        live = await conn.fetchrow("SELECT hash, bundle FROM config_revision WHERE tenant_id = $1 AND number = $2", ctx.tenant_id, number)
        installed = await _installed(conn, ctx, key)
        mine = json.loads(live["bundle"])
        if live["hash"] == store.content_hash(raw):
            return PackPlan("same", raw, raw, number, installed["version"] if installed else None)
        if installed is None:
            mode: Mode = "install" if await _is_empty(conn, ctx, live["hash"]) else "replace"
            return PackPlan(mode, raw, raw, number, data=_admins_stay(mine, raw))
    merged = await asyncio.to_thread(merging.merge, json.loads(installed["bundle"]), mine, raw)
    decided = {c.path: choices for c in merged.conflicts} if isinstance(choices, str) else dict(choices or {})
    undecided = tuple(c for c in merged.conflicts if decided.get(c.path) not in (merging.MINE, merging.THEIRS))
    bundle = await asyncio.to_thread(merging.resolve, merged, decided) if decided else merged.bundle
    return PackPlan("upgrade", raw, bundle, number, installed["version"], merged.conflicts, undecided, merged.from_mine)


def _key_of(raw: Any) -> str:
    pack = raw.get("pack") if isinstance(raw, Mapping) else None
    key, version = (pack.get("key"), pack.get("version")) if isinstance(pack, Mapping) else (None, None)
    if not isinstance(key, str) or not isinstance(version, str):
        text = lazy("This is not a pack: it has no key and version.")
        raise InvalidDefinition([DefinitionProblem("pack", "required", text, lazy("Write \"pack\": {\"key\": …, \"version\": …, \"label\": …}."))], text)
    return key


async def _installed(conn: Any, ctx: Context, key: str) -> Any:
    """The pack as it was installed; for tenants from before this was kept, their first revision if it was the pack."""
    row = await conn.fetchrow("SELECT version, bundle FROM pack_install WHERE tenant_id = $1 AND pack_key = $2", ctx.tenant_id, key)
    return row or await conn.fetchrow(
        "SELECT bundle->'pack'->>'version' AS version, bundle FROM config_revision WHERE tenant_id = $1 AND number = 1 "
        "AND bundle->'pack'->>'key' = $2 AND message = $2 || ' ' || (bundle->'pack'->>'version')",
        ctx.tenant_id, key,
    )  # fmt: skip


async def _is_empty(conn: Any, ctx: Context, live_hash: str) -> bool:
    """Nobody configured or recorded anything: the configuration is some pack as it came, and there are no records."""
    packs = await conn.fetch("SELECT bundle FROM pack_install WHERE tenant_id = $1", ctx.tenant_id)
    if not any(_as_installed(ctx, json.loads(p["bundle"])) == live_hash for p in packs):
        return False
    return not await configuration.has_records(conn, ctx.tenant_id)


def _as_installed(ctx: Context, raw: Mapping[str, Any]) -> str:
    """The hash of a pack as it came, with the indexes the plan allows."""
    return store.content_hash(within(raw, build_bundle(raw), IndexQuota(configuration.index_quota(ctx).limit))[0])


def _admins_stay(mine: Mapping[str, Any], raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Who administers goes on administering when another pack names the role differently."""
    admins = [[r["key"] for r in bundle.get("roles", ()) if isinstance(r, Mapping) and r.get("admin")] for bundle in (mine, raw)]
    known = {r.get("key") for r in raw.get("roles", ()) if isinstance(r, Mapping)}
    return tuple({"do": "role", "from": key, "to": admins[1][0]} for key in admins[0] if key not in known and admins[1])


async def apply_pack(ctx: Context, plan: PackPlan, *, plan_id: Any = None, replace: bool = False, message: str = "") -> store.Revision:
    """Publish what `plan_pack` came to; `plan_id` names its plan where one was made. The pack is remembered as installed.

    Errors: Conflict while conflicts are open, or when the configuration would be replaced and `replace` does not say so, be it because
    records were added since it was planned; those of `configuration.publish`.
    """
    refuse_open(plan, replace=replace)
    pack, text = configuration.Pack(plan.pack), message or f"{plan.key} {plan.version}"
    if plan_id is not None:
        return await configuration.publish(ctx, plan_id=plan_id, message=text, pack=pack, only_if_empty=plan.only_if_empty)
    return await configuration.publish(ctx, raw=plan.raw, data=plan.data, base_revision=plan.base_revision, message=text, pack=pack, only_if_empty=plan.only_if_empty)


def refuse_open(plan: PackPlan, *, replace: bool) -> None:
    """Errors: Conflict with the open conflicts, or because a configuration would be replaced."""
    if plan.open:
        text = lazy_plural(
            "%(count)s place was changed both here and in the pack, differently. Choose which side counts.",
            "%(count)s places were changed both here and in the pack, differently. Choose which side counts.",
            len(plan.open),
        )  # fmt: skip
        raise Conflict(text, conflicts=[conflict_json(c) for c in plan.open])
    if plan.mode == "replace" and not replace:
        raise Conflict(lazy("This company's configuration does not come from the pack “%(pack)s”. Applying it replaces everything: say so expressly.", pack=plan.key), mode="replace")


def conflict_json(conflict: merging.Conflict) -> dict[str, Any]:
    """What is not there on a side is left out."""
    sides = {"base": conflict.base, "mine": conflict.mine, "theirs": conflict.theirs}
    return {"path": conflict.path, **{name: value for name, value in sides.items() if value is not merging.MISSING}}


__all__ = ["PackPlan", "apply_pack", "conflict_json", "plan_pack", "refuse_open"]
