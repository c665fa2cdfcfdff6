"""A small trade with ledgers: points of members (with approval, origin, sub-accounts, expiry), stock of products (with reservation and a
minimum), and what customers still owe of a contract."""

from __future__ import annotations

import copy
from typing import Any

from tests.bundles import field as fld
from tests.bundles import label


def options(*keys: str) -> list[dict[str, Any]]:
    return [{"key": k, "label": label(k.title())} for k in keys]


def ref(key: str, to: str, inverse: str, **more: Any) -> dict[str, Any]:
    return fld(key, "ref", to=to, inverse={"key": inverse, "label": label(inverse.title())}, **more)


def entity(key: str, title: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label(key.title()), "plural": label(key.title() + "s"), "title": title, "fields": list(fields), "owned": False, **more}


MEMBER = entity(
    "member", "name", fld("name", "text", required=True), ref("main", "member", "subs"),
    fld("points", "rollup", of="entries", fn="sum", field="signed", where="status == 'approved'"),
    fld("waiting", "rollup", of="entries", fn="sum", field="signed", where="status == 'pending'"),
    fld("level", "option", options=options("plain", "vip"), default="plain"),
    search=["name"],
)  # fmt: skip
PURCHASE = entity("purchase", "name", fld("name", "text"), ref("member", "member", "purchases"), fld("rate", "percent", default=0))
ENTRY = entity(
    "entry", "note", fld("note", "text"), ref("member", "member", "entries", required=True), fld("direction", "option", options=options("add", "subtract"), required=True, default="add"),
    fld("amount", "int", required=True), fld("signed", "formula", returns="int", expr="if(direction == 'add', amount, 0 - amount)"),
    fld("event", "option", options=options("purchase", "issue", "expired", "redeem")), ref("purchase", "purchase", "entries"),
    fld("way", "option", options=options("manual", "automatic"), default="manual"), ref("account", "member", "passed_on"),
    fld("expires", "date"), ref("reverses", "entry", "reversed_by", unique=True), fld("status", "pipeline", pipeline="entry"),
    append_only=True,
)  # fmt: skip
PRODUCT = entity(
    "product", "name", fld("name", "text", required=True), fld("minimum", "number"), fld("price", "money"),
    fld("stock", "rollup", of="moves", fn="sum", field="signed"), fld("reserved", "rollup", of="moves", fn="sum", field="kept"),
    fld("available", "formula", returns="number", expr="coalesce(stock, 0) - coalesce(reserved, 0)"), search=["name"],
)  # fmt: skip
MOVE = entity(
    "move", "note", fld("note", "text"), ref("product", "product", "moves", required=True), fld("kind", "option", options=options("in", "out", "reserve", "release"), required=True),
    fld("quantity", "number", required=True),
    fld("signed", "formula", returns="number", expr="if(kind == 'in', quantity, if(kind == 'out', 0 - quantity, 0))"),
    fld("kept", "formula", returns="number", expr="if(kind == 'reserve', quantity, if(kind == 'release', 0 - quantity, 0))"),
    ref("reverses", "move", "reversed_by", unique=True), append_only=True,
)  # fmt: skip
PLAN = entity(
    "plan", "name", fld("name", "text"), ref("contract", "contract", "plans"), fld("due", "date"), fld("amount", "money", required=True),
    fld("paid", "rollup", of="payments", fn="sum", field="amount"), fld("open", "formula", returns="money", expr="amount - coalesce(paid, 0)"),
    fld("tax", "formula", returns="money", expr="amount * 13 / 100"),
)  # fmt: skip
OFFER = entity("offer", "name", fld("name", "text"), fld("note", "text"), ref("contract", "contract", "offers"), fld("state", "option", options=options("open", "done"), default="open"),
               editable_if="contract == null")
OFFER_LINE = entity("offer_line", "name", fld("name", "text"), ref("offer", "offer", "lines", required=True, detail=True), ref("product", "product", "offer_lines"), fld("price", "money"), fld("quantity", "number"))
CONTRACT_LINE = entity("contract_line", "name", fld("name", "text"), ref("contract", "contract", "lines", required=True, detail=True), ref("product", "product", "contract_lines"), fld("price", "money"),
                       fld("quantity", "number"), fld("sum", "formula", returns="money", expr="price * quantity"))
RECEIPT = entity("receipt", "note", fld("note", "text"), ref("contract", "contract", "receipts", required=True), fld("amount", "money", required=True))
CONTRACT = entity("contract", "name", fld("name", "text"), fld("note", "text"), ref("offer", "offer", "contracts"), fld("number", "auto", pattern="V-{yyyy}-{seq:3}", later=True),
                  fld("signed", "bool"), fld("total", "rollup", of="lines", fn="sum", field="sum"), fld("owed", "rollup", of="plans", fn="sum", field="open"))
PAYMENT = entity("payment", "note", fld("note", "text"), ref("plan", "plan", "payments", required=True), fld("amount", "money", required=True), append_only=True)

CUSTOMER = entity("customer", "name", fld("name", "text", required=True), fld("phone", "phone"), search=["name"], duplicates=[{"key": "name", "match": ["name"], "action": "warn"}])
CONTACT = entity("contact", "name", fld("name", "text", required=True), fld("phone", "phone"), ref("customer", "customer", "contacts", required=True), search=["name"])
DEAL = entity("deal", "subject", fld("subject", "text", required=True), ref("customer", "customer", "deals", required=True), ref("contact", "contact", "deals"),
              fld("total", "rollup", of="sales", fn="sum", field="amount"), owned=True)
SALE = entity(
    "sale", "name", fld("name", "text"), ref("deal", "deal", "sales", required=True, on_delete="cascade", detail=True), ref("customer", "customer", "sales"),
    ref("product", "product", "sales", required=True), fld("quantity", "number", required=True, min=1), fld("price", "money", required=True),
    fld("amount", "formula", returns="money", expr="quantity * price"),
)  # fmt: skip
AGENT = entity("agent", "name", fld("name", "text", required=True), fld("person", "user"), assignees=["person"])
REFERRAL = entity("referral", "name", fld("name", "text"), ref("agent", "agent", "referrals", required=True), fld("person", "user"), fld("approved_on", "datetime"), fld("worth", "money"), assignees=["person"])
LEAD_PRICE = entity("lead_price", "name", fld("name", "text"), fld("price", "money", required=True), fld("since", "date", required=True), ref("agent", "agent", "prices"))
CLOSING = entity(
    "closing", "period", ref("agent", "agent", "closings", required=True), fld("period", "text", required=True), fld("number", "int"), fld("amount", "money"), fld("person", "user"), assignees=["person"],
    append_only=True, unique=[{"key": "once", "fields": ["agent", "period"]}],
)  # fmt: skip
FACT = entity("fact", "name", fld("name", "text"), ref("agent", "agent", "facts", required=True), fld("day", "date", required=True), fld("amount", "number", required=True, min=0),
              unique=[{"key": "daily", "fields": ["agent", "day"]}])
# A card of a member: replacing it makes its sub-cards void. A gift costs points and takes one from stock.
CARD = entity("card", "number", fld("number", "text", required=True, unique=True), ref("member", "member", "cards", required=True), ref("main", "card", "subs"), fld("state", "pipeline", pipeline="card"))
GIFT = entity("gift", "name", fld("name", "text"), ref("member", "member", "gifts", required=True), ref("product", "product", "gifts", required=True), fld("cost", "int", required=True, min=1))
STATEMENTS = [{
    "key": "leads", "label": label("Leads"), "entity": "referral", "where": "approved_on != null", "columns": ["name"], "party": "agent", "date": "approved_on", "prices": "lead_price", "prices_value": "price",
    "prices_from": "since", "prices_party": "agent", "closings": "closing", "closed_party": "agent", "closed_period": "period", "closed_count": "number", "closed_amount": "amount",
}, {"key": "worth", "label": label("Worth"), "entity": "referral", "party": "agent", "date": "approved_on", "measure": "worth", "period": "quarter"}]  # fmt: skip
KINDS = options("volume", "buyer", "promotion", "cash")
DISCOUNT = entity(
    "discount", "name", fld("name", "text"), fld("kind", "option", options=KINDS), fld("percent", "percent", scale=1, required=True), fld("least", "number"), fld("begins", "date"), fld("ends", "date"),
    fld("buyer", "option", options=options("user", "distributor")), fld("term", "option", options=options("credit", "cash")), ref("product", "product", "discounts"),
)  # fmt: skip
TARIFF = entity("tariff", "name", fld("name", "text"), ref("product", "product", "tariffs"), fld("price", "money", required=True), fld("begins", "date"), fld("buyer", "option", options=options("user", "distributor")))
QUOTE = entity("quote", "name", fld("name", "text"), fld("buyer", "option", options=options("user", "distributor")), fld("term", "option", options=options("credit", "cash"), default="credit"),
               fld("net", "rollup", of="lines", fn="sum", field="amount"), fld("tax", "rollup", of="lines", fn="sum", field="vat"))
QUOTE_LINE = entity(
    "quote_line", "name", fld("name", "text"), ref("quote", "quote", "lines", required=True, detail=True), ref("product", "product", "quote_lines", required=True), fld("quantity", "number", required=True),
    fld("list", "money", read_only=True), fld("suggested", "money", read_only=True), fld("price", "money"), fld("why", "longtext", read_only=True), fld("below", "bool", read_only=True),
    fld("amount", "formula", returns="money", expr="quantity * price"), fld("vat", "formula", returns="money", expr="quantity * price * 13 / 100"),
)  # fmt: skip
PRICING = [{
    "key": "quotes", "label": label("Quotes"), "entity": "quote_line", "product": "product", "quantity": "quantity", "standard": "price", "list_price": "list", "suggested": "suggested", "price": "price",
    "explanation": "why", "deviates": "below", "prices": "tariff", "prices_value": "price", "prices_from": "begins", "prices_match": {"product": "product", "buyer": "quote.buyer"},
    "strategies": "discount", "kind": "kind", "discount": "percent", "minimum": "least", "valid_from": "begins", "valid_to": "ends",
    "match": {"product": "product", "buyer": "quote.buyer", "term": "quote.term"}, "combine": "best_then", "then": ["cash"],
}]  # fmt: skip
FORMS = [{
    "key": "entry", "label": label("Entry"), "entity": "deal", "fields": ["subject"], "only": True,
    "parts": [
        {"key": "customer", "ref": "customer", "fields": ["name", "phone"], "only": True}, {"key": "contact", "ref": "contact", "fields": ["name", "phone"], "only": True},
        {"key": "sales", "list": "sales", "fields": ["product", "quantity", "price", "amount"], "creates": ["product"], "only": True, "min": 1},
    ],
}, {
    "key": "offer", "label": label("Offer"), "entity": "quote", "fields": ["name", "buyer", "term"],
    "parts": [{"key": "lines", "list": "lines", "fields": ["product", "quantity", "suggested", "price", "why", "below", "amount"]}],
}, {
    "key": "trial", "label": label("Trial"), "entity": "plan", "fields": ["amount", "open", "tax"], "parts": [],
}]  # fmt: skip

PIPELINES = [{
    "key": "entry", "entity": "entry", "field": "status", "label": label("Entry"),
    "stages": [{"key": "pending", "label": label("Pending")}, {"key": "approved", "label": label("Approved"), "kind": "won"}, {"key": "rejected", "label": label("Rejected"), "kind": "lost"}],
    "transitions": [
        {"key": "approve", "label": label("Approve"), "from": ["pending"], "to": "approved", "roles": ["admin", "chief"]},
        {"key": "reject", "label": label("Reject"), "from": ["pending"], "to": "rejected", "roles": ["admin", "chief"]},
    ],
}, {
    "key": "card", "entity": "card", "field": "state", "label": label("Card"),
    "stages": [{"key": "active", "label": label("Active")}, {"key": "replaced", "label": label("Replaced"), "kind": "done"}, {"key": "void", "label": label("Void"), "kind": "lost"}],
    "transitions": [
        {"key": "replace", "label": label("Replace"), "from": ["active"], "to": "replaced",
         "effects": [{"action": "each", "of": "subs", "where": "state == 'active'", "do": [{"action": "transition", "transition": "cancel"}]}]},
        {"key": "cancel", "label": label("Cancel"), "from": ["active"], "to": "void"},
    ],
}]  # fmt: skip
LEDGERS = [
    {"key": "points", "label": label("Points"), "entity": "entry", "party": "member", "amount": "amount", "balance": "points", "direction": "direction", "adds": ["add"], "takes": ["subtract"],
     "origin": "event", "origins": ["purchase"], "free_origins": ["issue", "expired", "redeem"], "approved": "approved", "approved_if": "way == 'automatic'", "reversal": "reverses", "reason": "note",
     "main": "main", "account": "account", "expires": "expires"},
    {"key": "stock", "label": label("Stock"), "entity": "move", "party": "product", "amount": "quantity", "balance": "stock", "direction": "kind", "adds": ["in"], "takes": ["out"],
     "holds": ["reserve"], "frees": ["release"], "never_negative": ["available", "reserved"], "minimum": "minimum", "reversal": "reverses"},
    {"key": "paid", "label": label("Paid"), "entity": "payment", "party": "plan", "amount": "amount", "balance": "paid", "limit": "amount"},
]  # fmt: skip
AUTOMATIONS = [
    {"key": "rise", "label": label("Rise"), "entity": "member", "on": {"trigger": "ledger_posted", "ledger": "points"}, "if": "points >= 500 and coalesce(old('points'), 0) < 500",
     "do": [{"action": "set", "values": {"level": "'vip'"}}]},
    {"key": "redeem", "label": label("Redeem"), "entity": "gift", "on": {"trigger": "create"},
     "do": [{"action": "post_ledger", "entity": "entry", "values": {"member": "member", "amount": "cost", "direction": "'subtract'", "event": "'redeem'", "way": "'automatic'"}},
            {"action": "post_ledger", "entity": "move", "values": {"product": "product", "kind": "'out'", "quantity": "1"}}]},
    {"key": "accept", "label": label("Accept"), "entity": "offer", "on": {"trigger": "update", "fields": ["state"]}, "if": "state == 'done'",
     "do": [{"action": "create_from", "entity": "contract", "values": {"offer": "id", "note": "concat('From ', name)"}, "lists": ["lines"], "back": "contract"}]},
    {"key": "sign", "label": label("Sign"), "entity": "contract", "on": {"trigger": "update", "fields": ["signed"]}, "if": "signed", "do": [{"action": "allocate_number"}]},
    {"key": "receive", "label": label("Receive"), "entity": "receipt", "on": {"trigger": "create"},
     "do": [{"action": "settle", "entity": "payment", "amount": "amount", "among": "contract == new.contract and open > 0", "order": ["due"], "values": {"note": "note"}}]},
    {"key": "earn", "label": label("Earn"), "entity": "purchase", "on": {"trigger": "update", "fields": ["rate"]}, "if": "rate == 100",
     "do": [{"action": "post_ledger", "entity": "entry", "values": {"member": "member", "amount": "500", "event": "'purchase'", "purchase": "id"}}]},
]  # fmt: skip
SCHEDULES = [{"key": "expiry", "label": label("Expiry"), "every": {"cron": "0 2 * * *"}, "entity": "member", "once_per": "day",
              "do": [{"action": "post_ledger", "mode": "expire", "entity": "entry", "values": {"event": "'expired'", "way": "'automatic'"}}]}]  # fmt: skip
ROLES = [
    {"key": "admin", "label": label("Administrator"), "admin": True},
    {"key": "chief", "label": label("Chief"), "entities": {"*": {"create": True, "read": "all", "update": "all", "delete": "all"}}},
    {"key": "clerk", "label": label("Clerk"), "entities": {"*": {"create": True, "read": "all", "update": "all", "delete": "all"}, "member": {"read": "all", "fields": {"points": "hidden"}}}},
    {"key": "partner", "label": label("Partner"), "external": True, "entities": {"referral": {"read": "assigned"}, "agent": {"read": "assigned"}, "closing": {"read": "assigned"}}},
    {"key": "reader", "label": label("Reader"), "entities": {"*": {"read": "all"}}},
]  # fmt: skip


def ledger_bundle() -> dict[str, Any]:
    """A fresh copy each time."""
    return copy.deepcopy({
        "format": 1, "pack": {"key": "trade", "version": "1.0.0", "label": label("Trade"), "icon": "coins"},
        "entities": [MEMBER, PURCHASE, ENTRY, PRODUCT, MOVE, CONTRACT, PLAN, PAYMENT, OFFER, OFFER_LINE, CONTRACT_LINE, RECEIPT, CUSTOMER, CONTACT, DEAL, SALE, DISCOUNT, TARIFF, QUOTE, QUOTE_LINE, AGENT, REFERRAL, LEAD_PRICE, CLOSING, FACT, CARD, GIFT], "statements": STATEMENTS, "pricing": PRICING, "pipelines": PIPELINES, "forms": FORMS, "ledgers": LEDGERS, "roles": ROLES, "automations": AUTOMATIONS, "schedules": SCHEDULES,
    })  # fmt: skip
