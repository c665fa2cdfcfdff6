"""What can follow from a change of the configuration: steps, their kinds (one file each in `steps/`), and finding the steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from saas.i18n import LazyString
from saas.metadata import models as m
from saas.metadata import slots
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.registry import Registry

if TYPE_CHECKING:
    from saas.runtime.backfill.running import Run
    from saas.runtime.context import Context


class Order(IntEnum):
    """Which steps come before which: values first, then what is made of them."""

    MOVE = 10
    CONVERT = 20
    STAGE = 30
    UNDO = 35
    ORDERED = 40  # fill and replace, as the admin wrote them
    NUMBER = 50
    FORGET = 60
    UNIQUE = 61
    SEARCH = 70
    ROLLUP = 80
    INDEX = 90


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do with all records of an entity. `number` is the entity's, not positive for one that has none yet; `names` are
    the labels of entity and field when it was derived."""

    kind: str
    entity: str
    number: int
    field: str | None = None  # hides dataclasses.field from here on
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    names: Mapping[str, m.Label] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "entity": self.entity, "number": self.number, "field": self.field, "options": dict(self.options),
            "names": {noun: dict(label) for noun, label in self.names.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Step:
        return cls(raw["kind"], raw["entity"], raw["number"], raw.get("field"), raw.get("options") or {}, raw.get("names") or {})


@dataclass(frozen=True, slots=True)
class Pair:
    """A field in both configurations, with the location of its values in each."""

    entity: Entity
    old: m.FieldDef
    new: m.FieldDef
    was: str
    now: str

    @property
    def is_rewritten(self) -> bool:
        """The values are written in another way, or elsewhere."""
        return self.was != self.now or slots.shape_of(self.old) != slots.shape_of(self.new)

    @property
    def is_moved(self) -> bool:
        """They are written as before, elsewhere. A rollup that gives something else has another place, too, but is computed anew."""
        return self.was != self.now and slots.shape_of(self.old) == slots.shape_of(self.new)

    def places(self) -> dict[str, str]:
        return {"was": self.was, "was_shape": slots.shape_of(self.old), "now": self.now, "now_shape": slots.shape_of(self.new)}


@dataclass(frozen=True, slots=True)
class Shift:
    """From one configuration to the next; `data` is what the admin orders for the records (docs/configuration.md)."""

    old: Config
    new: Config
    data: tuple[Mapping[str, Any], ...] = ()

    def entities(self) -> Iterator[tuple[Entity | None, Entity]]:
        """All that there are, with what they were; None where an entity is new, or comes back with its records."""
        for key, entity in self.new.entities.items():
            yield self.old.entities.get(key), entity

    def pairs(self, old: Entity | None, new: Entity) -> Iterator[Pair]:
        for key, declared in new.declared.items():
            if old is not None and key in old.declared:
                yield Pair(new, old.declared[key], declared, location(self.old, new.key, key), location(self.new, new.key, key))

    def rewritten(self, old: Entity | None, new: Entity) -> set[str]:
        """Fields whose values cannot be what they were: of another type, or a formula that says something else."""
        return {p.new.key for p in self.pairs(old, new) if p.is_rewritten or (p.new.type == "formula" and p.old.options != p.new.options)}

    def step(self, kind: str, entity: Entity, declared: m.FieldDef | None = None, **options: Any) -> Step:
        names = {"entity": entity.defn.plural, **({"field": declared.label} if declared else {})}
        return Step(kind, entity.key, entity.number, declared.key if declared else None, options, names)


class StepKind:
    """One kind of step: when it is needed, and doing it. Registered by a file of its own in saas/runtime/backfill/steps/.

    `seconds` are measured for 1,000 records (docs/configuration.md says how). `sweeps`: looked at again for records that
    requests still under the old configuration wrote. `without_records`: needed for an entity that has none, too.
    """

    key: ClassVar[str]
    label: ClassVar[LazyString]
    order: ClassVar[Order]
    seconds: ClassVar[float] = 0.0
    sweeps: ClassVar[bool] = False
    without_records: ClassVar[bool] = False

    def derive(self, shift: Shift) -> Iterable[Step]:
        """The steps of this kind that the change needs. Pure."""
        raise NotImplementedError

    async def is_needed(self, conn: Any, ctx: Context, step: Step) -> bool:
        """Whether the tenant's data call for it; asked in the transaction that publishes."""
        return True

    async def begin(self, conn: Any, ctx: Context, step: Step) -> None:
        """What has to be so from the moment of publishing, in its transaction: people go on working before the job comes to it."""

    async def run(self, run: Run) -> None:
        """Do it, from where `run.memory` says it stopped; everything in transactions of `run.batch()`."""
        raise NotImplementedError

    async def sweep(self, run: Run) -> None:
        """Look again at records written since the change was published."""


step_kinds: Registry[StepKind] = Registry("kind of step")


def derive(old: Config, new: Config, data: Sequence[Mapping[str, Any]] = ()) -> list[Step]:
    """What must be done with existing records when `new` takes the place of `old`, in order. Both know their places
    (saas.metadata.store gives such configurations)."""
    shift = Shift(old, new, tuple(data))
    found = [(kind.order, step.options.get("position", 0), place, step) for place, kind in enumerate(step_kinds) for step in kind.derive(shift)]
    return [step for *_, step in sorted(found, key=lambda f: f[:3])]


def estimate(steps: Iterable[Step], counts: Mapping[str, int]) -> float:
    """Rough seconds of background work; `counts` are the records of each entity."""
    return sum(step_kinds.get(step.kind).seconds * counts.get(step.entity, 0) / 1000 for step in steps)


def location(config: Config, entity_key: str, key: str) -> str:
    """Where a field's values are, also for those without a place of their own: "state", "none"."""
    declared = config.entity(entity_key).declared[key]
    return slots.place_of(config, entity_key, key) or field_types.get(declared.type).storage_of(declared, config)


def is_stored(declared: m.FieldDef, config: Config) -> bool:
    """The field's values lie somewhere, people's or the engine's, rather than being computed from others."""
    return field_types.get(declared.type).storage_of(declared, config) != "none" and declared.type != "rollup"
