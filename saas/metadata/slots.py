"""Where a field's values live, and which number an entity has: assigned once, never reused.

A place is a typed column of the record row ("t1"), a key of its document ("doc:notes") or of the link table ("link:tags"). A
field keeps its place for as long as it exists and is written the same way; when it disappears its place is retired, and taken
up again if the field comes back written the same way. A field whose type changes gets another place, so that no value is ever
read as what it is not; the earlier assignment is kept as `key~place`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from saas.metadata import models as m
from saas.metadata.build import build_bundle
from saas.metadata.config import Config
from saas.metadata.kinds import field_types

# letter, how many columns, how many of them are indexed for every entity (the lowest numbers)
SLOTS: Mapping[str, tuple[str, int, int]] = {
    "text": ("t", 40, 8),
    "int": ("i", 20, 4),
    "float": ("n", 16, 4),
    "time": ("d", 20, 4),
    "uuid": ("r", 24, 8),
}
RETIRED = "~"
IN_DOCUMENT, IN_LINKS = "doc:", "link:"
# Options that say how a stored value is to be read: an id of which entity, minor units of which currency.
READ_BY = ("to", "currency")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A row of field_column. `shape` says how the values are written; empty in rows from before shapes were kept."""

    field_key: str
    column: str
    storage: str
    retired: bool = False
    shape: str = ""

    def holds(self, storage: str, shape: str) -> bool:
        return self.storage == storage and self.shape in ("", shape)


@dataclass(slots=True)
class Allocation:
    """What must change in field_column for one entity. `columns` leaves out what lies in the document or the link table under
    the field's own key."""

    columns: dict[str, str] = field(default_factory=dict)
    added: list[Assignment] = field(default_factory=list)
    shaped: list[tuple[str, str]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


# ---- deciding -----------------------------------------------------------------------------------------------------------


def allocate(config: Config, entity_key: str, existing: Iterable[Assignment]) -> Allocation:
    """Places for the entity's fields, given what was assigned before. Fields beyond the columns lie in the document until a
    column becomes free."""
    result, rows = Allocation(), {row.field_key: row for row in existing}
    taken = {row.column for row in rows.values()}
    wanted = shapes(config, entity_key)
    waiting: list[tuple[str, str, str]] = []
    for key, (storage, shape) in wanted.items():
        row = rows.get(key)
        if row is not None and row.holds(storage, shape):
            _keep(result, row, key)
            if not row.shape:
                result.shaped.append((key, shape))
            if storage in SLOTS and row.column.startswith(IN_DOCUMENT) and not row.retired:
                waiting.append((key, storage, shape))
            continue
        if row is not None:
            result.renamed.append((key, f"{key}{RETIRED}{row.column}"))
        earlier = _earlier(rows, key, storage, shape)
        if earlier is not None:
            result.renamed.append((earlier.field_key, key))
            _keep(result, earlier, key)
            if key not in result.restored:
                result.restored.append(key)
        else:
            waiting.append((key, storage, shape))
    ranks = _ranks(config, entity_key)
    for key, storage, shape in sorted(waiting, key=lambda w: ranks.get(w[0], LAST)):  # stable: equal ranks keep the bundle's order
        column = _free(storage, taken, indexed=key in ranks) if storage in SLOTS else None
        row = rows.get(key)
        if row is not None and row.holds(storage, shape):  # lies in the document so far
            if column is None:
                continue
            result.renamed.append((key, f"{key}{RETIRED}{row.column}"))
            result.columns.pop(key, None)
        column = column or _place(key, storage, taken)
        taken.add(column)
        _name(result, key, column)
        result.added.append(Assignment(key, column, storage, shape=shape))
    result.retired = [k for k, row in rows.items() if k not in wanted and not row.retired and RETIRED not in k]
    return result


def _keep(result: Allocation, row: Assignment, key: str) -> None:
    _name(result, key, row.column)
    if row.retired:
        result.restored.append(key)


def _name(result: Allocation, key: str, column: str) -> None:
    if column not in (IN_DOCUMENT + key, IN_LINKS + key):
        result.columns[key] = column


def _earlier(rows: Mapping[str, Assignment], key: str, storage: str, shape: str) -> Assignment | None:
    """An assignment the field had when it was written this way; a column before a place in the document."""
    found = [r for r in rows.values() if r.field_key.startswith(f"{key}{RETIRED}") and r.holds(storage, shape)]
    return min(found, key=lambda r: (":" in r.column, r.shape != shape), default=None)


def shapes(config: Config, entity_key: str) -> dict[str, tuple[str, str]]:
    """Field key -> (storage, shape), of the fields that have a place of their own."""
    found = {}
    for fld in config.entity(entity_key).defn.fields:
        storage = field_types.get(fld.type).storage_of(fld, config)
        if storage in SLOTS or storage in ("doc", "links"):
            found[fld.key] = (storage, shape_of(fld))
    return found


def shape_of(fld: m.FieldDef) -> str:
    """How the field's values are written: its type, and the options without which they cannot be read."""
    return ":".join([fld.type, *(f"{name}={fld.options[name]}" for name in READ_BY if fld.options.get(name))])


def place_of(config: Config, entity_key: str, key: str) -> str | None:
    """Where the field's values live, as in field_column; None for what has no place of its own (formulas, the stage)."""
    entity = config.entity(entity_key)
    storage = field_types.get(entity.declared[key].type).storage_of(entity.declared[key], config)
    if storage in ("none", "state"):
        return None
    prefix = IN_LINKS if storage == "links" else IN_DOCUMENT
    return entity.columns.get(key) or prefix + entity.place(key)


def _place(key: str, storage: str, taken: set[str]) -> str:
    """A key of the document or the link table that nothing else of this entity was ever written under."""
    prefix = IN_LINKS if storage == "links" else IN_DOCUMENT
    names = (prefix + key, *(f"{prefix}{key}{RETIRED}{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _free(storage: str, taken: set[str], *, indexed: bool) -> str | None:
    """A free column. Fields nobody sorts or filters by take an unindexed one while there are any."""
    letter, count, low = SLOTS[storage]
    columns = [f"{letter}{number}" for number in range(1, count + 1)]
    order = columns if indexed else columns[low:] + columns[:low]
    return next((c for c in order if c not in taken), None)


LAST = 99


def _ranks(config: Config, entity_key: str) -> dict[str, int]:
    """Fields worth an indexed column, the most useful first."""
    entity, ranks = config.entity(entity_key), dict[str, int]()

    def worth(rank: int, keys: Iterable[str]) -> None:
        for key in keys:
            ranks.setdefault(key, rank)

    views = config.views(entity_key)
    worth(0, (key for rule in entity.defn.unique for key in rule.fields))
    worth(1, (f.key for f in entity.defn.fields if f.type in ("ref", "user")))
    worth(2, (text.lstrip("-") for view in views for text in view.sort))
    worth(3, (view.board["by"] for view in views if view.board))
    worth(4, [entity.defn.title])
    worth(5, (key for view in views for key in filter_fields(view.filter)))
    worth(6, (f.key for f in entity.defn.fields if f.type in ("option", "dept", "pipeline")))
    worth(7, (key for rule in entity.defn.duplicates for key in rule.match))
    worth(8, entity.defn.search)
    return {key: rank for key, rank in ranks.items() if key in entity.declared}


def filter_fields(filter_: Any) -> Iterable[str]:
    """Fields a filter names, however deep; expressions inside are left out."""
    if isinstance(filter_, Mapping):
        if isinstance(filter_.get("field"), str):
            yield filter_["field"].partition(".")[0]
        for below in filter_.values():
            yield from filter_fields(below)
    elif isinstance(filter_, list):
        for below in filter_:
            yield from filter_fields(below)


# ---- the tables ---------------------------------------------------------------------------------------------------------


async def assign(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> None:
    """Give every entity its number and every field its place, inside the caller's transaction and lock."""
    config = Config(bundle)
    await conn.execute(
        "INSERT INTO entity (tenant_id, key) SELECT $1, k FROM unnest($2::text[]) WITH ORDINALITY AS t(k, n) ORDER BY n "
        "ON CONFLICT (tenant_id, key) DO NOTHING",
        tenant_id,
        [e.key for e in bundle.entities],
    )
    numbers, existing = await _read(conn, tenant_id)
    if any(not row.shape and not row.retired for rows in existing.values() for row in rows):
        await _name_shapes(conn, tenant_id, numbers, existing)
        numbers, existing = await _read(conn, tenant_id)
    for entity in bundle.entities:
        await _write(conn, tenant_id, numbers[entity.key], allocate(config, entity.key, existing.get(entity.key, ())))
    gone = [numbers[key] for key in numbers if key not in config.entities]
    if gone:
        await conn.execute(
            "UPDATE field_column SET retired_at = now() WHERE tenant_id = $1 AND entity_id = ANY($2::int[]) AND retired_at IS NULL",
            tenant_id,
            gone,
        )


async def _name_shapes(conn: Any, tenant_id: UUID, numbers: Mapping[str, int], existing: Mapping[str, list[Assignment]]) -> None:
    """Rows from before shapes were kept: the configuration that is still live says how their values are written."""
    text = await conn.fetchval(
        "SELECT r.bundle FROM config_revision r JOIN tenant t ON t.id = r.tenant_id AND t.config_revision = r.number WHERE r.tenant_id = $1", tenant_id
    )
    live = Config(build_bundle(json.loads(text))) if text else None
    for key in live.entities if live else ():
        await _write(conn, tenant_id, numbers[key], allocate(live, key, existing.get(key, ())))


async def _write(conn: Any, tenant_id: UUID, number: int, change: Allocation) -> None:
    for key, shape in change.shaped:
        await conn.execute(
            "UPDATE field_column SET shape = $4 WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3", tenant_id, number, key, shape
        )
    for old, new in change.renamed:
        await conn.execute(
            "UPDATE field_column SET field_key = $4, retired_at = coalesce(retired_at, now()) "
            "WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3",
            tenant_id, number, old, new,
        )  # fmt: skip
    for column, keys in (("now()", change.retired), ("NULL", change.restored)):
        if keys:
            await conn.execute(
                f"UPDATE field_column SET retired_at = {column} WHERE tenant_id = $1 AND entity_id = $2 AND field_key = ANY($3::text[])",  # noqa: S608  two constants
                tenant_id, number, keys,
            )  # fmt: skip
    if change.added:
        await conn.execute(
            "INSERT INTO field_column (tenant_id, entity_id, field_key, column_name, storage, shape) "
            "SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[])",
            tenant_id, number, *(list(column) for column in zip(*((a.field_key, a.column, a.storage, a.shape) for a in change.added), strict=True)),
        )  # fmt: skip


async def _read(conn: Any, tenant_id: UUID) -> tuple[dict[str, int], dict[str, list[Assignment]]]:
    rows = await conn.fetch(
        "SELECT e.key, e.id, f.field_key, f.column_name, f.storage, f.retired_at IS NOT NULL AS retired, f.shape FROM entity e "
        "LEFT JOIN field_column f ON f.tenant_id = e.tenant_id AND f.entity_id = e.id WHERE e.tenant_id = $1",
        tenant_id,
    )
    numbers: dict[str, int] = {}
    found: dict[str, list[Assignment]] = {}
    for key, number, field_key, column, storage, retired, shape in rows:
        numbers[key] = number
        if field_key is not None:
            found.setdefault(key, []).append(Assignment(field_key, column, storage, retired, shape))
    return numbers, found


async def load(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """Entity numbers and the places of this bundle's fields, in one query. An older revision finds its retired places, too."""
    numbers, existing = await _read(conn, tenant_id)
    config = Config(bundle)
    return numbers, {e.key: find_places(config, e.key, existing.get(e.key, ())) for e in bundle.entities}


def find_places(config: Config, entity_key: str, existing: Iterable[Assignment]) -> dict[str, str]:
    """Where the fields' values are, as far as they were given a place: what is live before what is retired."""
    by_field: dict[str, list[Assignment]] = {}
    for row in sorted(existing, key=lambda r: (r.retired, ":" in r.column)):
        by_field.setdefault(row.field_key.partition(RETIRED)[0], []).append(row)
    found = Allocation()
    for key, (storage, shape) in shapes(config, entity_key).items():
        row = next((r for r in by_field.get(key, ()) if r.holds(storage, shape)), None)
        if row is not None:
            _name(found, key, row.column)
    return found.columns


async def preview(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """What `assign` and then `load` would give, without writing. Entities that are not there yet get numbers no record has."""
    numbers, existing = await _read(conn, tenant_id)
    config = Config(bundle)
    for place, key in enumerate((e.key for e in bundle.entities if e.key not in numbers), 1):
        numbers[key] = -place
    return numbers, {e.key: allocate(config, e.key, existing.get(e.key, ())).columns for e in bundle.entities}


def place_anew(config: Config | None, entity_key: str, wanted: Iterable[Assignment]) -> list[Assignment]:
    """The same assignments in columns of their own choosing, for records that come from another installation. Those with a column
    ("doc:…", "link:…") keep it; what is live chooses before what is retired. `config` is None for an entity that is no longer configured."""
    rows = list(wanted)
    taken = {row.column for row in rows if row.column}
    ranks = _ranks(config, entity_key) if config is not None and entity_key in config.entities else {}
    columns: dict[int, str] = {}
    for place in sorted(range(len(rows)), key=lambda n: (rows[n].retired, ranks.get(rows[n].field_key, LAST))):
        row = rows[place]
        key = row.field_key.partition(RETIRED)[0]
        live = key in ranks and not row.retired
        columns[place] = row.column or _free(row.storage, taken, indexed=live) or _place(key, row.storage, taken)
        taken.add(columns[place])
    return [replace(row, column=columns[n], field_key=f"{row.field_key.partition(RETIRED)[0]}{RETIRED}{columns[n]}" if RETIRED in row.field_key else row.field_key) for n, row in enumerate(rows)]
