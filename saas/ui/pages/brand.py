"""The workspace's own look. Who: an admin, once, at the start or when the company gets a new logo; then looks at the result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath

from saas.db import current_database, tenant_transaction
from saas.errors import InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.runtime.permissions import require_active
from saas.tenants import brand as looks
from saas.tenants import forget_host, record_audit
from saas.tenants.mail import check_recipient
from saas.tenants.mail.messages import plain_name
from saas.ui.guards import Ask, site_of
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.pages.system import DEFAULT_COLOUR
from saas.ui.views import Toast

WHITE, DARK = "#ffffff", "#17181c"
# A drawing is shown by <img>, which runs nothing; opened by itself it may do nothing either.
SAFE = {"cache-control": "private, max-age=31536000, immutable", "content-security-policy": "default-src 'none'; sandbox", "x-content-type-options": "nosniff"}


@get("/settings/brand")
async def brand(request: Request) -> Response[Any]:
    ask = await open_settings(request, "brand")
    return await _page(ask, {"name": ask.ctx.tenant.name, **_colours(ask), **_texts(ask)}, {})


def _colours(ask: Ask) -> dict[str, str]:
    kept = ask.ctx.tenant.brand
    return {"color": f"#{str(kept.get('color') or DEFAULT_COLOUR).lstrip('#')}", "color_dark": str(kept.get("color_dark") or "")}


def _texts(ask: Ask) -> dict[str, str]:
    return {key: str(ask.ctx.tenant.brand.get(key) or "") for key in looks.TEXTS}


async def _page(ask: Ask, values: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200, shown: Mapping[str, str] | None = None) -> Response[Any]:
    """`shown`: what the person has seen as saved, where that is not what the request's tenant says."""
    kept = ask.ctx.tenant.brand
    saved = {"name": ask.ctx.tenant.name, **_colours(ask), **_texts(ask)}
    return await show_settings(
        ask, "brand", "brand", status=status, values=values, errors={k: errors.get(k, "") for k in (*looks.PROPERTIES, *looks.KINDS)},
        files={kind: file_url(kept, kind) for kind in looks.KINDS}, verdict=verdict(values["color"], values["color_dark"]), mark=ask.ctx.tenant.name[:1].upper(), product=current_database().settings.product_name, sender=current_database().settings.mail_sender, shown={**saved, **(shown or {})},
    )  # fmt: skip


def file_url(brand: Mapping[str, Any], kind: str) -> str:
    return f"/brand/{kind}?v={brand[kind]}" if brand.get(kind) else ""


def verdict(colour: str, dark: str) -> list[dict[str, Any]]:
    """How the colours stand against what they are shown on, in words; empty for what is no colour."""
    if not looks.COLOUR.fullmatch(colour):
        return []
    on_dark = dark if looks.COLOUR.fullmatch(dark) else looks.readable_on(colour, DARK)
    rows = [
        (_("Text on buttons"), looks.contrast(looks.ink_on(colour), colour), looks.READABLE, ""),
        (_("Lines and icons on white"), looks.contrast(colour, WHITE), looks.VISIBLE, looks.readable_on(colour, WHITE)),
        (_("Lines and icons on the dark background"), looks.contrast(on_dark, DARK), looks.VISIBLE, looks.readable_on(on_dark, DARK)),
    ]
    return [{"name": name, "ratio": f"{ratio:.1f} : 1", "good": ratio >= least, "suggestion": "" if ratio >= least else better} for name, ratio, least, better in rows]


@get("/settings/brand/contrast")
async def contrast(request: Request) -> Response[Any]:
    """The verdict on colours while they are being chosen."""
    ask = await open_settings(request, "brand")
    query = request.query_params
    return ask.fragment("settings/_contrast.html", verdict=verdict(query.get("color", "").lower(), query.get("color_dark", "").lower()))


@post("/settings/brand", status_code=200)
async def save_brand(request: Request) -> Response[Any]:
    ask = await open_settings(request, "brand")
    require_active(ask.ctx)
    form = await ask.form()
    values = {key: str(form.get(key) or "").strip() for key in looks.PROPERTIES}
    values |= {key: values[key].lower() for key in ("color", "color_dark")}
    errors = {}
    if not values["name"] or len(values["name"]) > 100:
        errors["name"] = _("Please give a name of at most 100 characters.")
    if not looks.COLOUR.fullmatch(values["color"]):
        errors["color"] = _("Choose a colour such as #3b5bdb.")
    if values["color_dark"] and not looks.COLOUR.fullmatch(values["color_dark"]):
        errors["color_dark"] = _("Choose a colour such as #3b5bdb, or leave it empty.")
    errors |= _check_texts(values)
    changed: dict[str, looks.BrandFile | None] = {}
    for kind in looks.KINDS:
        upload = form.get(kind)
        if isinstance(upload, UploadFile) and upload.filename:
            try:
                changed[kind] = looks.clean(kind, await upload.read(looks.MAX_BYTES + 1))
            except InvalidInput as error:
                errors[kind] = str(error.problems[0].message)
        elif form.get(f"{kind}.remove") == "on":
            changed[kind] = None
    shown = {key: str(form.get(f"shown.{key}")).replace("\r\n", "\n") for key in looks.PROPERTIES if f"shown.{key}" in form}
    if errors:
        return await _page(ask, values, errors, status=422, shown=shown)
    taken = await _store(ask, values, changed, shown)
    if taken:
        errors = {key: _("Somebody else changed this meanwhile: %(value)s. Save again to have yours.", value=value or _("empty")) for key, value in taken.items()}
        return await _page(ask, values, errors, status=409, shown={**shown, **taken})
    return ask.redirect("/settings/brand", Toast(_("Saved. Everybody sees it from now on.")))


def _check_texts(values: dict[str, str]) -> dict[str, str]:
    """Problems; cleans what has none."""
    errors = {key: _("Use at most %(count)s characters", count=most) for key, most in looks.TEXTS.items() if len(values[key]) > most}
    for key in ("login_en", "login_zh_CN"):
        values[key] = values[key].replace("\r\n", "\n")
    if (values["sender_name"] and plain_name(values["sender_name"]) != values["sender_name"]) or re.search(r"[<>@\"]", values["sender_name"]):
        errors["sender_name"] = _("A name on one line, without web addresses.")
    if values["reply_to"]:
        try:
            values["reply_to"] = check_recipient(values["reply_to"])
        except InvalidInput as error:
            errors["reply_to"] = str(error.problems[0].message)
    return errors


async def _store(ask: Ask, values: Mapping[str, str], files: Mapping[str, looks.BrandFile | None], shown: Mapping[str, str]) -> dict[str, str]:
    """What is refused because somebody else changed it meanwhile, as it is now."""
    ctx = ask.ctx
    async with tenant_transaction(ctx.tenant_id) as conn:
        taken = await looks.change_brand(conn, ctx.tenant_id, values, files, shown=shown or None)
        if not taken:
            await record_audit(conn, ctx.tenant_id, "brand.changed", actor_id=ctx.user_id, request_id=ctx.request_id, data={**values, "files": sorted(files)})
    forget_host(ctx.tenant.slug)
    return taken


@get("/brand/{kind:str}")
async def show_file(request: Request, kind: FromPath[str]) -> Response[bytes]:
    """Logo or icon; the sign-in page shows them, so nobody need be signed in."""
    tenant = site_of(request).tenant
    found = await looks.brand_file(tenant.id, kind) if tenant and kind in looks.KINDS else None
    if found is None:
        raise NotFound()
    return Response(found.content, media_type=found.content_type, headers=SAFE)


router = Router("", route_handlers=[brand, contrast, save_brand, show_file])
