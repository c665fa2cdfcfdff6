"""What the steps of a draft are called: “Customer · Phone: changed”."""

from __future__ import annotations

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
