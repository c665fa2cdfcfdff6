"""The packs that ship with the product: one folder each, `pack.json`, `sample.json` and the sample's texts in other languages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from saas.errors import NotFound
from saas.i18n import LOCALES, lazy
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


def sample(key: str, locale: str = "") -> dict[str, Any]:
    """The sample data of a shipped pack, in that language where it has its texts in it, else as written; empty lists where it has none.
    Errors: NotFound."""
    folder = _folder(key)
    if not folder.joinpath("sample.json").is_file():
        return {"users": [], "records": []}
    data = _read(folder, "sample.json")
    texts = sample_texts(key, locale)
    return data if data["locale"] == locale or not texts else _in_words(data, texts)


def sample_texts(key: str, locale: str) -> dict[str, str]:
    """{text of the sample data as written: the same in that language}; empty where nobody has written them. Errors: NotFound."""
    name = f"sample.{locale}.json"
    folder = _folder(key)
    return _read(folder, name) if locale in LOCALES and folder.joinpath(name).is_file() else {}


def _in_words(data: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Names and titles of the people and values of the records, whole texts only: keys, references and times are what they are."""

    def said(value: Any) -> Any:
        if isinstance(value, str):
            return texts.get(value, value)
        if isinstance(value, list):
            return [said(v) for v in value]
        return {k: said(v) for k, v in value.items()} if isinstance(value, dict) else value

    def act(item: dict[str, Any]) -> dict[str, Any]:
        changed = {part: said(item[part]) for part in ("values", "update") if part in item}
        return {**item, **changed, **({"steps": [act(s) for s in item["steps"]]} if "steps" in item else {})}

    people = [{**user, **{part: said(user[part]) for part in ("name", "title") if part in user}} for user in data["users"]]
    return {**data, "users": people, "records": [act(r) for r in data["records"]]}


def _folder(key: str) -> Traversable:
    """Looked up among the folders there are, so that a key is never a path."""
    for folder in resources.files(__name__).iterdir():
        if folder.name == key and folder.joinpath("pack.json").is_file():
            return folder
    raise NotFound(lazy("There is no pack “%(key)s”.", key=key))


def _read(folder: Traversable, name: str) -> dict[str, Any]:
    return json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
