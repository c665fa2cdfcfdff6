"""Password hashes: argon2id in a thread, so that a sign-in does not stop the event loop."""

from __future__ import annotations

import asyncio
import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy

MINIMUM_LENGTH, MAXIMUM_LENGTH = 8, 200
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's first choice for argon2id


def check_strength(password: str, *, email: str = "") -> None:
    """Length is what counts; the address itself is refused."""
    if len(password) < MINIMUM_LENGTH:
        message = lazy("Use at least %(count)s characters", count=MINIMUM_LENGTH)
        raise InvalidInput([FieldProblem("password", "too_short", message)])
    if len(password) > MAXIMUM_LENGTH:
        message = lazy("Use at most %(count)s characters", count=MAXIMUM_LENGTH)
        raise InvalidInput([FieldProblem("password", "too_long", message)])
    if email and password.strip().lower() == email.lower():
        raise InvalidInput([FieldProblem("password", "too_simple", lazy("The password must not be the e-mail address"))])


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
