"""The one place where banners come from: their order, their kinds, what a page shows of them."""

from __future__ import annotations

import pytest

from saas.ui import banners
from saas.ui.banners import Banner
from saas.ui.render import render
from saas.ui.views import Link


@pytest.fixture
def sources(monkeypatch):
    monkeypatch.setattr(banners, "_sources", [])


def test_the_smallest_place_stands_above(sources):
    @banners.banner(70)
    def low(_ask):
        return [Banner("low", "info", "Low"), Banner("lower", "danger", "Lower")]

    @banners.banner(10)
    def high(_ask):
        return Banner("high", "warning", "High", icon="eye")

    @banners.banner(20)
    def none(_ask):
        return None

    found = banners.banners_of(None)
    assert [b.key for b in found] == ["high", "low", "lower"] and [b.icon for b in found] == ["eye", "info", "alert-circle"]


def test_a_kind_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="pink"):
        Banner("x", "pink", "Text")


def test_what_is_shown_is_escaped_and_posts_with_the_token():
    found = Banner("x", "info", "<b>hi</b>", note="more", icon="info", link=Link("Open", "/there"), act=Link("End", "/end"), dismiss="/gone")
    text = render("partials/banners.html", banners=[found], csrf="secret", here="/r/customer")
    assert "&lt;b&gt;hi" in text and 'href="/there"' in text and 'action="/end"' in text and 'action="/gone"' in text and text.count('value="secret"') == 2
