"""A small company for figures and transfer: two sellers who see their own deals, a reader who may not see costs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest_asyncio

from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab, options

ALL = {"create": True, "read": "all", "update": "all", "delete": "all", "export": True, "import": True, "bulk": True}
WIDGETS = [
    {"key": "sum", "type": "number", "label": label("Sum"), "entity": "deal", "measures": [{"fn": "sum", "field": "amount"}]},
    {"key": "costs", "type": "number", "label": label("Costs"), "entity": "deal", "measures": [{"fn": "sum", "field": "cost"}]},
    {"key": "monthly", "type": "number", "label": label("This month"), "entity": "deal", "measures": [{"fn": "count"}], "date": "closed", "compare": "previous_month",
     "target": "setting('goal')"},
    {"key": "by_kind", "type": "bar", "label": label("By kind"), "entity": "deal", "measures": [{"fn": "count"}], "dimensions": [{"field": "kind"}]},
    {"key": "by_month", "type": "line", "label": label("By month"), "entity": "deal", "measures": [{"fn": "sum", "field": "amount"}], "dimensions": [{"field": "closed", "bucket": "month"}]},
    {"key": "stacked", "type": "area", "label": label("Stacked"), "entity": "deal", "measures": [{"fn": "count"}],
     "dimensions": [{"field": "closed", "bucket": "month"}, {"field": "kind"}]},
    {"key": "shares", "type": "pie", "label": label("Shares"), "entity": "deal", "measures": [{"fn": "sum", "field": "amount"}], "dimensions": [{"field": "name"}], "slices": 3},
    {"key": "costly", "type": "pie", "label": label("Cost by kind"), "entity": "deal", "measures": [{"fn": "sum", "field": "cost"}], "dimensions": [{"field": "kind"}]},
    {"key": "by_phone", "type": "bar", "label": label("By phone"), "entity": "deal", "measures": [{"fn": "count"}], "dimensions": [{"field": "phone"}]},
    {"key": "table", "type": "table", "label": label("Table"), "entity": "deal", "measures": [{"fn": "count"}, {"fn": "avg", "field": "amount"}],
     "dimensions": [{"field": "kind"}, {"field": "customer.city"}], "sort": "-value"},
    {"key": "records", "type": "table", "label": label("Records"), "entity": "deal", "columns": ["name", "cost", "phone", "customer.city"], "sort": "name"},
    {"key": "list", "type": "list", "label": label("List"), "entity": "deal", "columns": ["name", "kind"], "filter": "cost > 5", "sort": "-amount", "limit": 2},
    {"key": "funnel", "type": "funnel", "label": label("Funnel"), "entity": "deal", "pipeline": "deal", "basis": "ever_reached", "sum": "amount"},
    {"key": "standing", "type": "funnel", "label": label("Standing"), "entity": "deal", "pipeline": "deal"},
    {"key": "broken", "type": "number", "label": label("Broken"), "entity": "deal", "measures": [{"fn": "sum", "field": "ratio"}]},
]  # fmt: skip


def figures_bundle() -> dict[str, Any]:
    own = {"create": True, "read": "own", "update": "own", "export": "own"}
    return {
        "format": 1,
        "pack": {"key": "figures", "version": "1.0.0", "label": label("Figures"), "icon": "briefcase"},
        "settings": [{"key": "goal", "label": label("Goal"), "type": "int", "default": 4}],
        "entities": [
            {"key": "customer", "label": label("Customer"), "plural": label("Customers"), "title": "name", "search": ["name"],
             "fields": [fld("name", "text", required=True, unique=True), fld("city", "option", options=options("rome", "oslo")), fld("number", "auto", pattern="C-{seq:3}")]},
            {"key": "deal", "label": label("Deal"), "plural": label("Deals"), "title": "name", "search": ["name", "phone", "cost_note"],
             "fields": [
                 fld("name", "text", required=True, max_length=60), fld("kind", "option", options=options("new", "old")), fld("amount", "money"), fld("cost", "money"),
                 fld("cost_note", "text"), fld("phone", "phone"), fld("closed", "date"), fld("met", "datetime"), fld("rank", "int"), fld("vip", "bool"),
                 fld("tags", "tags"), fld("customer", "ref", to="customer", inverse={"key": "deals", "label": label("Deals")}), fld("helper", "user"),
                 fld("ratio", "formula", returns="number", expr="10 / rank"), fld("stage", "pipeline", pipeline="deal"),
                 fld("papers", "file", multiple=True, accept=["pdf", "txt"], max_mb=1), fld("secrets", "file"), fld("photo", "image"),
             ]},
        ],
        "pipelines": [
            {"key": "deal", "entity": "deal", "field": "stage", "label": label("Deal"),
             "stages": [{"key": "open", "label": label("Open")}, {"key": "offer", "label": label("Offer")}, {"key": "won", "label": label("Won"), "kind": "won"},
                        {"key": "lost", "label": label("Lost"), "kind": "lost"}],
             "transitions": [{"key": "offer", "label": label("Offer"), "from": ["open"], "to": "offer"}, {"key": "win", "label": label("Win"), "from": ["offer"], "to": "won"},
                             {"key": "lose", "label": label("Lose"), "from": ["open", "offer"], "to": "lost"}]},
        ],
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            {"key": "seller", "label": label("Seller"), "reports": ["all"], "dashboards": ["start"], "home": "start", "entities": {"deal": own, "customer": ALL}},
            {"key": "limited", "label": label("Limited"), "reports": ["all"],
             "entities": {"deal": {**ALL, "fields": {"cost": "hidden", "cost_note": "hidden", "secrets": "hidden", "phone": "masked"}}, "customer": ALL}},
            {"key": "stranger", "label": label("Stranger"), "reports": ["all"], "entities": {"customer": {"read": "all"}}},
        ],
        "views": [{"key": "news", "entity": "deal", "label": label("New"), "columns": ["name", "amount"], "filter": "kind == 'new'", "sort": ["name"], "default": True}],
        "reports": [
            {"key": "all", "label": label("All"), "widgets": WIDGETS,
             "params": [{"key": "year", "field": "closed", "kind": "year"}, {"key": "when", "field": "closed", "kind": "period"}, {"key": "kind", "field": "kind", "kind": "option"},
                        {"key": "who", "field": "owner", "kind": "user"}, {"key": "cost", "field": "cost_note", "kind": "option"}]},
            {"key": "closed", "label": label("Closed"), "widgets": WIDGETS[:1]},
        ],
        "dashboards": [{"key": "admin", "label": label("Admin"), "widgets": WIDGETS[:2]},
                       {"key": "start", "label": label("Start"), "widgets": [{"report": "all", "widget": "sum", "width": 3}, {"report": "all", "widget": "costs", "width": 3}]}],
    }  # fmt: skip


@pytest_asyncio.fixture
async def company(database) -> Callable[[], Awaitable[Lab]]:
    """A fresh tenant: ann and bob sell (each sees their own), lim is limited, sid sees no deals."""

    async def make() -> Lab:
        lab = await make_lab(figures_bundle(), people=False)
        for name, role in {"ann": "seller", "bob": "seller", "lim": "limited", "sid": "stranger"}.items():
            await lab.person(name, [role])
        return lab

    return make
