from __future__ import annotations

import asyncio
import gc
import json
import weakref

import pytest
from bundles import good_bundle

from saas.metadata.build import build_bundle
from saas.metadata.cache import BYTES_PER_BYTE, OWN_BYTES, ConfigCache
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.metadata.sharing import live_bytes


def make(hash_: str) -> Config:
    return Config(parse_bundle(good_bundle()), hash=hash_)


async def test_loaded_once_for_all_who_wait():
    cache, calls = ConfigCache(), 0

    async def load() -> Config:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return make("a")

    found = await asyncio.gather(*(cache.get(("t", 1), load) for _ in range(20)))
    assert calls == 1
    assert len({id(c) for c in found}) == 1
    assert await cache.get(("t", 1), load) is found[0]
    assert calls == 1


async def test_failed_load_is_tried_again():
    cache = ConfigCache()

    async def fail() -> Config:
        raise LookupError

    async def load() -> Config:
        return make("a")

    with pytest.raises(LookupError):
        await cache.get(("t", 1), fail)
    assert (await cache.get(("t", 1), load)).hash == "a"


async def test_impatient_caller_does_not_stop_the_others():
    cache, gate = ConfigCache(), asyncio.Event()

    async def load() -> Config:
        await gate.wait()
        return make("a")

    impatient = asyncio.create_task(cache.get(("t", 1), load))
    patient = asyncio.create_task(cache.get(("t", 1), load))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert (await patient).hash == "a"


def own(seed: str) -> Config:
    """A configuration with one definition that no other has."""
    raw = good_bundle()
    raw["entities"][0]["label"]["en"] = f"Customer of {seed}"
    return Config(parse_bundle(raw), hash=seed)


async def test_least_recently_used_go_first_and_the_budget_holds():
    common = make("common")  # what all share is there already
    one = len(json.dumps(good_bundle()["entities"][0])) * BYTES_PER_BYTE + OWN_BYTES
    cache = ConfigCache(budget_bytes=3 * one)

    def loader(hash_: str):
        async def load() -> Config:
            return own(hash_)

        return load

    for n in range(3):
        await cache.get(("t", n), loader(str(n)))
    await cache.get(("t", 0), loader("0"))
    await cache.get(("t", 3), loader("3"))
    assert cache.find(("t", 1)) is None
    assert cache.find(("t", 0)) is not None
    assert cache.used_bytes <= cache.budget_bytes
    cache.forget("t")
    assert (len(cache), cache.used_bytes) == (0, 0)
    assert common.hash == "common"


async def test_what_tenants_define_alike_is_counted_once():
    cache = ConfigCache()

    async def load() -> Config:
        return own("same")

    await cache.get(("a", 1), load)
    first = cache.used_bytes
    await cache.get(("b", 1), load)
    assert cache.used_bytes == first + OWN_BYTES
    assert cache.bundle("same") is not None


def test_definitions_written_alike_are_one_object():
    one, other = own("one"), own("other")
    assert one.bundle.entities[0] is not other.bundle.entities[0]
    assert one.bundle.entities[0].label != other.bundle.entities[0].label
    assert all(a is b for a, b in zip(one.bundle.entities[0].fields, other.bundle.entities[0].fields, strict=True))
    assert all(a is b for kind in ("roles", "views", "pipelines", "reports", "layouts") for a, b in zip(getattr(one.bundle, kind), getattr(other.bundle, kind), strict=True))


def test_a_definition_differs_by_the_type_of_a_value():
    """1, 1.0 and true are equal in Python and not in a configuration."""
    raw = good_bundle()
    values = []
    for value in (1, True, 1.0):
        raw["settings"][0]["default"] = value
        values.append(type(build_bundle(raw).settings[0].default))
    assert values == [int, bool, float]


def test_definitions_go_with_the_last_that_has_them():
    gc.collect()
    before = live_bytes()
    found = own("of nobody else")
    assert live_bytes() > before
    del found
    gc.collect()
    assert live_bytes() == before


async def test_what_is_dropped_is_gone_at_once() -> None:
    """Closures of compiled expressions hold their configuration: without leaving them it would wait for the garbage collector."""
    cache = ConfigCache(budget_bytes=1)

    async def load() -> Config:
        config = own("dropped")
        config.cached("some.module", lambda: lambda: config)
        return config

    dropped = weakref.ref(await cache.get("one", load))
    gc.disable()
    try:
        await cache.get("other", load)  # the budget holds one
        await asyncio.sleep(0)  # the task that made it ends
        assert dropped() is None
    finally:
        gc.enable()
