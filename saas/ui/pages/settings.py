"""Settings: the configuration as it is, editing of option lists and values, people, audit log, jobs, revisions."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidDefinition, NotFound, PermissionDenied
from saas.i18n import LOCALES, lazy, pick, sentences, titled
from saas.i18n import gettext as _
from saas.metadata import store
from saas.runtime import configuration, permissions
from saas.tenants import (
    forget_host,
    list_audit,
    list_users,
)
from saas.ui import formats
from saas.ui import settings_views as views
from saas.ui.guards import Ask, signed_in, whole_number
from saas.ui.views import Choice, Toast

PAGE = 60
COLOURS = ("gray", "red", "orange", "yellow", "green", "teal", "blue", "indigo", "purple", "pink")


async def open_settings(request: Request, part: str) -> Ask:
    ask = await signed_in(request)
    permissions.require_setting(ask.ctx, part)
    return ask


async def show_settings(ask: Ask, template: str, current: str, *, status: int = 200, **data: Any) -> Response[Any]:
    async with ask.work():
        pass
    return ask.page(f"settings/{template}.html", status=status, nav=views.navigation(ask.ctx, current), current=current, **data)


@get("/settings")
async def overview(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    groups = views.navigation(ask.ctx, "")
    if not groups:
        raise PermissionDenied(lazy("Your role does not include this part of the settings."))
    return await show_settings(ask, "index", "", pack=ask.ctx.config.bundle.pack, pack_label=pick(ask.ctx.config.bundle.pack.label), revision=ask.ctx.config.revision)


@get([f"/settings/{part}" for part in views.TABLES])
async def listing(request: Request) -> Response[Any]:
    """One kind of definition as a table."""
    part = request.url.path.rstrip("/").rpartition("/")[2]
    ask = await open_settings(request, "config")
    return await show_settings(ask, "table", part, **views.TABLES[part](ask.ctx))


@get("/settings/entities/{key:str}")
async def entity(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, "config")
    if key not in ask.ctx.config.entities:
        raise NotFound()
    return await show_settings(ask, "entity", "entities", **views.entity_detail(ask.ctx, key))


@get("/settings/pipelines/{key:str}")
async def pipeline(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, "config")
    if key not in ask.ctx.config.pipelines:
        raise NotFound()
    return await show_settings(ask, "pipeline", "pipelines", **views.pipeline_detail(ask.ctx, key))


@get("/settings/roles/{key:str}")
async def role(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, "config")
    if key not in ask.ctx.config.roles:
        raise NotFound()
    return await show_settings(ask, "role", "roles", **views.role_detail(ask.ctx, key))


# ---- option sets -------------------------------------------------------------------------------------------------------


@get("/settings/option-sets/{key:str}")
async def option_set(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await open_settings(request, "config")
    return await _option_set(ask, key)


async def _option_set(ask: Ask, key: str, *, error: str = "", errors: Mapping[str, str] | None = None, typed: Mapping[str, str] | None = None, status: int = 200) -> Response[Any]:
    found = ask.ctx.config.option_sets.get(key)
    if found is None:
        raise NotFound()
    rows = [{"key": o.key, "label": pick(o.label), "en": o.label.get("en", ""), "zh_CN": o.label.get("zh_CN", ""), "color": o.color, "active": o.active} for o in found.options]
    used = [titled(pick(e.defn.label), pick(f.label)) for e in ask.ctx.config.entities.values() for f in e.defn.fields if f.options.get("set") == key]
    return await show_settings(
        ask, "option_set", "option-sets", status=status, key=key, title=pick(found.label), rows=rows, used=used, colours=[Choice(c, _colour_name(c)) for c in COLOURS],
        revision=ask.ctx.config.revision, error=error, errors=errors or {}, typed=typed or {},
    )  # fmt: skip


def _colour_name(key: str) -> str:
    return {
        "gray": _("Gray"), "red": _("Red"), "orange": _("Orange"), "yellow": _("Yellow"), "green": _("Green"), "teal": _("Teal"), "blue": _("Blue"),
        "indigo": _("Indigo"), "purple": _("Purple"), "pink": _("Pink"),
    }[key]  # fmt: skip


@post("/settings/option-sets/{key:str}", status_code=200)
async def save_option_set(request: Request, key: FromPath[str]) -> Response[Any]:
    """Rename, recolour, switch off, and add: one form, one new revision. Options are never removed: records may hold them."""
    ask = await open_settings(request, "config")
    form = await ask.form()
    raw = await _bundle(ask)
    found = next((s for s in raw.get("option_sets", []) if s["key"] == key), None)
    if found is None:
        raise NotFound()
    for option in found.get("options", []):
        name = f"option.{option['key']}"
        if f"{name}.color" not in form:
            continue
        label = {loc: text for loc in LOCALES if (text := str(form.get(f"{name}.{loc}") or "").strip())}
        if not label:
            return await _option_set(ask, key, errors={option["key"]: _("Give it a name in at least one language.")}, status=422)
        option["label"] = {**option["label"], **label}
        option["color"] = _colour(str(form.get(f"{name}.color")))
        if "on" in form.getall(f"{name}.active", []):
            option.pop("active", None)
        else:
            option["active"] = False
    typed = {name: str(form.get(f"new.{name}") or "").strip() for name in ("key", *LOCALES, "color")}
    label = {loc: typed[loc] for loc in LOCALES if typed[loc]}
    if label or typed["key"]:
        new_key = typed["key"] or _key_of(label, {o["key"] for o in found.get("options", [])})
        if any(o["key"] == new_key for o in found.get("options", [])):
            return await _option_set(ask, key, errors={"new": _("There is an option with this key already.")}, typed=typed, status=422)
        if not label or not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", new_key):
            problem = _("A key begins with a small letter and holds small letters, digits and underscores.") if label else _("Give it a name in at least one language.")
            return await _option_set(ask, key, errors={"new": problem}, typed=typed, status=422)
        found.setdefault("options", []).append({"key": new_key, "label": label, "color": _colour(typed["color"])})
    try:
        await publish(ask, raw, str(form.get("revision") or ""), _("Options of “%(name)s” changed", name=pick(found.get("label")) or key))
    except (InvalidDefinition, Conflict) as error:
        return await _option_set(ask, key, error=_words(error), typed=typed, status=error.status)
    return ask.redirect(f"/settings/option-sets/{key}", Toast(_("Saved. The change is live for everybody.")))


def _colour(text: str) -> str:
    return text if text in COLOURS else "gray"


def _key_of(label: Mapping[str, str], taken: set[str]) -> str:
    """A key from the English name; where there is none, or it is taken, a number."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.get("en", "").lower()).strip("_")[:40]
    base = plain if plain and plain[0].isalpha() else f"option_{plain}".rstrip("_")
    key, number = base, 2
    while key in taken or (base == "option" and number == 2 and key == base):
        key, number = f"{base}_{number}", number + 1
    return key


async def _bundle(ask: Ask) -> dict[str, Any]:
    """The bundle this request's configuration was made from, free to change."""
    found = await store.revision(ask.ctx.tenant_id, ask.ctx.config.revision)
    return copy.deepcopy(dict(found.bundle or {}))


async def publish(ask: Ask, raw: Mapping[str, Any], base: str, message: str) -> None:
    """A new revision on top of the one the form was made from. Errors: InvalidDefinition, Conflict."""
    number = whole_number(base) or ask.ctx.config.revision
    await configuration.publish(ask.ctx, raw=raw, base_revision=number, message=message)
    forget_host(ask.ctx.tenant.slug)


def _words(error: AppError) -> str:
    return sentences(titled(getattr(p, "path", ""), p.message) for p in error.problems) or str(error.message)


# ---- setting values ----------------------------------------------------------------------------------------------------


@get("/settings/values")
async def setting_values(request: Request) -> Response[Any]:
    return await _values(await open_settings(request, "config"))


async def _values(ask: Ask, *, errors: Mapping[str, str] | None = None, typed: Mapping[str, Any] | None = None, error: str = "", status: int = 200) -> Response[Any]:
    rows = [
        {"key": s.key, "label": pick(s.label), "help": pick(s.help), "type": s.type, "value": (typed or {}).get(s.key, "" if s.default is None else s.default), "error": (errors or {}).get(s.key, "")}
        for s in ask.ctx.config.bundle.settings
    ]  # fmt: skip
    return await show_settings(ask, "values", "values", status=status, rows=rows, revision=ask.ctx.config.revision, error=error)


@post("/settings/values", status_code=200)
async def save_values(request: Request) -> Response[Any]:
    ask = await open_settings(request, "config")
    form = await ask.form()
    raw = await _bundle(ask)
    errors: dict[str, str] = {}
    typed: dict[str, Any] = {}
    for setting in ask.ctx.config.bundle.settings:
        texts = [str(v) for v in form.getall(setting.key, [])]
        if not texts:
            continue
        typed[setting.key] = texts[-1]
        try:
            value = _setting_value(setting, texts[-1].strip())
        except ValueError as problem:
            errors[setting.key] = str(problem)
            continue
        next(s for s in raw["settings"] if s["key"] == setting.key)["default"] = value
    if errors:
        return await _values(ask, errors=errors, typed=typed, status=422)
    try:
        await publish(ask, raw, str(form.get("revision") or ""), _("Values changed"))
    except (InvalidDefinition, Conflict) as error:
        return await _values(ask, typed=typed, error=_words(error), status=error.status)
    return ask.redirect("/settings/values", Toast(_("Saved. The change is live for everybody.")))


def _setting_value(setting: Any, text: str) -> Any:
    """Errors: ValueError with words for the reader."""
    if setting.type == "bool":
        return text == "true"
    if text == "":
        return None
    if setting.type not in ("int", "number"):
        return text
    try:
        value: Any = int(text) if setting.type == "int" else float(text)
    except ValueError:
        raise ValueError(_("Type a number.")) from None
    if (setting.min is not None and value < setting.min) or (setting.max is not None and value > setting.max):
        raise ValueError(_("This must be between %(low)s and %(high)s.", low="−∞" if setting.min is None else f"{setting.min:g}", high="∞" if setting.max is None else f"{setting.max:g}"))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# ---- audit, jobs -------------------------------------------------------------------------------------------------------


@get("/settings/audit")
async def audit(request: Request) -> Response[Any]:
    ask = await open_settings(request, "audit")
    before = uuid_of(request.query_params.get("before", ""))
    found = await list_audit(ask.ctx.tenant_id, limit=PAGE, before=before, kind=request.query_params.get("kind") or None)
    names = {str(u["id"]): u["name"] for u in await list_users(ask.ctx.tenant_id)}
    rows = [
        {"at": formats.full(ask.ctx, r["at"]), "actor": r["actor_name"] or "", "kind": r["kind"], "what": str(views.AUDIT_EVENTS.get(r["kind"], r["kind"])), "target": names.get(r["target"], r["target"] or ""), "ip": r["ip"], "data": json.dumps(r["data"], ensure_ascii=False) if r["data"] else ""}
        for r in found
    ]  # fmt: skip
    return await show_settings(ask, "audit", "audit", rows=rows, next_url=f"/settings/audit?before={found[-1]['id']}" if len(found) == PAGE else "")


@get("/settings/jobs")
async def jobs(request: Request) -> Response[Any]:
    ask = await open_settings(request, "jobs")
    async with ask.work() as conn:
        found = await conn.fetch(
            "SELECT j.id, j.kind, j.status, j.progress, j.total, j.error, j.attempts, j.run_at, j.created_at, j.finished_at, u.name AS who "
            "FROM job j LEFT JOIN app_user u ON u.tenant_id = j.tenant_id AND u.id = j.created_by WHERE j.tenant_id = $1 ORDER BY j.created_at DESC LIMIT $2",
            ask.ctx.tenant_id, PAGE,
        )  # fmt: skip
    return await show_settings(ask, "jobs", "jobs", rows=views.jobs(ask.ctx, found))


router = Router(
    "",
    route_handlers=[
        overview, listing, entity, pipeline, role, option_set, save_option_set, setting_values, save_values, audit, jobs,
    ],
)  # fmt: skip
