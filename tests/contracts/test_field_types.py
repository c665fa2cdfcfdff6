"""Every field type keeps the contract of saas.metadata.kinds.FieldType. A new folder is tested the moment it exists."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import jsonschema
import jsonschema_rs
import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from saas.i18n import LOCALES, gettext, use_locale
from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Group, Held, field_types
from saas.runtime.fields._shared.schemas import KEY_PATTERN
from saas.runtime.kinds import TEMPLATE_DIRECTORY, load_package

load_package("saas.runtime.fields")

KEYS = field_types.keys()
ROOT = Path(__file__).parents[2]
PG_LIMITS = {"int": (-(2**63), 2**63 - 1)}
OPERATORS = {"eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "starts_with", "is_empty", "between", "relative"}
HOSTILE = (
    "'; DROP TABLE record; --",
    "\" onmouseover=\"alert(1)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</textarea></select><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %} ${7*7} %(x)s %s {0}",
    "nul\x00byte",
    "\ud800 half a pair",
    "😀👩‍👩‍👧‍👦 é",
    "\u202eright to left שלום",
    "−１２，３４５．６７",
    "9" * 400,
    "1e400",
    "NaN",
    "a" * 1_000_000,
    "<b>" * 100_000,
    "2025-03-03' OR '1'='1",
    "../../etc/passwd",
)


# ---- set-up ------------------------------------------------------------------------------------------------------------


def defaults_of(kind: FieldType) -> dict[str, Any]:
    return {name: schema["default"] for name, schema in kind.options_schema.get("properties", {}).items() if "default" in schema}


def make(key: str, *, filled: bool = True, **options: Any) -> tuple[FieldType, m.FieldDef, Config]:
    """The type, a field of it with its example options, and a configuration around them. `filled`: as parsed, with defaults."""
    kind = field_types.get(key)
    given = options or dict(kind.EXAMPLE_OPTIONS)
    fld = m.FieldDef(key="sample", type=key, label={"en": "Sample", "zh_CN": "样本"}, options={**(defaults_of(kind) if filled else {}), **given})
    return kind, fld, config_with(fld)


def config_with(fld: m.FieldDef) -> Config:
    """Entity `holder` owns the field under test and has children `things`."""
    label = {"en": "Thing", "zh_CN": "东西"}
    child_fields = (
        m.FieldDef(key="name", type="text", label=label, options={"max_length": 40}),
        m.FieldDef(key="number", type="number", label=label, options={"scale": 2, "min": 0, "max": 10}),
        m.FieldDef(key="pieces", type="int", label=label, options={"unit": {"en": "pcs"}}),
        m.FieldDef(key="price", type="money", label=label, options={"currency": "USD", "max": 5}),
        m.FieldDef(key="day", type="date", label=label, options={}),
        m.FieldDef(key="effort", type="duration", label=label, options={"max": 60}),
        m.FieldDef(key="holder", type="ref", label=label, options={"to": "holder", "inverse": {"key": "things", "label": label}}),
    )
    stages = (m.StageDef("new", {"en": "New", "zh_CN": "新建"}, "blue"), m.StageDef("won", {"en": "Won", "zh_CN": "赢单"}, "green", kind="won"))
    title = m.FieldDef(key="name", type="text", label=label)
    bundle = m.Bundle(
        pack=m.PackInfo("test", "1", label),
        entities=(
            m.EntityDef("holder", label, label, "name", (title, fld)),
            m.EntityDef("thing", label, label, "name", child_fields),
        ),
        roles=(),
        pipelines=(m.PipelineDef("flow", "holder", "sample", label, stages),),
    )
    return Config(bundle)


def refusals(kind: FieldType, fld: m.FieldDef, value: Any, config: Config) -> list[str]:
    """Why the engine would refuse a normalised value; empty if it would take it."""
    schema = jsonschema_rs.validator_for(kind.value_schema(fld, config))
    if not schema.is_valid(value):
        return ["schema"]
    return [code for code, message in kind.problems(fld, value, config) if str(message)]


def accepted(kind: FieldType, fld: m.FieldDef, value: Any, config: Config) -> Any:
    """The canonical value, or None if it is empty or refused."""
    value = kind.normalise(fld, value, config)
    return None if value is None or refusals(kind, fld, value, config) else value


def same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def examples(which: str) -> list[Any]:
    return [pytest.param(key, value, id=f"{key}-{index}") for key in KEYS for index, value in enumerate(getattr(field_types.get(key), which))]


# ---- the registry ------------------------------------------------------------------------------------------------------


def test_every_documented_type_exists() -> None:
    table = (ROOT / "docs" / "packs.md").read_text(encoding="utf-8").split("## 5. Fields")[1].split("## 6.")[0]
    documented = {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`([a-z0-9_]+)`", row) if key != "type"}
    assert len(documented) > 25
    assert documented == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_type_describes_itself(key: str) -> None:
    kind = field_types.get(key)
    assert str(kind.label) and kind.icon and str(kind.expects)
    assert str(kind.description).endswith(".") and len(str(kind.description)) < 120
    assert kind.group in get_args(Group)
    assert kind.holds in get_args(Held)
    assert kind.storage in ("text", "int", "float", "time", "uuid", "doc", "state", "links", "none")
    assert kind.expr_type in ("text", "number", "bool", "date", "datetime", "ref", "user", "dept", "option", "list", "any")
    assert set(kind.operators) <= OPERATORS
    assert "is_empty" in kind.operators


@pytest.mark.parametrize("key", KEYS)
def test_examples_are_given(key: str) -> None:
    kind = field_types.get(key)
    assert kind.EXAMPLES and kind.BAD_EXAMPLES


@pytest.mark.parametrize("key", KEYS)
def test_storage_holds_what_to_column_gives(key: str) -> None:
    kind, fld, config = make(key)
    wanted = {"text": str, "int": int, "float": float, "time": datetime, "uuid": UUID, "state": str}
    storage = kind.storage_of(fld, config)
    for value in kind.EXAMPLES:
        stored = kind.to_column(fld, value, config)
        if storage in wanted:
            assert type(stored) is wanted[storage]
        elif storage in ("doc", "links"):
            json.dumps(stored, allow_nan=False)
        if storage == "int":
            assert PG_LIMITS["int"][0] <= stored <= PG_LIMITS["int"][1]
        if storage == "time":
            assert stored.tzinfo is not None
        if storage == "text":
            assert len(stored.encode()) <= 2400, "longer texts do not fit into an index row"


# ---- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_options_schema_can_draw_a_form(key: str) -> None:
    schema = field_types.get(key).options_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    for name, prop in schema["properties"].items():
        assert prop.get("title") and prop.get("description"), name
        assert "default" in prop, name
        if name not in schema.get("required", ()):
            jsonschema.validate(prop["default"], prop)
    json.dumps(schema)


CONTROLS = {
    "entity", "field", "fields", "relation", "child_field", "option_set", "options", "bands", "inverse", "roles", "pipeline", "condition", "expression", "pattern", "label", "choice",
    "lines", "auto_pattern", "choices", "target_fields",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_references_expressions_and_lists_say_how_they_are_asked_for(key: str) -> None:
    """A plain text input would make an admin know keys by heart."""
    for name, prop in field_types.get(key).options_schema["properties"].items():
        refers = KEY_PATTERN in (prop.get("pattern"), prop.get("items", {}).get("pattern"))
        speaks = name in ("expr", "where", "filter")
        structured = prop.get("type") in ("array", "object") or "object" in prop.get("type", ())
        if refers or speaks or structured:
            assert prop.get("x-control") in CONTROLS - {"choice"}, name
        assert prop.get("x-control") in {None, *CONTROLS}


@pytest.mark.parametrize("key", KEYS)
def test_every_choice_has_words_in_both_languages(key: str) -> None:
    def enums(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if "enum" in schema:
                yield schema
            for below in schema.values():
                yield from enums(below)

    for schema in enums(field_types.get(key).options_schema):
        assert set(schema["x-labels"]) == set(schema["enum"])
        assert all(text and re.search("[A-Z]", text) for text in schema["x-labels"].values())


@pytest.mark.parametrize("key", KEYS)
def test_example_options_fit_the_schema(key: str) -> None:
    kind, fld, _ = make(key)
    jsonschema.validate(dict(kind.EXAMPLE_OPTIONS), kind.options_schema)
    jsonschema.validate(dict(fld.options), kind.options_schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**kind.EXAMPLE_OPTIONS, "surprise": 1}, kind.options_schema)


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("letters", True), ("code", True), ("[A-Z]{2}[0-9]{4}", True), ("^[A-Z]+$", True), (r"\d{3}-\d{4}", True), ("[一-龥]{2,4}", True),
        ("(a+)+", False), ("a|b", False), ("(?=x)", False), ("[a-z", False), ("a{1,2,3}", False), ("x" * 101, False), (r"\1", False),
    ],
)  # fmt: skip
def test_text_patterns_are_character_classes_only(pattern: str, allowed: bool) -> None:
    validator = jsonschema_rs.validator_for(dict(field_types.get("text").options_schema))
    assert validator.is_valid({"pattern": pattern}) is allowed


def test_text_pattern_is_matched_as_a_whole() -> None:
    kind, fld, config = make("text", pattern="[A-Z]{2}[0-9]{2}")
    assert accepted(kind, fld, "AB12", config) == "AB12"
    assert accepted(kind, fld, "xAB12", config) is None
    assert accepted(kind, fld, "AB12 ", config) == "AB12"
    assert accepted(kind, fld, "AB123", config) is None


@pytest.mark.parametrize(("pattern", "allowed"), [("INV-{yyyy}-{seq:4}", True), ("{seq}", True), ("INV", False), ("{seq:4}{foo}", False), ("{seq}{seq}", False)])
def test_auto_patterns_count(pattern: str, allowed: bool) -> None:
    assert jsonschema_rs.validator_for(dict(field_types.get("auto").options_schema)).is_valid({"pattern": pattern}) is allowed


# ---- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filled", [True, False], ids=["defaults", "bare"])
@pytest.mark.parametrize(("key", "value"), examples("EXAMPLES"))
def test_valid_value_passes_and_is_canonical(key: str, value: Any, filled: bool) -> None:
    kind, fld, config = make(key, filled=filled)
    if key == "percent" and not filled:
        fld = replace(fld, options={"scale": 1})
    normal = kind.normalise(fld, value, config)
    assert same(normal, value)
    assert refusals(kind, fld, normal, config) == []
    assert same(kind.normalise(fld, normal, config), normal)
    json.dumps(normal, allow_nan=False)


@pytest.mark.parametrize(("key", "value"), examples("BAD_EXAMPLES"))
def test_bad_value_is_refused_without_raising(key: str, value: Any) -> None:
    kind, fld, config = make(key)
    normal = kind.normalise(fld, value, config)
    assert normal is not None
    assert refusals(kind, fld, normal, config)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", ["", "   ", "\u3000"], ids=["empty", "blank", "wide"])
def test_empty_text_is_no_value(key: str, value: str) -> None:
    kind, fld, config = make(key)
    assert kind.from_form(fld, [value], config) is None
    assert kind.from_form(fld, [], config) is None
    assert kind.normalise(fld, value.strip(), config) is None


@pytest.mark.parametrize("key", KEYS)
def test_any_json_is_normalised_without_raising(key: str) -> None:
    kind, fld, config = make(key)
    junk = [0, -1, 1.5, True, False, 10**400, math.nan, math.inf, -math.inf, "x", "\x00", "\ud800", [], {}, [None], [[1]], [{}], {"a": None},
            {"amount": None}, {"amount": {}, "currency": []}, {"amount": "1", "currency": "\ud800"}, {"\ud800": "x"}, {"street": "\ud800"}, ["\ud800"],
            {"": ""}, ["", None, 1], list(range(3000))]  # fmt: skip
    for value in junk:
        normal = kind.normalise(fld, value, config)
        if normal is not None and not refusals(kind, fld, normal, config):
            kind.to_column(fld, normal, config)
            kind.to_expr(fld, normal, config)
            assert isinstance(kind.display(fld, normal, config, "en"), str)


@pytest.mark.parametrize(("key", "value"), examples("EXAMPLES"))
def test_value_survives_the_column(key: str, value: Any) -> None:
    kind, fld, config = make(key)
    stored = kind.to_column(fld, value, config)
    if kind.storage_of(fld, config) in ("doc", "links"):
        stored = json.loads(json.dumps(stored))
    assert same(kind.from_column(fld, stored, config), value)


@pytest.mark.parametrize(("key", "value"), examples("EXAMPLES"))
def test_value_survives_expressions(key: str, value: Any) -> None:
    kind, fld, config = make(key)
    result = kind.to_expr(fld, value, config)
    python = {"text": str, "number": Decimal, "bool": bool, "date": date, "datetime": datetime, "ref": str, "user": str, "dept": str, "option": str, "list": list}
    expr_type = kind.expr_type_of(fld, config)
    if expr_type in python:
        assert type(result) is python[expr_type]
    back = kind.from_expr(fld, result, config)
    if key == "richtext":  # an expression sees the text without its markup
        assert kind.to_expr(fld, back, config) == result
    else:
        assert same(back, value)


@pytest.mark.parametrize(("key", "value"), examples("EXAMPLES"))
def test_value_survives_the_form(key: str, value: Any) -> None:
    """What the control is filled with comes back as the same value."""
    kind, fld, config = make(key)
    shown = kind.to_form(fld, value, config)
    if isinstance(shown, dict):
        raw = [shown["amount"]] if "amount" in shown else [shown.get(part, "") for part in ("country", "region", "city", "street", "postcode")]
    else:
        raw = shown if isinstance(shown, list) else [str(shown).lower() if isinstance(shown, bool) else str(shown)]
    back = kind.from_form(fld, raw, config)
    if key == "datetime" and "." in value:  # the control knows no fractions
        value = re.sub(r"\.\d+", "", value)
    assert same(back, value)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("key", "value"), examples("EXAMPLES"))
def test_value_is_shown_as_text(key: str, value: Any, locale: str) -> None:
    kind, fld, config = make(key)
    with use_locale(locale):
        text = kind.display(fld, value, config, locale)
    assert isinstance(text, str) and text.strip()
    assert type(text) is str


# ---- hostile input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("key", KEYS)
def test_hostile_input_is_refused_or_survives_exactly(key: str, hostile: str) -> None:
    kind, fld, config = make(key)
    started = time.monotonic()
    for value in (hostile, [hostile], {"city": hostile}, {"amount": hostile, "currency": "CNY"}):
        normal = accepted(kind, fld, value, config)
        if normal is None:
            continue
        text = json.dumps(normal, ensure_ascii=False)
        assert "\x00" not in text and "\\u0000" not in text
        text.encode()
        assert same(kind.from_column(fld, kind.to_column(fld, normal, config), config), normal)
        if key in ("text", "longtext"):
            assert normal == hostile
        page = str(render_cell(kind, fld, config, normal)) + str(kind.cell(fld, normal, kind.display(fld, normal, config, "en"), config, "en") or "")
        assert_harmless(page)
    typed = kind.from_form(fld, [hostile], config)
    refusal = typed is None or refusals(kind, fld, kind.normalise(fld, typed, config), config)
    if refusal and len(hostile) < 1000:
        assert_harmless(render_input(kind, fld, config, typed))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("key", KEYS)
def test_cells_do_not_trust_values_or_texts(key: str) -> None:
    """A mask, a name or a value written by other means may reach a cell: it is escaped all the same."""
    kind, fld, config = make(key)
    evil = '"><script>alert(1)</script>'
    for value in (evil, [evil], "****5678", 99, True, {"amount": evil}):
        assert_harmless(str(kind.cell(fld, value, evil, config, "en") or ""))
        assert_harmless(render_cell(kind, fld, config, value, text=evil) if key != "richtext" else "")
    for value in kind.EXAMPLES:
        assert_harmless(str(kind.cell(fld, value, evil, config, "en") or ""))


@pytest.mark.parametrize(
    "value", ["<p onclick=x>a</p>", '<a href="javascript:x">a</a>', "<script>x</script>a", "<img src=x onerror=y>a", "<style>*{}</style>a", '<p style="x">a</p>', "<svg onload=x>a"]
)
def test_richtext_keeps_only_harmless_markup(value: str) -> None:
    kind, fld, config = make("richtext")
    cleaned = kind.normalise(fld, value, config)
    assert_harmless(cleaned)
    assert_harmless(kind.from_column(fld, value, config))
    assert kind.display(fld, cleaned, config, "en") == "a"


# ---- templates ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> is written twice"
        self.tags.append((tag, dict(attrs)))

    def find(self, **wanted: str) -> list[tuple[str, dict[str, str | None]]]:
        return [(tag, attrs) for tag, attrs in self.tags if all(attrs.get(name) == value for name, value in wanted.items())]


def assert_harmless(text: str) -> None:
    """No script, no inline style or handler, no dangerous link: what a strict content security policy wants."""
    for tag, attrs in Page(text).tags:
        assert tag not in ("script", "style", "iframe", "object", "svg", "base", "meta", "form")
        for name, value in attrs.items():
            assert not name.startswith("on") and name != "style"
            if name in ("href", "src"):
                assert re.match(r"(https?://|mailto:|tel:\+|/)", value or ""), value


def environment() -> Environment:
    env = Environment(loader=FileSystemLoader(TEMPLATE_DIRECTORY), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    env.globals["_"] = gettext
    return env


ENV = environment()


def options_for(kind: FieldType, fld: m.FieldDef, config: Config, value: Any) -> list[dict[str, Any]]:
    chosen = value if isinstance(value, list) else [value]
    defs = [m.OptionDef(s.key, s.label, s.color) for s in config.pipelines["flow"].stages] if kind.key == "pipeline" else config.field_options(fld)
    return [
        {"key": o.key, "label": o.label["en"], "color": o.color, "active": o.active, "selected": o.key in chosen, "parent": o.parent} for o in defs
    ]


def variables(kind: FieldType, fld: m.FieldDef, config: Config, value: Any, text: str, **more: Any) -> dict[str, Any]:
    return {
        "field": fld, "value": value, "text": text, "id": "f1", "name": fld.key, "required": False, "disabled": False, "invalid": False,
        "describedby": "", "options": options_for(kind, fld, config, value), "choices_url": "", "record": {"id": None, "entity": "holder"}, "locale": "en",
    } | more  # fmt: skip


def render_input(kind: FieldType, fld: m.FieldDef, config: Config, value: Any, **more: Any) -> str:
    text = kind.display(fld, value, config, "en") if value is not None and accepted(kind, fld, value, config) is not None else ""
    shown = kind.to_form(fld, value, config)
    data = variables(kind, fld, config, shown, text, **more)
    data["options"] = options_for(kind, fld, config, value)
    return ENV.get_template(f"fields/{kind.key}/input.html").render(data)


def render_cell(kind: FieldType, fld: m.FieldDef, config: Config, value: Any, text: str | None = None, **more: Any) -> str:
    if text is None:
        text = "" if value is None else kind.display(fld, value, config, more.get("locale", "en"))
    return ENV.get_template(f"fields/{kind.key}/cell.html").render(variables(kind, fld, config, value, text, **more))


@pytest.mark.parametrize("key", KEYS)
def test_templates_exist_and_carry_no_inline_code(key: str) -> None:
    for name in ("input.html", "cell.html"):
        source = (TEMPLATE_DIRECTORY / "fields" / key / name).read_text(encoding="utf-8")
        assert source.strip()
        assert "<script" not in source and "style=" not in source and not re.search(r"\son[a-z]+=", source)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("key", KEYS)
def test_templates_render_in_both_locales(key: str, locale: str) -> None:
    kind, fld, config = make(key)
    with use_locale(locale):
        for value in (None, *kind.EXAMPLES):
            for more in ({}, {"required": True, "invalid": True, "describedby": "e-f1 h-f1", "choices_url": "/lookup/x?a=1&b=2"}, {"disabled": True}):
                assert_harmless(render_input(kind, fld, config, value, locale=locale, **more))
            assert_harmless(render_cell(kind, fld, config, value, locale=locale))


@pytest.mark.parametrize("key", [key for key in KEYS if not field_types.get(key).computed])
def test_control_is_named_described_and_marked_invalid(key: str) -> None:
    kind, fld, config = make(key)
    page = Page(render_input(kind, fld, config, kind.EXAMPLES[0], invalid=True, describedby="e-f1"))
    assert [tag for tag, attrs in page.tags if attrs.get("name") == "sample" and attrs.get("type") != "hidden"], "no control has the field's name"
    marked = page.find(id="f1")
    assert len(marked) == 1, "one element has the id that label and messages point to"
    if not kind.grouped:
        assert marked[0][1]["name"] == "sample"
        assert marked[0][1].get("aria-invalid") == "true" and marked[0][1].get("aria-describedby") == "e-f1"
    else:
        assert page.find(**{"aria-labelledby": "l-f1"}) and page.find(**{"aria-invalid": "true", "aria-describedby": "e-f1"})


@pytest.mark.parametrize("key", [key for key in KEYS if not field_types.get(key).computed])
def test_disabled_control_posts_nothing(key: str) -> None:
    kind, fld, config = make(key)
    page = Page(render_input(kind, fld, config, kind.EXAMPLES[0], disabled=True))
    assert all("disabled" in attrs for _, attrs in page.tags if attrs.get("name") == "sample")


@pytest.mark.parametrize("key", [key for key in KEYS if field_types.get(key).computed])
def test_computed_value_has_no_control_to_post(key: str) -> None:
    kind, fld, config = make(key)
    assert not [tag for tag, attrs in Page(render_input(kind, fld, config, kind.EXAMPLES[0])).tags if "name" in attrs]


@pytest.mark.parametrize("key", ["user", "dept", "ref"])
def test_picker_always_holds_the_chosen_one(key: str) -> None:
    kind, fld, config = make(key)
    chosen = kind.EXAMPLES[0]
    text = ENV.get_template(f"fields/{key}/input.html").render(variables(kind, fld, config, chosen, "Ada <Lovelace>", choices_url="/lookup/x"))
    assert f'<option value="{chosen}" selected>Ada &lt;Lovelace&gt;</option>' in text
    assert Page(text).find(**{"data-picker": "/lookup/x"})


def test_link_needs_a_safe_scheme() -> None:
    kind, fld, config = make("url")
    assert "href" not in render_cell(kind, fld, config, "javascript:alert(1)", text="x")
    assert kind.cell(fld, "javascript:alert(1)", "x", config, "en") is None
    assert 'rel="noopener noreferrer nofollow"' in render_cell(kind, fld, config, "https://example.com")


# ---- a field's type changes ----------------------------------------------------------------------------------------------


def displayed(kind: FieldType, fld: m.FieldDef, value: Any, config: Config, locale: str = "en") -> str:
    """As saas.runtime.present shows it: ids are named by the caller."""
    if kind.holds in ("record", "user", "dept"):
        return ", ".join(f"Name {n}" for n, _ in enumerate(value if isinstance(value, list) else [value], 1))
    with use_locale(locale):
        return kind.display(fld, value, config, locale)


@pytest.mark.parametrize("new", KEYS)
@pytest.mark.parametrize("old", KEYS)
def test_any_value_is_converted_or_lost(old: str, new: str) -> None:
    before, old_field, old_config = make(old)
    after, new_field, config = make(new)
    for value in before.EXAMPLES:
        kept = after.convert(new_field, old_field, value, displayed(before, old_field, value, old_config), config)
        if kept is not None:
            assert same(after.normalise(new_field, kept, config), kept)
            assert refusals(after, new_field, kept, config) == []
        if old == new:
            assert same(kept, value)


@pytest.mark.parametrize("new", KEYS)
@pytest.mark.parametrize("value", [*HOSTILE[:16], 10**400, math.nan, [], {}, [None], [[1]], {"amount": None}, True, ["\ud800"]], ids=range(25))
def test_converting_never_raises(new: str, value: Any) -> None:
    """What was written long ago, or under a definition that is gone, need not be what its type would take today."""
    after, new_field, config = make(new)
    for old in KEYS:
        _, old_field, _ = make(old)
        for text in ("", str(value)[:2000]):
            kept = after.convert(new_field, old_field, value, text, config)
            assert kept is None or refusals(after, new_field, kept, config) == []


CHOICES = {"options": [{"key": "gold", "label": {"en": "Gold", "zh_CN": "金牌"}}, {"key": "yes", "label": {"en": "Yes", "zh_CN": "是"}}, {"key": "five", "label": {"en": "5"}}]}
ONE, TWO = "0196f3c2-7d1a-7b3e-9c4d-2a5b6c7d8e9f", "0196f3c2-7d1a-7b3e-9c4d-2a5b6c7d8ea0"


@pytest.mark.parametrize(
    ("old", "value", "text", "new", "options", "expected"),
    [
        # to text: what people see, unless that depends on who looks
        ("option", "gold", "金牌", "text", {}, "金牌"), ("multi", ["mail", "visit"], "Mail, Visit", "text", {}, "Mail, Visit"), ("user", ONE, "Ada", "text", {}, "Ada"),
        ("ref", ONE, "Acme Ltd", "longtext", {}, "Acme Ltd"), ("m2m", [ONE, TWO], "Acme, Globex", "text", {}, "Acme, Globex"), ("tags", ["a", "b"], "a, b", "text", {}, "a, b"),
        ("bool", True, "Yes", "text", {}, "Yes"), ("int", 1234567, "1,234,567 pieces", "text", {}, "1234567"), ("number", 1234.5, "1,234.50", "text", {}, "1234.5"),
        ("percent", 40, "40%", "text", {}, "40%"), ("money", {"amount": "1234.50", "currency": "CNY"}, "¥1,234.50", "text", {}, "1234.50 CNY"),
        ("date", "2025-03-03", "Mar 3, 2025", "text", {}, "2025-03-03"), ("datetime", "2025-03-03T08:00:00Z", "Mar 3, 2025, 4:00 PM", "text", {}, "2025-03-03 16:00"),
        ("time", "16:05", "4:05 PM", "text", {}, "16:05"), ("phone", "+8613800138000", "138 0013 8000", "text", {}, "+8613800138000"),
        ("richtext", "<p>a &amp; <b>b</b></p><p>c</p>", "a & b", "longtext", {}, "a & b\nc"), ("longtext", "a\nb", "a\nb", "text", {}, "a b"),
        ("address", {"city": "上海", "street": "南京路"}, "上海 南京路", "text", {}, "上海 南京路"), ("pipeline", "won", "Won", "text", {}, "Won"), ("file", [ONE], "1 file", "text", {}, None),
        ("longtext", "x" * 300, "x" * 300, "text", {"max_length": 255}, None), ("longtext", "x" * 255, "x" * 255, "text", {"max_length": 255}, "x" * 255),
        ("text", "a <b>\n\nc", "a <b>", "richtext", {}, "<p>a &lt;b&gt;</p><p>c</p>"), ("text", "no number", "", "phone", {}, None), ("text", "a@b.example", "", "email", {}, "a@b.example"),
        ("int", 13800138000, "13,800,138,000", "phone", {"country": "CN"}, "+8613800138000"), ("text", "example.com", "", "url", {}, "https://example.com"),
        # to numbers
        ("text", "1,234.50", "1,234.50", "number", {}, 1234.5), ("text", "１２３", "", "int", {}, 123), ("text", "3万", "", "int", {}, 30000), ("text", "12 kg", "", "number", {"unit": {"en": "kg"}}, 12),
        ("text", "40 %", "", "percent", {}, 40), ("text", "a few", "", "number", {}, None), ("number", 12.5, "12.50", "int", {}, None), ("number", 12, "12.00", "int", {}, 12),
        ("number", 7, "7", "int", {"max": 5}, None), ("percent", 40, "40%", "number", {}, 40), ("number", 40, "40", "percent", {}, 40), ("bool", True, "Yes", "int", {}, 1),
        ("option", "five", "5", "int", {}, 5), ("rating", 4, "4/5", "int", {}, 4), ("text", "★★★", "", "rating", {}, 3), ("date", "2025-03-03", "", "int", {}, None),
        ("score", 75, "75 Hot", "number", {}, 75),
        ("money", {"amount": "12.50", "currency": "CNY"}, "¥12.50", "number", {}, 12.5), ("number", 12.5, "12.50", "money", {}, {"amount": "12.50", "currency": "CNY"}),
        ("number", 12.345, "12.345", "money", {}, None), ("text", "¥1,234.50", "", "money", {}, {"amount": "1234.50", "currency": "CNY"}),
        ("money", {"amount": "12.50", "currency": "USD"}, "$12.50", "money", {"currency": "CNY"}, None),
        ("number", 90, "90.00", "duration", {}, 5400), ("duration", 5400, "1 h 30 min", "number", {}, 90), ("duration", 5400, "1 h 30 min", "text", {}, "1 h 30 min"), ("time", "08:30", "", "duration", {}, 30600),
        ("text", "1小时30分", "", "duration", {}, 5400), ("number", 0.5, "0.50", "duration", {}, None), ("percent", 40, "40%", "progress", {}, 40), ("percent", 40.5, "40.5%", "progress", {}, None),
        ("progress", 40, "40%", "text", {}, "40%"), ("text", "#ABC", "", "color", {}, "#aabbcc"), ("text", "9135 0100-M000100Y43", "", "code", {}, "91350100M000100Y43"), ("int", 4006381333931, "", "code", {"check": "ean13"}, "4006381333931"),
        # to yes and no
        ("text", "是", "是", "bool", {}, True), ("text", "No", "No", "bool", {}, False), ("option", "yes", "是", "bool", {}, True), ("int", 1, "1", "bool", {}, True), ("int", 2, "2", "bool", {}, None),
        ("text", "true", "true", "bool", {}, True), ("text", "否", "否", "bool", {}, False),
        # to days and moments; the tenant is in Shanghai
        ("date", "2025-03-03", "", "datetime", {}, "2025-03-02T16:00:00Z"), ("datetime", "2025-03-02T20:00:00Z", "", "date", {}, "2025-03-03"),
        ("datetime", "2025-03-03T08:00:00Z", "", "time", {}, "16:00"), ("text", "2025/3/3", "", "date", {}, "2025-03-03"), ("text", "2025年3月3日", "", "datetime", {}, "2025-03-02T16:00:00Z"),
        ("text", "2025-03-03 16:00", "", "datetime", {}, "2025-03-03T08:00:00Z"), ("text", "3/4/2025", "", "date", {}, None), ("text", "下午3:30", "", "time", {}, "15:30"), ("date", "2025-03-03", "", "time", {}, None),
        # to choices: by key, or by label in any language
        ("text", "金牌", "金牌", "option", CHOICES, "gold"), ("text", "GOLD", "GOLD", "option", CHOICES, "gold"), ("text", "bronze", "bronze", "option", CHOICES, None),
        ("option", "old_key", "Gold", "option", CHOICES, "gold"), ("option", "gold", "Anything", "option", CHOICES, "gold"), ("bool", True, "", "option", CHOICES, "yes"), ("int", 5, "5", "option", CHOICES, "five"),
        ("multi", ["gold", "yes"], "Gold, Yes", "option", CHOICES, "gold"), ("option", "gold", "Gold", "multi", CHOICES, ["gold"]), ("tags", ["金牌", "Yes"], "金牌, Yes", "multi", CHOICES, ["gold", "yes"]),
        ("tags", ["金牌", "bronze"], "金牌, bronze", "multi", CHOICES, None), ("text", "Gold, 是", "Gold, 是", "multi", CHOICES, ["gold", "yes"]), ("option", "won", "Won", "pipeline", {"pipeline": "flow"}, "won"),
        ("multi", ["mail", "visit"], "邮件、拜访", "tags", {}, ["邮件", "拜访"]), ("text", "a, b；c", "", "tags", {}, ["a", "b", "c"]), ("m2m", [ONE, TWO], "Acme, Globex", "tags", {}, ["Acme", "Globex"]),
        ("m2m", [ONE, TWO], "A, Inc., Globex", "tags", {}, None), ("option", "gold", "Gold", "tags", {}, ["Gold"]), ("ref", ONE, "Gold", "option", CHOICES, "gold"),
        # to people and records: only ids of the same things
        ("user", ONE, "Ada", "users", {}, [ONE]), ("users", [TWO, ONE], "Bob, Ada", "user", {}, TWO), ("users", [TWO, ONE], "Bob, Ada", "text", {}, "Bob, Ada"), ("users", [TWO, ONE], "", "m2m", {"to": "thing"}, None),
        ("ref", ONE, "Acme", "m2m", {"to": "thing"}, [ONE]), ("m2m", [TWO, ONE], "", "ref", {"to": "thing"}, TWO), ("ref", ONE, "Acme", "ref", {"to": "holder"}, None),
        ("user", ONE, "Ada", "dept", {}, None), ("text", ONE, ONE, "user", {}, None), ("file", [ONE], "1 file", "image", {}, [ONE]), ("file", [ONE, TWO], "2 files", "image", {"multiple": False}, None),
        ("text", "南京路 1 号", "", "address", {}, {"street": "南京路 1 号"}), ("text", "12", "12", "formula", {"returns": "number", "expr": "1"}, None),
    ],
)  # fmt: skip
def test_a_value_becomes_what_people_expect(old: str, value: Any, text: str, new: str, options: dict[str, Any], expected: Any) -> None:
    _, old_field, _ = make(old)
    kind, fld, config = make(new, **options) if options else make(new)
    text = text or (value if isinstance(value, str) else "")
    assert same(kind.convert(fld, old_field, value, text, config), expected)


def test_a_computed_value_is_converted_as_what_it_results_in() -> None:
    _, old_field, _ = make("formula", returns="money", expr="1")
    kind, fld, config = make("number")
    assert kind.convert(fld, old_field, {"amount": "12.50", "currency": "CNY"}, "¥12.50", config) == 12.5
    _, gone, _ = make("rollup", of="nothing", fn="max", field="nowhere")
    assert kind.convert(fld, gone, 3, "3", config) == 3


# ---- documentation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_type_has_a_section_in_the_reference(key: str) -> None:
    path = ROOT / "docs" / "howto" / "field-types.md"
    section = re.search(rf"^### `{key}`.*\n((?:(?!^#).*\n?)*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert section and len(section[1].strip()) > 40
    for name in field_types.get(key).options_schema["properties"]:
        assert f"`{name}`" in section[1], f"{key}.{name} is not explained"


# ---- what single types promise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("int", "1,234", 1234), ("int", "１２３", 123), ("int", "1 234", 1234), ("int", "3万", 30000), ("int", "1.5", 1.5), ("int", "12abc", "12abc"),
        ("int", "1,23", "1,23"), ("number", "1,234.5", 1234.5), ("number", "１，２３４．５", 1234.5), ("number", ".5", 0.5), ("number", "-0", 0),
        ("number", "1.2.3", "1.2.3"), ("number", "0x10", "0x10"), ("number", "1_000", "1_000"), ("number", "٣", "٣"), ("number", "1e3", "1e3"),
        ("percent", "40%", 40), ("percent", "４０％", 40), ("rating", "4", 4), ("rating", "★★★☆☆", 3), ("rating", "4/5", 4),
        ("bool", "true", True), ("bool", "false", False), ("bool", "是", True), ("bool", "perhaps", "perhaps"),
        ("date", "2025-03-03", "2025-03-03"), ("date", "2025/3/3", "2025-03-03"), ("date", "2025年3月3日", "2025-03-03"), ("date", "20250303", "2025-03-03"),
        ("date", "2025-02-30", "2025-02-30"), ("date", "3/4/2025", "3/4/2025"),
        ("datetime", "2025-03-03T16:00", "2025-03-03T08:00:00Z"), ("datetime", "2025/3/3 下午4:00", "2025-03-03T08:00:00Z"),
        ("datetime", "2025-03-03T08:00:00Z", "2025-03-03T08:00:00Z"), ("datetime", "soon", "soon"),
        ("time", "8:30", "08:30"), ("time", "8:30 pm", "20:30"), ("time", "下午3:30", "15:30"), ("time", "8：30", "08:30"), ("time", "08:30:00", "08:30"),
        ("time", "12:15 am", "00:15"), ("time", "中午12:30", "12:30"), ("time", "凌晨12:30", "00:30"), ("time", "25:00", "25:00"), ("time", "13:00 pm", "13:00 pm"),
        ("phone", "138 0013 8000", "+8613800138000"), ("phone", "１３８００１３８０００", "+8613800138000"), ("phone", "+1 (415) 555-2671", "+14155552671"),
        ("phone", "call me", "call me"), ("email", " Ada@Example.COM ", "ada@example.com"), ("email", "ada＠example.com", "ada@example.com"),
        ("url", "example.com/a", "https://example.com/a"), ("url", "HTTPS://example.com", "https://example.com"),
        ("national_id", "11010519491231002x", "11010519491231002X"), ("national_id", "110105 19491231 002X", "11010519491231002X"),
        ("option", "gold", "gold"), ("option", "金牌", "gold"), ("option", "bronze", "bronze"),
        ("tags", "a, b，c；a", ["a", "b", "c"]), ("multi", "邮件", ["mail"]), ("text", " a\tb\r\nc ", "a b c"), ("longtext", "a\r\nb", "a\nb"),
        ("money", "¥1,234.50", {"amount": "1234.50", "currency": "CNY"}), ("money", "１２．５", {"amount": "12.50", "currency": "CNY"}),
        ("money", "3.5万", {"amount": "35000.00", "currency": "CNY"}), ("money", "12 CNY", {"amount": "12.00", "currency": "CNY"}),
        ("duration", "1 h 30 min", 5400), ("duration", "2d 4h", 187200), ("duration", "90m", 5400), ("duration", "1:30", 5400), ("duration", "1:30:15", 5415), ("duration", "90", 5400),
        ("duration", "1.5h", 5400), ("duration", "1h30", 5400), ("duration", "1小时30分钟", 5400), ("duration", "１ 小时，30 分", 5400), ("duration", "2天", 172800), ("duration", "1 week", 604800),
        ("duration", "30 min 1 h", 5400), ("duration", "soon", "soon"), ("duration", "1 h 2 h", "1 h 2 h"), ("duration", "1.2.3 h", "1.2.3 h"), ("duration", "-5 min", "-5 min"), ("duration", "1:75", "1:75"),
        ("progress", "40", 40), ("progress", "40%", 40), ("progress", "４０％", 40), ("progress", "half", "half"), ("color", "#ABC", "#aabbcc"), ("color", "3B5BDB", "#3b5bdb"), ("color", "＃3b5bdb", "#3b5bdb"),
        ("color", "red", "red"), ("code", "9135 0100-m000100y43", "91350100M000100Y43"), ("code", "９１３５０１００Ｍ０００１００Ｙ４３", "91350100M000100Y43"),
        ("money", "-5", {"amount": "-5.00", "currency": "CNY"}), ("money", "-0", {"amount": "0.00", "currency": "CNY"}), ("money", "12,5", "12,5"),
    ],
)  # fmt: skip
def test_typed_text_is_understood_or_returned(key: str, typed: str, value: Any) -> None:
    kind, fld, config = make(key)
    found = kind.from_form(fld, [typed], config)
    assert same(found, value)


@pytest.mark.parametrize(
    ("key", "value", "en", "zh"),
    [
        ("int", 1234567, "1,234,567 pieces", "1,234,567 件"), ("number", -1234.5, "-1,234.50", "-1,234.50"), ("number", -0.001, "0.00", "0.00"),
        ("percent", 99.5, "99.5%", "99.5%"), ("money", {"amount": "-1234.50", "currency": "CNY"}, "-CN¥1,234.50", "-¥1,234.50"),
        ("money", {"amount": "12.50", "currency": "EUR"}, "€12.50", "€12.50"), ("money", {"amount": "12", "currency": "JPY"}, "¥12", "JP¥12"),
        ("date", "2025-03-03", "Mar 3, 2025", "2025年3月3日"), ("datetime", "2025-03-03T08:00:00Z", "Mar 3, 2025, 4:00 PM", "2025年3月3日 16:00"),
        ("time", "16:05", "4:05 PM", "16:05"), ("option", "gold", "Gold", "金牌"), ("multi", ["mail", "visit"], "Mail, Visit", "邮件、拜访"),
        ("duration", 5400, "1 h 30 min", "1 小时 30 分钟"), ("duration", 187200, "2 d 4 h", "2 天 4 小时"), ("duration", 0, "0 min", "0 分钟"), ("progress", 40, "40%", "40%"), ("progress", 80, "80% Nearly", "80% 将近完成"),
        ("rating", 4, "4/5", "4/5"), ("score", 75, "75 Hot", "75 热"), ("phone", "+8613800138000", "138 0013 8000", "138 0013 8000"),
        ("phone", "+14155552671", "+1 415-555-2671", "+1 415-555-2671"), ("pipeline", "won", "Won", "赢单"), ("url", "https://example.com/", "example.com", "example.com"),
        ("address", {"country": "CN", "city": "上海市", "street": "南京东路 1 号"}, "南京东路 1 号, 上海市, CN", "CN 上海市 南京东路 1 号"),
    ],
)  # fmt: skip
def test_display_follows_the_locale(key: str, value: Any, en: str, zh: str) -> None:
    kind, fld, config = make(key)
    assert (kind.display(fld, value, config, "en"), kind.display(fld, value, config, "zh_CN")) == (en, zh)


@pytest.mark.parametrize(("currency", "minor", "amount"), [("JPY", 1250, "1250"), ("CNY", 1250, "12.50"), ("KWD", -5, "-0.005"), ("CNY", -1250, "-12.50"), ("CNY", 0, "0.00")])
def test_money_is_stored_in_minor_units(currency: str, minor: int, amount: str) -> None:
    kind, fld, config = make("money", currency=currency)
    value = {"amount": amount, "currency": currency}
    assert kind.to_column(fld, value, config) == minor
    assert kind.from_column(fld, minor, config) == value
    assert refusals(kind, fld, kind.normalise(fld, value, config), config) == []


def test_money_without_currency_is_the_tenants() -> None:
    kind, fld, config = make("money", currency=None)
    assert kind.normalise(fld, 12.5, config) == kind.normalise(fld, "12.5", config) == {"amount": "12.50", "currency": "CNY"}
    assert kind.normalise(fld, {"amount": 0.1 + 0.2}, config) == {"amount": "0.30", "currency": "CNY"}
    assert kind.from_column(fld, 1250, config) == {"amount": "12.50", "currency": "CNY"}
    with pytest.raises(TypeError):
        kind.from_column(fld, 1250)


def test_bounds_are_checked() -> None:
    for key, options, low, high in [
        ("int", {"min": 1, "max": 5}, 0, 6), ("number", {"scale": 1, "min": 1, "max": 5}, 0.9, 5.1), ("money", {"min": 1, "max": 5}, 0.99, 5.01),
        ("date", {"min": "2025-01-01", "max": "2025-12-31"}, "2024-12-31", "2026-01-01"), ("time", {"min": "08:00", "max": "18:00"}, "07:59", "18:01"),
        ("datetime", {"min": "2025-01-01T00:00:00Z", "max": "2025-12-31T00:00:00Z"}, "2024-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
    ]:  # fmt: skip
        kind, fld, config = make(key, **options)
        for value in (low, high):
            assert refusals(kind, fld, kind.normalise(fld, value, config), config), (key, value)


@pytest.mark.parametrize("key", ["date", "datetime"])
def test_bounds_that_are_expressions_are_left_to_the_engine(key: str) -> None:
    kind, fld, config = make(key, min="today()", max="2030-01-01")
    assert kind.bound_expressions(fld) == {"min": "today()"}
    assert refusals(kind, fld, kind.EXAMPLES[0], config) == []


def test_decimals_are_refused_not_dropped() -> None:
    kind, fld, config = make("number")
    assert refusals(kind, fld, kind.normalise(fld, 12.345, config), config) == ["decimals"]
    assert kind.normalise(fld, 0.1 + 0.2, config) == 0.3
    assert kind.from_expr(fld, Decimal("12.345"), config) == 12.35


def test_moments_are_told_in_utc() -> None:
    kind, fld, config = make("datetime")
    assert kind.normalise(fld, "2025-03-03T16:00:00+08:00", config) == "2025-03-03T08:00:00Z"
    assert kind.to_form(fld, "2025-03-03T08:00:00Z", config) == "2025-03-03T16:00"
    assert kind.from_expr(fld, date(2025, 3, 3), config) == "2025-03-02T16:00:00Z"


def test_moment_becomes_the_tenants_day() -> None:
    kind, fld, config = make("date")
    assert kind.from_expr(fld, datetime(2025, 3, 2, 20, 0, tzinfo=UTC), config) == "2025-03-03"


def test_retired_option_may_stay_but_not_be_chosen() -> None:
    kind, fld, config = make("option")
    assert kind.problems_among(fld, "old", "old", {}, config) == []
    assert [code for code, _ in kind.problems_among(fld, "old", "gold", {}, config)] == ["retired_option"]


def test_dependent_option_belongs_to_its_parent() -> None:
    choices = [{"key": "a1", "label": {"en": "A1"}, "parent": "a"}, {"key": "any", "label": {"en": "Any"}}]
    for key in ("option", "multi"):
        kind, fld, config = make(key, options=choices, depends_on="group")
        wrap = (lambda v: [v]) if key == "multi" else (lambda v: v)
        assert kind.problems_among(fld, wrap("a1"), None, {"group": "a"}, config) == []
        assert [code for code, _ in kind.problems_among(fld, wrap("a1"), None, {"group": "b"}, config)] == ["wrong_parent"]
        assert kind.problems_among(fld, wrap("any"), None, {}, config) == []


def test_long_text_leaves_the_indexed_columns() -> None:
    for length, storage in ((255, "text"), (600, "text"), (601, "doc"), (1000, "doc")):
        kind, fld, config = make("text", max_length=length)
        assert kind.storage_of(fld, config) == storage


@pytest.mark.parametrize(
    ("options", "storage", "expr_type", "value", "stored"),
    [
        ({"fn": "count"}, "float", "number", 3, 3.0), ({"fn": "sum", "field": "number"}, "float", "number", 25.5, 25.5),
        ({"fn": "sum", "field": "pieces"}, "float", "number", 25, 25.0), ({"fn": "avg", "field": "number"}, "float", "number", 2.5, 2.5),
        ({"fn": "sum", "field": "price"}, "int", "number", {"amount": "12.50", "currency": "USD"}, 1250),
        ({"fn": "sum", "field": "effort"}, "int", "number", 7200, 7200), ({"fn": "avg", "field": "effort"}, "int", "number", 3600, 3600),
        ({"fn": "max", "field": "day"}, "time", "date", "2025-03-03", datetime(2025, 3, 3, tzinfo=UTC)),
        ({"fn": "latest", "field": "name"}, "text", "text", "Ada", "Ada"), ({"fn": "min", "field": "pieces"}, "int", "number", 2, 2),
    ],
)  # fmt: skip
def test_rollup_is_like_its_result(options: dict[str, Any], storage: str, expr_type: str, value: Any, stored: Any) -> None:
    kind, fld, config = make("rollup", of="things", **options)
    assert (kind.storage_of(fld, config), kind.expr_type_of(fld, config)) == (storage, expr_type)
    assert kind.to_column(fld, value, config) == stored
    assert same(kind.from_column(fld, stored, config), value)
    assert refusals(kind, fld, value, config) == []
    assert kind.display(fld, value, config, "en")


@pytest.mark.parametrize(
    ("returns", "expr_type", "result", "value", "text"),
    [
        ("text", "text", "a", "a", "a"), ("int", "number", Decimal("2.6"), 3, "3"), ("number", "number", Decimal("2.345"), 2.35, "2.35"),
        ("percent", "number", Decimal("120"), 120, "120.00%"), ("money", "number", Decimal("12.345"), {"amount": "12.35", "currency": "CNY"}, "CN¥12.35"),
        ("bool", "bool", True, True, "Yes"), ("date", "date", date(2025, 3, 3), "2025-03-03", "Mar 3, 2025"),
        ("datetime", "datetime", datetime(2025, 3, 3, 8, tzinfo=UTC), "2025-03-03T08:00:00Z", "Mar 3, 2025, 4:00 PM"),
    ],
)  # fmt: skip
def test_formula_is_like_its_result(returns: str, expr_type: str, result: Any, value: Any, text: str) -> None:
    kind, fld, config = make("formula", returns=returns, expr="x")
    assert kind.storage_of(fld, config) == "none" and kind.expr_type_of(fld, config) == expr_type
    assert same(kind.from_expr(fld, result, config), value)
    assert kind.display(fld, value, config, "en") == text
    assert refusals(kind, fld, value, config) == []


def test_national_ids_have_a_check_digit() -> None:
    from saas.runtime.fields.national_id import CHECKS

    assert CHECKS["CN"]("11010519491231002X") and not CHECKS["CN"]("110105194912310020")
    assert CHECKS["HK"]("A123456(3)") and not CHECKS["HK"]("A1234564")
    assert CHECKS["TW"]("A123456789") and not CHECKS["TW"]("A123456788")


@pytest.mark.parametrize(
    ("check", "good", "wrong_digit", "wrong_form"),
    [
        ("mod10", ["79927398713", "4539 5787 6362 1486"], "79927398710", "7992739871X"), ("mod11_2", ["0000-0002-1694-233x", "11010519491231002X"], "0000000216942330", "X000000216942330"),
        ("mod97", ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000"], "GB82WEST12345698765433", "8282WEST12345698765432"),
        ("ean13", ["4006381333931", "978-7-115-42802-8"], "4006381333932", "400638133393"), ("uscc", ["91350100M000100Y43", "914403001922038216"], "914403001922038217", "91440300192203821O"),
    ],
)  # fmt: skip
def test_codes_prove_themselves(check: str, good: list[str], wrong_digit: str, wrong_form: str) -> None:
    kind, fld, config = make("code", check=check)
    for text in good:
        assert accepted(kind, fld, text, config) is not None, text
    assert refusals(kind, fld, kind.normalise(fld, wrong_digit, config), config) == ["check_digit"]
    assert refusals(kind, fld, kind.normalise(fld, wrong_form, config), config) == ["code_form"]
    for place in range(len(wrong_digit)):  # every single mistyped digit is found
        digit = wrong_digit[place]
        if digit.isdigit():
            mistyped = kind.normalise(fld, good[-1], config)
            if place < len(mistyped) and mistyped[place].isdigit():
                other = f"{mistyped[:place]}{(int(mistyped[place]) + 1) % 10}{mistyped[place + 1 :]}"
                assert accepted(kind, fld, other, config) is None, other


def test_a_code_is_cleaned_as_its_options_say() -> None:
    assert accepted(*make("code", pattern="[A-Z]{2}[0-9]{4}")[:2], "ab-12 34", make("code")[2]) == "AB1234"
    kind, fld, config = make("code", case="keep", separators="keep", pattern="[a-z]+-[0-9]+", group=3)
    assert accepted(kind, fld, "ab-12", config) == "ab-12" and accepted(kind, fld, "AB12", config) is None
    assert kind.display(fld, "ab-12", config, "en") == "ab- 12"


def test_a_duration_counts_in_what_its_field_says() -> None:
    kind, fld, config = make("duration")
    assert refusals(kind, fld, kind.normalise(fld, "1:30:15", config), config) == ["precision"]
    assert kind.from_expr(fld, Decimal("5429"), config) == 5400 and kind.from_expr(fld, Decimal("5430"), config) == 5460
    kind, fld, config = make("duration", precision="seconds", min=1, max=60)
    assert kind.normalise(fld, "90", config) == 90 and refusals(kind, fld, 90, config) == []
    assert refusals(kind, fld, 59, config) == ["too_small"] and refusals(kind, fld, 3601, config) == ["too_large"]
    with use_locale("zh_CN"):
        assert "1 小时" in str(kind.problems(fld, 3601, config)[0][1])
        assert kind.from_form(fld, [kind.to_form(fld, 3675, config)], config) == 3675


def test_only_colours_of_the_palette_where_the_field_says_so() -> None:
    kind, fld, config = make("color", palette=["#ff0000"], only_palette=True)
    assert accepted(kind, fld, "#F00", config) == "#ff0000" and accepted(kind, fld, "#00ff00", config) is None
    kind, fld, config = make("color", palette=["#ff0000"])
    assert accepted(kind, fld, "#00ff00", config) == "#00ff00"


def test_a_bar_has_the_colour_of_its_band() -> None:
    kind, fld, config = make("progress")
    drawn = {value: str(kind.cell(fld, value, "x", config, "en")) for value in (0, 79, 80)}
    assert "c-red" in drawn[0] and "c-red" in drawn[79] and "c-green" in drawn[80] and 'value="79"' in drawn[79]
    assert kind.cell(fld, 140, "x", config, "en") is None


def test_kinds_load_twice_without_complaint() -> None:
    load_package("saas.runtime.fields")
    assert field_types.keys() == KEYS
