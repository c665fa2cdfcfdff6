"""Documents: what a record, or a list, looks like on paper. A `Sheet` is made from what its reader may read; pages show it, `typesetting`
makes a PDF of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from babel.dates import format_datetime

from saas.errors import AppError, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick, use_locale
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import DocumentDef, DocumentPartDef, FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.files import open_file
from saas.runtime.templates import filled
from saas.tenants.brand import BrandFile, brand_file

MOST_LINES = 1000  # of one table
PAGE = 200
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MOST_PICTURES = 12
WIDE = ("longtext", "richtext", "address", "tags", "multi", "m2m", "users")


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    text: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    label: str
    num: bool = False
    narrow: bool = False  # as wide as its content


@dataclass(frozen=True, slots=True)
class Picture:
    id: str
    name: str
    path: Path
    content_type: str


@dataclass(frozen=True, slots=True)
class Part:
    """kind: fields table text images."""

    kind: str
    label: str = ""
    columns: int = 2
    lines: tuple[Line, ...] = ()
    heads: tuple[Head, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    totals: tuple[str, ...] = ()  # a text for each column; () for none
    note: str = ""
    text: str = ""
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    title: str
    subtitle: str
    company: str
    locale: str
    parts: tuple[Part, ...]
    foot: str
    paper: str = "a4"
    landscape: bool = False
    page_numbers: bool = True
    signatures: tuple[str, ...] = ()
    logo: BrandFile | None = field(default=None, repr=False)


# ---- which there are -----------------------------------------------------------------------------------------------------


def documents_of(ctx: Context, entity: Entity) -> list[DocumentDef]:
    """Those the person may print of records of the entity they may read. Whether one fits a record, `where` says."""
    if not permissions.may(ctx, "read", entity.key):
        return []
    mine = set(ctx.user.role_keys) if ctx.user else set()
    return [d for d in ctx.config.bundle.documents if d.entity == entity.key and (not d.roles or ctx.unrestricted or permissions.is_admin(ctx) or mine & set(d.roles))]


async def fitting(ctx: Context, entity: Entity, record_id: UUID) -> list[DocumentDef]:
    """Those that the record has."""
    return [d for d in documents_of(ctx, entity) if await _fits(ctx, d, record_id)]


async def _fits(ctx: Context, defn: DocumentDef, record_id: UUID) -> bool:
    if defn.where is None:
        return True
    asked = ops.List(entity=defn.entity, filter={"field": "id", "op": "eq", "value": str(record_id)}, within={"expr": defn.where}, fields=(), limit=1)
    return bool((await execute(ctx, asked)).records)


def document_called(ctx: Context, entity: Entity, key: str) -> DocumentDef:
    """Errors: NotFound."""
    found = next((d for d in documents_of(ctx, entity) if d.key == key), None)
    if found is None:
        raise NotFound(lazy("There is no document “%(key)s” here.", key=key))
    return found


# ---- of one record -------------------------------------------------------------------------------------------------------


async def sheet_of(ctx: Context, defn: DocumentDef, record_id: UUID) -> Sheet:
    """The document of a record, as far as its reader may know it, in the language of `ctx` throughout: an automation's caller may speak
    another. Errors: NotFound."""
    with use_locale(ctx.locale):
        return await _sheet_of(ctx, defn, record_id)


async def _sheet_of(ctx: Context, defn: DocumentDef, record_id: UUID) -> Sheet:
    entity = ctx.config.entity(defn.entity)
    record = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
    if not await _fits(ctx, defn, record_id):
        raise NotFound(lazy("This record has no such document."))
    known = {**record.display, "company": ctx.tenant.name, "me": ctx.user.name if ctx.user else "", "today": ctx.today.isoformat()}
    label = pick(defn.label, ctx.locale)
    title = filled(pick(defn.heading, ctx.locale), known) if defn.heading else label
    parts = [p for part in defn.parts if (p := await _part(ctx, entity, record, part, known)) is not None]
    signatures = tuple(s.strip() for s in filled(pick(defn.signatures, ctx.locale), known).splitlines() if s.strip()) if defn.signatures else ()
    return Sheet(
        title, "" if record.title in title else record.title, ctx.tenant.name if defn.logo else "", ctx.locale, tuple(parts), _foot(ctx, f"{label} · {record.title}"), defn.paper, defn.landscape, defn.page_numbers,
        signatures, await brand_file(ctx.tenant_id, "logo") if defn.logo else None,
    )  # fmt: skip


def _foot(ctx: Context, text: str) -> str:
    return f"{text} · {format_datetime(ctx.now.astimezone(ctx.zone), 'yyyy-MM-dd HH:mm', locale=ctx.locale)}"


async def _part(ctx: Context, entity: Entity, record: ops.Record, part: DocumentPartDef, known: Mapping[str, Any]) -> Part | None:
    label = pick(part.label, ctx.locale)
    if part.text:
        text = filled(pick(part.text, ctx.locale), known)
        return Part("text", label, text=text) if text.strip() else None
    if part.image:
        pictures = await _pictures(ctx, record.values.get(part.image))
        return Part("images", label, pictures=pictures) if pictures else None
    if part.list:
        return await _table(ctx, entity, record, part, label)
    if part.ref:
        target = ctx.config.entity(entity.fields[part.ref].options["to"])
        id_ = record.values.get(part.ref)
        if not isinstance(id_, str) or not permissions.may(ctx, "read", target.key):
            return None
        try:
            found = await execute(ctx, ops.Get(entity=target.key, id=UUID(id_)))
        except (NotFound, ValueError):
            return None
        return fields_part(ctx, target, found, part.fields, label, part.columns)
    return fields_part(ctx, entity, record, part.fields, label, part.columns)


def fields_part(ctx: Context, entity: Entity, record: ops.Record, keys: Sequence[str], label: str = "", columns: int = 2) -> Part | None:
    """What the person may see of these fields; None where that is nothing."""
    lines = [Line(pick(entity.fields[k].label, ctx.locale), record.display[k], entity.fields[k].type in WIDE or len(record.display[k]) > 60) for k in keys if k in entity.fields and k in record.display]
    return Part("fields", label, columns, tuple(lines)) if lines else None


async def _pictures(ctx: Context, ids: Any) -> tuple[Picture, ...]:
    found = []
    for text in ids if isinstance(ids, list) else ():
        try:
            opened = await open_file(ctx, UUID(str(text)))
        except (AppError, ValueError):
            continue
        if opened.info.content_type in PICTURES and len(found) < MOST_PICTURES:
            found.append(Picture(str(opened.info.id), opened.info.name, opened.path, opened.info.content_type))
    return tuple(found)


async def _table(ctx: Context, entity: Entity, record: ops.Record, part: DocumentPartDef, label: str) -> Part | None:
    relation = entity.children[str(part.list)]
    child = ctx.config.entity(relation.child)
    access = permissions.static_access(ctx, child)
    if not permissions.may(ctx, "read", child.key) or access.get(relation.field) not in ("read", "write"):
        return None
    keys = [k for k in part.fields if access.get(k, "hidden") != "hidden"]
    where = {"field": relation.field, "op": "contains" if relation.many else "eq", "value": str(record.id)}
    records, more = await read_all(ctx, ops.List(entity=child.key, filter=where, fields=keys, sort=("created_at",)))
    totals = [k for k in part.totals if access.get(k) in ("read", "write")]
    return table_part(ctx, child, keys, records, label or pick(relation.label, ctx.locale), totals=totals, more=more)


# ---- of many records -----------------------------------------------------------------------------------------------------


async def read_all(ctx: Context, asked: ops.List) -> tuple[list[ops.Record], bool]:
    """At most MOST_LINES of what a list finds, and whether there are more."""
    records: list[ops.Record] = []
    after = None
    while True:
        page = await execute(ctx, ops.List(
            entity=asked.entity, filter=asked.filter, within=asked.within, view=asked.view, q=asked.q, sort=asked.sort, fields=asked.fields, limit=min(PAGE, MOST_LINES - len(records)), after=after,
            right=asked.right,
        ))  # fmt: skip
        records += page.records
        after = page.next
        if after is None or len(records) >= MOST_LINES:
            return records, after is not None


def table_part(ctx: Context, entity: Entity, keys: Sequence[str], records: Sequence[ops.Record], label: str, *, totals: Sequence[str] = (), more: bool = False) -> Part:
    heads = tuple(_head(ctx, entity.fields[k]) for k in keys)
    rows = tuple(tuple(r.display.get(k, "") or (r.title if k == entity.defn.title else "") for k in keys) for r in records)
    summed = tuple(_total(ctx, entity.fields[k], records) if k in totals else "" for k in keys) if any(k in totals for k in keys) and records else ()
    if summed and not summed[0]:
        summed = (_("Total"), *summed[1:])
    note = _("The first %(count)s are shown.", count=f"{MOST_LINES:,}") if more else "" if records else _("Nothing here yet.")
    return Part("table", label, heads=heads, rows=rows, totals=summed, note=note)


def _head(ctx: Context, declared: FieldDef) -> Head:
    kind, _field = field_types.get(declared.type).result_of(declared, ctx.config)
    return Head(pick(declared.label, ctx.locale), kind.align_end, kind.key in ("date", "datetime", "time", "bool", "option", "pipeline", "auto"))


def _total(ctx: Context, declared: FieldDef, records: Sequence[ops.Record]) -> str:
    """In words; of money a sum for each currency."""
    kind, told = field_types.get(declared.type).result_of(declared, ctx.config)
    sums: dict[str, Decimal] = {}
    for record in records:
        value = record.values.get(declared.key)
        amount, currency = (value.get("amount"), str(value.get("currency"))) if isinstance(value, Mapping) else (value, "")
        try:
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(str(amount))
        except ArithmeticError:
            continue
    shown = []
    for currency, total in sums.items():
        value = {"amount": str(total), "currency": currency} if currency else int(total) if total == int(total) else float(total)
        shown.append(kind.display(told, value, ctx.config, ctx.locale))
    return " + ".join(shown)


async def list_sheet(ctx: Context, entity: Entity, title: str, keys: Sequence[str], asked: ops.List, subtitle: str = "") -> Sheet:
    """A list as a table; wide ones lie on their side."""
    records, more = await read_all(ctx, asked)
    part = table_part(ctx, entity, keys, records, "", more=more)
    count = ngettext("%(shown)s record", "%(shown)s records", len(records), shown=f"{len(records):,}")
    return Sheet(title, " · ".join(t for t in (subtitle, count) if t), ctx.tenant.name, ctx.locale, (part,), _foot(ctx, title), landscape=len(keys) > 6, logo=await brand_file(ctx.tenant_id, "logo"))
