"""Run the web server and the background jobs of one process, and end both calmly on Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import uvicorn

from saas.db import close_database, current_database, open_database
from saas.db.migrate import require_migrated
from saas.log import get_logger, log_as
from saas.observe import tracing
from saas.settings import Settings, metrics_directory, share_metrics

log = get_logger(__name__)
_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """Leaves signals to us: the database must outlive the last request."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        if self._ready and self.started and not self.should_exit:
            self._ready()


async def serve(
    settings: Settings, *, host: str, port: int, jobs: bool = True, ready: Callable[[], None] | None = None
) -> None:
    """Serve until a signal comes. `ready` is called once requests are accepted."""
    from saas.app import create_app

    if settings.is_local and not settings.public_url:
        settings = replace(settings, public_url=f"http://{settings.base_domain}:{port}")  # where links in messages lead
    tracing.start()
    await _open(settings)
    stop = asyncio.Event()
    config = uvicorn.Config(
        create_app(settings), host=host, port=port, log_config=None, access_log=False, server_header=False,
        proxy_headers=True, timeout_graceful_shutdown=_GRACE_SECONDS, lifespan="on",
    )
    server = _Server(config, ready)

    def leave() -> None:
        if server.should_exit:
            server.force_exit = True
        server.should_exit = True
        stop.set()

    helpers = _start_helpers(stop, jobs=jobs)
    _collect_rarely()
    try:
        with _on_signal(leave):
            await server.serve()
    finally:
        stop.set()
        await _finish(helpers)
        await close_database()
        tracing.stop()


async def _open(settings: Settings) -> None:
    """Errors: Unavailable, also for a database on which `saas migrate` has not run: nothing would work, and only the log would say why."""
    await open_database(settings)
    try:
        await require_migrated()
    except BaseException:
        await close_database()
        raise


def _collect_rarely() -> None:
    """What was loaded at the start stays for ever, and a request makes many objects that die by themselves: collecting after
    every 700 of them looks at compiled configurations again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def work(settings: Settings) -> None:
    """Background jobs only, until a signal comes."""
    from saas.worker import run_worker

    tracing.start("saas-worker")
    await _open(settings)
    stop = asyncio.Event()
    helpers = _start_helpers(stop, jobs=False)
    if settings.worker_metrics is not None:
        helpers.append(asyncio.ensure_future(_tell_figures(settings)))
    try:
        with _on_signal(stop.set):
            await run_worker(stop)
    finally:
        await _finish(helpers)
        await close_database()
        tracing.stop()


async def _tell_figures(settings: Settings) -> None:
    """The metrics of a worker that shares no directory with a web process, at an address of their own."""
    from saas.ui.measured import worker_app

    host, _, port = (settings.worker_metrics or "").rpartition(":")
    config = uvicorn.Config(worker_app(settings), host=host.strip("[]"), port=int(port), log_config=None, access_log=False, server_header=False, lifespan="off")
    await _Server(config, None).serve()


@contextlib.contextmanager
def _shared_figures() -> Iterator[None]:
    """A directory where the processes started inside put their figures, unless the environment names one that others share, too."""
    if metrics_directory() is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="saas-metrics-") as directory:
        share_metrics(directory)
        try:
            yield
        finally:
            share_metrics(None)


def serve_many(settings: Settings, *, host: str, port: int, workers: int, jobs: bool) -> None:
    """Several processes on one port; each builds its own settings from the environment. Jobs run in the parent's stead in a
    `saas worker` beside, unless `jobs` is false. Errors: Unavailable."""
    asyncio.run(_look(settings))
    with _shared_figures():
        _serve_many(settings, host=host, port=port, workers=workers, jobs=jobs)


async def _look(settings: Settings) -> None:
    await _open(settings)
    await close_database()


def _serve_many(settings: Settings, *, host: str, port: int, workers: int, jobs: bool) -> None:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    helper = context.Process(target=_work_alone, name="saas-worker") if jobs else None
    if helper:
        helper.start()
    try:
        uvicorn.run(
            "saas.serve:app_from_environment", factory=True, host=host, port=port, workers=workers, log_config=None,
            access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    finally:
        if helper and helper.is_alive():
            helper.terminate()
            helper.join(_GRACE_SECONDS)


def app_from_environment() -> object:
    """The factory that uvicorn calls in each of several processes."""
    from saas.app import create_app

    settings = Settings.from_env()
    log_as(settings)
    tracing.start()
    return create_app(settings)


def _work_alone() -> None:
    settings = Settings.from_env()
    log_as(settings)
    asyncio.run(work(settings))


def _start_helpers(stop: asyncio.Event, *, jobs: bool) -> list[asyncio.Task]:
    helpers: list[Awaitable[None]] = []
    server = current_database().server
    if server is not None:
        helpers.append(server.supervise())
    if jobs:
        from saas.worker import run_worker

        helpers.append(run_worker(stop))
    return [asyncio.ensure_future(helper) for helper in helpers]


async def _finish(helpers: list[asyncio.Task]) -> None:
    """The worker ends by itself when `stop` is set; the supervisor never does."""
    if helpers:
        await asyncio.wait(helpers, timeout=1)
    for helper in helpers:
        helper.cancel()
    for result in await asyncio.gather(*helpers, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("helper.failed", exc_info=result)


@contextlib.contextmanager
def _on_signal(act: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
