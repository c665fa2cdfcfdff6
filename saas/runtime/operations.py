"""The one door: every read and write of a record, from page, API, import, bulk edit, automation, schedule or sample data,
is an operation given to `execute`. Permission, validation, pipeline rules, events and isolation live behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

Values = Mapping[str, Any]

# Writes are answered with the record as it then stands. Who does not look at it (sample data, imports, bulk edits) asks for a
# `brief` answer, without: reading it back costs as much as the write.


# ---- what can be asked -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    entity: str
    values: Values
    confirm_duplicates: bool = False
    id: UUID | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMany:
    """Several records of one entity, each of which stands or falls alone. The answer is a list: for each the new id, or the AppError
    that says why there is none."""

    entity: str
    rows: Sequence[Values]
    confirm_duplicates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """`version` is the version the caller saw (None: no check)."""

    entity: str
    id: UUID
    values: Values
    version: int | None = None
    confirm_duplicates: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    entity: str
    id: UUID
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    entity: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    entity: str
    id: UUID
    key: str
    values: Values = field(default_factory=dict)
    version: int | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    entity: str
    id: UUID
    deleted: bool = False  # look into the recycle bin


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """`filter` is a filter JSON or expression text; `view` a saved view's key whose filter also applies (and whose sort and
    columns are the defaults); `fields` limits what is read; `count` is none, capped or exact; `after` an opaque cursor.
    `within` is a further filter that the configuration itself states (a widget's): it may name what the reader may not see."""

    entity: str
    filter: Any = None
    within: Any = None
    view: str | None = None
    q: str | None = None
    sort: Sequence[str] | None = None
    fields: Sequence[str] | None = None
    limit: int = 50
    after: str | None = None
    count: str = "none"
    deleted: bool = False
    right: str = "read"  # whose scope applies: read or export
    can: bool = False  # also say for each record what the reader may do with it
    spoken: Sequence[str] | None = None  # fields to say in words, too (None: all that are read); masked ones always are


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Columns of a board with count, sum and first cards each."""

    entity: str
    view: str | None = None
    by: str | None = None
    filter: Any = None
    q: str | None = None
    limit: int = 30  # cards a column


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    fn: str  # count count_distinct sum avg min max
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    field: str
    bucket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """`within` is a further filter that the configuration itself states, as in List."""

    entity: str
    measures: Sequence[Measure]
    dimensions: Sequence[Dimension] = ()
    filter: Any = None
    within: Any = None
    sort: str | None = None  # "-value" "value" "label"
    limit: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    entity: str
    id: UUID
    limit: int = 50
    before: str | None = None


# ---- what comes back ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransitionOffer:
    """A transition this person may start now. `missing` are required fields still empty; `ask` the further fields to offer."""

    key: str
    label: str
    to: str | None
    style: str = "default"
    confirm: str = ""
    missing: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


@dataclass(slots=True)
class Can:
    update: bool = False
    delete: bool = False
    transitions: tuple[TransitionOffer, ...] = ()


@dataclass(slots=True)
class Record:
    """A record as one person may see it. Hidden fields are absent from `values`; masked ones hold the mask."""

    id: UUID
    entity: str
    version: int
    created_at: datetime
    created_by: UUID | None
    updated_at: datetime
    updated_by: UUID | None
    owner: UUID | None
    department: UUID | None
    state: str | None
    deleted_at: datetime | None
    values: dict[str, Any]
    display: dict[str, str]
    can: Can | None = None  # filled by Get and writes; None in lists
    title: str = ""
    state_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Count:
    value: int
    exact: bool


@dataclass(slots=True)
class Page:
    records: list[Record]
    next: str | None = None
    count: Count | None = None


@dataclass(slots=True)
class Change:
    """Result of a write. `effects` is [{"action", "entity", "id"}]; `message` is for the person ("Saved")."""

    record: Record | None
    effects: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    message: str = ""


@dataclass(slots=True)
class BoardColumn:
    key: str
    label: str
    color: str
    count: int
    sum: Any  # money JSON, number or None
    records: list[Record]
    more: bool = False


@dataclass(slots=True)
class AggregateRow:
    """`keys` are JSON values of the dimensions, `labels` their texts, `values` one JSON number or money per measure."""

    keys: list[Any]
    labels: list[str]
    values: list[Any]


@dataclass(slots=True)
class HistoryEntry:
    """One event. `changes` is [{"field", "label", "old", "new"}] with displayed texts; hidden fields are left out."""

    id: str
    at: datetime
    kind: str  # created updated deleted restored transition
    actor_id: UUID | None
    actor: str
    origin: str
    changes: list[dict[str, Any]]
    transition: str | None = None
