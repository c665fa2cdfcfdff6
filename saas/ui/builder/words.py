"""What the steps of a draft are called: “Customer · Phone: changed”."""

from __future__ import annotations

from collections.abc import Mapping

from saas.i18n import LOCALES, use_locale
from saas.i18n import gettext as _


def place(*parts: str) -> str:
    """Where something stands, from the outside in: “Customer · Phone”."""
    return " · ".join(part for part in parts if part)


def added(*parts: str) -> str:
    return _("%(what)s: added", what=place(*parts))


def changed(*parts: str) -> str:
    return _("%(what)s: changed", what=place(*parts))


def removed(*parts: str) -> str:
    return _("%(what)s: removed", what=place(*parts))


def reordered(*parts: str) -> str:
    return _("%(what)s: new order", what=place(*parts))


def copy_of(label: Mapping[str, str]) -> dict[str, str]:
    """The label of a copy, in each language the original has one in."""
    found = {}
    for locale, text in label.items():
        with use_locale(locale):
            found[locale] = _("%(name)s (copy)", name=text)
    return found


def everywhere(text: str) -> dict[str, str]:
    """A text of ours as a label: in each language."""
    found = {}
    for locale in LOCALES:
        with use_locale(locale):
            found[locale] = _(text)
    return found
