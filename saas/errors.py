"""The exception hierarchy of the product. Knows nothing of HTTP frameworks; `saas.ui.errors` translates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from saas.i18n import LazyString, lazy


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one input.

    `field` is the field key ("" for the record as a whole), `path` a JSON pointer into the body, `code` is stable
    ("required", "too_long", "unknown_option", …), `message` is for the reader and already in words.
    """

    field: str
    code: str
    message: LazyString | str
    path: str = ""


@dataclass(frozen=True, slots=True)
class DefinitionProblem:
    """One thing wrong with a bundle. `path` reads like `entities[customer].fields[name].max_length`."""

    path: str
    code: str
    message: LazyString | str
    hint: LazyString | str = ""


class AppError(Exception):
    """Base of every error meant for a reader. `code` is stable, `status` the HTTP status it maps to."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[LazyString] = lazy("Something went wrong")

    def __init__(self, message: LazyString | str = "", **data: Any) -> None:
        self.message = message or type(self).title
        self.data = data
        super().__init__(str(self.message))

    @property
    def problems(self) -> Sequence[FieldProblem | DefinitionProblem]:
        return ()


class InvalidInput(AppError):
    code, status, title = "invalid_input", 422, lazy("Some values need your attention")

    def __init__(self, problems: Sequence[FieldProblem], message: LazyString | str = "", **data: Any) -> None:
        super().__init__(message, **data)
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[FieldProblem]:
        return self._problems

    def by_field(self) -> dict[str, str]:
        """What a form says beside each of its inputs."""
        return {p.field: str(p.message) for p in self._problems}


class InvalidDefinition(AppError):
    code, status, title = "invalid_definition", 422, lazy("The configuration has problems")

    def __init__(self, problems: Sequence[DefinitionProblem], message: LazyString | str = "", **data: Any) -> None:
        super().__init__(message, **data)
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[DefinitionProblem]:
        return self._problems


class BadRequest(AppError):
    """A request that cannot be understood: malformed JSON, cursor, filter, id."""

    code, status, title = "bad_request", 400, lazy("The request could not be understood")


class NotAuthenticated(AppError):
    code, status, title = "not_authenticated", 401, lazy("Please sign in")


class SecondFactorNeeded(NotAuthenticated):
    """The password is right, and not enough: `data["user_id"]` has a second factor."""

    code, title = "second_factor_required", lazy("A code from your authenticator app is needed, too")


class WrongCode(NotAuthenticated):
    """The password is right, the code of the second factor is not."""

    code, title = "second_factor_wrong", lazy("The code is wrong")


class AccountClosed(NotAuthenticated):
    """The password is right, the account of `data["user_id"]` is closed."""

    code, title = "account_closed", lazy("This account is closed")


class PlanLimitReached(AppError):
    """`data` says which (`limit`), how many are allowed and how many are used (`allowed`, `used`)."""

    code, status, title = "limit_reached", 402, lazy("Your plan's limit is reached")


class RateLimitReached(PlanLimitReached):
    """More requests than the plan allows in this minute; `retry_after` seconds say when the next one begins."""

    status = 429


class PaymentRefused(AppError):
    """The payment provider could not take the money; nothing was changed."""

    code, status, title = "payment_refused", 402, lazy("The payment was refused")


class PermissionDenied(AppError):
    code, status, title = "permission_denied", 403, lazy("You are not allowed to do this")


class KeyLimited(PermissionDenied):
    """The person may do this, their API key may not: it lacks a scope or the entity."""

    code, title = "key_limited", lazy("This API key does not allow that")


class NotFound(AppError):
    """Absent, or in another tenant: same text for both."""

    code, status, title = "not_found", 404, lazy("Not found")


class RecordMerged(NotFound):
    """The record was merged into another one, which the person may see: `data["merged_into"]` is its id."""

    code, status, title = "merged", 410, lazy("This record was merged into another one")


class Conflict(AppError):
    code, status, title = "conflict", 409, lazy("This conflicts with the current state")

    @property
    def is_contention(self) -> bool:
        """Another writer was met (a deadlock, a lock that did not come): the same may well succeed when it is done again."""
        return self.data.get("reason") in ("deadlock", "locked")


class StaleVersion(Conflict):
    code, title = "stale_version", lazy("Somebody changed this in the meantime")


class DuplicateFound(Conflict):
    """A soft duplicate rule matched; repeat with `confirm_duplicates` to go on. `data["matches"]` says what may be revealed."""

    code, title = "duplicate_found", lazy("A similar record already exists")


class PayloadTooLarge(AppError):
    code, status, title = "payload_too_large", 413, lazy("The upload is too large")


class TooManyRequests(AppError):
    code, status, title = "too_many_requests", 429, lazy("Too many attempts, please wait")


class TooSlow(AppError):
    """A query took longer than its kind of request may take, and was stopped; trying the same again does not help."""

    code, status, title = "too_slow", 422, lazy("This takes too long with so many records")


class UpstreamFailed(AppError):
    code, status, title = "upstream_failed", 502, lazy("A connected service failed")


class Unavailable(AppError):
    """The database is away; recovers by itself."""

    code, status, title = "unavailable", 503, lazy("The service is briefly unavailable, please try again")
