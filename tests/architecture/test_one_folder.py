"""Adding a field type is one folder: nothing outside knows the types below, and the product works without their folders."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIELDS = ROOT / "saas" / "runtime" / "fields"
TYPES = ("duration", "progress", "color", "code")
# How a type is asked for: field.type, kind.key, "type": …, field_types.get(…).
_ASKS = re.compile(r"\b(type|types|kind|kinds|key)\b|field_types")


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every text that a type is compared with, looked up by or dispatched on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asked = any(isinstance(s, ast.Attribute) and s.attr in ("type", "key") for s in sides)
        elif isinstance(node, ast.Call):
            sides, asked = node.args, _ASKS.search(ast.unparse(node.func)) is not None
        elif isinstance(node, ast.Match):
            sides, asked = [case.pattern for case in node.cases], True
        elif isinstance(node, ast.Subscript):
            sides, asked = [node.slice], "field_types" in ast.unparse(node.value)
        else:
            continue
        for side in sides if asked else ():
            yield from ((node.lineno, c.value) for c in ast.walk(side) if isinstance(c, ast.Constant) and isinstance(c.value, str))


@functools.cache
def texts_compared(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple(compared(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("key", TYPES)
def test_nothing_outside_the_folder_names_the_type(key: str) -> None:
    found = []
    for path in sorted((ROOT / "saas").rglob("*.py")):
        if FIELDS / key in path.parents:
            continue
        source = path.read_text(encoding="utf-8")
        assert f"fields.{key} " not in source and f"fields.{key}." not in source, f"{path} imports it"
        found += [f"{path}:{line}" for line, text in texts_compared(path) if text == key]
    for path in sorted((ROOT / "saas").rglob("*.html")):
        if FIELDS / key not in path.parents:
            text = path.read_text(encoding="utf-8")
            if re.search(rf"\.type *(==|in) *\(?[^%]*['\"]{key}['\"]", text) or f"fields/{key}/" in text:
                found.append(str(path))
    assert found == []


def test_the_rule_sees_what_it_is_there_for() -> None:
    bad = "if field.type == 'color': pass\nif f.type in ('text', 'code'): pass\nfield_types.get('duration')\nmatch kind.key:\n    case 'progress': pass\n"
    assert {text for _, text in compared(ast.parse(bad))} >= set(TYPES)
    assert "color" not in {text for _, text in compared(ast.parse("x = option['color'] if option.get('color') == 'red' else 'color'"))}


def test_the_product_works_without_the_folders(tmp_path: Path) -> None:
    def left_out(folder: str, names: list[str]) -> set[str]:
        return {*TYPES, "__pycache__"} & set(names) if Path(folder) == FIELDS else {"__pycache__", "static"} & set(names)

    shutil.copytree(ROOT / "saas", tmp_path / "saas", ignore=left_out)
    assert not (tmp_path / "saas" / "runtime" / "fields" / "duration").exists()
    code = (
        "from saas.runtime import load_kinds\n"
        "import saas.app, saas.cli\n"
        "from saas.metadata.kinds import field_types\n"
        "from saas.metadata.packs import list_packs, load_pack\n"
        "from saas.metadata.parse import problems_of\n"
        "load_kinds()\n"
        f"assert not set(field_types.keys()) & {set(TYPES)!r}\n"
        "packs = list(list_packs())\n"
        "assert packs\n"
        "for pack in packs:\n"
        "    assert not problems_of(load_pack(pack.key)), pack.key\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={"PATH": "", "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
