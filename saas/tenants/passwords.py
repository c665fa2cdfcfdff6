"""Password hashes: argon2id in a thread, so that a sign-in does not stop the event loop."""

from __future__ import annotations

import asyncio
import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from saas.tenants.rules import MAXIMUM_LENGTH, STANDARD

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's first choice for argon2id


def check_strength(password: str, *, email: str = "") -> None:
    """The standard rules, for those who belong to no tenant: operators. Errors: InvalidInput."""
    STANDARD.check_password(password, email=email)


async def hash_password(password: str) -> str:
    return await asyncio.to_thread(_HASHER.hash, password)


async def verify_password(password_hash: str, password: str) -> bool:
    """Takes as long for an empty hash (an unknown person) as for a real one."""
    if len(password) > MAXIMUM_LENGTH:
        password = ""
    right = await asyncio.to_thread(_verify, password_hash or _decoy(), password)
    return right and bool(password_hash)


def needs_rehash(password_hash: str) -> bool:
    return _HASHER.check_needs_rehash(password_hash)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _decoy() -> str:
    return _HASHER.hash("a password that nobody has")


def is_ours(password_hash: str) -> bool:
    """Whether it was made by this product with the parameters of today: others might cost any amount of memory to check."""
    try:
        return not _HASHER.check_needs_rehash(password_hash)
    except InvalidHashError:
        return False
