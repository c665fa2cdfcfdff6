"""Whether an expression makes sense for an entity: names, types, option keys. Collects every problem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config, Relation
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.dump import dump
from saas.metadata.expressions.errors import ExpressionError, ExpressionProblem, did_you_mean, shorten
from saas.metadata.expressions.functions import FUNCTIONS, Function
from saas.metadata.kinds import ExprType, field_types
from saas.metadata.models import FieldDef
from saas.tenants.ids import uuid_of

MAX_STEPS = 3  # how many dots a path may have

Names = Mapping[str, tuple[ExprType, str | None]]

NOUNS: dict[str, LazyString] = {
    "text": lazy("text"),
    "number": lazy("a number"),
    "bool": lazy("a yes/no value"),
    "date": lazy("a date"),
    "datetime": lazy("a date with time"),
    "ref": lazy("a link to a record"),
    "user": lazy("a person"),
    "dept": lazy("a department"),
    "option": lazy("a choice"),
    "list": lazy("a list"),
    "any": lazy("any value"),
    "moment": lazy("a date"),
    "day": lazy("a date"),
    "sized": lazy("a text or a list"),
    "same": lazy("any value"),
    "day_or_text": lazy("a date or a text"),
    "digits": lazy("a text or a number"),
    "people": lazy("one or several people"),
}
_RETURNS: dict[str, ExprType] = {"int": "number", "percent": "number", "money": "number", "phone": "text"}
_SETTINGS: dict[str, ExprType] = {"int": "number", "number": "number", "bool": "bool", "text": "text", "date": "date"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known about a value. `entity`: what a ref points to, where known. `options`: the keys a choice, or the entries of
    a list, can have; empty = anything. `items`: what a list is a list of, where it holds ids. `null`: it is the word null."""

    type: ExprType
    entity: str | None = None
    options: tuple[str, ...] = ()
    null: bool = False
    items: ExprType | None = None


ID_TYPES: Mapping[str, ExprType] = {"record": "ref", "user": "user", "dept": "dept"}  # what a field holds -> how it compares
ANY, TEXT, NUMBER, BOOL = Kind("any"), Kind("text"), Kind("number"), Kind("bool")


def check(
    node: n.Node,
    config: Config,
    entity_key: str | None,
    *,
    expect: ExprType | Sequence[ExprType] | None = None,
    names: Names | None = None,
    stored: bool = False,
) -> ExprType:
    """The type of an expression over records of an entity (None: over no record); raises ExpressionError with all problems.

    `names`: further roots, dotted ones too: {"result.customer": ("ref", "customer"), "new": ("ref", "order")}.
    `stored`: the expression selects records in the database, so old() and is_changed() have no meaning.
    """
    return kind_of(node, config, entity_key, expect=expect, names=names, stored=stored).type


def kind_of(
    node: n.Node,
    config: Config,
    entity_key: str | None,
    *,
    expect: ExprType | Sequence[ExprType] | None = None,
    names: Names | None = None,
    stored: bool = False,
) -> Kind:
    """check() with more detail."""
    checker = _Checker(config, stored)
    kind = checker.kind(node, _Level(entity_key, names or {}))
    wanted = (expect,) if isinstance(expect, str) else tuple(expect or ())
    if wanted and not checker.problems and not kind.null and not any(_fits(kind, w) for w in wanted):
        if wanted == ("bool",):
            message = lazy("A condition was expected, but this is %(noun)s", noun=NOUNS[kind.type])
        else:
            message = lazy("%(wanted)s was expected, but this is %(noun)s", wanted=NOUNS[wanted[0]], noun=NOUNS[kind.type])
        checker.problem("type", message, node)
    if checker.problems:
        raise ExpressionError.of(sorted(checker.problems, key=lambda p: p.position))
    return kind


def field_kind(config: Config, entity_key: str, field_key: str) -> Kind:
    """The kind of a field's value in expressions."""
    fld = config.entities[entity_key].fields[field_key]
    return _field_kind(config, entity_key, fld, 0)


def _field_kind(config: Config, entity_key: str, fld: FieldDef, depth: int) -> Kind:
    if fld.type == "formula":
        returns = fld.options.get("returns", "text")
        return Kind(_RETURNS.get(returns, returns))
    if fld.type == "rollup":
        relation = find_relation(config, entity_key, str(fld.options.get("of", "")))
        of = fld.options.get("field")
        if fld.options.get("fn") in ("min", "max", "latest"):
            child = config.entities[relation.child] if isinstance(relation, Relation) else None
            if child is None or of not in child.fields or depth > 5:  # a circle of rollups is reported elsewhere
                return ANY
            return _field_kind(config, child.key, child.fields[of], depth + 1)
        return NUMBER
    found = field_types.find(fld.type)
    type_: ExprType = found.expr_type_of(fld, config) if found else "any"
    entity = fld.options.get("to") if type_ in ("ref", "list") else None
    options: tuple[str, ...] = ()
    if type_ in ("option", "list"):
        try:
            options = tuple(o.key for o in config.options(entity_key, fld.key))
        except KeyError:  # an option set or pipeline that does not exist is reported where it is named
            options = ()
    items = ID_TYPES.get(found.holds) if found and type_ == "list" else None
    return Kind(type_, entity, options, items=items)


def find_relation(config: Config, entity_key: str, name: str) -> Relation | str | None:
    """The relation an aggregate names: by inverse key, else by the child's entity key where only one fits.
    Returns the word "ambiguous" if several would, None if none does."""
    children = config.entities[entity_key].children
    if name in children:
        return children[name]
    fitting = [r for r in children.values() if r.child == name]
    return fitting[0] if len(fitting) == 1 else "ambiguous" if fitting else None


@dataclass(frozen=True, slots=True)
class _Level:
    """Where names are looked up; `parent` is the outer record inside a child condition."""

    entity: str | None
    names: Names
    parent: _Level | None = None


class _Checker:
    def __init__(self, config: Config, stored: bool) -> None:
        self.config, self.stored = config, stored
        self.problems: list[ExpressionProblem] = []

    def problem(self, code: str, message: LazyString, node: n.Node) -> Kind:
        self.problems.append(ExpressionProblem(code, message, node.pos))
        return ANY

    def kind(self, node: n.Node, level: _Level) -> Kind:
        match node:
            case n.Literal(kind="null"):
                return Kind("any", null=True)
            case n.Literal(kind=kind):
                return Kind(kind)  # type: ignore[arg-type]
            case n.Path():
                return self._path(node, level)
            case n.List(items=items):
                for item in items:
                    self.kind(item, level)
                return Kind("list")
            case n.Unary(op="not", operand=operand):
                self._condition(operand, level)
                return BOOL
            case n.Unary(operand=operand):
                self._number(operand, level)
                return NUMBER
            case n.Logic(items=items):
                for item in items:
                    self._condition(item, level)
                return BOOL
            case n.In():
                return self._in(node, level)
            case n.Binary(op=op) if op in n.COMPARISONS:
                return self._compare(node, level)
            case n.Binary(left=left, right=right):
                return self._arithmetic(node, self.kind(left, level), self.kind(right, level))
            case n.Call():
                return self._call(node, level)
            case n.Child():
                return self._child(node, level)
        raise TypeError(f"not an expression node: {node!r}")

    # --- names ---

    def _path(self, node: n.Path, level: _Level) -> Kind:
        parts = node.parts
        own = self.config.entities.get(level.entity or "")
        if level.parent is not None and parts[0] == "parent" and len(parts) > 1 and not (own and "parent" in own.fields):
            return self._path(replace(node, parts=parts[1:]), level.parent)
        for size in range(len(parts), 0, -1):  # the longest of the further names wins
            if found := level.names.get(".".join(parts[:size])):
                return self._steps(node, Kind(found[0], found[1]), parts[size - 1 :], parts[size:])
        if level.entity is None or level.entity not in self.config.entities:
            return self.problem("unknown_field", self._unknown(parts[0], level), node)
        return self._steps(node, Kind("ref", level.entity), ("",), parts)

    def _steps(self, node: n.Path, kind: Kind, seen: tuple[str, ...], rest: tuple[str, ...]) -> Kind:
        if len(rest) > MAX_STEPS + 1:
            return self.problem("too_deep", lazy("'%(path)s' goes too far: at most %(count)s steps", path=shorten(".".join(node.parts)), count=MAX_STEPS), node)
        before = seen[-1]
        for index, part in enumerate(rest):
            if kind.type == "any" and kind.entity is None:
                return ANY
            if kind.type != "ref" or kind.entity not in self.config.entities:
                message = lazy("'%(name)s' is %(noun)s; there is nothing to look up in it", name=before, noun=NOUNS[kind.type])
                return self.problem("not_a_link", message, node)
            entity = self.config.entities[kind.entity]
            if part == "id":
                kind = Kind("ref", entity.key)
            elif part in entity.fields:
                kind = field_kind(self.config, entity.key, part)
            else:
                level = _Level(entity.key, {})
                return self.problem("unknown_field", self._unknown(part, level, of=before if index or before else ""), node)
            before = part
        return kind

    def _unknown(self, name: str, level: _Level, of: str = "") -> LazyString:
        entity = self.config.entities.get(level.entity or "")
        if entity is not None and find_relation(self.config, entity.key, name) is not None:
            return lazy("'%(name)s' is a list of child records; write e.g. count(%(name)s)", name=name)
        known = [*(entity.fields if entity else ()), *level.names]
        near = did_you_mean(name, known)
        if near and of:
            return lazy("There is no field '%(name)s' in '%(of)s'; did you mean %(near)s?", name=name, of=of, near=near)
        if near:
            return lazy("There is no field '%(name)s'; did you mean %(near)s?", name=name, near=near)
        if of:
            return lazy("There is no field '%(name)s' in '%(of)s'", name=name, of=of)
        return lazy("There is no field '%(name)s'. To write text, put it in quotes: '%(name)s'", name=name)

    # --- operators ---

    def _condition(self, node: n.Node, level: _Level) -> None:
        kind = self.kind(node, level)
        if kind.type not in ("bool", "any"):
            message = lazy("'%(text)s' is %(noun)s, not a condition", text=shorten(dump(node)), noun=NOUNS[kind.type])
            self.problem("type", message, node)

    def _number(self, node: n.Node, level: _Level) -> None:
        kind = self.kind(node, level)
        if kind.type not in ("number", "any"):
            message = lazy("'%(text)s' is %(noun)s, not a number", text=shorten(dump(node)), noun=NOUNS[kind.type])
            self.problem("type", message, node)

    def _arithmetic(self, node: n.Binary, left: Kind, right: Kind) -> Kind:
        types = {left.type, right.type}
        if types & {"date", "datetime"} and node.op in ("+", "-"):
            message = lazy("Dates are counted with add_days(date, number), add_months(date, number) and days_between(from, to)")
            return self.problem("type", message, node)
        if "text" in types and node.op == "+":
            return self.problem("type", lazy("Texts are joined with concat(a, b)"), node)
        for side, kind in ((node.left, left), (node.right, right)):
            if kind.type not in ("number", "any"):
                message = lazy("'%(text)s' is %(noun)s, not a number", text=shorten(dump(side)), noun=NOUNS[kind.type])
                self.problem("type", message, side)
        return NUMBER

    def _compare(self, node: n.Binary, level: _Level) -> Kind:
        left = self._operand(node.left, node.right, level)
        right = self._operand(node.right, node.left, level)
        if left.null or right.null:
            if node.op not in ("==", "!="):
                self.problem("type", lazy("A missing value has no order; write == null or != null"), node)
            return BOOL
        if not self._comparable(node.left, left, node.right, right):
            self._mismatch(node, node.left, left, node.right, right)
        elif node.op not in ("==", "!="):
            for side, kind in ((node.left, left), (node.right, right)):
                if kind.type not in ("number", "text", "date", "datetime", "any"):
                    message = lazy("'%(text)s' is %(noun)s, which has no order", text=shorten(dump(side)), noun=NOUNS[kind.type])
                    self.problem("type", message, side)
                    break
        elif left.type == "list":
            self.problem("type", lazy("Lists are not compared; write 'x' in list, or is_empty(list)"), node)
        else:
            self._key(node.right, left)
            self._key(node.left, right)
        return BOOL

    def _operand(self, node: n.Node, other: n.Node, level: _Level) -> Kind:
        """The kind of one side; an unquoted option key gets a better message than an unknown field."""
        if isinstance(node, n.Path) and len(node.parts) == 1 and isinstance(other, n.Path) and not self._is_known(node.parts[0], level):
            quiet = _Checker(self.config, self.stored)
            if node.parts[0] in quiet.kind(other, level).options:
                return self.problem("unknown_field", lazy("Put the option in quotes: '%(name)s'", name=node.parts[0]), node)
        return self.kind(node, level)

    def _is_known(self, name: str, level: _Level) -> bool:
        entity = self.config.entities.get(level.entity or "")
        return name in level.names or name == "id" or (entity is not None and name in entity.fields)

    def _comparable(self, left: n.Node, a: Kind, right: n.Node, b: Kind) -> bool:
        if "any" in (a.type, b.type) or a.null or b.null:
            return True
        if a.type == b.type:
            return a.type != "ref" or None in (a.entity, b.entity) or a.entity == b.entity
        pair = {a.type, b.type}
        if pair <= {"text", "option"} or pair <= {"date", "datetime"}:
            return True
        if "text" in pair and pair & {"ref", "user", "dept"}:
            literal = left if a.type == "text" else right
            return isinstance(literal, n.Literal) and uuid_of(literal.value) is not None
        return False

    def _mismatch(self, node: n.Node, left: n.Node, a: Kind, right: n.Node, b: Kind) -> None:
        if a.type == b.type == "ref":
            message = lazy("'%(a)s' and '%(b)s' are links to different kinds of records", a=shorten(dump(left)), b=shorten(dump(right)))
        else:
            message = lazy("'%(a)s' is %(a_noun)s and '%(b)s' is %(b_noun)s; they cannot be compared",
                           a=_plain(left), a_noun=NOUNS[a.type], b=_plain(right), b_noun=NOUNS[b.type])  # fmt: skip
            date_text = next((x.value for x in (left, right) if isinstance(x, n.Literal) and x.kind == "text" and re.match(r"\d{4}-\d\d", str(x.value))), None)
            if date_text and {"date", "datetime"} & {a.type, b.type}:
                message = lazy("Write date('%(text)s') to compare with a date", text=date_text)
        self.problem("type", message, node)

    def _key(self, node: n.Node, kind: Kind) -> None:
        """A literal beside a choice must be one of its keys."""
        if kind.options and isinstance(node, n.Literal) and node.kind == "text" and node.value not in kind.options:
            near = did_you_mean(str(node.value), kind.options)
            known = shorten(", ".join(kind.options), 200)
            if near:
                message = lazy("'%(value)s' is not one of: %(known)s. Did you mean '%(near)s'?", value=shorten(str(node.value)), known=known, near=near)
            else:
                message = lazy("'%(value)s' is not one of: %(known)s", value=shorten(str(node.value)), known=known)
            self.problem("unknown_option", message, node)

    def _in(self, node: n.In, level: _Level) -> Kind:
        item = self.kind(node.item, level)
        if item.type == "list":
            self.problem("type", lazy("'%(text)s' is a list; write 'x' in %(text)s for each value", text=shorten(dump(node.item))), node.item)
        elif isinstance(node.options, n.List):
            for option in node.options.items:
                kind = self.kind(option, level)
                if not self._comparable(node.item, item, option, kind):
                    self._mismatch(option, node.item, item, option, kind)
                else:
                    self._key(option, item)
                    self._key(node.item, kind)
        else:
            self._in_list(node, item, level)
        return BOOL

    def _in_list(self, node: n.In, item: Kind, level: _Level) -> None:
        options = self.kind(node.options, level)
        if options.type == "text":
            self.problem("type", lazy("in needs a list; to look for a part of a text write contains(text, part)"), node.options)
        elif options.type not in ("list", "any"):
            message = lazy("'%(text)s' is %(noun)s, not a list", text=shorten(dump(node.options)), noun=NOUNS[options.type])
            self.problem("type", message, node.options)
        elif options.type == "list":
            self._member(node.item, item, options)

    def _member(self, node: n.Node, item: Kind, options: Kind) -> None:
        other_ids = options.items is not None and item.type in ID_TYPES.values() and item.type != options.items
        if item.type in ("number", "bool", "date", "datetime", "list") or other_ids:
            self.problem("type", lazy("A list does not hold %(noun)s", noun=NOUNS[item.type]), node)
        self._key(node, options)

    # --- calls ---

    def _call(self, node: n.Call, level: _Level) -> Kind:
        function = FUNCTIONS[node.name]
        if function.literal and node.name != "in_period":
            return self._named(node, function, level)
        kinds = [self.kind(arg, level) for arg in node.args]
        for index, (arg, kind) in enumerate(zip(node.args, kinds, strict=True)):
            wanted = function.param(index)
            if not kind.null and kind.type != "any" and kind.type not in _ACCEPTED.get(wanted, (kind.type,)):
                message = lazy("%(name)s() needs %(wanted)s, but '%(text)s' is %(noun)s",
                               name=node.name, wanted=NOUNS[wanted], text=_plain(arg), noun=NOUNS[kind.type])  # fmt: skip
                self.problem("type", message, arg)
        if node.name == "contains" and kinds[0].type == "list":
            self._member(node.args[1], kinds[1], kinds[0])
        if function.result == "first":
            return kinds[0] if kinds[0].type in ("date", "datetime") else Kind("date")
        if function.result == "same":
            return self._same(node, function, kinds)
        return Kind("bool") if function.result == "bool" else Kind(function.result)  # type: ignore[arg-type]

    def _same(self, node: n.Call, function: Function, kinds: list[Kind]) -> Kind:
        """The common kind of arguments that must be alike."""
        first: tuple[n.Node, Kind] | None = None
        options: list[str] = []
        types: set[str] = set()
        for index, (arg, kind) in enumerate(zip(node.args, kinds, strict=True)):
            if function.param(index) != "same" or kind.null:
                continue
            if first is None:
                first = (arg, kind)
            elif not self._comparable(first[0], first[1], arg, kind):
                message = lazy("%(name)s() mixes %(a)s and %(b)s", name=node.name, a=NOUNS[first[1].type], b=NOUNS[kind.type])
                self.problem("type", message, arg)
                return ANY
            types.add(kind.type)
            options.extend(kind.options)
        if first is None:
            return Kind("any", null=True)
        types.discard("any")
        if len(types) <= 1:
            return replace(first[1], type=next(iter(types), "any"), options=tuple(dict.fromkeys(options)))  # type: ignore[arg-type]
        if types <= {"date", "datetime"}:
            return Kind("date")
        if types <= {"text", "option"}:
            return TEXT
        return next(k for k in kinds if k.type in ("ref", "user", "dept"))

    def _named(self, node: n.Call, function: Function, level: _Level) -> Kind:
        """setting('key'), has_role('key'), old('field'), is_changed('field'), rank('field'): the text names a definition."""
        key = str(getattr(node.args[0], "value", ""))
        if node.name == "setting":
            if (setting := self.config.settings.get(key)) is None:
                return self._no_such(lazy("There is no setting '%(name)s'", name=key), key, self.config.settings, node)
            return Kind(_SETTINGS.get(setting.type, "any"))
        if node.name == "has_role":
            if key not in self.config.roles:
                self._no_such(lazy("There is no role '%(name)s'", name=key), key, self.config.roles, node)
            return BOOL
        if self.stored:
            self.problem("not_searchable", lazy("%(name)s() cannot be used where records are searched", name=node.name), node)
        if level.parent is not None and node.name in ("rank", "ntile"):
            return self.problem("arguments", lazy("%(name)s() cannot stand in a condition on child records", name=node.name), node)
        field = self.kind(n.Path((key,), pos=node.args[0].pos), level)
        if node.name in ("rank", "ntile"):
            return self._rank(node, field, level)
        return BOOL if node.name == "is_changed" else field

    def _rank(self, node: n.Call, field: Kind, level: _Level) -> Kind:
        if field.type not in ("number", "date", "datetime", "any"):
            self.problem("type", lazy("%(name)s() needs %(wanted)s, but '%(text)s' is %(noun)s", name=node.name, wanted=NOUNS["number"], text=_plain(node.args[0]), noun=NOUNS[field.type]), node.args[0])
        for arg in node.args[1:]:
            if isinstance(arg, n.Literal) and arg.kind == "text":
                if self.kind(n.Path((str(arg.value),), pos=arg.pos), level).type in ("list", "bool"):
                    self.problem("type", lazy("%(name)s() cannot compare '%(text)s'", name=node.name, text=_plain(arg)), arg)
            elif self.kind(arg, level).type not in ("number", "any") or not isinstance(arg, n.Literal) or not 2 <= (arg.value or 0) <= 1000:
                self.problem("arguments", lazy("ntile() needs a number of parts from 2 to 1000, such as ntile('%(field)s', 4)", field=str(getattr(node.args[0], "value", ""))), arg)
        return NUMBER

    def _no_such(self, plain: LazyString, key: str, known: Iterable[str], node: n.Node) -> Kind:
        near = did_you_mean(key, known)
        message = lazy("%(plain)s; did you mean %(near)s?", plain=plain, near=near) if near else plain
        return self.problem("unknown_name", message, node)

    def _child(self, node: n.Child, level: _Level) -> Kind:
        entity = self.config.entities.get(level.entity or "")
        relation = find_relation(self.config, entity.key, node.relation) if entity else None
        if relation == "ambiguous":
            keys = ", ".join(r.key for r in entity.children.values() if r.child == node.relation) if entity else ""
            return self.problem("ambiguous", lazy("'%(name)s' could be several lists; write one of: %(keys)s", name=node.relation, keys=keys), node)
        if not isinstance(relation, Relation) or relation.child not in self.config.entities:
            return self._no_children(node, entity)
        child = self.config.entities[relation.child]
        if node.where is not None:
            inner = _Level(child.key, level.names, level)
            self._condition(node.where, inner)
        if node.field is None:
            return NUMBER if node.fn == "count" else BOOL
        field = self._path(n.Path((node.field,), pos=node.pos), _Level(child.key, {}))
        if node.fn in ("sum", "avg"):
            if field.type not in ("number", "any"):
                message = lazy("%(fn)s needs a number, but '%(field)s' is %(noun)s", fn=node.fn, field=node.field, noun=NOUNS[field.type])
                self.problem("type", message, node)
            return NUMBER
        if node.fn in ("min", "max") and field.type not in ("number", "date", "datetime", "text", "any"):
            message = lazy("%(fn)s cannot order '%(field)s': it is %(noun)s", fn=node.fn, field=node.field, noun=NOUNS[field.type])
            self.problem("type", message, node)
        return field

    def _no_children(self, node: n.Child, entity: Any) -> Kind:
        if entity is not None and node.relation in entity.fields:
            if node.fn in ("min", "max"):
                return self.problem("arguments", lazy("%(fn)s needs several values, or a field of child records", fn=node.fn), node)
            message = lazy("'%(name)s' is a field, not a list of child records; len(%(name)s) counts the entries of a list", name=node.relation)
            return self.problem("unknown_relation", message, node)
        plain = lazy("There is no list of child records called '%(name)s'", name=node.relation)
        return self._no_such(plain, node.relation, entity.children if entity else (), node)


_MOMENTS = ("date", "datetime")
# What may be given where a parameter wants …; anything else is taken as it is.
_ACCEPTED: dict[str, tuple[str, ...]] = {
    "text": ("text", "option"),
    "number": ("number",),
    "bool": ("bool",),
    "moment": _MOMENTS,
    "day": _MOMENTS,
    "sized": ("text", "option", "list"),
    "day_or_text": (*_MOMENTS, "text", "option"),
    "digits": ("text", "option", "number", "bool"),
}


def _fits(kind: Kind, wanted: str) -> bool:
    """Whether a value can be stored in, or used as, the wanted type."""
    if wanted == "people":
        return "user" in (kind.type, kind.items) or kind.type == "any"
    return kind.type == wanted or "any" in (kind.type, wanted) or {kind.type, wanted} == {"text", "option"}


def _plain(node: n.Node) -> str:
    """A node in a message that adds its own quotes."""
    return shorten(str(node.value) if isinstance(node, n.Literal) and node.kind == "text" else dump(node))
