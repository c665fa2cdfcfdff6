"""Locale choice, gettext and lazy strings. Catalogues are read from saas/locale/<locale>/messages.po at first use."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
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


def own_first() -> list[str]:
    """The languages, that of the reader first: what people write is asked for in this order."""
    return sorted(LOCALES, key=lambda locale: locale != _locale.get())


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
def _catalogue(locale: str) -> Mapping[str, tuple[str, ...]]:
    """The forms of every translated message, by its English text (of plurals: the singular). Read once a process."""
    path = _DIRECTORY / locale / "messages.po"
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        catalogue = read_po(stream, locale=locale)
    found = {}
    for message in catalogue:
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if message.id and all(forms) and not message.fuzzy:
            found[message.id[0] if isinstance(message.id, tuple | list) else message.id] = tuple(forms)
    return found


def load() -> None:
    """Read all catalogues now rather than during somebody's first request."""
    for locale in LOCALES:
        _catalogue(locale)


def gettext(message: str, /, **values: Any) -> str:
    """Translate; `%(name)s` placeholders are filled from `values`."""
    forms = _catalogue(_locale.get()).get(message)
    text = forms[0] if forms else message
    return text % values if values else text


def ngettext(singular: str, plural: str, count: int, /, **values: Any) -> str:
    """Translate by number; `%(count)s` is always available."""
    forms = _catalogue(_locale.get()).get(singular) or (singular, plural)
    text = forms[0 if count == 1 else -1]  # our languages have one form (Chinese) or two (English)
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

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LazyString):
            return (self.message, self.values) == (other.message, other.values)
        return str(self) == other

    def __hash__(self) -> int:
        return hash(self.message)  # not of the values: they need not be hashable


def lazy(message: str, /, **values: Any) -> LazyString:
    return LazyString(message, values)


class LazyPlural(LazyString):
    """A LazyString in two forms; `%(count)s` is among its values."""

    __slots__ = ("plural",)

    def __init__(self, message: str, plural: str, values: Mapping[str, Any]) -> None:
        super().__init__(message, values)
        self.plural = plural

    def __str__(self) -> str:
        return ngettext(self.message, self.plural, self.values["count"], **self.values)

    __repr__ = __str__


def lazy_plural(singular: str, plural: str, count: int, /, **values: Any) -> LazyPlural:
    """As `ngettext`, translated when it is shown."""
    return LazyPlural(singular, plural, {"count": count, **values})


class LazyLabel:
    """A tenant's label in the language of whoever it is shown to."""

    __slots__ = ("label",)

    def __init__(self, label: Mapping[str, str] | str) -> None:
        self.label = label

    def __str__(self) -> str:
        return pick(self.label)

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return self.label == other.label if isinstance(other, LazyLabel) else str(self) == other

    def __hash__(self) -> int:
        return hash(str(self.label))


def noop(message: str) -> str:
    """Marks a text for the catalogue where a plain string is needed (titles in JSON Schemas); import it as `N_` and translate
    with gettext when it is shown."""
    return message


def listed(texts: Iterable[object]) -> str:
    """“a, b, c”, with the commas of the language."""
    return gettext(", ").join(str(text) for text in texts)


def sentences(texts: Iterable[object]) -> str:
    """“a; b; c” for longer parts."""
    return gettext("; ").join(str(text) for text in texts)


def titled(title: object, text: object) -> str:
    """“title: text”, with the colon of the language; the text alone if there is no title."""
    return gettext("%(title)s: %(text)s", title=title, text=text) if title else str(text)


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
        tag, _, quality = part.replace(" ", "").partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:
            ranked.append((-weight, index, tag.lower()))
    for _, _, tag in sorted(ranked):
        if tag.startswith("zh"):
            return "zh_CN"
        if tag.startswith("en"):
            return "en"
    return default
