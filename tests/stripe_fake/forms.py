"""Form bodies with brackets, as Stripe's clients send them: `line_items[0][price]=x` -> {"line_items": [{"price": "x"}]}."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"[^\[\]]+")


def decode(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        parts = _PART.findall(key)
        place = found
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        if key.endswith("[]"):
            place.setdefault(parts[-1], {})[str(len(place.get(parts[-1], {})))] = value
        else:
            place[parts[-1]] = value
    return _lists(found)


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}


def is_true(value: Any) -> bool:
    return value in (True, "true", "True", "1")
