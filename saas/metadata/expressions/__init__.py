"""The one expression language: text -> tree -> type check, Python closure, parametrised SQL. docs/packs.md, section 12."""

from saas.metadata.expressions.dump import dump
from saas.metadata.expressions.errors import ExpressionError, ExpressionProblem, FilterError
from saas.metadata.expressions.functions import FUNCTIONS
from saas.metadata.expressions.needs import Needs, needs
from saas.metadata.expressions.parser import parse
from saas.metadata.expressions.python import Env, aggregate, to_python

__all__ = [
    "FUNCTIONS",
    "Env",
    "ExpressionError",
    "ExpressionProblem",
    "FilterError",
    "Needs",
    "aggregate",
    "dump",
    "needs",
    "parse",
    "to_python",
]
