"""What tests of expressions share: a small configuration, an Env over a dict, an SqlScope over one set of columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from saas.metadata import expressions as ex
from saas.metadata import models as m
from saas.metadata.config import Config

NOW = datetime(2025, 3, 3, 4, 0, tzinfo=UTC)  # noon in Shanghai, a Monday
ME = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
SHANGHAI = "Asia/Shanghai"

# The columns of the SQL tests: PostgreSQL type, type in expressions.
COLUMNS: dict[str, tuple[str, str]] = {
    "name": ("text", "text"),
    "note": ("text", "text"),
    "grade": ("text", "option"),
    "amount": ("float8", "number"),
    "rank": ("int8", "number"),
    "vip": ("boolean", "bool"),
    "due": ("timestamptz", "date"),
    "paid": ("timestamptz", "date"),
    "met_at": ("timestamptz", "datetime"),
    "owner": ("uuid", "user"),
    "helper": ("uuid", "user"),
    "tags": ("jsonb", "list"),
}


class DictEnv(ex.Env):
    """Values from a dict by path; `me` and the like are fixed."""

    def __init__(self, values: Mapping[Any, Any] | None = None, *, zone: str = SHANGHAI, me: str | None = ME, **more: Any) -> None:
        self.values = {(k,) if isinstance(k, str) else k: v for k, v in (values or {}).items()}
        self.zone, self._me, self.more = ZoneInfo(zone), me, more

    def value(self, path: tuple[str, ...]) -> Any:
        return self.values.get(path)

    def child(self, node: ex.Child) -> Any:
        return self.more["children"][ex.dump(node)]

    def old(self, field: str) -> Any:
        return self.more["old"].get(field)

    def is_changed(self, field: str) -> bool:
        return self.old(field) != self.value((field,))

    def setting(self, key: str) -> Any:
        return {"days": ex.parse("30").value, "word": "x"}.get(key)  # type: ignore[attr-defined]

    def me(self) -> str | None:
        return self._me

    def my_dept(self) -> str | None:
        return None

    def has_role(self, key: str) -> bool:
        return key == "sales"

    def today(self) -> date:
        return NOW.astimezone(self.zone).date()

    def now(self) -> datetime:
        return NOW


class ColumnScope(ex.SqlScope):
    """COLUMNS of a row source `r`, or `paths`: {path: (SQL, type)}. With `index`, comparisons have their own form."""

    def __init__(self, *, zone: str = SHANGHAI, me: str | None = ME, index: bool = False, paths: Mapping[Any, tuple[str, str]] | None = None) -> None:
        self.zone_name, self.index, self.paths = zone, index, paths or {}
        self.params: list[Any] = []
        env = DictEnv(zone=zone, me=me)
        self.setting, self.me, self.my_dept, self.has_role, self.today, self.now = env.setting, env.me, env.my_dept, env.has_role, env.today, env.now

    def param(self, value: Any, pg_type: str) -> str:
        self.params.append(value)
        return f"${len(self.params)}::{pg_type}"

    def path(self, parts: tuple[str, ...]) -> tuple[str, Any]:
        return self.paths[parts] if parts in self.paths else (f"r.{parts[0]}", COLUMNS[parts[0]][1])

    def compare(self, parts: tuple[str, ...], op: str, value: Any) -> str | None:
        pg_type = COLUMNS.get(parts[0], ("", ""))[0]
        if not self.index or parts in self.paths or pg_type not in ("text", "timestamptz", "uuid", "boolean", "int8"):
            return None
        if pg_type == "int8" and (op == "in" or value != int(value)):
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if op == "in":
            return None if pg_type == "timestamptz" else f"r.{parts[0]} = ANY({self.param(value, pg_type + '[]')})"
        collate = ' COLLATE "C"' if pg_type == "text" else ""
        return f"r.{parts[0]} {'=' if op == '==' else op} {self.param(int(value) if pg_type == 'int8' else value, pg_type)}{collate}"


def label(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": text}


def field(key: str, type_: str, **options: Any) -> m.FieldDef:
    return m.FieldDef(key=key, type=type_, label=label(key), options=options)


def _entity(key: str, *fields: m.FieldDef, **more: Any) -> m.EntityDef:
    return m.EntityDef(key=key, label=label(key), plural=label(key + "s"), title="name", fields=fields, **more)


def _options(*keys: str) -> list[m.OptionDef]:
    return [m.OptionDef(k, label(k)) for k in keys]


def lab_config() -> Config:
    """Customers with orders, contacts and two kinds of transfers; orders have a pipeline."""
    stages = tuple(m.StageDef(k, label(k)) for k in ("open", "paid", "lost"))
    customer = _entity(
        "customer",
        field("name", "text"), field("note", "text"), field("amount", "money"), field("rank", "int"), field("vip", "bool"), field("due", "date"),
        field("paid", "date"), field("met_at", "datetime"), field("grade", "option", options=_options("a", "b")),
        field("tags", "multi", options=_options("new", "old")), field("free", "tags"), field("helper", "user"),
        field("total", "formula", returns="money", expr="amount * 2"), field("label", "formula", returns="text", expr="name"),
        field("order_count", "rollup", of="orders", fn="count"), field("last_order", "rollup", of="orders", fn="max", field="date"),
        field("group", "ref", to="customer"),
    )  # fmt: skip
    order = _entity(
        "order",
        field("name", "text"), field("customer", "ref", to="customer", inverse={"key": "orders", "label": label("Orders")}),
        field("date", "date"), field("amount", "money"), field("status", "pipeline", pipeline="order"), field("buyer", "ref", to="contact"),
    )  # fmt: skip
    contact = _entity("contact", field("name", "text"), field("customer", "ref", to="customer"), field("age", "int"))
    transfer = _entity(
        "transfer", field("name", "text"), field("source", "ref", to="customer"), field("target", "ref", to="customer"), field("done", "bool")
    )
    return Config(
        m.Bundle(
            pack=m.PackInfo("lab", "1", label("Lab")),
            entities=(customer, order, contact, transfer),
            roles=(m.RoleDef("sales", label("Sales")), m.RoleDef("manager", label("Manager"))),
            settings=(m.SettingDef("days", label("Days"), "int", 30),),
            pipelines=(m.PipelineDef("order", "order", "status", label("Order"), stages),),
        )
    )
