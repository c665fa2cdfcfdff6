"""Whether a question about records can be asked in SQL, or each record must be looked at as it will be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from saas.runtime.impact._shared.survey import Survey


@dataclass(frozen=True, slots=True)
class Question:
    """`judged`: the answer depends on values that the plan rewrites, so SQL on what is stored would lie. `reads`: the entity's own
    fields it looks at. `exact` is False where it also depends on rewritten values of other entities."""

    judged: bool
    reads: tuple[str, ...]
    exact: bool


def question(survey: Survey, entity_key: str, texts: Iterable[str | None], keys: Iterable[str] = ()) -> Question:
    """What `texts` (expressions of the planned configuration) and the fields `keys` of an entity depend on."""
    looks = {(entity_key, key) for key in keys}
    for text in texts:
        if text:
            looks |= survey.looks_at(survey.after, entity_key, text)
    own = {key for entity, key in looks if entity == entity_key}
    others = {pair for pair in looks if pair[0] not in ("", entity_key)}
    declared = survey.after.entity(entity_key).declared
    return Question(
        judged=bool(own & survey.touched(entity_key)),
        reads=tuple(sorted(own & set(declared))),
        exact=not any(key in survey.touched(entity) for entity, key in others),
    )
