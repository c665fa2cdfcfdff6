"""Which names may become an address, and how they are shown: letters that look like others are not to be taken for them."""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata

import idna
from publicsuffixlist import PublicSuffixList

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import LazyString, lazy
from saas.settings import Settings

MAXIMUM_LENGTH = 200  # the challenge's name goes before it
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
# Names that belong to nobody in particular, or only to one network.
_PRIVATE = frozenset(("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion", "invalid", "alt", "localdomain"))
# One label may be of several scripts only where people really write so.
_TOGETHER = (frozenset(("LATIN", "CJK", "HIRAGANA", "KATAKANA")), frozenset(("LATIN", "CJK", "BOPOMOFO")), frozenset(("LATIN", "CJK", "HANGUL")))
# Cyrillic and Greek letters that are taken for Latin ones: a label of nothing else is shown in its ASCII form.
_ALIKE = frozenset("асԁеһіјӏорԛѕԝхуԍбгктмвнпьъгԝνορτυαικχ")


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def check_name(text: str, settings: Settings) -> str:
    """The name in the form in which DNS knows it: small letters, ASCII. Errors: InvalidInput."""
    given = text.strip().lower().removesuffix(".")
    if "*" in given:
        raise _refused("wildcard", lazy("Name one address; a * for many is not possible."))
    if not given or re.search(r"[\s/:@?#\\\[\]%]", given):
        raise _refused("invalid", lazy("Enter only the name, such as crm.example.com: without https:// and without a path."))
    try:
        name = idna.encode(given, uts46=True, std3_rules=True).decode("ascii").lower().removesuffix(".")
        spelled = idna.decode(name)
    except (idna.IDNAError, UnicodeError, ValueError, IndexError) as error:
        if _is_address(given):
            raise _refused("address", lazy("This is an IP address. A name is needed, such as crm.example.com.")) from error
        raise _refused("invalid", lazy("This is not a name that DNS could know.")) from error
    labels = name.split(".")
    if _is_address(name) or labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        raise _refused("address", lazy("This is an IP address. A name is needed, such as crm.example.com."))
    if len(name) > MAXIMUM_LENGTH or not all(_LABEL.match(label) for label in labels):
        raise _refused("invalid", lazy("This is not a name that DNS could know."))
    if len(labels) < 2 or labels[-1] in _PRIVATE:
        raise _refused("private", lazy("This name is not known on the internet."))
    if _suffixes().publicsuffix(name) == name:
        raise _refused("suffix", lazy("Under this name everybody can register theirs; it is nobody's own."))
    for ours in (settings.base_domain, settings.domain_target or settings.base_domain):
        if name == ours or name.endswith("." + ours) or ours.endswith("." + name):
            raise _refused("ours", lazy("This name belongs to the service itself."))
    if any(_is_mixed(label) for label in spelled.split(".")):
        raise _refused("mixed", lazy("This name mixes letters of different alphabets that look alike."))
    return name


def shown(name: str) -> str:
    """For people: `bücher.example`, with the form of DNS beside it where they differ; only that where letters could deceive."""
    try:
        spelled = idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return name
    if spelled == name or any(_is_mixed(label) or _looks_latin(label) for label in spelled.split(".")):
        return name
    return f"{spelled} ({name})"


def _scripts(label: str) -> frozenset[str]:
    letters = (c for c in label if unicodedata.category(c).startswith("L"))
    return frozenset(unicodedata.name(c, "?").split(" ")[0] for c in letters)


def _is_mixed(label: str) -> bool:
    scripts = _scripts(label)
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)


def _looks_latin(label: str) -> bool:
    letters = [c for c in label if c.isalpha()]
    return bool(letters) and not label.isascii() and all(c in _ALIKE for c in letters)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refused(code: str, message: LazyString) -> InvalidInput:
    return InvalidInput([FieldProblem("name", code, message)])
