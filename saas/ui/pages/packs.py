"""Configuration as a file: take ours along, put another in, follow a newer version of the pack we began with.

Who: an admin moving a configuration between two companies, or one who reads that the pack has a new version. What next: the plan, as
for any other change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile

from saas.db import tenant_transaction
from saas.errors import AppError, InvalidDefinition
from saas.i18n import gettext as _
from saas.i18n import titled
from saas.metadata import packs as shipped
from saas.metadata import store
from saas.metadata.parse import read_json
from saas.runtime import configuration
from saas.runtime.packs import PackPlan, plan_pack
from saas.ui import formats
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.forms import with_query
from saas.ui.pages.drafts import conflict_views

MAX_BYTES = 8_000_000


@get("/settings/packs")
async def packs(request: Request) -> Response[Any]:
    return await _page(await open_desk(request))


async def _page(desk: Desk, *, error: str = "", status: int = 200) -> Response[Any]:
    ctx = desk.ask.ctx
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await conn.fetch("SELECT pack_key, version, revision, installed_at FROM pack_install WHERE tenant_id = $1 ORDER BY installed_at DESC", ctx.tenant_id)
    here = {r["pack_key"]: r for r in found}
    rows = [
        {
            "key": p.key, "label": desk.words(p.label, p.key), "description": desk.words(p.description), "icon": p.icon, "version": p.version,
            "installed": here[p.key]["version"] if p.key in here else "", "since": formats.full(ctx, here[p.key]["installed_at"]) if p.key in here else "",
            "newer": p.key in here and here[p.key]["version"] != p.version,
        }
        for p in shipped.list_packs()
    ]  # fmt: skip
    info = ctx.config.bundle.pack
    return await desk.page("settings/draft/packs", "packs", status=status, error=error, rows=sorted(rows, key=lambda r: not r["installed"]), pack=desk.words(info.label, info.key), version=info.version, revision=ctx.config.revision)


@get("/settings/packs/export")
async def export(request: Request) -> Response[bytes]:
    """The published configuration as a pack file."""
    desk = await open_desk(request)
    found = await store.revision(desk.ask.ctx.tenant_id)
    name = f"{desk.ask.ctx.tenant.slug}-{found.number}.json"
    text = json.dumps(found.bundle, ensure_ascii=False, indent=2)
    return Response(text.encode(), media_type="application/json", headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"})


@post("/settings/packs", status_code=200)
async def choose(request: Request) -> Response[Any]:
    """What a shipped pack (`key`) or an uploaded one (`file`) comes to; with the choices of an earlier answer, its plan."""
    desk = await open_desk(request)
    form = await desk.ask.form()
    try:
        raw = await _pack(form)
        choices = {key.removeprefix("choice:"): str(value) for key, value in form.items() if key.startswith("choice:") and value in ("mine", "theirs")}
        found = await plan_pack(desk.ask.ctx, raw, choices)
        if found.mode == "same":
            return await _page(desk, error=_("This is exactly what is live already."), status=409)
        if found.open or (found.mode == "replace" and form.get("replace") != "yes"):
            return await _questions(desk, found, choices, asked="raw" in form)
        made = await configuration.make_plan(desk.ask.ctx, found.raw, data=found.data, base_revision=found.base_revision, pack=configuration.Pack(found.pack), only_if_empty=found.only_if_empty)
    except AppError as error:
        return await _page(desk, error=_words(error), status=error.status)
    return desk.ask.redirect(with_query(f"/settings/plans/{made.id}", [("message", f"{found.key} {found.version}")]))


async def _pack(form: Any) -> Any:
    """Errors: InvalidDefinition for a file that holds no pack; NotFound for a pack that does not ship."""
    if form.get("key"):
        return shipped.load_pack(str(form["key"]))
    upload = form.get("file")
    text = await upload.read(MAX_BYTES + 1) if isinstance(upload, UploadFile) else str(form.get("raw") or "").encode()
    if len(text) > MAX_BYTES:
        raise InvalidDefinition([], _("This file is larger than 8 MB, so it cannot be a pack."))
    try:
        return read_json(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidDefinition([], _("This file is no pack: choose a JSON file that was downloaded here or from another workspace.")) from error
    except InvalidDefinition as error:
        if any(p.code == "duplicate_key" for p in error.problems):
            raise
        raise InvalidDefinition([], _("This file is no pack: choose a JSON file that was downloaded here or from another workspace.")) from error


def _words(error: AppError) -> str:
    first = next(iter(error.problems), None)
    return f"{error.message} {titled(getattr(first, 'path', ''), first.message)}" if first else str(error.message)


async def _questions(desk: Desk, found: PackPlan, choices: Mapping[str, str], *, asked: bool) -> Response[Any]:
    """Which side counts where both changed the same; or whether everything is really to be replaced. The pack travels along."""
    conflicts = [{**view, "chosen": choices.get(view["path"], "")} for view in conflict_views(found.raw, found.conflicts)]
    return await desk.page(
        "settings/draft/pack", "packs", status=409 if asked else 200, plan=found, conflicts=conflicts, label=desk.words(found.pack["pack"].get("label"), found.key), kept=len(found.kept),
        raw=json.dumps(found.pack, ensure_ascii=False), asked=asked,
    )  # fmt: skip


router = Router("", route_handlers=[packs, export, choose])
