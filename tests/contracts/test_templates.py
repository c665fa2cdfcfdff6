"""Every template of the pages: compiles, marks its words for translation, and keeps to the policy (no inline code or style)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from saas.ui.assets import assets, by_url
from saas.ui.render import TEMPLATES, environment

NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))
# Words that are the same in all languages, or no words at all.
PLAIN = {"English", "简体中文", "Ctrl", "K", "Enter", "Esc", "saas", "S", "CSV", "Excel (.xlsx)", "·", "–", "→", "/", ".", ":", "*", "↑", "↓", ">", "?", "%", ";", "(", ")", "“", "”", ","}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_template_compiles(name):
    assert environment().get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_template_has_no_inline_code_or_style(name):
    source = (TEMPLATES / name).read_text("utf-8")
    assert not re.search(r"\sstyle=", source)
    assert not re.search(r"\son[a-z]+=[\"']", source)
    assert not re.search(r"hx-on", source)
    assert "|safe" not in source.replace(" ", "")
    for script in re.findall(r"<script[^>]*>", source):
        assert "src=" in script or 'type="application/json"' in script


@pytest.mark.parametrize("name", NAMES)
def test_every_word_in_a_template_can_be_translated(name):
    source = (TEMPLATES / name).read_text("utf-8")
    tree = environment().parse(source)
    text = "".join(part.data for output in tree.find_all(nodes.Output) for part in output.nodes if isinstance(part, nodes.TemplateData))
    shown = re.sub(r"<script.*?</script>", " ", text, flags=re.DOTALL)
    shown = re.sub(r"&[a-z]+;", " ", re.sub(r"<[^>]*>", "\n", shown))
    left = {part.strip() for part in shown.split("\n")} - PLAIN
    words = [part for part in left if re.search(r"[A-Za-z一-鿿]{2,}", part) and not re.fullmatch(r"[\w-]+=.*|[\"'>].*", part)]
    assert not words, words


@pytest.mark.parametrize("name", NAMES)
def test_icons_exist(name):
    symbols = set(re.findall(r'<symbol id="([a-z-]+)"', assets()["icons.svg"].body.decode()))
    used = set(re.findall(r"icon\('([a-z-]+)'", (TEMPLATES / name).read_text("utf-8")))
    assert {name for name in used if not name.endswith("-")} <= symbols


def test_browsers_do_not_tick_rows_again():
    """Going back, a browser ticks what was ticked by its place in the page, though another row stands there by now."""
    boxes = [box for name in NAMES for box in re.findall(r'<input type="checkbox"[^>]*(?:name="ids"|data-select-all)', (TEMPLATES / name).read_text("utf-8"))]
    assert len(boxes) >= 4
    assert [box for box in boxes if 'autocomplete="off"' not in box] == []


def test_icons_of_entities_and_field_types_exist():
    from saas.metadata.kinds import field_types

    symbols = set(re.findall(r'<symbol id="([a-z-]+)"', assets()["icons.svg"].body.decode()))
    documented = re.search(r"icon name: `([^`]+)`", (Path(__file__).parents[2] / "docs" / "packs.md").read_text("utf-8"))[1].split()
    assert set(documented) <= symbols
    assert {kind.icon for kind in field_types} <= symbols


def test_the_first_page_is_small():
    """Without charts, which are loaded where there are some: design.md, section 8."""
    import brotli

    first = [a for name, a in assets().items() if name in ("app.css", "app.js", "htmx.min.js", "icons.svg")]
    packed = sum(len(brotli.compress(a.body, quality=9)) for a in first) + len(assets()["inter-latin.woff2"].body)
    assert packed < 110_000


def test_styles_name_only_files_that_exist():
    css = assets()["app.css"].body.decode()
    for url in re.findall(r'url\("(/static/[^"]+)"\)', css):
        assert url in by_url()
