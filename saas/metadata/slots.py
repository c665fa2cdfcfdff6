"""Which column of the record row a field's value lives in, and which number an entity has: assigned once, never reused.

A field keeps its column for as long as it exists; when it disappears its column is retired, and taken up again if the field
comes back with the same storage. A retired assignment whose key is needed for another storage is kept as `key~column`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.metadata import models as m
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


@dataclass(frozen=True, slots=True)
class Assignment:
    """A row of field_column."""

    field_key: str
    column: str
    storage: str
    retired: bool = False


@dataclass(slots=True)
class Allocation:
    """What must change in field_column for one entity."""

    columns: dict[str, str] = field(default_factory=dict)
    added: list[Assignment] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


# ---- deciding -----------------------------------------------------------------------------------------------------------


def allocate(config: Config, entity_key: str, existing: Iterable[Assignment]) -> Allocation:
    """Columns for the entity's fields, given what was assigned before. Fields beyond the columns stay in the document."""
    result, rows = Allocation(), {row.field_key: row for row in existing}
    taken = {row.column for row in rows.values()}
    wanted = storages(config, entity_key)
    waiting = []
    for key, storage in wanted.items():
        row = rows.get(key)
        if row is not None and row.storage == storage:
            result.columns[key] = row.column
            if row.retired:
                result.restored.append(key)
            continue
        if row is not None:
            result.renamed.append((key, f"{key}{RETIRED}{row.column}"))
        earlier = next((r for r in rows.values() if r.field_key.startswith(f"{key}{RETIRED}") and r.storage == storage), None)
        if earlier is not None:
            result.renamed.append((earlier.field_key, key))
            result.columns[key] = earlier.column
            result.restored.append(key)
        else:
            waiting.append((key, storage))
    ranks = _ranks(config, entity_key)
    for key, storage in sorted(waiting, key=lambda pair: ranks.get(pair[0], LAST)):  # stable: equal ranks keep the bundle's order
        column = _free(storage, taken, indexed=key in ranks)
        if column is not None:
            taken.add(column)
            result.columns[key] = column
            result.added.append(Assignment(key, column, storage))
    result.retired = [k for k, row in rows.items() if k not in wanted and not row.retired and RETIRED not in k]
    return result


def storages(config: Config, entity_key: str) -> dict[str, str]:
    """Field key -> storage, of the fields that live in a typed column."""
    found = {}
    for fld in config.entity(entity_key).defn.fields:
        storage = field_types.get(fld.type).storage_of(fld, config)
        if storage in SLOTS:
            found[fld.key] = storage
    return found


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
    """Give every entity its number and every field its column, inside the caller's transaction and lock."""
    config = Config(bundle)
    await conn.execute(
        "INSERT INTO entity (tenant_id, key) SELECT $1, k FROM unnest($2::text[]) WITH ORDINALITY AS t(k, n) ORDER BY n "
        "ON CONFLICT (tenant_id, key) DO NOTHING",
        tenant_id,
        [e.key for e in bundle.entities],
    )
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


async def _write(conn: Any, tenant_id: UUID, number: int, change: Allocation) -> None:
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
            "INSERT INTO field_column (tenant_id, entity_id, field_key, column_name, storage) "
            "SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[])",
            tenant_id, number, [a.field_key for a in change.added], [a.column for a in change.added], [a.storage for a in change.added],
        )  # fmt: skip


async def _read(conn: Any, tenant_id: UUID) -> tuple[dict[str, int], dict[str, list[Assignment]]]:
    rows = await conn.fetch(
        "SELECT e.key, e.id, f.field_key, f.column_name, f.storage, f.retired_at IS NOT NULL AS retired FROM entity e "
        "LEFT JOIN field_column f ON f.tenant_id = e.tenant_id AND f.entity_id = e.id WHERE e.tenant_id = $1",
        tenant_id,
    )
    numbers: dict[str, int] = {}
    found: dict[str, list[Assignment]] = {}
    for key, number, field_key, column, storage, retired in rows:
        numbers[key] = number
        if field_key is not None:
            found.setdefault(key, []).append(Assignment(field_key, column, storage, retired))
    return numbers, found


async def load(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """Entity numbers and the columns of this bundle's fields, in one query. An older revision finds its retired columns, too."""
    numbers, existing = await _read(conn, tenant_id)
    config = Config(bundle)
    columns: dict[str, dict[str, str]] = {}
    for entity in bundle.entities:
        by_field = {(a.field_key.partition(RETIRED)[0], a.storage): a.column for a in existing.get(entity.key, ())}
        wanted = storages(config, entity.key)
        columns[entity.key] = {key: by_field[key, storage] for key, storage in wanted.items() if (key, storage) in by_field}
    return numbers, columns


async def preview(conn: Any, tenant_id: UUID, bundle: m.Bundle) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """What `assign` and then `load` would give, without writing. Entities that are not there yet get numbers no record has."""
    numbers, existing = await _read(conn, tenant_id)
    config = Config(bundle)
    for place, key in enumerate((e.key for e in bundle.entities if e.key not in numbers), 1):
        numbers[key] = -place
    return numbers, {e.key: allocate(config, e.key, existing.get(e.key, ())).columns for e in bundle.entities}
