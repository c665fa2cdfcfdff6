"""Expressions as people read them: no key and no sign of the language is left where a label is known."""

from __future__ import annotations

import pytest

from saas.i18n import use_locale
from saas.metadata.expression_words import expression_words
from saas.metadata.naming import Lookup
from saas.metadata.packs import list_packs, load_pack


@pytest.fixture(scope="module")
def lookup() -> Lookup:
    return Lookup(load_pack("baseline-crm"))


@pytest.mark.parametrize(
    ("entity", "text", "words"),
    [
        ("task", "status in ['open', 'in_progress'] and due == add_days(today(), 1)", "Status is one of Open, In progress and Due is today + 1 day"),
        ("opportunity", "not is_empty(name) and day(today()) > 3", "Name is not empty and the day of the month of today is more than 3"),
        ("opportunity", "customer.owner == me() and owner != null", "Customer · Account manager is me and Owner is not empty"),
        ("opportunity", "not exists(orders where status != 'cancelled')", "there are no Orders (Status is not Cancelled)"),
        ("quotation", "is_changed('discount') and not has_role('manager')", "Discount has changed and the person does not have the role “Sales manager”"),
        ("quotation", "coalesce(discount, 0) > setting('max_discount')", "Discount (0 if empty) is more than “Discount a salesperson may give (%)”"),
        ("target", "max(amount - actual, 0)", "the largest of Target − Actual, 0"),
        ("opportunity", "in_period(expected_close, 'last_n_days:7') or name == 'x'", "Expected close is in the last 7 days or Name is “x”"),
        (None, "gone == 'x'", "gone is “x”"),
        ("task", "status ==== 'open'", "status ==== 'open'"),
    ],
)
def test_an_expression_is_a_sentence(lookup: Lookup, entity: str | None, text: str, words: str) -> None:
    assert str(expression_words(lookup, text, entity)) == words


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_no_sign_of_the_language_is_left_in_shipped_configurations(locale: str) -> None:
    seen = 0
    for info in list_packs():
        raw = load_pack(info.key)
        lookup = Lookup(raw)
        for automation in (*raw.get("automations", ()), *raw.get("schedules", ())):
            for text in (automation.get("if"), automation.get("where")):
                if isinstance(text, str):
                    with use_locale(locale):
                        words = str(expression_words(lookup, text, automation["entity"]))
                    assert not any(sign in words for sign in ("==", "!=", "<", ">", "()", "['", "null")), (text, words)
                    seen += 1
    assert seen > 20
