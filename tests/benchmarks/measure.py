"""Measuring pairs in turn, and the report: one JSON document and a readable table."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def quantile(values: Sequence[float], share: float) -> float:
    """Between the two nearest values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds. `mad`: median distance from the median."""

    median: float
    p95: float
    mad: float
    least: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        found = [s * 1000 for s in seconds]
        middle = statistics.median(found)
        return cls(round(middle, 3), round(quantile(found, 0.95), 3), round(statistics.median(abs(f - middle) for f in found), 3), round(min(found), 3), len(found))


def ratio_of(one: Sequence[float], other: Sequence[float], *, draws: int = 300) -> tuple[float, float, float]:
    """Ratio of the medians, and between which values nine of ten would lie if the same were measured again (bootstrap)."""
    draw = random.Random(1)
    found = [statistics.median(draw.choices(one, k=len(one))) / statistics.median(draw.choices(other, k=len(other))) for _ in range(draws)]
    return round(statistics.median(one) / statistics.median(other), 3), round(quantile(found, 0.05), 3), round(quantile(found, 0.95), 3)


def interleaved(
    one: Callable[[int], float], other: Callable[[int], float], *, rounds: int, warm_up: int = 3, seconds: float = 30.0, least: int = 5
) -> tuple[list[float], list[float]]:
    """Run both in turn, the second first in every other round, so that what else the machine does hits both. Each function is
    given the round's number and returns its seconds. Ends early, but not before `least` rounds, when `seconds` have passed."""
    first: list[float] = []
    second: list[float] = []
    began = time.monotonic()
    for number in range(warm_up + rounds):
        if len(first) >= least and time.monotonic() - began > seconds:
            break
        if number % 2:
            b, a = other(number), one(number)
        else:
            a, b = one(number), other(number)
        if number >= warm_up:
            first.append(a)
            second.append(b)
    return first, second


# ---- the report --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """`rows` are shown as a table with `columns` (row key -> heading); everything is in the JSON. `charts`: file name -> SVG."""

    benchmark: str
    options: dict[str, Any]
    columns: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    charts: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        del found["charts"]
        return found

    def text(self) -> str:
        """A table, numbers to the right."""
        lines = [[_shown(row.get(key)) for key in self.columns] for row in self.rows]
        head = list(self.columns.values())
        widths = [max([len(head[i]), *(len(line[i]) for line in lines)]) for i in range(len(head))]
        numeric = [all(isinstance(row.get(key), int | float | None) for row in self.rows) for key in self.columns]
        said = [f"{self.benchmark}: {', '.join(f'{k} {v}' for k, v in self.options.items())}", f"{self.machine['cpus']} CPUs, {self.machine['memory_gb']} GB, Python {self.machine['python']}", ""]
        for line in [head, *lines]:
            said.append("  ".join(text.rjust(w) if n else text.ljust(w) for text, w, n in zip(line, widths, numeric, strict=True)).rstrip())
        return "\n".join([*said, *([""] if self.notes else []), *self.notes])


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def machine() -> dict[str, Any]:
    """What it ran on, as far as it matters to the figures; no names."""
    memory = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), 0)
    model = next((line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")), platform.machine())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"cpus": os.cpu_count(), "cpu": model, "memory_gb": round(memory / 1024 / 1024), "python": platform.python_version(), "system": platform.system(), "load_before": round(load, 2)}


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
