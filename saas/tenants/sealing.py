"""Secrets that must be read again, such as those of authenticator apps, are stored encrypted: AES-256-GCM with a key made of
SAAS_SECRET_KEY, bound to what they belong to, so that one copied to another person's row opens nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from saas.db import current_database

_VERSION = b"\x01"
_NONCE_BYTES = 12


class CannotUnseal(ValueError):
    """Not sealed by us for this purpose and owner, or under another SAAS_SECRET_KEY."""


def seal(purpose: str, text: str, *owner: object) -> bytes:
    """`owner`: what the secret belongs to (ids); needed again to open it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(_key(purpose)).encrypt(nonce, text.encode(), _label(owner))


def unseal(purpose: str, sealed: bytes, *owner: object) -> str:
    """Errors: CannotUnseal."""
    if sealed[:1] != _VERSION or len(sealed) <= _NONCE_BYTES + 1:
        raise CannotUnseal
    nonce, content = sealed[1 : _NONCE_BYTES + 1], sealed[_NONCE_BYTES + 1 :]
    try:
        return AESGCM(_key(purpose)).decrypt(nonce, content, _label(owner)).decode()
    except InvalidTag as error:
        raise CannotUnseal from error


def derived(purpose: str, text: str) -> str:
    """A token that follows from another one, for nobody but who has the secret."""
    return base64.urlsafe_b64encode(hmac.new(_key(purpose), text.encode(), hashlib.sha256).digest()).decode().rstrip("=")


def _key(purpose: str) -> bytes:
    """A key of its own for each purpose; the roles' passwords come from the same secret by other words."""
    return hmac.new(current_database().settings.secret_key.encode(), b"sealing " + purpose.encode(), hashlib.sha256).digest()


def _label(owner: tuple[object, ...]) -> bytes:
    return "|".join(str(part) for part in owner).encode()
