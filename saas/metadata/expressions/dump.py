"""Tree -> canonical text: parse(dump(node)) == node for every tree within the limits of parse()."""

from __future__ import annotations

from saas.metadata.expressions import nodes as n

# Binding strength, weakest first; an operand of weaker strength gets parentheses.
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(8)
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def dump(node: n.Node) -> str:
    return _write(node)[0]


def _write(node: n.Node) -> tuple[str, int]:
    match node:
        case n.Literal(kind="text", value=value):
            return "'" + str(value).replace("'", "''") + "'", _ATOM
        case n.Literal(kind="number", value=value):
            return format(value, "f"), _ATOM  # type: ignore[str-bytes-safe]
        case n.Literal(kind="bool", value=value):
            return ("true" if value else "false"), _ATOM
        case n.Literal():
            return "null", _ATOM
        case n.Path(parts=parts):
            return ".".join(parts), _ATOM
        case n.List(items=items):
            return "[" + ", ".join(dump(i) for i in items) + "]", _ATOM
        case n.Unary(op="not", operand=operand):
            return "not " + _wrap(operand, _NOT), _NOT
        case n.Unary(operand=operand):
            return "-" + _wrap(operand, _SIGN), _SIGN
        case n.Logic(op=op, items=items):
            strength = _AND if op == "and" else _OR
            return f" {op} ".join(_wrap(i, strength + 1) for i in items), strength
        case n.Binary(op=op, left=left, right=right):
            strength = _STRENGTH.get(op, _COMPARE)
            left_text = _wrap(left, strength if strength != _COMPARE else _SUM)
            return f"{left_text} {op} {_wrap(right, strength + 1)}", strength
        case n.In(item=item, options=options, negated=negated):
            word = "not in" if negated else "in"
            return f"{_wrap(item, _SUM)} {word} {_wrap(options, _SUM)}", _COMPARE
        case n.Call(name=name, args=args):
            return f"{name}({', '.join(dump(a) for a in args)})", _ATOM
        case n.Child(fn=fn, relation=relation, field=field, where=where):
            target = f"{relation}.{field}" if field else relation
            return f"{fn}({target}{f' where {dump(where)}' if where is not None else ''})", _ATOM
    raise TypeError(f"not an expression node: {node!r}")


def _wrap(node: n.Node, least: int) -> str:
    written, strength = _write(node)
    return written if strength >= least else f"({written})"
