"""Every kind of widget keeps the contract: a valid schema of its options, a template, names in words, a calm refusal."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from saas.i18n import LazyString, use_locale
from saas.metadata.kinds import widget_types
from saas.metadata.models import WidgetDef
from saas.runtime.kinds import TEMPLATE_DIRECTORY
from saas.runtime.widgets._shared.reading import FigureWidget
from saas.ui.assets import DIRECTORY
from saas.ui.render import environment, markup

SYMBOLS = re.findall(r'<symbol id="([a-z0-9-]+)"', (DIRECTORY / "vendor" / "icons.svg").read_text())
KINDS = [pytest.param(kind, id=kind.key) for kind in widget_types]


def test_the_vocabulary_is_there():
    assert widget_types.keys() == ["area", "bar", "funnel", "line", "list", "number", "pie", "table"]


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_described(kind):
    Draft202012Validator.check_schema(kind.options_schema)
    assert kind.options_schema["type"] == "object" and kind.options_schema["additionalProperties"] is False
    for name, prop in kind.options_schema["properties"].items():
        assert prop.get("title"), name
        if "default" in prop:
            Draft202012Validator(prop).validate(prop["default"])


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_a_name_and_a_template(kind):
    assert isinstance(kind.label, LazyString) and str(kind.label)
    assert str(kind.about) and kind.icon in SYMBOLS
    parts = kind.parts({})
    assert parts.dimensions >= kind.min_dimensions and (not parts.dimensions or parts.measures)
    assert (TEMPLATE_DIRECTORY / "widgets" / kind.key / "widget.html").is_file()
    source = (TEMPLATE_DIRECTORY / "widgets" / kind.key / "widget.html").read_text()
    assert "|safe" not in source and "style=" not in source
    environment().get_template(f"widgets/{kind.key}/widget.html")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_what_a_reader_may_not_see_is_a_calm_state(kind, locale, lab_without_rights):
    ctx = lab_without_rights.replace(locale=locale)
    options = {"pipeline": "deal", "columns": ["name"]} if kind.key in ("funnel", "list") else {}
    widget = WidgetDef(key="w", label={"en": "<b>Title</b>"}, type=kind.key, entity="deal", options=options)
    view = await kind.load(ctx, widget)
    assert isinstance(kind, FigureWidget) and view["denied"] and json.dumps(view)
    assert not {"value", "rows", "series", "total"} & set(view)
    with use_locale(locale):
        html = markup(f"widgets/{kind.key}/widget.html", view=view, widget=widget, locale=locale)
    assert "data-denied" in html and "<b>" not in html


@pytest.fixture
def lab_without_rights():
    """A context that never reaches a database: the refusal comes before any query."""
    from uuid import uuid4

    from saas.metadata.config import Config
    from saas.metadata.parse import parse_bundle
    from saas.runtime.context import Context, Tenant, User
    from tests.integration.figures.conftest import figures_bundle

    config = Config(parse_bundle(figures_bundle()))
    user = User(id=uuid4(), name="Sid", email="sid@example.com", role_keys=("stranger",))
    return Context(tenant=Tenant(id=uuid4(), slug="t", name="T"), config=config, user=user)
