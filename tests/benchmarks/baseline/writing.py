"""Creating, changing and moving records: checks, the row, its history and its search tokens in one transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.baseline.database import Refused, Who, new_id
from tests.benchmarks.baseline.reading import one, tokens
from tests.benchmarks.baseline.shapes import FROM, INDUSTRY, LEVEL, OFFERS, PRIORITY, SCOPES, SHAPES, SOURCE, STATUS, ZONE, may

MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+\Z")
LENGTHS = {"name": 120, "name_en": 120, "code": 20, "city": 40, "phone": 30, "contact": 60, "next_step": 120, "competitor": 60, "reason": 120, "note": 20_000}
WORDS = {"level": LEVEL, "industry": INDUSTRY, "status": STATUS, "source": SOURCE, "priority": PRIORITY}
LINKS = {"region": "region", "product": "product", "campaign": "campaign", "customer": "customer"}
INTEGERS, DECIMALS, MONEY = ("employees", "quantity"), {"score": (0, 100), "probability": (0, 100), "discount": (0, 100)}, ("revenue", "amount")
DAYS, MOMENTS, BOOLS = ("founded_on", "next_contact_on", "expected_on"), ("last_contact_at", "decided_at"), ("vip", "renewal")
DEFAULTS = {"customer": {"level": "c", "status": "prospect"}, "deal": {"priority": "normal"}}
REQUIRED = {"customer": ("name",), "deal": ("name", "customer")}
SEARCHED = {"customer": ("name", "name_en"), "deal": ("name",)}


# ---- values ------------------------------------------------------------------------------------------------------------------


def _stored(key: str, value: Any) -> Any:
    """A JSON value as its column takes it. Raises ValueError, with what is wrong."""
    if value is None or value == "":
        return None
    if key in WORDS:
        if value not in WORDS[key]:
            raise ValueError("is none of the choices")
        return value
    if key in LINKS:
        return UUID(value)
    if key in MONEY:
        minor = Decimal(str(value["amount"] if isinstance(value, Mapping) else value)) * 100
        if minor != int(minor):
            raise ValueError("has too many decimals")
        return int(minor)
    if key in INTEGERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError("must be a whole number")
        return value
    if key in DECIMALS:
        low, high = DECIMALS[key]
        if not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return float(value)
    if key in DAYS:
        return date.fromisoformat(value)
    if key in MOMENTS:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("needs a zone")
        return moment
    if key in BOOLS:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    if not isinstance(value, str) or len(value) > LENGTHS.get(key, 255) or "\x00" in value:
        raise ValueError("is no text of this length")
    if key == "mail" and not MAIL.match(value):
        raise ValueError("is no e-mail address")
    return value.strip()


def checked(entity: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """{field: stored value}; all problems at once."""
    found, problems = {}, []
    for key, value in values.items():
        if key not in SHAPES[entity] or key in ("stage", "deal_amount"):
            problems.append({"field": key, "code": "unknown", "message": "There is no such field."})
            continue
        try:
            found[key] = _stored(key, value)
        except (ValueError, TypeError, KeyError, InvalidOperation) as error:
            problems.append({"field": key, "code": "invalid", "message": str(error)})
    for key in REQUIRED[entity]:
        if key in found and found[key] in (None, ""):
            problems.append({"field": key, "code": "required", "message": "This field is required."})
    if problems:
        raise Refused(422, "invalid_input", "Some values are not possible.", problems)
    return found


async def _links_exist(conn: Any, who: Who, values: Mapping[str, Any]) -> None:
    wanted = [(table, values[key]) for key, table in LINKS.items() if values.get(key) is not None]
    if not wanted:
        return
    sql = " UNION ALL ".join(f"SELECT {n} WHERE EXISTS (SELECT 1 FROM {table} WHERE tenant_id = $1 AND id = ${n + 2} AND deleted_at IS NULL)" for n, (table, _) in enumerate(wanted))
    found = await conn.fetch(sql, who.tenant_id, *(link for _, link in wanted))
    if len(found) < len(wanted):
        raise Refused(422, "invalid_input", "A linked record does not exist.")


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else str(value) if isinstance(value, UUID) else value


# ---- history and search ------------------------------------------------------------------------------------------------------


async def remember(conn: Any, who: Who, entity: str, record_id: UUID, kind: str, version: int, changes: Mapping[str, tuple[Any, Any]], at: datetime) -> None:
    text = json.dumps({k: [_json(v) for v in both] for k, both in changes.items()}, ensure_ascii=False)
    await conn.execute(
        "INSERT INTO history (tenant_id, entity, record_id, id, at, actor_id, kind, version, changes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)",
        who.tenant_id, entity, record_id, new_id(), at, who.user_id, kind, version, text,
    )  # fmt: skip


async def make_searchable(conn: Any, who: Who, entity: str, record_id: UUID, text: str, *, fresh: bool) -> None:
    if not fresh:
        await conn.execute("DELETE FROM search_token WHERE tenant_id = $1 AND entity = $2 AND record_id = $3", who.tenant_id, entity, record_id)
    await conn.execute(
        "INSERT INTO search_token (tenant_id, entity, token, record_id) SELECT $1, $2, unnest($3::text[]), $4 ON CONFLICT DO NOTHING", who.tenant_id, entity, tokens(text), record_id
    )


# ---- create ------------------------------------------------------------------------------------------------------------------


async def create(conn: Any, who: Who, entity: str, given: Mapping[str, Any]) -> UUID:
    if not SCOPES[who.role]["create"]:
        raise Refused(403, "permission_denied", "Your role does not allow this.")
    values = checked(entity, {**dict.fromkeys(REQUIRED[entity]), **DEFAULTS[entity], **given})
    await _links_exist(conn, who, values)
    record_id, now = new_id(), datetime.now(UTC)
    row: dict[str, Any] = {
        "tenant_id": who.tenant_id, "id": record_id, "owner_id": who.user_id, "department_id": who.department_id, "created_at": now, "created_by": who.user_id,
        "updated_at": now, "updated_by": who.user_id, **{SHAPES[entity][k][0]: v for k, v in values.items()},
    }  # fmt: skip
    if entity == "deal":
        row |= {"stage": "new", "stage_since": now}
    try:
        await conn.execute(f"INSERT INTO {entity} ({', '.join(row)}) VALUES ({', '.join(f'${n}' for n in range(1, len(row) + 1))})", *row.values())
    except asyncpg.UniqueViolationError as error:
        raise Refused(422, "invalid_input", "Another record already has this code.", [{"field": "code", "code": "not_unique", "message": "taken"}]) from error
    if entity == "deal":
        await _enter(conn, who, record_id, "new", now)
        await _add_up(conn, who, values["customer"])
    changes = {k: (None, v) for k, v in values.items() if v is not None}
    await remember(conn, who, entity, record_id, "created", 1, {**changes, "owner": (None, who.user_id)}, now)
    await make_searchable(conn, who, entity, record_id, " ".join(values.get(k) or "" for k in SEARCHED[entity]), fresh=True)
    return record_id


async def _enter(conn: Any, who: Who, deal_id: UUID, stage: str, at: datetime) -> None:
    await conn.execute("INSERT INTO deal_stage (tenant_id, deal_id, id, stage, entered_at, user_id) VALUES ($1, $2, $3, $4, $5, $6)", who.tenant_id, deal_id, new_id(), stage, at, who.user_id)


async def _add_up(conn: Any, who: Who, customer_id: UUID) -> None:
    """The customer's sum of deals, locked first so that two deals of one customer do not miss each other."""
    await conn.execute("SELECT 1 FROM customer WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE", who.tenant_id, customer_id)
    await conn.execute(
        "UPDATE customer SET deal_amount = (SELECT coalesce(sum(amount), 0) FROM deal WHERE tenant_id = $1 AND customer_id = $2 AND deleted_at IS NULL) WHERE tenant_id = $1 AND id = $2",
        who.tenant_id, customer_id,
    )  # fmt: skip


# ---- update ------------------------------------------------------------------------------------------------------------------


async def update(conn: Any, who: Who, entity: str, record_id: UUID, given: Mapping[str, Any], version: int | None) -> None:
    old = await one(conn, who, entity, record_id, lock=True)
    if not may(who, "update", old):
        raise Refused(403, "permission_denied", "Your role does not allow this for this record.")
    if version is not None and version != old["version"]:
        raise Refused(409, "stale_version", "Somebody changed this record meanwhile.")
    values = checked(entity, given)
    await _links_exist(conn, who, values)
    changes = {k: (old[SHAPES[entity][k][0]], v) for k, v in values.items() if v != old[SHAPES[entity][k][0]]}
    if not changes:
        return
    now = datetime.now(UTC)
    await _write(conn, who, entity, record_id, {SHAPES[entity][k][0]: v for k, (_, v) in changes.items()}, old["version"] + 1, now)
    await remember(conn, who, entity, record_id, "updated", old["version"] + 1, changes, now)
    if set(changes) & set(SEARCHED[entity]):
        await make_searchable(conn, who, entity, record_id, " ".join(values.get(k, old[k]) or "" for k in SEARCHED[entity]), fresh=False)
    if entity == "deal" and {"amount", "customer"} & set(changes):
        for customer_id in {old["customer_id"], values.get("customer", old["customer_id"])}:
            await _add_up(conn, who, customer_id)


async def _write(conn: Any, who: Who, entity: str, record_id: UUID, columns: Mapping[str, Any], version: int, at: datetime) -> None:
    sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(columns, 6))
    try:
        await conn.execute(
            f"UPDATE {entity} SET version = $3, updated_at = $4, updated_by = $5{', ' if sets else ''}{sets} WHERE tenant_id = $1 AND id = $2",
            who.tenant_id, record_id, version, at, who.user_id, *columns.values(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Refused(422, "invalid_input", "Another record already has this code.") from error


# ---- transitions -------------------------------------------------------------------------------------------------------------


async def move(conn: Any, who: Who, deal_id: UUID, key: str, version: int | None) -> list[dict[str, Any]]:
    """Move a deal; returns what followed from it."""
    old = await one(conn, who, "deal", deal_id, lock=True)
    offer = OFFERS.get(key)
    if offer is None:
        raise Refused(404, "not_found", "There is no such transition.")
    if not may(who, "update", old):
        raise Refused(403, "permission_denied", "Your role does not allow this for this record.")
    if key not in FROM.get(old["stage"], ()):
        raise Refused(409, "conflict", "This is not possible at this stage.")
    if version is not None and version != old["version"]:
        raise Refused(409, "stale_version", "Somebody changed this record meanwhile.")
    now, stage = datetime.now(UTC), offer["to"]
    await _write(conn, who, "deal", deal_id, {"stage": stage, "stage_since": now}, old["version"] + 1, now)
    await remember(conn, who, "deal", deal_id, "transition", old["version"] + 1, {"stage": (old["stage"], stage)}, now)
    await conn.execute("UPDATE deal_stage SET left_at = $3 WHERE tenant_id = $1 AND deal_id = $2 AND left_at IS NULL", who.tenant_id, deal_id, now)
    await _enter(conn, who, deal_id, stage, now)
    effects = [{"action": "transition", "entity": "deal", "id": str(deal_id)}]
    return [*effects, *(await _qualified(conn, who, old, now))] if key == "qualify" else effects


async def _qualified(conn: Any, who: Who, deal: Any, now: datetime) -> list[dict[str, Any]]:
    """The customer becomes active and is contacted in a week; somebody follows up in three days."""
    effects = []
    today = now.astimezone(ZONE).date()
    customer = await one(conn, who, "customer", deal["customer_id"], lock=True)
    wanted = {"status": "active", "next_contact_on": today + timedelta(days=7)}
    changes = {k: (customer[k], v) for k, v in wanted.items() if customer[k] != v}
    if changes:
        await _write(conn, who, "customer", customer["id"], {k: v for k, (_, v) in changes.items()}, customer["version"] + 1, now)
        await remember(conn, who, "customer", customer["id"], "updated", customer["version"] + 1, changes, now)
        effects.append({"action": "update", "entity": "customer", "id": str(customer["id"])})
    task_id, name, due = new_id(), f"Follow up: {deal['name']}", today + timedelta(days=3)
    await conn.execute(
        "INSERT INTO task (tenant_id, id, owner_id, department_id, created_at, created_by, updated_at, updated_by, name, customer_id, deal_id, due) VALUES ($1, $2, $3, $4, $5, $3, $5, $3, $6, $7, $8, $9)",
        who.tenant_id, task_id, who.user_id, who.department_id, now, name, deal["customer_id"], deal["id"], due,
    )  # fmt: skip
    changes = {"name": (None, name), "customer": (None, deal["customer_id"]), "deal": (None, deal["id"]), "due": (None, due), "done": (None, False), "owner": (None, who.user_id)}
    await remember(conn, who, "task", task_id, "created", 1, changes, now)
    await make_searchable(conn, who, "task", task_id, name, fresh=True)
    return [*effects, {"action": "create", "entity": "task", "id": str(task_id)}]
