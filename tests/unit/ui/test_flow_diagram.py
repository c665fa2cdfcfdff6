"""Drawings of pipelines: everything is on the paper, nothing covers a name, whatever the pipeline looks like."""

from __future__ import annotations

import re
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from saas.ui.builder.diagram import Box, Drawing, Label, Move, Stage, draw_column, draw_row, shortened, text_width, wrapped

NAMES = ("New", "Waiting for approval", "谈判中", "Qualified lead", "Donaudampfschifffahrtsgesellschaft", "赢单", "A", "已提交等待主管审批的申请")


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[list[Stage], list[Move]]:
    count = draw(st.integers(1, 14))
    stages = [Stage(f"s{n}", draw(st.sampled_from(NAMES)), "blue", draw(st.sampled_from(("open", "won", "lost", "done"))), draw(st.sampled_from(("", "20 %")))) for n in range(count)]
    keys = [s.key for s in stages]
    some = st.lists(st.sampled_from(keys), min_size=1, max_size=5, unique=True).map(tuple)
    moves = [
        Move(f"t{n}", draw(st.sampled_from(NAMES)), draw(st.one_of(st.just(("*",)), some)), draw(some), n + 1)
        for n in range(draw(st.integers(0, 20)))
    ]  # fmt: skip
    return stages, moves


def overlap(a: Box | Label, b: Box | Label) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def points(path: str) -> list[tuple[float, float]]:
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check(drawing: Drawing, stages: list[Stage], moves: list[Move]) -> None:
    labels = [line.label for line in drawing.lines]
    assert [b.stage for b in drawing.boxes] == stages
    assert {line.move.key for line in drawing.lines} == {m.key for m in moves}, "a move is not drawn"
    for a, b in combinations([*drawing.boxes, *labels], 2):
        assert not overlap(a, b), (a, b)
    for thing in (*drawing.boxes, *labels):
        assert thing.x >= 0 and thing.y >= 0 and thing.x + thing.width <= drawing.width + 1 and thing.y + thing.height <= drawing.height + 1, thing
    for line in drawing.lines:
        for x, y in points(line.path):
            assert -1 <= x <= drawing.width + 1 and -1 <= y <= drawing.height + 1, line
        assert len(line.heads) >= 1


@given(pipelines())
def test_nothing_lies_on_anything_else_in_a_row(pipeline):
    check(draw_row(*pipeline), *pipeline)


@given(pipelines())
def test_nothing_lies_on_anything_else_in_a_column(pipeline):
    check(draw_column(*pipeline), *pipeline)


def test_twelve_stages_fit_a_wide_page():
    drawing = draw_row([Stage(f"s{n}", "Negotiation") for n in range(12)], [Move(f"t{n}", "Next", (f"s{n}",), (f"s{n + 1}",), n) for n in range(11)])
    assert drawing.width <= 1040 and "vast" not in drawing.css
    assert all("".join(text for text, _x, _y in box.lines) == "Negotiation" and len(box.lines) == 1 for box in drawing.boxes)


def test_forward_runs_above_and_back_below():
    stages = [Stage("a", "A"), Stage("b", "B")]
    forth, back, again = draw_row(stages, [Move("f", "F", ("a",), ("b",), 1), Move("r", "R", ("b",), ("a",), 2), Move("s", "S", ("a",), ("a",), 3)]).lines
    box = draw_row(stages, []).boxes[0]
    assert forth.label.y < back.label.y and forth.label.y < again.label.y
    assert box.height > 0


def test_a_move_both_ways_is_drawn_on_both_sides():
    stages = [Stage(k, k) for k in "abc"]
    drawing = draw_row(stages, [Move("m", "M", ("a", "c"), ("b",), 1)])
    assert len(drawing.lines) == 2


def test_what_leads_nowhere_known_is_left_out():
    stages = [Stage("a", "A")]
    assert draw_row(stages, [Move("m", "M", ("gone",), ("a",), 1), Move("n", "N", ("a",), ("gone",), 2)]).lines == ()


@given(st.text(max_size=60), st.floats(20, 200))
def test_texts_are_broken_and_shortened_to_fit(text, width):
    lines = wrapped(text, width, 12, 3)
    assert 1 <= len(lines) <= 3
    assert all(text_width(line, 12) <= width or len(line) <= 1 for line in lines[:-1])
    assert text_width(shortened(text, width, 12), 12) <= max(width, text_width("…", 12)) + 0.01
