"""Taking what another system says, or an e-mail that a mail server hands over, as records: by a secret address, signed where the definition says so, once however often it comes, and
with a log of everything that came."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import (
    AppError,
    BadRequest,
    FieldProblem,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    PlanLimitReached,
    TooManyRequests,
)
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import InboundHookDef
from saas.runtime import exchanges, files, inbound_mail
from saas.runtime.actions.create import equal_record
from saas.runtime.acts import Act, ActionRun
from saas.runtime.context import Context
from saas.runtime.inbound import EMPTY, take_in
from saas.runtime.messages.sms import at
from saas.runtime.rows import Row
from saas.runtime.signatures import HEADER, is_signed
from saas.tenants import new_id
from saas.tenants.integrations import Integration, get_integration, save_integration
from saas.tenants.tokens import make_token, read_token

KIND = "inbound"
PER_MINUTE = 300
MOST_BYTES = 200_000
FILES = ("file", "image")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other system is told: the record, and whether it is new; `again`: this message had come before."""

    record_id: UUID | None
    made: bool
    again: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"record": str(self.record_id) if self.record_id else None, "made": self.made, "again": self.again}


def path_of(tenant_id: UUID, found: Integration) -> str:
    """The secret address. Changing the secret changes it; the old one works for a day more."""
    return f"/hooks/in/{make_token(KIND, tenant_id, {'k': found.key, 's': _mark(found.secret)})}"


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


async def ensure(conn: Any, tenant_id: UUID, hook: InboundHookDef, name: str, *, actor_id: UUID | None = None) -> Integration:
    """The address and secret of a hook, made when they are first looked at."""
    try:
        return await get_integration(conn, tenant_id, KIND, key=hook.key)
    except NotFound:
        await save_integration(conn, tenant_id, KIND, hook.key, name, {}, actor_id=actor_id)
        return await get_integration(conn, tenant_id, KIND, key=hook.key)


@dataclass(frozen=True, slots=True)
class Door:
    """Where a secret address leads."""

    hook: InboundHookDef
    found: Integration


async def door_of(ctx: Context, token: str) -> Door:
    """Asked before anything of the message is read. Errors: NotFound for an address that is none (any more); TooManyRequests."""
    said = read_token(KIND, ctx.tenant_id, token)
    hook = next((h for h in ctx.config.bundle.inbound_hooks if said is not None and h.key == said.get("k")), None)
    if said is None or hook is None or not hook.active or not ctx.tenant.is_writable or ctx.tenant.delete_after is not None:
        raise NotFound()
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await get_integration(conn, ctx.tenant_id, KIND, key=hook.key)
        recent = await conn.fetchval(
            "SELECT count(*) FROM (SELECT 1 FROM exchange WHERE tenant_id = $1 AND integration_id = $2 AND at > now() - interval '1 minute' LIMIT 1000) r", ctx.tenant_id, found.id
        )
    if not found.active or said.get("s") not in [_mark(s) for s in found.secrets]:
        raise NotFound()
    if recent >= PER_MINUTE:
        raise TooManyRequests(lazy("Too many messages in a minute."), retry_after=60)
    return Door(hook, found)


async def receive(ctx: Context, door: Door, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Take one message. `ctx` is the system's, with the origin `webhook`. Errors: PayloadTooLarge; NotAuthenticated for a missing or wrong
    signature; BadRequest, InvalidInput, Conflict."""
    hook, found = door.hook, door.found
    if len(body) > MOST_BYTES and not inbound_mail.is_mail(headers):
        raise PayloadTooLarge(lazy("This message is too long."))
    if hook.signed and not is_signed(headers.get(HEADER.lower(), ""), found.secrets, body, time.time()):
        await _refuse(ctx, found, body, "signature")
        raise NotAuthenticated(lazy("The signature is missing, wrong or too old."))
    try:
        return await _take(ctx, hook, found, body, headers)
    except AppError as error:
        if error.status < 500:
            problems = [f"{p.field}: {p.message}" for p in error.problems if isinstance(p, FieldProblem)] if isinstance(error, InvalidInput) else []
            await _refuse(ctx, found, body, "; ".join(problems) or str(error.message))
        raise


async def _take(ctx: Context, hook: InboundHookDef, found: Integration, body: bytes, headers: Mapping[str, str]) -> Answer:
    mail = await asyncio.to_thread(inbound_mail.read_mail, body) if inbound_mail.is_mail(headers) else None
    content = mail.content if mail is not None else _json(body)
    entity = ctx.config.entity(hook.entity)
    given = {field: at(content, path) for field, path in hook.map.items()}
    once = str(at(content, hook.once) or "") if hook.once else headers.get("idempotency-key", "") or (content["id"] if mail is not None else "")
    key = f"in {hashlib.sha256(once.encode()).hexdigest()}" if once else None
    ctx = ctx.replace(fixed_now=ctx.now, operation_id=new_id(ctx.now))
    hung = [field for field, path in hook.map.items() if mail is not None and path == "files" and entity.fields[field].type in FILES]
    if mail is not None:  # before the transaction: what is refused leaves files that belong to nothing, which are tidied like any others
        given |= {field: await _keep(ctx, entity, field, mail) or None for field in hung}  # a letter without files takes none away
    async with tenant_transaction(ctx.tenant_id) as conn:
        if key is not None:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"hook {ctx.tenant_id} {key}")
            before = await conn.fetchrow("SELECT record_id FROM exchange WHERE tenant_id = $1 AND integration_id = $2 AND key = $3 AND status = 'done'", ctx.tenant_id, found.id, key)
            if before is not None:
                return Answer(before["record_id"], made=False, again=True)
        act = Act(conn, ctx)
        known: dict[str, Any] = {k: _fitting(entity, k, v) for k, v in given.items() if v is not None}
        await _look_up(act, entity, hook.lookup, known)
        stamped = await ActionRun(act, entity, Row(id=UUID(int=0), entity=entity.key, version=0, values=dict(known))).values(hook.values, entity)
        added = [field for field in hung if entity.fields[field].options.get("multiple")]
        taken = await take_in(act, entity, {**known, **stamped}, source=f"{'mail' if mail is not None else 'webhook'}:{hook.key}", match=hook.match, on_match=hook.on_match, added=added)
        answer = Answer(taken.record_id, taken.made)
        await exchanges.note(
            conn, ctx.tenant_id, found.id, direction="in", event="made" if taken.made else "matched", status="done", key=key, request=body.decode("utf-8", "replace"), answer=json.dumps(answer.to_json()),
            http_status=200, entity_id=entity.number, record_id=taken.record_id,
        )  # fmt: skip
        return answer


async def _keep(ctx: Context, entity: Entity, field: str, mail: inbound_mail.Mail) -> list[str]:
    """What hangs on an e-mail, as far as the field takes it: a file of another kind keeps nobody's letter out. Errors: Unavailable."""
    kept = []
    for name, content in mail.files if entity.fields[field].options.get("multiple") else mail.files[:1]:
        try:
            kept.append(str((await files.store_for(ctx, entity.fields[field], name, content)).id))
        except (InvalidInput, PayloadTooLarge, PlanLimitReached):
            continue
    return kept


async def _look_up(act: Act, entity: Entity, lookup: Mapping[str, str], known: dict[str, Any]) -> None:
    """Put the records in that other systems name by a number of theirs. Errors: InvalidInput where there is none with it."""
    for key, by in lookup.items():
        if known.get(key) in EMPTY:
            continue
        target = act.ctx.config.entity(str(entity.fields[key].options["to"]))
        probe = ActionRun(act, target, Row(id=UUID(int=0), entity=target.key, version=0))
        found = await equal_record(probe, target, {by: _fitting(target, by, known[key])})
        if found is None:
            text = lazy("There is no record with “%(value)s”.", value=str(known[key])[:100])
            raise InvalidInput([FieldProblem(key, "unknown", text)], text)
        known[key] = str(found.id)


def _fitting(entity: Entity, key: str, value: Any) -> Any:
    """Numbers where texts are wanted, as other systems write them."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and field_types.get(entity.fields[key].type).expr_type in ("text", "option"):
        return str(value)
    return value


def _json(body: bytes) -> Any:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(lazy("This is not JSON.")) from error
    if not isinstance(content, (dict, list)):
        raise BadRequest(lazy("This is not JSON."))
    return content


async def _refuse(ctx: Context, found: Integration, body: bytes, reason: str) -> None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        await exchanges.note(conn, ctx.tenant_id, found.id, direction="in", event="refused", status="refused", request=body.decode("utf-8", "replace"), error=reason)
