"""Logos are made harmless or refused with a reason; colours are judged."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from saas.errors import InvalidInput
from saas.tenants import brand

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">{}</svg>'


def picture(size: tuple[int, int] = (40, 20), format_: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#336699").save(out, format_)
    return out.getvalue()


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_written_anew(format_):
    cleaned = brand.clean("logo", picture((900, 300), format_) + b"<script>alert(1)</script>")
    assert cleaned.content_type == "image/png" and b"script" not in cleaned.content
    with Image.open(io.BytesIO(cleaned.content)) as image:
        assert max(image.size) == 512


def test_a_drawing_keeps_its_shapes_and_loses_clutter():
    text = SVG.format('<!-- made by hand --><metadata><x/></metadata><g inkscape:label="1" xmlns:inkscape="urn:x"><path d="M0 0h8v8z" fill="#f00" data-x="1"/></g>')
    made = brand.clean("logo", text.encode()).content.decode()
    assert 'd="M0 0h8v8z"' in made and "metadata" not in made and "data-x" not in made and "label" not in made and "made by hand" not in made


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<script>alert(1)</script>", "element"), ('<path onload="alert(1)" d="M0 0"/>', "script"), ('<foreignObject><body/></foreignObject>', "element"),
        ('<use xlink:href="https://evil.example/x.svg#a"/>', "link"), ('<path fill="url(https://evil.example/x)" d="M0 0"/>', "link"),
        ('<image href="data:image/png;base64,AAAA"/>', "link"), ('<a href="javascript:alert(1)"><path d="M0 0"/></a>', "element"),
        ('<path d="M0 0" fill="java\nscript:x"/>', "script"), ("<animate attributeName='href' to='x'/>", "element"), ("<g>" * 70 + "</g>" * 70, "too_deep"),
    ],
)  # fmt: skip
def test_a_hostile_drawing_is_refused_with_a_reason(inner, code):
    with pytest.raises(InvalidInput) as caught:
        brand.clean("logo", SVG.format(inner).encode())
    [problem] = caught.value.problems
    assert (problem.field, problem.code in (code, "element")) == ("logo", True) and len(str(problem.message)) > 20


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"x" * 20_000_000, "too_large"), (b"", "empty"), (b"MZ\x90\x00 not a picture", "not_a_picture"), (b"<html><script>1</script></html>", "not_a_picture"),
        (b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "doctype"), (b"<svg", "not_a_picture"),
        (b"<?xml version='1.0'?><html/>", "not_a_picture"), (picture((6000, 6000)), "too_many_pixels"), (picture()[:60], "not_a_picture"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(content, code):
    with pytest.raises(InvalidInput) as caught:
        brand.clean("icon", content)
    assert [(p.field, p.code) for p in caught.value.problems] == [("icon", code)]


def test_contrast_is_that_of_the_standard():
    assert brand.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert brand.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert brand.ink_on("#ffd400") == "#16161a" and brand.ink_on("#1b3a8f") == "#ffffff"


@pytest.mark.parametrize("colour", ["#ffee00", "#f8f8f8", "#111111", "#3b5bdb", "#00ff99"])
@pytest.mark.parametrize("ground", ["#ffffff", "#17181c"])
def test_a_suggestion_is_always_seen(colour, ground):
    assert brand.contrast(brand.readable_on(colour, ground), ground) >= brand.VISIBLE
