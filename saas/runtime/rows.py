"""Between record rows and JSON values: which columns to read, how to decode them, how to encode what is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.metadata.config import Config, Entity
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.runtime.sql import PG_TYPES, RecordScope, column_of, expr_type, field_sql, storage_of

META = ("id", "version", "owner_id", "department_id", "state", "state_since", "created_at", "created_by", "updated_at", "updated_by", "deleted_at", "frozen", "touched_at")


@dataclass(slots=True)
class Row:
    """One record as stored: every value that was read, nothing masked. `holds` are the flags asked for by `Projection.flag`."""

    id: UUID
    entity: str
    version: int  # from here on in the order of META
    owner: UUID | None = None
    department: UUID | None = None
    state: str | None = None
    state_since: datetime | None = None
    created_at: datetime | None = None
    created_by: UUID | None = None
    updated_at: datetime | None = None
    updated_by: UUID | None = None
    deleted_at: datetime | None = None
    frozen: list[str] | None = None  # while an approval runs: the fields that may be changed all the same
    touched_at: datetime | None = None
    values: dict[str, Any] = field(default_factory=dict)
    holds: dict[str, bool] = field(default_factory=dict)

    def copy(self) -> Row:
        """One that can be changed without changing this one."""
        values = {k: copy.deepcopy(v) if isinstance(v, list | dict) else v for k, v in self.values.items()}
        return replace(self, values=values, holds=dict(self.holds))

    def get(self, key: str) -> Any:
        """JSON value of a declared or system field."""
        if key in ("created_at", "updated_at", "touched_at"):
            moment = getattr(self, key)
            return moment.isoformat().replace("+00:00", "Z") if moment else None
        if key in ("owner", "department", "created_by", "updated_by", "id"):
            found = getattr(self, key)
            return str(found) if found else None
        return self.values.get(key)


class Projection:
    """The select list for some fields of a scope's record, and the way back to a Row."""

    def __init__(self, scope: RecordScope, fields: Iterable[str] | None = None) -> None:
        self.entity, self.config = scope.entity, scope.config
        wanted = self.entity.declared if fields is None else {k: self.entity.declared[k] for k in fields if k in self.entity.declared}
        compiled = self.config.cached(("rows.projection", self.entity.key, scope.alias, tuple(wanted)), lambda: self._compile(wanted.values(), scope.alias))
        self.items = [f"{scope.alias}.{column}" for column in META]
        # A formula is written anew each time: it may take parameters of this statement.
        self.items += [sql or scope.path((key,))[0] for key, _, sql in compiled]
        self.decoders: list[tuple[str, Callable[[Any], Any] | None]] = [(key, read) for key, read, _ in compiled]
        self.flags: list[str] = []
        self.pipeline_fields = [f.key for f in wanted.values() if f.type == "pipeline"]

    def _compile(self, wanted: Iterable[FieldDef], alias: str) -> list[tuple[str, Callable[[Any], Any] | None, str | None]]:
        """(key, decoder, SQL; None for formulas) of each field that is read for itself; no decoder where the column holds the value."""
        found = ((declared, storage_of(self.config, declared)) for declared in wanted)
        return [
            (declared.key, None if _is_plain(declared, storage) else decoder(self.config, declared, storage), None if storage == "none" else field_sql(self.config, self.entity, declared, alias))
            for declared, storage in found
            if storage != "state"
        ]

    def flag(self, name: str, condition: str) -> None:
        self.items.append(f"coalesce({condition}, false)")
        self.flags.append(name)

    @property
    def sql(self) -> str:
        return ", ".join(self.items)

    def row(self, found: Any) -> Row:
        return self.rows([found])[0]

    def rows(self, found: Sequence[Any]) -> list[Row]:
        """Column by column: what a field needs is looked up once, not once a cell."""
        key = self.entity.key
        rows = [Row(r[0], key, *r[1 : len(META)]) for r in found]
        pairs, position = list(zip(rows, found, strict=True)), len(META)
        for name, read in self.decoders:
            if read is None:
                for row, r in pairs:
                    row.values[name] = r[position]
            else:
                for row, r in pairs:
                    value = r[position]
                    row.values[name] = None if value is None else read(value)
            position += 1
        for name in self.pipeline_fields:
            for row in rows:
                row.values[name] = row.state
        for name in self.flags:
            for row, r in pairs:
                row.holds[name] = r[position]
            position += 1
        return rows


def _is_plain(declared: FieldDef, storage: str) -> bool:
    return storage not in ("none", "doc", "links") and type(field_types.get(declared.type)).from_column is FieldType.from_column


def decode(config: Config, entity: Entity, declared: FieldDef, storage: str, value: Any) -> Any:
    """What a column, document key, link list or formula gave -> JSON value."""
    return None if value is None else decoder(config, declared, storage)(value)


def decoder(config: Config, declared: FieldDef, storage: str) -> Callable[[Any], Any]:
    """Makes JSON values of what the database gives for one field; never called with None."""
    kind = field_types.get(declared.type)
    if storage == "none":
        expects = expr_type(config, declared)
        return lambda value: kind.from_expr(declared, expr_value(expects, value), config)
    if storage in ("doc", "links"):
        return lambda value: kind.from_column(declared, json.loads(value) if isinstance(value, str) else value, config)
    return lambda value: kind.from_column(declared, value, config)


def expr_value(kind: str, value: Any) -> Any:
    """A value PostgreSQL computed -> the expression language's Python value."""
    if value is None:
        return None
    if kind == "number":
        return value if isinstance(value, Decimal) else Decimal(str(value))
    if kind == "date" and isinstance(value, datetime):
        return value.date()
    if kind in ("ref", "user", "dept"):
        return str(value)
    return value


@dataclass(slots=True)
class Encoded:
    """Values ready to be written: columns of the row, keys of the document, and link lists."""

    columns: dict[str, tuple[Any, str]] = field(default_factory=dict)  # column -> (value, pg type)
    doc: dict[str, Any] = field(default_factory=dict)  # None removes the key
    links: dict[str, list[UUID]] = field(default_factory=dict)


def encode(config: Config, entity: Entity, values: Mapping[str, Any]) -> Encoded:
    """JSON values of declared fields (formulas and the pipeline field excepted) -> what is written where."""
    out = Encoded()
    homes = config.cached(("rows.homes", entity.key), lambda: _homes(config, entity))
    for key, value in values.items():
        declared, kind, storage, pg, column, place = homes[key]
        if storage in ("none", "state"):
            continue
        if storage == "links":
            out.links[place] = [UUID(v) for v in value or ()]
            continue
        stored = None if value is None else kind.to_column(declared, value, config)
        if column:
            out.columns[column] = (stored, pg)
        elif pg:
            # overflow of the slots: the column's value as text, which `field_sql` casts back
            out.doc[place] = stored.isoformat() if isinstance(stored, datetime) else (str(stored) if stored is not None else None)
        else:
            out.doc[place] = stored
    return out


@dataclass(slots=True)
class EncodedMany:
    """Several records' values ready to be written, column by column; all lists are as long as the records are many."""

    docs: list[dict[str, Any]]  # one a record, without empty keys
    columns: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)  # column -> (pg type, values); those with any value
    links: dict[str, list[list[UUID]]] = field(default_factory=dict)


def encode_many(config: Config, entity: Entity, records: Sequence[Mapping[str, Any]], out: EncodedMany, keys: Collection[str]) -> Iterator[None]:
    """Put into `out` what `encode` makes of some fields of each of several new records; stops after each field."""
    homes = config.cached(("rows.homes", entity.key), lambda: _homes(config, entity))
    for key, (declared, kind, storage, pg, column, place) in homes.items():
        if key not in keys or storage in ("none", "state"):
            continue
        values = [values.get(key) for values in records]
        if values.count(None) == len(values):
            continue
        if storage == "links":
            out.links[place] = [[UUID(v) for v in value or ()] for value in values]
        else:
            to_column = kind.to_column
            stored = [None if v is None else to_column(declared, v, config) for v in values]
            if column:
                if stored.count(None) < len(stored):
                    out.columns[column] = (pg or "", stored)
            else:
                for doc, value in zip(out.docs, stored, strict=True):
                    if value is not None:
                        doc[place] = (value.isoformat() if isinstance(value, datetime) else str(value)) if pg else value
        yield


def _homes(config: Config, entity: Entity) -> dict[str, tuple[FieldDef, FieldType, str, str | None, str | None, str]]:
    """{field: (field, its type, storage, pg type, column, place in the document or link table)}."""
    found = {}
    for key, declared in entity.declared.items():
        storage = storage_of(config, declared)
        found[key] = (declared, field_types.get(declared.type), storage, PG_TYPES.get(storage), column_of(config, entity, declared), entity.place(key))
    return found
