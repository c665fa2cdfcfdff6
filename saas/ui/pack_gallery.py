"""The gallery of packs that a new company chooses from: what each is called and says of itself, and pictures of its pages.

The pictures are made by tools/pack_pictures.py from each pack's own sample data and lie in static/packs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saas.i18n import LazyString, get_locale, gettext, lazy, pick
from saas.metadata.packs import list_packs
from saas.ui.assets import asset_url

SIZE = (960, 600)  # pixels of a picture
MOST_BYTES = 40_000
# Screen -> what it is called; the first is the cover. The tool photographs all of them.
SCREENS: Mapping[str, LazyString] = {"board": lazy("Board"), "dashboard": lazy("Dashboard"), "list": lazy("List"), "record": lazy("Record")}


@dataclass(frozen=True, slots=True)
class Picture:
    screen: str
    name: str
    url: str
    alt: str


@dataclass(frozen=True, slots=True)
class PackCard:
    """A pack in the gallery, in the reader's language."""

    key: str
    name: str
    text: str
    icon: str
    has_sample: bool
    pictures: tuple[Picture, ...]


def file_name(pack_key: str, screen: str, locale: str) -> str:
    return f"{pack_key}-{screen}-{locale.lower()}.webp"


def gallery() -> list[PackCard]:
    """All shipped packs."""
    cards = []
    for pack in list_packs():
        name = pick(pack.label)
        pictures = tuple(
            Picture(screen, str(label), asset_url(file_name(pack.key, screen, get_locale())), gettext("%(pack)s: a page with sample data (%(screen)s)", pack=name, screen=str(label)))
            for screen, label in SCREENS.items()
        )  # fmt: skip
        cards.append(PackCard(pack.key, name, pick(pack.description), pack.icon, pack.has_sample, pictures))
    return cards
