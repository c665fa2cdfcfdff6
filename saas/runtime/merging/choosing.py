"""Which values the merged record gets: a proposal by the entity's strategy, and what a person chose field by field. No database here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.rows import Row
from saas.runtime.validate import EMPTY, same

ALL = "all"  # as a choice: everything that stands in any of the records, for fields that hold several
_KEPT = ("pipeline", "auto")  # stages move only through transitions, numbers are given once: the survivor's stay

Choice = UUID | str  # a record whose value is taken, or ALL


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field of the records. `chosen` is the choice that is proposed, `value` what comes of it; `may_choose`: the person may set it."""

    field: FieldDef
    values: Mapping[UUID, Any]
    chosen: Choice
    value: Any
    holds_several: bool
    may_choose: bool

    @property
    def differs(self) -> bool:
        first, *others = self.values.values()
        return any(not same(first, other) for other in others)


def compare(ctx: Context, entity: Entity, survivor: Row, losers: Sequence[Row], choices: Mapping[str, Choice] | None = None, winner: str | None = None) -> list[Comparison]:
    """Every field that can win, in order. Raises InvalidInput for choices that cannot be made."""
    rows, given = [survivor, *losers], dict(choices or {})
    access = permissions.access(ctx, entity, survivor.holds)
    found, problems = [], []
    for field in _fields(entity):
        several = _holds_several(ctx, field)
        # A value the person does not see follows the strategy: they can neither lose it nor pick it unseen.
        may = ctx.unrestricted or (access.get(field.key) == "write" and all(permissions.access(ctx, entity, row.holds).get(field.key) in ("read", "write") for row in losers))
        choice = given.pop(field.key, None)
        if choice is not None and not may:
            problems.append(FieldProblem(field.key, "forbidden", lazy("Your role may not change this field."), f"/choices/{field.key}"))
            continue
        if choice is not None and choice not in {row.id for row in rows} and not (choice == ALL and several):
            problems.append(FieldProblem(field.key, "bad_choice", lazy("Choose one of the records that are merged."), f"/choices/{field.key}"))
            continue
        values = {row.id: row.get(field.key) for row in rows}
        chosen = choice if choice is not None else _proposal(rows, field.key, several, winner or entity.defn.merge.winner)
        value = _united(values.values()) if chosen == ALL else values[chosen]  # type: ignore[index]
        found.append(Comparison(field, values, chosen, _elsewhere(entity, field, value, survivor, losers), several, may))
    problems += [FieldProblem(key, "unknown_field", lazy("There is no field “%(key)s” here.", key=key), f"/choices/{key}") for key in given]
    if problems:
        raise InvalidInput(problems)
    return found


def _fields(entity: Entity) -> Iterable[FieldDef]:
    for field in entity.declared.values():
        if not field_types.get(field.type).computed and field.type not in _KEPT:
            yield field
    if entity.defn.owned:
        yield entity.fields["owner"]


def _holds_several(ctx: Context, field: FieldDef) -> bool:
    if field.type in ("file", "image"):
        return bool(field.options.get("multiple"))
    return field_types.get(field.type).expr_type_of(field, ctx.config) == "list"


def _proposal(rows: Sequence[Row], key: str, several: bool, winner: str) -> Choice:
    """What is filled wins over what is empty: the survivor's, then the newest; or the newest of all."""
    if several:
        return ALL
    survivor, *others = rows
    newest = sorted(others, key=_changed, reverse=True)
    order = sorted(rows, key=_changed, reverse=True) if winner == "newest" and key != "owner" else [survivor, *newest]
    return next((row.id for row in order if row.get(key) not in EMPTY), survivor.id)


def _changed(row: Row) -> Any:
    return row.updated_at or row.created_at


def _united(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += [item for item in value or () if item not in found]
    return found


def _elsewhere(entity: Entity, field: FieldDef, value: Any, survivor: Row, losers: Sequence[Row]) -> Any:
    """A link among the merged records would lead to the record itself: what is behind it is taken, or nothing."""
    if field_types.get(field.type).holds != "record" or field.options.get("to") != entity.key:
        return value
    own = {str(survivor.id), *(str(row.id) for row in losers)}
    if isinstance(value, list):
        return [item for item in value if item not in own]
    if value not in own:
        return value
    return next((row.get(field.key) for row in (survivor, *losers) if row.get(field.key) not in (*EMPTY, *own)), None)
