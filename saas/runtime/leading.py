"""Which entities of a configuration people meet first, told by how it is put together; no entity is known by name."""

from __future__ import annotations

from dataclasses import dataclass

from saas.metadata.config import Config, Entity
from saas.metadata.models import ViewDef
from saas.runtime.permissions import only_forms


@dataclass(frozen=True, slots=True)
class Leading:
    """`main`: what most other entities refer to and people make themselves. `moving`: the first that goes through stages, with its
    `board` (None: it has none). Either is None in a configuration without such an entity."""

    main: Entity | None
    moving: Entity | None
    board: ViewDef | None


def leading(config: Config) -> Leading:
    """Kept with the configuration."""
    return config.cached("leading", lambda: _leading(config))


def _leading(config: Config) -> Leading:
    own = [e for e in config.entities.values() if not e.defn.read_only and not any(f.options.get("detail") for f in e.defn.fields)]
    shown = [e for e in own if e.key in _in_menus(config)] or own
    referred = {e.key: sum(r.child != e.key for r in e.children.values()) for e in shown}
    alone = [e for e in shown if e.key not in only_forms(config)] or shown  # what is entered through a form only has no page of its own to begin with
    main = max(alone, key=lambda e: (referred[e.key], -shown.index(e)), default=None)
    moving = [e for e in shown if e.pipeline is not None and e.pipeline.transitions]
    boards = {e.key: v for e in moving for v in reversed(config.views(e.key)) if v.kind == "board"}
    # A board that sums money up is the one that is looked at; among equals the one with the longest way.
    best = max(moving, key=lambda e: (_weight(boards.get(e.key)), len(e.pipeline.stages) if e.pipeline else 0, -moving.index(e)), default=None)
    return Leading(main, best, boards.get(best.key) if best else None)


def _weight(board: ViewDef | None) -> int:
    return 0 if board is None else 2 if (board.board or {}).get("sum") else 1


def _in_menus(config: Config) -> set[str]:
    keys = set()
    for role in config.bundle.roles:
        for group in role.menu:
            for item in group.items:
                kind, _colon, key = item.partition(":")
                keys.add(key if kind == "board" else kind)
    return keys


__all__ = ["Leading", "leading"]
