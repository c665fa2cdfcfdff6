"""Definitions that are written alike exist once, however many tenants have them.

Most of a tenant's configuration is what its pack says. Models are immutable, so whoever builds one from the same JSON gets the
same object; it goes when the last configuration that has it goes. Building is faster as well: what is there is not built.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from threading import local
from typing import Any, ParamSpec, TypeVar
from weakref import ref

P = ParamSpec("P")
T = TypeVar("T")
_VERSION = 2  # of marshal: later ones write references, which depend on how often an object is in use
_live: dict[bytes, tuple[ref[Any], int]] = {}
_live_bytes = 0
_building = local()  # .nested: bytes of the definitions inside the one that is being built


def shared(make: Callable[P, T]) -> Callable[P, T]:
    """`make(*JSON values)` -> a model with a weak reference slot; the same object for equal arguments."""
    name = make.__qualname__

    @wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> T:
        written = marshal.dumps((name, args), _VERSION)
        key = blake2b(written, digest_size=16).digest()
        entry = _live.get(key)
        found = entry[0]() if entry else None
        if found is None:
            outside, _building.nested = getattr(_building, "nested", 0), 0
            try:
                found = make(*args, **kwargs)
                _keep(key, found, max(len(written) - _building.nested, 0))
            finally:
                _building.nested = outside
        _building.nested = getattr(_building, "nested", 0) + len(written)
        return found

    return get


def live_bytes() -> int:
    """Bytes of JSON of all definitions there are, each counted once."""
    return _live_bytes


def _keep(key: bytes, model: Any, size: int) -> None:
    global _live_bytes

    def gone(reference: ref[Any]) -> None:
        global _live_bytes
        entry = _live.get(key)
        if entry is not None and entry[0] is reference:
            del _live[key]
        _live_bytes -= size

    _live_bytes += size
    _live[key] = (ref(model, gone), size)
