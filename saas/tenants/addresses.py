"""Addresses of new workspaces: proposed from a company's name, also a Chinese one; free, taken, reserved or malformed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from saas.tenants.tenants import RESERVED_SLUGS, SLUG

SHORTEST, LONGEST = 3, 40  # characters of an address that somebody chooses; older ones may differ
# Words that look like ours, or that mail, certificates and browsers give a meaning of their own.
NOT_FOR_COMPANIES = RESERVED_SLUGS | frozenset(
    ["abuse", "about", "account", "accounts", "administrator", "autoconfig", "autodiscover", "beta", "broadcasthost", "careers", "cname", "contact", "custom", "demo", "dev", "domain", "domains", "download", "downloads", "edge", "error", "example", "files", "git", "home", "hostmaster", "id", "image", "images", "img", "info", "invoice", "invoices", "isatap", "legal", "logout", "media", "my", "mta-sts", "no-reply", "noreply", "oauth", "oidc", "openid", "partner", "partners", "pay", "payment", "payments", "portal", "post", "postmaster", "press", "pricing", "privacy", "private", "prod", "production", "proxy", "public", "register", "saas", "sales", "secure", "server", "service", "services", "sign-in", "sign-up", "signin", "sitemap", "ssl", "stage", "staging", "stripe", "team", "terms", "test", "tls", "undefined", "null", "none", "update", "upload", "uploads", "user", "users", "verify", "vpn", "web", "webhook", "webhooks", "webmaster", "welcome", "wpad"]
)  # fmt: skip
# What says only which kind of company it is; the longest first.
_ENDINGS = (
    "股份有限公司", "有限责任公司", "集团有限公司", "有限公司", "集团公司", "股份公司", "集团", "公司", "incorporated", "corporation", "limited", "gmbh", "corp", "inc", "ltd", "llc", "plc", "pty",
    "sarl", "oy", "ab", "ag", "bv", "sa", "kg", "co",
)  # fmt: skip


def problem_of(slug: str) -> str:
    """"" for an address that a company may have, else "malformed" or "reserved"."""
    if not SLUG.match(slug) or "--" in slug or not SHORTEST <= len(slug) <= LONGEST:
        return "malformed"
    return "reserved" if slug in NOT_FOR_COMPANIES else ""


def proposals(company: str) -> list[str]:
    """Addresses that suit the name, the best first; empty for a name without letters."""
    words = _words(company)
    for ending in _ENDINGS:  # "Acme Ltd" and 天河机床有限公司 are known without it
        if len(words) > 1 and words[-1] == ending:
            words = words[:-1]
    text = "-".join(words)
    while len(text) > 30 and "-" in text:
        text = text.rpartition("-")[0]
    text = text[:30].strip("-")
    if not text:
        return []
    text = text if len(text) >= SHORTEST else f"{text}-crm"
    return [slug for slug in (text, f"{text}-crm", *(f"{text}-{n}" for n in range(2, 8))) if not problem_of(slug)]


def _words(company: str) -> list[str]:
    text = company.strip().lower()[:200]
    for ending in _ENDINGS:
        if not ending.isascii() and text.endswith(ending) and len(text) > len(ending):
            text = text[: -len(ending)]
            break
    if not text.isascii():
        from pypinyin import lazy_pinyin  # its dictionary takes a moment to load

        text = _joined(text, lazy_pinyin)
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z0-9]+", text.replace("'", ""))


def _joined(text: str, spell: Any) -> str:
    """Chinese characters that stand together become one word: 天河机床 is tianhejichuang."""
    parts: Iterable[str] = re.findall(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]+", text)
    return " ".join("".join(spell(part)) if "\u3400" <= part[0] <= "\u9fff" else part for part in parts)
