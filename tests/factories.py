"""A rich bundle that uses the whole engine, and helpers to make a tenant with it: people of each role, contexts, records."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.store import publish
from saas.runtime import execute, load_kinds
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.tenants import create_tenant, create_user, find_user, list_departments, new_id, update_user
from tests.bundles import field as fld
from tests.bundles import label

PASSWORD = "correct horse battery"


def options(*keys: str, **more: Any) -> list[dict[str, Any]]:
    return [{"key": k, "label": label(k.title()), **more} for k in keys]


# ---- entities ----------------------------------------------------------------------------------------------------------

# One field of every type that people fill, for filters, sorts and paging.
THING = {
    "key": "thing", "label": label("Thing"), "plural": label("Things"), "title": "name", "search": ["name", "phone", "secret", "color"],
    "fields": [
        fld("name", "text", max_length=80),
        fld("note", "longtext"), fld("story", "richtext"),
        fld("rank", "int"), fld("size", "number", scale=3), fld("share", "percent", scale=1, min=-1000, max=1000),
        fld("vip", "bool"), fld("due", "date"), fld("met", "datetime"), fld("clock", "time"),
        fld("phone", "phone"), fld("mail", "email"), fld("site", "url"), fld("place", "address"), fld("idno", "national_id"),
        fld("price", "money"),
        fld("color", "option", options=options("red", "green", "blue")),
        fld("kinds", "multi", options=options("x", "y", "z")), fld("tags", "tags"),
        fld("stars", "rating"), fld("score", "score", min=0, max=100, bands=[{"from": 0, "label": label("Low"), "color": "red"}]),
        fld("helper", "user"), fld("unit", "dept"), fld("crew", "users"),
        fld("effort", "duration"), fld("done", "progress"), fld("paint", "color"), fld("serial", "code"),
        fld("account", "ref", to="account", inverse={"key": "things", "label": label("Things")}, on_delete="set_null"),
        fld("accounts", "m2m", to="account", inverse={"key": "many_things", "label": label("Things")}),
        fld("number", "auto", pattern="T-{seq:5}"),
        fld("twice", "formula", returns="number", expr="rank * 2"),
        fld("shout", "formula", returns="text", expr="upper(concat(name, '!'))"),
        fld("papers", "file"), fld("pictures", "image", multiple=True),
        fld("secret", "text", max_length=60),
    ],
}  # fmt: skip

ACCOUNT = {
    "key": "account", "label": label("Account"), "plural": label("Accounts"), "title": "name", "subtitle": "grade", "search": ["name", "phone", "bank"],
    "owner_roles": ["admin", "seller", "chief", "team_lead", "dept_user", "tree_user", "assigned", "participant", "conditional", "importer"],
    "assignees": ["helper"],
    "fields": [
        fld("name", "text", required=True, max_length=60),
        fld("code", "auto", pattern="A{yyyy}-{seq:3}", reset="year"),
        fld("grade", "option", options=options("a", "b", "c"), default="b"),
        fld("region", "option", options=options("north", "south")),
        fld("city", "option", options=[{"key": "harbin", "label": label("Harbin"), "parent": "north"}, {"key": "canton", "label": label("Canton"), "parent": "south"}],
            depends_on="region"),
        fld("phone", "phone"),
        fld("bank", "text", max_length=40),
        fld("taxno", "text", max_length=30),
        fld("mail", "email"),
        fld("credit", "int", min=0, max=100),
        fld("budget", "money"),
        fld("helper", "user", roles=["assigned", "seller"]),
        fld("above", "ref", to="account", inverse={"key": "below", "label": label("Below")}, on_delete="set_null"),
        fld("friends", "m2m", to="account", inverse={"key": "friend_of", "label": label("Friends")}),
        fld("since", "date", set_once=True, default={"expr": "today()"}),
        fld("reason", "text", required_if="grade == 'c'"),
        fld("remark", "longtext", visible_if="grade == 'a'", required=True),
        fld("fixed", "text", read_only_if="credit == 50"),
        fld("frozen", "bool"),
        fld("line_count", "rollup", of="lines", fn="count"),
        fld("line_sum", "rollup", of="lines", fn="sum", field="amount", where="status != 'void'"),
        fld("line_last", "rollup", of="lines", fn="max", field="date"),
        fld("big_sum", "rollup", of="lines", fn="sum", field="qty", where="value > 100"),
        fld("branch_sum", "rollup", of="below", fn="sum", field="line_count"),
        fld("title2", "formula", returns="text", expr="concat(name, ' / ', coalesce(bank, '-'))"),
        fld("average", "formula", returns="number", expr="if(line_count > 0, line_sum / line_count, null)"),
    ],
    "rules": [{"key": "credit_grade", "expr": "grade != 'a' or credit == null or credit >= 10", "message": label("Grade A needs credit"), "field": "credit"}],
    "unique": [
        {"key": "taxno", "fields": ["taxno"], "message": label("Tax number taken")},
        {"key": "name_city", "fields": ["name", "city"]},
        {"key": "vip_bank", "fields": ["bank"], "when": "grade == 'a'"},
    ],
    "duplicates": [
        {"key": "same_phone", "match": ["phone"], "action": "warn", "message": label("Same phone"), "reveal": ["owner"]},
        {"key": "same_mail", "match": ["mail"], "action": "block"},
        {"key": "same_name", "match": ["name", "region"], "action": "warn"},
    ],
    "tree": {"parent": "above", "max_depth": 3},
    "editable_if": "frozen != true", "deletable_if": "grade != 'a'",
    "messages": {"created": label("Account saved")},
}  # fmt: skip

LINE = {
    "key": "line", "label": label("Line"), "plural": label("Lines"), "title": "name", "owned": False,
    "fields": [
        fld("name", "text"),
        fld("account", "ref", to="account", required=True, inverse={"key": "lines", "label": label("Lines")}, on_delete="cascade", detail=True),
        fld("amount", "money"), fld("qty", "number"), fld("date", "date"),
        fld("status", "option", options=options("open", "void"), default="open"),
        fld("value", "formula", returns="number", expr="amount * coalesce(qty, 1)"),
    ],
}  # fmt: skip

CONTRACT = {
    "key": "contract", "label": label("Contract"), "plural": label("Contracts"), "title": "name",
    "fields": [
        fld("name", "text", required=True),
        fld("account", "ref", to="account", inverse={"key": "contracts", "label": label("Contracts")}, on_delete="restrict"),
        fld("line", "ref", to="line", filter="account == new.account", on_delete="set_null", inverse={"key": "contracts", "label": label("Contracts")}),
    ],
}  # fmt: skip

DEAL = {
    "key": "deal", "label": label("Deal"), "plural": label("Deals"), "title": "name",
    "fields": [
        fld("name", "text", required=True, max_length=60),
        fld("account", "ref", to="account", inverse={"key": "deals", "label": label("Deals")}, on_delete="set_null"),
        fld("amount", "money"), fld("chance", "percent"),
        fld("stage", "pipeline", pipeline="deal"),
        fld("winner", "user"), fld("won_on", "date"), fld("reason", "text"), fld("satisfaction", "rating"), fld("comment", "text"),
        fld("contact", "phone"),
    ],
    "duplicates": [{"key": "contact", "match": ["contact"], "action": "warn"}],
}  # fmt: skip

TASK = {
    "key": "task", "label": label("Task"), "plural": label("Tasks"), "title": "name",
    "fields": [
        fld("name", "text", required=True, max_length=30),
        fld("deal", "ref", to="deal", inverse={"key": "tasks", "label": label("Tasks")}, on_delete="cascade"),
        fld("account", "ref", to="account", inverse={"key": "tasks", "label": label("Tasks")}, on_delete="set_null"),
        fld("done", "bool", default=False), fld("tries", "int"), fld("stage", "pipeline", pipeline="task"),
    ],
}  # fmt: skip

LOG = {
    "key": "log", "label": label("Log"), "plural": label("Logs"), "title": "text", "append_only": True, "owned": False,
    "fields": [fld("text", "text"), fld("task", "text"), fld("n", "int")],
}  # fmt: skip

FEED = {"key": "feed", "label": label("Feed"), "plural": label("Feeds"), "title": "text", "read_only": True, "fields": [fld("text", "text")]}

PIPELINES = [
    {
        "key": "deal", "entity": "deal", "field": "stage", "label": label("Deal"),
        "stages": [
            {"key": "open", "label": label("Open")}, {"key": "offer", "label": label("Offer")},
            {"key": "won", "label": label("Won"), "kind": "won"}, {"key": "lost", "label": label("Lost"), "kind": "lost"},
        ],
        "transitions": [
            {"key": "offer", "label": label("Offer"), "from": ["open"], "to": "offer", "require": ["amount"], "ask": ["comment"], "set": {"chance": "50"}},
            {"key": "win", "label": label("Win"), "from": ["open", "offer"], "to": "won", "guard": "amount > 100", "guard_message": label("Amount too small"),
             "require": ["winner"], "set": {"won_on": "today()"}, "done": label("Congratulations"),
             "effects": [
                 {"action": "create", "entity": "task", "as": "first", "values": {"name": "concat('Thank ', name)", "deal": "id", "account": "account", "owner": "winner"}},
                 {"action": "set", "target": "account", "values": {"credit": "if(account.credit == null, 20, account.credit)"}, "if": "account != null"},
                 {"action": "notify", "to": ["winner", "role:chief"], "title": {"en": "Won {{ name }}", "zh_CN": "赢得 {{ name }}"}, "body": label("{{ result.first.name }}")},
                 {"action": "warn", "message": label("Mind {{ name }}"), "if": "amount > 1000"},
                 {"action": "block", "message": label("Too much"), "if": "amount > 5000"},
             ]},
            {"key": "lose", "label": label("Lose"), "from": ["*"], "to": "lost", "require": ["reason"], "roles": ["seller", "chief"]},
            {"key": "reopen", "label": label("Reopen"), "from": ["lost"], "require": ["satisfaction"],
             "branches": [{"if": "satisfaction >= 4", "to": "offer"}, {"if": "satisfaction >= 2", "to": "open"}, {"to": "lost"}]},
            {"key": "postpone", "label": label("Postpone"), "from": ["open"], "to": "open", "allow_if": "owner == me()"},
            {"key": "break", "label": label("Break"), "from": ["open"], "to": "offer", "set": {"chance": "500"}},
            {"key": "phone", "label": label("Phone"), "from": ["open"], "to": "open", "ask": ["contact"]},
        ],
    },
    {
        "key": "task", "entity": "task", "field": "stage", "label": label("Task"),
        "stages": [{"key": "todo", "label": label("To do")}, {"key": "done", "label": label("Done"), "kind": "done"}],
        "transitions": [{"key": "finish", "label": label("Finish"), "from": ["todo"], "to": "done", "set": {"done": "true"}}],
    },
]  # fmt: skip

# ---- people ------------------------------------------------------------------------------------------------------------


def _role(key: str, entities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.title()), "entities": entities or {}, **more}


def _all(scope: Any, **more: Any) -> dict[str, Any]:
    return {"create": True, "read": scope, "update": scope, "delete": scope, "export": scope, **more}


OPEN = {"line": _all("all"), "deal": _all("all"), "task": _all("all"), "contract": _all("all"), "thing": _all("all"), "log": _all("all"), "feed": _all("all")}

ROLES = [
    {"key": "admin", "label": label("Administrator"), "admin": True},
    _role("chief", {**OPEN, "account": _all("all", bulk=True)}),
    _role("seller", {**OPEN, "account": _all("own")}, transitions={"deal": "*", "task": "*"}),
    _role("dept_user", {**OPEN, "account": _all("dept")}),
    _role("tree_user", {**OPEN, "account": _all("dept_tree")}),
    _role("team_lead", {**OPEN, "account": _all("team")}),
    _role("assigned", {**OPEN, "account": _all("assigned")}),
    _role("participant", {**OPEN, "account": _all("participant")}),
    _role("conditional", {
        **OPEN,
        "account": {"create": {"if": "grade == 'b'"}, "read": "all", "update": ["own", {"scope": "all", "if": "grade == 'c'"}],
                    "delete": {"scope": "own", "if": "grade == 'b'"}, "export": {"scope": "all", "if": "grade != 'a'"}},
    }),
    _role("importer", {"account": {"import": True, "read": "all"}}),
    _role("reader", {"*": {"read": "all"}}, transitions={"deal": []}),
    _role("creator", {"account": {"create": True, "read": "none"}}),
    _role("nobody", {"*": {"read": "none"}}),
    _role("blind", {"*": {"read": "all"}, "account": _all("all", fields={"bank": "hidden", "phone": "masked", "credit": "read", "budget": {"access": "hidden", "if": "grade == 'a'"},
                                                                     "taxno": {"access": "masked", "mask": "{2}***{2}"}}),
                    "thing": _all("all", fields={"secret": "hidden", "phone": "masked"})}),
    _role("half_blind", {"account": _all("all", fields={"bank": "read", "phone": "hidden"})}),
    _role("untitled", {"account": _all("all", fields={"name": "hidden"}), "contract": _all("all")}),
]  # fmt: skip

DEPARTMENTS = [
    {"key": "company", "label": label("Company")},
    {"key": "north", "label": label("North"), "parent": "company"},
    {"key": "north_east", "label": label("North East"), "parent": "north"},
    {"key": "south", "label": label("South"), "parent": "company"},
]  # fmt: skip

AUTOMATIONS = [
    {"key": "tidy", "label": label("Tidy"), "entity": "task", "on": {"trigger": "before_save"},
     "do": [{"action": "set", "values": {"name": "trim(name)"}}, {"action": "block", "if": "name == 'forbidden'", "message": label("Forbidden task")},
            {"action": "warn", "if": "name == 'odd'", "message": label("Odd task")}]},
    {"key": "on_create", "label": label("Log"), "entity": "task", "on": {"trigger": "create"},
     "do": [{"action": "create", "entity": "log", "values": {"text": "'created'", "task": "name"}}]},
    {"key": "on_update", "label": label("Count"), "entity": "task", "on": {"trigger": "update", "fields": ["done", "tries"]}, "if": "tries != null and tries < 3",
     "do": [{"action": "set", "values": {"tries": "tries + 1"}}, {"action": "create", "entity": "log", "values": {"text": "'updated'", "task": "name", "n": "old('tries')"}}]},
    {"key": "on_move", "label": label("Moved"), "entity": "task", "on": {"trigger": "transition", "to": "done"},
     "do": [{"action": "create", "entity": "log", "values": {"text": "'done'", "task": "name"}}]},
    {"key": "on_delete", "label": label("Deleted"), "entity": "task", "on": {"trigger": "delete"},
     "do": [{"action": "create", "entity": "log", "values": {"text": "'deleted'", "task": "name"}}]},
    {"key": "on_restore", "label": label("Restored"), "entity": "task", "on": {"trigger": "restore"},
     "do": [{"action": "create", "entity": "log", "values": {"text": "'restored'", "task": "name"}}]},
    {"key": "ping", "label": label("Ping"), "entity": "thing", "on": {"trigger": "update", "fields": ["note"]}, "if": "note == 'ping'",
     "do": [{"action": "set", "values": {"note": "'pong'"}}]},
    {"key": "pong", "label": label("Pong"), "entity": "thing", "on": {"trigger": "update", "fields": ["note"]}, "if": "note == 'pong'",
     "do": [{"action": "set", "values": {"note": "'ping'"}}]},
    {"key": "breed", "label": label("Breed"), "entity": "log", "on": {"trigger": "create"}, "if": "text == 'breed'",
     "do": [{"action": "create", "entity": "log", "values": {"text": "'breed'"}}]},
    *({"key": f"chain{i}", "label": label("Chain"), "entity": "log", "on": {"trigger": "create"}, "if": f"text == 'chain{i}'",
       "do": [{"action": "create", "entity": "log", "values": {"text": f"'chain{i + 1}'"}}]} for i in range(7)),
]  # fmt: skip

SCHEDULES = [
    {"key": "nudge", "label": label("Nudge"), "every": {"cron": "0 2 * * *"}, "entity": "task", "once_per": "day", "where": "done == false",
     "do": [{"action": "create", "entity": "log", "values": {"text": "'nudge'", "task": "name"}}, {"action": "block", "if": "name == 'broken'", "message": label("Broken")}]},
    {"key": "once", "label": label("Once"), "every": {"cron": "30 2 * * *"}, "entity": "task", "once_per": "ever", "where": "done == false",
     "do": [{"action": "create", "entity": "log", "values": {"text": "'once'", "task": "name"}}]},
    {"key": "each", "label": label("Each"), "every": {"cron": "0 3 * * *"}, "entity": "task", "once_per": "run", "where": "tries == 9",
     "do": [{"action": "create", "entity": "log", "values": {"text": "'each'", "task": "name"}}]},
]  # fmt: skip

VIEWS = [
    {"key": "hidden_filter", "entity": "account", "label": label("By bank"), "columns": ["name", "grade"], "filter": "bank == 'gold'", "sort": ["bank", "name"]},
    {"key": "board", "entity": "deal", "label": label("Board"), "kind": "board", "board": {"by": "stage", "sum": "amount", "card": ["account", "winner"]}},
    {"key": "grades", "entity": "account", "label": label("Grades"), "kind": "board", "board": {"by": "grade", "sum": "budget", "card": ["helper", "bank"]},
     "filter": "bank != 'none' or bank == null"},
]  # fmt: skip


def rich_bundle() -> dict[str, Any]:
    """A valid bundle that uses nearly the whole engine; a fresh copy each time."""
    return copy.deepcopy(
        {
            "format": 1,
            "pack": {"key": "rich", "version": "1.0.0", "label": label("Rich"), "icon": "briefcase"},
            "settings": [{"key": "days", "label": label("Days"), "type": "int", "default": 30}],
            "departments": DEPARTMENTS, "entities": [THING, ACCOUNT, LINE, CONTRACT, DEAL, TASK, LOG, FEED], "pipelines": PIPELINES,
            "roles": ROLES, "views": VIEWS, "automations": AUTOMATIONS, "schedules": SCHEDULES,
        }
    )  # fmt: skip


# ---- tenants -----------------------------------------------------------------------------------------------------------


@dataclass
class Lab:
    """A tenant with a bundle and its people. `ctx("seller")` is that person's context, as it is now."""

    tenant_id: UUID
    slug: str
    people: dict[str, UUID] = field(default_factory=dict)
    departments: dict[str, UUID] = field(default_factory=dict)

    async def ctx(self, who: str = "admin", *, at: datetime | None = None, **changes: Any) -> Context:
        found = await context_for_user(self.tenant_id, self.people[who])
        return found.replace(**changes, **({"fixed_now": at} if at else {}))

    async def system(self, *, at: datetime | None = None, origin: str = "system") -> Context:
        return await system_context(self.tenant_id, origin=origin, at=at)

    async def person(self, key: str, roles: list[str], department: str | None = None, locale: str | None = None, superior: str | None = None) -> UUID:
        """Add somebody (once) and give their id."""
        if key not in self.people:
            email = f"{key.replace('_', '-')}@{self.slug}.example"
            self.people[key] = await create_user(self.tenant_id, email, PASSWORD, key.title(), roles, department, locale)
            if superior:
                await update_user(self.tenant_id, self.people[key], {"superior_id": self.people[superior]})
        return self.people[key]

    async def make(self, entity: str, by: str | None = "admin", **values: Any) -> UUID:
        """Create a record; `by=None` is the system. Returns its id."""
        ctx = await self.ctx(by) if by else await self.system()
        change = await execute(ctx, ops.Create(entity=entity, values=values, confirm_duplicates=True))
        return UUID(next(e["id"] for e in change.effects if e["action"] == "create" and e["entity"] == entity))

    async def get(self, entity: str, record_id: UUID, by: str = "admin") -> ops.Record:
        return await execute(await self.ctx(by), ops.Get(entity=entity, id=record_id))

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Look behind the door; $1 is the tenant."""
        async with tenant_transaction(self.tenant_id) as conn:
            return await conn.fetch(sql, self.tenant_id, *args)

    async def publish(self, bundle: dict[str, Any]) -> None:
        ctx = await self.system()
        await publish(self.tenant_id, bundle, base_revision=ctx.config.revision)


_count = iter(range(1, 100000))


async def make_lab(bundle: dict[str, Any] | None = None, *, people: bool = True, locale: str = "en") -> Lab:
    """A fresh tenant with the rich bundle (or another) and one person per role."""
    import os

    load_kinds()  # also where a program of its own makes one
    slug = f"lab{os.getpid()}-{next(_count)}"
    tenant_id = new_id()
    email = f"admin@{slug}.example"
    await create_tenant(
        slug, slug.title(), "rich", locale, email, PASSWORD, role_keys=["admin"], tenant_id=tenant_id, time_zone="Asia/Shanghai", currency="CNY", country="CN"
    )
    await publish(tenant_id, bundle or rich_bundle(), base_revision=0)
    lab = Lab(tenant_id, slug)
    lab.people["admin"] = (await find_user(tenant_id, email=email))["id"]
    lab.departments = {d["key"]: d["id"] for d in await list_departments(tenant_id)}
    if people:
        for role in ROLES[1:]:
            key = role["key"]
            await lab.person(key, [key], "north" if key not in ("reader", "nobody") else None)
    return lab
