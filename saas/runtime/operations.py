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
    reason: str = ""  # why somebody saves although a similar record exists
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
    reason: str = ""
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """`along`: also records that are only ever added; for the engine's own clearing of invented ones."""

    entity: str
    id: UUID
    version: int | None = None
    along: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    entity: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Records of one entity become one: `survivor` stays, `losers` lead to it. `choices`: {field: the record whose value wins, or "all"};
    what is not chosen follows the entity's strategy (`winner`: another one). `versions`: what the caller saw of each. `patient`: nobody waits."""

    entity: str
    survivor: UUID
    losers: Sequence[UUID]
    choices: Mapping[str, Any] = field(default_factory=dict)
    winner: str | None = None
    versions: Mapping[UUID, int] = field(default_factory=dict)
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoMerge:
    entity: str
    merge: UUID
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareForMerge:
    """What a merge would make of each field, without doing it."""

    entity: str
    survivor: UUID
    losers: Sequence[UUID]
    choices: Mapping[str, Any] = field(default_factory=dict)
    winner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """What a record is that waits in a review: matched to `target`, together with `sources` (items of others that wait), or neither."""

    entity: str
    review: str
    item: UUID
    target: UUID | None = None
    sources: Sequence[UUID] = ()
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMerge:
    entity: str
    merge: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    entity: str
    id: UUID
    key: str
    values: Values = field(default_factory=dict)
    version: int | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertMany:
    """Rows that change the record with the same values in the unique rule `by`, or make it; each stands or falls alone. The answer is a
    list of upserts.Loaded or AppError."""

    entity: str
    by: str
    rows: Sequence[Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """One record of an entry form: an id alone picks it, values alone make it, both change it."""

    values: Values = field(default_factory=dict)
    id: UUID | None = None
    version: int | None = None
    delete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """An entry form sent: the main record and its parts by key, those that are lines as lists."""

    entity: str
    form: str
    main: Entered
    parts: Mapping[str, Entered | Sequence[Entered] | None] = field(default_factory=dict)
    confirm_duplicates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button of an automation on the record's page."""

    entity: str
    id: UUID
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A record of a pool becomes the asker's: the one named, or the next of `pool` (the only one, if that is None)."""

    entity: str
    id: UUID | None = None
    pool: str | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """A record becomes a person's, out of a pool or from somebody else."""

    entity: str
    id: UUID
    to: UUID
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A record goes back to its pool. `values`: what its stage change asks for, such as why."""

    entity: str
    id: UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Post the counter-entry of an entry of a ledger."""

    entity: str
    id: UUID
    reason: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StartApproval:
    """Begin an approval of the record, or send one that was returned again. `way` is the path picked of a predefined one; `people` are
    those the applicant names for an ad-hoc one, asked one after the other, or `together`."""

    entity: str
    id: UUID
    approval: str
    way: str | None = None
    people: Sequence[UUID] = ()
    together: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActOnApproval:
    """`act`: approve reject return before after delegate (these need the `task`), withdraw resubmit comment. `to` is the key of the step
    to return to (None: the applicant), `person` who is asked as well or instead."""

    entity: str
    id: UUID
    flow: UUID
    act: str
    task: UUID | None = None
    comment: str = ""
    to: str | None = None
    person: UUID | None = None


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


@dataclass(frozen=True, slots=True)
class ButtonOffer:
    """A button of an automation that this person may press now."""

    key: str
    label: str
    style: str = "default"
    confirm: str = ""


@dataclass(slots=True)
class Can:
    update: bool = False
    delete: bool = False
    transitions: tuple[TransitionOffer, ...] = ()
    buttons: tuple[ButtonOffer, ...] = ()  # filled by Get and writes
    pool: str | None = None  # the pool it lies in
    home: str | None = None  # the pool it goes back to
    claim: bool = False
    assign: bool = False
    release: bool = False
    share: bool = False
    away: tuple[str, ...] = ()  # stages that are not for this record


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
    in_approval: bool = False  # it waits for a decision and is closed to changes meanwhile


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
    merge: UUID | None = None  # the merge that was done or undone
    case: str = ""  # what was decided in a review


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


@dataclass(frozen=True, slots=True)
class MergeField:
    """A field of records that are to be merged. `texts`: what each says, by id; `chosen`: the id whose value is proposed, or "all"."""

    key: str
    label: str
    texts: Mapping[UUID, str]
    chosen: str
    holds_several: bool
    may_choose: bool
    differs: bool


@dataclass(frozen=True, slots=True)
class MergeSheet:
    """What stands to be chosen before a merge. `children`: for each record the names and numbers of what belongs to it and may be seen."""

    survivor: UUID
    records: list[Record]
    fields: list[MergeField]
    children: Mapping[UUID, list[tuple[str, int]]]
    undo_days: int


@dataclass(slots=True)
class HistoryEntry:
    """One event. `changes` is [{"field", "label", "old", "new"}] with displayed texts; hidden fields are left out."""

    id: str
    at: datetime
    kind: str  # created updated deleted restored transition claimed assigned released recycled merged unmerged
    actor_id: UUID | None
    actor: str
    origin: str
    changes: list[dict[str, Any]]
    transition: str | None = None
    merge: str | None = None  # the merge it speaks of
