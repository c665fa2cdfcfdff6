"""OpenAPI 3.1 for one caller: only what the caller's roles may use is in it."""

from __future__ import annotations

from typing import Any

from saas.i18n import pick
from saas.metadata.compile import record_schema_for
from saas.metadata.config import Entity
from saas.runtime import Context, permissions

Json = dict[str, Any]
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


def document(ctx: Context, server: str) -> Json:
    paths: Json = dict(_fixed(ctx))
    schemas: Json = dict(_SHARED)
    for entity in ctx.config.entities.values():
        if permissions.may(ctx, "read", entity.key) or permissions.may(ctx, "create", entity.key):
            schemas[f"{entity.key}.values"] = _inline(record_schema_for(ctx.config, entity.key, permissions.static_access(ctx, entity), ctx.locale))
            schemas[f"{entity.key}.change"] = {**schemas[f"{entity.key}.values"], "required": []}
            schemas[entity.key] = _record(entity)
            paths.update(_entity_paths(ctx, entity))
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{ctx.tenant.name} CRM", "version": str(ctx.config.revision)},
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _inline(schema: Json) -> Json:
    return {k: v for k, v in schema.items() if k not in ("$schema", "$id")}


def _record(entity: Entity) -> Json:
    return {"allOf": [{"$ref": "#/components/schemas/Record"}, {"type": "object", "properties": {"values": {"type": "object"}}}], "title": pick(entity.defn.label)}


def _body(schema: Json, *, required: bool = True) -> Json:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _values_body(name: str) -> Json:
    return _body({"type": "object", "properties": {"values": {"$ref": f"#/components/schemas/{name}"}, "confirm_duplicates": {"type": "boolean"}}, "required": ["values"]})


def _answers(status: int, schema: Json | None, *errors: int) -> Json:
    found: Json = {str(status): {"description": "OK"} if schema is None else {"description": "OK", "content": {"application/json": {"schema": schema}}}}
    for code in (400, 401, *errors):
        found[str(code)] = {"description": "Problem", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return found


def _query(*names: str) -> list[Json]:
    kinds = {"limit": {"type": "integer", "minimum": 1, "maximum": 200}, "count": {"type": "string", "enum": ["none", "capped", "exact"]}}
    return [{"name": n, "in": "query", "required": False, "schema": kinds.get(n, {"type": "string"})} for n in names]


def _entity_paths(ctx: Context, entity: Entity) -> Json:
    key, label = entity.key, pick(entity.defn.plural, ctx.locale)
    ref = {"$ref": f"#/components/schemas/{key}"}
    root, one = f"/records/{key}", f"/records/{key}/{{id}}"
    tag = {"tags": [label]}
    paths: Json = {root: {}, one: {}}
    if permissions.may(ctx, "read", key):
        page = {"type": "object", "properties": {"data": {"type": "array", "items": ref}, "next": {"type": ["string", "null"]}, "count": {"type": ["object", "null"]}}}
        paths[root]["get"] = {**tag, "summary": f"List {label}", "operationId": f"list_{key}", "parameters": _query("filter", "sort", "fields", "limit", "after", "count", "q", "view"), "responses": _answers(200, page, 403)}
        paths[one]["get"] = {**tag, "summary": f"Get one of {label}", "operationId": f"get_{key}", "parameters": [_ID], "responses": _answers(200, ref, 403, 404)}
        paths[f"{one}/history"] = {"get": {**tag, "summary": "History", "operationId": f"history_{key}", "parameters": [_ID, *_query("limit", "before")], "responses": _answers(200, {"type": "object"}, 403, 404)}}
        paths[f"{root}/aggregate"] = {"post": {**tag, "summary": "Group and measure", "operationId": f"aggregate_{key}", "requestBody": _body({"$ref": "#/components/schemas/Aggregate"}), "responses": _answers(200, {"type": "object"}, 403)}}
    if permissions.may(ctx, "create", key):
        header = {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 200}}
        paths[root]["post"] = {**tag, "summary": "Create", "operationId": f"create_{key}", "parameters": [header], "requestBody": _values_body(f"{key}.values"), "responses": _answers(201, ref, 403, 404, 409, 422)}
    if permissions.may(ctx, "update", key):
        match = {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}}
        paths[one]["patch"] = {**tag, "summary": "Change", "operationId": f"update_{key}", "parameters": [_ID, match], "requestBody": _values_body(f"{key}.change"), "responses": _answers(200, ref, 403, 404, 409, 422)}
    if permissions.may(ctx, "delete", key):
        paths[one]["delete"] = {**tag, "summary": "Delete (into the recycle bin)", "operationId": f"delete_{key}", "parameters": [_ID], "responses": _answers(204, None, 403, 404, 409)}
        paths[f"{one}/restore"] = {"post": {**tag, "summary": "Restore", "operationId": f"restore_{key}", "parameters": [_ID], "responses": _answers(200, ref, 403, 404, 409, 422)}}
    for transition in entity.pipeline.transitions if entity.pipeline else ():
        if permissions.transition_roles(ctx, entity.pipeline, transition) is not False:
            asked = {k: {} for k in (*transition.require, *transition.ask)}
            body = _body({"type": "object", "properties": {"values": {"type": "object", "properties": asked}}}, required=False)
            paths[f"{one}/transitions/{transition.key}"] = {
                "post": {**tag, "summary": pick(transition.label, ctx.locale), "operationId": f"{key}_{transition.key}", "parameters": [_ID], "requestBody": body,
                         "responses": _answers(200, {"$ref": "#/components/schemas/Change"}, 403, 404, 409, 422)}
            }  # fmt: skip
    return {path: item for path, item in paths.items() if item}


def _fixed(ctx: Context) -> Json:
    def read(summary: str, name: str, *query: str) -> Json:
        return {"get": {"summary": summary, "operationId": name, "parameters": _query(*query), "responses": _answers(200, {"type": "object"}, 403)}}

    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    found: Json = {
        "/me": read("Who you are", "me"),
        "/schema": read("Kinds of records you can see", "schema"),
        "/search": read("Search everything you may see", "search", "q", "limit"),
        "/notifications": read("Your notifications", "notifications", "limit"),
        "/reports": read("Reports you may open", "reports"),
        "/reports/{key}": {"get": {**read("One report with its figures", "report")["get"], "parameters": [key], "responses": _answers(200, {"type": "object"}, 403, 404)}},
    }
    if permissions.may_configure(ctx, "config"):
        found["/config"] = read("The configuration", "config")
        found["/config/revisions"] = read("Revisions of the configuration", "config_revisions")
        plan = {"type": "object", "properties": {"bundle": {"type": "object"}, "patch": {"type": "object"}}}
        publish = {"type": "object", "properties": {"bundle": {"type": "object"}, "plan_id": {"type": "string"}, "base_revision": {"type": "integer"}, "message": {"type": "string"}}}
        found["/config/plan"] = {"post": {"summary": "What publishing would change", "operationId": "config_plan", "requestBody": _body(plan), "responses": _answers(200, {"type": "object"}, 403, 422)}}
        found["/config/publish"] = {"post": {"summary": "Publish a configuration", "operationId": "config_publish", "requestBody": _body(publish), "responses": _answers(200, {"type": "object"}, 403, 409, 422)}}
    return found


_SHARED: Json = {
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}, "code": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {k: {"type": "string"} for k in ("path", "field", "code", "message")}}},
        },
        "required": ["type", "title", "status", "detail", "code", "errors"],
    },
    "Record": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"}, "entity": {"type": "string"}, "version": {"type": "integer"}, "title": {"type": "string"},
            "created_at": {"type": ["string", "null"], "format": "date-time"}, "created_by": {"type": ["string", "null"]},
            "updated_at": {"type": ["string", "null"], "format": "date-time"}, "owner": {"type": ["string", "null"]}, "state": {"type": "string"},
            "values": {"type": "object"}, "display": {"type": "object", "additionalProperties": {"type": "string"}},
            "can": {"type": "object", "properties": {"update": {"type": "boolean"}, "delete": {"type": "boolean"}, "transitions": {"type": "array", "items": {"type": "string"}}}},
        },
        "required": ["id", "entity"],
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
