"""OpenAPI 3.1 for one caller: only what the caller's roles may use is in it."""

from __future__ import annotations

from typing import Any

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.compile import record_schema_for
from saas.metadata.config import Entity
from saas.metadata.models import TransitionDef
from saas.runtime import Context, permissions, reports
from saas.ui.api.openapi_shapes import (
    CONFIGURATION,
    ID,
    ONCE,
    SHARED,
    TOO_SLOW,
    Json,
    answers,
    body,
    match,
    page,
    query,
    ref,
    remembered,
    responses,
    tagged,
)

_WITHOUT = ("$schema", "$id", "additionalProperties", "required")


def document(ctx: Context, server: str) -> Json:
    paths, schemas = _fixed(ctx), {**SHARED, **(CONFIGURATION if permissions.may_configure(ctx, "config") else {})}
    for entity in ctx.config.entities.values():
        if permissions.may(ctx, "read", entity.key) or permissions.may(ctx, "create", entity.key):
            schemas.update(_schemas(ctx, entity))
            paths.update(_entity_paths(ctx, entity))
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{ctx.tenant.name} CRM", "version": str(ctx.config.revision)},
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": {path: {method: remembered(op) if method == "get" and _is_json(op) else op for method, op in item.items()} for path, item in paths.items()},
        "components": {"schemas": schemas, "responses": responses(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _("A token of POST /tokens, or an API key of a person's profile page. Keys have scopes (read, write, config) and reach all or chosen entities; what a key may not do is answered with 403 and the code key_limited.")}}},
    }


def _is_json(operation: Json) -> bool:
    """Whether its answer gets an ETag of its content: that of one record is its version, files have none, and who says what time it is
    never says the same."""
    good = operation["responses"]["200"]
    return "application/json" in good.get("content", {}) and "headers" not in good and operation["operationId"] != "me"


# ---- records -----------------------------------------------------------------------------------------------------------


def _schemas(ctx: Context, entity: Entity) -> Json:
    """`<key>`: a record as the caller reads it; `<key>.new` and `<key>.change`: exactly the values that POST and PATCH take."""
    access = permissions.static_access(ctx, entity)
    full = record_schema_for(ctx.config, entity.key, access, ctx.locale)
    own = {k: v for k, v in full.items() if k not in _WITHOUT}
    shown = {k: {"title": v.get("title", k), "type": ["string", "null"]} if access[k] == "masked" else v for k, v in full["properties"].items()}
    given = {k: v for k, v in full["properties"].items() if not v.get("readOnly")}
    required = [k for k in full["required"] if k in given]
    key = entity.key
    return {
        key: {"allOf": [ref("Record"), {"type": "object", "properties": {"values": {**own, "properties": shown}}}], "title": pick(entity.defn.label, ctx.locale)},
        f"{key}.new": {**own, "properties": given, "required": required, "additionalProperties": False},
        f"{key}.change": {**own, "properties": given, "additionalProperties": False},
    }


def _values(schema: Json, *more: str) -> Json:
    extra: Json = {name: {"type": "boolean"} if name == "confirm_duplicates" else {"type": "integer"} for name in more}
    return body({"type": "object", "properties": {"values": schema, **extra}, "required": ["values"]})


def _entity_paths(ctx: Context, entity: Entity) -> Json:
    key, label = entity.key, pick(entity.defn.plural, ctx.locale)
    root, one = f"/records/{key}", f"/records/{key}/{{id}}"
    tag: Json = {"tags": [label]}
    paths: Json = {root: {}, one: {}}

    def act(path: str, method: str, name: str, summary: str, given: Json, **more: Any) -> None:
        paths.setdefault(path, {})[method] = {**tag, "summary": summary, "operationId": f"{name}_{key}", **more, "responses": given}

    act(f"/schema/{key}", "get", "schema", _("JSON Schema of a record"), answers(200, {"type": "object"}, 404))
    if permissions.may(ctx, "read", key):
        found = {**page(ref(key)), "properties": {**page(ref(key))["properties"], "count": {"type": ["object", "null"]}}}
        names = ("filter", "sort", "fields", "limit", "after", "count", "q", "view", "deleted")
        act(root, "get", "list", _("List"), answers(200, found, 403) | TOO_SLOW, parameters=query(*names))
        got = answers(200, ref(key), 403, 404)
        act(one, "get", "get", _("Get one"), {**got, "200": tagged(got["200"], _("The record's version, for If-Match."))}, parameters=[ID, *query("deleted")])
        act(f"{one}/history", "get", "history", _("History"), answers(200, page({"type": "object"}), 403, 404), parameters=[ID, *query("limit", "before")])
        act(f"{root}/aggregate", "post", "aggregate", _("Group and measure"), answers(200, {"type": "object"}, 403, 422), requestBody=body(ref("Aggregate")))
        act(f"/views/{key}", "get", "views", _("Views"), answers(200, page({"type": "object"}), 404))
    if permissions.may(ctx, "create", key):
        act(root, "post", "create", _("Create"), answers(201, ref(key), 402, 403, 404, 409, 422), parameters=[ONCE], requestBody=_values(ref(f"{key}.new"), "confirm_duplicates"))
    if permissions.may(ctx, "update", key):
        change = _values(ref(f"{key}.change"), "confirm_duplicates", "version")
        act(one, "patch", "update", _("Change"), answers(200, ref(key), 402, 403, 404, 409, 422), parameters=[ID, match()], requestBody=change)
    if permissions.may(ctx, "delete", key):
        act(one, "delete", "delete", _("Delete (into the recycle bin)"), answers(204, None, 403, 404, 409), parameters=[ID, match()])
        act(f"{one}/restore", "post", "restore", _("Restore"), answers(200, ref(key), 402, 403, 404, 409, 422), parameters=[ID])
    if permissions.may(ctx, "bulk", key):
        act(f"{root}/bulk", "post", "bulk", _("The same with many records"), answers((200, 202), {"type": "object"}, 403, 422), requestBody=body(ref("Bulk")))
    for transition in entity.pipeline.transitions if entity.pipeline else ():
        if _may_move(ctx, entity, transition):
            answered = answers(200, ref("Change"), 402, 403, 404, 409, 422)
            asked = body({"type": "object", "properties": {"values": _asked(ctx, entity, transition)}}, required=False)
            act(f"{one}/transitions/{transition.key}", "post", transition.key, pick(transition.label, ctx.locale), answered, parameters=[ID, match(), ONCE], requestBody=asked)
    return {path: item for path, item in paths.items() if item}


def _may_move(ctx: Context, entity: Entity, transition: TransitionDef) -> bool:
    allowed = permissions.transition_roles(ctx, entity.pipeline, transition)
    if allowed is None:
        allowed = permissions.may(ctx, "update", entity.key)
    return allowed and permissions.may(ctx, "read", entity.key)


def _asked(ctx: Context, entity: Entity, transition: TransitionDef) -> Json:
    """A person may set these during the transition also where the record is otherwise closed to them."""
    access = {**permissions.static_access(ctx, entity), **{k: "write" for k in (*transition.require, *transition.ask)}}
    full = record_schema_for(ctx.config, entity.key, access, ctx.locale)["properties"]
    return {"type": "object", "properties": {k: full[k] for k in (*transition.require, *transition.ask) if k in full}}


# ---- everything else ---------------------------------------------------------------------------------------------------


def _fixed(ctx: Context) -> Json:
    def read(summary: str, name: str, *names: str) -> Json:
        return {"get": {"summary": summary, "operationId": name, "parameters": query(*names), "responses": answers(200, {"type": "object"}, 403)}}

    job = answers((200, 202), ref("Job"), 403, 404, 409, 422)
    secret: Json = {"type": "object", "properties": {"email": {"type": "string"}, "password": {"type": "string"}, "totp": {"type": ["string", "null"], "description": _("The code of the second factor, or a recovery code, of those who have one; without it the answer is 401 with the code second_factor_required.")}}, "required": ["email", "password"]}
    token: Json = {"type": "object", "properties": {"token": {"type": "string"}, "expires_at": {"type": "string", "format": "date-time"}}, "required": ["token", "expires_at"]}
    found: Json = {
        "/tokens": {"post": {"summary": _("Get a token"), "operationId": "create_token", "security": [], "requestBody": body(secret), "responses": answers(201, token, 401, 422, 429)}},
        "/me": read(_("Who you are"), "me"),
        "/schema": read(_("Kinds of records you can see"), "schema"),
        "/search": {"get": {"summary": _("Search everything you may see"), "operationId": "search", "parameters": query("q", "limit"), "responses": answers(200, {"type": "object"}, 403) | TOO_SLOW}},
        "/users": read(_("People to choose from"), "users"),
        "/notifications": read(_("Your notifications"), "notifications", "limit", "before", "unread"),
        "/notifications/read": {"post": {
            "summary": _("Mark notifications as read"), "operationId": "read_notifications", "responses": answers(204, None),
            "requestBody": body({"type": "object", "properties": {"ids": {"type": "array", "maxItems": 1000, "items": {"type": "string", "format": "uuid"}}}}, required=False),
        }},
        "/reports": read(_("Reports you may open"), "reports"),
        "/jobs": read(_("Your jobs"), "jobs", "status", "limit"),
        "/jobs/{id}": {"get": {"summary": _("One job"), "operationId": "job", "parameters": [ID], "responses": answers(200, ref("Job"), 404)}},
        "/jobs/{id}/result": {"get": remembered({"summary": _("What a job made"), "operationId": "job_result", "parameters": [ID], "responses": answers(200, {}, 404, media="*/*")})},
        "/jobs/{id}/cancel": {"post": {"summary": _("Stop a job"), "operationId": "cancel_job", "parameters": [ID], "responses": answers(200, ref("Job"), 404, 409)}},
        "/jobs/{id}/pause": {"post": {"summary": _("Let a job rest"), "operationId": "pause_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/jobs/{id}/resume": {"post": {"summary": _("Let a paused job go on"), "operationId": "resume_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/jobs/{id}/retry": {"post": {"summary": _("Let a failed job try again"), "operationId": "retry_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/files/{id}": {"get": {"summary": _("A file"), "operationId": "file", "parameters": [ID], "responses": answers(200, {}, 404, media="*/*")}},
    }  # fmt: skip
    found.update(_reports(ctx))
    if fields := _file_fields(ctx):
        parts = {"entity": {"type": "string", "enum": sorted({e for e, _f in fields})}, "field": {"type": "string", "enum": sorted({f for _e, f in fields})}}
        upload = {"type": "object", "properties": {**parts, "file": {"type": "string", "contentMediaType": "application/octet-stream"}}, "required": ["entity", "field", "file"]}
        form = {"required": True, "content": {"multipart/form-data": {"schema": upload}}}
        found["/files"] = {"post": {"summary": _("Upload a file"), "operationId": "upload", "requestBody": form, "responses": answers(201, {"type": "object"}, 402, 403, 404, 413, 422)}}
    if keys := [e for e in ctx.config.entities if permissions.may(ctx, "export", e)]:
        asked = {"entity": {"type": "string", "enum": keys}, "format": {"type": "string", "enum": ["xlsx", "csv"]}, "columns": {"type": "array", "items": {"type": "string"}}, "filter": {}, "view": {"type": "string"}, "q": {"type": "string"}}
        found["/exports"] = {"post": {"summary": _("Export a list"), "operationId": "export", "requestBody": body({"type": "object", "properties": asked, "required": ["entity"]}), "responses": job}}
    if keys := [e for e in ctx.config.entities if permissions.may(ctx, "import", e)]:
        asked = {"entity": {"type": "string", "enum": keys}, "rows": {"type": "array", "minItems": 1, "items": {"type": "object"}}, "mapping": {"type": "object", "additionalProperties": {"type": "string"}}, "duplicates": {"type": "string", "enum": ["create", "update", "skip"]}, "match": {"type": "string"}, "confirm": {"type": "boolean"}, "preview": {"type": "boolean"}}
        found["/imports"] = {"post": {"summary": _("Import a table"), "operationId": "import", "requestBody": body({"type": "object", "properties": asked, "required": ["entity", "rows"]}), "responses": job}}
    if permissions.is_admin(ctx):
        started = answers(202, {"type": "object", "properties": {"job": ref("Job")}, "required": ["job"]}, 403)
        found["/archives"] = {"post": {"summary": _("Export the whole workspace"), "operationId": "export_everything", "responses": started}}
        found["/usage"] = read(_("What the plan allows, and what is used of it"), "usage")
        found["/archives/{id}"] = {"get": {"summary": _("The file of such an export"), "operationId": "archive", "parameters": [ID], "responses": answers(200, {}, 403, 404, media="*/*")}}
    if permissions.may_configure(ctx, "users"):
        found.update(_invitations(ctx))
        found.update(_people())
    if permissions.may_configure(ctx, "config"):
        found.update(_configuration())
    return found


def _invitations(ctx: Context) -> Json:
    roles: Json = {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string", "enum": [r.key for r in ctx.config.bundle.roles if permissions.may_give(ctx, r)]}}
    texts: Json = {name: {"type": ["string", "null"]} for name in ("name", "locale")}
    asked: Json = {"type": "object", "properties": {"email": {"type": "string", "format": "email"}, "roles": roles, "department": {"type": ["string", "null"], "format": "uuid"}, **texts}, "required": ["email", "roles"]}
    return {
        "/invitations": {
            "get": {"summary": _("Invitations not accepted yet"), "operationId": "invitations", "responses": answers(200, page({"type": "object"}), 403)},
            "post": {"summary": _("Invite somebody"), "operationId": "invite", "requestBody": body(asked), "responses": answers(201, {"type": "object"}, 402, 403, 409, 422, 429)},
        },
        "/invitations/{id}": {"delete": {"summary": _("Withdraw an invitation"), "operationId": "withdraw_invitation", "parameters": [ID], "responses": answers(204, None, 403, 404)}},
        "/invitations/{id}/resend": {"post": {"summary": _("Send an invitation again"), "operationId": "resend_invitation", "parameters": [ID], "responses": answers(200, {"type": "object"}, 402, 403, 404, 422, 429)}},
    }


def _people() -> Json:
    asked: Json = {"type": "object", "properties": {"successor": {"type": ["string", "null"], "format": "uuid"}, "records": {"type": "string", "enum": ["open", "all"]}}}
    done = {"type": "object", "properties": {"status": {"type": "string"}, "job": {"oneOf": [ref("Job"), {"type": "null"}]}}, "required": ["status", "job"]}
    return {
        "/people/{id}/duties": {"get": {"summary": _("What somebody is responsible for"), "operationId": "duties", "parameters": [ID], "responses": answers(200, {"type": "object"}, 403, 404)}},
        "/people/{id}/deactivate": {"post": {"summary": _("Deactivate somebody; a successor takes over"), "operationId": "deactivate", "parameters": [ID], "requestBody": body(asked, required=False), "responses": answers(200, done, 403, 404, 409, 422)}},
        "/people/{id}/reactivate": {"post": {"summary": _("Let somebody in again and give back what was taken over"), "operationId": "reactivate", "parameters": [ID], "responses": answers(200, done, 402, 403, 404, 409)}},
    }


def _reports(ctx: Context) -> Json:
    found: Json = {}
    for report in reports.list_reports(ctx):
        names = [n for p in ctx.config.reports[report["key"]].params for n in ((p.key, f"{p.key}_from", f"{p.key}_to") if p.kind == "period" else (p.key,))]
        answered = answers(200, {"type": "object"}, 403, 404)
        found[f"/reports/{report['key']}"] = {"get": {"summary": report["label"], "operationId": f"report_{report['key']}", "parameters": query(*names), "responses": answered}}
    return found


def _file_fields(ctx: Context) -> list[tuple[str, str]]:
    return [
        (entity.key, f.key)
        for entity in ctx.config.entities.values()
        if permissions.may(ctx, "read", entity.key)
        for f in entity.declared.values()
        if f.type in ("file", "image") and permissions.static_access(ctx, entity)[f.key] == "write"
    ]


def _configuration() -> Json:
    steps: Json = {"type": "array", "maxItems": 500, "items": {"type": "object", "properties": {"do": {"type": "string", "enum": ["fill", "convert", "replace", "role"]}}, "required": ["do"]}}
    number: Json = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
    other: Json = {**number, "name": "other"}
    base: Json = {"base_revision": {"type": "integer"}}
    given: Json = {"bundle": {"type": "object"}, "patch": {"type": "object"}, "data": steps, **base}
    message: Json = {"message": {"type": "string", "maxLength": 500}}

    def read(summary: str, name: str, schema: Json, *errors: int, parameters: list[Json] | None = None) -> Json:
        return {"get": {"summary": summary, "operationId": name, "parameters": parameters or [], "responses": answers(200, schema, 403, *errors)}}

    def act(summary: str, name: str, properties: Json, schema: Json, *errors: int, parameters: list[Json] | None = None) -> Json:
        asked = body({"type": "object", "properties": properties}, required=bool(set(properties) & {"bundle"}))
        return {"post": {"summary": summary, "operationId": name, "parameters": parameters or [], "requestBody": asked, "responses": answers(200, schema, 403, 409, 422, *errors)}}

    return {
        "/config": read(_("The configuration"), "config", {"type": "object"}),
        "/config/plan": act(_("What publishing would change"), "config_plan", given, ref("Plan")),
        "/config/plans/{id}": read(_("A plan made earlier"), "config_plan_made", ref("Plan"), 404, parameters=[ID]),
        "/config/publish": act(_("Publish a configuration"), "config_publish", {**given, **message, "plan_id": {"type": "string"}}, ref("Revision"), 402),
        "/config/revisions": read(_("Revisions of the configuration"), "config_revisions", page(ref("Revision")), parameters=query("limit", "before")),
        "/config/revisions/{number}": read(_("One revision with its configuration"), "config_revision", ref("Revision"), 404, parameters=[number]),
        "/config/revisions/{number}/compare/{other}": read(_("What changed from one revision to another"), "config_compare", {"type": "object"}, 404, parameters=[number, other]),
        "/config/revisions/{number}/revert": act(_("Publish an older revision again"), "config_revert", {**base, **message, "data": steps}, ref("Revision"), 404, parameters=[number]),
    }
