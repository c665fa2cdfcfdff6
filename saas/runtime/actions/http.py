"""Call another system: a request that leaves through the outbox once the change is saved, and reaches it exactly once by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime import outbox
from saas.runtime.acts import ActionRun
from saas.runtime.said import plain

_NAMED = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 2000}, "maxProperties": 50}
_HEADER = r"^(?!(?i:host|content-length|transfer-encoding|connection|idempotency-key)$)[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}$"


@action_types.register
class Http(ActionType):
    key = "http"
    label = lazy("Call another system")
    icon = "world"
    can_retry = False  # the outbox tries again
    formulas = {"query": None, "body": None}
    options_schema = {
        "type": "object",
        "description": N_("Sends a request when the change is saved. It is tried again until it is answered, and carries a key by which the other system can tell repetitions."),
        "properties": {
            "method": {"type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE", "GET"], "default": "POST", "title": N_("Method"), "x-labels": {m: m for m in ("POST", "PUT", "PATCH", "DELETE", "GET")}},
            "url": {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 1500, "title": N_("Address")},
            "query": {**_NAMED, "title": N_("Added to the address"), "description": N_("Each with a formula for its value."), "x-control": "named_expressions"},
            "headers": {**_NAMED, "propertyNames": {"pattern": _HEADER}, "title": N_("Headers"), "description": N_("Such as Authorization. They are part of the configuration: whoever may read it reads them."), "x-control": "named_texts"},
            "body": {**_NAMED, "title": N_("Content"), "description": N_("Each with a formula for its value. Empty: all fields of the record."), "x-control": "named_expressions"},
        },
        "required": ["url"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        method, url = options.get("method") or "POST", options["url"]
        if query := await _evaluated(run, options.get("query") or {}):
            url += ("&" if "?" in url else "?") + urlencode({k: "" if v is None else v for k, v in query.items()})
        body = None
        if method not in ("GET", "DELETE"):
            body = await _evaluated(run, options["body"]) if options.get("body") else _whole(run)
        payload = {"method": method, "url": url, "headers": dict(options.get("headers") or {}), "body": body}
        message = await outbox.put(run.act, kind="http", key=run.place, payload=payload, origin=run.origin)
        run.note(method=method, url=url)
        run.act.effect("send", "outbox", message)


async def _evaluated(run: ActionRun, named: Mapping[str, str]) -> dict[str, Any]:
    env = await run.env(*named.values())
    return {key: plain(env.evaluate(text)) for key, text in named.items()}


def _whole(run: ActionRun) -> dict[str, Any]:
    row = run.row
    return {"entity": run.entity.key, "id": str(row.id), "version": row.version, "state": row.state, "values": {key: row.get(key) for key in run.entity.declared}}
