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
from saas.metadata.parse import examine

NOTHING = m.Bundle(pack=m.PackInfo("nothing", "0.0.0", {}), entities=(), roles=())
KEPT = 48


@dataclass(frozen=True, slots=True)
class Examined:
    """`bundle` holds what is sound in itself; what it refers to may be missing (then `problems` say so). Do not change `raw`."""

    raw: Mapping[str, Any]
    bundle: m.Bundle
    problems: tuple[DefinitionProblem, ...]


_kept: OrderedDict[bytes, Examined] = OrderedDict()


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
