"""Importing a table: columns to fields, a preview that writes nothing, then rows in batches through the one door."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.db import in_transaction, tenant_transaction
from saas.errors import AppError, BadRequest, DuplicateFound, FieldProblem, InvalidInput
from saas.i18n import lazy, pick, titled
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import creating, jobs, permissions, validate
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.files import open_file
from saas.runtime.records import entity_of
from saas.runtime.transfer.lookups import Cells, normal, plain_text
from saas.runtime.transfer.sheets import Sheet, read_sheet
from saas.runtime.twins import told
from saas.runtime.worker import run_now
from saas.tenants import record_audit

INLINE_ROWS = 500
BATCH = 1_000  # rows a transaction
SMALL_BATCH = 50  # where rows may name records that rows above them made: those must be there when a batch is looked up
PREVIEW_ROWS = 20
KEPT_SECONDS = 20.0
MAX_ERRORS = 1000
POLICIES = ("create", "update", "skip")
MATCHABLE = ("text", "auto", "email", "phone", "int", "national_id", "url")


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What to do with a table. `mapping`: {column number: field key}; `duplicates`: create, update or skip a row whose `match`
    field equals that of a record there; `confirm`: create also what a duplicate rule only warns about."""

    entity: str
    mapping: Mapping[int, str]
    duplicates: str = "create"
    match: str | None = None
    confirm: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity, "mapping": {str(k): v for k, v in self.mapping.items()}, "duplicates": self.duplicates, "match": self.match,
            "confirm": self.confirm,
        }  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What became of the rows so far; kept with the job after each batch, so an interrupted import goes on behind it."""

    next: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)  # {row, message, field}; the first MAX_ERRORS

    def to_json(self) -> dict[str, Any]:
        return {
            "next": self.next, "created": self.created, "updated": self.updated, "skipped": self.skipped, "failed": self.failed,
            "errors": self.errors,
        }  # fmt: skip


_recent: dict[tuple[UUID, UUID], Sheet] = {}


# ---- columns -----------------------------------------------------------------------------------------------------------


def importable(ctx: Context, entity: Entity) -> list[FieldDef]:
    """The fields a table may fill: those the person may write."""
    access = permissions.static_access(ctx, entity)
    found = []
    for f in entity.fields.values():
        kind = field_types.get(f.type)
        if kind.computed or f.type in ("pipeline", "file", "image", "auto") or access[f.key] != "write" or (f.system and f.key != "owner"):
            continue
        if f.read_only and not ctx.unrestricted:
            continue
        found.append(f)
    return found


def guess_mapping(ctx: Context, entity: Entity, headers: Sequence[str]) -> dict[int, str]:
    """{column number: field key} by the field's key or its label in any language; each field once."""
    names: dict[str, str] = {}
    for f in reversed(importable(ctx, entity)):
        for name in (*f.label.values(), f.key, f.key.replace("_", " ")):
            names[_heading(name)] = f.key
    mapping: dict[int, str] = {}
    for number, header in enumerate(headers):
        key = names.get(_heading(header))
        if key and key not in mapping.values():
            mapping[number] = key
    return mapping


def _heading(text: str) -> str:
    return normal(text).strip(" *:：").replace("_", " ")


def plan_of(ctx: Context, sheet: Sheet, raw: Mapping[str, Any]) -> ImportPlan:
    """A checked plan of what a form or the API sent: {"entity", "mapping"?: {column number or heading: field}, "duplicates"?,
    "match"?, "confirm"?}. Errors: NotFound, PermissionDenied, BadRequest."""
    entity = entity_of(ctx, raw["entity"])
    permissions.require(ctx, "import", entity.key)
    allowed = {f.key for f in importable(ctx, entity)}
    mapping: dict[int, str] = {}
    given = raw.get("mapping")
    for column, key in (given.items() if given else guess_mapping(ctx, entity, sheet.headers).items()):
        number = int(column) if re.fullmatch("[0-9]{1,4}", str(column)) else sheet.headers.index(column) if column in sheet.headers else -1
        if not 0 <= number < len(sheet.headers):
            raise BadRequest(lazy("The table has no column “%(name)s”.", name=str(column)[:80]), field="mapping")
        if not key:
            continue
        if key not in allowed or key in mapping.values():
            raise BadRequest(lazy("The column “%(name)s” cannot go into “%(field)s”.", name=sheet.headers[number], field=key), field="mapping")
        mapping[number] = key
    duplicates, match = raw.get("duplicates") or "create", raw.get("match") or None
    if duplicates not in POLICIES:
        raise BadRequest(lazy("“duplicates” is create, update or skip."), field="duplicates")
    if duplicates != "create" and match not in {f.key for f in match_fields(ctx, entity)} & set(mapping.values()):
        raise BadRequest(lazy("Choose a mapped column by which existing records are recognised."), field="match")
    if duplicates == "update":
        permissions.require(ctx, "update", entity.key)
    return ImportPlan(entity.key, mapping, duplicates, match, bool(raw.get("confirm")))


def match_fields(ctx: Context, entity: Entity) -> list[FieldDef]:
    return [f for f in importable(ctx, entity) if f.type in MATCHABLE]


async def load_sheet(ctx: Context, file_id: UUID) -> Sheet:
    """An uploaded table of the person's own. The last one is kept for a moment, from preview to start to job: do not change it.
    Errors: NotFound, PayloadTooLarge, InvalidInput."""
    download = await open_file(ctx, file_id)
    place = (ctx.tenant_id, file_id)
    sheet = _recent.get(place)
    if sheet is None:
        sheet = await asyncio.to_thread(read_sheet, download.path, download.info.name)
        _recent.clear()
        _recent[place] = sheet
        asyncio.get_running_loop().call_later(KEPT_SECONDS, _recent.pop, place, None)
    return sheet


# ---- preview -----------------------------------------------------------------------------------------------------------


async def preview_import(ctx: Context, file_id: UUID, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What an import would do with the first rows; nothing is kept. Errors: as `plan_of` and `load_sheet`.

    {"headers", "total", "columns": [{column, header, sample, field}], "fields": [{key, label, required}], "match_fields",
     "rows": [{number, action, values: {field: text}, problems: [{field, message}]}]}
    """
    sheet = await load_sheet(ctx, file_id)
    plan = plan_of(ctx, sheet, raw)
    entity = entity_of(ctx, plan.entity)
    rows = await _try(ctx, sheet, plan)
    return {
        "headers": sheet.headers,
        "total": len(sheet.rows),
        "columns": [
            {"column": i, "header": h, "field": plan.mapping.get(i), "sample": [plain_text(r[i]) for r in sheet.rows[:3] if r[i] is not None]}
            for i, h in enumerate(sheet.headers)
        ],
        "fields": [{"key": f.key, "label": pick(f.label, ctx.locale), "required": f.required} for f in importable(ctx, entity)],
        "match_fields": [{"key": f.key, "label": pick(f.label, ctx.locale)} for f in match_fields(ctx, entity)],
        "rows": rows,
    }


class _Undo(Exception):
    """Rolls a preview back."""


async def _try(ctx: Context, sheet: Sheet, plan: ImportPlan) -> list[dict[str, Any]]:
    """The first rows are really written, so that every rule speaks, and then taken back."""
    shown: list[dict[str, Any]] = []
    runner = await Runner.start(ctx.replace(foreseeing=True), sheet, plan)
    try:
        async with tenant_transaction(ctx.tenant_id):
            found = await runner.batch(0, PREVIEW_ROWS)
            for number, (values, outcome, problems) in enumerate(found):
                texts = {plan.mapping[i]: plain_text(v) for i, v in enumerate(sheet.rows[number]) if i in plan.mapping and v is not None}
                shown.append({"number": number + 2, "action": outcome, "values": texts, "problems": problems, "parsed": dict(values)})
            raise _Undo
    except _Undo:
        return shown
    finally:
        runner.end()


# ---- running -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Runner:
    """Runs the rows of one table in batches; each row stands or falls alone."""

    ctx: Context
    entity: Entity
    sheet: Sheet
    plan: ImportPlan
    cells: Cells
    fields: dict[int, FieldDef]
    ahead: tuple[int, int, asyncio.Task[_Read]] | None = None

    @classmethod
    async def start(cls, ctx: Context, sheet: Sheet, plan: ImportPlan) -> Runner:
        ctx = ctx.replace(origin="import")
        permissions.require_active(ctx)
        entity = entity_of(ctx, plan.entity)
        fields = {i: entity.fields[k] for i, k in plan.mapping.items()}
        american = ctx.tenant.country == "US"
        orders = {f.key: sheet.month_first.get(i, american) for i, f in fields.items() if f.type in ("date", "datetime")}
        cells = Cells(ctx, entity, orders)
        await cells.start()
        return cls(ctx, entity, sheet, plan, cells, fields)

    async def batch(self, start: int, count: int) -> list[tuple[dict[str, Any], str, list[dict[str, str]]]]:
        """[(values, outcome, problems)] of some rows, written in the transaction that is open. outcome: created updated
        skipped failed blank."""
        raw = await self._taken(start, count)
        parsed = await self._parsed(raw)
        if self.ahead is None and start + count < len(self.sheet.rows):  # these are read while the database writes those
            self.ahead = (start + count, count, asyncio.create_task(self._read(start + count, count)))
        known = await self._known([values for values, _problems in parsed])
        found: list[tuple[dict[str, Any], str, list[dict[str, str]]]] = []
        waiting = _Waiting()
        for place, ((values, problems), filled) in enumerate(zip(parsed, raw.filled, strict=True)):
            found.append(({}, "blank", []))
            if not filled:
                continue
            if problems:
                found[place] = (values, "failed", [self._said(p) for p in problems])
                continue
            match = self._match(values)
            if match in waiting.matches and self.plan.duplicates != "create":  # what becomes of this row depends on that one
                await self._create(waiting, known, found)
            there = known.get(match) if match else None
            if there is None:
                waiting.add(place, values, match)
            elif self.plan.duplicates == "skip":
                found[place] = (values, "skipped", [])
            else:
                await self._create(waiting, known, found)
                found[place] = (values, *await self._update(there, values))
        await self._create(waiting, known, found)
        return found

    @property
    def batch_size(self) -> int:
        return SMALL_BATCH if any(f.options.get("to") == self.entity.key for f in self.fields.values()) else BATCH

    async def _taken(self, start: int, count: int) -> _Read:
        ahead, self.ahead = self.ahead, None
        if ahead is None:
            return await self._read(start, count)
        if ahead[:2] == (start, count):
            return await ahead[2]
        ahead[2].cancel()
        return await self._read(start, count)

    async def _read(self, start: int, count: int) -> _Read:
        """What some rows say, as far as that needs no look at the database."""
        rows = self.sheet.rows[start : start + count]
        columns = {f.key: [row[i] for row in rows] for i, f in self.fields.items()}
        read = _Read(columns, [any(row[i] is not None for i in self.fields) for row in rows])
        for f in self.fields.values():
            if field_types.get(f.type).holds != "record":
                read.values[f.key], read.problems[f.key] = await self.cells.column(f, columns[f.key])
        if creating.goes_together(self.ctx, self.entity):
            await self._foresee(read)
        return read

    async def _foresee(self, read: _Read) -> None:
        """What a new record makes of the values: most rows become one."""
        way = validate.way_in(self.ctx, self.entity, permissions.static_access(self.ctx, self.entity))
        keys = list(read.values)
        for place, row in enumerate(zip(*read.values.values(), strict=True)):
            known = validate.foresee(self.ctx, self.entity, way, {k: v for k, v in zip(keys, row, strict=True) if v is not None})
            read.foreseen.append(validate.Foreseen(way, known))
            await creating.let_others(place)

    async def _parsed(self, read: _Read) -> list[tuple[dict[str, Any], list[FieldProblem]]]:
        """[(values, problems)] of the rows, in the order of the fields."""
        links = [f for f in self.fields.values() if f.key not in read.values]
        if links:
            await self.cells.prepare(links, [dict(zip([f.key for f in links], row, strict=True)) for row in zip(*(read.cells[f.key] for f in links), strict=True)])
        parsed: list[tuple[dict[str, Any], list[FieldProblem]]] = [(values, []) for values in read.foreseen or [{} for _ in read.filled]]
        for f in self.fields.values():
            if f.key not in read.values:
                read.values[f.key], read.problems[f.key] = await self.cells.column(f, read.cells[f.key])
            for (values, _), value in zip(parsed, read.values[f.key], strict=True):
                if value is not None:  # an empty cell leaves a default or what is there
                    values[f.key] = value
            for place, problem in read.problems[f.key].items():
                parsed[place][1].append(problem)
        return parsed

    def end(self) -> None:
        """Nobody wants to know what was read ahead."""
        if self.ahead is not None:
            self.ahead[2].cancel()

    def _match(self, values: Mapping[str, Any]) -> str | None:
        value = values.get(self.plan.match or "")
        f = self.entity.fields.get(self.plan.match or "")
        if value is None or f is None:
            return None
        return normal(str(field_types.get(f.type).normalise(f, value, self.ctx.config)))

    async def _known(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, UUID]:
        """{match value: id} of records that are there already, as far as the person may see them."""
        if self.plan.duplicates == "create" or not self.plan.match:
            return {}
        f = self.entity.fields[self.plan.match]
        kind = field_types.get(f.type)
        wanted = list({str(v): v for v in (kind.normalise(f, r[f.key], self.ctx.config) for r in rows if f.key in r)}.values())
        known: dict[str, UUID] = {}
        for start in range(0, len(wanted), 150):
            try:
                page = await execute(
                    self.ctx, ops.List(entity=self.entity.key, filter={"field": f.key, "op": "in", "value": wanted[start : start + 150]}, fields=[f.key], limit=200)
                )
            except BadRequest:
                continue  # a value that is none; its row will say so
            known.update({normal(str(r.values.get(f.key))): r.id for r in page.records})
        return known

    async def _create(self, waiting: _Waiting, known: dict[str, UUID], found: list[tuple[dict[str, Any], str, list[dict[str, str]]]]) -> None:
        """Create the records that wait."""
        if not waiting.rows:
            return
        operation = ops.CreateMany(entity=self.entity.key, rows=[values for _, values, _ in waiting.rows], confirm_duplicates=self.plan.confirm)
        for (place, values, match), made in zip(waiting.rows, await execute(self.ctx, operation), strict=True):
            if isinstance(made, AppError):
                found[place] = (values, "failed", self._why(made))
                continue
            found[place] = (values, "created", [])
            if match:
                known[match] = made
        waiting.rows.clear()
        waiting.matches.clear()

    async def _update(self, record_id: UUID, values: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
        try:
            await execute(self.ctx, ops.Update(entity=self.entity.key, id=record_id, values=values, confirm_duplicates=self.plan.confirm, brief=True))
        except AppError as error:
            return "failed", self._why(error)
        return "updated", []

    def _why(self, error: AppError) -> list[dict[str, str]]:
        problems = [self._said(p) for p in error.problems] if isinstance(error, InvalidInput) else []
        message = told(error) if isinstance(error, DuplicateFound) else str(error.message)
        return problems or [{"field": "", "message": message}]

    def _said(self, problem: FieldProblem) -> dict[str, str]:
        f = self.entity.fields.get(problem.field)
        label = pick(f.label, self.ctx.locale) if f else ""
        return {"field": problem.field, "message": titled(label, problem.message)}


@dataclass(slots=True)
class _Read:
    """Some rows, column by column: their cells, which rows have any, and what the cells mean."""

    cells: dict[str, list[Any]]
    filled: list[bool]
    values: dict[str, list[Any]] = field(default_factory=dict)
    problems: dict[str, dict[int, FieldProblem]] = field(default_factory=dict)
    foreseen: list[dict[str, Any]] = field(default_factory=list)  # empty ones, one a row, that know what their values will become


@dataclass(slots=True)
class _Waiting:
    """Rows that become new records, until they are created together: (place in the batch, values, what they are recognised by)."""

    rows: list[tuple[int, dict[str, Any], str | None]] = field(default_factory=list)
    matches: set[str] = field(default_factory=set)

    def add(self, place: int, values: dict[str, Any], match: str | None) -> None:
        self.rows.append((place, values, match))
        if match:
            self.matches.add(match)


async def run_import(job: jobs.JobRun, file_id: UUID, plan: ImportPlan) -> Tally:
    """All rows, in batches; each batch and its tally are committed together."""
    sheet = await load_sheet(job.ctx, file_id)
    tally = Tally(**job.state) if job.state else Tally()
    runner = await Runner.start(job.ctx, sheet, plan)
    try:
        while tally.next < len(sheet.rows):
            tally = await _run_batch(job, runner, tally)
    finally:
        runner.end()
    return tally


async def _run_batch(job: jobs.JobRun, runner: Runner, tally: Tally) -> Tally:
    after = Tally(**{**tally.to_json(), "errors": list(tally.errors)})
    total = len(runner.sheet.rows)
    async with tenant_transaction(job.ctx.tenant_id) as conn:
        for number, (_values, outcome, problems) in enumerate(await runner.batch(tally.next, runner.batch_size), start=tally.next):
            if outcome != "blank":
                setattr(after, outcome, getattr(after, outcome) + 1)
            if problems and len(after.errors) < MAX_ERRORS:
                after.errors.append({"row": number + 2, "message": " ".join(p["message"] for p in problems), "field": problems[0]["field"]})
        after.next = min(tally.next + runner.batch_size, total)
        await job.checkpoint(conn, done=after.next, total=total, state=after.to_json())
    return after


async def start_import(ctx: Context, file_id: UUID, raw: Mapping[str, Any]) -> jobs.JobInfo:
    """Import an uploaded table as a job; a small one is finished when this returns. Its result is the tally: {"created",
    "updated", "skipped", "failed", "errors": [{row, message, field}]}. Errors: as `plan_of` and `load_sheet`."""
    sheet = await load_sheet(ctx, file_id)
    plan = plan_of(ctx, sheet, raw)
    if not plan.mapping:
        raise BadRequest(lazy("No column of the table goes into a field."), field="mapping")
    async with tenant_transaction(ctx.tenant_id) as conn:
        payload = {"file_id": str(file_id), "plan": plan.to_json(), "locale": ctx.locale}
        job_id = await jobs.enqueue(conn, ctx, "import_records", payload, total=len(sheet.rows))
        data = {"entity": plan.entity, "rows": len(sheet.rows), "duplicates": plan.duplicates}
        await record_audit(conn, ctx.tenant_id, "records.imported", actor_id=ctx.user_id, target=plan.entity, request_id=ctx.request_id, data=data)
    if len(sheet.rows) <= INLINE_ROWS and not in_transaction():
        return await run_now(ctx, job_id)
    jobs.ring()
    return await jobs.get_job(ctx, job_id)
