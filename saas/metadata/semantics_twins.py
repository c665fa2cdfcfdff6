"""Rules of meaning about what looks for records that may be the same: duplicate rules."""

from __future__ import annotations

from collections.abc import Sequence

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check

LETTERS = ("text", "longtext", "email", "url", "code")  # types whose values can be more or less alike


def check_twins(check: Check) -> None:
    for entity in check.bundle.entities:
        for rule in entity.duplicates:
            path = f"entities[{entity.key}].duplicates[{rule.key}]"
            compared(check, path, entity.key, rule.match, rule.similar, rule.names)
            if rule.against is not None:
                counterparts(check, f"{path}.against.fields", entity.key, rule.match, rule.against.entity, rule.against.fields)
                if rule.where:
                    check.problems.add(
                        f"{path}.where", "where_of_whom", lazy("This rule looks for records of another entity."),
                        lazy("Write the condition inside “against”, over the records that are found."),
                    )  # fmt: skip
            if rule.reveal and not rule.across:
                check.problems.add(
                    f"{path}.reveal", "reveals_nothing", lazy("This rule finds only records that the person may see, so nothing is revealed of others."),
                    lazy("Remove “reveal”, or let the rule look across."),
                )  # fmt: skip


def compared(check: Check, path: str, entity: str, match: Sequence[str], similar: Sequence[str], names: Sequence[str]) -> None:
    """Fields that are compared as texts are among the compared ones, and hold texts."""
    for name, keys in (("similar", similar), ("names", names)):
        for key in keys:
            field = check.entities[entity].fields.get(key) if entity in check.entities else None
            if key not in match:
                check.problems.add(
                    f"{path}.{name}[{key}]", "not_compared", lazy("“%(field)s” is not among the compared fields.", field=key),
                    lazy("Add it to “match”, or remove it here."),
                )  # fmt: skip
            elif field is not None and field.type not in LETTERS:
                check.problems.add(
                    f"{path}.{name}[{key}]", "not_letters", lazy("“%(field)s” is no text, so it is equal or it is not.", field=key),
                    lazy("Remove it here; it is compared exactly, telephone numbers by their digits."),
                )  # fmt: skip


def counterparts(check: Check, path: str, entity: str, match: Sequence[str], other: str, fields: Sequence[str]) -> None:
    """Each compared field has one of the other entity to be compared with, which holds the same sort of value."""
    if len(match) != len(fields):
        check.problems.add(
            path, "not_paired", lazy("%(own)s fields are compared with %(others)s of the other entity.", own=len(match), others=len(fields)),
            lazy("Name one field there for each field here, in the same order."),
        )  # fmt: skip
        return
    if entity not in check.entities or other not in check.entities:
        return
    for own, its in zip(match, fields, strict=True):
        one, two = check.entities[entity].fields.get(own), check.entities[other].fields.get(its)
        if one is not None and two is not None and _sort(check, one) != _sort(check, two):
            check.problems.add(
                f"{path}[{its}]", "unlike_fields", lazy("“%(own)s” and “%(other)s” hold different sorts of values, so they are never equal.", own=own, other=its),
                lazy("Choose a field of the same type."),
            )  # fmt: skip


def _sort(check: Check, field: m.FieldDef) -> str:
    kind = check.type_of(field)
    return "text" if kind.key in LETTERS else kind.key
