"""Expressions over records as SQL: where each field of each entity lives, and how refs and children are reached.

One `Statement` collects the parameters of one SQL statement; a `RecordScope` is one record alias in it. Tenant text never
becomes SQL: keys are looked up in the compiled configuration, values are parameters.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.context import Context
from saas.runtime.fields._shared.dates import utc_midnight

SYSTEM_COLUMNS = {
    "id": "id",
    "created_at": "created_at",
    "created_by": "created_by",
    "updated_at": "updated_at",
    "updated_by": "updated_by",
    "owner": "owner_id",
    "department": "department_id",
    "touched_at": "touched_at",
}
PG_TYPES = {"text": "text", "int": "int8", "float": "float8", "time": "timestamptz", "uuid": "uuid", "state": "text"}
INT8_MIN, INT8_MAX = -(2**63), 2**63 - 1
# SQL comparison signs of the ops an index can serve.
SIGNS = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


_PLACE = re.compile(r"\$(\d+)")


class Statement:
    """The parameters of one statement and fresh aliases."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.params: list[Any] = []
        self.is_of_moment = False  # some condition asked what time it is
        self._aliases = itertools.count(1)

    def under(self, ctx: Context) -> Statement:
        """The same statement with somebody else's eyes: conditions of both may stand in it."""
        other = Statement(ctx)
        other.params, other._aliases = self.params, self._aliases
        return other

    def param(self, value: Any, pg_type: str) -> str:
        self.params.append(value)
        return f"${len(self.params)}::{pg_type}"

    def finish(self, sql: str) -> list[Any]:
        """[sql, *parameters] for asyncpg: only the parameters the SQL still names, renumbered. A condition that turned out
        constant takes its parameters' places along, and PostgreSQL refuses parameters it cannot give a type."""
        used = sorted({int(n) for n in _PLACE.findall(sql)})
        numbers = {old: new for new, old in enumerate(used, 1)}
        return [_PLACE.sub(lambda m: f"${numbers[int(m[1])]}", sql), *(self.params[n - 1] for n in used)]

    def alias(self) -> str:
        return f"x{next(self._aliases)}"


def storage_of(config: Config, field: FieldDef) -> str:
    return field_types.get(field.type).storage_of(field, config)


def column_of(config: Config, entity: Entity, field: FieldDef) -> str | None:
    """The typed column of a field, or None where it lives in the document, the link table or nowhere."""
    if field.system:
        return SYSTEM_COLUMNS[field.key]
    storage = storage_of(config, field)
    if storage == "state":
        return "state"
    return entity.columns.get(field.key) if storage in PG_TYPES else None


def field_sql(config: Config, entity: Entity, field: FieldDef, alias: str) -> str:
    """The stored value of a field as SQL of its storage's type; for doc fields the JSON value."""
    column = column_of(config, entity, field)
    if column:
        return f"{alias}.{column}"
    storage = storage_of(config, field)
    key = entity.place(field.key)  # keys match ^[a-z][a-z0-9_]*$, checked when the bundle was parsed; places add ~ and a number
    if storage in PG_TYPES:
        # overflow: the document holds what the column would, as text
        return f"({alias}.doc->>'{key}')::{PG_TYPES[storage]}"
    if storage == "links":
        return (
            f"(SELECT jsonb_agg(l.to_id ORDER BY l.to_id) FROM record_link l WHERE l.tenant_id = {alias}.tenant_id "
            f"AND l.entity_id = {entity.number} AND l.field_key = '{key}' AND l.from_id = {alias}.id)"
        )
    return f"({alias}.doc->'{key}')"


def held_sql(config: Config, entity: Entity, field: FieldDef, alias: str, wanted: str) -> str:
    """Condition: a field of ids is, or its list holds, the id `wanted` (SQL)."""
    if not field_types.get(field.type).many:
        return f"{field_sql(config, entity, field, alias)} = {wanted}"
    if storage_of(config, field) != "links":
        return f"{field_sql(config, entity, field, alias)} ? {wanted}::text"
    return (
        f"EXISTS (SELECT 1 FROM record_link k WHERE k.tenant_id = {alias}.tenant_id AND k.entity_id = {entity.number} "
        f"AND k.field_key = '{entity.place(field.key)}' AND k.from_id = {alias}.id AND k.to_id = {wanted})"
    )


class Guard(Protocol):
    """What a reader may name (saas.runtime.permissions.ReaderGuard)."""

    def visible(self, entity: Entity, field: FieldDef) -> bool: ...

    def readable(self, scope: RecordScope) -> str:
        """SQL condition: the reader may read the scope's record. Raises PermissionDenied where that is never so."""


class Constants:
    """What expressions know of their surroundings, the same in SQL and in Python."""

    ctx: Context

    def setting(self, key: str) -> Any:
        return self.ctx.config.settings[key].default

    def me(self) -> str | None:
        return str(self.ctx.user_id) if self.ctx.user_id and self.ctx.support is None else None  # support is nobody of the tenant's

    def my_dept(self) -> str | None:
        return str(self.ctx.user.department_id) if self.ctx.user and self.ctx.user.department_id else None

    def has_role(self, key: str) -> bool:
        return bool(self.ctx.user and key in self.ctx.user.role_keys)

    def today(self) -> date:
        return self.ctx.today

    def now(self) -> datetime:
        return self.ctx.now


class RecordScope(Constants, ex.SqlScope):
    """The names of one entity's record `alias` inside `statement`.

    With a `guard`, only what the reader may see can be named: hidden and masked fields are unknown, refs and children are
    limited to readable records. Expressions of the configuration itself have none: they are the rules.
    """

    def __init__(
        self,
        statement: Statement,
        entity: Entity,
        alias: str,
        *,
        guard: Guard | None = None,
        outer: RecordScope | None = None,
        new: dict[str, Any] | None = None,
    ) -> None:
        self.statement, self.entity, self.alias, self.guard, self.outer, self.new = statement, entity, alias, guard, outer, new
        self.ctx = statement.ctx
        self.config = self.ctx.config

    def today(self) -> date:
        self.statement.is_of_moment = True
        return super().today()

    def now(self) -> datetime:
        self.statement.is_of_moment = True
        return super().now()

    # -- values ---------------------------------------------------------------------------------------------------------

    def param(self, value: Any, pg_type: str) -> str:
        if pg_type == "uuid" and isinstance(value, str):
            try:
                value = UUID(value)
            except ValueError:
                value = None
        if pg_type == "timestamptz" and isinstance(value, date) and not isinstance(value, datetime):
            value = utc_midnight(value)
        return self.statement.param(value, pg_type)

    def path(self, parts: tuple[str, ...]) -> tuple[str, str]:
        if parts[0] == "parent" and self.outer is not None and "parent" not in self.entity.fields:
            return self.outer.path(parts[1:])
        if parts[0] == "new" and self.new is not None:
            return self._new_value(parts)
        field = self.field(parts[0])
        if len(parts) > 1:
            return self._over_ref(field, parts)
        if field.type == "formula":
            # A formula is the configuration's word: whoever may see its result may ask for it, whatever it is made of.
            plain = RecordScope(self.statement, self.entity, self.alias)
            return f"({ex.to_sql(formula_node(self.config, self.entity, field), plain)})", expr_type(self.config, field)
        kind = expr_type(self.config, field)
        return self.value_sql(field), "text" if kind == "any" else kind

    def field(self, key: str) -> FieldDef:
        if key == "id":
            return _ID
        field = self.entity.fields.get(key)
        if field is None or (self.guard and not self.guard.visible(self.entity, field)):
            raise BadRequest(lazy("There is no field “%(key)s” here.", key=key))
        return field

    def value_sql(self, field: FieldDef) -> str:
        """Like `field_sql`, in the types the expression language works with."""
        sql = f"{self.alias}.id" if field is _ID else field_sql(self.config, self.entity, field, self.alias)
        kind = expr_type(self.config, field)
        if kind in ("text", "option") and field is not _ID and storage_of(self.config, field) == "doc":
            return f"({self.alias}.doc->>'{self.entity.place(field.key)}')"
        if kind == "any":  # an object of texts, such as an address: found by what stands in any of them
            return f"(SELECT string_agg(e.value, ' ' ORDER BY e.key) FROM jsonb_each_text({sql}) e)"
        if kind == "bool":
            return f"({sql} = 1)"
        if kind == "number" and storage_of(self.config, field) == "int" and is_money(self.config, field):
            return f"({sql}::numeric / {10 ** money_digits(self.config, field)})"
        return sql

    def whole_sql(self, field: FieldDef) -> tuple[str, int] | None:
        """(column, units to one) of a number kept as integers: money counts its smallest coins. None for others."""
        if storage_of(self.config, field) != "int" or column_of(self.config, self.entity, field) is None:
            return None
        return field_sql(self.config, self.entity, field, self.alias), 10 ** money_digits(self.config, field) if is_money(self.config, field) else 1

    def _new_value(self, parts: tuple[str, ...]) -> tuple[str, str]:
        entity, values = self.new["entity"], self.new["values"]
        if parts[1] == "id":
            return self.param(self.new["id"], "uuid"), "ref"
        field = entity.fields[parts[1]]
        value = values.get(field.key)
        if len(parts) > 2:  # what it refers to
            target = self.config.entity(field.options["to"])
            inner = RecordScope(self.statement, target, self.statement.alias())
            sql, kind = inner.path(parts[2:])
            return f"(SELECT {sql} FROM record {inner.alias} WHERE {inner.alias}.entity_id = {target.number} AND {inner.alias}.id = {self.param(value, 'uuid')})", kind
        kind = expr_type(self.config, field)
        if value is not None:
            value = field_types.get(field.type).to_expr(field, value, self.config)
        pg = {"number": "numeric", "bool": "bool", "date": "timestamptz", "datetime": "timestamptz", "ref": "uuid", "user": "uuid", "dept": "uuid"}
        return self.param(value, pg.get(kind, "text")), kind

    def _over_ref(self, field: FieldDef, parts: tuple[str, ...]) -> tuple[str, str]:
        target = self.config.entity(field.options["to"])
        inner = RecordScope(self.statement, target, self.statement.alias(), guard=self.guard)
        sql, kind = inner.path(parts[1:])
        where = self._readable(inner)
        ref = field_sql(self.config, self.entity, field, self.alias)
        return f"(SELECT {sql} FROM record {inner.alias} WHERE {inner.alias}.entity_id = {target.number} AND {inner.alias}.id = {ref}{where})", kind

    def _readable(self, inner: RecordScope) -> str:
        predicate = self.guard.readable(inner) if self.guard else "true"
        return "" if predicate == "true" else f" AND {predicate}"

    # -- comparisons and children ---------------------------------------------------------------------------------------

    def compare(self, parts: tuple[str, ...], op: str, value: Any) -> str | None:
        """`field op constant` on the bare column, so that an index can serve it; None where there is no such form."""
        if op == "has":
            field = self.field(parts[0]) if len(parts) == 1 else None
            return held_sql(self.config, self.entity, field, self.alias, self._id(value)) if field and storage_of(self.config, field) == "links" else None
        if len(parts) != 1 or (op not in SIGNS and op != "in"):
            return None
        field = self.field(parts[0])
        if field.type in ("formula", "rollup") or field is _ID:
            return None
        column = column_of(self.config, self.entity, field)
        storage = storage_of(self.config, field)
        if column is None or storage not in (*PG_TYPES, "state"):
            return None
        try:
            if op == "in":
                return f"{self.alias}.{column} = ANY({self.param([self._stored(field, v) for v in value], f'{PG_TYPES[storage]}[]')})"
            return f"{self.alias}.{column} {SIGNS[op]} {self.param(self._stored(field, value), PG_TYPES[storage])}"
        except (ValueError, TypeError, ArithmeticError):
            return None

    def _id(self, value: Any) -> str:
        """A parameter for an id; a text that is none becomes null, which nothing holds."""
        return self.param(str(value), "uuid")

    def _stored(self, field: FieldDef, value: Any) -> Any:
        """An expression value as the field's column holds it. Raises ValueError where that would not be exact."""
        kind = field_types.get(field.type)
        if field.type == "pipeline":
            return str(value)
        if isinstance(value, date):
            return value if isinstance(value, datetime) else utc_midnight(value)
        stored = kind.to_column(field, kind.from_expr(field, value, self.config), self.config)
        if isinstance(stored, int) and not INT8_MIN <= stored <= INT8_MAX:
            raise ValueError(value)
        if isinstance(value, Decimal) and kind.to_expr(field, kind.from_column(field, stored, self.config), self.config) != value:
            raise ValueError(value)
        return stored

    def child(self, node: ex.Child, emit: Callable[[Any, ex.SqlScope], str]) -> str:
        relation = self.config.relation(self.entity.key, node.relation)
        if relation is None:
            raise BadRequest(lazy("There is no list called “%(key)s” here.", key=node.relation))
        target = self.config.entity(relation.child)
        if self.guard and not self.guard.visible(target, target.fields[relation.field]):  # whose children they are is not for this reader
            raise BadRequest(lazy("There is no list called “%(key)s” here.", key=node.relation))
        inner = RecordScope(self.statement, target, self.statement.alias(), guard=self.guard, outer=self)
        a = inner.alias
        link = children_sql(self.config, relation, target, a, f"{self.alias}.id")
        base = f"FROM record {a} WHERE {a}.entity_id = {target.number} AND {a}.deleted_at IS NULL AND {link}{self._readable(inner)}"
        if node.fn == "all":
            return f"(NOT EXISTS (SELECT 1 {base} AND {emit(ex.Unary('not', node.where), inner)}))" if node.where is not None else "true"
        if node.where is not None:
            base += f" AND {emit(node.where, inner)}"
        if node.fn == "exists":
            return f"(EXISTS (SELECT 1 {base}))"
        value = emit(ex.Path((node.field,)), inner) if node.field else ""
        return f"(SELECT {ex.aggregate_sql(node, value, newest=f'{a}.created_at DESC, {a}.id DESC')} {base})"

    @property
    def zone_name(self) -> str:
        return self.ctx.tenant.time_zone


_ID = FieldDef(key="id", type="ref", label={}, system=True, options={"to": ""})


def children_sql(config: Config, relation: Any, target: Entity, alias: str, parent_id: str) -> str:
    """Condition: the record `alias` is a child of `parent_id` by `relation`."""
    return held_sql(config, target, target.fields[relation.field], alias, parent_id)


def expr_type(config: Config, field: FieldDef) -> str:
    return field_types.get(field.type).expr_type_of(field, config)


def formula_node(config: Config, entity: Entity, field: FieldDef) -> Any:
    return ex.parse(field.options["expr"])


def is_money(config: Config, field: FieldDef) -> bool:
    return field_types.get(field.type).result_of(field, config)[0].key == "money"


def money_digits(config: Config, field: FieldDef) -> int:
    kind, result = field_types.get(field.type).result_of(field, config)
    return -Decimal(kind.to_form(result, None, config)["step"]).as_tuple().exponent
