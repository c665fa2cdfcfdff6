"""The one expression language: text -> tree -> type check, Python closure, parametrised SQL. docs/packs.md, section 12."""

from saas.metadata.expressions.check import ID_TYPES, Kind, check, field_kind, find_relation, kind_of
from saas.metadata.expressions.dump import dump
from saas.metadata.expressions.errors import ExpressionError, ExpressionProblem, FilterError
from saas.metadata.expressions.filters import OPS, Op, filter_to_node
from saas.metadata.expressions.functions import FUNCTIONS
from saas.metadata.expressions.needs import Needs, needs
from saas.metadata.expressions.nodes import Binary, Call, Child, In, List, Literal, Logic, Node, Path, Unary, logic, walk
from saas.metadata.expressions.parser import parse
from saas.metadata.expressions.python import Env, aggregate, to_python
from saas.metadata.expressions.sql import SqlScope, aggregate_sql, to_sql, to_where

__all__ = [
    "FUNCTIONS",
    "ID_TYPES",
    "OPS",
    "Binary",
    "Call",
    "Child",
    "Env",
    "ExpressionError",
    "ExpressionProblem",
    "FilterError",
    "In",
    "Kind",
    "List",
    "Literal",
    "Logic",
    "Needs",
    "Node",
    "Op",
    "Path",
    "SqlScope",
    "Unary",
    "aggregate",
    "aggregate_sql",
    "check",
    "dump",
    "field_kind",
    "filter_to_node",
    "find_relation",
    "kind_of",
    "logic",
    "needs",
    "parse",
    "to_python",
    "to_sql",
    "to_where",
    "walk",
]
