"""Records that may be the same thing: how values are compared, what of them is indexed, who is found, and what is told of them.

`forms` makes values comparable, `rules` says which comparisons a configuration asks for, `index` keeps the tokens by which records are
found, `looking` finds them and decides what a person may learn.
"""

from __future__ import annotations

from saas.runtime.twins.index import GRAM, MARK, fields_looked_at, marked, marks, signature, tokens
from saas.runtime.twins.looking import Confirmation, found_twins, let_wait, look_for_duplicates, told
from saas.runtime.twins.pairs import TwinGroup, dismiss, forget_pairs, keep_pairs, search_at_night, start_search, twin_groups
from saas.runtime.twins.rules import Matcher, own_rules, review_matchers

__all__ = [
    "GRAM", "MARK", "Confirmation", "Matcher", "TwinGroup", "dismiss", "fields_looked_at", "forget_pairs", "found_twins", "keep_pairs", "let_wait", "look_for_duplicates", "marked", "marks", "own_rules", "review_matchers", "search_at_night", "signature", "start_search", "tokens", "told", "twin_groups",
]  # fmt: skip
