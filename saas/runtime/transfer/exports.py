"""Exporting a list as the person sees it: same filter, same rights (scope of "export"), masked fields masked."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from saas.db import in_transaction, tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import jobs, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.query import EXPORT_LIMIT
from saas.runtime.records import entity_of
from saas.runtime.transfer.sheets import BOM, RowPipe, csv_line, write_xlsx
from saas.runtime.views import all_views
from saas.runtime.worker import run_now
from saas.tenants import record_audit

_TEXTS = ("longtext", "phone", "text", "email", "url")
FORMATS = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv; charset=utf-8"}
INLINE_ROWS = 500
Progress = Callable[[int], Awaitable[None]]


async def export_columns(ctx: Context, entity: Entity, columns: Sequence[str] | None = None, view: str | None = None) -> list[FieldDef]:
    """The fields to export: those asked for, else the view's columns, else all the person may see. Hidden ones are unknown."""
    access = permissions.static_access(ctx, entity)
    if columns:
        for key in columns:
            if key not in entity.fields or access[key] == "hidden":
                raise BadRequest(lazy("There is no field “%(key)s” here.", key=key), field="columns")
        return [entity.fields[k] for k in dict.fromkeys(columns)]
    if view:
        async with tenant_transaction(ctx.tenant_id) as conn:
            found = next((v for v in await all_views(conn, ctx, entity) if v.key == view), None)
        if found is not None and found.columns:
            return [entity.fields[k] for k in found.columns if access.get(k, "hidden") != "hidden"]
    return [f for k, f in entity.fields.items() if access[k] != "hidden" and f.key not in ("updated_by", "created_by")]


async def rows_of(
    ctx: Context, entity: Entity, fields: Sequence[FieldDef], *, filter: Any = None, view: str | None = None, q: str | None = None,
    sort: Sequence[str] | None = None,
) -> AsyncIterator[list[list[Any]]]:  # fmt: skip
    """Batches of rows, each read in a transaction of its own after the last."""
    after: str | None = None
    spoken = [f.key for f in fields if not _is_plain(ctx, f)]
    while True:
        page = await execute(
            ctx,
            ops.List(
                entity=entity.key, filter=filter, view=view, q=q, sort=sort, fields=[f.key for f in fields], limit=EXPORT_LIMIT, after=after,
                right="export", spoken=spoken,
            ),
        )  # fmt: skip
        columns = [list(map(cells_of(ctx, f), page.records)) for f in fields]
        yield [list(row) for row in zip(*columns, strict=True)]
        after = page.next
        if after is None:
            return


def cells_of(ctx: Context, field: FieldDef) -> Callable[[ops.Record], Any]:
    """Makes cells of one column, as a spreadsheet wants them: numbers, days and moments as such, everything else as it is displayed."""
    key, zone = field.key, ctx.zone
    if field.system and field.type == "datetime":
        return lambda record: getattr(record, key).astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    kind, result = field_types.get(field.type).result_of(field, ctx.config)
    is_moment = kind.expr_type_of(result, ctx.config) in ("date", "datetime")
    is_date, spoken, is_text = kind.key == "date", kind.spoken, kind.key in _TEXTS

    def cell(record: ops.Record) -> Any:
        value = record.values.get(key)
        if value is None:
            return record.display.get(key) or None
        if isinstance(value, str):
            if is_moment:
                try:
                    return date.fromisoformat(value) if is_date else datetime.fromisoformat(value).astimezone(zone).replace(tzinfo=None)
                except ValueError:
                    return record.display.get(key) or value  # masked
            return value if is_text else record.display.get(key) or None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return record.display.get(key, "") if spoken else value
        if isinstance(value, dict) and "amount" in value:
            return float(value["amount"])
        return record.display.get(key) or None

    return cell


def _is_plain(ctx: Context, field: FieldDef) -> bool:
    """Cells of this field are made of its value alone, so nothing needs to be said in words."""
    kind, result = field_types.get(field.type).result_of(field, ctx.config)
    if field.system:
        return field.type == "datetime"
    if not field_types.get(field.type).computed and kind.value_schema(field, ctx.config).get("type") in ("integer", "number"):
        return not kind.spoken
    return kind.key in _TEXTS or kind.key == "money" or kind.expr_type_of(result, ctx.config) in ("date", "datetime")


def labels(ctx: Context, fields: Sequence[FieldDef]) -> list[str]:
    return [pick(f.label, ctx.locale) or f.key for f in fields]


async def stream_csv(ctx: Context, entity_key: str, *, columns: Sequence[str] | None = None, **asked: Any) -> AsyncIterator[bytes]:
    """The list as CSV, piece by piece: UTF-8 with a mark for Excel, formulas disarmed. Errors: PermissionDenied, BadRequest."""
    entity = entity_of(ctx, entity_key)
    permissions.require(ctx, "export", entity_key)
    fields = await export_columns(ctx, entity, columns, asked.get("view"))
    yield BOM + csv_line(labels(ctx, fields))
    async for batch in rows_of(ctx, entity, fields, **asked):
        yield b"".join(csv_line(row) for row in batch)


async def write_export(ctx: Context, path: Path, entity_key: str, format: str, *, columns: Sequence[str] | None = None, progress: Progress | None = None, **asked: Any) -> int:
    """The list as a file; returns the number of rows."""
    entity = entity_of(ctx, entity_key)
    permissions.require(ctx, "export", entity_key)
    count = 0
    fields = await export_columns(ctx, entity, columns, asked.get("view"))
    if format == "csv":
        target = await asyncio.to_thread(path.open, "wb")
        try:
            target.write(BOM + csv_line(labels(ctx, fields)))
            async for batch in rows_of(ctx, entity, fields, **asked):
                await asyncio.to_thread(target.write, b"".join(csv_line(row) for row in batch))
                count += len(batch)
                if progress:
                    await progress(count)
        finally:
            await asyncio.to_thread(target.close)
        return count
    pipe = RowPipe()
    writer = asyncio.create_task(asyncio.to_thread(_write, path, pick(entity.defn.plural, ctx.locale), labels(ctx, fields), pipe))
    try:
        async for batch in rows_of(ctx, entity, fields, **asked):
            count += len(batch)
            await asyncio.to_thread(pipe.put, batch)
            if progress:
                await progress(count)
        await asyncio.to_thread(pipe.end)
    except BaseException as error:
        await asyncio.to_thread(pipe.end, error if isinstance(error, Exception) else RuntimeError("stopped"))
        await asyncio.gather(writer, return_exceptions=True)
        raise
    await writer
    return count


def _write(path: Path, title: str, headers: Sequence[str], pipe: RowPipe) -> None:
    try:
        write_xlsx(path, title, headers, pipe)
    finally:
        pipe.close()


def sheet_bytes(title: str, headers: Sequence[str], rows: Sequence[Sequence[Any]], format: str = "xlsx") -> bytes:
    """A small table, such as a report's figures, as the bytes of a file."""
    if format == "csv":
        return BOM + b"".join([csv_line(headers), *(csv_line(r) for r in rows)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.xlsx"
        write_xlsx(path, title, headers, rows)
        return path.read_bytes()


async def start_export(ctx: Context, entity_key: str, *, format: str = "xlsx", columns: Sequence[str] | None = None, sealed: str = "", **asked: Any) -> jobs.JobInfo:
    """Export a list (filter, view, q, sort) as a job; a short one is finished when this returns. Its result names the file:
    {"file_id", "name", "rows"}. `sealed` is kept with the job. Errors: PermissionDenied, BadRequest."""
    entity = entity_of(ctx, entity_key)
    permissions.require(ctx, "export", entity_key)
    if format not in FORMATS:
        raise BadRequest(lazy("“format” is xlsx or csv."), field="format")
    fields = await export_columns(ctx, entity, columns, asked.get("view"))
    page = await execute(ctx, ops.List(entity=entity_key, fields=["id"], limit=1, count="capped", right="export", **_listed(asked)))
    payload: Mapping[str, Any] = {"entity": entity_key, "format": format, "columns": [f.key for f in fields], "locale": ctx.locale, **_listed(asked), **({"sealed": sealed} if sealed else {})}
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, ctx, "export_records", payload, total=page.count.value if page.count.exact else None)
        await note_export(conn, ctx, entity_key, format, payload["columns"])
    if page.count.exact and page.count.value <= INLINE_ROWS and not in_transaction():
        return await run_now(ctx, job_id)
    jobs.ring()
    return await jobs.get_job(ctx, job_id)


async def note_export(conn: Any, ctx: Context, entity_key: str, format: str, columns: Sequence[str]) -> None:
    """Many records leave, in whatever form (xlsx csv pdf print): it stands in the audit log."""
    data = {"entity": entity_key, "format": format, "columns": list(columns)}
    await record_audit(conn, ctx.tenant_id, "records.exported", actor_id=ctx.user_id, target=entity_key, request_id=ctx.request_id, data=data)


def _listed(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {k: asked.get(k) for k in ("filter", "view", "q", "sort")}
