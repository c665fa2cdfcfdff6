"""What can be wrong with an expression or a filter, in words for people who do not program."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from saas.errors import BadRequest
from saas.i18n import LazyString, lazy


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """`position` is an offset into the expression's text. `field` and `path` make it readable wherever a FieldProblem is."""

    code: str
    message: LazyString | str
    position: int = 0
    field: str = ""
    path: str = ""


class ExpressionError(BadRequest):
    """An expression that cannot be used. `position` is the offset of the first problem."""

    code, title = "invalid_expression", lazy("The expression is not correct")

    def __init__(
        self, message: LazyString | str, position: int = 0, *, code: str = "invalid_expression", problems: Sequence[ExpressionProblem] = ()
    ) -> None:
        super().__init__(message)
        self.position = position
        self._problems = tuple(problems) or (ExpressionProblem(code, message, position),)

    @classmethod
    def of(cls, problems: Sequence[ExpressionProblem]) -> ExpressionError:
        return cls(problems[0].message, problems[0].position, problems=problems)

    @property
    def problems(self) -> Sequence[Any]:
        return self._problems


class FilterError(BadRequest):
    """A filter that cannot be used. `path` is a JSON pointer into it, "" for the whole."""

    code, title = "invalid_filter", lazy("The filter is not correct")

    def __init__(self, path: str, message: LazyString | str) -> None:
        super().__init__(message, path=path)
        self.path = path


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The closest of the known names, if one is close."""
    found = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
