"""The console script in processes that have loaded the product already: each command is a process of its own, as ever, but does not
spend its first second on importing.

Run as a program it is where they come from: it reads one JSON line for each command, forks, and says with which code that ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parent.parent


class Prepared:
    """`with Prepared() as saas: saas.run(environment, "tenant", "list")`. Nothing of the environment around it is passed on."""

    def __enter__(self) -> Prepared:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.prepared"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=60)

    def run(self, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as directory:
            out, err = Path(directory) / "out", Path(directory) / "err"
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps({"arguments": arguments, "environment": environment, "files": [str(out), str(err)]}) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def main() -> None:
    import saas.app  # noqa: F401  what the commands load as they need it
    from saas import cli, i18n
    from saas.runtime import load_kinds

    load_kinds()
    i18n.load()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(asked["environment"])
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, name in enumerate(asked["files"], 1):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
            cli.main(asked["arguments"], prog_name="saas")
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
