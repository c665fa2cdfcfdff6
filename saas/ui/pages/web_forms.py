"""Public forms of a workspace, on its own host: opened by somebody who knows nothing of us, on a telephone, from a website or a poster; next
they read thanks, or go on to the company's site.

A form can stand in a frame of the sites its definition names, and nowhere else. Another site may also send its own form's values here: then
this page opens with them filled in, and the person sends it. No other site's script can read an answer: there are no CORS headers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath

from saas.errors import AppError, FieldProblem, InvalidInput, NotFound, TooManyRequests
from saas.i18n import LOCALES, pick, set_locale
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import WebFormDef
from saas.runtime import Context, web_forms
from saas.runtime.contexts import system_context
from saas.ui.filters import has_options
from saas.ui.forms import Option, form_values
from saas.ui.guards import html, page_data, site_of
from saas.ui.middleware import POLICY
from saas.ui.render import markup, render

MOST_BYTES = 200_000


async def open_form(request: Request, key: str) -> tuple[Context, WebFormDef, Entity]:
    """Errors: NotFound."""
    tenant = site_of(request).tenant
    if tenant is None or not tenant.config_revision:
        raise NotFound()
    wanted = request.query_params.get("lang", "")
    if wanted in LOCALES:
        request.scope["state"]["locale"] = wanted
        set_locale(wanted)
    ctx = (await system_context(tenant.id, origin="form")).replace(locale=request.scope["state"]["locale"])
    return ctx, *web_forms.form_of(ctx, key)


def headers_for(embed_on: Sequence[str], redirect: str | None = None) -> dict[str, str]:
    """In a frame of these sites only. `frame-ancestors` is what browsers go by where both headers stand."""
    policy = POLICY.replace("frame-ancestors 'none'", f"frame-ancestors 'self' {' '.join(embed_on)}") if embed_on else POLICY
    if redirect:  # a form may lead on to where it says
        origin = "/".join(redirect.split("/")[:3])
        policy = policy.replace("form-action 'self'", f"form-action 'self' {origin}")
    return {"content-security-policy": policy, "referrer-policy": "no-referrer", **({"x-robots-tag": "noindex"} if embed_on else {})}


@get("/f/{key:str}")
async def show_form(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx, form, entity = await open_form(request, key)
    await web_forms.asked_about(ctx, form, request.query_params.get("for", ""))
    return _page(request, ctx, form, entity, {}, {})


@post("/f/{key:str}", status_code=200, request_max_body_size=MOST_BYTES)
async def take_form(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx, form, entity = await open_form(request, key)
    sent = await request.form()
    values = form_values(ctx, entity, sent, form.fields)
    said = {name: str(sent.get(name) or "")[:2000] for name in ("_shown", web_forms.HONEYPOT, "question")}
    about = await web_forms.asked_about(ctx, form, request.query_params.get("for", ""))
    try:
        await web_forms.submit(ctx, form, values, token=said["_shown"], trap=said[web_forms.HONEYPOT], answer=said["question"], ip=request.client.host if request.client else "", about=about)
    except web_forms.StaleForm as error:
        return _page(request, ctx, form, entity, values, {"": str(error.message)}, sent=sent)
    except TooManyRequests as error:
        response = _page(request, ctx, form, entity, values, {"": str(error.message)}, status=error.status, sent=sent)
        response.headers["retry-after"] = str(error.data["retry_after"])
        return response
    except AppError as error:
        if error.status >= 500:
            raise
        problems = [p for p in error.problems if isinstance(p, FieldProblem)] if isinstance(error, InvalidInput) else []
        errors = {p.field if p.field in (*form.fields, "question") else "": str(p.message) for p in problems} or {"": str(error.message)}
        return _page(request, ctx, form, entity, values, errors, status=422, sent=sent)
    if form.redirect:
        return Response("", status_code=303, headers={"location": form.redirect, **headers_for(form.embed_on, form.redirect)})
    return _page(request, ctx, form, entity, {}, {}, done=True)


def _page(
    request: Request, ctx: Context, form: WebFormDef, entity: Entity, values: Mapping[str, Any], errors: Mapping[str, str], *, status: int = 200, done: bool = False, sent: FormMultiDict | None = None
) -> Response[Any]:  # fmt: skip
    tenant = site_of(request).tenant
    assert tenant is not None
    shown = web_forms.show(ctx, form)
    logo = f"/brand/logo?v={tenant.brand['logo']}" if tenant.brand.get("logo") else ""
    data = {
        **page_data(request), "brand_name": tenant.name, "mark": tenant.name[:1].upper(), "logo": logo, "title": pick(form.label, ctx.locale), "intro": pick(form.intro, ctx.locale),
        "button": pick(form.button, ctx.locale), "thanks": pick(form.thanks, ctx.locale), "done": done, "action": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "fields": [draw_field(ctx, entity, key, values.get(key), errors.get(key, ""), required=key in form.required) for key in form.fields], "errors": {"": "", "question": "", **errors}, "shown": shown,
        "honeypot": web_forms.HONEYPOT, "typed": bool(sent),
    }  # fmt: skip
    return html(render("public/form.html", **data), status=status, headers=headers_for(form.embed_on, form.redirect))


def draw_field(ctx: Context, entity: Entity, key: str, value: Any, error: str, *, required: bool) -> dict[str, Any]:
    """A field as the record's own form draws it, without anything that needs somebody signed in."""
    field = entity.fields[key]
    kind, config = field_types.get(field.type), ctx.config
    chosen = value if isinstance(value, list) else [value]
    options = [Option(o.key, pick(o.label, ctx.locale), o.color, o.active, o.parent, o.key in chosen) for o in config.field_options(field) if o.active] if has_options(field) else []
    inner = markup(
        f"fields/{field.type}/input.html", id=f"f-{key}", name=key, field=field, value=kind.to_form(field, value, config), text="" if value is None else str(value), options=options, required=required,
        disabled=False, invalid=bool(error), describedby=f"e-{key}", locale=ctx.locale, choices_url="", end=kind.align_end, config=config,
    )  # fmt: skip
    return {"key": key, "label": pick(field.label, ctx.locale), "help": pick(field.help, ctx.locale), "control": inner, "error": error, "required": required, "grouped": kind.grouped}


router = Router("", route_handlers=[show_form, take_form])
