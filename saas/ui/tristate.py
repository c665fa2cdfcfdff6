"""The stage of a record as a box with three states: grey while it is open, ticked when it succeeded or is done, blank when it failed. Each box
that can be pressed is a transition that leads there, done through the same door as everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from saas.i18n import pick
from saas.metadata.config import Entity
from saas.metadata.models import TRISTATE
from saas.runtime import Context
from saas.runtime import operations as ops
from saas.runtime.previews import foretells
from saas.ui.render import markup

LOOKS = {"open": "grey", "won": "on", "done": "on", "lost": "off"}


@dataclass(frozen=True, slots=True)
class Box:
    look: str  # grey on off
    label: str
    stage: str
    current: bool = False
    key: str = ""  # of the transition that leads there; "" where none does
    text: str = ""
    url: str = ""
    direct: bool = False


def is_tristate(entity: Entity, key: str) -> bool:
    return entity.pipeline is not None and entity.pipeline.field == key and entity.fields[key].options.get("widget") == TRISTATE


def any_tristate(entity: Entity, keys: Iterable[str]) -> bool:
    """Whether it must be read what may be done with each record."""
    return any(is_tristate(entity, k) for k in keys if k in entity.fields)


def covered(entity: Entity, record: ops.Record) -> set[str]:
    """Keys of the transitions that the boxes stand for."""
    return {b.key for b in boxes("", entity, record) if b.key} if entity.pipeline and is_tristate(entity, entity.pipeline.field) else set()


def boxes(locale: str, entity: Entity, record: ops.Record) -> list[Box]:
    assert entity.pipeline is not None
    offers = record.can.transitions if record.can and record.deleted_at is None else ()
    found = []
    for stage in entity.pipeline.stages:
        offer = next((o for o in offers if o.to == stage.key), None) if stage.key != record.state else None
        look, label = LOOKS[stage.kind], pick(stage.label, locale)
        if offer is None:
            found.append(Box(look, label, stage.key, stage.key == record.state))
        else:
            url = f"/r/{entity.key}/{record.id}/transitions/{quote(offer.key)}"
            transition = entity.pipeline.transition(offer.key)
            direct = not (offer.missing or offer.ask or offer.confirm or (transition is not None and foretells(transition.effects)))
            found.append(Box(look, label, stage.key, False, offer.key, offer.label, url, direct))
    return found


def control(ctx: Context, entity: Entity, key: str, record: ops.Record, *, large: bool = False) -> Markup | None:
    """None where the field is none of these, or hidden. Its buttons belong to the page's form `moves`."""
    if not is_tristate(entity, key) or record.state is None or key not in record.display:
        return None
    shown = boxes(ctx.locale, entity, record)
    return markup("records/_tristate.html", boxes=shown, large=large, state=record.state, name=pick(entity.fields[key].label, ctx.locale), title=record.title)
