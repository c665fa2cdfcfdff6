#!/usr/bin/env python3
"""Run the product or its tests with nothing but Python: `python3 run.py demo`, `python3 run.py test`.

Makes .venv beside this file, installs the project into it (again only when pyproject.toml changes) and goes on in there.
Any other command of `saas` works as well: `python3 run.py doctor`. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SUPPORTED = ((3, 11), (3, 14))
# Debian's build without a window comes first: the same pages in about half the processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        print("Usage: python3 run.py demo [--port 8000] [--data-dir DIR] | test [pytest arguments] | any saas command")
        return 0 if arguments else 2
    use_supported_python(arguments)
    os.chdir(ROOT)
    if arguments[0] == "test":
        install("test")
        return run_tests(arguments[1:])
    install("bench" if arguments[0] == "bench" else "")
    return go_on([str(PYTHON), "-m", "saas", *arguments])


def run_tests(arguments: list[str]) -> int:
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start the product a hundred times: compiled once, not each time
    browser = find_browser() or install_browser()
    # One process more than there are processors: many tests wait for a browser, a server or a command.
    options = ["-n", str((os.cpu_count() or 2) + 1), "--dist", "loadfile", "--no-loadscope-reorder"] if "-n" not in arguments else []
    if browser:
        environment["SAAS_CHROMIUM"] = browser
    else:
        say("!" * 78)
        say("!!  NO CHROMIUM FOUND: THE BROWSER TESTS ARE SKIPPED. Install chromium, or set SAAS_CHROMIUM to its path.")
        say("!" * 78)
        if "-m" not in arguments:
            options += ["-m", "not browser"]
    return subprocess.call([str(PYTHON), "-m", "pytest", *options, *arguments], env=environment)


# ---- Python and packages -------------------------------------------------------------------------------------------------------


def use_supported_python(arguments: list[str]) -> None:
    """Go on in a Python that fits, if this one does not."""
    lowest, highest = SUPPORTED
    if lowest <= sys.version_info[:2] <= highest:
        return
    for minor in range(highest[1], lowest[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            sys.exit(go_on([other, str(Path(__file__).resolve()), *arguments]))
    sys.exit(f"Python 3.{lowest[1]} to 3.{highest[1]} is needed; this is {sys.version.split()[0]} and no other was found.")


def install(extra: str) -> None:
    """Make the environment and install the project, unless that has been done for this very pyproject.toml."""
    stamp = VENV / f".installed-{extra or 'plain'}"
    facts = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    usable = PYTHON.exists() and fits(PYTHON)
    if usable and stamp.exists() and stamp.read_text() == facts:
        return
    if not usable:
        make_environment()
    say("Installing packages (a minute, the first time) …")
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if has_pip():
        command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--editable", target]
    else:
        command = ["uv", "pip", "install", "--quiet", "--python", str(PYTHON), "--editable", target]
    if subprocess.call(command, env=environment) != 0:
        sys.exit("The packages could not be installed; see the lines above.")
    stamp.write_text(facts)


def make_environment() -> None:
    """With venv; where its parts are missing (Debian without python3-venv), with uv, or by installing them as root."""
    say(f"Making {VENV} with Python {sys.version.split()[0]} …")
    shutil.rmtree(VENV, ignore_errors=True)
    attempts = [[sys.executable, "-m", "venv", str(VENV)]]
    if shutil.which("uv"):
        attempts.append(["uv", "venv", "--quiet", "--python", sys.executable, str(VENV)])
    if is_root() and shutil.which("apt-get"):
        package = f"python3.{sys.version_info.minor}-venv"
        attempts += [["apt-get", "install", "-y", "-qq", package], [sys.executable, "-m", "venv", str(VENV)]]
    for attempt in attempts:
        if subprocess.run(attempt, stdout=subprocess.DEVNULL).returncode == 0 and PYTHON.exists():
            return
        if attempt[0] != "apt-get":
            shutil.rmtree(VENV, ignore_errors=True)
    sys.exit("No virtual environment could be made: install the venv module of your Python (Debian: python3-venv) or uv.")


def fits(python: Path) -> bool:
    """An environment that was moved, or whose Python is gone or too old, is made anew."""
    lowest, highest = SUPPORTED
    question = f"import sys; sys.exit(not {lowest!r} <= sys.version_info[:2] <= {highest!r})"
    try:
        return subprocess.run([str(python), "-c", question], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def has_pip() -> bool:
    return subprocess.run([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0


# ---- the browser ---------------------------------------------------------------------------------------------------------------


def find_browser() -> str | None:
    wanted = os.environ.get("SAAS_CHROMIUM")
    if wanted:
        return wanted if Path(wanted).exists() else shutil.which(wanted)
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def install_browser() -> str | None:
    """On Debian as root; never otherwise."""
    if not is_root() or not shutil.which("apt-get"):
        return None
    say("Installing chromium and Chinese fonts for the browser tests …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.call(["apt-get", "update", "-qq"], env=environment)
    for browser in BROWSERS[:2]:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", browser, "fonts-noto-cjk"]
        if subprocess.call(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            break
    return find_browser()


# ---- small things --------------------------------------------------------------------------------------------------------------


def go_on(command: list[str]) -> int:
    """Become that program, so that Ctrl-C and exit codes are its own."""
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.call(command)
    os.execv(command[0], command)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
