"""The shape of the code: import directions, no cycles, and the few things that may stand in one file only."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "saas"
ORDER = ["db", "tenants", "metadata", "runtime", "ui"]  # each may import from those before it
GROUND = {"errors", "i18n", "registry", "settings", "log", "observe", "outbound"}  # imported by everybody, import no layer
WIRING = {"app", "cli", "commands", "demo", "provision", "serve", "worker", "__main__", "bench"}


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(name: str, tree: ast.AST, *, only_at_import: bool = False) -> Iterator[str]:
    """Modules of ours that this one imports; with `only_at_import` not those inside functions or for types only."""
    for node in _import_time(tree) if only_at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "saas")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            if node.module and node.module.split(".")[0] == "saas":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in MODULES else node.module


def _import_time(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _import_time(child)


def _layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down_only(name):
    layer = _layer(name)
    targets = {_layer(target) for target in _imports(name, ast.parse(MODULES[name].read_text()))} - {layer, ""}
    if layer in WIRING:
        return
    allowed = set(GROUND)
    if layer in ORDER:
        allowed |= set(ORDER[: ORDER.index(layer)])
    else:
        assert layer in GROUND or not layer, f"{name} belongs to no layer: name it here"
    assert targets <= allowed, f"{name} imports {', '.join(sorted(targets - allowed))}"


def test_no_import_cycles():
    graph = {}
    for name, path in MODULES.items():
        targets = set(_imports(name, ast.parse(path.read_text()), only_at_import=True)) & set(MODULES)
        # A package's face imports its files; that its files import it by name is what this test would find.
        graph[name] = targets - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"\bos\.environ\b|\bos\.getenv\b|\bgetenv\(", {"saas/settings.py"}),
        (r"app\.tenant_id", {"saas/db/scope.py", "saas/db/rls.py"}),
        (r"SET\s+LOCAL\s+app\.tenant_id\s*=", {"saas/db/scope.py"}),
        (r"create_pool\(|asyncpg\.connect\(", {"saas/db/pools.py", "saas/db/scope.py", "saas/db/migrate.py", "saas/db/moving.py", "saas/db/embedded.py", "saas/db/doctor.py"}),
        (r"\bset_tenant\(", {"saas/db/scope.py", "saas/db/probes.py"}),
        (r"^import stripe|^from stripe", {"saas/tenants/billing/client.py"}),
        (r"SECURITY DEFINER", {"saas/db/schema_checks.py"}),
        (r"BYPASSRLS", {"saas/db/migrate.py"}),
        (r"store\.publish\(|store import .*\bpublish\b|INSERT INTO config_revision", {"saas/metadata/store.py", "saas/runtime/configuration.py"}),
    ],
)
def test_stands_in_its_place_only(pattern, allowed):
    found = set()
    for path in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]):
        code = _without_docstrings(path.read_text())
        if re.search(pattern, code, re.MULTILINE):
            found.add(str(path.relative_to(ROOT)))
    assert found <= allowed


def test_the_samples_are_seen_by_the_rules():
    """The rules themselves: each must find what it is there for."""
    bad = 'import os\nx = os.environ["A"]\n'
    assert re.search(r"\bos\.environ\b", _without_docstrings(bad))
    assert not re.search(r"\bos\.environ\b", _without_docstrings('"""os.environ is read elsewhere."""\n'))
    tree = ast.parse("def f():\n    from saas.ui import render\n")
    assert list(_imports("x", tree)) == ["saas.ui.render"] and not list(_imports("x", tree, only_at_import=True))


@pytest.mark.parametrize("module", ["saas.db.conf", "saas.tenants", "saas.db", "saas.settings", "migrations.piccolo_app"])
def test_importing_connects_to_nothing_and_reads_no_environment(module):
    import os
    import subprocess
    import sys

    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('connected at import')\n"
        "socket.socket.connect = refuse\n"
        f"import {module}\n"
    )
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://nobody@192.0.2.1/none", "SAAS_BASE_DOMAIN": "not a host!"}
    result = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "" and result.stderr == ""


def test_every_use_of_the_system_role_is_documented():
    from typing import get_args

    from saas.db import SystemReason

    text = (ROOT / "docs" / "tenancy.md").read_text().split("## Every use of the system role")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert documented == set(get_args(SystemReason))
    used = set()
    for path in PACKAGE.rglob("*.py"):
        used |= set(re.findall(r"system_transaction\(\s*\"([a-z_]+)\"", path.read_text()))
    assert used <= set(get_args(SystemReason))


@functools.cache
def _without_docstrings(code: str) -> str:
    """Rules are about code: comments and docstrings may name what they explain."""
    tree = ast.parse(code)
    lines = code.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
            text = node.body[0]
            for number in range(text.lineno - 1, text.end_lineno):
                lines[number] = ""
    return "\n".join(re.sub(r"#.*$", "", line) for line in lines)
