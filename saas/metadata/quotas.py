"""How many fields of a configuration may have an index of their own. Pure: what the tenant's plan allows, and what it has already, is
given. Fields that have one keep it however small the plan becomes; only further ones are refused, or come without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LazyLabel, LazyString, lazy, lazy_plural
from saas.metadata import models as m

Place = tuple[str, str]  # (entity, field)


@dataclass(frozen=True, slots=True)
class IndexQuota:
    """`limit` fields may have an index; `held` have one in the live configuration."""

    limit: int
    held: frozenset[Place] = frozenset()


def indexed_fields(bundle: m.Bundle) -> list[Place]:
    """In the order of the bundle."""
    return [(e.key, f.key) for e in bundle.entities for f in e.fields if f.indexed]


def beyond(wanted: Iterable[Place], quota: IndexQuota) -> list[Place]:
    """The fields that would be more than allowed: the last ones of those that have no index yet."""
    places = list(wanted)
    new = [place for place in places if place not in quota.held]
    return new[max(0, quota.limit - (len(places) - len(new))) :]


def quota_problems(bundle: m.Bundle | None, quota: IndexQuota) -> list[DefinitionProblem]:
    """Each field that would be one more than allowed, by name."""
    if bundle is None:
        return []
    named = {(e.key, f.key): (e, f) for e in bundle.entities for f in e.fields}
    hint = lazy("Remove “indexed” from fields by which long lists are rarely sorted or filtered.")
    found = []
    for place in beyond(indexed_fields(bundle), quota):
        entity, field = named[place]
        found.append(DefinitionProblem(path_of(place), "too_many_indexes", refusal(LazyLabel(entity.plural or entity.key), LazyLabel(field.label or field.key), quota.limit), hint))
    return found


def refusal(entity: LazyLabel | str, field: LazyLabel | str, limit: int) -> LazyString:
    return lazy_plural(
        "Your plan allows %(count)s field with an index of its own. “%(field)s” of “%(entity)s” would be one more.",
        "Your plan allows %(count)s fields with an index of their own. “%(field)s” of “%(entity)s” would be one more.",
        limit, field=field, entity=entity,
    )  # fmt: skip


def path_of(place: Place) -> str:
    return f"entities[{place[0]}].fields[{place[1]}].indexed"


def within(raw: Mapping[str, Any], bundle: m.Bundle | None, quota: IndexQuota) -> tuple[Mapping[str, Any], Sequence[Place]]:
    """A pack's bundle as the plan allows it: fields beyond come without an index of their own. Returns it, and which those are."""
    left_out = beyond(indexed_fields(bundle), quota) if bundle is not None else []
    if not left_out:
        return raw, ()
    entities = [
        {**e, "fields": [{k: v for k, v in f.items() if k != "indexed"} if (e.get("key"), f.get("key")) in left_out else f for f in e.get("fields", ())]}
        for e in raw["entities"]
    ]  # fmt: skip
    return {**raw, "entities": entities}, tuple(left_out)


@dataclass(frozen=True, slots=True)
class OwnEntities:
    """`most` entities that come from no pack, with `fields` each (None: any number); `of_packs`: entities that do come from one."""

    most: int | None
    fields: int | None
    of_packs: frozenset[str]

    def of(self, bundle: m.Bundle) -> list[m.EntityDef]:
        return [e for e in bundle.entities if e.key not in self.of_packs]

    def too_many(self, bundle: m.Bundle, before: m.Bundle) -> int | None:
        """How many there are now, where publishing `bundle` over `before` would add some beyond the limit."""
        now, then = len(self.of(bundle)), len(self.of(before))
        return then if self.most is not None and now > self.most and now > then else None

    def too_wide(self, bundle: m.Bundle, before: m.Bundle) -> tuple[m.EntityDef, int] | None:
        """The first entity that would get fields beyond the limit, and how many it has now."""
        held = {e.key: len(e.fields) for e in before.entities}
        if self.fields is None:
            return None
        return next(((e, held.get(e.key, 0)) for e in self.of(bundle) if len(e.fields) > max(self.fields, held.get(e.key, 0))), None)


__all__ = ["IndexQuota", "OwnEntities", "beyond", "indexed_fields", "quota_problems", "refusal", "within"]
