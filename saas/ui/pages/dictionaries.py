"""Option lists that people keep up to date as part of their work: a new reason, a new kind.

Who opens it: somebody at the service desk who misses a word in a list, in the middle of something else. What next: back to that, where the word is
there now."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, InvalidInput, NotFound, PermissionDenied
from saas.i18n import LOCALES, pick
from saas.i18n import gettext as _
from saas.runtime import dictionaries
from saas.ui.guards import Ask, signed_in
from saas.ui.views import Empty, Toast


@get("/option-lists")
async def listing(request: Request) -> Response[Any]:
    return await _page(await signed_in(request))


async def _page(ask: Ask, *, wrong: str = "", error: str = "", typed: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        pass
    lists = [
        {"key": s.key, "name": pick(s.label, ctx.locale), "error": error if s.key == wrong else "", "typed": (typed or {}) if s.key == wrong else {},
         "options": [{"key": o.key, "name": pick(o.label, ctx.locale), "color": o.color, "active": o.active, "inner": bool(o.parent)} for o in s.options]}
        for s in dictionaries.kept(ctx)
    ]  # fmt: skip
    empty = Empty("list", _("There are no lists for you to keep"), _("Administrators say under Settings, Option lists who keeps a list up to date."), ())
    return ask.page("dictionaries/index.html", status=status, lists=lists, empty=empty)


@post("/option-lists/{key:str}", status_code=200)
async def add(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    dictionaries.kept_list(ask.ctx, key)
    form = await ask.form()
    typed = {locale: str(form.get(locale) or "") for locale in LOCALES}
    try:
        await dictionaries.add(ask.ctx, key, {k: v for k, v in typed.items() if v.strip()})
    except (NotFound, PermissionDenied):
        raise
    except AppError as error:
        return await _page(ask, wrong=key, error=_words(error), typed=typed, status=error.status)
    return ask.redirect(f"/option-lists#list-{key}", Toast(_("Added")))


@post("/option-lists/{key:str}/{option:str}", status_code=200)
async def change(request: Request, key: FromPath[str], option: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    dictionaries.kept_list(ask.ctx, key)
    form = await ask.form()
    try:
        await dictionaries.change(ask.ctx, key, option, active=form.get("active") == "yes")
    except (NotFound, PermissionDenied):
        raise
    except AppError as error:
        return await _page(ask, wrong=key, error=_words(error), status=error.status)
    return ask.redirect(f"/option-lists#list-{key}", Toast(_("Saved")))


def _words(error: AppError) -> str:
    problems = [str(p.message) for p in error.problems] if isinstance(error, InvalidInput) else []
    return " ".join(problems) or str(error.message)


router = Router("", route_handlers=[listing, add, change])
