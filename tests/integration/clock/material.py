"""A small company with cards that are due, and schedules over them."""

from __future__ import annotations

from typing import Any

from tests.bundles import field as fld
from tests.bundles import label

WARN = {"key": "warn", "label": label("Warn"), "entity": "card", "every": {"cron": "0 8 * * *"}, "where": "due != null and days_between(today(), due) <= 3 and step == null", "once_per": "ever", "do": [{"action": "set", "values": {"step": "1"}}]}
TAKE = {"key": "take", "label": label("Take back"), "entity": "card", "every": {"cron": "0 8 * * *"}, "where": "due != null and due < today() and step == 1", "once_per": "ever", "do": [{"action": "set", "values": {"step": "2", "taken": "now()"}}]}
NOTE = {"key": "note", "label": label("Note"), "entity": "card", "every": {"cron": "0 9 * * *"}, "where": "daily == true", "once_per": "day", "do": [{"action": "create", "entity": "entry", "values": {"text": "concat(name, '')", "on": "today()"}}]}


def bundle() -> dict[str, Any]:
    card = [fld("name", "text"), fld("due", "date"), fld("step", "int"), fld("taken", "datetime"), fld("daily", "bool"), fld("left", "formula", returns="int", expr="days_between(today(), due)")]
    role = {"key": "admin", "label": label("Admin"), "admin": True}
    seller = {"key": "seller", "label": label("Seller"), "entities": {"card": {"create": True, "read": "all", "update": "all"}}}
    return {
        "format": 1, "pack": {"key": "clocks", "version": "1.0.0", "label": label("Clocks")},
        "entities": [
            {"key": "card", "label": label("Card"), "plural": label("Cards"), "title": "name", "fields": card},
            {"key": "entry", "label": label("Entry"), "plural": label("Entries"), "title": "text", "fields": [fld("text", "text"), fld("on", "date")]},
        ],
        "roles": [role, seller], "schedules": [WARN, TAKE, NOTE],
    }  # fmt: skip
