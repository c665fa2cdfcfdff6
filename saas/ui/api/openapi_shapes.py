"""The fixed parts of the OpenAPI document: schemas that no configuration changes, and small builders."""

from __future__ import annotations

from typing import Any

from saas.i18n import gettext as _

Json = dict[str, Any]
ID: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
KEY: Json = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
TOLD: Json = {
    "type": "object", "properties": {"channels": {"type": "array", "items": {"type": "string", "enum": ["email", "sms"]}, "uniqueItems": True}}, "required": ["channels"],
}  # fmt: skip
DECISION: Json = {
    "type": "object",
    "properties": {
        "target": {"type": ["string", "null"], "format": "uuid"}, "sources": {"type": "array", "maxItems": 50, "items": {"type": "string", "format": "uuid"}}, "values": {"type": "object"},
    },
}  # fmt: skip
ONCE: Json = {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 200}}
_QUERY: Json = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "count": {"type": "string", "enum": ["none", "capped", "exact"]},
    "deleted": {"type": "boolean"}, "unread": {"type": "boolean"}, "everybody": {"type": "boolean"},
    "status": {"type": "string", "enum": ["queued", "running", "paused", "done", "failed", "cancelled"]},
}  # fmt: skip


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema: Json, *, required: bool = True) -> Json:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def answers(status: int | tuple[int, ...], schema: Json | None, *errors: int, media: str = "application/json") -> Json:
    """The responses of an operation: the good ones, problem details for 400, 401 and `errors`, and 429 and 503, which any may give."""
    good: Json = {"description": "OK"} if schema is None else {"description": "OK", "content": {media: {"schema": schema}}}
    found: Json = {str(code): good for code in ((status,) if isinstance(status, int) else status)}
    for code in sorted({400, 401, 429, 503, *errors}):
        found[str(code)] = {"$ref": f"#/components/responses/{_NAMES.get(code, 'Problem')}"}
    return found


LED_ON: Json = {"$ref": "#/components/responses/LedOn"}  # of reading a record that was merged into another
TOO_SLOW: Json = {"422": {"$ref": "#/components/responses/TooSlow"}}  # of reads, which have nothing else to refuse with it
_NAMES = {402: "LimitReached", 409: "Conflict", 422: "Invalid", 429: "TooMany", 503: "Unavailable"}


def responses() -> Json:
    """What operations refer to instead of their good answers, in the reader's language."""
    later: Json = {"Retry-After": {"description": _("Seconds to wait before sending it again."), "schema": {"type": "integer", "minimum": 1}}}
    conflict = _("It was changed since it was read (`stale_version`), something like it exists (`duplicate_found`: send `confirm_duplicates` to go on), or it does not fit how things stand.")
    invalid = _("Values need attention, see `errors`; or it takes too long with so many records (`too_slow`).")
    slow = _("It takes too long with so many records and was stopped (`too_slow`). `fields` say what takes long, `detail` what helps; the same again does not.")
    away = _("The database is away, or changes wait while the workspace is being moved to another server (`reason`: `moving`). Nothing was done; send it again.")
    return {
        "Problem": _problem(_("Refused; `code` says why."), ref("Problem")),
        "Conflict": _problem(conflict, ref("Problem")),
        "Invalid": _problem(invalid, {"anyOf": [ref("TooSlow"), ref("Problem")]}),
        "TooSlow": _problem(slow, ref("TooSlow")),
        "LimitReached": _problem(_("A limit of the workspace's plan is reached (`limit_reached`): `limit` names it, `allowed` and `used` say how many. GET /usage shows all of them."), ref("LimitReached")),
        "TooMany": {**_problem(_("Too many attempts, or more requests in this minute than the plan allows (`limit_reached`). Answers tell in X-RateLimit-Limit, -Remaining and -Reset how many are left, and for how many seconds."), ref("Problem")), "headers": later},
        "Unavailable": {**_problem(away, ref("Problem")), "headers": later},
        "LedOn": {"description": _("The record was merged into another one; Location leads there."), "headers": {"Location": {"schema": {"type": "string"}}}},
        "NotModified": {"description": _("Nothing changed since the answer whose ETag was sent."), "headers": {"ETag": {"schema": {"type": "string"}}}},
    }


def _problem(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def match() -> Json:
    """The header by which a change is only made of what the caller saw."""
    text = _("The ETag or the version of the record you read. If it has another one by now, the answer is 409 `stale_version`.")
    return {"name": "If-Match", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def remembered(operation: Json) -> Json:
    """A read whose answer carries an ETag, and which says so when nothing changed."""
    text = _("The ETag of an earlier answer. If nothing changed since, the answer is 304 without a body.")
    known: Json = {"name": "If-None-Match", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
    found: Json = {**operation["responses"], "304": {"$ref": "#/components/responses/NotModified"}}
    found["200"] = tagged(found["200"], _("Of this answer, for If-None-Match."))
    return {**operation, "parameters": [*operation.get("parameters", []), known], "responses": found}


def tagged(answer: Json, description: str) -> Json:
    return {**answer, "headers": {"ETag": {"description": description, "schema": {"type": "string"}}}}


def query(*names: str) -> list[Json]:
    return [{"name": name, "in": "query", "required": False, "schema": _QUERY.get(name, {"type": "string"})} for name in names]


def page(item: Json) -> Json:
    return {"type": "object", "properties": {"data": {"type": "array", "items": item}, "next": {"type": ["string", "null"]}}, "required": ["data"]}


SHARED: Json = {
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}, "code": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {k: {"type": "string"} for k in ("path", "field", "code", "message")}}},
            "request_id": {"type": "string"}, "reason": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "code", "errors"],
    },
    "TooSlow": {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {
            "code": {"const": "too_slow"}, "status": {"const": 422}, "seconds": {"type": "number"}, "fields": {"type": "array", "items": {"type": "string"}},
            "reason": {"type": "string", "enum": ["unindexed", "text", "computed", "crowded", "linked", "other", "many"]},
        },
        "required": ["code"],
    },
    "LimitReached": {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {
            "code": {"const": "limit_reached"}, "status": {"const": 402}, "limit": {"type": "string"}, "allowed": {"type": ["integer", "array"]}, "used": {"type": ["integer", "null"]},
        },
        "required": ["code", "limit"],
    },
    "Record": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"}, "entity": {"type": "string"}, "version": {"type": "integer"}, "title": {"type": "string"},
            "created_at": {"type": ["string", "null"], "format": "date-time"}, "created_by": {"type": ["string", "null"]},
            "updated_at": {"type": ["string", "null"], "format": "date-time"}, "owner": {"type": ["string", "null"]}, "state": {"type": "string"},
            "values": {"type": "object"}, "display": {"type": "object", "additionalProperties": {"type": "string"}},
            "can": {"type": "object", "properties": {"update": {"type": "boolean"}, "delete": {"type": "boolean"}, "transitions": {"type": "array", "items": {"type": "string"}}, "buttons": {"type": "array", "items": {"type": "object"}}}},
        },
        "required": ["id", "entity"],
    },
    "Job": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"}, "kind": {"type": "string"}, "label": {"type": "string"},
            "status": {"type": "string", "enum": ["queued", "running", "paused", "done", "failed", "cancelled"]}, "progress": {"type": "integer"},
            "total": {"type": ["integer", "null"]}, "result": {"type": ["object", "null"]}, "error": {"type": ["string", "null"]},
        },
        "required": ["id", "kind", "status"],
    },
    "Bulk": {
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["update", "delete", "restore", "transition", "assign", "claim", "release"]},
            "ids": {"type": "array", "maxItems": 20000, "items": {"type": "string", "format": "uuid"}},
            "filter": {}, "view": {"type": "string"}, "q": {"type": "string"}, "values": {"type": "object"}, "key": {"type": "string"},
        },
        "required": ["action", "ids"],
    },
    "Change": {
        "type": "object",
        "properties": {"record": {}, "effects": {"type": "array", "items": {"type": "object"}}, "warnings": {"type": "array", "items": {"type": "string"}}, "message": {"type": "string"}},
    },
    "Aggregate": {
        "type": "object",
        "properties": {
            "measures": {"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "object", "properties": {"fn": {"type": "string", "enum": ["count", "count_distinct", "sum", "avg", "min", "max"]}, "field": {"type": "string"}}, "required": ["fn"]}},
            "dimensions": {"type": "array", "maxItems": 10, "items": {"type": "object", "properties": {"field": {"type": "string"}, "bucket": {"type": "string", "enum": ["day", "week", "month", "quarter", "year"]}}, "required": ["field"]}},
            "filter": {}, "limit": {"type": "integer"},
        },
        "required": ["measures"],
    },
}  # fmt: skip

_TEXT: Json = {"type": "string"}
_CHANGE: Json = {
    "type": "object",
    "properties": {
        "path": _TEXT, "kind": {"type": "string", "enum": ["safe", "needs_backfill", "destructive"]}, "noun": _TEXT, "title": _TEXT, "message": _TEXT,
        "records": {"type": ["integer", "null"]}, "details": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["path", "kind", "message", "records"],
}  # fmt: skip
# For those who may change the configuration.
CONFIGURATION: Json = {
    "Revision": {
        "type": "object",
        "properties": {"revision": {"type": "integer"}, "hash": _TEXT, "message": _TEXT, "author": {"type": ["string", "null"]}, "created_at": {"type": "string", "format": "date-time"}},
        "required": ["revision", "hash", "message", "author", "created_at"],
    },
    "Plan": {
        "type": "object",
        "properties": {
            "plan_id": {"type": "string", "format": "uuid"}, "base_revision": {"type": "integer"}, "hash": _TEXT,
            "kind": {"type": "string", "enum": ["safe", "needs_backfill", "destructive"]}, "can_publish": {"type": "boolean"},
            "obstacles": {"type": "array", "items": _TEXT}, "changes": {"type": "array", "items": _CHANGE}, "seconds": {"type": "number"},
            "problems": {"type": "array", "items": {"type": "object", "properties": {"path": _TEXT, "code": _TEXT, "message": _TEXT, "hint": _TEXT, "fixes": {"type": "array", "items": {"type": "object"}}}}},
            "impacts": {"type": "array", "items": {"type": "object", "properties": {
                "code": _TEXT, "path": _TEXT, "entity": _TEXT, "field": {"type": ["string", "null"]}, "message": _TEXT, "note": _TEXT, "count": {"type": "integer"}, "exact": {"type": "boolean"},
                "looked_at": {"type": "integer"}, "total": {"type": "integer"}, "severity": {"type": "string", "enum": ["info", "warn", "stop"]},
                "samples": {"type": "array", "maxItems": 20, "items": {"type": "object"}}, "remedies": {"type": "array", "items": {"type": "object"}},
            }}},
            "examples": {"type": "array", "items": {"type": "object", "properties": {"key": _TEXT, "label": _TEXT, "passed": {"type": "boolean"}, "message": _TEXT}}},
            "data": {"type": "array", "items": {"type": "object"}}, "created_at": {"type": "string", "format": "date-time"}, "author": {"type": ["string", "null"]},
        },
        "required": ["plan_id", "base_revision", "hash", "kind", "can_publish", "changes", "problems", "impacts", "examples", "seconds"],
    },
}  # fmt: skip
