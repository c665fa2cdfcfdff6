"""What fill and replace share: the admin's orders, the field they are about, and the choices records hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from saas.metadata.config import Config, Entity
from saas.metadata.models import FieldDef
from saas.runtime.backfill.model import Shift, Step
from saas.runtime.backfill.running import Run
from saas.runtime.events import last_touches
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, expr_type


def ordered(shift: Shift, do: str, options: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Iterator[Step]:
    """A step for each order of this kind, in the admin's order. What they name was checked before (saas.runtime.data_steps)."""
    entities = {new.key: new for _, new in shift.entities()}
    for position, data in enumerate(shift.data):
        entity = entities.get(str(data.get("entity")))
        declared = entity.fields.get(str(data.get("field"))) if entity else None
        if data.get("do") == do and entity is not None and declared is not None:
            yield shift.step(do, entity, declared, position=position, type=declared.type, **options(data))


def field_of(run: Run) -> FieldDef | None:
    """The field of an order, as long as it is still there with the same type."""
    declared = run.entity.fields.get(run.step.field or "") if run.entity else None
    return declared if declared is not None and declared.type == run.step.options.get("type", declared.type) else None


async def touched_since(run: Run, conn: Any, key: str, rows: Mapping[UUID, Row]) -> set[UUID]:
    """Those of the records whose field somebody set since the change was published."""
    recent = [i for i, row in rows.items() if row.updated_at >= run.campaign.since]
    touches = await last_touches(conn, run.ctx, run.entity, key, recent, run.campaign.since) if recent else {}
    return {i for i, touch in touches.items() if not touch.by_configuration}


def choices_of(config: Config, entity: Entity | None, declared: FieldDef | None) -> list[str] | None:
    """Keys of the choices or stages of a field; None where anything can be chosen, or nothing."""
    if entity is None or declared is None or declared.system:
        return None
    return [o.key for o in config.options(entity.key, declared.key)] or None


def holds_sql(scope: RecordScope, key: str, choices: Sequence[str]) -> str:
    """SQL condition: the record holds one of the choices, alone or among others."""
    declared = scope.entity.fields[key]
    keys = scope.param(list(choices), "text[]")
    if declared.type == "pipeline":
        return f"{scope.alias}.state = ANY({keys})"
    sql, kind = scope.path((key,))
    return f"coalesce({sql} ?| {keys}, false)" if kind == "list" and expr_type(scope.config, declared) == "list" else f"{sql} = ANY({keys})"


def with_choice(value: Any, old: str, new: str | None) -> Any:
    """The value with one choice in the place of another; None takes it away."""
    if not isinstance(value, list):
        return new
    kept = list(dict.fromkeys(v for v in (new if v == old else v for v in value) if v is not None))
    return kept or None
