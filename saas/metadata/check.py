"""What the checks of a bundle share: the look-ups, the list of problems, and the walk over every place with actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import FieldType, action_types, field_types
from saas.metadata.problems import Problems, join

RESERVED = frozenset(
    (
        *("id", "entity", "version", "created_at", "created_by", "updated_at", "updated_by", "deleted_at", "tenant_id"),
        *("new", "old", "and", "or", "not", "in", "if", "true", "false", "null"),
        # What a record's forms send beside its fields, which stand there under their keys.
        *("act", "choose", "confirm_duplicates", "confirmed", "duplicate_reason", "field", "filter", "ids", "inline", "next", "q", "use_existing"),
    )
)
# Keys of records that are there without being declared; "id" may be filtered and sorted, but is no field.
OWNED = ("owner", "department")


class Scene(NamedTuple):
    """A list of actions and what is known where they run."""

    path: str
    entity: str
    actions: Sequence[m.ActionDef]
    before_save: bool = False
    known: Mapping[str, str | None] = {}  # entities of records made further out, by alias
    inside: tuple[str, ...] = ()  # the steps around it, outermost first
    may_wait: bool = False


class Check:
    """One run over a bundle whose shape is right."""

    def __init__(self, bundle: m.Bundle, config: Config, problems: Problems) -> None:
        self.bundle, self.config, self.problems = bundle, config, problems
        self.entities: Mapping[str, Entity] = config.entities
        self.roles = config.roles

    def known(self, path: str, noun: str, key: str | None, known: object) -> bool:
        return self.problems.known(path, noun, key, known)  # type: ignore[arg-type]

    def field(self, path: str, entity_key: str, key: str | None) -> m.FieldDef | None:
        """The field, or None after a report."""
        entity = self.entities.get(entity_key)
        if entity is None or key is None:
            return None
        if not self.known(path, "field", key, entity.fields):
            return None
        return entity.fields[key]

    def field_at(self, path: str, entity_key: str, dotted: str) -> m.FieldDef | None:
        """A field of the entity, or one step over a reference."""
        first, _, second = dotted.partition(".")
        head = self.field(path, entity_key, first)
        if head is None or not second:
            return head
        target = head.options.get("to") if head.type == "ref" else None
        if target is None:
            self.problems.add(
                path, "not_a_reference",
                lazy("“%(field)s” does not refer to another record, so nothing can follow the dot.", field=first),
                lazy("Use a field of type ref before the dot, or write “%(field)s” alone.", field=first),
            )  # fmt: skip
            return None
        return self.field(path, target, second)

    def type_of(self, field: m.FieldDef) -> FieldType:
        """What describes the field's values; for a formula or rollup that of its result."""
        kind = field_types.get(field.type)
        try:
            return kind.result_of(field, self.config)[0]
        except (KeyError, AttributeError, TypeError, RecursionError):  # points to something that is missing; reported elsewhere
            return kind

    def scenes(self) -> Iterator[Scene]:
        """Every list of steps, those inside others behind them."""
        for scene in self._outermost():
            yield from self._inside(scene)

    def _inside(self, scene: Scene) -> Iterator[Scene]:
        yield scene
        known = dict(scene.known)
        for number, action in enumerate(scene.actions):
            entity = self.inner_entity(scene.entity, action)
            for name, steps in action.inside:
                inner = Scene(f"{scene.path}[{number}].{name}", entity, steps, scene.before_save, dict(known), (*scene.inside, action.action), scene.may_wait and name != "do")
                if entity is not None:
                    yield from self._inside(inner)
            if action.alias:
                known[action.alias] = self.made_by(scene.entity, action, known)

    def inner_entity(self, here: str, action: m.ActionDef) -> str | None:
        """What the steps inside a step are about; None for children of a relation that is not there."""
        kind = action_types.find(action.action)
        name = kind.relation(action.options) if kind is not None else None
        if name is None:
            return here
        found = self.config.relation(here, name) if here in self.entities else None
        return found.child if found is not None else None

    def made_by(self, here: str, action: m.ActionDef, known: Mapping[str, str | None]) -> str | None:
        """The entity of the record an action makes or works on, without a word about mistakes."""
        if isinstance(action.options.get("entity"), str):
            return action.options["entity"]
        if not isinstance(action.options.get("target"), str):
            return here
        entity: str | None = here
        steps = action.options["target"].split(".")
        if steps[0] == "result":
            entity, steps = known.get(steps[1]) if len(steps) > 1 else None, steps[2:]
        for step in steps:
            found = self.entities[entity].fields.get(step) if entity in self.entities else None
            entity = found.options.get("to") if found is not None else None
        return entity

    def _outermost(self) -> Iterator[Scene]:
        for pipeline in self.bundle.pipelines:
            for transition in pipeline.transitions:
                path = join(f"pipelines[{pipeline.key}]", f"transitions[{transition.key}]", "effects")
                yield Scene(path, pipeline.entity, transition.effects)
        for rule in self.bundle.automations:
            yield Scene(f"automations[{rule.key}].do", rule.entity, rule.do, rule.on.trigger == "before_save", may_wait=rule.on.trigger != "before_save")
        for schedule in self.bundle.schedules:
            yield Scene(f"schedules[{schedule.key}].do", schedule.entity, schedule.do)

    def widgets(self) -> Iterator[tuple[str, m.WidgetDef]]:
        for report in self.bundle.reports:
            for widget in report.widgets:
                yield f"reports[{report.key}].widgets[{widget.key}]", widget
        own = [w for r in self.bundle.reports for w in r.widgets]
        for dashboard in self.bundle.dashboards:
            for widget in dashboard.widgets:
                if all(replace(widget, label=w.label, width=w.width) != w for w in own if w.key == widget.key):  # else it is checked there
                    yield f"dashboards[{dashboard.key}].widgets[{widget.key}]", widget
