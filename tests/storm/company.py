"""Run as a process: makes the companies of the storm in a fresh database, and prints how to reach them as JSON."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from saas.db import close_database, open_database
from saas.db.migrate import migrate
from saas.settings import Settings
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, make_lab


def entry(kind: str) -> dict[str, Any]:
    return {"action": "create", "entity": "entry", "values": {"order": "id", "kind": f"'{kind}'", "step": "step"}}


def later(receiver: str) -> dict[str, Any]:
    """Waits, goes one way or the other, does something with each part, and tells the receiver twice, with another wait between."""

    def tell(what: str, order: str = "id") -> dict[str, Any]:
        return {"action": "http", "url": receiver, "body": {"order": order, "tells": what}}

    return {
        "key": "later", "label": label("Later"), "entity": "order", "on": {"trigger": "create"},
        "do": [
            {"action": "create", "entity": "part", "values": {"order": "id"}}, {"action": "create", "entity": "part", "values": {"order": "id"}},
            {"action": "wait", "minutes": 30},
            entry("later"),
            {"action": "branch", "if": "step > 1", "then": [entry("way"), tell("'branch'")], "else": [entry("way"), tell("'branch'")]},
            {"action": "each", "of": "parts", "do": [
                {"action": "set", "values": {"done": "done + 1"}}, {"action": "create", "entity": "entry", "values": {"order": "order", "kind": "'part'"}}, tell("id", "order")]},
            {"action": "wait", "minutes": 5},
            {"action": "set", "target": "account", "values": {"told": "coalesce(account.told, 0) + 1"}},
            tell("'end'"),
        ],
    }  # fmt: skip


def bundle(receiver: str = "") -> dict[str, Any]:
    """Each order leaves an entry for being made, for each step, for each sweep it is in, and counts in its account. With a `receiver`'s
    address it also waits, and goes on as `later` says."""
    return {
        "format": 1, "pack": {"key": "storm", "version": "1.0.0", "label": label("Storm")},
        "entities": [
            {"key": "account", "label": label("Account"), "plural": label("Accounts"), "title": "name", "fields": [fld("name", "text"), fld("seen", "int", default=0), fld("told", "int", default=0), fld("total", "rollup", of="orders", fn="count")]},
            {"key": "order", "label": label("Order"), "plural": label("Orders"), "title": "name", "fields": [
                fld("name", "text"), fld("step", "int", default=0), fld("number", "auto", pattern="{seq:5}"), fld("account", "ref", to="account", inverse={"key": "orders", "label": label("Orders")}, on_delete="restrict")]},
            {"key": "entry", "label": label("Entry"), "plural": label("Entries"), "title": "kind", "fields": [
                fld("order", "ref", to="order", inverse={"key": "entries", "label": label("Entries")}, on_delete="restrict"), fld("kind", "text"), fld("step", "int")]},
            {"key": "part", "label": label("Part"), "plural": label("Parts"), "title": "done", "fields": [
                fld("order", "ref", to="order", inverse={"key": "parts", "label": label("Parts")}, on_delete="restrict"), fld("done", "int", default=0)]},
        ],
        "roles": [{"key": "admin", "label": label("Admin"), "admin": True}],
        "automations": [
            {"key": "made", "label": label("Made"), "entity": "order", "on": {"trigger": "create"}, "do": [entry("made"), {"action": "set", "target": "account", "values": {"seen": "coalesce(account.seen, 0) + 1"}}]},
            {"key": "stepped", "label": label("Stepped"), "entity": "order", "on": {"trigger": "update", "fields": ["step"]}, "do": [entry("step")]},
            *([later(receiver)] if receiver else []),
        ],
        "schedules": [{"key": "sweep", "label": label("Sweep"), "entity": "order", "every": {"cron": "0 4 1 1 *"}, "once_per": "ever", "do": [entry("sweep")]}],
    }  # fmt: skip


async def main() -> None:
    settings = Settings.from_env()
    await migrate(settings, wait_seconds=30)
    await open_database(settings)
    labs = [await make_lab(bundle(os.environ["STORM_RECEIVER"]), people=False) for _ in range(2)]
    accounts = [str(await lab.make("account", "admin", name="A")) for lab in labs]
    print(json.dumps([{"slug": lab.slug, "id": str(lab.tenant_id), "email": f"admin@{lab.slug}.example", "password": PASSWORD, "account": a} for lab, a in zip(labs, accounts, strict=True)]))
    await close_database()


if __name__ == "__main__":
    asyncio.run(main())
