"""The banners above every page of a workspace: this is the one place where they come from.

A banner is a small function of the request; it is registered by its place (small numbers stand above) and gives none, one or several:

    @banner(60)
    def trial(ask): return Banner("trial", "info", _("…"), link=Link(_("Choose a plan"), "/settings/plan")) if … else None

It reads what the request already knows (`ask.session`, `ask.ctx`): a banner makes no query of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.ui.support import LEAVE
from saas.ui.views import Link

if TYPE_CHECKING:
    from saas.ui.guards import Ask

KINDS = {"info": "info", "warning": "alert", "danger": "alert-circle"}  # with the icon of each


@dataclass(frozen=True, slots=True)
class Banner:
    """`note` goes where there is little room. `link` leads on, `act` is a button that posts to its address; with `dismiss`, an
    address too, the person takes the banner away. `key` names it for scripts and tests (`data-banner`)."""

    key: str
    kind: str  # info warning danger
    text: str
    note: str = ""
    label: str = ""  # what it is about, for screen readers; else its text
    icon: str = ""  # else that of the kind
    link: Link | None = None
    act: Link | None = None
    dismiss: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such kind of banner: {self.kind!r}")


Source = Callable[["Ask"], "Banner | Iterable[Banner] | None"]
_sources: list[tuple[int, str, Source]] = []


def banner(place: int) -> Callable[[Source], Source]:
    """Register a function that may give banners."""

    def register(source: Source) -> Source:
        _sources.append((place, source.__name__, source))
        _sources.sort(key=lambda entry: entry[:2])
        return source

    return register


def banners_of(ask: Ask) -> list[Banner]:
    """What stands above this page, the most important first."""
    found: list[Banner] = []
    for _place, _name, source in _sources:
        given = source(ask)
        found += [given] if isinstance(given, Banner) else (given or [])
    return [b if b.icon else replace(b, icon=KINDS[b.kind]) for b in found]


# ---- what the product itself says ------------------------------------------------------------------------------------------


@banner(10)
def support(ask: Ask) -> Banner | None:
    """An operator looks in: nobody forgets it, and everybody can end it."""
    found = ask.session.support
    if found is None:
        return None
    minutes = max(0, -(-int((found.until - datetime.now(UTC)).total_seconds()) // 60))
    text = _("Support looks into this workspace: %(name)s.", name=found.operator)
    left = ngettext("%(count)s minute left.", "%(count)s minutes left.", minutes)
    note = _("Records can be changed.") if found.may_write else _("Nothing can be changed.")
    return Banner("support", "danger" if found.may_write else "warning", f"{text} {left}", note=f"{note} {_('Every page opened stands in the audit log.')}", label=_("Support access"), icon="eye", act=Link(_("End"), LEAVE))


@banner(20)
def leaving(ask: Ask) -> Banner | None:
    """The workspace will be deleted."""
    found = ask.leaving
    if found is None:
        return None
    keep = Link(_("Keep the workspace"), "/settings/leave") if found["may_keep"] else None
    return Banner("leaving", "danger", _("This workspace will be deleted: %(when)s.", when=found["when"]), note=_("Nothing can be changed."), label=_("Deletion of the workspace"), icon="alert", link=keep)


@banner(80)
def announcements(ask: Ask) -> Iterable[Banner]:
    """What the operator says to everybody, or to some; each person takes it away for themselves."""
    return [Banner("announcement", a.kind, a.texts.get(ask.ctx.locale) or a.texts["en"], label=_("Announcement"), icon="megaphone", dismiss=f"/announcements/{a.id}/dismiss") for a in ask.announcements]


@banner(40)
def viewing(ask: Ask) -> Banner | None:
    """Somebody looks through another's eyes."""
    found = ask.viewing
    if found is None:
        return None
    text = _("You see this as %(name)s, with your unpublished changes.", name=found.name) if found.draft else _("You see this as %(name)s.", name=found.name)
    return Banner(
        "viewing", "warning", text, note=_("Nothing can be changed."), label=_("Looking as somebody else"), icon="eye",
        link=Link(_("Why?"), found.why_url), act=Link(_("Leave"), "/settings/simulator/leave"),
    )  # fmt: skip
