"""Traces: spans of requests, statements and jobs, sent to a real listener; nothing at all where nobody asked for them."""

from __future__ import annotations

import subprocess
import sys

from saas.runtime.worker import drain
from tests.integration.observed.conftest import attributes


async def test_a_request_its_statements_and_its_job(office, traces):
    admin = (await office("baseline-crm"))["admin"]
    cause = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job = await admin.call("POST", "/imports", {"entity": "customer", "rows": [{"name": f"Row {n}"} for n in range(600)]}, headers={"traceparent": cause}, expect=202)
    await drain()
    spans = await traces.spans()
    [asked] = [span for span in spans if span.name == "POST /api/v1/imports"]
    told = attributes(asked)
    assert told["http.route"] == "/api/v1/imports" and told["http.response.status_code"] == 202 and told["saas.user_id"] == admin.id and told["saas.queries"] > 0
    assert [link.trace_id.hex() for link in asked.links] == ["0af7651916cd43dd8448eb211c80319c"]  # what others say about themselves is no parent
    statements = [span for span in spans if span.parent_span_id == asked.span_id]
    assert statements and all(span.trace_id == asked.trace_id and asked.start_time_unix_nano <= span.end_time_unix_nano for span in statements)
    assert "insert job" in {span.name for span in statements}
    [worked] = [span for span in spans if span.name == "job import_records" and attributes(span)["saas.job_id"] == job["id"]]
    assert [(link.trace_id, link.span_id) for link in worked.links] == [(asked.trace_id, asked.span_id)]
    assert attributes(worked)["saas.outcome"] == "done"
    assert [span for span in spans if span.parent_span_id == worked.span_id]


async def test_a_broken_traceparent_is_no_link(office, traces):
    admin = (await office("baseline-crm"))["admin"]
    for text in ("nonsense", "00-x-y-z", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-1-2-3-4"):
        assert (await admin.send("GET", "/me", headers={"traceparent": text})).status_code == 200
    assert all(not span.links for span in await traces.spans())


def test_nothing_is_imported_without_an_address():
    code = "import sys, saas.app, saas.serve, saas.worker; from saas.observe import tracing; tracing.start(); print(tracing.is_on(), [m for m in sys.modules if m.startswith('opentelemetry')])"
    environment = {"PATH": "/usr/bin:/bin"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "False []", found.stderr
