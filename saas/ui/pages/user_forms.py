"""Forms: what people fill in (leave, expenses), what they filled in, and making a new one.

Who opens it: everybody, now and then, when they want something from the company; they fill in, send, and look later where it hangs. And whoever
may make forms, when the third mail with the same questions arrives."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import AppError, InvalidDefinition, PermissionDenied
from saas.i18n import LOCALES, lazy, pick
from saas.i18n import gettext as _
from saas.metadata.form_blueprints import DATA, FIELD_TYPES, PROCESS, FieldWish, FormWish
from saas.runtime import permissions, user_forms
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.views import Choice, Empty, Link, Toast

ROWS, MOST_ROWS, STEPS = 6, 40, 3
TYPES = {
    "text": lazy("Text"), "longtext": lazy("Long text"), "number": lazy("Number"), "money": lazy("Amount of money"), "date": lazy("Date"), "bool": lazy("Yes or no"),
    "option": lazy("Choice"), "user": lazy("Person"), "file": lazy("Files"),
}  # fmt: skip


@get("/forms")
async def listing(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    ctx = ask.ctx
    async with ask.work():
        entries = await user_forms.filled(ctx)
    cards = [
        {"key": e.key, "name": pick(e.defn.label, ctx.locale), "note": pick(e.defn.description, ctx.locale), "icon": e.defn.icon, "process": e.defn.form == PROCESS,
         "new": f"/r/{e.key}/new" if permissions.may(ctx, "create", e.key) else "", "all": f"/r/{e.key}" if permissions.may(ctx, "read", e.key) else ""}
        for e in user_forms.forms(ctx)
    ]  # fmt: skip
    rows = []
    for found in entries:
        stage = found.entity.pipeline.stage(found.record.state or "") if found.entity.pipeline else None
        subtitle = found.record.display.get(found.entity.defn.subtitle or "", "")
        rows.append({
            "url": f"/r/{found.entity.key}/{found.record.id}", "title": found.record.title, "note": subtitle, "form": pick(found.entity.defn.label, ctx.locale),
            "stage": pick(stage.label, ctx.locale) if stage else "", "color": stage.color if stage else "gray", "at": formats.moment(ctx, found.record.created_at),
        })  # fmt: skip
    actions = (Link(_("New form"), "/forms/new", "plus"),) if user_forms.may_make(ctx) else ()
    empty = Empty("forms", _("There are no forms yet"), _("Leave, expenses, purchases: whatever people ask the company for can be a form."), actions)
    return ask.page("forms/index.html", cards=cards, rows=rows, empty=empty, may_make=user_forms.may_make(ctx))


def _maker(ask: Ask) -> None:
    if not user_forms.may_make(ask.ctx):
        raise PermissionDenied(lazy("Your role does not include making forms."))


@get("/forms/new")
async def ask_new(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    _maker(ask)
    return await _form(ask, {}, ROWS)


async def _form(ask: Ask, typed: dict[str, Any], rows: int, *, errors: dict[str, str] | None = None, problems: list[str] | None = None, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        pass
    roles = [r for r in ctx.config.roles.values() if not r.admin]
    values = {f"name_{locale}": "" for locale in LOCALES} | {"description": "", "kind": PROCESS} | typed

    def ticked(name: str, usual: bool) -> list[Choice]:
        chosen = typed.get(name)
        return [Choice(r.key, pick(r.label, ctx.locale), r.key in chosen if chosen is not None else usual and not r.external) for r in roles]

    deciders = [Choice("superior", _("superior of the applicant")), Choice("head", _("head of the applicant's department")), *(Choice(f"role:{r.key}", pick(r.label, ctx.locale)) for r in ctx.config.roles.values())]
    return ask.page(
        "forms/new.html", status=status, values=values, errors={"name": "", "fields": "", "steps": "", **(errors or {})}, problems=problems or [], numbers=range(rows), row_count=rows, steps=range(STEPS),
        types=[Choice(key, str(text)) for key, text in TYPES.items()], deciders=deciders, fillers=ticked("fillers", True), readers=ticked("readers", False), kinds=(PROCESS, DATA),
    )  # fmt: skip


@post("/forms/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    _maker(ask)
    form = await ask.form()
    count = str(form.get("rows") or "")
    rows = min(int(count), MOST_ROWS) if count.isascii() and count.isdigit() and len(count) < 4 else ROWS
    typed: dict[str, Any] = {key: str(value).strip()[:2000] for key, value in form.multi_items() if isinstance(value, str) and not key.startswith("_")}
    typed |= {"fillers": [str(v) for v in form.getall("fillers", [])], "readers": [str(v) for v in form.getall("readers", [])]}
    if form.get("_more"):
        return await _form(ask, typed, min(rows + 4, MOST_ROWS))
    wish, errors = _wish(ask, typed, rows)
    if errors:
        return await _form(ask, typed, rows, errors=errors, status=422)
    try:
        key = await user_forms.make_form(ask.ctx, wish)
    except InvalidDefinition as error:
        return await _form(ask, typed, rows, problems=[str(p.message) for p in error.problems][:10], status=422)
    except PermissionDenied:
        raise
    except AppError as error:
        return await _form(ask, typed, rows, problems=[str(error.message)], status=error.status)
    return ask.redirect("/forms", Toast(_("The form can be filled in now")), headers={"X-Form": key})


def _wish(ask: Ask, typed: dict[str, Any], rows: int) -> tuple[FormWish, dict[str, str]]:
    """What was asked for, and what is missing of it."""
    names = {locale: typed.get(f"name_{locale}", "")[:200] for locale in LOCALES if typed.get(f"name_{locale}")}
    fields = []
    errors: dict[str, str] = {} if names else {"name": _("This field is required.")}
    for n in range(rows):
        text = typed.get(f"f{n}_label", "")[:200]
        if not text:
            continue
        kind = typed.get(f"f{n}_type", "text")
        options = [{ask.ctx.locale: line.strip()[:200]} for line in typed.get(f"f{n}_options", "").replace("，", ",").replace(",", "\n").split("\n") if line.strip()]
        if kind == "option" and not options:
            errors["fields"] = _("Say what can be chosen in “%(field)s”.", field=text)
        fields.append(FieldWish({ask.ctx.locale: text}, kind if kind in FIELD_TYPES else "text", typed.get(f"f{n}_required") == "on", options))
    if not fields:
        errors["fields"] = _("A form needs at least one field.")
    kind = DATA if typed.get("kind") == DATA else PROCESS
    steps = [_step(ask, who) for n in range(STEPS) if (who := typed.get(f"s{n}_who", ""))] if kind == PROCESS else []
    if kind == PROCESS and not steps:
        errors["steps"] = _("Say who decides.")
    known = set(ask.ctx.config.roles)
    wish = FormWish(
        names, kind, description={ask.ctx.locale: typed["description"]} if typed.get("description") else {}, fields=fields, fillers=known & set(typed["fillers"]),
        readers=known & set(typed["readers"]), steps=steps,
    )  # fmt: skip
    return wish, errors


def _step(ask: Ask, who: str) -> dict[str, Any]:
    by, _colon, role = who.partition(":")
    if by == "role":
        found = ask.ctx.config.roles.get(role)
        return {"label": dict(found.label) if found else {"en": role}, "approvers": [{"by": "role", "role": role}]}
    labels = {"superior": {"en": "Superior", "zh_CN": "直接上级"}, "head": {"en": "Head of department", "zh_CN": "部门负责人"}}
    by = by if by in labels else "superior"
    return {"label": labels[by], "approvers": [{"by": by}]}


router = Router("", route_handlers=[listing, ask_new, create])
