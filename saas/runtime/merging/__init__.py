"""Several records that are the same become one: whose values win, what is led to the survivor, where old ids lead, and the way back.

`choosing` proposes values, `doing` merges, `undoing` takes it back, `traces` follows old ids.
"""

from __future__ import annotations

from saas.runtime.merging.choosing import ALL, Choice, Comparison, compare
from saas.runtime.merging.doing import MOST_RECORDS, MergedRecords, merge
from saas.runtime.merging.sheets import sheet
from saas.runtime.merging.traces import refuse_traced, survivor_of, untraced_sql
from saas.runtime.merging.undoing import PastMerge, past_merge, undo

__all__ = [
    "ALL", "MOST_RECORDS", "Choice", "Comparison", "MergedRecords", "PastMerge", "compare", "merge", "past_merge", "refuse_traced", "sheet", "survivor_of", "undo", "untraced_sql",
]  # fmt: skip
