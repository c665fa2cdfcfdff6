"""Lists, single records, boards, figures and search: one statement each, names joined in."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tests.benchmarks.baseline.database import Refused, Who
from tests.benchmarks.baseline.shapes import SCOPES, SHAPES, Shape

PEOPLE = ("owner_id", "created_by", "updated_by")
META = ("id", "version", "owner_id", "department_id", "created_at", "created_by", "updated_at", "updated_by", "name")
SORTS = {
    "customer": {"revenue": "bigint", "last_contact_at": "timestamptz", "name": "text", "created_at": "timestamptz", "updated_at": "timestamptz", "employees": "int"},
    "deal": {"amount": "bigint", "expected_on": "date", "created_at": "timestamptz", "updated_at": "timestamptz"},
}  # fmt: skip
CAP = 1000
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_RUN = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")


class Parameters(list):
    def add(self, value: Any) -> str:
        self.append(value)
        return f"${len(self)}"


def _columns(entity: str, fields: Sequence[str] | None) -> tuple[list[str], list[tuple[str, str]]]:
    """Columns to read, and (column, table) of those whose names are joined in."""
    shapes: dict[str, Shape] = SHAPES[entity]
    wanted = [shapes[k] for k in (shapes if fields is None else fields) if k in shapes]
    columns = dict.fromkeys((*META, *(s[0] for s in wanted)))
    if entity == "deal":
        columns |= dict.fromkeys(("stage", "stage_since", "amount", "reason"))
    links = [(s[0], s[3]) for s in wanted if s[3]]
    if fields is None:
        links += [(column, "app_user") for column in PEOPLE] + [("department_id", "department")]
    return list(columns), links


def _named(page: str, links: Iterable[tuple[str, str]], order: str) -> str:
    """A page of rows with the names of what they link to. The tenant ($1) is said again: row security's own condition tells the planner
    nothing about how many rows there are."""
    links = list(links)
    names = "".join(f", n{i}.name AS {column}_name" for i, (column, _) in enumerate(links))
    joins = "".join(f" LEFT JOIN {table} n{i} ON n{i}.tenant_id = $1 AND n{i}.id = p.{column}" for i, (column, table) in enumerate(links))
    return f"SELECT p.*{names} FROM ({page}) p{joins} {order}"


def _scope(who: Who, parameters: Parameters) -> str:
    scope = SCOPES[who.role]["read"]
    if scope == "all":
        return ""
    own = f"t.owner_id = {parameters.add(who.user_id)}"
    return f" AND {own}" if scope == "own" else f" AND ({own} OR t.department_id = {parameters.add(who.department_id)})"


def condition(entity: str, found: Any, parameters: Parameters) -> str:
    """{"and": […]} of {"field", "op", "value"} over known fields."""
    if "and" in found:
        return " AND ".join(condition(entity, part, parameters) for part in found["and"])
    shape = SHAPES[entity].get(found["field"])
    operator = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}.get(found["op"])
    if shape is None or (operator is None and found["op"] != "in"):
        raise Refused(400, "bad_request", "unknown filter")
    convert = _converter(shape)
    if found["op"] == "in":
        return f"t.{shape[0]} = ANY({parameters.add([convert(v) for v in found['value']])})"
    return f"t.{shape[0]} {operator} {parameters.add(convert(found['value']))}"


def _converter(shape: Shape) -> Any:
    column = shape[0]
    if shape[3]:
        return UUID
    if column in ("revenue", "amount", "deal_amount"):
        return lambda v: round(float(v) * 100)
    if column.endswith("_on"):
        return date.fromisoformat
    return datetime.fromisoformat if column.endswith("_at") else lambda v: v


# ---- search ------------------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    """Words, and pairs of Chinese characters."""
    found: set[str] = set()
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if "\u3400" <= run[0] <= "\u9fff":
            found.update(run[i : i + 2] for i in range(len(run) - 1))
            found.add(run[-1])
        else:
            found.add(run[:40])
    return sorted(found)


def search(entity: str, who: Who, text: str, parameters: Parameters) -> str:
    parts = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower())[:12]:
        if "\u3400" <= run[0] <= "\u9fff" and len(run) > 1:
            matches = [f"s.token = {parameters.add(run[i : i + 2])}" for i in range(len(run) - 1)]
        else:
            matches = [f"s.token >= {parameters.add(run)} AND s.token < {parameters.add(run + chr(0x10FFFF))}"]
        parts += [
            f"t.id IN (SELECT s.record_id FROM search_token s WHERE s.tenant_id = {parameters.add(who.tenant_id)} AND s.entity = '{entity}' AND {match})" for match in matches
        ]
    return " AND ".join(parts) or "false"


# ---- lists -------------------------------------------------------------------------------------------------------------------


async def listed(
    conn: Any, who: Who, entity: str, *, filter_: Any = None, q: str | None = None, sort: str = "-created_at", fields: Sequence[str] | None = None, limit: int = 50,
    after: str | None = None, count: str = "none",
) -> tuple[list[Any], str | None, dict[str, Any] | None]:  # fmt: skip
    """Rows, the next cursor, and the count asked for."""
    parameters = Parameters([who.tenant_id])
    where = f"t.tenant_id = $1 AND t.deleted_at IS NULL{_scope(who, parameters)}"
    if filter_:
        where += f" AND {condition(entity, filter_, parameters)}"
    if q:
        where += f" AND {search(entity, who, q, parameters)}"
    total = None
    if count == "exact":
        total = {"value": await conn.fetchval(f"SELECT count(*) FROM {entity} t WHERE {where}", *parameters), "exact": True}
    elif count == "capped":
        value = await conn.fetchval(f"SELECT count(*) FROM (SELECT 1 FROM {entity} t WHERE {where} LIMIT {CAP + 1}) c", *parameters)
        total = {"value": min(value, CAP), "exact": value <= CAP}
    key, down = sort.removeprefix("-"), sort.startswith("-")
    if key not in SORTS[entity]:
        raise Refused(400, "bad_request", "cannot be sorted by this")
    columns, links = _columns(entity, fields)
    select = f"SELECT t.tenant_id, {', '.join(f't.{c}' for c in columns)}, t.{key} AS sort_key FROM {entity} t WHERE {where}"
    direction = "DESC" if down else "ASC"
    rows: list[Any] = []
    value, record_id = _decode(after, SORTS[entity][key]) if after else (None, None)
    # Records without the value come last, in either direction: what has one first, through the index, then the others.
    for empty in (False, True) if not key.endswith("ed_at") else (False,):
        if len(rows) > limit or (after and not empty and value is None):
            continue
        here = Parameters(parameters)
        page = f"{select} AND t.{key} IS {'' if empty else 'NOT '}NULL"
        if after and (not empty or value is None):
            sign, place = "<" if down else ">", here.add(record_id)
            page += f" AND t.id {sign} {place}" if empty else f" AND (t.{key}, t.id) {sign} ({here.add(value)}, {place})"
        order = f"t.id {direction}" if empty else f"t.{key} {direction}, t.id {direction}"
        page += f" ORDER BY {order} LIMIT {limit + 1 - len(rows)}"  # a number of ours in the text, so that the planner knows it
        again = f"ORDER BY p.id {direction}" if empty else f"ORDER BY p.sort_key {direction}, p.id {direction}"
        rows += await conn.fetch(_named(page, links, again), *here)
    following = _encode(rows[limit - 1]) if len(rows) > limit else None
    return rows[:limit], following, total


def _encode(row: Any) -> str:
    value = row["sort_key"]
    value = {"t": value.isoformat()} if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([str(row["id"]), [value]], separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(text: str, kind: str) -> tuple[Any, UUID]:
    record_id, [value] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if isinstance(value, dict):
        value = datetime.fromisoformat(value["t"])
        value = value.date() if kind == "date" else value
    return value, UUID(record_id)


async def one(conn: Any, who: Who, entity: str, record_id: UUID, *, lock: bool = False) -> Any:
    parameters = Parameters([who.tenant_id, record_id])
    columns, links = _columns(entity, None)
    where = f"t.tenant_id = $1 AND t.id = $2 AND t.deleted_at IS NULL{_scope(who, parameters)}"
    page = f"SELECT t.tenant_id, {', '.join(f't.{c}' for c in columns)} FROM {entity} t WHERE {where}"
    row = await conn.fetchrow(f"{page} FOR UPDATE" if lock else _named(page, links, ""), *parameters)
    if row is None:
        raise Refused(404, "not_found", "This record does not exist, or you may not see it.")
    return row


# ---- figures -----------------------------------------------------------------------------------------------------------------


async def board(conn: Any, who: Who, limit: int = 30) -> tuple[dict[str, tuple[int, int]], dict[str, list[Any]]]:
    """Count and sum of each stage, and its first cards."""
    parameters = Parameters([who.tenant_id])
    where = f"t.tenant_id = $1 AND t.deleted_at IS NULL{_scope(who, parameters)}"
    figures = {r[0]: (r[1], r[2] or 0) for r in await conn.fetch(f"SELECT t.stage, count(*), sum(t.amount) FROM deal t WHERE {where} GROUP BY 1", *parameters)}
    columns = "id, version, name, amount, expected_on, customer_id, stage, stage_since, updated_at, owner_id, department_id"
    found: dict[str, list[Any]] = {}
    place = parameters.add("")
    for stage in figures:
        parameters[-1] = stage
        found[stage] = [
            dict(row) for row in await conn.fetch(
                f"SELECT {columns} FROM deal t WHERE {where} AND t.stage = {place} ORDER BY t.updated_at DESC, t.id DESC LIMIT {limit}", *parameters
            )
        ]  # fmt: skip
    cards = [card for stage in found.values() for card in stage]
    names = dict(await conn.fetch("SELECT id, name FROM customer WHERE tenant_id = $1 AND id = ANY($2::uuid[])", who.tenant_id, list({c["customer_id"] for c in cards})))
    for card in cards:
        card["customer_id_name"] = names.get(card["customer_id"], "")
    return figures, found


async def stage_by_month(conn: Any, who: Who) -> list[Any]:
    parameters = Parameters([who.tenant_id])
    return await conn.fetch(
        f"SELECT t.stage, date_trunc('month', t.expected_on::timestamp)::date AS month, count(*), sum(t.amount) FROM deal t WHERE t.tenant_id = $1 AND t.deleted_at IS NULL{_scope(who, parameters)} GROUP BY 1, 2 ORDER BY 1, 2",
        *parameters,
    )


async def funnel(conn: Any, who: Who) -> dict[str, Any]:
    """How many deals ever stood in each stage, what they are worth, and how long they stayed on average."""
    parameters = Parameters([who.tenant_id])
    rows = await conn.fetch(
        "SELECT s.stage, count(*), sum(s.amount), avg(s.seconds) FROM (SELECT h.stage, h.deal_id, min(t.amount) AS amount, sum(extract(epoch FROM coalesce(h.left_at, greatest(now(), h.entered_at)) - h.entered_at)) AS seconds "
        f"FROM deal_stage h JOIN deal t ON t.tenant_id = h.tenant_id AND t.id = h.deal_id WHERE h.tenant_id = $1 AND t.deleted_at IS NULL{_scope(who, parameters)} GROUP BY 1, 2) s GROUP BY 1",
        *parameters,
    )
    return {r[0]: r for r in rows}
