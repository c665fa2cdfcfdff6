"""Rows of customers and deals as JSON: values, texts to show, and what the reader may do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.benchmarks.baseline.database import Who, iso

ZONE = ZoneInfo("Asia/Shanghai")
SCOPES = {  # role -> what it may do with whose records
    "sales": {"read": "all", "update": "dept", "delete": "own", "create": True, "import": True, "export": True},
    "admin": {"read": "all", "update": "all", "delete": "all", "create": True, "import": True, "export": True},
}  # fmt: skip
LEVEL = {"a": "A 级", "b": "B 级", "c": "C 级", "d": "D 级"}
INDUSTRY = {
    "machinery": "机械", "chemicals": "化工", "food": "食品", "textiles": "纺织", "electronics": "电子", "software": "软件", "logistics": "物流", "construction": "建筑",
    "energy": "能源", "health": "医疗", "education": "教育", "retail": "零售",
}  # fmt: skip
STATUS = {"prospect": "潜在", "active": "合作中", "dormant": "沉睡", "lost": "流失"}
SOURCE = {"web": "官网", "fair": "展会", "referral": "转介绍", "call": "电话", "partner": "伙伴"}
PRIORITY = {"high": "高", "normal": "中", "low": "低"}
STAGE = {"new": "新建", "qualified": "已确认", "proposal": "方案", "negotiation": "谈判", "won": "赢单", "lost": "输单"}
STAGE_COLORS = {"new": "gray", "qualified": "blue", "proposal": "indigo", "negotiation": "orange", "won": "green", "lost": "red"}
COLORS = {
    "a": "red", "b": "orange", "c": "blue", "d": "gray", "prospect": "gray", "active": "green", "dormant": "yellow", "lost": "red",
    **dict(zip(INDUSTRY, ("gray", "red", "orange", "yellow", "green", "teal", "blue", "indigo", "purple", "pink", "gray", "red"), strict=True)),
}  # fmt: skip
OFFERS = {
    "qualify": {"key": "qualify", "label": "确认", "to": "qualified", "style": "primary", "confirm": "", "missing": [], "ask": []},
    "propose": {"key": "propose", "label": "出方案", "to": "proposal", "style": "default", "confirm": "", "missing": [], "ask": []},
    "negotiate": {"key": "negotiate", "label": "谈判", "to": "negotiation", "style": "default", "confirm": "", "missing": [], "ask": []},
    "win": {"key": "win", "label": "赢单", "to": "won", "style": "default", "confirm": "", "missing": [], "ask": []},
    "lose": {"key": "lose", "label": "输单", "to": "lost", "style": "danger", "confirm": "", "missing": [], "ask": []},
}
FROM = {"new": ("qualify", "lose"), "qualified": ("propose", "lose"), "proposal": ("negotiate", "lose"), "negotiation": ("win", "lose")}


# ---- one value ---------------------------------------------------------------------------------------------------------------


def money(minor: int) -> dict[str, str]:
    text = f"{minor // 100}.{minor % 100:02d}" if minor >= 0 else f"-{-minor // 100}.{-minor % 100:02d}"
    return {"amount": text, "currency": "CNY"}


def money_text(minor: int) -> str:
    sign, minor = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}¥{minor // 100:,}.{minor % 100:02d}"


@functools.lru_cache(maxsize=4096)
def day_text(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def moment_text(moment: datetime) -> str:
    local = moment.astimezone(ZONE)
    return f"{day_text(local.date())} {local:%H:%M}"


def _same(value: Any) -> Any:
    return value


def _number(value: float) -> Any:
    return int(value) if value == int(value) else value


# field -> (column, value, text, table of its name)
Shape = tuple[str, Callable[[Any], Any], Callable[[Any], str], str | None]


def _text(column: str) -> Shape:
    return column, _same, _same, None


def _option(column: str, words: dict[str, str]) -> Shape:
    return column, _same, words.__getitem__, None


def _money(column: str) -> Shape:
    return column, money, money_text, None


def _day(column: str) -> Shape:
    return column, date.isoformat, day_text, None


def _moment(column: str) -> Shape:
    return column, iso, moment_text, None


def _bool(column: str) -> Shape:
    return column, _same, lambda v: "是" if v else "否", None


def _integer(column: str) -> Shape:
    return column, _same, "{:,}".format, None


def _decimal(column: str) -> Shape:
    return column, _number, "{:,.1f}".format, None


def _percent(column: str, digits: int) -> Shape:
    return column, _number, (lambda v: f"{v:,.{digits}f}%"), None


def _link(column: str, table: str) -> Shape:
    return column, str, str, table


CUSTOMER: dict[str, Shape] = {
    "name": _text("name"), "name_en": _text("name_en"), "code": _text("code"), "level": _option("level", LEVEL), "industry": _option("industry", INDUSTRY),
    "status": _option("status", STATUS), "region": _link("region_id", "region"), "product": _link("product_id", "product"), "campaign": _link("campaign_id", "campaign"),
    "city": _text("city"), "phone": _text("phone"), "mail": _text("mail"), "employees": _integer("employees"), "score": _decimal("score"), "revenue": _money("revenue"),
    "founded_on": _day("founded_on"), "last_contact_at": _moment("last_contact_at"), "next_contact_on": _day("next_contact_on"), "vip": _bool("vip"),
    "note": _text("note"), "deal_amount": _money("deal_amount"),
}  # fmt: skip
DEAL: dict[str, Shape] = {
    "name": _text("name"), "customer": _link("customer_id", "customer"), "stage": _option("stage", STAGE), "amount": _money("amount"), "probability": _percent("probability", 0),
    "expected_on": _day("expected_on"), "product": _link("product_id", "product"), "campaign": _link("campaign_id", "campaign"), "region": _link("region_id", "region"),
    "source": _option("source", SOURCE), "priority": _option("priority", PRIORITY), "quantity": _integer("quantity"), "discount": _percent("discount", 1),
    "contact": _text("contact"), "phone": _text("phone"), "next_step": _text("next_step"), "competitor": _text("competitor"), "renewal": _bool("renewal"),
    "decided_at": _moment("decided_at"), "reason": _text("reason"), "note": _text("note"),
}  # fmt: skip
SHAPES = {"customer": CUSTOMER, "deal": DEAL}


# ---- one record --------------------------------------------------------------------------------------------------------------


def may(who: Who, right: str, row: Any) -> bool:
    scope = SCOPES[who.role][right]
    if scope == "all":
        return True
    own = row["owner_id"] == who.user_id
    return own or (scope == "dept" and row["department_id"] is not None and row["department_id"] == who.department_id)


def record(who: Who, entity: str, row: Any, fields: Iterable[str] | None = None) -> dict[str, Any]:
    """`row` carries the columns of the table and, of links and people, their names as `<column>_name`."""
    values: dict[str, Any] = {}
    display: dict[str, str] = {}
    shapes = SHAPES[entity]
    for key in shapes if fields is None else fields:
        shape = shapes.get(key)
        if shape is None:
            continue
        column, value_of, text_of, table = shape
        found = row[column]
        if found is None:
            values[key], display[key] = None, ""
        else:
            values[key] = value_of(found)
            display[key] = text_of(found) if table is None else row[f"{column}_name"] or ""
    created, updated = row["created_at"], row["updated_at"]
    if fields is None:
        display |= {
            "created_at": moment_text(created), "created_by": row["created_by_name"] or "", "updated_at": moment_text(updated), "updated_by": row["updated_by_name"] or "",
            "owner": row["owner_id_name"] or "", "department": row["department_id_name"] or "",
        }  # fmt: skip
    found = {
        "id": str(row["id"]), "entity": entity, "version": row["version"], "title": row["name"], "created_at": iso(created), "created_by": _id(row["created_by"]),
        "updated_at": iso(updated), "updated_by": _id(row["updated_by"]), "owner": _id(row["owner_id"]), "department": _id(row["department_id"]),
        "values": values, "display": display,
    }  # fmt: skip
    update = may(who, "update", row)
    offers: list[dict[str, Any]] = []
    if entity == "deal":
        found["state"], found["state_since"] = row["stage"], iso(row["stage_since"])
        if update:
            offers = [_offer(key, row) for key in FROM.get(row["stage"], ())]
    found["can"] = {"update": update, "delete": may(who, "delete", row), "transitions": [o["key"] for o in offers], "offers": offers, **NO_MORE}
    return found


# What the product also says of each record: nothing here has buttons, pools or shares.
NO_MORE: dict[str, Any] = {"buttons": [], "pool": None, "claim": False, "assign": False, "release": False, "share": False}


def _offer(key: str, row: Any) -> dict[str, Any]:
    missing = {"win": "amount", "lose": "reason"}.get(key)
    return {**OFFERS[key], "missing": [missing]} if missing and row[missing] in (None, "") else OFFERS[key]


def _id(value: Any) -> str | None:
    return str(value) if value else None
