"""The way to the payment provider: one client a process, calm errors, whole lists. The only place that knows its SDK.

Nothing here may be called inside a transaction: the provider may take seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

import stripe

from saas.db import current_database, in_transaction
from saas.errors import Conflict, PaymentRefused, UpstreamFailed
from saas.i18n import lazy
from saas.log import get_logger

log = get_logger(__name__)
TIMEOUT_SECONDS = 20.0
TOLERANCE_SECONDS = 300  # a signature older than this is a replay
RETRIES = 2
PAGE = 100
PAGES = 200  # of one list at most


class SignatureInvalid(Exception):
    """The message was not signed by the provider with our secret, or long ago."""


def is_configured() -> bool:
    """Whether there is a payment provider; without one the operator writes invoices by hand."""
    return bool(current_database().settings.stripe_api_key)


def hears_events() -> bool:
    """Whether its events can be told from forged ones."""
    return is_configured() and bool(current_database().settings.stripe_webhook_secret)


def is_live() -> bool:
    """Whether real money moves."""
    return "_live_" in (current_database().settings.stripe_api_key or "")


@lru_cache(maxsize=4)
def _client(key: str, base: str | None) -> stripe.StripeClient:
    addresses: Any = {"api": base} if base else None
    return stripe.StripeClient(key, base_addresses=addresses, http_client=stripe.HTTPXClient(timeout=TIMEOUT_SECONDS), max_network_retries=RETRIES)


def _open() -> stripe.StripeClient:
    settings = current_database().settings
    if not settings.stripe_api_key:
        raise Conflict(lazy("No payment provider is set up; the operator of this service sends invoices."))
    if in_transaction():
        raise RuntimeError("the payment provider is not asked inside a transaction")
    return _client(settings.stripe_api_key, settings.stripe_api_base)


async def ask(call: str, *args: Any, key: str | None = None) -> dict[str, Any]:
    """One call by the name of the SDK ("checkout.sessions.create"); `key` makes repeating it harmless. Answers with plain dicts.

    Errors: Conflict (not set up), PaymentRefused (the card), NotThere (no such object), UpstreamFailed (anything else).
    """
    found: Any = _open().v1
    for part in f"{call}_async".split("."):
        found = getattr(found, part)
    options = [{"idempotency_key": key}] if key else []
    if options and call.rpartition(".")[2] == "create" and not args:
        args = ({},)
    return await _calm(call, lambda: found(*args, *options))


class NotThere(UpstreamFailed):
    """The provider does not know (or no longer knows) the object."""


class Duplicate(UpstreamFailed):
    """The provider has had this already."""


async def _calm(call: str, function: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    try:
        return plain(await function())
    except stripe.CardError as error:
        log.info("stripe.card_refused", call=call, code=error.code)
        raise PaymentRefused(lazy("The payment was refused, and nothing was changed. Please check the payment method.")) from error
    except stripe.InvalidRequestError as error:
        log.warning("stripe.refused", call=call, code=error.code, request=error.request_id, reason=str(error.user_message)[:200])
        if error.code == "duplicate_meter_event":
            raise Duplicate(_words()) from error
        if error.http_status == 404 or error.code == "resource_missing":
            raise NotThere(_words()) from error
        raise UpstreamFailed(_words()) from error
    except stripe.StripeError as error:
        log.warning("stripe.failed", call=call, kind=type(error).__name__, status=error.http_status, request=error.request_id)
        raise UpstreamFailed(_words()) from error


def _words() -> Any:
    return lazy("The payment provider did not answer as expected. Nothing was changed here; please try again in a few minutes.")


async def every(call: str, params: Mapping[str, Any] | None = None, *before: str) -> list[dict[str, Any]]:
    """All rows of a list, newest first; `before` are ids in the address. Errors: as `ask`."""
    found: list[dict[str, Any]] = []
    asked = {"limit": PAGE, **(params or {})}
    for _ in range(PAGES):
        page = await ask(f"{call}.list", *before, asked)
        found += page["data"]
        if not page["has_more"] or not page["data"]:
            return found
        asked = {**asked, "starting_after": page["data"][-1]["id"]}
    log.error("stripe.list_too_long", call=call)
    return found


def plain(found: Any) -> dict[str, Any]:
    return found.to_dict() if hasattr(found, "to_dict") else dict(found)


def read_event(body: bytes, signature: str) -> dict[str, Any]:
    """The event in a message that the provider signed. Errors: SignatureInvalid for anything else."""
    secret = current_database().settings.stripe_webhook_secret
    if not secret:
        raise SignatureInvalid
    try:
        return plain(stripe.Webhook.construct_event(body, signature, secret, TOLERANCE_SECONDS))
    except (stripe.SignatureVerificationError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SignatureInvalid from error
