"""run.py: standard library only, and what it decides before it installs anything."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "run.py"


@pytest.fixture
def run(monkeypatch):
    spec = importlib.util.spec_from_file_location("run_under_test", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_standard_library_only():
    for node in ast.walk(ast.parse(PATH.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else []
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def test_a_python_too_old_goes_on_in_another(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 10, 1))
    monkeypatch.setattr(run.shutil, "which", lambda name: f"/opt/{name}" if name == "python3.12" else None)
    called = []
    monkeypatch.setattr(run, "go_on", lambda command: called.append(command) or 7)
    with pytest.raises(SystemExit) as left:
        run.use_supported_python(["demo"])
    assert left.value.code == 7 and called == [["/opt/python3.12", str(PATH), "demo"]]


def test_no_fitting_python_says_so(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 10, 1))
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"3\.11 to 3\.14"):
        run.use_supported_python([])


def test_without_a_browser_its_tests_are_skipped_loudly(run, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(run, "find_browser", lambda: None)
    monkeypatch.setattr(run, "install_browser", lambda: None)
    monkeypatch.setattr(run.subprocess, "call", lambda command, **rest: called.append(command) or 3)
    assert run.run_tests(["tests/unit"]) == 3
    assert called[0][-3:] == ["-m", "not browser", "tests/unit"]
    assert "BROWSER TESTS ARE SKIPPED" in capsys.readouterr().err


def test_the_browser_named_in_the_environment_goes_first(run, monkeypatch, tmp_path):
    mine = tmp_path / "my-chromium"
    mine.write_text("")
    monkeypatch.setenv("SAAS_CHROMIUM", str(mine))
    assert run.find_browser() == str(mine)
    monkeypatch.delenv("SAAS_CHROMIUM")
    monkeypatch.setattr(run.shutil, "which", lambda name: "/usr/bin/chrome" if name == "google-chrome" else None)
    assert run.find_browser() == "/usr/bin/chrome"


def test_installs_once_for_one_pyproject(run, monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    (tmp_path / ".venv").mkdir()
    calls = []
    monkeypatch.setattr(run.subprocess, "call", lambda command, **rest: calls.append(command) or 0)
    run.install("test")
    run.install("test")
    assert len(calls) == 1 and calls[0][-1].endswith("[test]")
    (tmp_path / "pyproject.toml").write_text("[project] # changed")
    run.install("test")
    assert len(calls) == 2
