"""How requests to and from other programs are signed: `X-Signature: t=<seconds>,v1=<hex>`, an HMAC-SHA-256 over "<seconds>.<body>". The
time keeps an old request from being sent again; two signatures are sent while a secret is being changed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

HEADER = "X-Signature"
TOLERANCE_SECONDS = 300


def signature(secrets: Iterable[str], body: bytes, at: float) -> str:
    """The header's value. `at`: seconds since 1970, real time."""
    moment = str(int(at))
    return ",".join([f"t={moment}", *(f"v1={_mac(secret, moment, body)}" for secret in secrets)])


def is_signed(header: str, secrets: Iterable[str], body: bytes, now: float) -> bool:
    """Whether one of the secrets made one of the header's signatures of this very body, within five minutes of `now`."""
    parts = [part.strip().partition("=") for part in header[:2000].split(",")]
    moments = [value for name, _sign, value in parts if name == "t"]
    if len(moments) != 1 or not (moments[0].isascii() and moments[0].isdigit()) or len(moments[0]) > 12 or abs(int(moments[0]) - now) > TOLERANCE_SECONDS:
        return False
    given = [value for name, _sign, value in parts if name == "v1"][:5]
    made = [_mac(secret, moments[0], body) for secret in secrets]
    return any(hmac.compare_digest(one.encode("utf-8", "replace"), other.encode()) for one in given for other in made)


def _mac(secret: str, moment: str, body: bytes) -> str:
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
