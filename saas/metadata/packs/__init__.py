"""The packs that ship with the product: one folder each, `pack.json` and `sample.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from saas.errors import NotFound
from saas.i18n import lazy
from saas.metadata.models import Label


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What a list of packs shows."""

    key: str
    version: str
    label: Label
    description: Label
    icon: str
    has_sample: bool


def list_packs() -> list[PackSummary]:
    """The shipped packs: smaller `order` first, then by key."""
    found = []
    for folder in resources.files(__name__).iterdir():
        if not folder.is_dir() or not folder.joinpath("pack.json").is_file():
            continue
        info = _read(folder, "pack.json")["pack"]
        summary = PackSummary(
            folder.name, info["version"], info["label"], info.get("description", {}), info.get("icon", "box"), folder.joinpath("sample.json").is_file()
        )
        found.append((info.get("order", 100), folder.name, summary))
    return [summary for _order, _key, summary in sorted(found, key=lambda f: f[:2])]


def load_pack(key: str) -> dict[str, Any]:
    """The bundle of a shipped pack, as written. Errors: NotFound."""
    return _read(_folder(key), "pack.json")


def sample(key: str) -> dict[str, Any]:
    """The sample data of a shipped pack; empty lists where it has none. Errors: NotFound."""
    folder = _folder(key)
    return _read(folder, "sample.json") if folder.joinpath("sample.json").is_file() else {"users": [], "records": []}


def _folder(key: str) -> Traversable:
    """Looked up among the folders there are, so that a key is never a path."""
    for folder in resources.files(__name__).iterdir():
        if folder.name == key and folder.joinpath("pack.json").is_file():
            return folder
    raise NotFound(lazy("There is no pack “%(key)s”.", key=key))


def _read(folder: Traversable, name: str) -> dict[str, Any]:
    return json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
