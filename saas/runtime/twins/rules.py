"""Which comparisons a configuration asks for: the rules of its entities as matchers from one entity to another (mostly the same)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from saas.metadata.config import Config, Entity
from saas.metadata.models import DuplicateDef, ReviewDef
from saas.metadata.semantics_twins import LETTERS

EXACT, NAME, SIMILAR = "exact", "name", "similar"


class Part(NamedTuple):
    """One compared field: of the record that is looked at, and of those it is compared with. `how`: exact, name or similar."""

    own: str
    other: str
    how: str


@dataclass(frozen=True, slots=True)
class Matcher:
    """Two records are taken for the same when all parts agree; similar ones on average by `threshold` percent. `mark` names it in the index of
    `target`; `where` is what must hold for the found record."""

    mark: str
    source: str
    target: str
    parts: tuple[Part, ...]
    threshold: int = 100
    where: str | None = None

    @property
    def exact(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.how != SIMILAR)

    @property
    def similar(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.how == SIMILAR)


def parts_of(match: tuple[str, ...], others: tuple[str, ...], similar: tuple[str, ...], names: tuple[str, ...]) -> tuple[Part, ...]:
    how = {**dict.fromkeys(names, NAME), **dict.fromkeys(similar, SIMILAR)}
    return tuple(Part(own, other, how.get(own, EXACT)) for own, other in zip(match, others or match, strict=False))


def matcher_of(entity: str, rule: DuplicateDef) -> Matcher:
    against = rule.against
    target = against.entity if against else entity
    mark = rule.key if against is None else f"{entity}.{rule.key}"
    where = against.where if against else rule.where
    return Matcher(mark, entity, target, parts_of(rule.match, against.fields if against else (), rule.similar, rule.names), rule.threshold, where)


def own_rules(config: Config, entity: Entity) -> list[tuple[DuplicateDef, Matcher]]:
    """The duplicate rules that are asked when a record of this entity is saved."""

    def make() -> list[tuple[DuplicateDef, Matcher]]:
        found = [(rule, matcher_of(entity.key, rule)) for rule in entity.defn.duplicates]
        return [(rule, matcher) for rule, matcher in found if matcher.target in config.entities]

    return config.cached(("twins.rules", entity.key), make)


def looking_into(config: Config, entity: Entity) -> tuple[Matcher, ...]:
    """All matchers that look for records of this entity: they decide what of its records is indexed."""
    return config.cached(("twins.into", entity.key), lambda: tuple(m for m in _all(config) if m.target == entity.key))


def _all(config: Config) -> Iterator[Matcher]:
    for entity in config.entities.values():
        for _, matcher in own_rules(config, entity):
            yield matcher
    for review in config.bundle.reviews:
        for looked in review_matchers(config, review):
            yield looked.matcher


class Looked(NamedTuple):
    """A comparison of a review: of one field, `exact` or similar, with targets or with others that wait."""

    field: str
    exact: bool
    with_target: bool
    matcher: Matcher


def review_matchers(config: Config, review: ReviewDef) -> tuple[Looked, ...]:
    return config.cached(("twins.review", review.key), lambda: tuple(_review_matchers(config, review)))


def _review_matchers(config: Config, review: ReviewDef) -> Iterator[Looked]:
    entity = config.entities.get(review.entity)
    if entity is None:
        return
    target = config.entities.get(str(entity.fields[review.target].options.get("to"))) if review.target in entity.fields else None
    for with_target, other in ((True, target), (False, entity)):
        for exact, fields, there in ((True, review.exact, review.exact_there), (False, review.similar, review.similar_there)):
            for place, key in enumerate(fields) if other is not None else ():
                its = there[place] if with_target and place < len(there) else key
                if key not in entity.fields or its not in other.fields:
                    continue
                how = SIMILAR if not exact and entity.fields[key].type in LETTERS else EXACT
                mark = f"{'*' if with_target else '+'}{review.key}.{key}"
                yield Looked(key, exact, with_target, Matcher(mark, entity.key, other.key, (Part(key, its, how),), review.threshold if how == SIMILAR else 100))
