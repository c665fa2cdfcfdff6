"""Text -> tree. The grammar is grammar.lark; errors are worded for people who do not program."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path as FilePath
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from saas.i18n import LazyString, lazy
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.errors import ExpressionError, did_you_mean
from saas.metadata.expressions.functions import FUNCTIONS

MAX_DIGITS = 40


@lru_cache(maxsize=4096)
def parse(text: str) -> n.Node:
    """The tree of an expression; raises ExpressionError. Knows no fields: see check()."""
    if not isinstance(text, str):
        raise ExpressionError(lazy("An expression must be text"), code="not_text")
    if len(text) > n.MAX_LENGTH:
        raise ExpressionError(lazy("The expression is too long: at most %(count)s characters", count=n.MAX_LENGTH), code="too_long")
    if not text.strip():
        raise ExpressionError(lazy("The expression is empty"), code="empty")
    if found := re.search("[\x00\ud800-\udfff]", text):
        raise ExpressionError(lazy("The expression holds a character that cannot be stored"), found.start(), code="bad_character")
    try:
        node: n.Node = _lark().parse(text)  # type: ignore[assignment]
    except UnexpectedCharacters as error:
        raise _bad_character(text, error.pos_in_stream) from None
    except UnexpectedToken as error:
        raise _bad_token(text, error) from None
    depth, count = n.measure(node)
    if depth > n.MAX_DEPTH:
        raise ExpressionError(lazy("The expression is nested too deeply: at most %(count)s levels", count=n.MAX_DEPTH), code="too_deep")
    if count > n.MAX_NODES:
        raise ExpressionError(lazy("The expression has too many parts: at most %(count)s", count=n.MAX_NODES), code="too_large")
    return node


@cache
def _lark() -> Lark:
    grammar = FilePath(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=False)


class _Where(tuple):  # marks the condition among the arguments of a call
    __slots__ = ()


@v_args(inline=True)
class _Builder(Transformer):  # type: ignore[type-arg]
    """Runs while lark parses, so that no parse tree is kept and nothing recurses."""

    def start(self, node: n.Node) -> n.Node:
        return node

    def disjunction(self, *items: n.Node) -> n.Node:
        return n.logic("or", items, pos=items[0].pos)

    def conjunction(self, *items: n.Node) -> n.Node:
        return n.logic("and", items, pos=items[0].pos)

    def negate(self, token: Token, node: n.Node) -> n.Node:
        return n.Unary("not", node, pos=token.start_pos)

    def compare(self, left: n.Node, op: Token, right: n.Node) -> n.Node:
        return n.Binary(str(op), left, right, pos=left.pos)  # type: ignore[arg-type]

    arithmetic = compare

    def contained(self, item: n.Node, _in: Token, options: n.Node) -> n.Node:
        return n.In(item, options, pos=item.pos)

    def not_contained(self, item: n.Node, _not: Token, _in: Token, options: n.Node) -> n.Node:
        return n.In(item, options, negated=True, pos=item.pos)

    def minus(self, token: Token, node: n.Node) -> n.Node:
        return n.Unary("-", node, pos=token.start_pos)

    def number(self, token: Token) -> n.Node:
        if len(token) > MAX_DIGITS:
            raise ExpressionError(lazy("The number is too long: at most %(count)s digits", count=MAX_DIGITS), token.start_pos, code="too_long")
        return n.Literal(Decimal(token), "number", pos=token.start_pos)

    def text(self, token: Token) -> n.Node:
        quote = token[0]
        return n.Literal(token[1:-1].replace(quote * 2, quote), "text", pos=token.start_pos)

    def true(self, token: Token) -> n.Node:
        return n.Literal(True, "bool", pos=token.start_pos)

    def false(self, token: Token) -> n.Node:
        return n.Literal(False, "bool", pos=token.start_pos)

    def null(self, token: Token) -> n.Node:
        return n.Literal(None, "null", pos=token.start_pos)

    def list(self, bracket: Token, *items: n.Node) -> n.Node:
        return n.List(items, pos=bracket.start_pos)

    def path(self, *names: Token) -> n.Node:
        return n.Path(tuple(str(name) for name in names), pos=names[0].start_pos)

    def arguments(self, *items: n.Node) -> tuple[n.Node, ...]:
        return items

    def where(self, node: n.Node) -> _Where:
        return _Where((node,))

    def call(self, name: Token, args: tuple[n.Node, ...], where: _Where | None = None) -> n.Node:
        return make_call(str(name), args, where[0] if where else None, name.start_pos)


def make_call(name: str, args: tuple[n.Node, ...], where: n.Node | None, pos: int) -> n.Node:
    """A function call or an aggregate over children. `min` and `max` of one path are aggregates."""
    function = FUNCTIONS.get(name)
    if name in n.AGGREGATES and (function is None or where is not None or (len(args) == 1 and isinstance(args[0], n.Path))):
        return _make_child(name, args, where, pos)
    if where is not None:
        names = ", ".join(n.AGGREGATES)
        raise ExpressionError(lazy("'where' can only be used inside %(names)s", names=names), where.pos, code="misplaced_where")
    if function is None:
        raise _unknown_function(name, pos)
    least, most = len(function.params) - function.optional, len(function.params)
    if len(args) < least or (len(args) > most and function.rest is None):
        raise ExpressionError(
            lazy("%(name)s takes other arguments: %(usage)s. %(help)s", name=name, usage=function.signature, help=function.help), pos, code="arguments"
        )
    for index in function.literal:
        if index >= len(args):
            continue
        arg = args[index]
        if not (isinstance(arg, n.Literal) and arg.kind == "text"):
            raise ExpressionError(lazy("Write a text in quotes inside %(name)s(), e.g. %(name)s('key')", name=name), arg.pos, code="literal")
        if function.allowed is not None and not function.allowed(str(arg.value)):
            raise ExpressionError(lazy("%(name)s() does not know '%(value)s'", name=name, value=str(arg.value)[:40]), arg.pos, code="literal")
    return n.Call(name, args, pos=pos)


def _make_child(fn: str, args: tuple[n.Node, ...], where: n.Node | None, pos: int) -> n.Node:
    example = f"{fn}(orders)" if fn in ("count", "exists") else f"{fn}(orders where …)" if fn == "all" else f"{fn}(orders.amount)"
    if len(args) != 1 or not isinstance(args[0], n.Path) or len(args[0].parts) > 2:
        raise ExpressionError(lazy("%(fn)s takes a list of child records, e.g. %(example)s", fn=fn, example=example), pos, code="arguments")
    relation, *field = args[0].parts
    if fn in ("count", "exists", "all"):
        if field:
            raise ExpressionError(
                lazy("%(fn)s looks at records, not at one field: write %(example)s", fn=fn, example=example), args[0].pos, code="arguments"
            )
    elif not field:
        raise ExpressionError(lazy("%(fn)s needs a field of the child records, e.g. %(example)s", fn=fn, example=example), args[0].pos, code="arguments")
    if fn == "all" and where is None:
        raise ExpressionError(lazy("all needs a condition, e.g. %(example)s", example="all(plan_items where result != null)"), pos, code="arguments")
    return n.Child(fn, relation, field[0] if field else None, where, pos=pos)


def _unknown_function(name: str, pos: int) -> ExpressionError:
    near = did_you_mean(name, {*FUNCTIONS, *n.AGGREGATES})
    if near:
        message = lazy("There is no function called %(name)s; did you mean %(near)s?", name=name, near=near)
    else:
        message = lazy("There is no function called %(name)s", name=name)
    return ExpressionError(message, pos, code="unknown_function")


# --- Errors of the text itself ---------------------------------------------------------------------------------------------

_INSTEAD = {
    "（": "(", "）": ")", "，": ",", "、": ",", "。": ".", "＝": "==", "＞": ">", "＜": "<", "≥": ">=", "≤": "<=", "≠": "!=", "＋": "+",
    "－": "-", "—": "-", "×": "*", "＊": "*", "÷": "/", "／": "/", "“": "'", "”": "'", "‘": "'", "’": "'", "「": "'", "」": "'",
    "【": "[", "】": "]", "&": "and", "|": "or", "!": "not", "；": ",", ";": ",", "`": "'",
}  # fmt: skip


def _bad_character(text: str, pos: int) -> ExpressionError:
    char = text[pos]
    message: LazyString
    if char == "=":
        message = lazy("To compare, write == instead of =")
    elif char in "'\"":
        message = lazy("The text that begins here has no closing quote %(quote)s", quote=char)
    elif char in _INSTEAD:
        message = lazy("Write %(good)s instead of %(bad)s", good=_INSTEAD[char], bad=char)
    elif char == "%":
        message = lazy("Leave out the percent sign: 40 % is written 40")
    elif char.isalpha():
        word = re.match(r"\w+", text[pos:])
        message = lazy("Write fields by their key, and text in quotes: '%(word)s'", word=word[0][:40] if word else char)
    elif char in "()[],.<>+-*/" or char.isdigit():
        message = lazy("Something is missing before %(char)s", char=char)
    else:
        message = lazy("The character %(char)s has no meaning here", char=char)
    return ExpressionError(message, pos, code="syntax")


def _bad_token(text: str, error: UnexpectedToken) -> ExpressionError:
    token: Any = error.token
    if token.type == "$END":
        return _ends_early(text)
    pos, word = token.start_pos, str(token)
    before = text[:pos].rstrip()
    message: LazyString
    if word.lower() in ("and", "or", "not", "in", "true", "false", "null", "where") and word != word.lower():
        message = lazy("Write %(good)s in small letters", good=word.lower())
    elif token.type == "COMPARE" and "NOT" not in error.expected and "NAME" not in error.expected:
        message = lazy("Only two values can be compared at a time; join comparisons with and")
    elif token.type == "WHERE":
        message = lazy("'where' can only be used inside %(names)s", names=", ".join(n.AGGREGATES))
    elif token.type in ("RPAR", "RSQB"):
        message = lazy("Something is missing before %(char)s, or there is one %(char)s too many", char=word)
    elif token.type in ("NAME", "NUMBER", "STRING", "NULL", "TRUE", "FALSE", "LPAR", "NOT") and before and (before[-1].isalnum() or before[-1] in "_)]'\""):
        message = lazy("An operator such as == or and is missing before %(word)s", word=word[:40])
    else:
        message = lazy("%(word)s cannot stand here", word=word[:40])
    return ExpressionError(message, pos, code="syntax")


def _ends_early(text: str) -> ExpressionError:
    bare = re.sub(r"'(''|[^'])*'|\"(\"\"|[^\"])*\"", "''", text)
    if bare.count("(") > bare.count(")"):
        message = lazy("A closing parenthesis ) is missing")
    elif bare.count("[") > bare.count("]"):
        message = lazy("A closing bracket ] is missing")
    else:
        message = lazy("The expression ends too early: something is missing after %(end)s", end=text.rstrip()[-20:])
    return ExpressionError(message, len(text), code="syntax")
