"""A bundle that may have problems, as far as it can be understood: what the designer's pages look things up in."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saas.errors import DefinitionProblem
from saas.metadata import models as m
from saas.metadata.parse import examine, parse_bundle
from saas.metadata.store import content_hash

NOTHING = m.Bundle(pack=m.PackInfo("nothing", "0.0.0", {}), entities=(), roles=())
KEPT = 48
SOUND = 32  # as many packs as there are, about


@dataclass(frozen=True, slots=True)
class Examined:
    """`bundle` holds what is sound in itself; what it refers to may be missing (then `problems` say so). Do not change `raw`."""

    raw: Mapping[str, Any]
    bundle: m.Bundle
    problems: tuple[DefinitionProblem, ...]


_kept: OrderedDict[bytes, Examined] = OrderedDict()
_sound: OrderedDict[str, m.Bundle] = OrderedDict()


async def examined(text: str) -> Examined:
    """Of a bundle's JSON text, kept for the next page of the same admin."""
    key = hashlib.sha256(text.encode()).digest()
    found = _kept.get(key)
    if found is None:
        found = await asyncio.to_thread(_examine, text)
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    else:
        _kept.move_to_end(key)
    return found


def _examine(text: str) -> Examined:
    raw = json.loads(text)
    bundle, problems = examine(raw)
    return Examined(raw, bundle or NOTHING, tuple(problems))


async def sound(raw: Mapping[str, Any]) -> m.Bundle:
    """The models of a pack, which is installed again and again: looked at once. Raises InvalidDefinition with all problems."""
    key = content_hash(raw)
    bundle = _sound.get(key)
    if bundle is None:
        bundle = _sound[key] = await asyncio.to_thread(parse_bundle, raw)
        while len(_sound) > SOUND:
            _sound.popitem(last=False)
    return bundle
