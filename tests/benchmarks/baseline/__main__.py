"""Serve the baseline: `python -m tests.benchmarks.baseline PORT`, on uvloop and httptools like the product."""

import asyncio
import sys

import uvicorn
import uvloop

from tests.benchmarks.baseline.app import create_app

if __name__ == "__main__":
    config = uvicorn.Config(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False, lifespan="on")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())
