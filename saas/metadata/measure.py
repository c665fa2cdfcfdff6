"""How large a compiled configuration is and how long making it takes: numbers for `saas bench` and for tuning the cache."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from saas.metadata.build import build_bundle
from saas.metadata.compile import validator
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle


def measure(raw: Mapping[str, Any], *, rounds: int = 5) -> dict[str, float]:
    """Sizes in bytes and medians in milliseconds for one bundle."""
    text = json.dumps(raw, ensure_ascii=False)

    def cold() -> Config:
        return Config(build_bundle(json.loads(text)))

    config = cold()
    _validators(config)
    return {
        "json_bytes": len(text.encode()),
        "compiled_bytes": deep_size(cold()),
        "used_bytes": deep_size(config),
        "parse_ms": _median(lambda: parse_bundle(raw), rounds),
        "cold_compile_ms": _median(cold, rounds),
        "validators_ms": _median(lambda: _validators(cold()), rounds),
    }


def _validators(config: Config) -> None:
    for key in config.entities:
        validator(config, key)


def _median(work: Callable[[], Any], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(taken), 2)


def deep_size(root: Any) -> int:
    """Bytes of everything reachable from `root` that is not code, a class, a module or an interned key."""
    seen: set[int] = set()
    size, stack = 0, [root]
    while stack:
        here = stack.pop()
        if id(here) in seen or isinstance(here, (type, type(sys))) or callable(here):
            continue
        seen.add(id(here))
        size += sys.getsizeof(here)
        stack.extend(gc.get_referents(here))
    return size
