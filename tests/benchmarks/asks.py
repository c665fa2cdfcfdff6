"""Requests to one tenant of known records: what can be asked follows from the material, without looking into the database."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.client import Ask, get, send
from tests.benchmarks.data import DEPARTMENTS
from tests.benchmarks.material import FIRST, SECOND, WORDS, Material
from tests.benchmarks.operations import LINKED, LIST, RECORDS, new_customer, new_deal

# Words that few records have, whatever the size; the frequent ones are a matter of how much is found.
RARE = [FIRST[-1 - i] + SECOND[-1 - j] for i in range(4) for j in range(4)]


class Asks:
    """The requests of one tenant, as its first person. Reads repeat; writes are made as they are needed, each for a record of its own."""

    def __init__(self, material: Material, *, deep: list[str], run: str) -> None:
        self.material, self.deep, self.run = material, deep, run
        self.chance = random.Random(11)
        self._made = 0
        self.new_deals: list[str] = []  # made by this person, so theirs to move
        self._mine = self._numbers("customer")
        self._deals = self._numbers("deal")

    def _numbers(self, kind: str) -> Any:
        """Numbers of records that the first person may change: those of their department's people. Deals only at the first stage."""
        count = getattr(self.material.size, f"{kind}s")
        order = list(range(count)) if count <= 5_000 else random.Random(5).sample(range(count), count // 3)
        for number in order:
            item = getattr(self.material, kind)(number)
            if item.owner % len(DEPARTMENTS) == 0 and (kind == "customer" or item.values["stage"] == "new"):
                yield number

    def _some(self, kind: str) -> UUID:
        return self.material.id_of(kind, self.chance.randrange(getattr(self.material.size, f"{kind}s")))

    def make(self, key: str) -> Ask:
        """A request of this kind. Errors: StopIteration when no record is left for it."""
        self._made += 1
        number, choice = self._made, self.chance.choice
        if key == "list":
            return get(f"{RECORDS}/customer", sort="-revenue", limit=50, fields=LIST)
        if key == "list_newest":
            return get(f"{RECORDS}/customer", limit=50, fields=LIST)
        if key == "list_deep":
            return get(f"{RECORDS}/customer", sort="-revenue", limit=50, fields=LIST, after=choice(self.deep))
        if key == "list_links":
            return get(f"{RECORDS}/customer", sort="-revenue", limit=50, fields=LINKED)
        if key == "filter":
            parts = [{"field": "industry", "op": "eq", "value": choice(("machinery", "chemicals", "food"))}, {"field": "level", "op": "eq", "value": choice("bc")}]
            return get(f"{RECORDS}/customer", sort="-last_contact_at", limit=50, fields=LIST, filter={"and": parts})
        if key == "count_capped":
            return get(f"{RECORDS}/customer", limit=1, fields="name", count="capped", sort="-revenue", filter={"field": "level", "op": "eq", "value": choice("abcd")})
        if key == "get":
            return get(f"{RECORDS}/customer/{self._some('customer')}")
        if key == "search_chinese":
            return get(f"{RECORDS}/customer", q=choice(RARE), limit=20, fields=LIST)
        if key == "search_two_words":
            return get(f"{RECORDS}/customer", q=f"{choice(WORDS[-8:])} {choice(WORDS)}", limit=20, fields=LIST)
        if key == "create":
            return send("POST", f"{RECORDS}/customer", {"values": new_customer(self.run, number)})
        if key == "create_child":
            return send("POST", f"{RECORDS}/deal", {"values": new_deal(str(self._some("customer")), number)})
        if key == "update":
            return send("PATCH", f"{RECORDS}/customer/{self.material.id_of('customer', next(self._mine))}", {"values": {"city": f"城市 {self.run} {number}"}})
        if key == "transition":
            deal = self.new_deals.pop() if self.new_deals else self.material.id_of("deal", next(self._deals))
            return send("POST", f"{RECORDS}/deal/{deal}/transitions/qualify", {})
        if key == "report":
            return send("POST", f"{RECORDS}/deal/aggregate", {"measures": [{"fn": "count"}, {"fn": "sum", "field": "amount"}], "dimensions": [{"field": "stage"}, {"field": "expected_on", "bucket": "month"}]})
        if key == "page_list":
            return get("/r/customer", page=True)
        if key == "page_record":
            return get(f"/r/customer/{self._some('customer')}", page=True)
        if key == "page_board":
            return get("/r/deal/board", page=True)
        raise KeyError(key)


async def deep_cursors(conn: asyncpg.Connection, tenant_id: UUID, count: int = 30) -> list[str]:
    """Cursors in the middle of the customers by revenue, downwards."""
    number, column = await conn.fetchrow(
        "SELECT e.id, f.column_name FROM entity e JOIN field_column f ON f.tenant_id = e.tenant_id AND f.entity_id = e.id WHERE e.tenant_id = $1 AND e.key = 'customer' AND f.field_key = 'revenue'",
        tenant_id,
    )
    total = await conn.fetchval(f"SELECT count({column}) FROM record WHERE entity_id = $1", number)  # noqa: S608  a column of the slots
    rows = await conn.fetch(
        f"SELECT id, {column} FROM record WHERE entity_id = $1 AND {column} IS NOT NULL ORDER BY {column} DESC, id DESC OFFSET $2 LIMIT $3",  # noqa: S608  a column of the slots
        number, total // 2, count,
    )  # fmt: skip
    return [base64.urlsafe_b64encode(json.dumps([str(r[0]), [r[1]]], separators=(",", ":")).encode()).decode().rstrip("=") for r in rows]
