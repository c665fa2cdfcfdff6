"""The state of the fake: objects by kind and id, a clock that only moves when told, events, and what goes wrong on demand."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

PREFIX = {
    "product": "prod", "price": "price", "customer": "cus", "subscription": "sub", "subscription_item": "si", "invoice": "in", "checkout.session": "cs", "tax_id": "txi",
    "billing.meter": "mtr", "billing_portal.session": "bps", "event": "evt", "invoiceitem": "ii",
}  # fmt: skip


class Refused(Exception):
    """An answer that is an error, in Stripe's shape."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", code: str = "") -> None:
        self.status, self.body = status, {"error": {"type": kind, "message": message, **({"code": code} if code else {})}}
        super().__init__(message)


@dataclass
class Fake:
    url: str = ""
    secret: str = "whsec_of_the_fake"
    endpoint: str | None = None
    key: str = "sk_test_fake"
    declines: set[str] = field(default_factory=set)
    failures: list[tuple[int, str]] = field(default_factory=list)  # (status, message) of the next requests
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    unsent: list[dict[str, Any]] = field(default_factory=list)
    answered: dict[str, tuple[str, int, dict[str, Any]]] = field(default_factory=dict)  # by idempotency key
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # (method, path, parameters), as they came
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)  # meter events by identifier
    deleted: set[str] = field(default_factory=set)  # customers that were
    offset: float = 0.0
    hold: bool = False  # events are sent by `deliver` only
    salt: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0

    # ---- clock

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.offset, UTC)

    @property
    def stamp(self) -> int:
        return int(time.time() + self.offset)

    def advance(self, **delta: float) -> None:
        """Move the clock; what falls due on the way happens, in its order."""
        from tests.stripe_fake import subscriptions

        target = self.offset + timedelta(**delta).total_seconds()
        while (due := subscriptions.next_due(self)) is not None and due <= time.time() + target:
            self.offset = max(self.offset, due - time.time())
            subscriptions.run_due(self, due)
        self.offset = target

    # ---- objects

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.objects.setdefault(kind, {})

    def new_id(self, kind: str) -> str:
        self._count += 1
        return f"{PREFIX[kind]}_{self.salt}{self._count:05d}"

    def add(self, kind: str, values: Mapping[str, Any], *, event: str | None = None) -> dict[str, Any]:
        values = dict(values)
        found = {"id": values.pop("id", None) or self.new_id(kind), "object": kind, "created": self.stamp, "livemode": False, "metadata": {}, **values}
        if found["id"] in self.all(kind):
            raise Refused(400, f"{kind} already exists.", code="resource_already_exists")
        self.all(kind)[found["id"]] = found
        if event:
            self.tell(event, found)
        return found

    def get(self, kind: str, id: str) -> dict[str, Any]:
        found = self.all(kind).get(id)
        if found is None:
            raise Refused(404, f"No such {kind}: '{id}'", code="resource_missing")
        return found

    def tell(self, kind: str, thing: Mapping[str, Any]) -> dict[str, Any]:
        """An event with the object as it is at this moment."""
        event = {
            "id": self.new_id("event"), "object": "event", "api_version": "2026-10-28.endive", "created": self.stamp, "type": kind, "livemode": False,
            "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "data": {"object": copy.deepcopy(dict(thing))},
        }  # fmt: skip
        self.events.append(event)
        self.unsent.append(event)
        return event


def body_of(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, indent=2).encode()
