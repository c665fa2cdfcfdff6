"""Logs are one JSON object a line, with context and without secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest

from saas.log import bind_context, clear_context, configure_logging, get_logger


@pytest.fixture
def lines():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    clear_context()


def test_context_and_fields(lines):
    bind_context(request_id="r1", tenant_id="t1")
    get_logger("saas.test").info("record.moved", stage="won")
    (line,) = lines()
    assert (line["event"], line["stage"], line["request_id"], line["tenant_id"], line["level"]) == ("record.moved", "won", "r1", "t1", "info")


def test_secrets_are_hidden_however_deep(lines):
    get_logger().warning("x.happened", password="hunter2", api_token="hunter2", detail={"values": {"a": "hunter2"}, "email": "hunter2@x"})
    (line,) = lines()
    assert "hunter2" not in json.dumps(line) and line["password"] == "[hidden]"


def test_libraries_and_exceptions_come_out_the_same(lines):
    try:
        raise ValueError("reason")
    except ValueError:
        logging.getLogger("some.library").exception("failed\nin two lines")
    (line,) = lines()
    assert line["logger"] == "some.library" and line["event"] == "failed"
    assert line["exception"][0]["kind"] == "ValueError" and line["exception"][0]["at"][-1].endswith("test_libraries_and_exceptions_come_out_the_same")
    assert "reason" not in json.dumps(line)
