"""What a plan means for existing data: an impact, the checks that lead to one, and the registry of their kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from saas.i18n import LazyString, gettext
from saas.registry import Registry
from saas.runtime.words import from_json, to_json

if TYPE_CHECKING:
    from saas.runtime.impact._shared.future import Seen
    from saas.runtime.impact._shared.survey import Lens, Survey

Severity = Literal["info", "warn", "stop"]
SAMPLES = 20
GRAVITY: Mapping[str, int] = {"stop": 0, "warn": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Impact:
    """One consequence. `count` records (or people) are concerned, exactly or, when time ran out, at least; `looked_at` of `total` were
    looked at. `samples` are those the asking admin may read: {"id", "title", "url", "value"}. `remedies` are data steps that would
    help; a null in them is for the admin to fill in. `stop` keeps the plan from being published."""

    code: str
    path: str
    entity: str
    field: str | None
    message: LazyString | str
    count: int
    exact: bool = True
    looked_at: int = 0
    total: int = 0
    samples: tuple[Mapping[str, str], ...] = ()
    severity: Severity = "warn"
    remedies: tuple[Mapping[str, Any], ...] = ()

    @property
    def note(self) -> str:
        """What the reader must know about the figure; "" where it is exact."""
        if self.exact:
            return ""
        if not self.looked_at:
            return gettext("The records could not be looked at.")
        return gettext("Only %(looked)s of %(total)s records could be looked at in time; there may be more.", looked=f"{self.looked_at:,}", total=f"{self.total:,}")

    def to_json(self) -> dict[str, Any]:
        return {f.name: to_json(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Impact:
        known = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        known["message"] = from_json(known["message"])
        return cls(**{**known, "samples": tuple(known["samples"]), "remedies": tuple(known["remedies"])})

    def shown(self) -> dict[str, Any]:
        """For the API: texts in the reader's language."""
        return {**self.to_json(), "message": str(self.message), "note": self.note}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to be counted among an entity's records.

    `where` gives a condition in SQL; `judge` looks at single records, of which `where`, if given too, makes the choice. `reads`
    are the fields a judge looks at. `message(count)` is asked only when something was found. `show` names the field whose value
    stands beside a sample. `exact` is False where `where` is only nearly what publishing will do.
    """

    code: str
    path: str
    entity: str
    message: Callable[[int], LazyString | str]
    field: str | None = None
    where: Callable[[Lens], str] | None = None
    judge: Callable[[Seen], Awaitable[bool]] | None = None
    reads: tuple[str, ...] = ()
    severity: Severity = "warn"
    remedies: tuple[Mapping[str, Any], ...] = ()
    show: str | None = None
    exact: bool = True

    def impact(self, count: int, *, looked_at: int, total: int, done: bool, samples: Iterable[Mapping[str, str]] = ()) -> Impact:
        grave = self.severity if count else "warn" if self.severity == "stop" else "info"  # nothing was found so far
        return Impact(
            self.code, self.path, self.entity, self.field, self.message(count), count, done and self.exact, looked_at, total, tuple(samples), grave, self.remedies
        )


class ImpactKind:
    """One kind of consequence: a file in saas/runtime/impact/. `checks` are counted together, in one pass over each entity;
    `measure` counts by itself, before that pass where `first` (quick ones), else after it. `may_stop`: asked again when the plan is
    published."""

    key: ClassVar[str]
    first: ClassVar[bool] = False
    may_stop: ClassVar[bool] = False

    def checks(self, survey: Survey) -> Iterable[Check]:
        return ()

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        return ()


impact_kinds: Registry[ImpactKind] = Registry("kind of impact")
