"""Records that come from outside: web forms, webhooks, e-mails, answers to surveys. They take the same way as any other record, in one transaction
with what they cause, under an origin of their own; the trigger `inbound` follows `create` and `update`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import files, records
from saas.runtime.actions.create import equal_record
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.automations import dispatch
from saas.runtime.fields._shared.ids import IdListType
from saas.runtime.rows import Row

EMPTY = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Taken:
    """The record that came of it; `made` or found again."""

    entity: Entity
    row: Row
    made: bool

    @property
    def record_id(self) -> UUID:
        return self.row.id


async def take_in(act: Act, entity: Entity, values: Mapping[str, Any], *, source: str, match: Sequence[str] = (), on_match: str = "update", added: Sequence[str] = ()) -> Taken:
    """Make a record of the values, or find the one that is equal in the fields of `match`.

    `source`: where it came from, such as "form:contact". `on_match`: update, fill (only what is empty), keep, refuse. `added`: fields
    of files, of which what is new joins what is there, unless it is kept as it is.
    Errors: InvalidInput, DuplicateFound, Conflict, PlanLimitReached.
    """
    ctx = act.ctx
    known = await _known(act, entity, values, match)
    if known is None:
        row = await records.create(act, entity, {k: v for k, v in values.items() if v not in EMPTY}, confirm_duplicates=True)
        changed, made, old = frozenset(row.values), True, None
    else:
        if on_match == "refuse":
            raise InvalidInput([FieldProblem(match[0], "known", lazy("We have this already."))], lazy("We have this already."))
        old = await records.load(act.conn, ctx, entity, known, lock=True)
        given = {} if on_match == "keep" else {k: v for k, v in values.items() if on_match == "update" or (v not in EMPTY and old.get(k) in EMPTY)}
        given |= {k: await _joined(act, entity, k, old.get(k) or [], values[k]) for k in added if k in values and on_match != "keep"}
        row = await records.update(act, entity, known, given, confirm_duplicates=True) if given else old
        changed, made = frozenset(given), False
    await dispatch(act, Happening("inbound", entity, row, old, changed, source=source))
    return Taken(entity, row, made)


async def _joined(act: Act, entity: Entity, key: str, old: list[str], new: list[str]) -> list[str]:
    """As far as the field has room."""
    kind = field_types.get(entity.fields[key].type)
    assert isinstance(kind, IdListType)
    return [*old, *await files.unlike(act.conn, act.ctx, old, new)][: kind.most_of(entity.fields[key])]


async def _known(act: Act, entity: Entity, values: Mapping[str, Any], match: Sequence[str]) -> UUID | None:
    if not match or any(values.get(key) in EMPTY for key in match):
        return None
    probe = ActionRun(act, entity, Row(id=UUID(int=0), entity=entity.key, version=0))
    found = await equal_record(probe, entity, {key: values[key] for key in match})
    return found.id if found is not None else None


__all__ = ["Taken", "take_in"]
