"""AppError -> answer: problem details for JSON callers, a fragment for htmx, a calm page for everybody else. The one translator."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException

from saas.errors import (
    AppError,
    BadRequest,
    Conflict,
    DefinitionProblem,
    FieldProblem,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    PlanLimitReached,
    RateLimitReached,
    RecordMerged,
    StaleVersion,
    TooManyRequests,
    Unavailable,
)
from saas.i18n import gettext as _
from saas.i18n import lazy, use_locale
from saas.log import get_logger
from saas.tenants.rates import Rate
from saas.ui.guards import NOTICE, SECOND_FACTOR, NoticeDue, PasswordDue, SecondFactorDue, html, page_data, redirect
from saas.ui.plan_views import way_to_more
from saas.ui.render import render
from saas.ui.views import Link, Toast

log = get_logger(__name__)
_RECORD_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
BY_STATUS: dict[int, type[AppError]] = {400: BadRequest, 401: NotAuthenticated, 402: PlanLimitReached, 403: PermissionDenied, 404: NotFound, 409: Conflict, 413: PayloadTooLarge, 429: TooManyRequests, 503: Unavailable}  # fmt: skip
# What a page says where the error itself has nothing to add.
ADVICE = {
    400: lazy("The address or the form was not complete. Go back and try again."),
    403: lazy("Ask an administrator if you think you should be able to."),
    404: lazy("It does not exist, was deleted, or you may not see it."),
    405: lazy("The address or the form was not complete. Go back and try again."),
    409: lazy("Reload the page to see how things stand now."),
    413: lazy("Choose a smaller file."),
    500: lazy("The error has been recorded. Nothing was changed by what you just did."),
    503: lazy("This usually takes a few seconds. Nothing you saved is lost."),
}


class MethodNotAllowed(AppError):
    code, status, title = "method_not_allowed", 405, lazy("This address does not take that kind of request")


def handle_app_error(request: Request, error: AppError) -> Response[Any]:
    return answer_error(request.scope, error, request)


def handle_http_error(request: Request, error: HTTPException) -> Response[Any]:
    """Litestar's own refusals: unknown path or method, a malformed id, a body that is too large."""
    if error.status_code == 405:
        response = answer_error(request.scope, MethodNotAllowed(), request)
        response.headers["allow"] = ", ".join(sorted(_methods(request)))
        return response
    if error.status_code >= 500:
        return handle_unexpected(request, error)
    return answer_error(request.scope, BY_STATUS.get(error.status_code, BadRequest)(), request)


def _methods(request: Request) -> set[str]:
    """What the routes of this path do take."""
    parts = [part for part in request.scope["path"].split("/") if part]
    return {
        method
        for route in request.app.routes
        if len(route.path_components) == len(parts)
        and all(want == have or not isinstance(want, str) for want, have in zip(route.path_components, parts, strict=True))
        for method in route.methods
    }


def handle_unexpected(request: Request, error: Exception) -> Response[Any]:
    log.error("request.failed", exc_info=error)
    return answer_error(request.scope, AppError(), request)


def answer_error(scope: Any, error: AppError, request: Request | None = None) -> Response[Any]:
    request = request or Request(scope)
    state = scope["state"]
    with use_locale(state.get("locale", "en")):
        response = _answer(request, error)
    retry = error.data.get("retry_after") or (5 if isinstance(error, Unavailable) else None)
    if isinstance(error, RateLimitReached):
        scope["state"]["rate"] = Rate(error.data["allowed"], 0, error.data["retry_after"])
    if retry:
        response.headers["retry-after"] = str(retry)
    return response


def _answer(request: Request, error: AppError) -> Response[Any]:
    if isinstance(error, RecordMerged) and (found := _led_on(request, error)) is not None:
        return found
    if wants_json(request):
        return problem_response(request, error)
    if isinstance(error, NotAuthenticated) and error.status == 401 and request.scope["path"] != "/login":
        return _to_sign_in(request)
    if isinstance(error, PasswordDue):
        return redirect(request, "/profile", Toast(str(error.message), "warn"))
    if isinstance(error, NoticeDue):
        here = request.url.path if request.method == "GET" else "/"
        return redirect(request, NOTICE + (f"?next={quote(here)}" if here != "/" else ""))
    if isinstance(error, SecondFactorDue):
        return redirect(request, str(error.data.get("setup", SECOND_FACTOR)), Toast(str(error.message), "warn"))
    if request.headers.get("hx-request") == "true":
        return _fragment(request, error)
    return _page(request, error)


def _led_on(request: Request, error: RecordMerged) -> Response[Any] | None:
    """Reading under an id that was merged away leads to where it lives on, for pages and programs; other requests are told where that is."""
    if request.method not in ("GET", "HEAD") or "merged_into" not in error.data:
        return None
    path = _RECORD_ID.sub(str(error.data["merged_into"]), request.url.path, count=1)
    query = f"?{request.url.query}" if request.url.query else ""
    if wants_json(request):
        response = problem_response(request, error)
        response.status_code = 308
        response.headers["location"] = path + query
        return response
    return redirect(request, path + query, Toast(str(error.message)))


def wants_json(request: Request) -> bool:
    """The API always; elsewhere who asks for JSON and not for HTML."""
    accept = request.headers.get("accept", "")
    return request.scope["path"].startswith("/api/") or ("application/json" in accept and "text/html" not in accept)


def problem_response(request: Request, error: AppError) -> Response[dict[str, Any]]:
    """RFC 9457."""
    body: dict[str, Any] = {
        "type": "about:blank" if error.code == "error" else f"urn:saas:{error.code}", "title": str(type(error).title), "status": error.status,
        "detail": str(error.message), "code": error.code, "errors": [problem_json(p) for p in error.problems] or _named(error),
        "request_id": request.scope["state"].get("request_id", ""),
    }  # fmt: skip
    for key, value in error.data.items():
        body.setdefault(key, value if isinstance(value, (int, float, bool, list, dict, type(None))) else str(value))
    headers = {"cache-control": "no-store"}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(body, status_code=error.status, media_type="application/problem+json", headers=headers)


def _named(error: AppError) -> list[dict[str, Any]]:
    """An error about one parameter or header lists it like a field."""
    name = error.data.get("field")
    return [{"path": str(error.data.get("path", "")), "field": str(name), "code": error.code, "message": str(error.message)}] if name else []


def problem_json(problem: FieldProblem | DefinitionProblem) -> dict[str, Any]:
    if isinstance(problem, FieldProblem):
        return {"path": problem.path or (f"/{problem.field}" if problem.field else ""), "field": problem.field, "code": problem.code, "message": str(problem.message)}
    return {"path": problem.path, "code": problem.code, "message": str(problem.message), "hint": str(problem.hint)}


def _to_sign_in(request: Request) -> Response[Any]:
    query = request.url.query
    here = request.url.path + (f"?{query}" if query else "")
    url = "/login" if request.method != "GET" or here == "/" else f"/login?next={quote(here)}"
    if request.headers.get("hx-request") == "true":
        return html("", headers={"HX-Redirect": "/login"})
    return Response("", status_code=303, headers={"location": url})


def _words(error: AppError) -> dict[str, Any]:
    message = str(error.message)
    title = str(type(error).title)
    if message == title:
        message = str(ADVICE.get(error.status, ""))
    details = [f"{p.path}: {p.message}" if isinstance(p, DefinitionProblem) else str(p.message) for p in error.problems][:30]
    return {"code": error.status, "title": title, "message": message, "details": details}


def _fragment(request: Request, error: AppError) -> Response[Any]:
    return html(render("errors/_notice.html", **page_data(request), **_words(error)), status=error.status, headers={"X-Reason": quote(str(error.message))[:500]})


def _page(request: Request, error: AppError) -> Response[Any]:
    actions = [Link(_("Go back"), "/", back=True), Link(_("Go to the start page"), "/")]
    if isinstance(error, (Unavailable, StaleVersion)):
        actions.insert(0, Link(_("Try again"), request.url.path))
    if isinstance(error, PlanLimitReached) and (ask := request.scope["state"].get("ask")) is not None and (more := way_to_more(ask.ctx)) is not None:
        actions.insert(0, more)
    data = {**_words(error), "actions": actions, "request_id": request.scope["state"].get("request_id", "")}
    console = request.scope["state"].get("console")
    if console is not None and error.status != 503:
        return console.page("operator/error.html", "", status=error.status, **data)
    ask = request.scope["state"].get("ask")
    if ask is not None and error.status != 503:
        return ask.page("errors/page.html", status=error.status, **data)
    return html(render("errors/page.html", **page_data(request), **data), status=error.status)


HANDLERS: dict[Any, Any] = {AppError: handle_app_error, HTTPException: handle_http_error, Exception: handle_unexpected}
