"""Every metric of the product, by name, and the text Prometheus reads.

Several processes of one machine share a directory (PROMETHEUS_MULTIPROC_DIR, which `saas serve --workers N` makes): each writes its
figures there and any of them answers for all. What only the database knows is asked for when somebody reads (`saas.tenants.health`).
Labels are patterns and keys of ours: no tenant, no address, no value ever becomes one, but for the few tenants an operator asks for.
"""

from __future__ import annotations

import os
import platform
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from saas.settings import metrics_directory

_directory = metrics_directory()  # as the library sees it when it is imported
IS_SHARED = _directory is not None
REGISTRY = CollectorRegistry()
disable_created_metrics()  # a series more for each, which nothing here reads
if not IS_SHARED:
    ProcessCollector(registry=REGISTRY)
    PlatformCollector(registry=REGISTRY)
    GCCollector(registry=REGISTRY)

_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)
_JOB_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 1800)

requests = Histogram("saas_request_seconds", "Requests by pattern of the address, method and class of the status; _count counts them.", ["route", "method", "status"], buckets=_REQUEST_BUCKETS, registry=REGISTRY)
requests_running = Gauge("saas_requests_running", "Requests being answered.", registry=REGISTRY, multiprocess_mode="livesum")
requests_waiting = Gauge("saas_requests_waiting", "Requests waiting for their tenant's turn.", registry=REGISTRY, multiprocess_mode="livesum")
requests_refused = Counter("saas_requests_refused", "Requests refused because their tenant has too many.", ["reason"], registry=REGISTRY)
turn_seconds = Histogram("saas_turn_wait_seconds", "Seconds that requests which had to wait waited for their tenant's turn.", buckets=_REQUEST_BUCKETS, registry=REGISTRY)
queries = Histogram("saas_query_seconds", "Statements sent to the database, by what they were sent for.", ["origin"], buckets=_QUERY_BUCKETS, registry=REGISTRY)
slow_queries = Counter("saas_slow_queries", "Statements over SAAS_SLOW_QUERY_MS.", ["origin"], registry=REGISTRY)
pool_connections = Gauge("saas_pool_connections", "Connections of the pools, by state: used, idle, or allowed at most.", ["pool", "state"], registry=REGISTRY, multiprocess_mode="livesum")
pool_wait = Histogram("saas_pool_wait_seconds", "Seconds until a transaction had its connection.", ["pool"], buckets=_QUERY_BUCKETS, registry=REGISTRY)
jobs_ended = Counter("saas_jobs_ended", "Attempts at jobs that ended, by kind and outcome.", ["kind", "outcome"], registry=REGISTRY)
job_seconds = Histogram("saas_job_seconds", "How long attempts at jobs took.", ["kind"], buckets=_JOB_BUCKETS, registry=REGISTRY)
mails = Counter("saas_mails", "Attempts at sending a message, by outcome.", ["outcome"], registry=REGISTRY)
outbox_messages = Counter("saas_outbox_messages", "Attempts at sending a message of the outbox, by kind and outcome.", ["kind", "outcome"], registry=REGISTRY)
webhooks = Counter("saas_webhooks", "Events received from other services, by outcome.", ["source", "outcome"], registry=REGISTRY)
config_entries = Gauge("saas_config_cache_entries", "Compiled configurations in memory.", registry=REGISTRY, multiprocess_mode="livesum")
config_bytes = Gauge("saas_config_cache_bytes", "Memory counted for compiled configurations.", registry=REGISTRY, multiprocess_mode="livesum")
config_asked = Counter("saas_config_cache_asked", "Times a configuration was asked for, by whether it was in memory.", ["found"], registry=REGISTRY)
# Without a kind of metric of its own in the shared directory; 1 for each process alive.
build = Gauge("saas_build_info", "The release of each process.", ["version", "python"], registry=REGISTRY, multiprocess_mode="livesum")

# What is asked of the database when somebody reads: name, what it says, labels.
TOLD: dict[str, tuple[str, tuple[str, ...]]] = {
    "saas_database_up": ("1 if the database answers.", ()),
    "saas_tenants": ("Tenants by status.", ("status",)),
    "saas_jobs": ("Jobs by kind and state: waiting (due), later, running, failed (in the last day).", ("kind", "state")),
    "saas_job_oldest_seconds": ("How long the oldest due job has been waiting.", ("kind",)),
    "saas_mails_queued": ("Messages by state: waiting, sending, failed (in the last day).", ("state",)),
    "saas_mail_oldest_seconds": ("How long the oldest due message has been waiting.", ()),
    "saas_webhooks_stored": ("Stored events of the payment provider by state: waiting, failed.", ("state",)),
    "saas_workers": ("Processes that run jobs and were heard of in the last minute.", ()),
    "saas_worker_age_seconds": ("Seconds since the last one was heard of.", ()),
    "saas_tenant_usage": ("What the largest tenants use; only where SAAS_METRICS_TENANTS says how many.", ("tenant", "meter")),
}
Told = dict[str, list[tuple[tuple[str, ...], float]]]


def release() -> str:
    try:
        return version("saas")
    except PackageNotFoundError:
        return "unknown"


build.labels(release(), platform.python_version()).set(1)


class _Often:
    """What is measured several times in each request: added up here, and put into the histogram by `sample`."""

    __slots__ = ("_bounds", "_child", "_counts", "_sum")
    every: list[_Often] = []

    def __init__(self, child: Histogram, buckets: tuple[float, ...]) -> None:
        self._child, self._bounds = child, buckets
        self._counts, self._sum = [0] * (len(buckets) + 1), 0.0
        _Often.every.append(self)

    def __call__(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def put(self) -> None:
        counts, whole = self._counts, self._sum
        self._counts, self._sum = [0] * len(counts), 0.0
        for bucket, count in zip(self._child._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        if any(counts):
            self._child._sum.inc(whole)


query_took = {name: _Often(queries.labels(name), _QUERY_BUCKETS) for name in ("request", "job", "other")}
connection_took = {name: _Often(pool_wait.labels(name), _QUERY_BUCKETS) for name in ("app", "system")}
_of_request: dict[tuple[str, str, int], _Often] = {}
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"))


def request_ended(route: str, method: str, status: int, seconds: float) -> None:
    """`route` is a pattern of ours; a method or status nobody knows makes no label of its own."""
    key = (route, method, status // 100)
    observe = _of_request.get(key)
    if observe is None:
        if method not in _METHODS:
            request_ended(route, "other", status, seconds)
            return
        observe = _of_request[key] = _Often(requests.labels(route, method, f"{status // 100}xx"), _REQUEST_BUCKETS)
    observe(seconds)


_samplers: list[Callable[[], None]] = []


def sampled(sampler: Callable[[], None]) -> Callable[[], None]:
    """Register what sets gauges from the state of this process; it is called when somebody reads, and every few seconds."""
    _samplers.append(sampler)
    return sampler


def sample() -> None:
    """Bring everything up to now. A process that is killed loses what it counted since the last time, some seconds."""
    for often in _Often.every:
        often.put()
    for sampler in _samplers:
        sampler()


def names() -> set[str]:
    """The names of all series there can be, as a dashboard uses them."""
    found = set(TOLD)
    for metric in REGISTRY.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ("",))
        found |= {metric.name + end for end in ends}
    return found


class _Answers:
    """What the database told, as metrics."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        for name, rows in self._told.items():
            text, labels = TOLD[name]
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, number in rows:
                family.add_metric(values, number)
            yield family


def text(told: Told) -> bytes:
    """What Prometheus reads: the figures of all processes of this directory, or of this one, and what was told by the database."""
    sample()
    whole = CollectorRegistry()
    if IS_SHARED:
        _forget_dead()
        MultiProcessCollector(whole)
    else:
        whole.register(REGISTRY)  # type: ignore[arg-type]  it collects, which is all that is asked
    whole.register(_Answers(told))  # type: ignore[arg-type]
    return generate_latest(whole)


def _forget_dead() -> None:
    """Gauges of processes that are gone speak of nothing; what they counted was counted, and stays."""
    for path in (_directory or Path()).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            with suppress(FileNotFoundError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
