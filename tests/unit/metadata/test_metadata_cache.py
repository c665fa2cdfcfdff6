from __future__ import annotations

import asyncio

import pytest
from bundles import good_bundle

from saas.metadata.cache import OWN_BYTES, ConfigCache
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.runtime.kinds import load_kinds

load_kinds()


def make(hash_: str) -> Config:
    return Config(parse_bundle(good_bundle()), hash=hash_)


async def test_loaded_once_for_all_who_wait():
    cache, calls = ConfigCache(), 0

    async def load() -> tuple[Config, int]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return make("a"), 100

    found = await asyncio.gather(*(cache.get(("t", 1), load) for _ in range(20)))
    assert calls == 1
    assert len({id(c) for c in found}) == 1
    assert await cache.get(("t", 1), load) is found[0]
    assert calls == 1


async def test_failed_load_is_tried_again():
    cache = ConfigCache()

    async def fail() -> tuple[Config, int]:
        raise LookupError

    async def load() -> tuple[Config, int]:
        return make("a"), 100

    with pytest.raises(LookupError):
        await cache.get(("t", 1), fail)
    assert (await cache.get(("t", 1), load)).hash == "a"


async def test_impatient_caller_does_not_stop_the_others():
    cache, gate = ConfigCache(), asyncio.Event()

    async def load() -> tuple[Config, int]:
        await gate.wait()
        return make("a"), 100

    impatient = asyncio.create_task(cache.get(("t", 1), load))
    patient = asyncio.create_task(cache.get(("t", 1), load))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert (await patient).hash == "a"


async def test_least_recently_used_go_first_and_the_budget_holds():
    cache = ConfigCache(budget_bytes=3 * (OWN_BYTES + 6000))

    def loader(hash_: str):
        async def load() -> tuple[Config, int]:
            return make(hash_), 1000

        return load

    for n in range(3):
        await cache.get(("t", n), loader(str(n)))
    await cache.get(("t", 0), loader("0"))
    await cache.get(("t", 3), loader("3"))
    assert cache.find(("t", 1)) is None
    assert cache.find(("t", 0)) is not None
    assert cache.used_bytes <= cache.budget_bytes
    cache.forget("t")
    assert (len(cache), cache.used_bytes, cache.bundle("0")) == (0, 0, None)


async def test_equal_bundles_are_counted_once():
    cache = ConfigCache()

    def loader():
        async def load() -> tuple[Config, int]:
            return make("same"), 1000

        return load

    await cache.get(("a", 1), loader())
    first = cache.used_bytes
    await cache.get(("b", 1), loader())
    assert cache.used_bytes == first + OWN_BYTES
    assert cache.bundle("same") is not None
