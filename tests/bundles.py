"""A small bundle that uses nearly everything, for tests to break in one place."""

from __future__ import annotations

import copy
from typing import Any


def label(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": f"{text}（中）"}


def field(key: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": type_, "label": label(key.title()), **more}


def good_bundle() -> dict[str, Any]:
    """A valid bundle; a fresh copy each time."""
    return copy.deepcopy(_GOOD)


_CUSTOMER = {
    "key": "customer", "label": label("Customer"), "plural": label("Customers"), "icon": "building", "title": "name", "search": ["name", "phone"],
    "owner_roles": ["sales"], "assignees": ["helper"],
    "fields": [
        field("name", "text", required=True, unique=True, max_length=50),
        field("grade", "option", set="grade", default="b"),
        field("region", "option", options=[{"key": "north", "label": label("North")}, {"key": "south", "label": label("South")}]),
        field("city", "option", set="city", depends_on="region"),
        field("phone", "phone"),
        field("credit", "int", min=1, max=5),
        field("helper", "user", roles=["sales"]),
        field("parent", "ref", to="customer", inverse={"key": "subsidiaries", "label": label("Subsidiaries")}, on_delete="set_null"),
        field("deal_count", "rollup", of="deals", fn="count"),
        field("deal_sum", "rollup", of="deals", fn="sum", field="amount", where="status != 'lost'"),
        field("shown", "formula", returns="text", expr="concat(name, ' ', coalesce(grade, ''))"),
        field("since", "date", default={"expr": "today()"}),
        field("note", "longtext", visible_if="grade == 'a'"),
    ],
    "rules": [{"key": "credit_known", "expr": "credit == null or credit > 0", "message": label("Credit must be positive"), "field": "credit"}],
    "unique": [{"key": "name_phone", "fields": ["name", "phone"]}],
    "duplicates": [{"key": "same_phone", "match": ["phone"], "action": "warn"}],
    "tree": {"parent": "parent", "max_depth": 4},
    "timeline": {"sources": [{"entity": "deal", "via": "customer"}]},
    "messages": {"created": label("Saved")},
}  # fmt: skip

_DEAL = {
    "key": "deal", "label": label("Deal"), "plural": label("Deals"), "title": "subject",
    "fields": [
        field("subject", "text", required=True),
        field("customer", "ref", to="customer", required=True, inverse={"key": "deals", "label": label("Deals")}, on_delete="restrict"),
        field("amount", "money"),
        field("status", "pipeline", pipeline="deal"),
        field("reason", "text"),
    ],
}  # fmt: skip

_GOOD: dict[str, Any] = {
    "format": 1,
    "pack": {"key": "test-crm", "version": "1.0.0", "label": label("Test"), "icon": "briefcase"},
    "settings": [{"key": "churn_days", "label": label("Days until churn"), "type": "int", "default": 180, "min": 1, "max": 999}],
    "option_sets": [
        {"key": "grade", "label": label("Grade"), "options": [{"key": "a", "label": label("A"), "color": "green"}, {"key": "b", "label": label("B")}]},
        {"key": "city", "label": label("City"), "options": [{"key": "harbin", "label": label("Harbin"), "parent": "north"}]},
    ],
    "departments": [{"key": "company", "label": label("Company")}, {"key": "sales", "label": label("Sales"), "parent": "company"}],
    "entities": [_CUSTOMER, _DEAL],
    "pipelines": [
        {
            "key": "deal", "entity": "deal", "field": "status", "label": label("Deal"),
            "stages": [
                {"key": "open", "label": label("Open")},
                {"key": "won", "label": label("Won"), "kind": "won", "color": "green"},
                {"key": "lost", "label": label("Lost"), "kind": "lost", "color": "red"},
            ],
            "transitions": [
                {"key": "win", "label": label("Win"), "from": ["open"], "to": "won", "roles": ["sales"], "guard": "amount > 0",
                 "guard_message": label("Enter an amount"), "require": ["amount"],
                 "effects": [{"action": "set", "target": "customer", "values": {"grade": "'a'"}},
                             {"action": "create", "entity": "deal", "as": "next", "values": {"subject": "concat('After ', subject)", "customer": "customer"}},
                             {"action": "notify", "to": ["owner", "role:sales"], "title": label("{{ result.next.subject }}")}]},
                {"key": "lose", "label": label("Lose"), "from": ["*"], "to": "lost", "require": ["reason"]},
                {"key": "reopen", "label": label("Reopen"), "from": ["lost"], "branches": [{"if": "amount > 100", "to": "open"}, {"to": "lost"}]},
            ],
        }
    ],
    "roles": [
        {"key": "admin", "label": label("Administrator"), "admin": True},
        {"key": "sales", "label": label("Sales"), "home": "start", "reports": ["deals"], "dashboards": "*",
         "entities": {"*": {"read": "none"}, "customer": {"create": True, "read": "all", "update": {"scope": "own", "if": "grade != 'a'"}, "export": True,
                                                          "fields": {"phone": "masked", "credit": {"access": "read", "if": "credit > 3"}}},
                      "deal": {"create": True, "read": ["own", {"scope": "dept", "if": "amount < 1000"}]}},
         "transitions": {"deal": ["win"]},
         "menu": [{"label": label("Sales"), "items": ["customer", "customer:mine", "board:deal", "report:deals", "dashboard:start"]}]},
    ],
    "views": [
        {"key": "mine", "entity": "customer", "label": label("Mine"), "columns": ["name", "grade", "owner"], "sort": ["-updated_at", "name"],
         "filter": {"field": "grade", "op": "eq", "value": "a"}, "default": True},
        {"key": "board", "entity": "deal", "label": label("Board"), "kind": "board", "board": {"by": "status", "sum": "amount", "card": ["customer"]}},
    ],
    "layouts": [
        {"key": "main", "entity": "customer", "header": ["grade", "owner"],
         "tabs": [{"key": "details", "label": label("Details"), "sections": [{"key": "base", "fields": ["name", "grade"]}]},
                  {"key": "deals", "label": label("Deals"), "related": [{"key": "deals", "columns": ["subject", "amount"]}], "timeline": True}]}
    ],
    "reports": [
        {"key": "deals", "label": label("Deals"), "params": [{"key": "year", "field": "created_at", "kind": "year"}],
         "widgets": [{"key": "by_grade", "label": label("By grade"), "type": "bar", "entity": "deal", "measures": [{"fn": "sum", "field": "amount"}],
                      "dimensions": [{"field": "customer.grade"}], "filter": "status == 'won'", "sort": "-value"}]}
    ],
    "dashboards": [
        {"key": "start", "label": label("Start"),
         "widgets": [{"report": "deals", "widget": "by_grade", "width": 8},
                     {"key": "count", "label": label("Customers"), "type": "number", "entity": "customer", "measures": [{"fn": "count"}], "width": 4}]}
    ],
    "automations": [
        {"key": "follow_up", "label": label("Follow up"), "entity": "customer", "on": {"trigger": "update", "fields": ["grade"]}, "if": "grade == 'a'",
         "do": [{"action": "create", "entity": "deal", "values": {"subject": "'Follow up'", "customer": "id"}}]},
        {"key": "tidy", "label": label("Tidy"), "entity": "customer", "on": {"trigger": "before_save"},
         "do": [{"action": "set", "values": {"name": "trim(name)"}}, {"action": "block", "if": "credit == 1", "message": label("No credit")}]},
    ],
    "schedules": [
        {"key": "churn", "label": label("Churn"), "every": {"cron": "0 2 * * *"}, "entity": "customer", "once_per": "month",
         "where": "grade == 'a' and not exists(deals where status == 'won')",
         "do": [{"action": "notify", "to": ["owner"], "title": label("{{ name }}")}]}
    ],
}  # fmt: skip
