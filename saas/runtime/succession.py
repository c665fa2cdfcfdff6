"""When somebody leaves: who takes over what they are responsible for.

Responsible is the owner of a record, and whoever stands in a field that its entity declares as `assignees`; nothing is known by name. Records
change hands through the one door, with history, in a job. People whose superior leaves get the successor as theirs. All of it can be undone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import LOCALES, gettext, lazy, ngettext, pick, use_locale
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import jobs, permissions
from saas.runtime import operations as ops
from saas.runtime.approvals.leaving import asked_of, hand_over_tasks
from saas.runtime.bulk import MAX_REPORTED
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.notifications import Notice, deliver
from saas.runtime.sql import Statement, field_sql, held_sql
from saas.runtime.worker import run_for
from saas.tenants import find_user, list_users, record_audit, replace_head, update_user
from saas.tenants.rules import get_security_rules
from saas.tenants.sso.store import is_emergency

KIND = "hand_over_records"
BATCH = 50
INLINE_SECONDS = 2.0  # so long the page waits; what is left goes on in the background
SCOPES = ("open", "all")


@dataclass(frozen=True, slots=True)
class Part:
    """What somebody is responsible for in one entity by one field. `closed`: records in a final stage, which are history."""

    entity: str
    field: str
    open: int
    closed: int


@dataclass(frozen=True, slots=True)
class Duties:
    """`open`, `all`: records, each counted once; `led`: active people whose superior they are; `keys`: API keys that end with them;
    `asked`: decisions that wait for them."""

    parts: tuple[Part, ...]
    open: int
    all: int
    led: int
    keys: int
    asked: int = 0


def responsible_fields(entity: Entity) -> list[FieldDef]:
    """Fields of an entity that say who is responsible."""
    keys = ["owner"] if entity.defn.owned else []
    keys += [key for key in entity.defn.assignees if key not in keys]
    return [entity.fields[key] for key in keys if key in entity.fields]


async def duties(ctx: Context, user_id: UUID) -> Duties:
    """What somebody is responsible for, over all records. Errors: PermissionDenied, NotFound."""
    await _target(ctx, user_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        parts: list[Part] = []
        open_ = all_ = 0
        for entity in ctx.config.entities.values():
            fields = responsible_fields(entity)
            if not fields:
                continue
            statement = Statement(ctx)
            person, closed = statement.param(user_id, "uuid"), _closed_sql(entity, statement)
            held = [held_sql(ctx.config, entity, field, "t", person) for field in fields]
            counts = ", ".join(f"count(*) FILTER (WHERE ({h}) AND NOT ({closed})), count(*) FILTER (WHERE ({h}) AND ({closed}))" for h in held)
            any_ = " OR ".join(f"({h})" for h in held)
            row = await conn.fetchrow(*statement.finish(f"SELECT count(*) FILTER (WHERE NOT ({closed})), count(*), {counts} FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND ({any_})"))
            open_, all_ = open_ + row[0], all_ + row[1]
            parts += [Part(entity.key, f.key, row[2 + 2 * n], row[3 + 2 * n]) for n, f in enumerate(fields) if row[2 + 2 * n] or row[3 + 2 * n]]
        led = await conn.fetchval("SELECT count(*) FROM app_user WHERE tenant_id = $1 AND superior_id = $2 AND status = 'active'", ctx.tenant_id, user_id)
        keys = await conn.fetchval("SELECT count(*) FROM session WHERE tenant_id = $1 AND user_id = $2 AND kind = 'key' AND revoked_at IS NULL AND expires_at > now()", ctx.tenant_id, user_id)
        asked = await asked_of(conn, ctx, user_id)
    return Duties(tuple(parts), open_, all_, led, keys, asked)


def _closed_sql(entity: Entity, statement: Statement) -> str:
    final = [s.key for s in entity.pipeline.stages if s.is_final] if entity.pipeline else []
    return f"coalesce(t.state = ANY({statement.param(final, 'text[]')}), false)" if final else "false"


async def deactivate(ctx: Context, user_id: UUID, *, successor_id: UUID | None, scope: str = "open") -> jobs.JobInfo | None:
    """Make somebody inactive: their sessions and API keys end at once, and the successor takes over in the job that is returned (None:
    nobody takes over, or there is nothing to take over). `scope`: open records only, or all.

    Errors: PermissionDenied, NotFound, InvalidInput (successor, scope), Conflict (the last administrator, or is inactive already).
    """
    target = await _target(ctx, user_id)
    permissions.require_active(ctx)
    if user_id == ctx.user_id:
        raise Conflict(lazy("You cannot take away your own access. Ask another administrator."))
    if target["status"] != "active":
        raise Conflict(lazy("This person is inactive already."))
    if scope not in SCOPES:
        raise InvalidInput([FieldProblem("scope", "unknown", lazy("Choose which records are taken over."), "/scope")])
    if successor_id is not None:
        await _successor(ctx, user_id, successor_id)
    found = await duties(ctx, user_id)
    if successor_id is None and found.open and (await get_security_rules(ctx.tenant_id)).successor_required:
        message = ngettext("%(count)s open record needs somebody who takes it over.", "%(count)s open records need somebody who takes them over.", found.open)
        raise InvalidInput([FieldProblem("successor", "required", message, "/successor")])
    count = found.all if scope == "all" else found.open
    job_id = None
    async with tenant_transaction(ctx.tenant_id) as conn:
        await require_other_admin(conn, ctx, user_id)
        led = [r["id"] for r in await conn.fetch("SELECT id FROM app_user WHERE tenant_id = $1 AND superior_id = $2 ORDER BY id", ctx.tenant_id, user_id)] if successor_id else []
        for person in led:
            await update_user(ctx.tenant_id, person, {"superior_id": successor_id if person != successor_id else target["superior_id"]}, actor_id=ctx.user_id)
        heads = await replace_head(ctx.tenant_id, user_id, successor_id) if successor_id else []
        await update_user(ctx.tenant_id, user_id, {"status": "inactive", "successor_id": successor_id}, actor_id=ctx.user_id)
        await hand_over_tasks(conn, ctx, user_id, successor_id)
        await record_audit(conn, ctx.tenant_id, "user.deactivated", actor_id=ctx.user_id, target=str(user_id), data={"successor": target_name(await find_user(ctx.tenant_id, user_id=successor_id)) if successor_id else "", "records": count if successor_id else 0})
        if successor_id is not None and (count or led or heads):
            payload = {"from": str(user_id), "to": str(successor_id), "scope": scope, "led": [str(i) for i in led], "heads": [str(i) for i in heads]}
            job_id = await jobs.enqueue(conn, ctx, KIND, payload, total=count)
    return await run_for(ctx, job_id, INLINE_SECONDS) if job_id else None


def target_name(person: Mapping[str, Any]) -> str:
    return str(person["name"])


async def reactivate(ctx: Context, user_id: UUID) -> jobs.JobInfo | None:
    """Let somebody in again, and give back what their successor took over from them and still has; the job that does it, None where nothing
    was taken over. Errors: PermissionDenied, NotFound, Conflict (is active, or the taking over is still under way), PlanLimitReached."""
    target = await _target(ctx, user_id)
    permissions.require_active(ctx)
    if target["status"] == "active":
        raise Conflict(lazy("This person is active already."))
    last = await last_hand_over(ctx, user_id)
    if last is not None and not last.is_over:
        raise Conflict(lazy("Records are still changing hands. Please wait until that is over."))
    job_id = None
    async with tenant_transaction(ctx.tenant_id) as conn:
        await update_user(ctx.tenant_id, user_id, {"status": "active", "successor_id": None}, actor_id=ctx.user_id)
        await record_audit(conn, ctx.tenant_id, "user.reactivated", actor_id=ctx.user_id, target=str(user_id))
        if last is not None and "undo" not in last.payload:
            payload, result = last.payload, last.result or {}
            heir = UUID(payload["to"])
            for person in await list_users(ctx.tenant_id):
                if str(person["id"]) in payload.get("led", []) and (person["superior_id"] == heir or person["id"] == heir):
                    await update_user(ctx.tenant_id, person["id"], {"superior_id": user_id}, actor_id=ctx.user_id)
            await replace_head(ctx.tenant_id, heir, user_id, only=[UUID(i) for i in payload.get("heads", [])])
            if result.get("moved"):
                job_id = await jobs.enqueue(conn, ctx, KIND, {"from": payload["to"], "to": payload["from"], "undo": result["moved"], "kept": result.get("stood", {})}, total=sum(len(v) for v in result["moved"].values()))
    return await run_for(ctx, job_id, INLINE_SECONDS) if job_id else None


async def last_hand_over(ctx: Context, user_id: UUID) -> jobs.JobInfo | None:
    """The job in which records of this person changed hands last, in either direction."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await conn.fetchval(
            "SELECT id FROM job WHERE tenant_id = $1 AND kind = $2 AND (payload ->> 'from' = $3 OR (payload ->> 'to' = $3 AND payload ? 'undo')) ORDER BY created_at DESC, id DESC LIMIT 1",
            ctx.tenant_id, KIND, str(user_id),
        )  # fmt: skip
    return await jobs.get_job(ctx, job_id) if job_id else None


async def require_other_admin(conn: Any, ctx: Context, user_id: UUID) -> None:
    """Somebody who administers must remain, who can sign in; within the transaction that takes this person's access away. Errors: Conflict."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('administrators:' || $1::text, 0))", str(ctx.tenant_id))
    admins = [r.key for r in ctx.config.bundle.roles if r.admin]
    rows = await conn.fetch(
        "SELECT DISTINCT u.id, u.password_hash <> '' AS can_sign_in FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
        "WHERE u.tenant_id = $1 AND u.status = 'active' AND r.role_key = ANY($2::text[])",
        ctx.tenant_id, admins,
    )  # fmt: skip
    if await is_emergency(conn, ctx.tenant_id, user_id):
        raise Conflict(lazy("Single sign-on is required, and this administrator is the one who may still use a password. Choose another one first."), reason="last_admin")
    is_admin = any(r["id"] == user_id for r in rows)
    if is_admin and not any(r["id"] != user_id and r["can_sign_in"] for r in rows):
        raise Conflict(lazy("This is the last administrator. Make somebody else an administrator first."), reason="last_admin")


async def _target(ctx: Context, user_id: UUID) -> dict[str, Any]:
    """The person, whom only those may touch who could give all of their roles."""
    permissions.require_setting(ctx, "users")
    target = await find_user(ctx.tenant_id, user_id=user_id)
    known = ctx.config.roles
    if any(not permissions.may_give(ctx, known[key]) for key in target["role_keys"] if key in known):
        raise PermissionDenied(lazy("Only an administrator can change this person."))
    return target


async def _successor(ctx: Context, user_id: UUID, successor_id: UUID) -> None:
    try:
        successor = await find_user(ctx.tenant_id, user_id=successor_id)
    except NotFound:
        successor = {"status": "inactive"}
    if successor["status"] != "active" or successor_id == user_id:
        raise InvalidInput([FieldProblem("successor", "unknown", lazy("Choose an active person who takes over."), "/successor")])


# ---- the work --------------------------------------------------------------------------------------------------------------------


async def hand_over_in_job(job: jobs.JobRun) -> dict[str, Any]:
    """The work of the job; what has changed hands already is not found again, so it can be interrupted."""
    permissions.require_setting(job.ctx, "users")
    ctx = job.ctx.replace(elevated=True, origin="bulk")
    old, new = UUID(job.payload["from"]), UUID(job.payload["to"])
    state = {"done": 0, "failed_count": 0, "failed": [], "moved": {}, "stood": {}, **job.state}
    state |= {"failed_count": 0, "failed": []}  # tried again
    async with tenant_transaction(ctx.tenant_id) as conn:
        await find_user(ctx.tenant_id, user_id=new)
        todo = await _todo(conn, ctx, old, job.payload)
    total = state["done"] + len(todo)
    for start in range(0, len(todo), BATCH):
        following = {**state, "failed": list(state["failed"]), "moved": {k: list(v) for k, v in state["moved"].items()}, "stood": dict(state["stood"])}
        async with tenant_transaction(ctx.tenant_id) as conn:
            for entity, record_id, fields in todo[start : start + BATCH]:
                try:
                    stood = await _give(conn, ctx, entity, record_id, fields, old, new, keep=job.payload.get("kept", {}).get(f"{entity.key}.{record_id}", ()))
                    following["done"] += 1
                    following["moved"].setdefault(entity.key, []).append([str(record_id), *fields])
                    if stood:
                        following["stood"][f"{entity.key}.{record_id}"] = stood
                except AppError as error:
                    following["failed_count"] += 1
                    if len(following["failed"]) < MAX_REPORTED:
                        following["failed"].append({"id": str(record_id), "title": pick(entity.defn.label), "message": _reason(error)})
            await job.checkpoint(conn, done=following["done"] + following["failed_count"], total=total, state=following)
        state = following
    await _tell(ctx, old, new, state["done"])
    return state


def _reason(error: AppError) -> str:
    problems = [str(p.message) for p in error.problems][:3] if isinstance(error, InvalidInput) else []
    return " ".join(problems) or str(error.message)


async def _todo(conn: Any, ctx: Context, old: UUID, payload: Mapping[str, Any]) -> list[tuple[Entity, UUID, list[str]]]:
    """(entity, record, fields in which `old` stands)."""
    given = {(key, item[0]): set(item[1:]) for key, items in payload["undo"].items() for item in items} if "undo" in payload else None
    found: list[tuple[Entity, UUID, list[str]]] = []
    for entity in ctx.config.entities.values():
        fields: dict[UUID, list[str]] = defaultdict(list)
        for field in responsible_fields(entity):
            statement = Statement(ctx)
            held = held_sql(ctx.config, entity, field, "t", statement.param(old, "uuid"))
            only = "true" if payload.get("scope", "all") == "all" else f"NOT ({_closed_sql(entity, statement)})"
            sql = f"SELECT t.id FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {held} AND {only}"
            for row in await conn.fetch(*statement.finish(sql)):
                if given is None or field.key in given.get((entity.key, str(row["id"])), ()):
                    fields[row["id"]].append(field.key)
        found += [(entity, record_id, fields[record_id]) for record_id in sorted(fields)]
    return found


async def _give(conn: Any, ctx: Context, entity: Entity, record_id: UUID, fields: Sequence[str], old: UUID, new: UUID, *, keep: Sequence[str] = ()) -> list[str]:
    """Returns the fields of several people in which `new` stood already; in those of `keep` both stand afterwards, so that giving back takes
    away only what was taken over."""
    values: dict[str, Any] = {}
    stood = []
    for key in fields:
        field = entity.fields[key]
        if field_types.get(field.type).many:
            row = await conn.fetchval(f"SELECT {field_sql(ctx.config, entity, field, 't')} FROM record t WHERE t.entity_id = {entity.number} AND t.id = $1", record_id)
            held = [i for i in _ids(row) if i != str(old) or key in keep]
            if str(new) in held:
                stood.append(key)
            values[key] = list(dict.fromkeys([*held, str(new)]))
        else:
            values[key] = str(new)
    await execute(ctx, ops.Update(entity=entity.key, id=record_id, values=values, confirm_duplicates=True, brief=True))
    return stood


def _ids(value: Any) -> list[str]:
    found = json.loads(value) if isinstance(value, str) else value
    return [str(i) for i in found or ()]


async def _tell(ctx: Context, old: UUID, new: UUID, count: int) -> None:
    """The one who took over hears of it once, not record by record."""
    if not count or new == ctx.user_id:
        return
    before = await find_user(ctx.tenant_id, user_id=old)
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            titles[locale] = gettext("You have taken over from %(name)s", name=before["name"])
            bodies[locale] = ngettext("%(count)s record is yours now.", "%(count)s records are yours now.", count)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await deliver(conn, ctx, [new], Notice(titles, bodies, None, None, KIND))
