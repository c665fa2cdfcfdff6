"""JSON -> Bundle. Collects every problem, each with a path, a sentence and what to write instead."""

from __future__ import annotations

import json
from typing import Any

from saas.errors import DefinitionProblem, InvalidDefinition
from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.build import build_bundle
from saas.metadata.check import Check
from saas.metadata.config import Config
from saas.metadata.cycles import check_cycles
from saas.metadata.defaults import check_defaults
from saas.metadata.example_checks import check_examples
from saas.metadata.expression_checks import check_expressions
from saas.metadata.problems import Problems
from saas.metadata.references import check_references
from saas.metadata.semantics import check_meaning
from saas.metadata.shape import check_shape
from saas.metadata.template_checks import check_templates


def parse_bundle(raw: Any) -> m.Bundle:
    """The models of a bundle. Raises InvalidDefinition with all problems."""
    bundle, problems = examine(raw)
    if bundle is None or problems:
        first = problems[0]
        text = lazy("The configuration has problems, the first at “%(path)s”: %(message)s", path=first.path, message=first.message)
        raise InvalidDefinition(problems, text, count=len(problems))
    return bundle


def problems_of(raw: Any) -> list[DefinitionProblem]:
    """Everything wrong with a bundle; empty when it can be published."""
    return examine(raw)[1]


def examine(raw: Any) -> tuple[m.Bundle | None, list[DefinitionProblem]]:
    problems = Problems()
    clean = check_shape(raw, problems)
    if clean is None or not clean.get("entities"):
        return None, problems.list
    bundle = build_bundle(clean)
    check = Check(bundle, Config(bundle), problems)
    check_references(check, clean)
    check_meaning(check)
    check_expressions(check)
    check_templates(check)
    check_examples(check, clean)
    check_cycles(check)
    if not problems:  # defaults are validated by the field types, which expect a sound configuration
        check_defaults(check)
    return bundle, problems.list


def read_json(text: str) -> Any:
    """A bundle from JSON text. Raises InvalidDefinition where it is no JSON, or says something twice: one of them would be lost."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _Twice as error:
        problem = DefinitionProblem(
            error.name, "duplicate_key", lazy("“%(key)s” stands twice in one object.", key=error.name[:60]), lazy("Keep one of the two: the other would be lost.")
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "too deep"
        problem = DefinitionProblem("", "not_json", lazy("This is not JSON: %(reason)s", reason=reason), lazy("Export a configuration to see how one is written."))
    raise InvalidDefinition([problem])


class _Twice(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found
