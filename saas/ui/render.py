"""Templates: the Jinja environment, page() and fragment(). The only place that marks text as safe HTML."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segno
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from saas import i18n
from saas.runtime.kinds import TEMPLATE_DIRECTORY
from saas.ui.assets import asset_url

TEMPLATES = Path(__file__).parent / "templates"

# What scripts say; they have no catalogue of their own.
SCRIPT_TEXTS = {
    "close": i18n.lazy("Close"),
    "clear": i18n.lazy("Clear"),
    "remove": i18n.lazy("Remove"),
    "search": i18n.lazy("Search …"),
    "choose": i18n.lazy("Choose…"),
    "nothing": i18n.lazy("Nothing found"),
    "there": i18n.lazy("There already; choose it, or go on typing a new one:"),
    "copied": i18n.lazy("Copied"),
    "refused": i18n.lazy("This move is not possible."),
    "failed": i18n.lazy("That did not work. Please try again."),
    "offline": i18n.lazy("The server cannot be reached. What you typed is still here; please try again."),
}
THEMES = (
    ("auto", i18n.lazy("Same as the device"), "device-desktop"),
    ("light", i18n.lazy("Light"), "sun"),
    ("dark", i18n.lazy("Dark"), "moon"),
)
# Scopes of rights (docs/packs.md, section 7), as the settings page names them.
SCOPES = {
    "none": i18n.lazy("none"), "own": i18n.lazy("own"), "assigned": i18n.lazy("assigned to me"), "participant": i18n.lazy("taking part"),
    "team": i18n.lazy("team"), "dept": i18n.lazy("department"), "dept_tree": i18n.lazy("department and below"), "portal_self": i18n.lazy("their own record"), "all": i18n.lazy("all"),
}  # fmt: skip
SHORTCUTS = (
    (("Ctrl", "K"), i18n.lazy("Search and commands")),
    (("/",), i18n.lazy("Search in this list")),
    (("C",), i18n.lazy("Create")),
    (("J", "K"), i18n.lazy("Next, previous row")),
    (("Enter",), i18n.lazy("Open")),
    (("X",), i18n.lazy("Select the row")),
    (("N", "P"), i18n.lazy("Next, previous page")),
    (("E",), i18n.lazy("Edit")),
    (("Ctrl", "Enter"), i18n.lazy("Save")),
    (("Esc",), i18n.lazy("Close, go back")),
    (("?",), i18n.lazy("This overview")),
)


@functools.cache
def icon(name: str, size: str = "") -> Markup:
    css = f"icon icon-{size}" if size else "icon"
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(css, asset_url("icons.svg"), name)


def data_block(value: Any) -> Markup:
    """JSON for a `<script type="application/json">` block; cannot close the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # escaped right here


def qr_code(text: str) -> Markup:
    """A QR code as SVG without styles or scripts; black on white also in the dark look, for cameras."""
    stream = io.BytesIO()
    segno.make(text, error="m", micro=False).save(stream, kind="svg", xmldecl=False, border=3, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True)
    return Markup(stream.getvalue().decode().strip())  # squares only


@functools.cache
def environment() -> Environment:
    loaders: list[BaseLoader] = [FileSystemLoader(TEMPLATES), FileSystemLoader(TEMPLATE_DIRECTORY)]
    env = Environment(loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False, cache_size=800)
    env.globals.update(_=i18n.gettext, ngettext=i18n.ngettext, listed=i18n.listed, sentences=i18n.sentences, titled=i18n.titled, icon=icon, asset=asset_url, themes=THEMES, shortcuts=SHORTCUTS, languages=list(i18n.LOCALE_NAMES.items()), own_first=i18n.own_first)
    return env


def has_template(name: str) -> bool:
    """Whether there is a template of this name."""
    return name in _names()


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(environment().list_templates())


def render(template: str, /, **data: Any) -> str:
    return environment().get_template(template).render(data)


def markup(template: str, /, **data: Any) -> Markup:
    """A rendered part, safe to put into another template: Jinja has escaped what went into it."""
    return Markup(render(template, **data))


@functools.cache
def script_texts(locale: str) -> Markup:
    with i18n.use_locale(locale):
        return data_block({key: str(text) for key, text in SCRIPT_TEXTS.items()})


def base_data(*, locale: str, csrf: str = "", theme: str = "", here: str = "/", brand_name: str = "", brand_css: str = "", brand_icon: str = "/favicon.svg") -> Mapping[str, Any]:
    """What layouts/base.html needs on every page."""
    return {
        "locale": locale, "csrf": csrf, "theme": theme, "here": here, "brand_name": brand_name, "brand_css": brand_css, "brand_icon": brand_icon,
        "script_texts": script_texts(locale), "toasts": (), "shell": None, "banners": (),
    }  # fmt: skip
