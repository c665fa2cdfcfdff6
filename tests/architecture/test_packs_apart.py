"""A pack is data: no word that only a pack knows stands in the product outside the packs' folders."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAAS = ROOT / "saas"
PACKS = SAAS / "metadata" / "packs"
KEYS = sorted(p.parent.name for p in PACKS.glob("*/pack.json"))
SUFFIXES = {".py", ".html", ".css", ".js", ".json", ".toml", ".sql", ".txt"}
# Which pack a new workspace, or a demonstration, begins with is a choice of the product: it may name the pack, and nothing of what is in it.
CHOOSES = {"demo.py"}

# Words that some pack calls an entity by, and the engine something of its own: a card of a board, a customer of the payment provider, a step of a rule.
ORDINARY = {
    "card", "contact", "customer", "document", "email", "folder", "group", "lead", "mail", "measure", "note", "notice", "order", "product", "request", "sale", "sample", "service", "step", "survey",
    "target", "task", "team", "upgrade",
}  # fmt: skip


@functools.cache
def sources() -> dict[str, str]:
    found = {}
    for path in sorted(SAAS.rglob("*")):
        if path.suffix in SUFFIXES and PACKS not in path.parents and "vendor" not in path.parts and "locale" not in path.parts:
            found[path.relative_to(SAAS).as_posix()] = path.read_text(encoding="utf-8")
    found |= {f"locale/{p.parent.name}": p.read_text(encoding="utf-8") for p in (SAAS / "locale").glob("*/messages.po")}
    return found


def bundle(key: str) -> dict[str, Any]:
    return json.loads((PACKS / key / "pack.json").read_text(encoding="utf-8"))


def named(word: str) -> list[str]:
    """Places where it stands as a word of its own, not as a part of another one."""
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
    return [name for name, text in sources().items() if word in text and pattern.search(text)]


def entities() -> set[str]:
    return {entity["key"] for key in KEYS for entity in bundle(key)["entities"]}


def test_there_are_packs() -> None:
    assert len(KEYS) >= 9


@pytest.mark.parametrize("key", KEYS)
def test_nothing_outside_names_the_pack(key: str) -> None:
    assert set(named(key)) - CHOOSES == set()


def test_nothing_outside_asks_for_an_entity_of_a_pack() -> None:
    """In quotes: as a key that code could branch on."""
    texts = {name: text for name, text in sources().items() if not name.startswith("locale/")}
    found = []
    for word in sorted(entities() - ORDINARY):
        quoted = re.compile(rf"(['\"]){re.escape(word)}\1")
        found += [f"{name}: {word}" for name, text in texts.items() if word in text and quoted.search(text)]
    assert found == []


def test_what_counts_as_ordinary_is_in_use() -> None:
    assert ORDINARY - entities() == set()
