"""What the engine benchmark asks of both systems: each operation with its requests, its target and how to see that both say the same."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.client import Answer, Ask, get, send
from tests.benchmarks.material import FIRST, SECOND, WORDS
from tests.benchmarks.pair import Pair

LIST = "name,code,level,industry,status,revenue,city,last_contact_at"
LINKED = "name,level,region,product,campaign,revenue"
RECORDS = "/api/v1/records"
# Made by this very request, or at its moment: nothing two systems could agree on.
OWN = {"id", "created_at", "updated_at", "state_since", "effects", "message", "warnings"}


@dataclass(frozen=True, slots=True)
class Operation:
    """`asks`: the requests, one a round (again from the first when there are more rounds); `target`: the ratio aimed at;
    `writes`: each request can be sent once only; `seen`: what both answers must have in common."""

    key: str
    title: str
    target: float | None
    asks: list[Ask]
    writes: bool = False
    seen: Callable[[Answer], Any] = lambda answer: _plain(answer.json())


def _plain(found: Any) -> Any:
    """Without the moments at which earlier runs changed records: each system has its own."""
    if isinstance(found, dict):
        return {k: _plain(v) for k, v in found.items() if k != "updated_at"}
    return [_plain(v) for v in found] if isinstance(found, list) else found


def _written(answer: Answer) -> Any:
    """A record that both made or changed, without what is each system's own."""
    found = answer.json()
    found = found.get("record", found)
    display = {k: v for k, v in found["display"].items() if k not in OWN}
    return {**{k: v for k, v in found.items() if k not in OWN}, "display": display}


def _titles(answer: Answer) -> Any:
    """For lists whose first rows earlier runs made, each system with ids of its own."""
    return [(r["title"], r["values"]) for r in answer.json()["data"]]


def _moved(answer: Answer) -> Any:
    return {"record": _written(answer), "effects": sorted((e["action"], e["entity"]) for e in answer.json()["effects"] if e["action"] != "transition")}


def _funnel(answer: Answer) -> Any:
    [widget] = answer.json()["widgets"]
    return [(r["keys"], r["values"], r["days"]) for r in (*widget["rows"], *widget["lost"])]


def _rows_of_page(answer: Answer) -> Any:
    """Rows of a list and cards of a board by their titles, in order; figures of a board's columns."""
    text = answer.text()
    return [re.findall(pattern, text) for pattern in (r'class="(?:title-link|card-title)"[^>]*>([^<]+)<', r'class="count">([0-9,]+)<', r'class="board-sum">([^<]+)<')]


@dataclass(slots=True)
class Draw:
    """Repeatable choices of what to ask for."""

    pair: Pair
    rounds: int
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def customers(self, count: int, *, mine: bool = False) -> list[Any]:
        """Ids of customers there are in both systems; `mine`: which the person may change, with their versions."""
        rows = await self.pair.conn.fetch(
            "SELECT b.id, r.version AS one, b.version AS other FROM baseline.customer b JOIN public.record r ON r.tenant_id = b.tenant_id AND r.entity_id = $2 AND r.id = b.id "
            "WHERE b.tenant_id = $1 AND b.deleted_at IS NULL AND b.code LIKE 'C%' "
            "AND ($3::uuid IS NULL OR b.department_id = (SELECT department_id FROM baseline.app_user WHERE tenant_id = $1 AND id = $3)) ORDER BY md5(b.id::text) LIMIT $4",
            self.pair.tenant_id, self.pair.numbers["customer"], self.pair.user_id if mine else None, count,
        )  # fmt: skip
        return [row for row in rows if row["one"] == row["other"]]

    async def new_deals(self, count: int) -> list[Any]:
        """Deals at the first stage in both systems that the person may move, each with the version both have."""
        rows = await self.pair.conn.fetch(
            "SELECT DISTINCT ON (b.customer_id) b.id, r.version AS one, b.version AS other FROM baseline.deal b "
            "JOIN public.record r ON r.tenant_id = b.tenant_id AND r.entity_id = $2 AND r.id = b.id AND r.state = b.stage "
            "WHERE b.tenant_id = $1 AND b.stage = 'new' AND b.deleted_at IS NULL AND b.department_id = (SELECT department_id FROM baseline.app_user WHERE tenant_id = $1 AND id = $3) "
            "ORDER BY b.customer_id DESC, b.id LIMIT $4",
            self.pair.tenant_id, self.pair.numbers["deal"], self.pair.user_id, count,
        )  # fmt: skip
        return [row for row in rows if row["one"] == row["other"]]

    async def deep(self) -> list[str]:
        """Cursors from the middle of the customers by revenue, downwards. Both systems write them the same way."""
        import base64

        count = await self.pair.conn.fetchval("SELECT count(*) FROM baseline.customer WHERE tenant_id = $1 AND revenue IS NOT NULL", self.pair.tenant_id)
        rows = await self.pair.conn.fetch(
            "SELECT id, revenue FROM baseline.customer WHERE tenant_id = $1 AND revenue IS NOT NULL ORDER BY revenue DESC, id DESC OFFSET $2 LIMIT $3",
            self.pair.tenant_id, count // 2, self.rounds,
        )  # fmt: skip
        return [base64.urlsafe_b64encode(json.dumps([str(r[0]), [r[1]]], separators=(",", ":")).encode()).decode().rstrip("=") for r in rows]


def _equal(field_: str, value: Any) -> dict[str, Any]:
    return {"field": field_, "op": "eq", "value": value}


async def operations(pair: Pair, rounds: int, run: str) -> list[Operation]:
    """All of them, in the order they are measured. `run` tells codes of this run from those of earlier ones."""
    draw = Draw(pair, rounds + 3)
    customers = await draw.customers(draw.rounds)
    mine = await draw.customers(draw.rounds * 2, mine=True)
    deals = await draw.new_deals(draw.rounds)
    industries, levels = ("machinery", "chemicals", "food", "textiles", "electronics", "software"), ("a", "b", "c", "d")
    pairs = [{"and": [_equal("industry", i), _equal("level", level)]} for i in industries for level in levels]
    rare = [{"and": [_equal("industry", i), _equal("level", "a"), _equal("status", "lost"), _equal("vip", True)]} for i in industries]
    half = [_equal("status", s) for s in ("active", "prospect")]
    pages = {"limit": 50, "fields": LIST}
    chinese = [FIRST[i] + SECOND[j] for i in range(5) for j in range(5)]
    figures = send("POST", f"{RECORDS}/deal/aggregate", {"measures": [{"fn": "count"}, {"fn": "sum", "field": "amount"}], "dimensions": [{"field": "stage"}, {"field": "expected_on", "bucket": "month"}]})
    return [
        Operation("list", "list sorted by a custom field, first page", 1.3, [get(f"{RECORDS}/customer", sort="-revenue", **pages)]),
        Operation("list_deep", "the same, page in the middle", 1.3, [get(f"{RECORDS}/customer", sort="-revenue", after=cursor, **pages) for cursor in await draw.deep()]),
        Operation("list_newest", "list in the usual order, newest first", 1.3, [get(f"{RECORDS}/customer", **pages)], seen=_titles),
        Operation("list_changed", "deals, last changed first", 1.3, [get(f"{RECORDS}/deal", sort="-updated_at", limit=50, fields="name,customer,amount,stage")], seen=_titles),
        Operation("filter", "filter on two fields, sorted by a third", 1.3, [get(f"{RECORDS}/customer", filter=f, sort="-last_contact_at", **pages) for f in pairs]),
        Operation("filter_rare", "filter that matches few, sorted", None, [get(f"{RECORDS}/customer", filter=f, sort="-last_contact_at", **pages) for f in rare]),
        Operation("count_capped", "count up to 1,000", 1.3, [get(f"{RECORDS}/customer", filter=f, sort="-revenue", count="capped", limit=1, fields="name") for f in pairs]),
        Operation("count_exact", "exact count", 1.4, [get(f"{RECORDS}/customer", filter=f, sort="-revenue", count="exact", limit=1, fields="name") for f in half]),
        Operation("list_links", "list with three lookup columns", 1.2, [get(f"{RECORDS}/customer", sort="-revenue", limit=50, fields=LINKED)]),
        Operation("list_all", "list with all fields", None, [get(f"{RECORDS}/customer", sort="-revenue", limit=50)]),
        Operation("get", "one record", 1.4, [get(f"{RECORDS}/customer/{row['id']}") for row in customers]),
        Operation("search_chinese", "search by two Chinese characters", 1.0, [get(f"{RECORDS}/customer", q=text, limit=50, fields=LIST) for text in chinese]),
        Operation("search_word", "search by a word", 1.0, [get(f"{RECORDS}/customer", q=word, limit=50, fields=LIST) for word in WORDS]),
        Operation("report", "report by stage and month", 1.2, [figures]),
        Operation("funnel", "funnel of stages ever reached", 1.2, [get("/api/v1/reports/funnel")], seen=_funnel),
        Operation("page_list", "page: list of 50 rows", None, [get("/r/customer", page=True)], seen=_rows_of_page),
        Operation("page_board", "page: board with sums", 1.3, [get("/r/deal/board", page=True)], seen=_rows_of_page),
        Operation("create", "create with history", 1.5, [send("POST", f"{RECORDS}/customer", {"values": new_customer(run, n)}) for n in range(draw.rounds)], writes=True, seen=_written),
        Operation("create_child", "create under a parent with a rollup", 1.5, [send("POST", f"{RECORDS}/deal", {"values": new_deal(str(row["id"]), n)}) for n, row in enumerate(customers)], writes=True, seen=_written),
        Operation("update", "update one field", 1.5, [send("PATCH", f"{RECORDS}/customer/{row['id']}", {"values": {"city": f"城市 {run} {n}"}}, If_Match=str(row["one"])) for n, row in enumerate(mine[: draw.rounds])], writes=True, seen=_written),
        Operation("update_name", "update the name: search follows", None, [send("PATCH", f"{RECORDS}/customer/{row['id']}", {"values": {"name": f"更名公司 {run} {n}"}}, If_Match=str(row["one"])) for n, row in enumerate(mine[draw.rounds :])], writes=True, seen=_written),
        Operation("transition", "transition with two effects", 1.5, [send("POST", f"{RECORDS}/deal/{row['id']}/transitions/qualify", {}, If_Match=str(row["one"])) for row in deals], writes=True, seen=_moved),
    ]


def new_customer(run: str, number: int) -> dict[str, Any]:
    return {
        "name": f"基准新客户 {run} {number}", "name_en": f"Benchmark {run} {number}", "code": f"N{run}-{number}", "level": "d", "industry": "retail", "status": "prospect", "city": "苏州",
        "phone": "13800000000", "mail": "new@benchmark.example", "employees": 12, "score": 3.5, "revenue": {"amount": "1.00", "currency": "CNY"}, "founded_on": "2020-02-02", "vip": False,
        "note": "Made by the benchmark.",
    }  # fmt: skip


def new_deal(customer: str, number: int) -> dict[str, Any]:
    return {
        "name": f"基准商机 {number}", "customer": customer, "amount": {"amount": "1.00", "currency": "CNY"}, "probability": 10, "expected_on": "2027-12-01", "source": "web",
        "quantity": 1, "contact": "王伟", "next_step": "Call", "renewal": False,
    }  # fmt: skip
