"""What a new pipeline begins with: stages and moves that fit common kinds of work. Pure; all of it can be changed afterwards."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from saas.i18n import LazyString, lazy
from saas.metadata.blueprints import STAGE, TAKEN, new_pipeline
from saas.metadata.edits import key_for

Raw = dict[str, Any]
Label = Mapping[str, str]


class Shape(NamedTuple):
    """Stages are (key, label, color, kind, probability); moves are (key, label, sources, target, style)."""

    title: LazyString
    note: LazyString
    icon: str
    stages: tuple[tuple[str, Label, str, str, int | None], ...] = ()
    moves: tuple[tuple[str, Label, tuple[str, ...], str, str], ...] = ()


def _label(en: str, zh: str) -> Label:
    return {"en": en, "zh_CN": zh}


SHAPES: Mapping[str, Shape] = {
    "work": Shape(lazy("Work to be done"), lazy("New, in progress, done"), "check-square"),
    "sale": Shape(
        lazy("A sale"), lazy("From first contact to won or lost, with chances"), "target",
        (
            ("new", _label("New", "新建"), "gray", "open", 10), ("qualified", _label("Qualified", "已确认"), "blue", "open", 30),
            ("offer", _label("Offer made", "已报价"), "indigo", "open", 60), ("won", _label("Won", "赢单"), "green", "won", 100),
            ("lost", _label("Lost", "输单"), "red", "lost", 0),
        ),
        (
            ("qualify", _label("Qualify", "确认需求"), ("new",), "qualified", "primary"), ("make_offer", _label("Make an offer", "报价"), ("qualified",), "offer", "primary"),
            ("win", _label("Won", "赢单"), ("offer",), "won", "primary"), ("lose", _label("Lost", "输单"), ("new", "qualified", "offer"), "lost", "danger"),
            ("reopen", _label("Reopen", "重新打开"), ("lost",), "new", "default"),
        ),
    ),
    "approval": Shape(
        lazy("An approval"), lazy("Somebody asks, somebody else decides"), "shield",
        (
            ("draft", _label("Draft", "草稿"), "gray", "open", None), ("submitted", _label("Waiting for approval", "待审批"), "orange", "open", None),
            ("approved", _label("Approved", "已批准"), "green", "done", None), ("rejected", _label("Rejected", "已驳回"), "red", "lost", None),
        ),
        (
            ("submit", _label("Submit", "提交"), ("draft",), "submitted", "primary"), ("approve", _label("Approve", "批准"), ("submitted",), "approved", "primary"),
            ("reject", _label("Reject", "驳回"), ("submitted",), "rejected", "danger"), ("revise", _label("Revise", "修改"), ("submitted", "rejected"), "draft", "default"),
        ),
    ),
    "lending": Shape(
        lazy("Something lent or rented"), lazy("Requested, handed out, returned"), "package",
        (
            ("requested", _label("Requested", "已申请"), "gray", "open", None), ("approved", _label("Approved", "已同意"), "blue", "open", None),
            ("handed_out", _label("Handed out", "已借出"), "orange", "open", None), ("returned", _label("Returned", "已归还"), "green", "done", None),
        ),
        (
            ("approve", _label("Approve", "同意"), ("requested",), "approved", "primary"), ("hand_out", _label("Hand out", "借出"), ("approved",), "handed_out", "primary"),
            ("take_back", _label("Take back", "归还"), ("handed_out",), "returned", "primary"), ("withdraw", _label("Withdraw", "撤回"), ("approved",), "requested", "default"),
        ),
    ),
}  # fmt: skip


def add_pipeline(raw: Mapping[str, Any], entity_key: str, label: Label, field_label: Label, shape: str) -> tuple[Raw, str]:
    """The bundle with a pipeline for an entity and the field it drives, and the pipeline's key."""
    result: Raw = copy.deepcopy(dict(raw))
    key = key_for(label, {"new", *(p.get("key") for p in result.get("pipelines", ()))}, "pipeline")
    entity = next(e for e in result["entities"] if e.get("key") == entity_key)
    field_key = key_for(field_label or STAGE, {*TAKEN, *(f.get("key") for f in entity["fields"])}, "stage")
    entity["fields"].append({"key": field_key, "type": "pipeline", "label": dict(field_label or STAGE), "pipeline": key})
    result.setdefault("pipelines", []).append(_shaped(new_pipeline(key, entity_key, field_key, label), SHAPES[shape]))
    return result, key


def _shaped(pipeline: Raw, shape: Shape) -> Raw:
    if not shape.stages:
        return pipeline
    stages = [
        {
            "key": key, "label": dict(label), "color": color, **({"kind": kind} if kind != "open" else {}),
            **({"probability": probability} if probability is not None else {}),
        }
        for key, label, color, kind, probability in shape.stages
    ]  # fmt: skip
    moves = [
        {"key": key, "label": dict(label), "from": list(sources), "to": to, **({"style": style} if style != "default" else {})}
        for key, label, sources, to, style in shape.moves
    ]  # fmt: skip
    return {**pipeline, "stages": stages, "transitions": moves}


# ---- stages that go -----------------------------------------------------------------------------------------------------


def without_stage(pipeline: Mapping[str, Any], stage: str, instead: str) -> Raw:
    """The pipeline without a stage: what led to it leads to `instead`; what began there, and what would now lead from a stage to
    itself only because of this, is gone."""
    result: Raw = copy.deepcopy(dict(pipeline))
    result["stages"] = [s for s in result.get("stages", ()) if s.get("key") != stage]
    kept = []
    for move in result.get("transitions", ()):
        led = _targets(move)
        if move.get("to") == stage:
            move["to"] = instead
        for branch in move.get("branches", ()):
            if branch.get("to") == stage:
                branch["to"] = instead
        sources = [s for s in move.get("from", ()) if s != stage]
        if stage in led and "*" not in sources:
            sources = [s for s in sources if s != instead or instead in led or _targets(move) != {instead}]
        if sources:
            kept.append({**move, "from": sources})
    if "transitions" in result:
        result["transitions"] = kept
    return result


def _targets(move: Mapping[str, Any]) -> set[str]:
    return {str(t) for t in (move.get("to"), *(b.get("to") for b in move.get("branches", ()))) if t}
