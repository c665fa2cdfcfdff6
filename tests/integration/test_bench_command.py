"""The engine benchmark at its smallest: both systems answer everything, and say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import command
from tests.benchmarks.chart import exponent, logarithmic
from tests.benchmarks.measure import Timing, interleaved, quantile, ratio_of

ROOT = Path(__file__).parent.parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAAS_", "DATABASE_"))}
    return subprocess.run([sys.executable, "-m", "saas", "bench", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


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


# ---- the others --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_growth_draws_each_operation(tmp_path: Path) -> None:
    found = bench("growth", "--sizes", "300,900", "--tenants", "3,6", "--rounds", "3", "--out", str(tmp_path / "growth.json"))
    assert found.returncode == 0, found.stderr
    report = json.loads((tmp_path / "growth.json").read_text())
    axes = {(row["key"], row["axis"]) for row in report["rows"]}
    assert {("list", "records"), ("list", "tenants"), ("transition", "records"), ("report", "records")} <= axes
    for axis in ("records", "tenants"):
        drawn = ElementTree.parse(tmp_path / f"growth-{axis}.svg").getroot()
        lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
        assert len(lines) == sum(row["axis"] == axis for row in report["rows"])


@pytest.mark.slow
def test_load_counts_what_was_answered(tmp_path: Path) -> None:
    found = bench("load", "--records", "1500", "--deals", "900", "--tenants", "1", "--seconds", "2", "--limit", "150", "--out", str(tmp_path / "load.json"))
    assert found.returncode == 0, found.stderr
    report = json.loads((tmp_path / "load.json").read_text())
    assert [row["people"] for row in report["rows"]][:1] == [1]
    assert all(row["errors"] == 0 and row["throughput"] > 0 and row["web_ms"] > 0 and row["database_ms"] > 0 for row in report["rows"])
    alone = report["detail"]["alone"]
    assert alone["get"]["templates"] == 0 < alone["page_list"]["templates"]
    asked = [part for part in alone.values() if part["total"]]  # at this size there may be no deal left to move
    assert len(asked) >= len(alone) - 2 and all(part["database"] > 0 and part["python"] > 0 for part in asked)


@pytest.mark.slow
def test_neighbours_are_measured_alone_and_beside(tmp_path: Path) -> None:
    found = bench("neighbours", "--records", "600", "--deals", "300", "--seconds", "1.5", "--turns", "1", "--people", "6", "--out", str(tmp_path / "neighbours.json"))
    assert found.returncode == 0, found.stderr
    report = json.loads((tmp_path / "neighbours.json").read_text())
    whole = report["rows"][0]
    assert whole["operation"] == "all" and whole["count"] > 5 and whole["alone_p95"] > 0 and whole["beside_p95"] > 0 and whole["ratio"] > 0
    assert report["detail"]["beside"][0]["requests"] > 0 and not report["detail"]["errors"]


# ---- drawing -----------------------------------------------------------------------------------------------------------------


def test_the_exponent_is_the_slope_on_logarithmic_axes() -> None:
    assert exponent([(10, 5.0), (100, 5.0), (1000, 5.0)]) == 0
    assert exponent([(10, 2.0), (100, 20.0), (1000, 200.0)]) == 1
    assert exponent([(1, 1.0), (100, 10.0)]) == 0.5


def test_a_chart_has_a_line_for_each_series() -> None:
    drawn = ElementTree.fromstring(logarithmic("Title <&>", "x", "y", {"one": [(10, 0.5), (1000, 40)], "two": [(10, 3), (1000, 3)]}))
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    rising, flat = ([tuple(map(float, place.split(","))) for place in line.get("points", "").split()] for line in lines)
    assert rising[0][1] > rising[1][1] and flat[0][1] == flat[1][1]  # upwards is smaller


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
