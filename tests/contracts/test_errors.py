"""Every error of the product is answered in one shape: problem details for JSON, a fragment for htmx, a calm page otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saas import errors
from saas.errors import AppError, FieldProblem
from saas.ui.errors import MethodNotAllowed, answer_error, handle_unexpected
from saas.ui.middleware import Site


def _classes() -> list[type[AppError]]:
    found = [AppError, MethodNotAllowed]
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, AppError) and value not in found:
            found.append(value)
    return found


def _make(cls: type[AppError]) -> AppError:
    if cls in (errors.InvalidInput, errors.InvalidDefinition):
        return cls([FieldProblem("name", "required", "Give it a name.", "/name")] if cls is errors.InvalidInput else [])  # type: ignore[call-arg]
    if cls is errors.RateLimitReached:
        return cls(allowed=60, retry_after=5)
    return cls()


def _scope(path: str, **headers: str) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "scheme": "http", "http_version": "1.1",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in {"host": "acme.localhost", **headers}.items()], "server": ("acme.localhost", 80),
        "client": ("127.0.0.1", 1), "state": {"site": Site("tenant", "acme.localhost", local=True), "cookies": {}, "locale": "en", "request_id": "r-12345678"}, "session": {},
    }  # fmt: skip


@pytest.mark.parametrize("cls", _classes(), ids=lambda c: c.__name__)
def test_json_callers_get_problem_details(cls):
    response = answer_error(_scope("/api/v1/records/x"), _make(cls))
    body = response.content
    assert response.status_code == cls.status
    assert response.media_type == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "errors"} <= set(body)
    assert body["status"] == cls.status
    assert body["code"] == cls.code
    json.dumps(body)


def test_field_problems_name_their_field():
    body = answer_error(_scope("/api/v1/records/x"), _make(errors.InvalidInput)).content
    assert body["errors"] == [{"path": "/name", "field": "name", "code": "required", "message": "Give it a name."}]


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.parametrize("cls", [c for c in _classes() if not issubclass(c, errors.NotAuthenticated)], ids=lambda c: c.__name__)
def test_people_get_a_calm_page_or_fragment(cls, locale):
    scope = _scope("/r/customer")
    scope["state"]["locale"] = locale
    page = answer_error(scope, _make(cls))
    assert page.status_code == cls.status
    assert "<h1>" in page.content
    assert "Traceback" not in page.content
    scope = _scope("/r/customer", hx_request="true")
    fragment = answer_error(scope, _make(cls))
    assert fragment.status_code == cls.status
    assert "<html" not in fragment.content
    assert 'role="alert"' in fragment.content


def test_strangers_are_sent_to_the_sign_in_page():
    scope = _scope("/r/customer")
    scope["method"] = "GET"
    assert answer_error(scope, errors.NotAuthenticated()).headers["location"] == "/login?next=/r/customer"
    script = answer_error(_scope("/r/customer", hx_request="true"), errors.NotAuthenticated())
    assert script.headers["HX-Redirect"] == "/login"


def test_waiting_times_are_said():
    assert answer_error(_scope("/x"), errors.TooManyRequests(retry_after=90)).headers["retry-after"] == "90"
    assert int(answer_error(_scope("/x"), errors.Unavailable()).headers["retry-after"]) > 0


def test_the_unexpected_says_nothing_of_its_cause():
    from litestar import Request

    response = handle_unexpected(Request(_scope("/r/customer")), RuntimeError("password=hunter2"))
    assert response.status_code == 500
    assert "hunter2" not in response.content
    assert "r-12345678" in response.content
