"""What comparing two bundles is made of: the changes found, and the place in both bundles where one looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from saas.i18n import LazyString, lazy
from saas.metadata.build import build_bundle
from saas.metadata.config import Config
from saas.metadata.naming import Lookup, Text, place, titled
from saas.metadata.parse import examine
from saas.metadata.property_words import noun

Kind = Literal["safe", "needs_backfill", "destructive"]


@dataclass(frozen=True, slots=True)
class Detail:
    """One property that differs, with its values in words; "" where there is none."""

    name: Text
    before: Text
    after: Text


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `title` says it in few words (“Customer · Phone: becomes required”), `message` in a sentence, `details` property
    by property; `noun` is what kind of thing changes. `records` is how many records it touches, None where that was not counted
    (10,000 = at least that many); `field`, `stage` and `value` say which of the entity's records those are."""

    path: str
    kind: Kind
    message: LazyString
    entity: str = ""
    field: str | None = None
    stage: str | None = None
    value: str | None = None
    records: int | None = None
    noun: Text = ""
    title: Text = ""
    details: tuple[Detail, ...] = ()

    def with_records(self, count: int) -> Change:
        return replace(self, records=count)


@dataclass(frozen=True, slots=True)
class Scope:
    """A definition before and after (None: not there), with those around it."""

    kind: str
    path: str
    key: str
    old: Any
    new: Any
    entity: Any = None
    name: Text = ""
    outer: Scope | None = None

    @property
    def definition(self) -> Mapping[str, Any]:
        """As it is afterwards, else as it was."""
        found = self.new if self.new is not None else self.old
        return found if isinstance(found, Mapping) else {}

    def change(
        self, sides: Sides, kind: Kind, what: LazyString, message: LazyString | None = None, *, details: Iterable[Detail] = (), path: str | None = None,
        entity: str | None = None, field: str | None = None, stage: str | None = None, value: str | None = None,
    ) -> Change:  # fmt: skip
        owner = self.entity if isinstance(self.entity, str) else ""
        return Change(
            self.path if path is None else path, kind, message or lazy("%(what)s changes.", what=sides.called(self)), entity or owner, field, stage, value,
            noun=noun(self.kind), title=titled(place(*sides.names(self)), what), details=tuple(details),
        )  # fmt: skip


class Sides:
    """Both bundles, in their normal form, with what is looked up in them."""

    def __init__(self, old: Lookup, new: Lookup, old_raw: Any, new_raw: Any, before: Config | None, after: Config | None) -> None:
        self.old, self.new = old, new
        self._raws, self._configs = (old_raw, new_raw), (before, after)

    @cached_property
    def before(self) -> Config | None:
        return self._configs[0] or config_of(self._raws[0])

    @cached_property
    def after(self) -> Config | None:
        return self._configs[1] or config_of(self._raws[1])

    def names(self, scope: Scope | None) -> list[Text]:
        """What the definitions around and including this one are called, from the outside in."""
        found: list[Text] = []
        while scope is not None and scope.path:
            found.insert(0, scope.name)
            if scope.kind in ("view", "layout"):
                found.insert(0, (self.new if scope.new is not None else self.old).name("entities", scope.entity))
            scope = scope.outer
        return found

    def called(self, scope: Scope) -> LazyString:
        """“Field “Phone” of “Customer””."""
        *outer, name = self.names(scope) or [""]
        if outer:
            return lazy("%(noun)s “%(name)s” of “%(owner)s”", noun=noun(scope.kind), name=name, owner=place(*outer))
        return lazy("%(noun)s “%(name)s”", noun=noun(scope.kind), name=name)


def config_of(raw: Any) -> Config | None:
    """The configuration as far as it can be built."""
    try:
        return Config(build_bundle(raw))
    except (KeyError, TypeError, AttributeError, ValueError):  # the draft has problems: what is sound in it must do
        bundle = examine(raw)[0]
        return Config(bundle) if bundle is not None else None
