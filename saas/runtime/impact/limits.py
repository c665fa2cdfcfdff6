"""Limits of a field's values that become tighter: length, size, pattern, decimals, and whatever else its type checks."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from saas.i18n import lazy_plural
from saas.metadata.kinds import field_types
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Pair, Survey
from saas.runtime.permissions import all_of
from saas.runtime.sql import field_sql, storage_of
from saas.runtime.validate import EMPTY

# Options that say nothing about which values are valid, or that another kind of impact looks at.
ELSEWHERE = frozenset(
    (
        *("unit", "bands", "color", "inverse", "on_delete", "detail", "filter", "picker", "depends_on", "accept", "max_mb", "reset"),
        *("set", "options", "roles", "to", "currency", "pipeline"),
    )
)
LENGTHS = {"max_length": ">", "min_length": "<"}
SIZES = {"max": ">", "min": "<"}


@impact_kinds.register
class Limits(ImpactKind):
    key = "limits"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for pair in survey.fields():
            if pair.old.type != pair.new.type or survey.is_converted(pair) or field_types.get(pair.new.type).computed:
                continue
            changed = sorted(n for n in {**pair.old.options, **pair.new.options} if n not in ELSEWHERE and pair.old.options.get(n) != pair.new.options.get(n))
            computed = [n for n in changed if n in _bounds(pair)]
            plain = [n for n in changed if n not in computed]
            if plain:
                yield _literal(survey, pair, plain)
            for name in computed:
                yield _expression(survey, pair, name)


def _message(pair: Pair) -> Any:
    return lambda count: lazy_plural(
        "%(count)s record has a value in “%(field)s” that the new limits refuse. It keeps the value until somebody edits it.",
        "%(count)s records have values in “%(field)s” that the new limits refuse. They keep them until somebody edits them.",
        count, field=pair.name,
    )  # fmt: skip


def _bounds(pair: Pair) -> Any:
    return field_types.get(pair.new.type).bound_expressions(pair.new)


def _literal(survey: Survey, pair: Pair, names: list[str]) -> Check:
    """Values that were valid until now and no longer are."""
    signs, kind = _signs(survey, pair, names), field_types.get(pair.new.type)

    def outside(lens: Lens) -> str:
        conditions = []
        for name, (subject, sign) in signs.items():
            new, old = pair.new.options.get(name), pair.old.options.get(name)
            if new is not None:
                here = subject(lens)
                conditions.append(all_of(f"{here} {sign} {_number(lens, new)}", "true" if old is None else f"NOT {here} {sign} {_number(lens, old)}"))
        return " OR ".join(f"({c})" for c in conditions) or "false"

    def is_filled(lens: Lens) -> str:
        return lens.is_filled(pair.key, before=True)

    async def is_refused(seen: Any) -> bool:
        value = seen.get(pair.key)
        return value not in EMPTY and kind.taken(pair.new, value, survey.after) is None and kind.taken(pair.old, value, survey.before) is not None

    found = {"where": outside} if signs is not None else {"where": is_filled, "judge": is_refused, "reads": (pair.key,)}
    path = f"{pair.path}.{names[0]}" if len(names) == 1 else pair.path
    return Check(code="limit_broken", path=path, entity=pair.entity.key, field=pair.key, message=_message(pair), show=pair.key, **found)


def _signs(survey: Survey, pair: Pair, names: list[str]) -> dict[str, Any] | None:
    """How SQL can measure each limit; None where some limit needs the field type's own judgement."""
    kind, storage = field_types.get(pair.old.type), storage_of(survey.before, pair.old)
    found: dict[str, Any] = {}
    for name in names:
        values = [v for v in (pair.new.options.get(name), pair.old.options.get(name)) if v is not None]
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            return None
        if name in LENGTHS and storage in ("text", "doc") and kind.value_schema(pair.old, survey.before).get("type") == "string":
            found[name] = (lambda lens: f"char_length({_text(lens, pair, storage)})", LENGTHS[name])
        elif name in SIZES and kind.expr_type_of(pair.old, survey.before) == "number":
            found[name] = (lambda lens: lens.before.path((pair.key,))[0], SIZES[name])
        else:
            return None
    return found


def _text(lens: Lens, pair: Pair, storage: str) -> str:
    sql = field_sql(lens.before.config, lens.before.entity, pair.old, "t")
    return f"({sql} #>> '{{}}')" if storage == "doc" else sql


def _number(lens: Lens, value: float) -> str:
    return lens.statement.param(Decimal(repr(value)), "numeric")


def _expression(survey: Survey, pair: Pair, name: str) -> Check:
    """A bound that is an expression over the record."""
    text = f"{pair.key} {SIZES[name]} ({_bounds(pair)[name]})"
    asked = question(survey, pair.entity.key, (text,), (pair.key,))

    def outside(lens: Lens) -> str:
        return lens.holds(text)

    async def is_outside(seen: Any) -> bool:
        return await seen.holds(text)

    found = {"judge": is_outside, "reads": asked.reads} if asked.judged else {"where": outside}
    return Check(
        code="limit_broken", path=f"{pair.path}.{name}", entity=pair.entity.key, field=pair.key, message=_message(pair), show=pair.key, exact=asked.exact, **found,
    )  # fmt: skip


