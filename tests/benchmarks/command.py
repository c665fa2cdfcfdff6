"""`saas bench`: the benchmarks of this folder by name.

A benchmark is a module with a docstring (its first line is the help), `async def run(options, say) -> Report` and, if it has
options of its own, `def arguments(parser)`. `say` takes a line of progress. It is found by its file; there is no list.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import uvloop

from saas.log import configure_logging

HERE = Path(__file__).parent


def benchmarks() -> dict[str, ModuleType]:
    """Modules that can be run, by name."""
    found = {}
    for info in pkgutil.iter_modules([str(HERE)]):
        if info.ispkg or info.name.startswith("_") or "\nasync def run(" not in (HERE / f"{info.name}.py").read_text(encoding="utf-8"):
            continue
        found[info.name] = importlib.import_module(f"tests.benchmarks.{info.name}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Run what the command line says; returns the exit code. The report goes to stdout, progress to stderr."""
    found = benchmarks()
    wanted = list(arguments)
    if not wanted or wanted[0] in ("-h", "--help"):
        print(listing(found))
        return 0
    name = wanted.pop(0)
    if name not in found:
        print(f"Error: there is no benchmark {name!r}; known: {', '.join(sorted(found))}", file=sys.stderr)
        return 2
    options = parser(name, found[name]).parse_args(wanted)
    configure_logging("WARNING")  # the log goes to stdout, which belongs to the report
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(found[name].run(options, say))
    store(report, options)
    print(json.dumps(report.to_json(), ensure_ascii=False, indent=2, default=str) if options.as_json else report.text())
    return 0


def parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"saas bench {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, help="Write the report here as JSON; charts go beside it.")
    made.add_argument("--json", action="store_true", dest="as_json", help="Print the report as JSON.")
    made.add_argument("--data-dir", type=Path, help="Keep the loaded database here, for further runs.")
    if hasattr(module, "arguments"):
        module.arguments(made)
    return made


def listing(found: dict[str, ModuleType]) -> str:
    width = max(map(len, found), default=0)
    lines = [f"  {name.ljust(width)}  {(module.__doc__ or '').strip().splitlines()[0]}" for name, module in sorted(found.items())]
    return "\n".join(["Usage: saas bench NAME [OPTIONS]   (saas bench NAME --help says which)", "", *lines])


def store(report: Any, options: argparse.Namespace) -> None:
    if options.out is None:
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report.to_json(), ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8")
    for file, svg in report.charts.items():
        (options.out.parent / file).write_text(svg, encoding="utf-8")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
