"""From the cells of a spreadsheet to JSON values: people by name or e-mail, records by title or unique field, options by any
label, numbers and dates as people write them."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, FieldProblem
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.transfer.sheets import DAY_FIRST
from saas.tenants import list_departments

_SPACE = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[;；\n]")
_COMMAS = re.compile(r"[,，、;；\n]")
_KEPT = 20_000  # names of records whose ids are kept
_KEPT_CELLS = 2_000  # cells of a column whose values are kept
_LONGEST_MOMENT = 60  # characters; matching a longer text as a time could take very long
_NAMED = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_TIME = re.compile(r"(?P<day>.*?\S)[T\s]+(?P<time>\d{1,2}:\d{2}(:\d{2})?)\s*(?P<half>[ap]\.?m\.?)?\Z", re.ASCII | re.IGNORECASE)


def normal(text: str) -> str:
    """For comparing names: case, width and spaces do not matter."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


@dataclass(slots=True)
class _Kept:
    """What cells of a column meant: they repeat, or they never do."""

    values: dict[tuple[type, Any], Any] = field(default_factory=dict)
    hits: int = 0
    useless: bool = False

    def keep(self, place: tuple[type, Any], value: Any) -> None:
        if len(self.values) >= _KEPT_CELLS:
            self.useless = self.hits < _KEPT_CELLS
            self.values.clear()
            self.hits = 0
        if not self.useless:
            self.values[place] = value


@dataclass(slots=True)
class Cells:
    """Turns cells of one import into values. Look-ups of a batch are read together with `prepare`."""

    ctx: Context
    entity: Entity
    month_first: Mapping[str, bool] = field(default_factory=dict)
    users: dict[str, list[str]] = field(default_factory=dict)
    departments: dict[str, list[str]] = field(default_factory=dict)
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    read: dict[str, _Kept] = field(default_factory=dict)

    async def start(self) -> None:
        """Read people and departments once."""
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            for row in await conn.fetch("SELECT id, name, email FROM app_user WHERE tenant_id = $1 AND status = 'active'", self.ctx.tenant_id):
                for name in {normal(row["name"]), normal(row["email"]), normal(row["email"].partition("@")[0])}:
                    self.users.setdefault(name, []).append(str(row["id"]))
            for department in await list_departments(self.ctx.tenant_id):
                names = {department["key"], *(department["name"] or {}).values()}
                for name in {normal(n) for n in names if n}:
                    self.departments.setdefault(name, []).append(str(department["id"]))

    async def prepare(self, declared: Sequence[FieldDef], rows: Sequence[Mapping[str, Any]]) -> None:
        """Look up all records named in these rows: one query a target and way of naming."""
        links = [f for f in declared if field_types.get(f.type).holds == "record"]
        if len(self.records) > _KEPT:
            self.records.clear()
        cells = {f.key: {(type(cell), cell) for row in rows if (cell := row.get(f.key)) is not None} for f in links}
        wanted: dict[str, dict[str, str]] = {}
        for f in links:
            for _, cell in cells[f.key]:
                for text in self._names(f, cell):
                    if not _is_id(text) and (f.options["to"], normal(text)) not in self.records:
                        wanted.setdefault(f.options["to"], {})[normal(text)] = text
        for target, texts in wanted.items():
            await self._look_up(self.ctx.config.entity(target), texts)

    async def _look_up(self, target: Entity, texts: dict[str, str]) -> None:
        access = permissions.static_access(self.ctx, target)
        uniques = [u.fields[0] for u in target.defn.unique if len(u.fields) == 1]
        keys = [target.defn.title, *uniques, *(f.key for f in target.defn.fields if f.type == "auto")]
        left = dict(texts)
        for key in dict.fromkeys(k for k in keys if access.get(k) in ("read", "write")):
            if not left:
                break
            values = list(left.values())
            for start in range(0, len(values), 150):
                filter_ = {"field": key, "op": "in", "value": [str(v) for v in values[start : start + 150]]}
                try:
                    page = await execute(self.ctx, ops.List(entity=target.key, filter=filter_, fields=[key], limit=200))
                except AppError:
                    break  # a field that texts cannot be compared with, or a target the person may not read
                for record in page.records:
                    name = normal(str(record.values.get(key) or ""))
                    self.records.setdefault((target.key, name), []).append(str(record.id))
            left = {n: t for n, t in left.items() if (target.key, n) not in self.records}
        for name in left:
            self.records[(target.key, name)] = []

    def _names(self, f: FieldDef, value: Any) -> list[str]:
        text = plain_text(value)
        if not field_types.get(f.type).many:
            return [text]
        parts = _split(_SEPARATORS, text)
        return _split(_COMMAS, text) if len(parts) == 1 else parts

    # -- one cell -------------------------------------------------------------------------------------------------------

    def value(self, f: FieldDef, raw: Any) -> tuple[Any, FieldProblem | None]:
        """The JSON value of a cell, or what is wrong with it. Cells repeat down a column: what was read is kept."""
        if raw is None:
            return None, None
        kept = self.read.get(f.key)
        if kept is None:
            kept = self.read[f.key] = _Kept()
        if kept.useless:
            return self._value(f, raw)
        place = (type(raw), raw)  # with its type: 1 equals true
        found = kept.values.get(place)
        if found is not None:
            kept.hits += 1
            return found, None
        value, problem = self._value(f, raw)
        if problem is None and value is not None and not isinstance(value, list | dict):
            kept.keep(place, value)
        return value, problem

    async def column(self, f: FieldDef, cells: Iterable[Any]) -> tuple[list[Any], dict[int, FieldProblem]]:
        """The values of the cells of a column, and what is wrong with some of them, by place."""
        values, problems = [], {}
        for place, cell in enumerate(cells):
            value, problem = (None, None) if cell is None else self.value(f, cell)
            values.append(value)
            if problem is not None:
                problems[place] = problem
            if place % 100 == 99:
                await asyncio.sleep(0)
        return values, problems

    def _value(self, f: FieldDef, raw: Any) -> tuple[Any, FieldProblem | None]:
        kind = field_types.get(f.type)
        if kind.holds not in ("record", "user", "dept"):
            return self._typed(f, raw), None
        names = {"user": self.users, "dept": self.departments}.get(kind.holds)
        found = [self._one(f, name, names) for name in self._names(f, raw)]
        problem = next((p for _v, p in found if p), None)
        if problem or not found:
            return None, problem
        return ([v for v, _p in found] if kind.many else found[0][0]), None

    def _one(self, f: FieldDef, text: str, names: Mapping[str, list[str]] | None) -> tuple[str | None, FieldProblem | None]:
        if _is_id(text):
            return str(UUID(text)), None
        found = names.get(normal(text), []) if names is not None else self.records.get((f.options["to"], normal(text)), [])
        if len(set(found)) == 1:
            return found[0], None
        message = (
            lazy("Several are called “%(name)s”; use the e-mail address, number or ID.", name=text[:80])
            if found
            else lazy("“%(name)s” was not found.", name=text[:80])
        )
        return None, FieldProblem(field=f.key, code="ambiguous" if found else "not_found", message=message, path=f"/{f.key}")

    def _typed(self, f: FieldDef, raw: Any) -> Any:
        kind = field_types.get(f.type)
        if f.type == "bool" and isinstance(raw, bool):
            return raw
        if f.type in ("date", "datetime"):
            raw = self._moment(f, raw)
        elif f.type == "time" and isinstance(raw, time | datetime):
            raw = raw.strftime("%H:%M")
        elif f.type == "percent" and isinstance(raw, float) and 0 < abs(raw) < 1 and not f.options.get("scale"):
            raw = round(raw * 100, 6)  # a cell formatted as a percentage
        text = plain_text(raw)
        if f.type in ("multi", "tags"):
            return kind.from_form(f, _split(_COMMAS, text), self.ctx.config)
        if f.type == "address":
            return kind.normalise(f, {"street": text}, self.ctx.config)
        return kind.from_form(f, [text], self.ctx.config)

    def _moment(self, f: FieldDef, raw: Any) -> str:
        """Days and moments in the order people write them, as ISO text; what cannot be read stays as it is."""
        if isinstance(raw, datetime):
            return raw.date().isoformat() if f.type == "date" else self._utc(raw)
        if isinstance(raw, date):
            return raw.isoformat() if f.type == "date" else self._utc(datetime(raw.year, raw.month, raw.day))
        text = plain_text(raw)
        if len(text) > _LONGEST_MOMENT:
            return text
        found = _TIME.match(text)
        if not found:
            day = self._day(f, text)
            if day is None:
                return text
            return day.isoformat() if f.type == "date" else self._utc(datetime(day.year, day.month, day.day))
        day = self._day(f, found["day"])
        if day is None:
            return text
        if f.type == "date":
            return day.isoformat()
        hour, minute = (int(p) for p in found["time"].split(":")[:2])
        half = (found["half"] or "").lower()[:1]
        hour = hour % 12 + 12 if half == "p" else hour % 12 if half == "a" else hour
        if hour > 23 or minute > 59:
            return text
        return self._utc(datetime(day.year, day.month, day.day, hour, minute))

    def _utc(self, moment: datetime) -> str:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self.ctx.zone)
        return aware.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")

    def _day(self, f: FieldDef, text: str) -> date | None:
        kind = field_types.get("date")
        iso = kind.from_form(f, [text], self.ctx.config)
        try:
            return date.fromisoformat(iso)
        except (TypeError, ValueError):
            pass
        found = DAY_FIRST.match(text)
        if found:
            first, second, year = (int(g) for g in found.groups())
            month, day = (first, second) if self.month_first.get(f.key) else (second, first)
            try:
                return date(year, month, day)
            except ValueError:
                return None
        for pattern in _NAMED:
            try:
                return datetime.strptime(text, pattern).date()
            except ValueError:
                continue
        return None


def _split(separator: re.Pattern[str], text: str) -> list[str]:
    return [part for piece in separator.split(text) if (part := piece.strip())]


def plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".12g") if abs(value) < 1e12 else format(value, "f")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return value.isoformat() if isinstance(value, date | time) else str(value).strip()


def _is_id(text: str) -> bool:
    if len(text) != 36:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True
