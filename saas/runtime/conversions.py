"""Which types a field can become, and what is then kept of its values: tried on examples of the type it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from saas.i18n import get_locale
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.metadata.shape import option_defaults

Keeps = Literal["all", "some", "named"]
ORDER: tuple[Keeps, ...] = ("all", "named", "some")
MOST = 6
WORDS = "any words"  # what only a text can be


@dataclass(frozen=True, slots=True)
class Target:
    """`keeps`: all values, some of them, or those named like one of the new choices. `samples`: (before, after) in words, None for
    what is lost."""

    kind: FieldType
    keeps: Keeps
    samples: tuple[tuple[str, str | None], ...]


def targets(field: FieldDef, config: Config) -> list[Target]:
    """Types worth offering for a field, the best first. What real values lose is counted by the plan."""
    kind, result = field_types.get(field.type).result_of(field, config)
    values = list(_examples(kind, result, config))
    found = [t for new in field_types if new.key != field.type and not new.computed and (t := _target(new, kind, result, values, config))]
    return sorted(found, key=lambda t: (ORDER.index(t.keeps), t.kind.group != kind.group))


def _examples(kind: FieldType, field: FieldDef, config: Config) -> Iterator[tuple[Any, str]]:
    """(value, its words) of a type; of a field with choices its own."""
    if field.options.get("options") or field.options.get("set") in config.option_sets:
        values: list[Any] = [o.key for o in config.field_options(field)[:MOST]]
        values = [[v] for v in values] if kind.many else values
    else:
        values = list(kind.EXAMPLES[:MOST])
        field = replace(field, options={**field.options, **kind.EXAMPLE_OPTIONS})
    for value in values:
        yield value, kind.display(field, value, config, get_locale())


def _target(new: FieldType, old: FieldType, field: FieldDef, values: list[tuple[Any, str]], config: Config) -> Target | None:
    wanted = FieldDef(field.key, new.key, field.label, options={**dict(option_defaults(new)), **new.EXAMPLE_OPTIONS})
    if {"set", "options"} <= set(new.options_schema.get("properties", {})):  # its choices are decided later
        return None if old.holds else Target(new, "named", ())
    pairs = [(text, new.convert(wanted, field, value, text, config)) for value, text in values]
    if not any(made is not None for _text, made in pairs):
        pairs = list(_as_typed(new, wanted, old, field, config))
    if not any(made is not None for _text, made in pairs):
        return None
    names_only = old.holds or old.expr_type in ("user", "dept")  # what people see of them is not known here
    samples = () if names_only else tuple((text, None if made is None else new.display(wanted, made, config, get_locale())) for text, made in pairs[:3] if text)
    return Target(new, "all" if all(made is not None for _text, made in pairs) else "some", samples)


def _as_typed(new: FieldType, wanted: FieldDef, old: FieldType, field: FieldDef, config: Config) -> Iterator[tuple[str, Any]]:
    """What people may have typed into a text although it was something else: a number, a date."""
    if old.taken(field, WORDS, config) != WORDS or new.group not in ("text", "number", "time"):
        return
    for example in new.EXAMPLES[:2]:
        text = new.display(wanted, example, config, get_locale())
        if old.taken(field, text, config) == text:
            yield text, new.convert(wanted, field, text, text, config)
    yield "", None  # and what is nothing of the kind
