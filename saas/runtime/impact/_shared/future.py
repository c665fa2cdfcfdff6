"""Single records as they are and as they will be once the plan's data steps are done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.env import RecordEnv, prepare
from saas.runtime.impact._shared.survey import Lens, Pair, Survey
from saas.runtime.present import Names, display_text, names_for
from saas.runtime.rows import Projection, Row
from saas.runtime.validate import EMPTY


@dataclass(slots=True)
class Seen:
    """One record: `before` as it is (only the fields that will be converted), `row` as it will be."""

    survey: Survey
    conn: Any
    entity: Entity
    before: Row
    row: Row
    lost: set[str] = field(default_factory=set)  # fields whose value does not survive its conversion
    filled: set[str] = field(default_factory=set)  # fields that a data step gives a value

    @property
    def id(self) -> UUID:
        return self.row.id

    def get(self, key: str) -> Any:
        return self.row.get(key)

    async def env(self, texts: Iterable[str | None]) -> RecordEnv:
        """For evaluating expressions over the record as it will be, with nobody changing it."""
        return await prepare(self.conn, self.survey.trial, self.entity, self.row, texts, old=self.row)

    async def holds(self, text: str | None) -> bool:
        return True if not text else (await self.env([text])).holds(text)


class Future:
    """What the data steps of a plan make of one entity's records."""

    def __init__(self, survey: Survey, entity_key: str) -> None:
        self.survey, self.new, self.touched = survey, survey.after.entity(entity_key), survey.touched(entity_key)
        self.converted = [p for p in survey.fields() if p.entity.key == entity_key and survey.is_converted(p)]

    def reading(self, lens: Lens, keys: Iterable[str]) -> Reading:
        return Reading(self, lens, self._needed(set(keys)))

    def _needed(self, keys: set[str]) -> set[str]:
        """The fields themselves and what their steps look at."""
        waiting, found = list(keys), set[str]()
        while waiting:
            key = waiting.pop()
            if key in found:
                continue
            found.add(key)
            if key in self.touched:
                for text in self._texts(key):
                    waiting += [f for e, f in self.survey.looks_at(self.survey.after, self.new.key, text) if e == self.new.key]
        return found

    def _texts(self, key: str) -> list[str]:
        steps = [s for s in self.survey.data if s.get("entity") == self.new.key and s.get("field") == key]
        return [s["expr"] for s in steps if s.get("expr")] + [r["if"] for s in steps for r in s.get("rules") or () if r.get("if")]

    # ---- what becomes of one record -----------------------------------------------------------------------------------------

    async def carry_out(self, seen: Seen, keys: set[str], names: tuple[Names, Names]) -> None:
        """Put the future values of the touched fields among `keys` into `seen.row`."""
        pending = [k for k in keys if k in self.touched]
        if not pending:
            return
        for pair in self.converted:
            if pair.key in pending:
                self._convert(seen, pair, names)
        for step in self.survey.data:
            if step.get("entity") == self.new.key and step.get("field") in pending and step["field"] in self.new.fields:
                await (self._fill(seen, step) if step["do"] == "fill" else self._replace(seen, step))

    def _convert(self, seen: Seen, pair: Pair, names: tuple[Names, Names]) -> None:
        """What stood in the field's place when it was last of this type stays, where it is what the value of today came from."""
        survey, value, earlier = self.survey, seen.before.get(pair.key), seen.get(pair.key)
        if value in EMPTY:
            return
        if earlier not in EMPTY:
            text = display_text(survey.trial, self.new, pair.new, earlier, names[1])
            if field_types.get(pair.old.type).convert(pair.old, pair.new, earlier, text, survey.before) == value:
                return
        kind, source = field_types.get(pair.new.type), field_types.get(pair.old.type).result_of(pair.old, survey.before)[1]
        kept = kind.convert(pair.new, source, value, display_text(survey.ctx, pair.entity, pair.old, value, names[0]), survey.after)
        self._put(seen, pair.new, kept)
        if kept in EMPTY:
            seen.lost.add(pair.key)

    async def _fill(self, seen: Seen, step: Mapping[str, Any]) -> None:
        declared = self.new.fields[step["field"]]
        if seen.get(declared.key) not in EMPTY:
            return
        kind = field_types.get(declared.type)
        if step.get("expr"):
            value = (await seen.env([step["expr"]])).evaluate(step["expr"])
            value = None if value is None else kind.taken(declared, kind.from_expr(declared, value, self.survey.after), self.survey.after)
        else:
            value = None if step.get("value") is None else kind.normalise(declared, step["value"], self.survey.after)
        self._put(seen, declared, value)
        if value not in EMPTY:
            seen.filled.add(declared.key)

    async def _replace(self, seen: Seen, step: Mapping[str, Any]) -> None:
        declared, value = self.new.fields[step["field"]], seen.get(step["field"])
        held = value if isinstance(value, list) else [value]
        if step.get("from") not in held:
            return
        to = step.get("to")
        for rule in step.get("rules") or ():
            if await seen.holds(rule.get("if")):
                to = rule.get("to")
                break
        if isinstance(value, list):
            others = [to if v == step["from"] else v for v in value]
            self._put(seen, declared, [v for v in dict.fromkeys(others) if v is not None])
        else:
            self._put(seen, declared, to)

    def _put(self, seen: Seen, declared: FieldDef, value: Any) -> None:
        if declared.key == "owner":
            seen.row.owner = UUID(value) if value else None
            return
        seen.row.values[declared.key] = value
        if declared.type == "pipeline":
            seen.row.state = value


class Reading:
    """The select list for records that are to be judged, and the way back. All fields are read by the planned configuration (one that
    comes back finds its old values), those that will be converted by the live one, too."""

    def __init__(self, future: Future, lens: Lens, keys: set[str]) -> None:
        self.future, self.keys = future, keys
        self.converted = [p for p in future.converted if p.key in keys]
        self.old, self.new = Projection(lens.before, {p.key for p in self.converted}), Projection(lens.after, keys)
        self.split = len(self.old.items)
        self.width = self.split + len(self.new.items)
        self.sql = f"{self.old.sql}, {self.new.sql}"

    async def take(self, conn: Any, rows: Sequence[Any]) -> list[Seen]:
        future = self.future
        found = [Seen(future.survey, conn, future.new, self.old.row(r), self.new.row(r[self.split : self.width])) for r in rows]
        names = Names(), Names()
        if self.converted:
            before, earlier = ([(f, row.get(f.key)) for f, row in pairs] for pairs in self._values(found))
            names = await names_for(conn, future.survey.ctx, before), await names_for(conn, future.survey.trial, earlier)
        for seen in found:
            await future.carry_out(seen, self.keys, names)
        return found

    def _values(self, found: Sequence[Seen]) -> tuple[list[tuple[FieldDef, Row]], list[tuple[FieldDef, Row]]]:
        """(field, row) of every value that is to be converted, and of what stands in its new place."""
        return [(p.old, s.before) for p in self.converted for s in found], [(p.new, s.row) for p in self.converted for s in found]
