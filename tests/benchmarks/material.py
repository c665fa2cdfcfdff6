"""What the benchmark's records say: the same for the same number, in Chinese and Latin script, distributed like real ones.

Nothing here knows how records are stored. Values are JSON values of the fields of bundle.json.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

SEED = 20261122
START = datetime(2025, 1, 6, 1, 0, tzinfo=UTC)
SPAN_SECONDS = 670 * 86_400
CURRENCY = "CNY"

CITIES = ["北京", "上海", "广州", "深圳", "杭州", "南京", "苏州", "成都", "武汉", "西安", "重庆", "天津", "青岛", "大连", "宁波", "厦门", "长沙", "郑州", "沈阳", "哈尔滨", "济南", "合肥", "福州", "昆明"]
FIRST = "智恒华瑞泰信达通宏利德盛金海天云安和润佳博创卓凯鼎嘉源森"
SECOND = "远恒科新安泰达丰盈联众诚立洋峰腾翔宇航图易方圆康美乐"
TRADES = {
    "machinery": "机械", "chemicals": "化工", "food": "食品", "textiles": "纺织", "electronics": "电子", "software": "软件", "logistics": "物流",
    "construction": "建筑", "energy": "能源", "health": "医疗", "education": "教育", "retail": "商贸",
}  # fmt: skip
FORMS = ("有限公司", "有限公司", "股份有限公司", "集团", "科技有限公司")
WORDS = ["acme", "atlas", "beacon", "bright", "cedar", "cobalt", "copper", "crystal", "delta", "ember", "falcon", "garnet", "granite", "harbor", "horizon", "indigo", "juniper", "keystone", "lantern", "maple", "meridian", "nimbus", "northwind", "onyx", "orchard", "pioneer", "quartz", "river", "sable", "sequoia", "signal", "summit", "tangent", "umber", "valley", "vertex", "willow", "zephyr"]
BRANCHES = ["Trading", "Robotics", "Foods", "Textile", "Systems", "Software", "Logistics", "Building", "Energy", "Medical", "Learning", "Retail"]
ENDINGS = ("Ltd", "Inc", "GmbH", "Group", "Co")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静磊军洋勇艳杰涛明超霞平刚桂英华"
NOTES = (
    "上次拜访时谈到扩产计划，对交货期比较敏感，希望在第三季度前完成安装与验收。", "采购由总部统一负责，价格需要三方比价；技术部门支持我们的方案。",
    "Met at the spring fair; wants a quotation for two lines and training for six people.", "Prefers e-mail. Decision is made by the board once a quarter.",
)  # fmt: skip
STEPS = ("发送报价单", "安排技术交流", "Send the contract", "拜访总经理", "Wait for the budget", "准备样品")
STAGES = ("new", "qualified", "proposal", "negotiation", "won", "lost")


@dataclass(frozen=True, slots=True)
class Size:
    """How many records a tenant has; lookups are few everywhere."""

    customers: int
    deals: int
    regions: int = 24
    products: int = 60
    campaigns: int = 40


@dataclass(slots=True)
class Item:
    """A record to be: `owner` and `actor` are positions in the list of people; `stages` [(stage, entered)] of its pipeline."""

    id: UUID
    at: datetime
    values: dict[str, Any]
    owner: int | None = None
    stages: list[tuple[str, datetime]] = field(default_factory=list)


class Material:
    """One tenant's records by number. `salt` makes tenants differ."""

    def __init__(self, size: Size, salt: int = 0) -> None:
        self.size, self.salt = size, salt
        self.sums: Mapping[int, int] | array[int] = {}

    # ---- identity

    def _at(self, number: int, count: int) -> datetime:
        return START + timedelta(seconds=int(SPAN_SECONDS * number / max(count, 1)))

    def id_of(self, kind: str, number: int) -> UUID:
        count = getattr(self.size, f"{kind}s")
        milliseconds = int(self._at(number, count).timestamp() * 1000)
        noise = _mix(number * 8 + KINDS.index(kind) + self.salt * 0x9E3779B97F4A7C15)
        value = (milliseconds << 80) | (noise << 16) | (number & 0xFFFF)
        value = value & ~(0xF << 76) | 0x7 << 76
        return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)

    def customer_of(self, deal: int) -> int:
        """Deals come in groups of six, shared by three neighbouring customers; nine customers of twelve have none."""
        group, place = divmod(deal, 6)
        first = group * 6 * self.size.customers // max(self.size.deals, 1)
        return min(first + (0, 0, 0, 1, 1, 2)[place], self.size.customers - 1)

    def amount_of(self, deal: int) -> int:
        """Minor units."""
        noise = _mix(deal * 8 + 7 + self.salt * 31) / 2**64
        return int(100_000 * (1 + 999 * noise**3)) // 100 * 100 + deal % 100

    def add_up(self) -> None:
        """What all deals of each customer come to, for the stored rollup."""
        sums = array("q", bytes(8 * self.size.customers))
        for deal in range(self.size.deals):
            sums[self.customer_of(deal)] += self.amount_of(deal)
        self.sums = sums

    # ---- records

    def small(self, kind: str, number: int) -> Item:
        """A region, product or campaign."""
        draw = random.Random(f"{SEED} {self.salt} {kind} {number}")
        if kind == "region":
            values = {"name": f"{CITIES[number % len(CITIES)]}大区", "manager": _person(draw)}
        elif kind == "product":
            values = {"name": f"{list(TRADES.values())[number % 12]}设备 {chr(65 + number // 12)}{number % 12 + 1}0", "price": _money(draw.randrange(10_000, 9_000_000))}
        else:
            values = {"name": f"{2025 + number % 2} {draw.choice(CITIES)}展会 {number + 1}", "starts_on": (date(2025, 1, 1) + timedelta(days=number * 17)).isoformat()}
        return Item(self.id_of(kind, number), self._at(number, getattr(self.size, f"{kind}s")), values)

    def customer(self, number: int) -> Item:
        draw = random.Random((SEED + self.salt * 1_000_003) * 4_000_000_007 + number * 4 + 1)
        chance = draw.random
        trade = list(TRADES)[int(chance() ** 1.5 * 12)]
        city = CITIES[int(chance() ** 1.6 * len(CITIES))]
        word, other = WORDS[int(chance() ** 2 * len(WORDS))], WORDS[int(chance() * len(WORDS))]
        english = f"{word.title()} {other.title()} {BRANCHES[int(chance() * 12)]} {ENDINGS[int(chance() * 5)]}"
        if chance() < 0.8:
            name = f"{city}{FIRST[int(chance() ** 1.7 * len(FIRST))]}{SECOND[int(chance() ** 1.7 * len(SECOND))]}{TRADES[trade]}{FORMS[int(chance() * 5)]}"
        else:
            name = english
        level, status = chance(), chance()
        at = self._at(number, self.size.customers)
        last = at + timedelta(seconds=int(chance() * 8_000_000))
        values: dict[str, Any] = {
            "name": name, "name_en": english, "code": f"C{number + 1:07d}",
            "level": "a" if level < 0.08 else "b" if level < 0.3 else "c" if level < 0.75 else "d",
            "industry": trade,
            "status": "prospect" if status < 0.45 else "active" if status < 0.8 else "dormant" if status < 0.92 else "lost",
            "region": str(self.id_of("region", int(chance() ** 1.5 * self.size.regions))),
            "product": str(self.id_of("product", int(chance() ** 1.5 * self.size.products))),
            "campaign": str(self.id_of("campaign", int(chance() * self.size.campaigns))) if chance() < 0.6 else None,
            "city": city,
            "phone": f"1{int(30 + chance() * 60)}{int(chance() * 100_000_000):08d}",
            "mail": f"info{number}@{word}-{other}.example",
            "employees": int(5 + 5000 * chance() ** 6),
            "score": round(chance() * 100, 1),
            "revenue": _money(int(1_000_000 * (1 + 40_000 * chance() ** 7))) if chance() < 0.9 else None,
            "founded_on": (date(1985, 1, 1) + timedelta(days=int(chance() * 14_000))).isoformat(),
            "last_contact_at": _moment(last) if chance() < 0.85 else None,
            "next_contact_on": (last.date() + timedelta(days=int(10 + chance() * 60))).isoformat() if chance() < 0.5 else None,
            "vip": chance() < 0.03,
            "note": NOTES[int(chance() * len(NOTES))] if chance() < 0.4 else None,
        }  # fmt: skip
        return Item(self.id_of("customer", number), at, values, owner=int(chance() * 24))

    def deal(self, number: int) -> Item:
        draw = random.Random((SEED + self.salt * 1_000_003) * 4_000_000_007 + number * 4 + 2)
        chance = draw.random
        at = self._at(number, self.size.deals)
        product = int(chance() ** 1.5 * self.size.products)
        # Most old deals are over; of the young ones many are new.
        age = (self.size.deals - number) / max(self.size.deals, 1)
        final = chance() < 0.25 + 0.6 * age
        reached = STAGES[4 + (chance() < 0.55)] if final else STAGES[int(chance() ** (0.7 + age) * 4)]
        passed = list(STAGES[: STAGES.index(reached) + 1]) if reached != "lost" else [*STAGES[: 1 + int(chance() * 4)], "lost"]
        stages, moment = [], at
        for stage in passed:
            stages.append((stage, moment))
            moment += timedelta(seconds=int(3_600 + chance() * 1_500_000))
        brand = f"{FIRST[int(chance() * len(FIRST))]}{SECOND[int(chance() * len(SECOND))]}"
        values: dict[str, Any] = {
            "name": f"{brand}{list(TRADES.values())[product % 12]}设备采购 {at.year} {WORDS[int(chance() * len(WORDS))].title()}",
            "customer": str(self.id_of("customer", self.customer_of(number))),
            "stage": reached,
            "amount": _money(self.amount_of(number)),
            "probability": (10, 25, 50, 75, 100, 0)[STAGES.index(reached)],
            "expected_on": (at.date() + timedelta(days=int(20 + chance() * 200))).isoformat(),
            "product": str(self.id_of("product", product)),
            "campaign": str(self.id_of("campaign", int(chance() * self.size.campaigns))) if chance() < 0.4 else None,
            "region": str(self.id_of("region", int(chance() ** 1.5 * self.size.regions))),
            "source": ("web", "fair", "referral", "call", "partner")[int(chance() ** 1.3 * 5)],
            "priority": ("normal", "high", "low")[int(chance() ** 1.8 * 3)],
            "quantity": int(1 + chance() ** 3 * 200),
            "discount": round(chance() * 25, 1) if chance() < 0.5 else None,
            "contact": _person(draw),
            "phone": f"1{int(30 + chance() * 60)}{int(chance() * 100_000_000):08d}",
            "next_step": STEPS[int(chance() * len(STEPS))] if not final else None,
            "competitor": f"{WORDS[int(chance() * 12)].title()} {BRANCHES[int(chance() * 12)]}" if chance() < 0.3 else None,
            "renewal": chance() < 0.2,
            "decided_at": _moment(stages[-1][1]) if final else None,
            "reason": ("价格过高", "No budget", "选择竞争对手")[int(chance() * 3)] if reached == "lost" else None,
            "note": NOTES[int(chance() * len(NOTES))] if chance() < 0.25 else None,
        }  # fmt: skip
        return Item(self.id_of("deal", number), at, values, owner=int(chance() * 24), stages=stages)

    def rollup(self, number: int) -> dict[str, str]:
        """What a customer's stored rollup holds."""
        return _money(self.sums[number])


KINDS = ("region", "product", "campaign", "customer", "deal")


def _mix(value: int) -> int:
    """A 64-bit hash (splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


def _money(minor: int) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": CURRENCY}


def _moment(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _person(draw: random.Random) -> str:
    return draw.choice(SURNAMES) + draw.choice(GIVEN) + (draw.choice(GIVEN) if draw.random() < 0.6 else "")
