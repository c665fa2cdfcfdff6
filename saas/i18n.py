"""Locale choice, gettext and lazy strings. Catalogues are read from saas/locale/<locale>/messages.po at first use."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

LOCALES = ("en", "zh_CN")
LOCALE_NAMES = {"en": "English", "zh_CN": "简体中文"}
DEFAULT_LOCALE = "en"
_locale: ContextVar[str] = ContextVar("locale", default=DEFAULT_LOCALE)
_DIRECTORY = Path(__file__).parent / "locale"


def get_locale() -> str:
    return _locale.get()


def set_locale(locale: str) -> None:
    _locale.set(locale if locale in LOCALES else DEFAULT_LOCALE)


@contextmanager
def use_locale(locale: str):
    token = _locale.set(locale if locale in LOCALES else DEFAULT_LOCALE)
    try:
        yield
    finally:
        _locale.reset(token)


@functools.cache
def _catalogue(locale: str) -> Mapping[str, Any]:
    path = _DIRECTORY / locale / "messages.po"
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        catalogue = read_po(stream, locale=locale)
    return {
        (m.id[0] if isinstance(m.id, tuple) else m.id): m.string
        for m in catalogue
        if m.id and m.string and not m.fuzzy
    }


def gettext(message: str, /, **values: Any) -> str:
    """Translate; `%(name)s` placeholders are filled from `values`."""
    text = _catalogue(_locale.get()).get(message) or message
    if isinstance(text, (tuple, list)):
        text = text[0] or message
    return text % values if values else text


def ngettext(singular: str, plural: str, count: int, /, **values: Any) -> str:
    """Translate by number; `%(count)s` is always available."""
    found = _catalogue(_locale.get()).get(singular)
    if isinstance(found, (tuple, list)) and any(found):
        text = found[0] if count == 1 or len(found) == 1 or not found[1] else found[1]
    else:
        text = found if found and isinstance(found, str) else (singular if count == 1 else plural)
    return text % {"count": count, **values}


class LazyString:
    """A message translated when it is shown, not when it is made."""

    __slots__ = ("message", "values")

    def __init__(self, message: str, values: Mapping[str, Any] | None = None) -> None:
        self.message, self.values = message, values or {}

    def __str__(self) -> str:
        return gettext(self.message, **self.values)

    __repr__ = __str__

    def __html__(self) -> str:
        from markupsafe import escape

        return str(escape(str(self)))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.message, tuple(sorted(self.values.items(), key=lambda kv: kv[0]))))


def lazy(message: str, /, **values: Any) -> LazyString:
    return LazyString(message, values)


def noop(message: str) -> str:
    """Marks a text for the catalogue where a plain string is needed (titles in JSON Schemas); import it as `N_` and translate
    with gettext when it is shown."""
    return message


def pick(label: Mapping[str, str] | str | None, locale: str | None = None) -> str:
    """The text of a tenant's label map in a locale, falling back to English, then to anything."""
    if not label:
        return ""
    if isinstance(label, str):
        return label
    return label.get(locale or _locale.get()) or label.get("en") or next((v for v in label.values() if v), "")


def negotiate(accept_language: str | None, default: str = DEFAULT_LOCALE) -> str:
    """The best of our locales for an Accept-Language header."""
    ranked = []
    for index, part in enumerate((accept_language or "").split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), index, tag.lower()))
        except ValueError:
            continue
    for _, _, tag in sorted(ranked):
        if tag.startswith("zh"):
            return "zh_CN"
        if tag.startswith("en"):
            return "en"
    return default
