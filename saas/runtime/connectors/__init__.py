"""Other systems that are spoken with in JSON: mirrors that are fetched by the clock, live lists that are asked for when somebody looks,
and calls that leave through the outbox. Where a system is, and its secret, belong to an installation; a stub answers from the
configuration's samples, so that nothing leaves.

    asking   one request and its answer, or why there is none
    samples  what a stub answers
    mirrors  fetching rows into records
    live     rows shown with a record
    calls    what a record sends, and what it takes of the answer
"""

from saas.runtime.connectors.asking import NoAnswer, ask, connection_in, connection_of, mode_of
from saas.runtime.connectors.calls import take_answer
from saas.runtime.connectors.live import LiveRows, lists_of, look_up
from saas.runtime.connectors.mirrors import Freshness, Pulled, freshness_of, is_fed, pull, pull_connector

__all__ = [
    "Freshness", "LiveRows", "NoAnswer", "Pulled", "ask", "connection_in", "connection_of", "freshness_of", "is_fed", "lists_of", "look_up", "mode_of", "pull", "pull_connector", "take_answer",
]  # fmt: skip
