"""What an archive says, without what may differ between two archives of the same tenant: ids by the order in which they first appear,
times of making it, and the lines of the audit log that tell of exporting and importing."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

UUID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])")
OWN_TRACES = ("tenant.imported", "tenant.exported", "tenant.export_started", "tenant.export_fetched")


def parts_of(path: Path) -> dict[str, list[Any]]:
    """{name: rows} with ids as they are; contents of files by name only."""
    found: dict[str, list[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".jsonl"):
                found[name] = [json.loads(line) for line in archive.read(name).splitlines()]
            elif name.startswith("files/"):
                found[name] = []
    return found


def normal(path: Path) -> dict[str, list[Any]]:
    """Rows keep their order: what ids are sorted by is left alone by an import."""
    parts = parts_of(path)
    parts["tables/audit_event.jsonl"] = [row for row in parts["tables/audit_event.jsonl"] if row["kind"] not in OWN_TRACES]
    for row in parts["tables/config_revision.jsonl"]:
        if UUID.search(json.dumps(row["bundle"])):
            row["hash"] = ""  # of a bundle with other ids
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"#{len(numbers)}")

    return {name: [json.loads(UUID.sub(number, json.dumps(row, sort_keys=True, ensure_ascii=False))) for row in rows] for name, rows in sorted(parts.items())}


def manifest_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))
