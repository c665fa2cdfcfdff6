"""Literal defaults must be values their fields would accept."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.compile import value_problems
from saas.metadata.expression_checks import is_expression


def check_defaults(check: Check) -> None:
    for entity in check.bundle.entities:
        for field in entity.fields:
            if field.default is not None and not is_expression(field.default):
                _default(check, f"entities[{entity.key}].fields[{field.key}].default", field)


def _default(check: Check, path: str, field: m.FieldDef) -> None:
    for _, message in value_problems(check.config, field, field.default):
        check.problems.add(
            path, "bad_default", lazy("This default would be refused: %(reason)s", reason=message),
            lazy("Write a value the field accepts, or {\"expr\": \"…\"} to compute it."),
        )  # fmt: skip
