"""Codes of authenticator apps (TOTP, RFC 6238: SHA-1, 30 seconds, six digits) and recovery codes, whoever they belong to.

`owner` are the ids the secret is bound to: a tenant and its person, or an operator.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from uuid import UUID

import pyotp

from saas.errors import Conflict
from saas.i18n import lazy
from saas.tenants.sealing import seal, unseal

RECOVERY_CODES = 10
_STEP_SECONDS, _DIGITS = 30, 6
_EARLY, _LATE = 1, 1  # half minutes a phone's clock may go wrong
_OFFER_SECONDS = 3600
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is read as something else
_GROUPS, _GROUP = 4, 4  # 80 bits: a plain hash is enough
_OFFER = "second factor offer"


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret for an authenticator app, of which nothing is stored before a code proves that the app has it. `address` is what the
    QR code says; `sealed` goes through the page's form and back."""

    secret: str
    address: str
    sealed: str


def new_offer(*owner: UUID, account: str, issuer: str) -> Offer:
    """`account` and `issuer` are what the app shows."""
    return _offer(owner, pyotp.random_base32(), int(time.time()), account, issuer)


def same_offer_again(sealed: str, *owner: UUID, account: str, issuer: str) -> Offer:
    """The offer of a form that came back. Errors: Conflict when it is over an hour old or not this person's."""
    secret, made_at = open_offer(sealed, *owner)
    return _offer(owner, secret, made_at, account, issuer)


def _offer(owner: tuple[UUID, ...], secret: str, made_at: int, account: str, issuer: str) -> Offer:
    sealed = base64.urlsafe_b64encode(seal(_OFFER, f"{made_at} {secret}", *owner)).decode()
    return Offer(secret, pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer), sealed)


def open_offer(sealed: str, *owner: UUID) -> tuple[str, int]:
    """(secret, when it was made). Errors: Conflict."""
    try:
        made_at, secret = unseal(_OFFER, base64.urlsafe_b64decode(sealed.encode()), *owner).split(" ")
    except ValueError as error:  # CannotUnseal is one, too
        raise Conflict(lazy("This page is out of date. Please begin again.")) from error
    if int(made_at) < time.time() - _OFFER_SECONDS:
        raise Conflict(lazy("This page is out of date. Please begin again."))
    return secret, int(made_at)


def matching_step(secret: str, digits: str) -> int | None:
    """The half minute this code belongs to; all are compared, in the same time."""
    now, totp, found = int(time.time()) // _STEP_SECONDS, pyotp.TOTP(secret), None
    for step in range(now - _LATE, now + _EARLY + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def digits_of(code: str) -> str:
    """Six digits as people type them; "" for anything else."""
    text = "".join(code.split())
    return text if len(text) == _DIGITS and text.isascii() and text.isdigit() else ""


def new_recovery_codes() -> list[str]:
    return ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str, *owner: UUID) -> bytes:
    """Of a code as people type it: small letters, spaces, without hyphens."""
    clean = "".join(c for c in code.upper() if c in _ALPHABET)[:64]
    return hashlib.sha256(b"".join(part.bytes for part in owner) + clean.encode()).digest()
