"""A provider written by others (oidc-provider-mock), as a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def foreign_provider(*people: dict[str, Any]) -> Iterator[str]:
    """Its issuer. `people`: claims with `sub`, each offered on its sign-in page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    claims = [part for person in people for part in ("--user-claims", json.dumps(person))]
    process = subprocess.Popen([sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-H", "127.0.0.1", "--require-nonce", *claims], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=2):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, "the provider does not start"
                time.sleep(0.05)
        yield issuer
    finally:
        process.terminate()
        process.wait(10)
