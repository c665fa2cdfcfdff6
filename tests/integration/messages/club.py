"""A small club that writes to its members: the bundle of these tests."""

from __future__ import annotations

from typing import Any

from tests.bundles import field as fld
from tests.bundles import label


def club_bundle() -> dict[str, Any]:
    """A valid bundle; a fresh copy each time."""
    member = {
        "key": "member", "label": label("Member"), "plural": label("Members"), "title": "name", "search": ["name", "email"],
        "fields": [
            fld("name", "text", required=True, max_length=60), fld("email", "email"), fld("phone", "phone"), fld("note", "text"), fld("lang", "text", max_length=5),
            fld("birthday", "date"), fld("papers", "file", multiple=True, accept=["pdf", "txt", "eml"]), fld("level", "option", options=[{"key": k, "label": label(k.title())} for k in ("gold", "plain")], default="plain"),
            fld("referrer", "ref", to="member", inverse={"key": "referred", "label": label("Referred")}, on_delete="set_null"),
        ],
        "unique": [{"key": "phone", "fields": ["phone"], "message": label("This number is known")}],
    }  # fmt: skip
    texts = [
        {"key": "welcome", "label": label("Welcome"), "entity": "member", "channels": ["email", "sms"], "to": ["email"],
         "subject": {"en": "Welcome, {{ name }}", "zh_CN": "欢迎，{{ name }}"}, "body": {"en": "Dear {{ name }},\n\nglad to have you at {{ company }}.", "zh_CN": "{{ name }}，您好！"}, "language": "lang"},
        {"key": "due", "label": label("Due"), "entity": "member", "channels": ["sms", "in_app"], "to": ["phone"], "subject": label("Due"), "body": label("{{ name }} is due")},
        {"key": "terms", "label": label("Terms"), "entity": "member", "channels": ["email"], "to": ["email"], "subject": label("New terms"), "body": label("Please read them."), "essential": True},
    ]  # fmt: skip
    rating = {
        "key": "rating", "label": label("Rating"), "plural": label("Ratings"), "title": "name", "owned": False,
        "fields": [
            fld("name", "text", default="Rating"), fld("stars", "rating"), fld("why", "longtext"), fld("low", "bool"),
            fld("member", "ref", to="member", inverse={"key": "ratings", "label": label("Ratings")}, on_delete="cascade"),
        ],
    }  # fmt: skip
    stock = {
        "key": "stock", "label": label("Stock"), "plural": label("Stock"), "title": "name", "owned": False, "read_only": True,
        "fields": [fld("name", "text"), fld("number", "text", unique=True), fld("pieces", "int")],
    }  # fmt: skip
    return {
        "format": 1, "pack": {"key": "club", "version": "1.0.0", "label": label("Club")},
        "entities": [member, rating, stock],
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            {"key": "clerk", "label": label("Clerk"), "entities": {"member": {"create": True, "read": "all", "update": "all", "bulk": True, "fields": {"note": "hidden"}}}},
            {"key": "reader", "label": label("Reader"), "entities": {"member": {"read": "all"}}},
        ],
        "templates": texts,
        "webhooks": [
            {"key": "crm", "label": label("To the shop"), "entity": "member", "events": ["create", "update", "delete"], "if": "level == 'gold'", "fields": ["name", "email", "level"]},
        ],
        "inbound_hooks": [
            {"key": "shop", "label": label("From the shop"), "entity": "member", "map": {"name": "buyer.name", "email": "buyer.mail", "phone": "buyer.phone", "lang": "lang"}, "values": {"note": "'shop'"},
             "match": ["email"], "once": "id"},
            {"key": "stock", "label": label("Stock"), "entity": "stock", "map": {"number": "no", "name": "title", "pieces": "pieces"}, "match": ["number"]},
            {"key": "friend", "label": label("Friend"), "entity": "member", "map": {"name": "name", "referrer": "from"}, "lookup": {"referrer": "email"}},
            {"key": "post", "label": label("Post"), "entity": "member", "map": {"name": "from.name", "email": "from.address", "note": "text", "papers": "files"}, "match": ["email"]},
            {"key": "signed", "label": label("Signed"), "entity": "member", "map": {"name": "name"}, "signed": True},
        ],
        "web_forms": [
            {"key": "join", "label": label("Join"), "entity": "member", "fields": ["name", "email", "phone", "level"], "required": ["name", "email"], "match": ["email"],
             "values": {"note": "concat('from the web: ', name)"}, "owner_role": "clerk", "embed_on": ["https://www.club.example"], "thanks": label("See you"), "per_hour": 50},
            {"key": "ask", "label": label("Ask"), "entity": "member", "fields": ["name", "phone"], "question": True, "redirect": "https://www.club.example/thanks"},
            {"key": "happy", "label": label("Are you happy?"), "entity": "rating", "fields": ["stars", "why"], "required": ["stars"], "answers_to": "member", "days": 10},
            {"key": "closed", "label": label("Closed"), "entity": "member", "fields": ["name"], "active": False},
        ],
        "schedules": [
            {"key": "birthdays", "label": label("Birthdays"), "every": {"cron": "0 8 * * *"}, "entity": "member", "once_per": "year",
             "where": "birthday != null and month(birthday) == month(today()) and day(birthday) == day(today()) and level == 'gold'", "do": [{"action": "send", "template": "welcome"}]},
        ],
        "automations": [
            {"key": "greet", "label": label("Greet"), "entity": "member", "on": {"trigger": "create"}, "if": "level == 'gold'", "do": [{"action": "send", "template": "welcome"}]},
            {"key": "ask_stars", "label": label("Ask"), "entity": "member", "on": {"trigger": "update", "fields": ["level"]}, "do": [{"action": "send", "template": "terms", "survey": "happy"}]},
            {"key": "unhappy", "label": label("Unhappy"), "entity": "rating", "on": {"trigger": "inbound", "via": "survey"}, "if": "stars < 3",
             "do": [{"action": "set", "values": {"low": "true"}}, {"action": "notify", "to": ["role:clerk"], "title": label("Somebody is unhappy")}]},
            {"key": "came_in", "label": label("Came in"), "entity": "member", "on": {"trigger": "inbound", "via": "form", "named": "join"}, "do": [{"action": "set", "values": {"lang": "'en'"}}]},
            {"key": "wrote", "label": label("Wrote"), "entity": "member", "on": {"trigger": "inbound", "via": "mail"}, "do": [{"action": "set", "values": {"lang": "'mail'"}}]},
            {"key": "missed", "label": label("Missed"), "entity": "member", "on": {"trigger": "message", "states": ["failed"], "channel": "sms"}, "do": [
                {"action": "find", "entity": "member", "as": "first", "where": "phone == new.phone and id != new.id", "order": ["-name"]},
                {"action": "set", "values": {"note": "concat('missed, like ', coalesce(result.first.name, 'nobody'))"}}]},
            {"key": "tell_owner", "label": label("Tell the owner"), "entity": "member", "on": {"trigger": "update", "fields": ["birthday"]},
             "do": [{"action": "send", "template": "due", "channel": "in_app", "to": ["owner", "role:clerk"]}]},
        ],
    }  # fmt: skip
