"""Every pack in the gallery has its pictures, in every language, small enough; tools/pack_pictures.py makes them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from saas.i18n import LOCALES, use_locale
from saas.metadata.packs import list_packs
from saas.ui.assets import assets, by_url
from saas.ui.pack_gallery import MOST_BYTES, SCREENS, SIZE, file_name, gallery


@pytest.mark.parametrize("pack", [pack.key for pack in list_packs()])
def test_every_pack_has_its_pictures(pack):
    for locale in LOCALES:
        for screen in SCREENS:
            name = file_name(pack, screen, locale)
            assert name in assets(), f"{name}: run tools/pack_pictures.py {pack}"
            body = assets()[name].body
            assert len(body) <= MOST_BYTES, name
            with Image.open(io.BytesIO(body)) as image:
                assert (image.format, image.size) == ("WEBP", SIZE), name


def test_no_picture_is_left_of_a_pack_that_is_gone():
    known = {file_name(pack.key, screen, locale) for pack in list_packs() for screen in SCREENS for locale in LOCALES}
    assert {name for name in assets() if name.endswith(".webp")} == known


@pytest.mark.parametrize("locale", LOCALES)
def test_the_gallery_says_what_they_show(locale):
    with use_locale(locale):
        for card in gallery():
            assert card.name and card.text
            assert all(p.alt and p.url in by_url() and card.name in p.alt for p in card.pictures)
            assert len({p.alt for p in card.pictures}) == len(SCREENS)
