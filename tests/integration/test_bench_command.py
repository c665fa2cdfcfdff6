"""The engine benchmark at its smallest: both systems answer everything, and say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import command
from tests.benchmarks.measure import Timing, interleaved, quantile, ratio_of

ROOT = Path(__file__).parent.parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAAS_", "DATABASE_"))}
    return subprocess.run([sys.executable, "-m", "saas", "bench", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_without_a_name_it_lists_the_benchmarks() -> None:
    found = bench()
    assert found.returncode == 0
    names = [line.split()[0] for line in found.stdout.splitlines()[2:]]
    assert names == sorted(command.benchmarks()) and "engine" in names


def test_an_unknown_name_is_refused() -> None:
    found = bench("nothing")
    assert found.returncode == 2 and "engine" in found.stderr and not found.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One run on an embedded server of its own, the smallest there is."""
    out = tmp_path_factory.mktemp("bench") / "report.json"
    found = bench("engine", "--records", "600", "--deals", "300", "--tenants", "2", "--rounds", "4", "--rows", "40", "--out", str(out), "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == json.loads(out.read_text())
    return json.loads(out.read_text())


def test_both_systems_give_the_same_answers(report: dict) -> None:
    assert [(row["key"], row.get("difference")) for row in report["rows"] if not row["equal"]] == []
    assert not report["notes"]


def test_every_operation_is_measured(report: dict) -> None:
    wanted = {
        "list", "list_deep", "filter", "count_capped", "count_exact", "list_links", "get", "create", "update", "transition", "page_list", "page_board", "report", "funnel",
        "search_chinese", "search_word", "import", "export",
    }  # fmt: skip
    rows = {row["key"]: row for row in report["rows"]}
    assert wanted <= set(rows)
    for row in rows.values():
        assert row["product"]["rounds"] == row["baseline"]["rounds"] >= 1
        assert row["product_ms"] > 0 and row["ratio"] == pytest.approx(row["product_ms"] / row["baseline_ms"], rel=0.01)
    assert rows["import"]["counts"] == {"product": [40, 0], "baseline": [40, 0]}
    assert rows["export"]["counts"] == {"product": 40, "baseline": 40}
    assert all(peak["peak"] >= peak["before"] * 0.9 for peak in rows["import"]["memory_mb"].values())


def test_pages_are_about_as_large(report: dict) -> None:
    """The baseline must not win by saying less."""
    for row in report["rows"]:
        if "bytes" in row and row["key"] != "funnel":  # so few deals are named one by one in the product's links
            assert 0.75 < row["bytes"]["baseline"] / row["bytes"]["product"] < 1.3, row["key"]


# ---- measuring ---------------------------------------------------------------------------------------------------------------


def test_measuring_takes_turns() -> None:
    order = []

    def note(name: str, seconds: float):
        def run(number: int) -> float:
            order.append((number, name))
            return seconds + number / 1000

        return run

    one, other = interleaved(note("a", 0.2), note("b", 0.1), rounds=4, warm_up=2)
    assert [name for _, name in order] == list("ab" + "ba") * 3
    assert one == pytest.approx([0.202, 0.203, 0.204, 0.205]) and len(other) == 4
    ratio, low, high = ratio_of(one, other)
    assert low <= ratio <= high and ratio == pytest.approx(0.2035 / 0.1035, abs=0.001)


def test_a_slow_operation_ends_early_but_not_at_once() -> None:
    one, _ = interleaved(lambda _n: 1.0, lambda _n: 1.0, rounds=50, warm_up=1, seconds=0.0, least=3)
    assert len(one) == 3


def test_quantiles() -> None:
    assert quantile([4.0, 1.0, 2.0, 3.0], 0.5) == 2.5 and quantile([1.0], 0.95) == 1.0
    timing = Timing.of([0.001, 0.002, 0.010])
    assert (timing.median, timing.mad, timing.least, timing.rounds) == (2.0, 1.0, 1.0, 3)
