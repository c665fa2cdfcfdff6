"""Every route of the application, tried by people of tenant B with what belongs to tenant A: they get nothing, change nothing,
and learn nothing. A route without a case here fails the test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from saas.app import routes as all_routes
from saas.db import tenant_transaction
from saas.runtime import jobs
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.schedules import run_due
from saas.runtime.worker import drain
from saas.settings import Settings
from saas.tenants import find_user
from tests.acceptance.api import Person
from tests.isolation.worlds import WORD, Ledger, World, make_world, plain


@dataclass(frozen=True)
class Case:
    """How to try a route. `$name` in a value is a thing of A, or in the comparison one that nobody has. A list of queries or
    bodies is tried one by one. `own`: the answer may show B's own things, so only what is A's is looked for in it."""

    params: dict[str, str] = field(default_factory=dict)
    query: tuple[dict[str, str], ...] = ({},)
    body: tuple[Any, ...] = (None,)
    form: tuple[dict[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    own: bool = False
    public: bool = False  # answers without a session


def reads(*queries: dict[str, str], **params: str) -> Case:
    return Case(params=params, query=queries or ({},))


def sends(*bodies: Any, headers: dict[str, str] | None = None, own: bool = False, public: bool = False, **params: str) -> Case:
    return Case(params=params, body=bodies or ({},), headers=headers or {}, own=own, public=public)


def fills(*forms: dict[str, str], public: bool = False, own: bool = False, **params: str) -> Case:
    return Case(params=params, form=forms or ({},), public=public, own=own)


OF_A = '{"field": "id", "op": "in", "value": ["$record", "$gone"]}'
LISTS = (
    {"filter": OF_A, "count": "exact"}, {"q": "$word", "count": "exact"}, {"filter": '{"field": "owner", "op": "eq", "value": "$user"}', "count": "exact"}, {"view": "$view"},
    {"filter": '{"field": "name", "op": "contains", "value": "$word"}'}, {"filter": OF_A, "deleted": "true"}, {"filter": OF_A, "sort": "name", "fields": "name"},
)  # fmt: skip
REF = {"values": {"name": "Try", "customer": "$record"}}
OPERATOR = Case(params={"slug": "$slug", "act": "suspend"}, body=({}, {"plan": "pro", "slug": "x", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": "long enough to be one"}), public=True)
CUSTOMER = {"entity": "customer"}
RECORD = {"entity": "customer", "rid": "$record"}
PAGE = {"entity": "customer", "record_id": "$record"}
SECTIONS = ("templates", "web-forms", "webhooks", "inbound-hooks")
DESCRIBED = ("ledgers", "forms", "pricing", "statements", "connectors", "mirrors", "live-lists", "calls", "charts", "documents")  # settings whose forms are made from schemas
OF_OPTIONS = ("", "/remove", "/split", "/merge")

CASES: dict[str, Case] = {
    # ---- the API
    "GET /api/v1/config": reads(), "GET /api/v1/config/revisions": reads(),
    "GET /api/v1/config/revisions/{number:int}": reads(number="77"), "GET /api/v1/config/revisions/{number:int}/compare/{other:int}": reads(number="1", other="77"),
    "GET /api/v1/config/plans/{plan_id:str}": reads(plan_id="$plan"),
    "POST /api/v1/config/plan": sends({"bundle": {}}),
    "POST /api/v1/config/publish": sends({"plan_id": "$plan", "message": "stolen"}),
    "POST /api/v1/config/revisions/{number:int}/revert": sends({}, number="77"),
    "POST /api/v1/exports": sends({"entity": "customer", "format": "csv", "filter": {"expr": "name == '$word'"}}, {"entity": "customer", "format": "csv", "view": "$view"}),
    "POST /api/v1/files": sends({"entity": "interaction", "field": "attachments"}),
    "GET /api/v1/files/{fid:str}": Case(params={"fid": "$file"}),
    "POST /api/v1/archives": sends(own=True), "GET /api/v1/archives/{jid:str}": Case(params={"jid": "$archive"}),
    "POST /api/v1/imports": sends({"entity": "opportunity", "rows": [{"name": "Try", "customer": "$record"}, {"name": "Try", "customer": "$word Ltd"}]}, {"entity": "customer", "rows": [{"name": "$word Ltd"}], "duplicates": "skip", "match": "name", "preview": True}),
    "GET /api/v1/jobs": reads({}, {"everybody": "1"}), "GET /api/v1/jobs/{jid:str}": Case(params={"jid": "$job"}),
    "POST /api/v1/jobs/{jid:str}/cancel": sends({}, jid="$queued"), "POST /api/v1/jobs/{jid:str}/retry": sends({}, jid="$queued"),
    "POST /api/v1/jobs/{jid:str}/pause": sends({}, jid="$queued"), "POST /api/v1/jobs/{jid:str}/resume": sends({}, jid="$queued"),
    "GET /api/v1/jobs/{jid:str}/result": Case(params={"jid": "$job"}),
    "GET /api/v1/me": reads(), "GET /api/v1/openapi.json": reads(), "GET /api/v1/schema": reads(), "GET /api/v1/schema/{entity:str}": reads(**CUSTOMER),
    "GET /api/v1/log": reads({}, {"entity": "customer", "person": "$record"}, {"before": "2026-01-01T00:00:00+00:00~$record"}),
    "GET /api/v1/notifications": reads({}, {"before": "$note"}), "POST /api/v1/notifications/read": sends({"ids": ["$note"]}),
    "GET /api/v1/records/{entity:str}": reads(*LISTS, **CUSTOMER),
    "POST /api/v1/records/{entity:str}": sends(REF, {"values": {"name": "Try", "owner": "$user", "customer": "$record"}}, entity="opportunity"),
    "POST /api/v1/records/{entity:str}/aggregate": sends({"measures": [{"fn": "count"}], "filter": {"expr": "name == '$word Ltd'"}}, {"measures": [{"fn": "count"}], "filter": {"field": "id", "op": "eq", "value": "$record"}, "dimensions": [{"field": "name"}]}, **CUSTOMER),
    "POST /api/v1/records/{entity:str}/bulk": sends(*({"action": a, "ids": ["$record", "$gone"], "values": {"background": "x"}} for a in ("update", "delete", "restore")), {"action": "update", "view": "$view", "values": {"background": "x"}}, {"action": "assign", "ids": ["$record"], "values": {"owner": "$user"}}, **CUSTOMER),
    "POST /api/v1/records/{entity:str}/merge": sends(*({"survivor": a, "losers": [b], "preview": p} for p in (True, False) for a, b in (("$record", "$gone"), ("$gone", "$record"))), **CUSTOMER),
    "GET /api/v1/records/{entity:str}/merges/{rid:str}": Case(params={"entity": "customer", "rid": "$merge"}), "POST /api/v1/records/{entity:str}/merges/{rid:str}/undo": sends({}, entity="customer", rid="$merge"),
    "POST /api/v1/records/{entity:str}/alike": sends({"values": {"name": "$word Ltd"}}, {"values": {"customer": "$record", "name": "$word"}}, **CUSTOMER), "POST /r/{entity:str}/alike": fills({"name": "$word Ltd"}, **CUSTOMER),
    "GET /api/v1/records/{entity:str}/twins": reads({}, {"rule": "same_name"}, **CUSTOMER), "POST /api/v1/records/{entity:str}/twins/search": sends({}, own=True, **CUSTOMER),
    "POST /api/v1/records/{entity:str}/twins/dismiss": sends({"ids": ["$record", "$gone"]}, **CUSTOMER), "GET /r/{entity:str}/twins": reads({}, {"rule": "same_name", "mine": "1"}, **CUSTOMER),
    "POST /r/{entity:str}/twins/search": fills({}, own=True, **CUSTOMER), "POST /r/{entity:str}/twins/dismiss": fills({"ids": "$record"}, **CUSTOMER),
    "GET /api/v1/connectors": reads(), "POST /api/v1/connectors/{key:str}/pull": sends({}, key="$word"),
    "GET /api/v1/records/{entity:str}/{rid:str}/live/{key:str}": Case(params={**RECORD, "key": "$word"}), "GET /r/{entity:str}/{record_id:uuid}/live/{key:str}": Case(params={**PAGE, "key": "$word"}),
    "GET /settings/connections/connector/{key:str}": reads(key="$word"), "POST /settings/connections/connector/{key:str}": fills({"mode": "stub", "secret": "stolen"}, key="$word"),
    "POST /settings/connections/connector/{key:str}/pull": fills({}, key="$word"),
    "GET /api/v1/reviews": reads(), "GET /api/v1/reviews/{key:str}": reads(key="$word"), "GET /api/v1/reviews/{key:str}/{item:str}": reads(key="$word", item="$record"),
    "POST /api/v1/reviews/{key:str}/{item:str}": sends({"target": "$record"}, {"sources": ["$gone"]}, key="$word", item="$record"),
    "GET /api/v1/option-lists": reads(), "POST /api/v1/option-lists/{key:str}": sends({"label": {"en": "Try"}}, key="$word"), "PATCH /api/v1/option-lists/{key:str}/{option:str}": sends({"active": False}, key="$word", option="x"),
    "GET /option-lists": reads(), "POST /option-lists/{key:str}": fills({"en": "Try"}, key="$word"), "POST /option-lists/{key:str}/{option:str}": fills({"active": "no"}, key="$word", option="x"),
    "GET /reviews/{key:str}": reads(key="$word"), "GET /reviews/{key:str}/{item:uuid}": reads(key="$word", item="$record"), "POST /reviews/{key:str}/{item:uuid}": fills({"_target": "$record"}, key="$word", item="$record"),
    **{f"{method} /settings/reviews{path}": Case(params={"key": "$word"}, query=({},), form=({},) if method == "POST" else ()) for method, path in (
        ("GET", ""), ("GET", "/new"), ("POST", "/new"), ("GET", "/{key:str}"), ("POST", "/{key:str}"), ("GET", "/{key:str}/remove"), ("POST", "/{key:str}/remove"),
    )},
    "GET /r/{entity:str}/merge": reads({"ids": "$record"}, {"ids": "$record", "survivor": "$record"}, **CUSTOMER), "POST /r/{entity:str}/merge": fills({"ids": "$record", "survivor": "$record"}, **CUSTOMER),
    "GET /r/{entity:str}/merges/{merge_id:uuid}": Case(params={"entity": "customer", "merge_id": "$merge"}), "POST /r/{entity:str}/merges/{merge_id:uuid}/undo": fills({}, entity="customer", merge_id="$merge"),
    "GET /api/v1/records/{entity:str}/{rid:str}": Case(params=RECORD, query=({}, {"deleted": "true"})),
    "PATCH /api/v1/records/{entity:str}/{rid:str}": Case(params=RECORD, body=({"values": {"name": "Taken"}}, {"values": {}, "version": 1})),
    "DELETE /api/v1/records/{entity:str}/{rid:str}": Case(params=RECORD),
    "GET /api/v1/records/{entity:str}/{rid:str}/history": Case(params=RECORD),
    "GET /api/v1/records/{entity:str}/pools": reads(**CUSTOMER), "POST /api/v1/records/{entity:str}/claim": sends({}, {"pool": "$word"}, **CUSTOMER),
    **{f"POST /api/v1/records/{{entity:str}}/{{rid:str}}/{act}": Case(params=RECORD, body=({}, {"owner": "$user"})) for act in ("claim", "release", "assign")},
    "POST /r/{entity:str}/claim": fills({"pool": "$word", "next": "/r/customer/$record"}, **CUSTOMER),
    **{f"POST /r/{{entity:str}}/{{record_id:uuid}}/{act}": fills({"owner": "$user"}, **PAGE) for act in ("claim", "release", "assign")},
    "GET /r/{entity:str}/{record_id:uuid}/assign": Case(params=PAGE), "GET /r/{entity:str}/{record_id:uuid}/release": Case(params=PAGE),
    "POST /api/v1/records/{entity:str}/transfer": sends({"ids": ["$record"], "to": "$user"}, {"view": "$view", "to": "$user", "preview": True}, **CUSTOMER), "POST /api/v1/jobs/{jid:str}/undo": sends({}, jid="$job"),
    "GET /api/v1/records/{entity:str}/{rid:str}/account": Case(params=RECORD), "POST /api/v1/records/{entity:str}/{rid:str}/account": Case(params=RECORD, body=({"login": "taken", "password": "a new long password"},)),
    "GET /r/{entity:str}/{record_id:uuid}/account": Case(params=PAGE), "POST /r/{entity:str}/{record_id:uuid}/account": fills({"login": "taken", "password": "a new long password"}, **PAGE),
    "GET /api/v1/records/{entity:str}/{rid:str}/deletion": Case(params=RECORD), "POST /api/v1/records/{entity:str}/purge": sends({"export": "$job", "count": 1}, **CUSTOMER),
    "GET /r/{entity:str}/purge": reads(**CUSTOMER), "POST /r/{entity:str}/purge": fills({"export": "$job", "count": "1"}, **CUSTOMER), "GET /start": Case(own=True),
    "POST /login/device": fills({"next": "/"}, {"forget": "1"}, public=True), "POST /profile/verification": fills({"new_item": "x"}), "POST /settings/users/{user_id:uuid}/verification/reset": fills({}, user_id="$user"),
    "GET /api/v1/records/{entity:str}/{rid:str}/shares": Case(params=RECORD), "POST /api/v1/records/{entity:str}/{rid:str}/shares": Case(params=RECORD, body=({"with": "user:$user"}, {"with": "role:admin", "level": "edit"})),
    "DELETE /api/v1/records/{entity:str}/{rid:str}/shares/{subject:str}": Case(params={**RECORD, "subject": "user:$user"}),
    "GET /r/{entity:str}/{record_id:uuid}/shares": Case(params=PAGE), "POST /r/{entity:str}/{record_id:uuid}/shares": fills({"subject": "user:$user"}, {"revoke": "user:$user"}, **PAGE),
    "GET /settings/users/{user_id:uuid}/segments": reads(user_id="$user"), "POST /settings/users/{user_id:uuid}/segments": fills({"segments": "$record"}, user_id="$user"),
    "GET /r/{entity:str}/transfer": reads({"ids": "$record"}, {"view": "$view"}, **CUSTOMER), "POST /r/{entity:str}/transfer": fills({"ids": "$record", "owner": "$user"}, **CUSTOMER),
    "GET /api/v1/records/{entity:str}/{rid:str}/ledgers": Case(params=RECORD), "GET /api/v1/records/{entity:str}/{rid:str}/ledgers/{key:str}": Case(params={**RECORD, "key": "points"}),
    "POST /api/v1/records/{entity:str}/upsert": sends({"by": "name", "rows": [{"name": "$word Ltd", "owner": "$user"}]}, entity="customer"),
    "GET /api/v1/statements": reads(), "GET /api/v1/statements/{key:str}": reads({"period": "2026-01"}, {"party": "$record"}, key="month"), "POST /api/v1/statements/{key:str}/close": sends({"period": "2026-01"}, key="month"),
    "GET /statements/{key:str}": reads({"period": "2026-01"}, {"party": "$record"}, key="month"), "GET /statements/{key:str}/export": reads(key="month"), "POST /statements/{key:str}/close": fills({"period": "2026-01"}, key="month"),
    "GET /api/v1/records/{entity:str}/{rid:str}/documents": Case(params=RECORD), "GET /api/v1/records/{entity:str}/{rid:str}/documents/{key:str}": Case(params={**RECORD, "key": "$word"}),
    "GET /r/{entity:str}/{record_id:uuid}/documents/{key:str}": Case(params={**PAGE, "key": "$word"}), "GET /r/{entity:str}/{record_id:uuid}/documents/{key:str}/pdf": Case(params={**PAGE, "key": "$word"}),
    "GET /r/{entity:str}/print": reads({}, {"q": "$word"}, **CUSTOMER), "GET /r/{entity:str}/print/pdf": Case(params=CUSTOMER, own=True),  # what was asked for and when stands on it, so no two are the same
    "GET /api/v1/charts": reads(), "GET /api/v1/charts/{key:str}": reads({"record": "$record"}, key="$word"), "GET /r/{entity:str}/charts/{key:str}": reads(entity="customer", key="$word"),
    "GET /api/v1/forms": reads(), "POST /api/v1/forms/{key:str}": sends({"id": "$record", "values": {"name": "Try"}}, key="entry"),
    "GET /entry/{key:str}": reads({"customer.id": "$record"}, key="entry"), "GET /entry/{key:str}/{record_id:uuid}": reads(key="entry", record_id="$record"),
    "POST /entry/{key:str}": fills({"customer.id": "$record"}, key="entry"), "POST /entry/{key:str}/{record_id:uuid}": fills({"name": "$word"}, key="entry", record_id="$record"),
    "POST /entry/{key:str}/live": fills({"customer.id": "$record"}, key="entry"),
    "POST /api/v1/records/{entity:str}/{rid:str}/reverse": Case(params=RECORD, body=({}, {"reason": "$word"})),
    "POST /api/v1/records/{entity:str}/{rid:str}/restore": Case(params={"entity": "customer", "rid": "$gone"}, body=({},)),
    "POST /api/v1/records/{entity:str}/{rid:str}/transitions/{key:str}": Case(params={"entity": "opportunity", "rid": "$opportunity", "key": "qualify"}, body=({}, {"values": {"customer": "$record"}})),
    "GET /api/v1/reports": reads(), "GET /api/v1/reports/{key:str}": reads({}, {"owner": "$user"}, {"user": "$user"}, key="sales"),
    "GET /api/v1/search": reads({"q": "$word"}, {"q": "$word Ltd", "limit": "100"}), "GET /api/v1/users": reads(), "GET /api/v1/views/{entity:str}": reads(**CUSTOMER),
    "POST /api/v1/tokens": sends({"email": "$low_email", "password": "correct horse battery"}, public=True), "DELETE /api/v1/tokens": Case(public=True),
    "GET /api/v1/invitations": reads(), "POST /api/v1/invitations": sends({"email": "x@x.example", "roles": ["$word"]}, {"email": "no address", "roles": ["sales"]}),
    "POST /api/v1/invitations/{invitation:str}/resend": sends({}, invitation="$invitation"), "DELETE /api/v1/invitations/{invitation:str}": Case(params={"invitation": "$invitation"}),
    # ---- operators, on their own host only
    "GET /api/v1/tenants": OPERATOR, "POST /api/v1/tenants": OPERATOR, "GET /api/v1/tenants/{slug:str}": OPERATOR, "PATCH /api/v1/tenants/{slug:str}": OPERATOR,
    "GET /api/v1/tenants/{slug:str}/usage": OPERATOR, "GET /api/v1/tenants/{slug:str}/slow-queries": OPERATOR, "GET /monitor/slow": Case(public=True), "POST /api/v1/tenants/{slug:str}/{act:str}": OPERATOR,
    **{f"GET {path}": Case(params={"slug": "$slug"}, public=True) for path in (
        "/operators", "/account/second-factor", "/account/password", "/tenants", "/tenants/{slug:str}", "/announcements", "/switches", "/monitor/jobs", "/monitor/mail", "/operator-audit", "/operator-audit/csv",
    )},
    **{f"POST {path}": fills({"slug": "x"}, public=True) for path in ("/tenants", "/tenants/import", "/announcements")},
    "POST /tenants/{slug:str}/{act:str}": fills({"reason": "long enough"}, slug="$slug", act="suspend", public=True), "POST /switches/{key:str}": fills({"state": "off"}, key="api_keys", public=True),
    "POST /announcements/{announcement_id:uuid}/end": fills({}, announcement_id="$record", public=True), "POST /announcements/{announcement_id:uuid}/dismiss": fills({}, announcement_id="$record"),
    "POST /monitor/jobs/{job_id:uuid}": fills({"act": "cancel"}, job_id="$queued", public=True),
    **{f"POST {path}": fills({}, public=True) for path in ("/operators", "/account/password", "/account/second-factor", "/account/second-factor/codes", "/account/second-factor/codes.txt")},
    "POST /operators/{operator_id:uuid}": fills({"act": "deactivate"}, operator_id="$user", public=True),
    # ---- support access: A's requests, tickets and sessions
    "GET /settings/support": reads(), "POST /settings/support": fills({"role": "$word"}), "GET /settings/support/{access_id:uuid}": Case(params={"access_id": "$support"}),
    "POST /settings/support/{access_id:uuid}": fills(*({"act": act, "sure": "on"} for act in ("approve", "refuse", "end")), access_id="$support"),
    "GET /support/enter/{ticket:str}": Case(params={"ticket": "$ticket"}, public=True), "POST /support/leave": Case(form=({},)),
    # ---- pages
    "GET /": Case(public=True), "POST /go": fills({"slug": "$slug"}, public=True), "GET /login": Case(public=True), "GET /metrics": Case(public=True, own=True), "GET /healthz": Case(public=True), "GET /readyz": Case(public=True),
    "GET /static/{name:str}": Case(params={"name": "nothing.css"}, public=True), "GET /brand.css": Case(public=True), "GET /favicon.svg": Case(public=True),
    "POST /login": fills({"email": "$low_email", "password": "correct horse battery"}, public=True), "POST /logout": Case(public=True, form=({},)),
    "GET /forgot": Case(public=True), "POST /forgot": fills({"email": "$low_email"}, public=True, own=True),
    "GET /reset/{token:str}": Case(params={"token": "$invitation"}, public=True), "POST /reset/{token:str}": fills({"password": "a new long password"}, public=True, token="$invitation"),
    "GET /invitation/{token:str}": Case(params={"token": "$invitation"}, public=True), "POST /invitation/{token:str}": fills({"name": "Try", "password": "a new long password"}, public=True, token="$invitation"),
    "POST /find": fills({"email": "$low_email"}, public=True), "GET /signup": Case(public=True), "GET /signup/address": Case(query=({"slug": "$slug"}, {"company": "$word"}), public=True), "POST /signup": fills({"slug": "$slug", "company": "$word"}, public=True),
    "GET /signup/confirm/{token:str}": Case(params={"token": "$invitation"}, public=True), "POST /signup/confirm/{token:str}": fills({"password": "a new long password"}, public=True, token="$invitation"),
    "GET /welcome/{token:str}": Case(params={"token": "$invitation"}, public=True),
    "GET /api/v1/people/{person:str}/duties": reads(person="$user"), "POST /api/v1/people/{person:str}/deactivate": sends({}, {"successor": "$user"}, person="$user"),
    "POST /api/v1/people/{person:str}/reactivate": sends({}, person="$user"),
    "GET /settings/users/{user_id:uuid}/deactivate": reads(user_id="$user"), "POST /settings/users/{user_id:uuid}/deactivate": fills({"successor": "-"}, {"successor": "$user"}, user_id="$user"),
    "POST /settings/users/{user_id:uuid}/reactivate": fills({}, user_id="$user"),
    "GET /first-steps": reads(), "POST /first-steps/away": fills({}), "POST /first-steps/back": fills({}), "GET /settings/first-steps": Case(own=True), "GET /settings/sample": Case(own=True),
    "POST /settings/sample/clear": fills({}), "POST /settings/sample/undo": fills({}), "POST /settings/sample/fill": fills({}),
    "POST /locale": fills({"locale": "en", "next": "/r/customer/$record"}, public=True), "POST /theme": fills({"theme": "dark", "next": "/r/customer/$record"}, public=True),
    "GET /dashboards/{key:str}": reads({}, {"user": "$user"}, key="sales"), "GET /reports": reads(), "GET /reports/{key:str}": reads({}, {"owner": "$user"}, {"user": "$user"}, key="sales"),
    "GET /reports/{key:str}/export": reads({"widget": "nothing"}, {"widget": "by_person", "owner": "$user"}, key="sales"),
    "GET /files/{file_id:uuid}": Case(params={"file_id": "$file"}, query=({}, {"size": "100"})),
    "GET /lookup/{entity:str}/{field:str}": reads({"q": "$word"}, {"id": "$record"}, {"q": "$record"}, entity="opportunity", field="customer"),
    # forms
    "GET /forms": reads(), "GET /forms/new": reads(), "POST /forms/new": fills({"name_en": "", "fillers": "$user"}),
    # approvals
    "GET /settings/approvals": reads(), "GET /settings/approvals/new": reads({}, {"entity": "customer"}), "POST /settings/approvals/new": fills({"label.en": "", "entity": "customer"}),
    "POST /settings/approvals/new-order": fills({"key": "nothing"}), "GET /settings/approvals/{key:str}": reads(key="agree"), "POST /settings/approvals/{key:str}": fills({"label.en": ""}, key="agree"),
    "POST /settings/approvals/{key:str}/switch": fills({}, key="agree"), "GET /settings/approvals/{key:str}/remove": reads(key="agree"), "POST /settings/approvals/{key:str}/remove": fills({}, key="agree"),
    "GET /api/v1/approvals/tasks": reads({}, {"box": "started"}, {"box": "done", "approval": "agree"}), "GET /api/v1/deputies": reads({}, {"everybody": "true"}),
    "GET /api/v1/records/{entity:str}/{rid:str}/approvals": Case(params=RECORD), "POST /api/v1/records/{entity:str}/{rid:str}/approvals": sends({"approval": "agree"}, {"approval": "agree", "preview": True}, {"approval": "agree", "people": ["$user"]}, **RECORD),
    "POST /api/v1/approvals/tasks": sends({"ids": ["$decision"], "act": "approve"}, {"ids": ["$decision"], "act": "reject", "comment": "$word"}),
    "POST /api/v1/approvals/tasks/{task:str}": sends({"act": "approve"}, {"act": "delegate", "person": "$user"}, task="$decision"),
    "POST /api/v1/approvals/{flow:str}": sends({"act": "withdraw"}, {"act": "comment", "comment": "Try"}, flow="$flow"),
    "POST /api/v1/deputies": sends({"deputy": "$user", "first_day": "2030-01-01", "last_day": "2030-01-02"}, {"person": "$user", "first_day": "2030-01-01", "last_day": "2030-01-02"}), "DELETE /api/v1/deputies/{did:str}": Case(params={"did": "$deputy"}),
    "GET /approvals": reads({}, {"box": "started"}, {"box": "done", "approval": "agree"}), "POST /approvals/bulk": fills({"ids": "$decision", "comment": "Try"}),
    "GET /approvals/deputies": reads({}, {"person": "$user"}), "POST /approvals/deputies": fills({"deputy": "$user", "first_day": "2030-01-01", "last_day": "2030-01-02"}, {"person": "$user", "first_day": "2030-01-01", "last_day": "2030-01-02"}), "POST /approvals/deputies/{deputy_id:uuid}/remove": fills({}, deputy_id="$deputy"),
    "GET /r/{entity:str}/{record_id:uuid}/approval": reads(**PAGE),
    "POST /r/{entity:str}/{record_id:uuid}/approval/{flow_id:uuid}": fills({"act": "approve", "task": "$decision"}, {"act": "withdraw"}, flow_id="$flow", **PAGE),
    "GET /r/{entity:str}/{record_id:uuid}/approval/start/{key:str}": reads(key="agree", **PAGE),
    "POST /r/{entity:str}/{record_id:uuid}/approval/start/{key:str}": fills({"comment": "Try", "people": "$user"}, key="agree", **PAGE),
    "POST /r/{entity:str}/{record_id:uuid}/approval/start/{key:str}/preview": fills({"people": "$user"}, key="agree", **PAGE),
    "GET /settings/departments": reads(), "GET /settings/departments/new": reads(), "POST /settings/departments/new": fills({"name_en": "", "parent": "$department", "head": "$user"}),
    "GET /settings/departments/{department_id:uuid}": Case(params={"department_id": "$department"}),
    "POST /settings/departments/{department_id:uuid}": fills({"name_en": "Taken", "head": "$user"}, department_id="$department"), "POST /settings/departments/{department_id:uuid}/remove": fills({}, department_id="$department"),
    "GET /api/v1/notifications/channels": reads(), "POST /api/v1/notifications/channels": sends({"channels": ["fax"]}, {"channels": ["email"]}), "POST /profile/notifications": fills({"told": "sms"}),
    "GET /notifications": reads({}, {"before": "$note"}), "POST /notifications/read": fills({"ids": "$note", "id": "$note"}), "GET /notifications/{note_id:uuid}": Case(params={"note_id": "$note"}),
    # one's own second factor, sessions and keys; those of A's people
    "GET /login/code": Case(public=True), "POST /login/code": fills({"code": "123456", "next": "/"}, public=True),
    "GET /profile/second-factor": Case(own=True), "POST /profile/second-factor": fills({"offer": "x", "code": "123456"}, own=True), "POST /profile/second-factor/codes": fills({"password": "wrong", "code": "123456"}),
    "POST /profile/second-factor/off": fills({"password": "wrong", "code": "123456"}), "POST /profile/second-factor/codes.txt": fills({"codes": "AAAA-BBBB-CCCC-DDDD"}),
    "GET /profile/keys": reads(), "POST /profile/keys": fills({"name": ""}), "POST /profile/keys/{key_id:uuid}/revoke": fills({}, key_id="$record"),
    "GET /settings/keys": reads(), "POST /settings/keys/{key_id:uuid}/revoke": fills({}, key_id="$record"), "GET /settings/security": reads(), "POST /settings/security": fills({"minimum_length": "1"}),
    "POST /settings/users/{user_id:uuid}/second-factor/reset": fills({}, user_id="$user"),
    "POST /profile/sessions/others/end": fills({}), "POST /profile/sessions/{session_id:uuid}/end": fills({}, session_id="$record"),
    "GET /profile": reads(), "POST /profile": fills({"locale": "en"}), "POST /profile/password": fills({"current": "wrong", "password": "another long password"}),
    "GET /r/{entity:str}": reads({"q": "$word"}, {"view": "$view"}, {"owner": "$user"}, {"f.owner": "$user"}, {"filter": OF_A}, {"after": "$cursor"}, **CUSTOMER),
    "GET /r/{entity:str}/bin": reads({}, {"q": "$word"}, **CUSTOMER), "GET /r/{entity:str}/board": reads({}, {"q": "$word"}, {"view": "$view"}, entity="opportunity"),
    "POST /r/{entity:str}/bulk": fills(*({"ids": "$record", "act": a, "confirmed": "1", "field": "background", "background": "x"} for a in ("delete", "edit")), **CUSTOMER),
    "POST /r/{entity:str}/form": fills({"customer": "$record", "id": "$opportunity"}, entity="opportunity"),
    "GET /r/{entity:str}/new": reads({"customer": "$record", "owner": "$user"}, entity="opportunity"),
    "POST /r/{entity:str}/new": fills({"name": "Try", "customer": "$record"}, entity="opportunity"),
    "POST /r/{entity:str}/views": fills({"name": "", "query": "view=$view"}, **CUSTOMER), "GET /r/{entity:str}/views/new": reads({"view": "$view"}, **CUSTOMER),
    "GET /r/{entity:str}/views/{key:str}/delete": reads(key="$view", **CUSTOMER), "POST /r/{entity:str}/views/{key:str}/delete": fills({}, key="$view", **CUSTOMER),
    "GET /r/{entity:str}/{record_id:uuid}": Case(params=PAGE, query=({}, {"deleted": "1"})),
    "GET /r/{entity:str}/{record_id:uuid}/delete": Case(params=PAGE), "POST /r/{entity:str}/{record_id:uuid}/delete": fills({"confirmed": "1"}, **PAGE),
    "GET /r/{entity:str}/{record_id:uuid}/edit": Case(params=PAGE), "POST /r/{entity:str}/{record_id:uuid}/edit": fills({"name": "Taken", "version": "1"}, **PAGE),
    "GET /r/{entity:str}/{record_id:uuid}/move": Case(params={"entity": "opportunity", "record_id": "$opportunity"}), "POST /r/{entity:str}/{record_id:uuid}/move": fills({"to": "qualified"}, entity="opportunity", record_id="$opportunity"),
    "GET /r/{entity:str}/{record_id:uuid}/ledgers/{key:str}": Case(params={**PAGE, "key": "points"}), "GET /r/{entity:str}/{record_id:uuid}/reverse": Case(params=PAGE),
    "POST /r/{entity:str}/{record_id:uuid}/reverse": Case(params=PAGE, form=({"reason": "$word"},)),
    "POST /r/{entity:str}/{record_id:uuid}/restore": fills({}, entity="customer", record_id="$gone"),
    "GET /r/{entity:str}/{record_id:uuid}/transitions/{key:str}": Case(params={"entity": "opportunity", "record_id": "$opportunity", "key": "qualify"}),
    "POST /r/{entity:str}/{record_id:uuid}/transitions/{key:str}": fills({"confirmed": "1"}, entity="opportunity", record_id="$opportunity", key="qualify"),
    "POST /r/{entity:str}/{record_id:uuid}/transitions/{key:str}/form": fills({"confirmed": "1"}, entity="opportunity", record_id="$opportunity", key="qualify"),
    "GET /search": reads({"q": "$word"}),
    "GET /jobs/{job_id:uuid}": Case(params={"job_id": "$job"}), "GET /jobs/{job_id:uuid}/failed-rows": Case(params={"job_id": "$job"}), "POST /jobs/{job_id:uuid}/cancel": fills({}, job_id="$queued"),
    "POST /jobs/{job_id:uuid}/{act:str}": fills({"next": "/settings/jobs"}, job_id="$queued", act="pause"),
    "GET /r/{entity:str}/export": reads({}, {"q": "$word"}, {"view": "$view"}, **CUSTOMER), "POST /r/{entity:str}/export": fills({"format": "csv", "q": "$word"}, {"format": "csv", "query": "q=$word"}, **CUSTOMER),
    "GET /r/{entity:str}/import": reads(**CUSTOMER), "POST /r/{entity:str}/import": fills({"file_id": "$file", "file": "$file"}, **CUSTOMER),
    "GET /r/{entity:str}/import/{file_id:uuid}": Case(params={"entity": "customer", "file_id": "$export"}), "POST /r/{entity:str}/import/{file_id:uuid}": fills({"column.0": "name", "mapping.0": "name", "start": "1"}, entity="customer", file_id="$export"),
    "GET /settings/data-changes": reads(), "GET /settings/data-changes/{job_id:uuid}": Case(params={"job_id": "$job"}), "GET /settings/removed": reads(),
    "GET /settings/removed/purge": reads({"item": "customer"}, {"item": "customer.name@t1"}), "POST /settings/removed/purge": fills({"item": "customer.name@t1", "name": "$word"}),
    "POST /settings/removed/restore": fills({"item": "customer.name@t1"}),
    "GET /settings": reads(), "GET /settings/audit": reads({}, {"before": "$record"}), "GET /settings/log": reads({}, {"before": "2026-01-01T00:00:00~$record"}, {"entity": "customer", "person": "$record"}, {"last": "9999-12-31"}, {"first": "9999-12-31", "last": "0001-01-01"}),
    "GET /settings/packs": reads(), "GET /settings/packs/export": reads(), "POST /settings/packs": fills({"key": "nothing"}, {"raw": "{}"}),
    "GET /settings/draft": reads(), "POST /settings/draft/undo": fills(), "POST /settings/draft/discard": fills({"sure": "yes"}), "POST /settings/draft/decide": fills(),
    "POST /settings/draft/fix": fills({"path": "entities[customer]", "code": "x", "fix": "x"}), "POST /settings/draft/data": fills({"remove": "0"}), "POST /settings/draft/plan": fills(),
    "GET /settings/plans/{plan_id:str}": Case(params={"plan_id": "$plan"}), "POST /settings/plans/{plan_id:str}/publish": fills({"message": "stolen"}, plan_id="$plan"),
    "GET /settings/revisions/compare": reads({"a": "1"}), "GET /settings/builder/condition": reads({"entity": "customer", "name": "x"}), "POST /settings/builder/check": fills({"text": "1"}),
    "GET /settings/brand/contrast": reads({"color": "#123456"}), "GET /brand/{kind:str}": Case(params={"kind": "logo"}, public=True),
    "GET /settings/brand": reads(), "POST /settings/brand": fills({"color": "not a colour", "name": ""}),
    "GET /settings/jobs": reads({}, {"tab": "done", "before": "$job"}, {"kind": "$word"}),
    "GET /settings/revisions": reads(), "GET /settings/plan": reads({}, {"chart": "seats"}), "GET /api/v1/usage": reads(),
    "POST /settings/revisions/{number:int}/revert": fills({"revision": "77"}, number="77"),
    "GET /settings/examples": reads(), "POST /settings/examples/try": fills({}), "GET /settings/examples/new": reads({}, {"entity": "opportunity"}), "POST /settings/examples/new": fills({"entity": "nothing", "given.customer": "$record"}),
    "GET /settings/examples/{key:str}": reads(key="win_needs_amount"), "POST /settings/examples/{key:str}": fills({"_mark": "0", "given.customer": "$record", "given.owner": "$user"}, key="win_needs_amount"),
    "GET /settings/examples/{key:str}/remove": reads(key="win_needs_amount"), "POST /settings/examples/{key:str}/remove": fills({}, key="nothing"),
    "GET /settings/examples/{key:str}/records/new": reads({}, {"entity": "customer"}, key="win_needs_amount"), "POST /settings/examples/{key:str}/records/new": fills({"entity": "customer", "_mark": "0", "values.campaign": "$record"}, key="win_needs_amount"),
    "GET /settings/examples/{key:str}/records/{name:str}": reads(key="win_needs_amount", name="acme"), "POST /settings/examples/{key:str}/records/{name:str}": fills({"_mark": "0", "values.campaign": "$record"}, key="win_needs_amount", name="acme"),
    "POST /settings/examples/{key:str}/records/{name:str}/remove": fills({}, key="win_needs_amount", name="nothing"),
    "GET /settings/simulator": reads({}, {"who": "user:$user"}, {"person": "$user"}, {"who": "role:sales", "with": "user:$user"}, {"who": "role:sales", "entity": "customer", "record": "$record", "right": "read"}, {"who": "role:sales", "entity": "customer", "q": "$word"}),
    "POST /settings/simulator": fills({"who": "user:$user"}, {"who": "user:$user", "draft": "1"}, {"who": ""}), "POST /settings/simulator/leave": fills({}),
    "GET /settings/simulator/records": reads({"entity": "customer", "q": "$word"}, {"entity": "customer", "q": "$record"}),
    "GET /settings/users": reads({}, {"q": "$word"}), "GET /settings/users/new": reads(), "POST /settings/users/new": fills({"email": "", "name": "", "superior": "$user"}),
    "GET /settings/users/{user_id:uuid}": Case(params={"user_id": "$user"}), "POST /settings/users/{user_id:uuid}": fills({"name": "Taken", "email": "taken@x.example", "roles": "admin", "password": "a new long password"}, user_id="$user"),
    "GET /settings/users/invite": reads(), "POST /settings/users/invite": fills({"email": "", "name": "Try", "roles": "sales"}),
    **{f"POST /settings/users/invitations/{{invitation_id:uuid}}/{act}": fills({}, invitation_id="$invitation") for act in ("resend", "withdraw")},
    "POST /api/v1/records/{entity:str}/{rid:str}/buttons/{key:str}": Case(params={"entity": "customer", "rid": "$record", "key": "nothing"}, body=({},)),
    "GET /r/{entity:str}/{record_id:uuid}/buttons/{key:str}": Case(params={"entity": "customer", "record_id": "$record", "key": "nothing"}),
    "POST /r/{entity:str}/{record_id:uuid}/buttons/{key:str}": fills({}, entity="customer", record_id="$record", key="nothing"),
    "POST /r/{entity:str}/{record_id:uuid}/buttons/{key:str}/foretold": fills({}, entity="customer", record_id="$record", key="nothing"),
    "POST /r/{entity:str}/{record_id:uuid}/transitions/{key:str}/foretold": fills({}, entity="opportunity", record_id="$opportunity", key="qualify"),
    "GET /settings/runs": reads({}, {"record": "$record"}, {"before": "$run"}), "GET /settings/runs/{run_id:uuid}": Case(params={"run_id": "$run"}),
    **{f"POST /settings/runs/{{run_id:uuid}}/{act}": fills({}, run_id="$run") for act in ("preview", "replay", "cancel")},
    "GET /api/v1/runs": reads({}, {"record": "$record"}, {"before": "$run"}), "GET /api/v1/runs/{run:str}": Case(params={"run": "$run"}),
    **{f"POST /api/v1/runs/{{run:str}}/{act}": sends({}, run="$run") for act in ("replay", "cancel")}, "POST /api/v1/automations/{key:str}/rehearse": sends({}, {"days": 0}, key="nothing"),
    "GET /settings/automations/{key:str}/rehearsal": reads(key="low_rating"), "POST /settings/automations/{key:str}/rehearsal": fills({"days": "7"}, key="nothing"),
    "GET /settings/outbox": reads({}, {"before": "$message", "status": "failed"}), "GET /settings/outbox/{message_id:uuid}": Case(params={"message_id": "$message"}),
    **{f"POST /settings/outbox/{{message_id:uuid}}/{act}": fills({}, message_id="$message") for act in ("retry", "cancel")},
    "GET /api/v1/outbox": reads({}, {"before": "$message"}), "GET /api/v1/outbox/{mid:str}": Case(params={"mid": "$message"}),
    **{f"POST /api/v1/outbox/{{mid:str}}/{act}": sends({}, mid="$message") for act in ("retry", "cancel")},
    "GET /settings/mail": reads({}, {"before": "2030-01-01T00:00:00Z"}), "GET /settings/mail/{mail_id:uuid}": Case(params={"mail_id": "$mail"}), "POST /settings/mail/{mail_id:uuid}/text": fills({}, mail_id="$mail"),
    # ---- the designer: what is stored
    "GET /settings/entities": reads(), "POST /settings/entity-order": fills({"key": "$word"}), "GET /settings/entities/new": reads(), "POST /settings/entities/new": fills({"label.en": ""}),
    **{f"GET /settings/entities/{{key:str}}{rest}": reads(key="customer") for rest in ("", "/properties", "/relations", "/remove", "/rules", "/fields/new")},
    **{f"POST /settings/entities/{{key:str}}{rest}": fills({"label.en": "$word"}, key="nothing") for rest in ("/properties", "/remove", "/rules", "/order-fields", "/fields/new")},
    **{f"GET /settings/entities/{{key:str}}/fields/{{name:str}}{rest}": reads({}, {"type": "text"}, key="customer", name="phone") for rest in ("", "/type", "/remove", "/options", "/options/many")},
    **{f"POST /settings/entities/{{key:str}}/fields/{{name:str}}{rest}": fills({"label.en": "$word"}, key="customer", name="nothing") for rest in ("", "/remove", "/options", "/options/many")},
    **{f"GET /settings/entities/{{key:str}}/fields/{{name:str}}/options/o/{{option:str}}{rest}": reads(key="customer", name="phone", option="$word") for rest in OF_OPTIONS},
    **{f"POST /settings/entities/{{key:str}}/fields/{{name:str}}/options/o/{{option:str}}{rest}": fills({}, key="customer", name="phone", option="$word") for rest in OF_OPTIONS},
    **{f"GET /settings/entities/{{key:str}}/rules/{{section:str}}/{{name:str}}{rest}": reads(key="customer", section="rules", name="$word") for rest in ("", "/remove")},
    **{f"POST /settings/entities/{{key:str}}/rules/{{section:str}}/{{name:str}}{rest}": fills({}, key="customer", section="rules", name="$word") for rest in ("", "/remove")},
    "GET /settings/option-sets": reads(), "GET /settings/option-sets/new": reads(), "POST /settings/option-sets/new": fills({"lines": "$word"}),
    **{f"GET /settings/option-sets/{{key:str}}{rest}": reads({}, {"q": "$word"}, key="industry") for rest in ("", "/many", "/remove")},
    **{f"POST /settings/option-sets/{{key:str}}{rest}": fills({}, key="nothing") for rest in ("", "/many", "/remove")},
    **{f"GET /settings/option-sets/{{key:str}}/o/{{option:str}}{rest}": reads(key="industry", option="$word") for rest in OF_OPTIONS},
    **{f"POST /settings/option-sets/{{key:str}}/o/{{option:str}}{rest}": fills({}, key="industry", option="$word") for rest in OF_OPTIONS},
    "GET /settings/relations": reads({}, {"entity": "$word"}), "GET /settings/relations/new": reads({"entity": "$word"}), "POST /settings/relations/new": fills({"child": "$word", "parent": "customer", "kind": "one"}),
    "GET /settings/numbering": reads(), "POST /settings/numbering/example": fills({"text": "{seq:4}"}), "GET /settings/numbering/{entity:str}/{field:str}": reads(entity="order", field="number"),
    "POST /settings/numbering/{entity:str}/{field:str}": fills({}, entity="order", field="nothing"), "POST /settings/numbering/{entity:str}/{field:str}/next": fills({"next": "0"}, entity="order", field="number"),
    "GET /settings/values": reads(), "POST /settings/values": fills({"_mark": "77"}), "GET /settings/values/new": reads(), "POST /settings/values/new": fills({"first_int": "1"}),
    **{f"GET /settings/values/{{key:str}}{rest}": reads(key="$word") for rest in ("", "/remove")}, **{f"POST /settings/values/{{key:str}}{rest}": fills({}, key="$word") for rest in ("", "/remove")},
    "GET /settings/labels": reads({}, {"q": "$word", "missing": "en"}), "POST /settings/labels": fills({"t.0.path": "entities[$word].label", "t.0.en": "$word"}),
    "POST /settings/builder/rollup": Case(query=({"entity": "customer"}, {"entity": "$word"}), form=({"of": "orders", "fn": "count"},)),
    # the pages of views, layouts, figures and menus
    "GET /settings/everything": reads(), "POST /settings/everything": fills({}), "GET /settings/everything/{job_id:uuid}": Case(params={"job_id": "$archive"}),
    "GET /settings/domain": reads(), "POST /settings/domain": fills({"name": "not a name"}), "POST /settings/domain/check": fills({"name": "$slug.example"}),
    "POST /settings/domain/main": fills({"main": "$slug.example"}), "POST /settings/domain/remove": fills({"name": "$slug.example"}), "GET /internal/domains/ask": Case(query=({"domain": "$slug.example"},), public=True),
    "GET /settings/sso": reads(), "POST /settings/sso": fills({"issuer": "no address"}), "GET /settings/sso/try": reads(), "POST /settings/sso/forget/{user_id:uuid}": fills({}, user_id="$user"),
    "GET /sso/start": Case(public=True), "GET /sso/callback": Case(query=({"state": "x", "code": "y"},), public=True), "GET /sso/logout": Case(public=True),
    "GET /settings/billing": reads({}, {"returned": "1"}),
    **{f"POST /settings/billing/{act}": fills({"plan": "team", "seats": "3"}) for act in ("subscribe", "change", "cost")}, "POST /settings/billing/extra": fills({"most": "1000"}),
    **{f"POST /settings/billing/{act}": fills({}) for act in ("portal", "cancel", "resume", "refresh")},
    "POST /billing/stripe/webhook": Case(body=({"id": "evt_1", "type": "customer.updated"},), public=True), "GET /billing": Case(public=True), "POST /billing/reconcile": Case(public=True, form=({},)),
    "GET /billing/events": Case(public=True), "POST /billing/events/{event_id:str}/retry": fills({}, public=True, event_id="evt_1"),
    "GET /billing/workspaces/{slug:str}": Case(params={"slug": "$slug"}, public=True), "POST /billing/workspaces/{slug:str}": fills({"plan": "free"}, public=True, slug="$slug"),
    "POST /billing/workspaces/{slug:str}/refresh": fills({}, public=True, slug="$slug"), "POST /billing/workspaces/{slug:str}/invoices": fills({"number": "1", "amount": "1"}, public=True, slug="$slug"),
    "POST /billing/workspaces/{slug:str}/invoices/{invoice_id:str}": fills({"status": "paid"}, public=True, slug="$slug", invoice_id="$record"),
    "GET /account/password": Case(public=True), "POST /account/password": fills({}, public=True), "POST /settings/billing/cost": fills({"plan": "team", "seats": "3"}),
    "GET /api/v1/clock": reads(), "POST /api/v1/clock": sends({}, {"to": "no"}), "POST /api/v1/clock/real": sends({}),
    "GET /api/v1/timetable": reads(), "GET /api/v1/timetable/{key:str}": reads({}, {"at": "no"}, key="nothing"), "POST /api/v1/timetable/{key:str}/run": sends({}, key="nothing"),
    "GET /settings/clock": reads(), "POST /settings/clock": fills({"by": "no"}), "POST /settings/clock/real": fills({}),
    "GET /settings/timetable": reads(), "GET /settings/timetable/{key:str}": reads({}, {"at": "next"}, key="task_overdue"), "POST /settings/timetable/{key:str}/run": fills({}, key="task_overdue"),
    "GET /settings/leave": reads(), "POST /settings/leave": fills({"name": "$word"}), "POST /settings/leave/undo": fills({}),
    "GET /settings/speed": reads(), "POST /settings/speed/index": fills({"entity": "customer", "field": "name"}),
    "POST /settings/speed/measure": fills({"subject": "views[customer:$view]"}, {"subject": "saved[customer:$view]"}, {"subject": "views[customer:all]"}),
    "GET /settings/views": reads(), "GET /settings/views/new-view": reads({}, {"entity": "$word"}), "POST /settings/views/new-view": fills({"entity": "customer", "label.en": ""}),
    "POST /settings/views/{entity:str}/order": fills({"key": "$view"}, **CUSTOMER), "POST /settings/views/{entity:str}/preview": fills({"columns": "name", "filter.mode": "text", "filter.text": "name == '$word Ltd'"}, **CUSTOMER),
    **{f"GET /settings/views/{{entity:str}}/{{key:str}}{rest}": reads(key="$view", **CUSTOMER) for rest in ("", "/remove")},
    **{f"POST /settings/views/{{entity:str}}/{{key:str}}{rest}": fills({"label.en": "$word"}, key="$view", **CUSTOMER) for rest in ("", "/copy", "/remove")},
    "GET /settings/layouts": reads(), "GET /settings/layouts/new-layout": reads({}, {"entity": "$word"}), "POST /settings/layouts/new-layout": fills({"entity": "nothing"}),
    "POST /settings/layouts/{entity:str}/order": fills({"key": "$record"}, **CUSTOMER),
    **{f"GET /settings/layouts/{{entity:str}}/{{key:str}}{rest}": reads(key="default", **CUSTOMER) for rest in ("", "/remove")},
    **{f"POST /settings/layouts/{{entity:str}}/{{key:str}}{rest}": fills({"item": "$record"}, key="nothing", **CUSTOMER) for rest in ("", "/remove")},
    "POST /settings/layouts/{entity:str}/{key:str}/preview": fills({"item": ""}, key="default", **CUSTOMER),
    "GET /settings/menus": reads(), "GET /settings/menus/{key:str}": reads(key="sales"), "POST /settings/menus/{key:str}": fills({"_act": "preview", "item": "$record"}, key="sales"),
    "POST /settings/menus/{key:str}/preview": fills({"item": "$record"}, key="sales"),
    **{f"GET /settings/{part}": reads() for part in ("reports", "dashboards")}, **{f"GET /settings/{part}/new-page": reads() for part in ("reports", "dashboards")},
    **{f"POST /settings/{part}/{act}": fills({"key": "$record", "label.en": ""}) for part in ("reports", "dashboards") for act in ("order", "new-page")},
    **{f"GET /settings/{part}/{{key:str}}{rest}": reads(key="sales") for part in ("reports", "dashboards") for rest in ("", "/add-widget", "/remove")},
    **{f"POST /settings/{part}/{{key:str}}{rest}": fills({"label.en": "$word", "_mark": "0"}, key="nothing") for part in ("reports", "dashboards") for rest in ("", "/add-widget", "/remove", "/copy", "/arrange")},
    **{f"POST /settings/{part}/{{key:str}}/preview": fills({"type": "list", "entity": "customer", "filter.mode": "text", "filter.text": "name == '$word Ltd'"}, key="sales") for part in ("reports", "dashboards")},
    **{f"GET /settings/{part}/{{key:str}}/widgets/{{name:str}}{rest}": reads(key="sales", name="0") for part in ("reports", "dashboards") for rest in ("", "/remove")},
    **{f"POST /settings/{part}/{{key:str}}/widgets/{{name:str}}{rest}": fills({"label.en": "$word", "_mark": "0"}, key="sales", name="$record") for part in ("reports", "dashboards") for rest in ("", "/remove", "/copy")},
    "GET /settings/dashboards/{key:str}/from-reports": reads(key="sales"), "POST /settings/dashboards/{key:str}/from-reports": fills({"figure": "sales:$record"}, key="sales"),
    # ---- the designer: what happens, and who may
    "GET /settings/pipelines": reads(), "GET /settings/pipelines/new": reads({}, {"entity": "customer"}), "POST /settings/pipelines/new": fills({"label.en": ""}, {"label.en": "Try", "entity": "$record"}),
    "GET /settings/pipelines/{key:str}": reads(key="opportunity"), "GET /settings/pipelines/{key:str}/edit": reads(key="opportunity"), "POST /settings/pipelines/{key:str}/edit": fills({"label.en": ""}, key="opportunity"),
    "GET /settings/pipelines/{key:str}/remove": reads(key="opportunity"), "POST /settings/pipelines/{key:str}/remove": fills({}, key="nothing"),
    "POST /settings/pipelines/{key:str}/stages-order": fills({"key": "new"}, key="nothing"), "POST /settings/pipelines/{key:str}/transitions-order": fills({"key": "qualify"}, key="nothing"),
    "GET /settings/pipelines/{key:str}/add-stage": reads(key="opportunity"), "POST /settings/pipelines/{key:str}/add-stage": fills({"label.en": ""}, key="opportunity"),
    "GET /settings/pipelines/{key:str}/stages/{stage:str}": reads(key="opportunity", stage="new"), "POST /settings/pipelines/{key:str}/stages/{stage:str}": fills({"label.en": ""}, key="opportunity", stage="new"),
    "GET /settings/pipelines/{key:str}/stages/{stage:str}/remove": reads(key="opportunity", stage="new"), "POST /settings/pipelines/{key:str}/stages/{stage:str}/remove": fills({"to": "$record"}, key="opportunity", stage="new"),
    "GET /settings/pipelines/{key:str}/add-transition": reads({}, {"from": "$record"}, key="opportunity"), "POST /settings/pipelines/{key:str}/add-transition": fills({"label.en": "$word"}, key="opportunity"),
    "GET /settings/pipelines/{key:str}/transitions/{transition:str}": reads(key="opportunity", transition="win"),
    "POST /settings/pipelines/{key:str}/transitions/{transition:str}": fills({"label.en": ""}, {"_gesture": "effects|add|", "effects.new": "notify"}, key="opportunity", transition="win"),
    "GET /settings/pipelines/{key:str}/transitions/{transition:str}/remove": reads(key="opportunity", transition="win"), "POST /settings/pipelines/{key:str}/transitions/{transition:str}/remove": fills({}, key="opportunity", transition="nothing"),
    "GET /settings/roles": reads(), "GET /settings/roles/new": reads({}, {"like": "$user"}), "POST /settings/roles/new": fills({"label.en": ""}),
    "GET /settings/roles/{key:str}": reads(key="sales"), "POST /settings/roles/{key:str}": fills({}, key="nothing"), "POST /settings/roles/{key:str}/duplicate": fills({}, key="nothing"),
    "GET /settings/roles/{key:str}/default": reads(key="sales"), "POST /settings/roles/{key:str}/default": fills({}, key="nothing"),
    "GET /settings/roles/{key:str}/entities/{entity:str}": reads(key="sales", entity="customer"), "POST /settings/roles/{key:str}/entities/{entity:str}": fills({}, key="nothing", entity="customer"),
    "GET /settings/roles/{key:str}/general": reads(key="sales"), "POST /settings/roles/{key:str}/general": fills({"label.en": ""}, key="sales"),
    "GET /settings/roles/{key:str}/remove": reads(key="sales"), "POST /settings/roles/{key:str}/remove": fills({"heir": "$user"}, key="nothing"),
    **{f"GET /settings/{part}": reads() for part in DESCRIBED}, **{f"GET /settings/{part}/new": reads({}, {"entity": "customer"}) for part in DESCRIBED},
    **{f"POST /settings/{part}/new": fills({"entity": "customer"}, {"entity": "$record"}) for part in DESCRIBED},
    **{f"GET /settings/{part}/{{key:str}}{end}": reads(key="nothing") for part in DESCRIBED for end in ("", "/remove")},
    **{f"POST /settings/{part}/{{key:str}}{end}": fills({"label.en": "$word"}, key="nothing") for part in DESCRIBED for end in ("", "/remove")},
    **{f"GET /settings/{part}": reads() for part in ("automations", "schedules")}, **{f"GET /settings/{part}/new": reads({}, {"entity": "customer"}) for part in ("automations", "schedules")},
    **{f"POST /settings/{part}/new": fills({"entity": "customer"}, {"entity": "$record"}) for part in ("automations", "schedules")},
    **{f"POST /settings/{part}/new-order": fills({"_csrf": ""}) for part in ("automations", "schedules")},
    **{f"GET /settings/{part}/{{key:str}}{end}": reads(key=key) for part, key in (("automations", "low_rating"), ("schedules", "task_overdue")) for end in ("", "/remove")},
    **{f"POST /settings/{part}/{{key:str}}{end}": fills({"label.en": "$word"}, key="nothing") for part in ("automations", "schedules") for end in ("", "/remove", "/switch")},
    # ---- messages, and what people outside meet
    **{f"GET /settings/{part}": reads() for part in SECTIONS}, **{f"GET /settings/{part}/new": reads({}, {"entity": "customer"}, {"entity": "$word"}) for part in SECTIONS},
    **{f"POST /settings/{part}/new": fills({"entity": "customer"}, {"entity": "$record"}) for part in SECTIONS},
    **{f"GET /settings/{part}/{{key:str}}{rest}": reads(key="$word") for part in SECTIONS for rest in ("", "/remove")},
    **{f"POST /settings/{part}/{{key:str}}{rest}": fills({"label.en": "$word"}, key="$word") for part in SECTIONS for rest in ("", "/remove")},
    "GET /r/{entity:str}/messages": reads({"ids": "$record"}, {"q": "$word"}, **CUSTOMER),
    "POST /r/{entity:str}/messages": fills({"ids": "$record", "template": "x", "channel": "email", "act": "send"}, {"query": "q=$word", "template": "x", "channel": "email", "act": "look"}, **CUSTOMER),
    "GET /settings/messages": reads({}, {"before": "$sent"}), "GET /settings/messages/{message_id:uuid}": Case(params={"message_id": "$sent"}),
    "POST /settings/messages/{message_id:uuid}/again": fills({}, message_id="$sent"),
    "GET /settings/opt-outs": reads(), "POST /settings/opt-outs": fills({"channel": "email", "address": "no address"}),
    "GET /settings/sms": Case(own=True), "POST /settings/sms": fills({"mode": "http", "url": "no address"}, own=True),
    "GET /settings/connections": Case(own=True), "GET /settings/connections/{kind:str}/{key:str}": reads(kind="webhook", key="$word"),
    **{f"POST /settings/connections/{{kind:str}}/{{key:str}}{rest}": fills({"url": "https://x.example/"}, kind="webhook", key="$word") for rest in ("", "/test", "/secret", "/again")},
    "POST /hooks/in/{token:str}": sends({"id": "x"}, public=True, token="$note"),
    "GET /notice": reads({}, {"next": "/r/customer"}), "POST /notice": fills({"shown": "$record~1"}),
    "GET /f/{key:str}": Case(params={"key": "$word"}, public=True), "POST /f/{key:str}": fills({"name": "$word"}, public=True, key="$word"),
    "GET /unsubscribe/{token:str}": Case(params={"token": "$note"}, public=True), "POST /unsubscribe/{token:str}": fills({}, public=True, token="$note"),
    "POST /hooks/sms/{token:str}": sends({"id": "ref", "status": "delivered"}, public=True, token="$note"), "POST /profile/channels": fills({"channels": "email"}),
}  # fmt: skip


def routes() -> set[str]:
    app = all_routes(Settings(secret_key="x" * 40))
    return {f"{method} {route.path}" for route in app.routes for method in route.methods - {"OPTIONS", "HEAD"}}


@pytest_asyncio.fixture(scope="module")
async def a(http, tenant_factory) -> World:
    return await make_world(http, tenant_factory, WORD)


@pytest_asyncio.fixture(scope="module")
async def b(http, tenant_factory) -> World:
    return await make_world(http, tenant_factory, "northern")


@pytest_asyncio.fixture(scope="module")
async def ledger(settings, a, b) -> Any:
    found = await Ledger.open(settings.database_url)
    yield found
    await found.connection.close()


@pytest_asyncio.fixture(scope="module")
async def secrets_of_a(a, b, ledger) -> set[str]:
    """Everything whose appearance in B's answers would be a leak."""
    ids = await ledger.identifiers(a.tenant.id) - await ledger.identifiers(b.tenant.id)
    return {*ids, WORD, a.tenant.slug, a.admin.token, a.low.token, a.things["low_email"], *(t for pair in a.web.values() for t in pair)}


def test_every_route_has_a_case():
    """A new route: say above how somebody else's things would be tried on it."""
    found = routes()
    assert found - set(CASES) == set(), "routes without a case"
    assert set(CASES) - found == set(), "cases without a route"


# ---- trying ------------------------------------------------------------------------------------------------------------


def _put(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: _put(v, things) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_put(v, things) for v in value]
    if isinstance(value, str):
        for name in sorted(things, key=len, reverse=True):
            value = value.replace(f"${name}", things[name])
    return value


def _requests(route: str, case: Case, things: dict[str, str]) -> list[dict[str, Any]]:
    method, path = route.split(" ", 1)
    for name, value in case.params.items():
        for kind in ("str", "uuid", "int"):
            path = path.replace(f"{{{name}:{kind}}}", _put(value, things))
    built = []
    for query in case.query:
        for body in case.form or case.body:
            sent: dict[str, Any] = {"method": method, "url": path, "params": _put(query, things), "headers": dict(case.headers)}
            if case.form:
                sent["data"] = _put(body, things)
            elif body is not None and method not in ("GET", "DELETE"):
                sent["json"] = _put(body, things)
            built.append(sent)
    return built


async def _send(http: httpx.AsyncClient, host: str, request: dict[str, Any], *, token: str = "", web: tuple[str, str] | None = None) -> httpx.Response:
    headers = {"host": host, "accept-language": "en", **request["headers"]}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if web:
        headers |= {"cookie": f"session={web[0]}", "x-csrf-token": web[1]}
    return await http.request(request["method"], request["url"], params=request["params"], headers=headers, **{k: v for k, v in request.items() if k in ("json", "data")})


def _words(things: dict[str, str]) -> list[str]:
    return sorted(things.values(), key=len, reverse=True)


def nobodys(things: dict[str, str]) -> dict[str, str]:
    """The same kinds of things, which no tenant has."""
    found = {k: v[:14] + str(uuid4())[14:] for k, v in things.items()}  # ids of the same moment: lists are paged by them
    return found | {"word": "qzborealis", "view": f"u_{uuid4().hex[-12:]}", "plan": f"1-{uuid4().hex}", "low_email": f"nobody@{uuid4().hex[:8]}.example", "slug": f"n{uuid4().hex[:8]}", "cursor": things["cursor"]}


@pytest.mark.parametrize("route", sorted(CASES))
@pytest.mark.parametrize("who", ["admin", "low"])
async def test_with_somebody_elses_things(http, a, b, ledger, secrets_of_a, route, who):
    """B's people send what belongs to A: nothing of A comes back, nothing of A changes, and the answer is the one that things
    nobody has get."""
    case = CASES[route]
    theirs = {**a.things, "word": WORD}
    none = nobodys(theirs)
    api = route.split(" ", 1)[1].startswith("/api/")
    person = b.admin if who == "admin" else b.low
    mine = {"token": person.token} if api else {"web": b.web[who]}
    if route in ("DELETE /api/v1/tokens", "POST /logout"):
        mine = {}
    before = await ledger.before(a.tenant.id)
    ledger.known.pop(b.tenant.id, None)  # B's people change B
    for stolen, random in zip(_requests(route, case, theirs), _requests(route, case, none), strict=True):
        one, other = await _send(http, b.host, stolen, **mine), await _send(http, b.host, random, **mine)
        assert one.status_code < 500, (stolen, one.text[:500])
        sent = str([stolen["url"], stolen["params"], stolen.get("json"), stolen.get("data")])
        for secret in secrets_of_a:
            if secret not in sent:  # what was sent may be echoed
                assert secret not in one.text and secret not in str(one.headers), (secret, stolen, one.text[:500])
        assert one.status_code == other.status_code, (stolen, one.text[:300], other.text[:300])
        if not case.own:
            assert plain(one, *_words(theirs)) == plain(other, *_words(none)), stolen
    assert await ledger.checksum(a.tenant.id) == before


@pytest.mark.parametrize("route", sorted(CASES))
@pytest.mark.parametrize("who", ["admin", "low"])
async def test_with_somebody_elses_session(http, a, b, ledger, secrets_of_a, route, who):
    """A's tokens and cookies open nothing on B's host; B's data stays as it is, and A's with its sessions."""
    case = CASES[route]
    person = a.admin if who == "admin" else a.low
    api = route.split(" ", 1)[1].startswith("/api/")
    before = await ledger.before(a.tenant.id), await ledger.before(b.tenant.id)
    for request in _requests(route, case, {**b.things, "word": "northern", "low_email": "nobody@nowhere.example"}):
        for session in ({"token": person.token}, {"token": a.web[who][0]}, {"web": a.web[who]}, {"web": (person.token, a.web[who][1])}):
            answer = await _send(http, b.host, request, **session)
            assert answer.status_code < 500
            for secret in secrets_of_a:
                assert secret not in answer.text
            if not case.public:
                assert answer.status_code == 401 if api else answer.status_code in (303, 401), (request, session, answer.status_code, answer.text[:300])
                if answer.status_code == 303:
                    assert answer.headers["location"].startswith("/login")
    after = await ledger.checksum(a.tenant.id), await ledger.checksum(b.tenant.id)
    for changed in ("audit_event",) if route in ("POST /api/v1/tokens", "POST /login", "POST /login/device", "POST /forgot") else ():  # an attempt is noted
        before[1].pop(changed), after[1].pop(changed)
    assert after == before


# ---- what the comparison cannot show -----------------------------------------------------------------------------------


async def test_an_idempotency_key_is_not_shared(http, a, tenant_factory, ledger):
    """The same key and body as A's: a record of one's own is made, A's answer is not played back."""
    tenant = await tenant_factory(pack="baseline-crm")
    person = await Person(http, f"{tenant.slug}.localhost").sign_in(tenant.admin_email, tenant.admin_password)
    before = await ledger.checksum(a.tenant.id)
    body = {"values": {"name": f"{WORD} Ltd", "background": f"{WORD} background"}}
    answer = await person.send("POST", "/records/customer", body, headers={"idempotency-key": "the-key"})
    assert answer.status_code == 201 and answer.json()["id"] != a.things["record"] and answer.json()["created_by"] == person.id
    assert await ledger.checksum(a.tenant.id) == before


async def test_a_cursor_shows_no_row_of_its_tenant(http, a, b, secrets_of_a):
    for path in ("/records/customer", "/records/opportunity"):
        answer = await b.admin.send("GET", path, after=a.things["cursor"])
        assert answer.status_code in (200, 400)
        assert not any(s in answer.text for s in secrets_of_a)


async def test_counts_are_those_of_ones_own(a, b):
    async with tenant_transaction(b.tenant.id) as conn:
        number = await conn.fetchval("SELECT id FROM entity WHERE tenant_id = $1 AND key = 'customer'", b.tenant.id)
        expected = await conn.fetchval("SELECT count(*) FROM record WHERE entity_id = $1 AND deleted_at IS NULL", number)
    assert (await b.admin.get("/records/customer", count="exact"))["count"] == {"value": expected, "exact": True}
    found = await b.admin.call("POST", "/records/customer/aggregate", {"measures": [{"fn": "count"}]})
    assert found["rows"][0]["values"] == [expected]


async def test_an_export_holds_nothing_of_the_other(http, b, secrets_of_a):
    for entity in ("customer", "opportunity", "interaction", "task"):
        job = await b.admin.call("POST", "/exports", {"entity": entity, "format": "csv"})
        content = (await b.admin.send("GET", f"/jobs/{job['id']}/result")).text
        assert content and not any(s in content for s in secrets_of_a)


# ---- behind the routes -------------------------------------------------------------------------------------------------


async def test_jobs_of_b_reach_nothing_of_a(a, b, ledger, secrets_of_a):
    """Payloads that name A's records, files and people, as if somebody had smuggled them in."""
    ctx = await context_for_user(b.tenant.id, UUID(b.admin.id))
    ids = [a.things["record"], a.things["gone"], a.things["opportunity"]]
    payloads = [("bulk_edit", {"plan": {"entity": "customer", "action": action, "values": {"background": "x"}, "key": None}, "ids": ids, "locale": "en"}) for action in ("update", "delete", "restore")]
    payloads.append(("import_records", {"file_id": a.things["export"], "plan": {"entity": "customer", "mapping": {"0": "name"}, "duplicates": "create", "match": None, "confirm": True}, "locale": "en"}))
    payloads.append(("export_records", {"entity": "customer", "format": "csv", "columns": ["name"], "locale": "en", "filter": {"field": "id", "op": "in", "value": ids}, "view": None, "q": None, "sort": None}))
    before = await ledger.checksum(a.tenant.id)
    async with tenant_transaction(b.tenant.id) as conn:
        made = [await jobs.enqueue(conn, ctx, kind, payload) for kind, payload in payloads]
    await drain()
    assert await ledger.checksum(a.tenant.id) == before
    found = [await jobs.get_job(ctx, job_id) for job_id in made]
    assert [j.status for j in found] == ["done", "done", "done", "failed", "done"]
    assert all(j.result["done"] == 0 and j.result["failed_count"] == 3 for j in found[:3]) and found[4].result["rows"] == 0
    assert not any(WORD in str(j) for j in found)


async def test_a_job_of_a_changes_nothing_of_b(a, b, ledger, settings):
    before = await ledger.checksum(b.tenant.id)
    await ledger.connection.execute("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND id = $2", a.tenant.id, UUID(a.things["queued"]))
    assert await drain() >= 1
    assert (await a.admin.get(f"/records/customer/{a.things['record']}"))["values"]["needs"] == WORD
    assert await ledger.checksum(b.tenant.id) == before


async def test_schedules_of_b_reach_nothing_of_a(a, b, ledger):
    from datetime import UTC, datetime, timedelta

    before = await ledger.checksum(a.tenant.id)
    for days in (1, 40, 400):
        await run_due(await system_context(b.tenant.id, at=datetime.now(UTC) + timedelta(days=days)))
    assert await ledger.checksum(a.tenant.id) == before


async def test_notifications_of_b_are_never_delivered_to_a(a, b, ledger):
    before = await ledger.checksum(a.tenant.id)
    ctx = await system_context(b.tenant.id)
    notice = Notice({"en": "x", "zh_CN": "x"}, {}, "customer", UUID(b.things["record"]), "info")
    async with tenant_transaction(b.tenant.id) as conn:
        assert await deliver(conn, ctx, [UUID(a.low.id), UUID(a.admin.id)], notice) == 0
    assert await ledger.checksum(a.tenant.id) == before


async def test_many_at_once_on_one_pool(http, a, b, secrets_of_a):
    """Connections go from tenant to tenant; each request sees its own."""

    async def ask(world: World, other: str) -> None:
        text = (await world.admin.send("GET", "/records/customer", limit=200)).text
        assert other not in text and world.tenant.slug not in other

    await asyncio.gather(*(ask(w, o) for _ in range(30) for w, o in ((a, "northern"), (b, WORD))))
    assert (await find_user(b.tenant.id, user_id=UUID(b.low.id)))["name"].startswith("Low northern")
