"""Record schemas and validators: what a value may look like, in words for the person who typed it."""

from __future__ import annotations

from typing import Any

import pytest
from bundles import field, good_bundle
from jsonschema import Draft202012Validator

from saas.metadata.compile import record_schema, record_schema_for, validate, validator
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle


@pytest.fixture
def config() -> Config:
    raw = good_bundle()
    raw["entities"][0]["fields"] += [
        field("code", "text", pattern="[A-Z]{2}[0-9]{3}"),
        field("serial", "text", pattern="digits", min_length=3),
        field("colours", "multi", set="grade"),
        field("site", "url"),
        field("score_text", "text", message={"en": "Ask accounting.", "zh_CN": "请咨询财务"}, max_length=3),
    ]
    return Config(parse_bundle(raw))


def said(config: Config, values: dict[str, Any], *, partial: bool = True, entity: str = "customer") -> dict[str, str]:
    return {p.field: str(p.message) for p in validate(config, entity, values, partial=partial)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"credit": 9}, "Enter a number between 1 and 5."),
        ({"credit": "many"}, "Enter a whole number."),
        ({"credit": 1.5}, "Enter a whole number."),
        ({"grade": "z"}, "Choose one of the listed options."),
        ({"name": "x" * 63}, "Use at most 50 characters (you have 63)."),
        ({"serial": "12"}, "Use at least 3 characters (you have 2)."),
        ({"serial": "12x"}, "Use digits only."),
        ({"code": "ab1"}, "This is not written as it must be ([A-Z]{2}[0-9]{3})."),
        ({"since": "2025-02-30"}, "Enter a date such as 2025-03-31."),
        ({"since": "yesterday"}, "Enter a date such as 2025-03-31."),
        ({"helper": "not-an-id"}, "Choose one of the entries offered."),
        ({"colours": ["a", "a"]}, "The same entry is chosen twice."),
        ({"colours": ["z"]}, "Choose one of the listed options."),
        ({"nam": "x"}, "There is no field “nam” here. Did you mean “name”?"),
        ({"zzz": 1}, "There is no field “zzz” here."),
        ({"score_text": "long one"}, "Ask accounting."),
    ],
)
def test_message(config: Config, values: dict[str, Any], message: str):
    assert said(config, values) == {next(iter(values)): message}


def test_one_problem_a_field_and_all_fields(config: Config):
    assert set(said(config, {"credit": 99, "grade": "z", "name": "x" * 99, "oops": 1})) == {"credit", "grade", "name", "oops"}


def test_required_fields_are_required_of_whole_records_only(config: Config):
    assert said(config, {}, partial=False) == {"name": "This field is required."}
    assert said(config, {}) == {}
    assert said(config, {"name": None}, partial=False) == {"name": "This field is required."}
    assert said(config, {"grade": None}) == {}


def test_field_with_default_need_not_be_given(config: Config):
    raw = good_bundle()
    raw["entities"][1]["fields"][0]["default"] = "New"
    assert said(Config(parse_bundle(raw)), {"customer": "018f0000-0000-7000-8000-000000000000"}, partial=False, entity="deal") == {}


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {"a": {"b": [1]}}, 10**400, b"x", object()])
def test_what_is_no_json_is_refused_with_words(config: Config, value: Any):
    problems = validate(config, "customer", {"credit": value}, partial=True)
    assert [p.field for p in problems] == ["credit"]
    assert len(str(problems[0].message)) > 5


def test_problems_carry_a_json_pointer(config: Config):
    assert [p.path for p in validate(config, "customer", {"colours": ["a", "z"]}, partial=True)] == ["/colours/1"]


def test_validator_is_made_once(config: Config):
    assert validator(config, "customer") is validator(config, "customer")


def test_schema_is_a_json_schema(config: Config):
    for entity in config.entities:
        Draft202012Validator.check_schema(record_schema(config, entity))


# ---- as a role sees it --------------------------------------------------------------------------------------------------


def test_role_schema_leaves_hidden_fields_out(config: Config):
    accesses = {"name": "write", "grade": "read", "phone": "hidden", "deal_sum": "read", "since": "write"}
    schema = record_schema_for(config, "customer", accesses, "zh_CN")
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == {"name", "grade", "deal_sum", "since"}
    assert schema["required"] == ["name"]
    assert schema["title"] == "Customer（中）"
    assert schema["properties"]["name"]["title"] == "Name（中）"
    assert schema["properties"]["grade"]["readOnly"] is True
    assert "readOnly" not in schema["properties"]["name"]
    assert [o["key"] for o in schema["properties"]["grade"]["x-options"]] == ["a", "b"]
    assert schema["properties"]["deal_sum"]["readOnly"] is True


def test_required_field_a_role_may_not_write_is_not_required_of_it(config: Config):
    assert record_schema_for(config, "customer", {"name": "read"}, "en")["required"] == []


def test_references_say_what_they_refer_to(config: Config):
    schema = record_schema_for(config, "deal", {"customer": "write", "status": "read"}, "en")
    assert schema["properties"]["customer"]["x-refers-to"] == "customer"
    assert [o["key"] for o in schema["properties"]["status"]["x-options"]] == ["open", "won", "lost"]
