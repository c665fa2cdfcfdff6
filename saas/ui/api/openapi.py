"""OpenAPI 3.1 for one caller: only what the caller's roles may use is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.compile import record_schema_for
from saas.metadata.config import Entity
from saas.metadata.models import FormPartDef, TransitionDef
from saas.runtime import Context, buttons, dictionaries, permissions, reports
from saas.runtime.alike import looked_at
from saas.runtime.approvals import flows
from saas.runtime.charts import charts_of, is_beside_list, is_on_records
from saas.runtime.composing import forms_of, labels
from saas.runtime.connectors import lists_of
from saas.runtime.documents import documents_of
from saas.runtime.portal_accounts import may_give
from saas.runtime.postings import reversible, visible
from saas.runtime.purging import may_purge
from saas.runtime.reviews import may_review
from saas.runtime.statements import statements_of
from saas.ui.api.openapi_shapes import (
    CONFIGURATION,
    DECISION,
    ID,
    KEY,
    LED_ON,
    ONCE,
    SHARED,
    TOLD,
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

PREVIEW: Json = {"name": "preview", "in": "query", "required": False, "schema": {"type": "boolean"}}
ALWAYS_NEW = ("clock",)  # reads that never answer the same twice
_WITHOUT = ("$schema", "$id", "additionalProperties", "required")


def document(ctx: Context, server: str) -> Json:
    paths, schemas = _fixed(ctx), {**SHARED, **(CONFIGURATION if permissions.may_configure(ctx, "config") else {})}
    for entity in ctx.config.entities.values():
        if permissions.may(ctx, "read", entity.key) or permissions.may(ctx, "create", entity.key):
            schemas.update(_schemas(ctx, entity))
            paths.update(_entity_paths(ctx, entity))
    paths.update(_form_paths(ctx))
    paths.update(_statement_paths(ctx))
    paths.update(_chart_paths(ctx))
    paths.update(_document_paths(ctx))
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{ctx.tenant.name} CRM", "version": str(ctx.config.revision)},
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": {path: {method: remembered(op) if method == "get" and _is_json(op) and op["operationId"] not in ALWAYS_NEW else op for method, op in item.items()} for path, item in paths.items()},
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
    kinds = {"confirm_duplicates": {"type": "boolean"}, "duplicate_reason": {"type": "string", "maxLength": 500}}
    extra: Json = {name: kinds.get(name, {"type": "integer"}) for name in more}
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
        got = {**answers(200, ref(key), 403, 404), "308": LED_ON}
        act(one, "get", "get", _("Get one"), {**got, "200": tagged(got["200"], _("The record's version, for If-Match."))}, parameters=[ID, *query("deleted")])
        act(f"{one}/history", "get", "history", _("History"), {**answers(200, page({"type": "object"}), 403, 404), "308": LED_ON}, parameters=[ID, *query("limit", "before")])
        act(f"{root}/merges/{{id}}", "get", "merge", _("A merge of records"), answers(200, {"type": "object"}, 403, 404), parameters=[ID])
        act(f"{root}/aggregate", "post", "aggregate", _("Group and measure"), answers(200, {"type": "object"}, 403, 422), requestBody=body(ref("Aggregate")))
        act(f"/views/{key}", "get", "views", _("Views"), answers(200, page({"type": "object"}), 404))
    if permissions.may(ctx, "create", key):
        act(root, "post", "create", _("Create"), answers(201, ref(key), 402, 403, 404, 409, 422), parameters=[ONCE], requestBody=_values(ref(f"{key}.new"), "confirm_duplicates", "duplicate_reason"))
        if looked_at(ctx, entity):
            act(f"{root}/alike", "post", "alike", _("What there may be already of a new record; nothing is written"), answers(200, {"type": "object"}, 400, 403, 404), requestBody=body({"type": "object", "properties": {"values": {"type": "object"}}, "required": ["values"]}))
    if visible(ctx, entity):
        act(f"{one}/ledgers", "get", "ledgers", _("Accounts"), answers(200, page({"type": "object"}), 403, 404), parameters=[ID])
        for ledger in visible(ctx, entity):
            named = f"ledger_{ledger.defn.key}"
            act(f"{one}/ledgers/{ledger.defn.key}", "get", named, ledger.label(ctx.locale), answers(200, page({"type": "object"}), 400, 403, 404), parameters=[ID, *query("limit", "after")])
    if permissions.may(ctx, "read", key):
        for shown in lists_of(ctx, key):
            act(f"{one}/live/{shown.key}", "get", f"live_{shown.key}", pick(shown.label, ctx.locale), answers(200, page({"type": "object"}), 403, 404), parameters=[ID])
    if reversible(ctx, entity) is not None and permissions.may(ctx, "create", key) and permissions.may(ctx, "read", key):
        reason = body({"type": "object", "properties": {"reason": {"type": ["string", "null"]}}}, required=False)
        act(f"{one}/reverse", "post", "reverse", _("Reverse"), answers(201, ref("Change"), 402, 403, 404, 409, 422), parameters=[ID, ONCE], requestBody=reason)
    if rules := [u.key for u in entity.defn.unique if u.when is None] if permissions.may(ctx, "create", key) and permissions.may(ctx, "update", key) and permissions.may(ctx, "read", key) else []:
        asked = {"by": {"type": "string", "enum": rules}, "rows": {"type": "array", "maxItems": 1000, "items": {"type": "object"}}}
        act(f"{root}/upsert", "post", "upsert", _("Load facts: change or make by a key"), answers(200, {"type": "object"}, 400, 402, 403, 404, 422), requestBody=body({"type": "object", "properties": asked, "required": ["by", "rows"]}))
    if permissions.may(ctx, "update", key):
        change = _values(ref(f"{key}.change"), "confirm_duplicates", "duplicate_reason", "version")
        act(one, "patch", "update", _("Change"), answers(200, ref(key), 402, 403, 404, 409, 410, 422), parameters=[ID, match()], requestBody=change)
    if permissions.may(ctx, "delete", key):
        act(one, "delete", "delete", _("Delete (into the recycle bin)"), answers(204, None, 403, 404, 409, 410), parameters=[ID, match()])
        act(f"{one}/restore", "post", "restore", _("Restore"), answers(200, ref(key), 402, 403, 404, 409, 422), parameters=[ID])
    if entity.defn.pools and permissions.may(ctx, "read", key):
        act(f"{root}/pools", "get", "pools", _("Pools and how you stand to them"), answers(200, page({"type": "object"}), 403, 404))
        moved = answers(200, ref("Change"), 403, 404, 409, 422)
        act(f"{root}/claim", "post", "claim_next", _("Claim the next one from a pool"), moved, requestBody=body({"type": "object", "properties": {"pool": {"type": ["string", "null"]}}}, required=False))
        act(f"{one}/claim", "post", "claim", _("Claim from the pool"), moved, parameters=[ID])
        act(f"{one}/release", "post", "release", _("Put into the pool"), moved, parameters=[ID], requestBody=body({"type": "object", "properties": {"values": {"type": "object"}}}, required=False))
        owner: Json = {"type": "object", "properties": {"owner": {"type": "string", "format": "uuid"}}, "required": ["owner"]}
        act(f"{one}/assign", "post", "assign", _("Assign to somebody"), moved, parameters=[ID], requestBody=body(owner))
    if entity.defn.sharing and permissions.may(ctx, "read", key):
        act(f"{one}/shares", "get", "shares", _("With whom it is shared"), answers(200, page({"type": "object"}), 403, 404), parameters=[ID])
        if permissions.may(ctx, "update", key):
            asked = {"with": {"type": "string"}, "level": {"type": "string", "enum": ["read", "edit"]}, "until": {"type": ["string", "null"], "format": "date-time"}, "part": {"type": "string", "maxLength": 60}}
            act(f"{one}/shares", "post", "share", _("Share it"), answers(200, page({"type": "object"}), 403, 404, 422), parameters=[ID], requestBody=body({"type": "object", "properties": asked, "required": ["with"]}))
            whom: Json = {"name": "subject", "in": "path", "required": True, "schema": {"type": "string"}}
            act(f"{one}/shares/{{subject}}", "delete", "revoke_share", _("Stop sharing"), answers(204, None, 403, 404), parameters=[ID, whom])
    if permissions.may(ctx, "delete", key):
        act(f"{one}/deletion", "get", "deletion", _("What deleting it takes along"), answers(200, page({"type": "object"}), 403, 404), parameters=[ID])
    if may_purge(ctx, key):
        asked = {"before": {"type": ["string", "null"], "format": "date"}, "export": {"type": ["string", "null"], "format": "uuid"}, "count": {"type": ["integer", "null"]}}
        act(f"{root}/purge", "post", "purge", _("Purge records for good: first without a count, which exports them; then with the count and the export"), answers(200, {"type": "object"}, 400, 403, 404, 409, 422), requestBody=body({"type": "object", "properties": asked}, required=False))
    if may_give(ctx, entity):
        act(f"{one}/account", "get", "account", _("The account of a record that is somebody outside"), answers(200, {"type": "object"}, 403, 404), parameters=[ID])
        asked = {**{n: {"type": "string"} for n in ("login", "password", "role")}, "must_change": {"type": "boolean"}}
        act(f"{one}/account", "post", "give_account", _("Give the record an account, or its account another name or password"), answers(200, {"type": "object"}, 402, 403, 404, 409, 422), parameters=[ID], requestBody=body({"type": "object", "properties": asked, "required": ["login"]}))
    if entity.defn.owned and permissions.may(ctx, "update", key):
        asked = {**{n: {"type": "string"} for n in ("view", "q")}, "to": {"type": "string", "format": "uuid"}, "filter": {}, "preview": {"type": "boolean"}, "ids": {"type": "array", "maxItems": 20000, "items": {"type": "string", "format": "uuid"}}, "children": {"type": "array", "items": {"type": "string"}}}
        act(f"{root}/transfer", "post", "transfer", _("Give records to somebody, with records below them"), answers(200, {"type": "object"}, 403, 404, 409, 422), requestBody=body({"type": "object", "properties": asked}))
    if permissions.may(ctx, "bulk", key):
        act(f"{root}/bulk", "post", "bulk", _("The same with many records"), answers((200, 202), {"type": "object"}, 403, 422), requestBody=body(ref("Bulk")))
    if permissions.may(ctx, "merge", key):
        ids: Json = {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "string", "format": "uuid"}}
        asked = {
            "survivor": {"type": "string", "format": "uuid"}, "losers": ids, "choices": {"type": "object", "additionalProperties": {"type": "string"}},
            "winner": {"type": "string", "enum": ["survivor", "newest"]}, "versions": {"type": "object", "additionalProperties": {"type": "integer"}}, "preview": {"type": "boolean"},
        }  # fmt: skip
        merged = answers((200, 202), {"type": "object"}, 402, 403, 404, 409, 410, 422)
        act(f"{root}/merge", "post", "merge_records", _("Merge records"), merged, requestBody=body({"type": "object", "properties": asked, "required": ["survivor", "losers"]}))
        settled = {"type": "object", "properties": {"ids": {**ids, "minItems": 2, "maxItems": 20}}, "required": ["ids"]}
        act(f"{root}/twins", "get", "twins", _("Records that may be the same"), answers(200, {"type": "object"}, 403, 404))
        act(f"{root}/twins/search", "post", "search_twins", _("Look for records that may be the same"), answers(202, {"type": "object"}, 403, 404))
        act(f"{root}/twins/dismiss", "post", "dismiss_twins", _("Say that records are not the same"), answers(204, None, 403, 404), requestBody=body(settled))
        act(f"{root}/merges/{{id}}/undo", "post", "undo_merge", _("Undo a merge"), answers((200, 202), {"type": "object"}, 402, 403, 404, 409, 422), parameters=[ID])
    for transition in entity.pipeline.transitions if entity.pipeline else ():
        if _may_move(ctx, entity, transition):
            answered = answers(200, ref("Change"), 402, 403, 404, 409, 410, 422)
            asked = body({"type": "object", "properties": {"values": _asked(ctx, entity, transition)}}, required=False)
            act(f"{one}/transitions/{transition.key}", "post", transition.key, pick(transition.label, ctx.locale), answered, parameters=[ID, match(), ONCE, PREVIEW], requestBody=asked)
    if ctx.config.approvals(key) and permissions.may(ctx, "read", key):
        asked = {"approval": {"type": "string", "enum": [a.key for a in ctx.config.approvals(key)]}, **_approval_words("way", "comment"), "people": {"type": "array", "maxItems": 20, "items": {"type": "string", "format": "uuid"}}, "together": {"type": "boolean"}, "preview": {"type": "boolean"}}
        act(f"{one}/approvals", "get", "approvals", _("Approvals of a record, and those that may be started"), answers(200, {"type": "object"}, 403, 404), parameters=[ID])
        act(f"{one}/approvals", "post", "start_approval", _("Start an approval, or preview its steps"), answers((200, 201), {"type": "object"}, 402, 403, 404, 409, 422), parameters=[ID], requestBody=body({"type": "object", "properties": asked, "required": ["approval"]}))
    for automation in buttons.buttons_of(ctx, entity):
        if buttons.may_press(ctx, automation):
            act(f"{one}/buttons/{automation.key}", "post", f"press_{automation.key}", buttons.text_of(ctx, automation), answers(200, ref("Change"), 402, 403, 404, 409, 422), parameters=[ID, ONCE])
    return {path: item for path, item in paths.items() if item}


def _approval_words(*names: str) -> Json:
    return {name: {"type": ["string", "null"]} for name in names}


def _approvals() -> Json:
    """What waits for the caller, whatever it is about."""
    acts = [key for key in flows.ACTS if key not in flows.OF_TASK]
    done = answers(200, {"type": "object"}, 402, 403, 404, 409, 422)

    def decision(known: Sequence[str]) -> Json:
        return body({"type": "object", "properties": {"act": {"type": "string", "enum": list(known)}, **_approval_words("comment", "to", "person")}, "required": ["act"]})

    ids: Json = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "format": "uuid"}}
    many = body({"type": "object", "properties": {"ids": ids, "act": {"type": "string", "enum": ["approve", "reject"]}, **_approval_words("comment")}, "required": ["ids", "act"]})
    days: Json = {**{n: {"type": ["string", "null"], "format": "uuid"} for n in ("deputy", "person")}, "first_day": {"type": "string", "format": "date"}, "last_day": {"type": "string", "format": "date"}}
    return {
        "/approvals/tasks": {"get": {"summary": _("What waits for your decision, what you started, what you decided"), "operationId": "approval_tasks", "parameters": query("box", "approval", "limit", "before"), "responses": answers(200, page({"type": "object"}), 403)}, "post": {"summary": _("Decide several at once, each for itself"), "operationId": "decide_many", "requestBody": many, "responses": answers(200, page({"type": "object"}), 400, 403)}},
        "/approvals/tasks/{id}": {"post": {"summary": _("Decide"), "operationId": "decide", "parameters": [ID], "requestBody": decision(flows.OF_TASK), "responses": done}},
        "/approvals/{id}": {"post": {"summary": _("Withdraw an approval, send it again, comment on it"), "operationId": "act_on_approval", "parameters": [ID], "requestBody": decision(acts), "responses": done}},
        "/deputies": {
            "get": {"summary": _("When you are away, who decides for you then, and for whom you decide"), "operationId": "deputies", "parameters": query("everybody"), "responses": answers(200, page({"type": "object"}), 403)},
            "post": {"summary": _("Be away on some days, and let somebody decide for you"), "operationId": "set_deputy", "requestBody": body({"type": "object", "properties": days, "required": ["first_day", "last_day"]}), "responses": answers(201, {"type": "object"}, 403, 404, 422)},
        },
        "/deputies/{id}": {"delete": {"summary": _("Be there again"), "operationId": "remove_deputy", "parameters": [ID], "responses": answers(204, None, 403, 404)}},
    }


def _may_move(ctx: Context, entity: Entity, transition: TransitionDef) -> bool:
    allowed = permissions.transition_roles(ctx, entity.pipeline, transition)
    if allowed is None:
        allowed = permissions.may_change(ctx, entity.key)
    return allowed and permissions.may(ctx, "read", entity.key)


def _asked(ctx: Context, entity: Entity, transition: TransitionDef) -> Json:
    """A person may set these during the transition also where the record is otherwise closed to them."""
    access = {**permissions.static_access(ctx, entity), **{k: "write" for k in (*transition.require, *transition.ask)}}
    full = record_schema_for(ctx.config, entity.key, access, ctx.locale)["properties"]
    return {"type": "object", "properties": {k: full[k] for k in (*transition.require, *transition.ask) if k in full}}


def _form_paths(ctx: Context) -> Json:
    """An entry form each: the main record's values, and of each part one record or a list of them."""
    found: Json = {}
    if forms_of(ctx):
        found["/forms"] = {"get": {"summary": _("Entry forms"), "operationId": "forms", "parameters": [], "responses": answers(200, page({"type": "object"}), 403)}}
    for form in forms_of(ctx):
        parts = {part.key: _part(ctx, target.entity, part) for part, target, _label in labels(ctx, form)}
        main = _entered(ctx, ctx.config.entity(form.entity), form.fields, ())
        asked = {"type": "object", "properties": {**main["properties"], "parts": {"type": "object", "properties": parts, "additionalProperties": False}, "confirm_duplicates": {"type": "boolean"}}}
        found[f"/forms/{form.key}"] = {"post": {
            "summary": pick(form.label, ctx.locale), "operationId": f"form_{form.key}", "parameters": [ONCE], "requestBody": body(asked), "responses": answers((200, 201), ref("Change"), 402, 403, 404, 409, 422),
        }}
    return found


def _statement_paths(ctx: Context) -> Json:
    found: Json = {}
    if ctx.config.bundle.connectors and permissions.may_configure(ctx, "config"):
        found["/connectors"] = {"get": {"summary": _("Connectors and how fresh their mirrors are"), "operationId": "connectors", "parameters": [], "responses": answers(200, page({"type": "object"}), 403)}}
        found["/connectors/{key}/pull"] = {"post": {"summary": _("Fetch what a connector mirrors"), "operationId": "pull_connector", "parameters": [KEY], "responses": answers(202, {"type": "object"}, 403, 404)}}
    if statements_of(ctx):
        found["/statements"] = {"get": {"summary": _("Statements"), "operationId": "statements", "parameters": [], "responses": answers(200, page({"type": "object"}), 403)}}
    for statement in statements_of(ctx):
        named: list[Json] = [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in ("period", "party")]
        found[f"/statements/{statement.key}"] = {"get": {"summary": pick(statement.label, ctx.locale), "operationId": f"statement_{statement.key}", "parameters": named, "responses": answers(200, {"type": "object"}, 400, 403, 404, 409)}}
        if statement.closings and permissions.may(ctx, "create", statement.closings):
            asked = body({"type": "object", "properties": {"period": {"type": "string"}}, "required": ["period"]})
            found[f"/statements/{statement.key}/close"] = {"post": {"summary": _("Close the period"), "operationId": f"close_{statement.key}", "parameters": [ONCE], "requestBody": asked, "responses": answers(200, {"type": "object"}, 400, 402, 403, 404, 409, 422)}}
    return found


def _chart_paths(ctx: Context) -> Json:
    found: Json = {}
    known = charts_of(ctx)
    if known:
        found["/charts"] = {"get": {"summary": _("Drawings"), "operationId": "charts", "parameters": [], "responses": answers(200, page({"type": "object"}), 403)}}
    for chart in known:
        named: list[Json] = []
        if is_on_records(chart):
            named.append({"name": "record", "in": "query", "required": not is_beside_list(chart), "schema": {"type": "string", "format": "uuid"}})
        found[f"/charts/{chart.key}"] = {"get": {"summary": pick(chart.label, ctx.locale), "operationId": f"chart_{chart.key}", "parameters": named, "responses": answers(200, {"type": "object"}, 400, 403, 404)}}
    return found


def _document_paths(ctx: Context) -> Json:
    found: Json = {}
    for entity in ctx.config.entities.values():
        known = documents_of(ctx, entity)
        if known:
            base = f"/records/{entity.key}/{{id}}/documents"
            found[base] = {"get": {"summary": _("Documents"), "operationId": f"documents_{entity.key}", "parameters": [ID], "responses": answers(200, page({"type": "object"}), 403, 404)}}
        for document in known:
            found[f"{base}/{document.key}"] = {"get": {
                "summary": pick(document.label, ctx.locale), "operationId": f"document_{entity.key}_{document.key}", "parameters": [ID],
                "responses": answers(200, {"type": "string", "format": "binary"}, 403, 404, media="application/pdf"),
            }}
    return found


def _part(ctx: Context, entity: Entity, part: FormPartDef) -> Json:
    one = _entered(ctx, entity, part.fields, part.creates)
    return {"type": "array", "maxItems": 200, "items": one} if part.list is not None else one


def _entered(ctx: Context, entity: Entity, fields: Sequence[str], creates: Sequence[str]) -> Json:
    full = record_schema_for(ctx.config, entity.key, permissions.static_access(ctx, entity), ctx.locale)["properties"]
    own = {k: full[k] for k in fields if k in full}
    for key in creates:
        if key in own:
            own[key] = {"anyOf": [own[key], {"type": "object", "properties": {"values": {"type": "object"}}, "required": ["values"]}]}
    more: Json = {"id": {"type": "string", "format": "uuid"}, "version": {"type": "integer"}, "delete": {"type": "boolean"}}
    return {"type": "object", "properties": {"values": {"type": "object", "properties": own, "additionalProperties": False}, **more}, "additionalProperties": False}


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
        "/users": read(_("People to choose from"), "users", "q", "department", "role"),
        "/notifications": read(_("Your notifications"), "notifications", "limit", "before", "unread"),
        "/notifications/read": {"post": {
            "summary": _("Mark notifications as read"), "operationId": "read_notifications", "responses": answers(204, None),
            "requestBody": body({"type": "object", "properties": {"ids": {"type": "array", "maxItems": 1000, "items": {"type": "string", "format": "uuid"}}}}, required=False),
        }},
        "/notifications/channels": {
            "get": {"summary": _("How you are told of notifications besides the bell"), "operationId": "told_by", "responses": answers(200, TOLD)},
            "post": {"summary": _("Choose how you are told of notifications"), "operationId": "tell_by", "requestBody": body(TOLD), "responses": answers(200, TOLD, 400)},
        },
        "/reports": read(_("Reports you may open"), "reports"),
        **({"/log": read(_("Who did what to which record"), "log", "entity", "person", "first", "last", "before", "limit")} if permissions.may_configure(ctx, "audit") else {}),
        **({
            "/reviews": read(_("Review queues you may work on"), "reviews"),
            "/reviews/{key}": {"get": {"summary": _("What waits in a review"), "operationId": "review", "parameters": [KEY], "responses": answers(200, {"type": "object"}, 403, 404)}},
            "/reviews/{key}/{id}": {
                "get": {"summary": _("A record that waits, and what it may be"), "operationId": "review_item", "parameters": [KEY, ID], "responses": answers(200, {"type": "object"}, 403, 404)},
                "post": {"summary": _("Decide what it is"), "operationId": "decide", "parameters": [KEY, ID], "requestBody": body(DECISION), "responses": answers(200, {"type": "object"}, 402, 403, 404, 409, 410, 422)},
            },
        } if any(r.entity in ctx.config.entities and may_review(ctx, r) for r in ctx.config.bundle.reviews) else {}),
        **({"/option-lists": read(_("Option lists you keep up to date"), "option_lists")} if dictionaries.kept(ctx) else {}),
        "/jobs": read(_("Your jobs"), "jobs", "status", "limit"),
        "/jobs/{id}": {"get": {"summary": _("One job"), "operationId": "job", "parameters": [ID], "responses": answers(200, ref("Job"), 404)}},
        "/jobs/{id}/result": {"get": remembered({"summary": _("What a job made"), "operationId": "job_result", "parameters": [ID], "responses": answers(200, {}, 404, media="*/*")})},
        "/jobs/{id}/cancel": {"post": {"summary": _("Stop a job"), "operationId": "cancel_job", "parameters": [ID], "responses": answers(200, ref("Job"), 404, 409)}},
        "/jobs/{id}/pause": {"post": {"summary": _("Let a job rest"), "operationId": "pause_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/jobs/{id}/resume": {"post": {"summary": _("Let a paused job go on"), "operationId": "resume_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/jobs/{id}/undo": {"post": {"summary": _("Take back what such a job gave away"), "operationId": "undo_job", "parameters": [ID], "responses": answers(200, {"type": "object"}, 403, 404, 409)}},
        "/jobs/{id}/retry": {"post": {"summary": _("Let a failed job try again"), "operationId": "retry_job", "parameters": [ID], "responses": answers(200, ref("Job"), 403, 404, 409)}},
        "/files/{id}": {"get": {"summary": _("A file"), "operationId": "file", "parameters": [ID], "responses": answers(200, {}, 404, media="*/*")}},
    }  # fmt: skip
    found.update(_reports(ctx))
    found.update(_approvals())
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
    for rule in ctx.config.bundle.automations if permissions.is_admin(ctx) else ():
        asked = body({"type": "object", "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 366}, "bundle": {"type": "object"}}}, required=False)
        summary = _("What “%(name)s” would have done lately", name=pick(rule.label, ctx.locale))
        found[f"/automations/{rule.key}/rehearse"] = {"post": {"summary": summary, "operationId": f"rehearse_{rule.key}", "requestBody": asked, "responses": answers(200, {"type": "object"}, 403, 404, 422) | TOO_SLOW}}
    if permissions.is_admin(ctx):
        started = answers(202, {"type": "object", "properties": {"job": ref("Job")}, "required": ["job"]}, 403)
        found["/archives"] = {"post": {"summary": _("Export the whole workspace"), "operationId": "export_everything", "responses": started}}
        found["/usage"] = read(_("What the plan allows, and what is used of it"), "usage")
        found["/archives/{id}"] = {"get": {"summary": _("The file of such an export"), "operationId": "archive", "parameters": [ID], "responses": answers(200, {}, 403, 404, media="*/*")}}
        found.update(_clock())
    if permissions.may_configure(ctx, "jobs"):
        found.update(_outbox())
        found.update(_runs())
    if permissions.may_configure(ctx, "users"):
        found.update(_invitations(ctx))
        found.update(_people())
    if permissions.may_configure(ctx, "config"):
        found.update(_configuration())
        found.update(_timetable())
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


_STARTED: Json = {"type": "object", "properties": {"job": ref("Job")}, "required": ["job"]}
_MOMENT: Json = {"type": "string", "format": "date-time"}


def _clock() -> Json:
    clock: Json = {
        "type": "object", "required": ["now", "real", "offset_seconds", "time_zone", "movable"],
        "properties": {"now": _MOMENT, "real": _MOMENT, "offset_seconds": {"type": "integer"}, "time_zone": {"type": "string"}, "movable": {"type": "boolean"}, "moves": {"type": "array", "items": ref("Job")}},
    }  # fmt: skip
    asked: Json = {"type": "object", "properties": {"to": _MOMENT}, "required": ["to"]}
    return {
        "/clock": {
            "get": {"summary": _("The clock of the workspace"), "operationId": "clock", "responses": answers(200, clock, 403)},
            "post": {"summary": _("Move the clock forward"), "operationId": "move_clock", "requestBody": body(asked), "responses": answers(202, _STARTED, 400, 403, 409)},
        },
        "/clock/real": {"post": {"summary": _("Put the clock back to real time"), "operationId": "reset_clock", "responses": answers(200, clock, 403, 409)}},
    }


def _timetable() -> Json:
    entry: Json = {
        "type": "object", "required": ["key", "kind", "label", "entity", "active", "next", "last"],
        "properties": {
            "key": {"type": "string"}, "kind": {"type": "string", "enum": ["schedule", "automation"]}, "label": {"type": "string"}, "entity": {"type": "string"}, "active": {"type": "boolean"},
            "next": {"type": "array", "items": _MOMENT}, "last": {"type": ["object", "null"]},
        },
    }  # fmt: skip
    key: Json = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/timetable": {"get": {"summary": _("What runs at set times"), "operationId": "timetable", "responses": answers(200, page(entry), 403)}},
        "/timetable/{key}": {"get": {"summary": _("One entry of the timetable, with its last runs and what would match"), "operationId": "timetable_entry", "parameters": [key, *query("at")], "responses": answers(200, entry, 400, 403, 404)}},
        "/timetable/{key}/run": {"post": {"summary": _("Run it once, now"), "operationId": "run_timetable", "parameters": [key], "responses": answers(202, _STARTED, 403, 404, 409)}},
    }


def _outbox() -> Json:
    message: Json = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}, "kind": {"type": "string"}, "status": {"type": "string", "enum": ["queued", "sending", "sent", "failed", "cancelled"]}, "attempts": {"type": "integer"}}, "required": ["id", "kind", "status"]}
    return {
        "/outbox": {"get": {"summary": _("Messages to other systems"), "operationId": "outbox", "parameters": query("status", "kind", "before", "limit"), "responses": answers(200, page(message), 403)}},
        "/outbox/{id}": {"get": {"summary": _("One message to another system"), "operationId": "outbox_message", "parameters": [ID], "responses": answers(200, message, 403, 404)}},
        "/outbox/{id}/retry": {"post": {"summary": _("Send a message again now"), "operationId": "retry_message", "parameters": [ID], "responses": answers(200, message, 403, 404, 409)}},
        "/outbox/{id}/cancel": {"post": {"summary": _("Call a message off"), "operationId": "cancel_message", "parameters": [ID], "responses": answers(200, message, 403, 404, 409)}},
    }


def _runs() -> Json:
    run: Json = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}, "automation": {"type": "string"}, "status": {"type": "string"}, "steps": {"type": "array", "items": {"type": "object"}}}, "required": ["id", "automation", "status"]}
    return {
        "/runs": {"get": {"summary": _("Runs of automations"), "operationId": "runs", "parameters": query("automation", "status", "record", "before", "limit"), "responses": answers(200, page(run), 403)}},
        "/runs/{id}": {"get": {"summary": _("One run with its steps"), "operationId": "run", "parameters": [ID], "responses": answers(200, run, 403, 404)}},
        "/runs/{id}/replay": {"post": {"summary": _("Let a run that failed go on from the failed step"), "operationId": "replay_run", "parameters": [ID], "responses": answers(200, run, 403, 404, 409)}},
        "/runs/{id}/cancel": {"post": {"summary": _("Call a run off"), "operationId": "cancel_run", "parameters": [ID], "responses": answers(200, run, 403, 404, 409)}},
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
