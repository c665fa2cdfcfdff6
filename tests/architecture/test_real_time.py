"""The engine asks the tenant's clock for the time (`ctx.now`). Who asks the machine says here why; and nobody else does."""

from __future__ import annotations

import re

from tests.conftest import ROOT

ASKS = re.compile(r"datetime\.(?:now|utcnow|today)\(|date\.today\(|time\.time\(")
# Real time is right for security, money, deliveries and files of this machine.
REAL = {
    "runtime/context.py": "the one place where the offset is added, and `real_now`",
    "runtime/clock.py": "how far the clock is ahead of real time",
    "runtime/usage.py": "what a plan allows is counted by real days",
    "runtime/files.py": "age of files on this machine's disk", "runtime/archive/asking.py": "age of files on this machine's disk", "runtime/archive/writing.py": "when an archive was made",
    "runtime/inbound_hooks.py": "signatures hold for minutes", "runtime/webhooks.py": "signatures hold for minutes", "runtime/messages/sms.py": "signatures hold for minutes",
    "runtime/messages/sending.py": "when a message is tried again", "runtime/web_forms.py": "protection from spam: how fast a form came back",
}  # fmt: skip


def test_nobody_in_the_engine_asks_the_machine_for_the_time():
    found = {
        str(path.relative_to(ROOT / "saas"))
        for folder in ("runtime", "metadata")
        for path in (ROOT / "saas" / folder).rglob("*.py")
        if ASKS.search(path.read_text())
    }
    assert found - set(REAL) == set(), "use ctx.now, ctx.today or ctx.real_now, or say in REAL why not"
    assert set(REAL) - found == set(), "they ask no more"
