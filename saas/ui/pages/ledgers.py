"""The statement of an account on the record it is about, and reversing an entry.

Who: whoever is asked "why is it so much?", often by the customer on the telephone. What next: they open an entry, or reverse it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import Conflict, InvalidInput, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import pick, sentences
from saas.metadata.config import Entity
from saas.runtime import accounts, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.postings import reversible
from saas.runtime.records import entity_of
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.records import toasts
from saas.ui.views import Link

ROWS = 50


@get("/r/{entity:str}/{record_id:uuid}/ledgers/{key:str}")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found = ask.ctx, entity_of(ask.ctx, entity)
    async with ask.work():
        statement = await accounts.statement(ctx, found, record_id, key, limit=ROWS, after=request.query_params.get("after") or None)
        others = await accounts.accounts_of(ctx, found, record_id)
    url = f"/r/{found.key}/{record_id}"
    entries, extra = statement.ledger.entries, _columns(ask, statement.ledger)
    rows = []
    for record in statement.entries:
        line = statement.lines.get(record.id)
        rows.append({
            "id": str(record.id), "url": f"/r/{entries.key}/{record.id}", "when": formats.full(ctx, record.created_at), "line": line,
            "texts": [record.display.get(k, "") for k, _label in extra], "css": "" if line and line.counted else "faint",
        })  # fmt: skip
    return ask.page(
        "records/statement.html", account=statement.account, rows=rows, columns=[label for _k, label in extra], record_title=statement.party.title, record_url=url,
        list_url=f"/r/{found.key}", entity_plural=pick(found.defn.plural, ctx.locale), next_url=f"{url}/ledgers/{key}?{urlencode({'after': statement.next})}" if statement.next else "",
        tabs=[Link(a.label, f"{url}/ledgers/{a.key}", "coins", a.key == key) for a in others],
        new_url=f"/r/{entries.key}/new?{urlencode({statement.ledger.defn.party: str(record_id), 'next': f'{url}/ledgers/{key}'})}" if permissions.may(ctx, "create", entries.key) else "",
    )  # fmt: skip


def _columns(ask: Ask, ledger: Any) -> list[tuple[str, str]]:
    """What stands beside the figures: the entry's name, its origin and stage, as far as they may be seen."""
    entries, defn = ledger.entries, ledger.defn
    access = permissions.static_access(ask.ctx, entries)
    links = [k for k in defn.origins[:2]]
    keys = dict.fromkeys(k for k in (entries.defn.title, defn.origin, *links, entries.pipeline.field if entries.pipeline else None) if k)
    return [(k, pick(entries.fields[k].label, ask.ctx.locale)) for k in keys if k != defn.amount and access.get(k, "hidden") != "hidden"]


@get("/r/{entity:str}/{record_id:uuid}/reverse")
async def ask_reverse(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
    if reversible(ask.ctx, found) is None or not permissions.may(ask.ctx, "create", found.key):
        raise PermissionDenied()
    return _page(ask, found, record)


def _page(ask: Ask, entity: Entity, record: ops.Record, *, error: str = "", reason: str = "", status: int = 200) -> Response[Any]:
    ledger = reversible(ask.ctx, entity)
    assert ledger is not None
    field = entity.fields.get(ledger.defn.reason or "")
    view = {
        "title": _("Reverse “%(title)s”", title=record.title), "action": f"/r/{entity.key}/{record.id}/reverse", "cancel_url": f"/r/{entity.key}/{record.id}", "error": error,
        "text": _("A counter-entry over %(amount)s is posted. Both stay in the statement.", amount=record.display.get(ledger.defn.amount, "")),
        "reason_label": pick(field.label, ask.ctx.locale) if field else "", "reason": reason,
    }  # fmt: skip
    if ask.target == "dialog":
        return ask.fragment("records/_reverse.html", status=status, reverse=view)
    return ask.page("records/reverse.html", status=status, reverse=view)


@post("/r/{entity:str}/{record_id:uuid}/reverse", status_code=200)
async def reverse(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    reason = str(form.get("reason") or "").strip()
    async with ask.work():
        try:
            change = await execute(ask.ctx, ops.Reverse(entity=found.key, id=record_id, reason=reason or None))
        except (InvalidInput, Conflict) as error:
            record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
            text = sentences(p.message for p in error.problems) or str(error.message)
            return _page(ask, found, record, error=text, reason=reason, status=error.status)
    return ask.redirect(f"/r/{found.key}/{change.record.id}" if change.record else f"/r/{found.key}", *toasts(change))


router = Router("", route_handlers=[show, ask_reverse, reverse])
