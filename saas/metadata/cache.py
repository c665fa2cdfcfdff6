"""Compiled configurations in memory: a byte-budgeted LRU, built once for all who ask at the same time.

Tenants share the models of what they define alike (saas.metadata.sharing); a Config adds only what is the tenant's own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.sharing import live_bytes

BUDGET_BYTES = 512_000_000
# Measured with `saas bench tenants`: memory of the models per byte of the JSON they were built from …
BYTES_PER_BYTE = 6
# … and of what a configuration in use has of its own: look-ups, compiled expressions, statements.
OWN_BYTES = 60_000


class ConfigCache:
    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self.budget_bytes, self.used_bytes = budget_bytes, 0
        self._entries: OrderedDict[Any, tuple[Config, int]] = OrderedDict()  # with what each has added
        self._building: dict[Any, asyncio.Task[Config]] = {}
        self._bundles: WeakValueDictionary[str, m.Bundle] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Any) -> Config | None:
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    async def get(self, key: Any, load: Callable[[], Awaitable[Config]]) -> Config:
        """The cached configuration, or that of `load`, which runs once however many ask."""
        found = self.find(key)
        if found is not None:
            return found
        task = self._building.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._building[key] = asyncio.get_running_loop().create_task(self._build(key, load))
        return await asyncio.shield(task)  # one impatient caller must not stop the others

    async def _build(self, key: Any, load: Callable[[], Awaitable[Config]]) -> Config:
        try:
            before = live_bytes()
            config = await load()
            self._put(key, config, OWN_BYTES + max(live_bytes() - before, 0) * BYTES_PER_BYTE)
            return config
        finally:
            self._building.pop(key, None)

    def bundle(self, content_hash: str) -> m.Bundle | None:
        """The models of a bundle that some cached configuration uses."""
        return self._bundles.get(content_hash)

    def _put(self, key: Any, config: Config, cost: int) -> None:
        """`cost`: what others share already is not in it; whoever came first has paid for it."""
        self._remove(key)
        self._entries[key] = config, cost
        self._bundles[config.hash] = config.bundle
        self.used_bytes += cost
        while self.used_bytes > self.budget_bytes and len(self._entries) > 1:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: Any) -> None:
        config, cost = self._entries.pop(key, (None, 0))
        self.used_bytes -= cost
        if config is not None:
            config.forget()

    def forget(self, tenant_id: Any) -> None:
        """Drop a tenant's configurations, e.g. when it is deleted."""
        for key in [k for k in self._entries if k[0] == tenant_id]:
            self._remove(key)
