"""Metrics: what they count, who may read them, several processes together; the dashboard and the alerts name what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from saas.observe import metrics
from saas.runtime.worker import drain
from saas.tenants import health
from saas.ui.measured import figures, may_read

ROOT = Path(__file__).parents[3]


async def read() -> dict[tuple[str, frozenset], float]:
    health._kept.told = None  # not what was told some seconds ago
    families = text_string_to_metric_families((await figures()).decode())
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def value(found: dict, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


async def test_what_is_counted(office):
    admin = (await office("baseline-crm"))["admin"]
    await drain()  # what other tests left waiting
    before = await read()
    for _ in range(3):
        await admin.get("/records/customer")
    await admin.send("GET", "/records/customer/no-such-id")
    await admin.call("POST", "/imports", {"entity": "customer", "rows": [{"name": f"Row {n}"} for n in range(600)]}, expect=202)
    waiting = await read()
    assert value(waiting, "saas_jobs", kind="import_records", state="waiting") == 1 and value(waiting, "saas_job_oldest_seconds", kind="import_records") >= 0
    await drain()
    after = await read()

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("saas_request_seconds_count", route="/api/v1/records/{entity}", method="GET", status="2xx") == 3
    assert more("saas_request_seconds_count", route="/api/v1/records/{entity}/{rid}", method="GET", status="4xx") == 1
    assert more("saas_query_seconds_count", origin="request") >= 6 and more("saas_query_seconds_count", origin="job") >= 3
    assert more("saas_pool_wait_seconds_count", pool="app") >= 4
    assert more("saas_jobs_ended_total", kind="import_records", outcome="done") == 1 and more("saas_job_seconds_count", kind="import_records") == 1
    assert value(after, "saas_pool_connections", pool="app", state="allowed") > 0 and value(after, "saas_config_cache_entries") >= 1
    assert value(after, "saas_database_up") == 1 and value(after, "saas_tenants", status="active") >= 1
    assert {name for name, _ in after if name.startswith("saas_")} <= metrics.names()
    assert [labels for name, labels in after if name == "saas_build_info"]


async def test_labels_are_ours_whatever_is_asked(office, http):
    admin = (await office("baseline-crm"))["admin"]
    for n in range(20):
        await admin.send("GET", f"/records/odd{n}")
        await http.get(f"http://{admin.host}/odd{n}", headers={"host": admin.host})
        await http.request(f"ODD{n}", f"http://{admin.host}/login", headers={"host": admin.host})
    assert not [labels for _, labels in await read() if any("odd" in str(v).lower() for _, v in labels)]


# ---- who may read ------------------------------------------------------------------------------------------------------------


async def test_tenants_see_nothing(office, http, settings):
    admin = (await office("baseline-crm"))["admin"]
    for host in (admin.host, "localhost", "operator.localhost", "127.0.0.1"):
        answer = await http.get("http://x/metrics", headers={"host": host, "authorization": f"Bearer {admin.token}", "x-forwarded-for": "127.0.0.1"})
        assert answer.status_code == 404 and "saas_" not in answer.text
    for host in ("127.0.0.1:8000", "scraper.internal:8000", "unknown.localhost"):  # a local installation, asked from this machine
        assert (await http.get("http://x/metrics", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "client", "token", "allowed"),
    [
        ({"host": "127.0.0.1:8000"}, "127.0.0.1", None, True),
        ({"host": "[::1]:8000"}, "::1", None, True),
        ({"host": "[::1]"}, "::1", None, True),
        ({"host": "localhost"}, "127.0.0.1", None, True),
        ({"host": "127.0.0.1"}, "10.0.0.7", None, False),
        ({"host": "crm.example.com"}, "127.0.0.1", None, False),
        ({"host": "127.0.0.1", "forwarded": "for=1.2.3.4"}, "127.0.0.1", None, False),
        ({"host": "127.0.0.1"}, "127.0.0.1", "a-long-enough-token", False),
        ({"host": "10.0.0.7", "authorization": "Bearer a-long-enough-token"}, "10.0.0.9", "a-long-enough-token", True),
        ({"host": "10.0.0.7", "authorization": "Bearer a-long-enough-toke"}, "10.0.0.9", "a-long-enough-token", False),
        ({"host": "10.0.0.7", "authorization": "Bearer "}, "127.0.0.1", "", False),
    ],
)
def test_who_may_read(settings, headers, client, token, allowed):
    assert may_read(headers, client, replace(settings, metrics_token=token, base_domain="crm.example.com")) is allowed


@pytest.mark.parametrize(("headers", "client", "allowed"), [({}, "127.0.0.1", True), ({}, "10.0.0.7", False), ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1", False)])
def test_a_local_installation_may_be_asked_by_any_name(settings, headers, client, allowed):
    assert settings.is_local and may_read({"host": "crm.example.com", **headers}, client, replace(settings, metrics_token=None)) is allowed


# ---- health ------------------------------------------------------------------------------------------------------------------


async def test_health_and_readiness(http, database):
    import asyncio

    from saas.db import direct_connection
    from saas.db.roles import OWNER

    async with direct_connection(OWNER) as owner:
        await owner.execute("DELETE FROM worker_beat")  # of workers that other tests killed
    alive = await http.get("http://x/healthz", headers={"host": "127.0.0.1"})
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    stop = asyncio.Event()
    beating = asyncio.create_task(health.beat_until(stop))
    for _ in range(1000):
        ready = await http.get("http://x/readyz", headers={"host": "127.0.0.1"})
        if ready.json()["workers"] == 1:
            break
        await asyncio.sleep(0.02)
    assert ready.status_code == 200 and ready.json()["status"] == "ready" and ready.json()["worker_age_seconds"] < 30
    stop.set()
    await beating
    without = await http.get("http://x/readyz", headers={"host": "127.0.0.1"})
    assert without.status_code == 200 and without.json()["workers"] == 0 and without.json()["worker_age_seconds"] is None


async def test_a_database_that_is_slow_is_told_as_such(http, database, settings, monkeypatch):
    from saas.db import direct_connection
    from saas.db.roles import OWNER

    monkeypatch.setattr(health, "_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(health, "_kept", health._Kept())
    async with direct_connection(OWNER) as owner, owner.transaction():
        await owner.execute("LOCK TABLE worker_beat IN ACCESS EXCLUSIVE MODE")
        told = await http.get("http://x/metrics", headers={"host": "127.0.0.1"})
        assert told.status_code == 200 and "saas_database_up 0.0" in told.text and "saas_requests" in told.text
        assert (await http.get("http://x/readyz", headers={"host": "127.0.0.1"})).status_code == 503
    monkeypatch.setattr(health, "_TIMEOUT_SECONDS", 30)
    health._kept.at = float("-inf")
    assert "saas_database_up 1.0" in (await http.get("http://x/metrics", headers={"host": "127.0.0.1"})).text


async def test_not_ready_before_the_migrations(http, database, monkeypatch):

    from saas.db import migrate

    known = migrate._versions()
    monkeypatch.setattr(migrate, "_versions", lambda: known)
    monkeypatch.setattr(migrate, "_migration_id", lambda path: f"{path.stem}-to-come")
    health._migrated.clear()
    answer = await http.get("http://x/readyz", headers={"host": "127.0.0.1"})
    assert answer.status_code == 503 and answer.json() == {"status": "migrations pending", "database": "ok", "migrations_pending": len(known), "workers": 0, "worker_age_seconds": None}
    monkeypatch.undo()
    assert (await http.get("http://x/readyz", headers={"host": "127.0.0.1"})).status_code == 200


# ---- several processes -------------------------------------------------------------------------------------------------------


def test_processes_of_one_machine_add_up(tmp_path):
    """Counters of processes that are gone stay, their gauges do not."""
    part = "from saas.observe import metrics; metrics.request_ended('/a', 'GET', 200, 0.01); metrics.jobs_ended.labels('k', 'done').inc(); metrics.config_entries.set(5); metrics.sample();"
    environment = {"PATH": "/usr/bin:/bin", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", part], env=environment, cwd=ROOT, check=True, timeout=60)
    reader = f"{part} metrics.config_entries.set(3); print(metrics.text({{}}).decode())"
    found = subprocess.run([sys.executable, "-c", reader], env=environment, cwd=ROOT, check=True, timeout=60, capture_output=True, text=True).stdout
    read = {sample.name: sample.value for family in text_string_to_metric_families(found) for sample in family.samples if sample.name in ("saas_request_seconds_count", "saas_jobs_ended_total", "saas_config_cache_entries", "saas_build_info")}
    assert read == {"saas_request_seconds_count": 3, "saas_jobs_ended_total": 3, "saas_config_cache_entries": 3, "saas_build_info": 1}


# ---- files for the operator --------------------------------------------------------------------------------------------------


def expressions(found: object) -> list[str]:
    if isinstance(found, dict):
        return [text for key, inner in found.items() for text in ([inner] if key == "expr" else expressions(inner))]
    return [text for inner in found for text in expressions(inner)] if isinstance(found, list) else []


@pytest.mark.parametrize("file", ["grafana/saas.json", "prometheus/alerts.yml"])
def test_the_files_name_only_metrics_that_exist(file):
    text = (ROOT / "ops" / file).read_text(encoding="utf-8")
    used = expressions(json.loads(text)) if file.endswith(".json") else re.findall(r"^\s+expr: (.+)$", text, re.MULTILINE)
    assert len(used) >= 8
    named = {name for expression in used for name in re.findall(r"\bsaas_[a-z_]+", expression)}
    assert named and named <= metrics.names(), named - metrics.names()
    for expression in used:  # and no label that does not exist
        assert expression.count("(") == expression.count(")")


def test_what_a_panel_needs_is_there():
    board = json.loads((ROOT / "ops/grafana/saas.json").read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["targets"] and panel["gridPos"]["w"] for panel in panels)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


