"""Option lists that the person keeps up to date, over HTTP."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, patch, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import LOCALES, lazy, pick
from saas.metadata.models import OptionSetDef
from saas.runtime import Context, dictionaries
from saas.ui.api import access


def shape(ctx: Context, found: OptionSetDef) -> dict[str, Any]:
    options = [{"key": o.key, "label": pick(o.label, ctx.locale), "labels": dict(o.label), "active": o.active, "parent": o.parent} for o in found.options]
    return {"key": found.key, "label": pick(found.label, ctx.locale), "options": options}


@get("/option-lists")
async def kept_lists(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer({"data": [shape(ctx, s) for s in dictionaries.kept(ctx)], "next": None})


@post("/option-lists/{key:str}", status_code=201, limit="publish")
async def add_option(request: Request, key: FromPath[str]) -> Response[Any]:
    """{"label": {"en", "zh_CN"}, "color"?, "parent"?}."""
    ctx = await access.context(request)
    dictionaries.kept_list(ctx, key)  # rights before the body
    body = await access.body(request)
    made = await dictionaries.add(ctx, key, _label(body.get("label")), color=_text(body, "color"), parent=_text(body, "parent"))
    return access.answer({"key": made}, 201)


@patch("/option-lists/{key:str}/{option:str}", limit="publish")
async def change_option(request: Request, key: FromPath[str], option: FromPath[str]) -> Response[Any]:
    """{"label"?: {"en", "zh_CN"}, "active"?: bool}."""
    ctx = await access.context(request)
    dictionaries.kept_list(ctx, key)
    body = await access.body(request)
    active = body.get("active")
    if active is not None and not isinstance(active, bool):
        raise BadRequest(lazy("“%(name)s” must be true or false.", name="active"), field="active")
    await dictionaries.change(ctx, key, option, label=_label(body["label"]) if "label" in body else None, active=active)
    return access.answer({"key": option})


def _label(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not set(value) <= set(LOCALES) or not all(isinstance(text, str) for text in value.values()):
        raise BadRequest(lazy("“%(name)s” must be an object.", name="label"), field="label")
    return value


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name=name), field=name)
    return value or None


HANDLERS = [kept_lists, add_option, change_option]
