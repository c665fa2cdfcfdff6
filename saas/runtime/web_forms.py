"""Public forms: what a page shows, and taking what was sent. Against programs that send: a hidden field, a token that says when the page was
shown and is good once, a small sum where the form asks one, and limits for each network and each form."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import current_database, tenant_transaction
from saas.errors import AppError, FieldProblem, InvalidInput, NotFound, TooManyRequests
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import WebFormDef
from saas.runtime.acts import Act, ActionRun
from saas.runtime.context import Context
from saas.runtime.inbound import Taken, take_in
from saas.runtime.records import is_live
from saas.runtime.rows import Row
from saas.runtime.surveys import SURVEY
from saas.runtime.validate import EMPTY
from saas.tenants import new_id
from saas.tenants.throttles import network_of
from saas.tenants.tokens import make_token, read_token

PURPOSE = "web_form"
HONEYPOT = "company_website"  # people never see it
FASTEST_SECONDS, SLOWEST_SECONDS = 2, 12 * 3600
PER_PLACE = 20  # entries of one network an hour, over all forms of the workspace
TRIES_PER_PLACE = 60  # with those that were refused


@dataclass(frozen=True, slots=True)
class Shown:
    """One showing of a form. `question` is empty where it asks none."""

    token: str
    question: tuple[int, int] | None


def form_of(ctx: Context, key: str) -> tuple[WebFormDef, Entity]:
    """Errors: NotFound also for one that is switched off, and in a workspace where nothing can be added."""
    found = next((f for f in ctx.config.bundle.web_forms if f.key == key), None)
    if found is None or not found.active or not ctx.tenant.is_writable or ctx.tenant.delete_after is not None:
        raise NotFound(lazy("There is no form at this address, or it is closed."))
    return found, ctx.config.entity(found.entity)


def show(ctx: Context, form: WebFormDef) -> Shown:
    """A token for this showing. The answer to the sum stands in it, encrypted."""
    a, b = secrets.randbelow(8) + 2, secrets.randbelow(8) + 2
    token = make_token(PURPOSE, ctx.tenant_id, {"f": form.key, "t": int(time.time()), "n": secrets.token_urlsafe(9), "s": a + b if form.question else 0})
    return Shown(token, (a, b) if form.question else None)


async def asked_about(ctx: Context, form: WebFormDef, token: str) -> tuple[UUID, str] | None:
    """The record that a survey's link is about, and what makes its answer one; None for a form that is no survey. Errors: NotFound for a link
    that is none, is too old, was used, or whose record is gone."""
    if form.answers_to is None:
        return None
    said = read_token(SURVEY, ctx.tenant_id, token) or {}
    over = NotFound(lazy("This link does not work any more: it is for one answer, within a certain time."))
    if said.get("f") != form.key or int(said.get("x") or 0) < ctx.now.timestamp():
        raise over
    record_id = UUID(said["r"])
    target = ctx.config.entity(ctx.config.entity(form.entity).fields[form.answers_to].options["to"])
    async with tenant_transaction(ctx.tenant_id) as conn:
        used = await conn.fetchval("SELECT true FROM form_entry WHERE tenant_id = $1 AND form_key = $2 AND nonce = $3", ctx.tenant_id, form.key, said["n"])
        if used or not await is_live(conn, target, record_id):
            raise over
    return record_id, str(said["n"])


async def submit(ctx: Context, form: WebFormDef, values: Mapping[str, Any], *, token: str, trap: str, answer: str, ip: str, now: float | None = None, about: tuple[UUID, str] | None = None) -> Taken | None:
    """Take what was sent. None for what only a program sends: it is told nothing. `ctx` is the system's, with the origin `form`.

    Errors: StaleForm when the page must be shown again (too old, too quick, used, or from another site); InvalidInput; TooManyRequests; Conflict.
    """
    place = _place(ctx, ip)
    await _hold_back(ctx, form, place)
    said = read_token(PURPOSE, ctx.tenant_id, token) or {}
    age = (now or time.time()) - float(said.get("t") or 0)
    if trap:
        await _note(ctx, form, place, "spam", reason="hidden field")
        return None
    if said.get("f") != form.key or not FASTEST_SECONDS <= age <= SLOWEST_SECONDS:
        raise StaleForm()
    if form.question and answer.strip() != str(said.get("s")):
        await _note(ctx, form, place, "refused", reason="question")
        raise InvalidInput([FieldProblem("question", "question", lazy("That is not the sum. Please look again."))])
    _require(ctx, form, values)
    try:
        if about is not None:
            return await _take(ctx, form, values, about[1], place, {form.answers_to or "": str(about[0])}, via="survey")
        return await _take(ctx, form, values, str(said["n"]), place)
    except AppError as error:
        if error.status < 500 and not isinstance(error, StaleForm):
            await _note(ctx, form, place, "refused", reason=error.code)
        raise


class StaleForm(AppError):
    """The page is shown again with what was typed, to be looked at and sent."""

    code = "stale_form"
    status = 409

    def __init__(self) -> None:
        super().__init__(lazy("Please check your answers and send them."))


def _require(ctx: Context, form: WebFormDef, values: Mapping[str, Any]) -> None:
    missing = [FieldProblem(key, "required", lazy("Please fill this in")) for key in form.required if values.get(key) in EMPTY or values.get(key) is False]
    if missing:
        raise InvalidInput(missing)


async def _take(ctx: Context, form: WebFormDef, values: Mapping[str, Any], nonce: str, place: bytes, about: Mapping[str, Any] | None = None, *, via: str = "form") -> Taken:
    """One transaction: the entry, the record, and what it causes."""
    ctx = ctx.replace(fixed_now=ctx.now, operation_id=new_id(ctx.now), origin=via)
    entity = ctx.config.entity(form.entity)
    async with tenant_transaction(ctx.tenant_id) as conn:
        entry_id = await conn.fetchval(
            "INSERT INTO form_entry (tenant_id, id, form_key, nonce, place, at, status) VALUES ($1, $2, $3, $4, $5, now(), 'made') ON CONFLICT (tenant_id, form_key, nonce) DO NOTHING RETURNING id",
            ctx.tenant_id, new_id(), form.key, nonce, place,
        )  # fmt: skip
        if entry_id is None:
            raise StaleForm()
        act = Act(conn, ctx)
        given = {key: value for key, value in values.items() if key in form.fields}
        run = ActionRun(act, entity, Row(id=UUID(int=0), entity=entity.key, version=0, values=dict(given)))
        stamped = await run.values(form.values, entity)
        if form.owner_role and entity.defn.owned and "owner" not in stamped and (owner := await _next_owner(conn, ctx, form)) is not None:
            stamped["owner"] = str(owner)
        taken = await take_in(act, entity, {**given, **stamped, **(about or {})}, source=f"{via}:{form.key}", match=form.match, on_match=form.on_match)
        await conn.execute(
            "UPDATE form_entry SET status = $3, entity_id = $4, record_id = $5, user_id = $6 WHERE tenant_id = $1 AND id = $2",
            ctx.tenant_id, entry_id, "made" if taken.made else "matched", entity.number, taken.record_id, taken.row.owner,
        )  # fmt: skip
        return taken


async def _next_owner(conn: Any, ctx: Context, form: WebFormDef) -> UUID | None:
    """Whoever with the role was given one of this form's records longest ago; entries come one after the other here."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"form {ctx.tenant_id} {form.key}")
    return await conn.fetchval(
        "SELECT u.id FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = $2 "
        "LEFT JOIN LATERAL (SELECT max(e.at) AS last FROM form_entry e WHERE e.tenant_id = u.tenant_id AND e.form_key = $3 AND e.user_id = u.id) given ON true "
        "WHERE u.tenant_id = $1 AND u.status = 'active' ORDER BY given.last NULLS FIRST, u.id LIMIT 1",
        ctx.tenant_id, form.owner_role, form.key,
    )  # fmt: skip


# ---- limits ------------------------------------------------------------------------------------------------------------


def _place(ctx: Context, ip: str) -> bytes:
    """The network somebody sends from, as a keyed hash: enough to count, not to know."""
    key = current_database().settings.secret_key.encode()
    return hmac.new(key, f"form place {ctx.tenant_id} {network_of(ip)}".encode(), hashlib.sha256).digest()


async def _hold_back(ctx: Context, form: WebFormDef, place: bytes) -> None:
    """Errors: TooManyRequests."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT count(*) FILTER (WHERE place = $2 AND status IN ('made', 'matched')) AS mine, count(*) FILTER (WHERE place = $2) AS tries, "
            "count(*) FILTER (WHERE form_key = $3 AND status IN ('made', 'matched')) AS all_of_form FROM ("
            "SELECT place, status, form_key FROM form_entry WHERE tenant_id = $1 AND at > now() - interval '1 hour' AND (place = $2 OR form_key = $3) LIMIT 20000) recent",
            ctx.tenant_id, place, form.key,
        )  # fmt: skip
    if row["mine"] >= PER_PLACE or row["tries"] >= TRIES_PER_PLACE or row["all_of_form"] >= form.per_hour:
        raise TooManyRequests(lazy("Too much was sent in a short time. Please try again in an hour."), retry_after=3600)


async def _note(ctx: Context, form: WebFormDef, place: bytes, status: str, *, reason: str) -> None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute(
            "INSERT INTO form_entry (tenant_id, id, form_key, place, at, status, reason) VALUES ($1, $2, $3, $4, now(), $5, $6)", ctx.tenant_id, new_id(), form.key, place, status, reason
        )
