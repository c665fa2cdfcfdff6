"""Compiled configurations in memory: a byte-budgeted LRU, built once for all who ask at the same time.

Tenants with the same bundle share its models; a Config adds only what is the tenant's own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from saas.metadata import models as m
from saas.metadata.config import Config

BUDGET_BYTES = 512_000_000
# Measured with saas.metadata.measure: models, look-ups and compiled expressions of a bundle, per byte of its JSON.
BYTES_PER_BYTE = 6
OWN_BYTES = 24_000  # a Config whose bundle is shared with other tenants


@dataclass(slots=True)
class _Shared:
    """The models of one bundle and how many cached configurations use them."""

    bundle: m.Bundle
    cost: int
    users: int = 0


class ConfigCache:
    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self.budget_bytes, self.used_bytes = budget_bytes, 0
        self._entries: OrderedDict[Any, Config] = OrderedDict()
        self._building: dict[Any, asyncio.Task[Config]] = {}
        self._shared: dict[str, _Shared] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Any) -> Config | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    async def get(self, key: Any, load: Callable[[], Awaitable[tuple[Config, int]]]) -> Config:
        """The cached configuration, or that of `load` -> (config, bytes of its JSON), which runs once however many ask."""
        found = self.find(key)
        if found is not None:
            return found
        task = self._building.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._building[key] = asyncio.get_running_loop().create_task(self._build(key, load))
        return await asyncio.shield(task)  # one impatient caller must not stop the others

    async def _build(self, key: Any, load: Callable[[], Awaitable[tuple[Config, int]]]) -> Config:
        try:
            config, size = await load()
            self._put(key, config, size)
            return config
        finally:
            self._building.pop(key, None)

    def bundle(self, content_hash: str) -> m.Bundle | None:
        """The models of a bundle that some cached configuration uses."""
        shared = self._shared.get(content_hash)
        return shared.bundle if shared else None

    def _put(self, key: Any, config: Config, size: int) -> None:
        self._remove(key)
        shared = self._shared.get(config.hash)
        if shared is None:
            shared = self._shared[config.hash] = _Shared(config.bundle, size * BYTES_PER_BYTE)
            self.used_bytes += shared.cost
        shared.users += 1
        self.used_bytes += OWN_BYTES
        self._entries[key] = config
        while self.used_bytes > self.budget_bytes and len(self._entries) > 1:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: Any) -> None:
        config = self._entries.pop(key, None)
        if config is None:
            return
        self.used_bytes -= OWN_BYTES
        shared = self._shared[config.hash]
        shared.users -= 1
        if not shared.users:
            self.used_bytes -= shared.cost
            del self._shared[config.hash]

    def forget(self, tenant_id: Any) -> None:
        """Drop a tenant's configurations, e.g. when it is deleted."""
        for key in [k for k in self._entries if k[0] == tenant_id]:
            self._remove(key)
