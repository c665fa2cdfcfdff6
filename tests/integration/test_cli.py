"""The console script as a person or a script uses it: one JSON document, exit codes, errors without tracebacks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.prepared import Prepared

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
PREPARED: list[Prepared] = []
SECRET = "tests-only-secret-key-0123456789abcdef"


@pytest_asyncio.fixture(scope="module")
async def environment(clone_database, tmp_path_factory):
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": await clone_database(),
        "SAAS_SECRET_KEY": SECRET,
        "SAAS_DATA_DIR": str(tmp_path_factory.mktemp("cli")),
    }


@pytest.fixture(scope="module", autouse=True)
def prepared() -> Iterator[None]:
    with Prepared() as saas:
        PREPARED.append(saas)
        yield
        PREPARED.clear()


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return PREPARED[0].run(environment, *arguments)


def start(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """As people do it: nothing is loaded yet."""
    return subprocess.run(
        [sys.executable, "-m", "saas", *arguments], env=environment, capture_output=True, text=True, cwd=ROOT, timeout=120
    )


def ask(environment: dict[str, str], *arguments: str, code: int = 0):
    result = run(environment, *arguments, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def acme(environment):
    return ask(
        environment, "tenant", "create", "acme", "--name", "Acme", "--pack", "jb-rm-crm", "--locale", "zh_CN", "--admin-email",
        "admin@acme.example", "--admin-password", PASSWORD, "--plan", "free",
    )  # fmt: skip


def test_a_tenant_from_creation_to_deletion(environment, acme):
    assert acme["slug"] == "acme" and acme["config_revision"] == 1 and acme["status"] == "active"
    assert [tenant["slug"] for tenant in ask(environment, "tenant", "list")["tenants"]] == ["acme"]
    shown = ask(environment, "tenant", "show", "acme")
    assert shown["users"][0]["email"] == "admin@acme.example" and shown["users"][0]["role_keys"] == ["admin"]
    assert {"limit": "seats", "label": "Active people", "used": 1, "allowed": 3, "percent": 33} in shown["usage"]
    assert "password" not in json.dumps(shown).replace("must_change_password", "")
    assert ask(environment, "tenant", "suspend", "acme")["status"] == "suspended"
    assert ask(environment, "tenant", "resume", "acme")["status"] == "active"
    ask(
        environment, "tenant", "create", "gone", "--name", "Gone", "--pack", "baseline-crm", "--admin-email", "a@gone.example",
        "--admin-password", PASSWORD,
    )  # fmt: skip
    assert ask(environment, "tenant", "delete", "gone", "--now", code=1)["error"]["code"] == "bad_request"
    assert ask(environment, "tenant", "delete", "gone", "--now", "--yes")["removed"]["config_revision"] == 1
    assert ask(environment, "tenant", "show", "gone", code=1)["error"]["code"] == "not_found"


def test_a_failed_creation_leaves_nothing(environment, acme):
    arguments = ["tenant", "create", "half", "--name", "Half", "--admin-email", "a@half.example", "--admin-password", PASSWORD]
    assert ask(environment, *arguments, "--pack", "no-such-pack", code=1)["error"]["code"] == "not_found"
    assert ask(environment, *arguments[:-1], "short", "--pack", "jb-rm-crm", code=1)["error"]["code"] == "invalid_input"
    assert "half" not in {tenant["slug"] for tenant in ask(environment, "tenant", "list")["tenants"]}


def test_people_need_a_role_that_exists(environment, acme):
    arguments = ["user", "create", "acme", "--email", "li@acme.example", "--password", PASSWORD, "--name", "李明"]
    assert "role" in ask(environment, *arguments, "--role", "astronaut", code=1)["error"]["message"]
    person = ask(environment, *arguments, "--role", "account_manager", "--department", "sales", "--locale", "zh_CN")
    assert person["name"] == "李明" and person["role_keys"] == ["account_manager"] and len(person["department_ids"]) == 1


def test_a_pack_goes_out_and_in_again(environment, acme, tmp_path):
    file = tmp_path / "bundle.json"
    assert run(environment, "pack", "export", "acme", str(file)).returncode == 0
    bundle = json.loads(file.read_text())
    assert ask(environment, "pack", "export", "acme") == bundle
    assert ask(environment, "pack", "validate", str(file)) == {"valid": True, "problems": []}
    assert ask(environment, "pack", "plan", "acme", str(file))["changes"] == []
    bundle["roles"][0]["label"]["en"] = "Chief"
    file.write_text(json.dumps(bundle))
    assert ask(environment, "pack", "plan", "acme", str(file))["kind"] == "safe"
    assert ask(environment, "pack", "apply", "acme", str(file), "--message", "Rename")["number"] == 2
    assert ask(environment, "pack", "export", "acme")["roles"][0]["label"]["en"] == "Chief"


def company(environment: dict[str, str], slug: str, pack: str = "baseline-crm") -> None:
    ask(environment, "tenant", "create", slug, "--name", slug, "--pack", pack, "--admin-email", f"a@{slug}.example", "--admin-password", PASSWORD)


def test_applying_asks_before_it_destroys(environment, tmp_path):
    company(environment, "careful")
    file = tmp_path / "pack.json"
    bundle = ask(environment, "pack", "export", "careful")
    fields = bundle["entities"][0]["fields"]
    fields.append({"key": "extra", "type": "text", "label": {"en": "Extra", "zh_CN": "附加"}})
    file.write_text(json.dumps(bundle))
    assert ask(environment, "pack", "apply", "careful", str(file))["number"] == 2
    fields.pop()
    bundle["pack"]["version"] = "99.0.0"
    file.write_text(json.dumps(bundle))
    planned = ask(environment, "pack", "plan", "careful", str(file))
    assert planned["kind"] == "destructive" and planned["mode"] == "upgrade" and planned["can_publish"], planned["problems"]
    refused = ask(environment, "pack", "apply", "careful", str(file), code=1)
    assert not refused["applied"] and "--yes" in refused["reason"] and refused["changes"] == planned["changes"]
    shown = run(environment, "pack", "apply", "careful", str(file))
    assert shown.returncode == 1 and "destructive" in shown.stdout and "Not applied" in shown.stdout and "Traceback" not in shown.stderr
    assert ask(environment, "tenant", "show", "careful")["config_revision"] == 2
    made = ask(environment, "pack", "apply", "careful", str(file), "--yes")
    assert made["applied"] and made["number"] == 3 and made["message"] == "Applied pack.json"
    again = ask(environment, "pack", "apply", "careful", str(file))
    assert not again["applied"] and again["number"] == 3 and again["mode"] == "same"


def test_an_exported_pack_gives_the_same_hash_in_an_empty_company(environment, acme, tmp_path):
    company(environment, "empty")
    file = tmp_path / "acme.json"
    written = ask(environment, "pack", "export", "acme", str(file))
    made = ask(environment, "pack", "apply", "empty", str(file), "--yes")
    assert made["hash"] == written["hash"] and made["mode"] == "install"
    assert ask(environment, "pack", "export", "empty") == json.loads(file.read_text())


def test_conflicts_are_listed_and_decided(environment, tmp_path):
    company(environment, "torn")
    file = tmp_path / "pack.json"
    shipped = ask(environment, "pack", "export", "torn")
    for version, name in (("1.0.1", "Ours"), ("2.0.0", "Theirs")):
        shipped["pack"]["version"], shipped["roles"][0]["label"]["en"] = version, name
        if name == "Ours":  # what an admin did: published by the same door, without being a version of the pack
            mine = json.loads(json.dumps(shipped))
            mine["pack"] = {**mine["pack"], "key": "mine"}
            file.write_text(json.dumps(mine))
            ask(environment, "pack", "apply", "torn", str(file), "--replace", "--yes")
    file.write_text(json.dumps(shipped))
    planned = ask(environment, "pack", "plan", "torn", str(file), code=1)
    assert any(path.startswith("roles[") for path in planned["open"]) and planned["installed"]
    refused = ask(environment, "pack", "apply", "torn", str(file), code=1)
    assert not refused["applied"] and "--mine" in refused["reason"]
    choices = [option for path in planned["open"] for option in ("--choose", f"{path}=theirs")]
    assert ask(environment, "pack", "apply", "torn", str(file), *choices)["applied"]
    assert ask(environment, "pack", "export", "torn")["roles"][0]["label"]["en"] == "Theirs"
    for wrong in (["--choose", "nonsense"], ["--choose", "a=b"], ["--mine", "--choose", "a=mine"]):
        assert ask(environment, "pack", "plan", "torn", str(file), *wrong, code=1)["error"]["code"] == "bad_request"


def test_strict_validation_refuses_warnings(environment, tmp_path):
    file = tmp_path / "warned.json"
    bundle = json.loads((ROOT / "saas" / "metadata" / "packs" / "baseline-crm" / "pack.json").read_text())
    file.write_text(json.dumps(bundle))
    assert ask(environment, "pack", "validate", str(file), "--strict") == {"valid": True, "problems": [], "warnings": []}
    del bundle["roles"][0]["label"]["zh_CN"]
    file.write_text(json.dumps(bundle))
    assert ask(environment, "pack", "validate", str(file))["valid"]
    strict = ask(environment, "pack", "validate", str(file), "--strict", code=1)
    assert not strict["valid"] and [w["code"] for w in strict["warnings"]] == ["missing_language"]


def test_a_bad_pack_shows_every_problem_with_its_place(environment, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{"format": 1, "pack": {"key": "x"}, "entities": [{"key": "A B"}], "roles": []}')
    result = ask(environment, "pack", "validate", str(file), code=1)
    assert not result["valid"] and len(result["problems"]) > 1 and all(problem["message"] for problem in result["problems"])
    file.write_text("{")
    assert not ask(environment, "pack", "validate", str(file), code=1)["valid"]
    assert ask(environment, "pack", "validate", str(tmp_path / "absent.json"), code=1)["error"]["code"] == "not_found"
    assert {pack["key"] for pack in ask(environment, "pack", "list")["packs"]} >= {"baseline-crm", "jb-rm-crm"}


def test_schedules_run_at_a_given_moment(environment, acme):
    result = ask(environment, "schedule", "run", "acme", "--at", "2027-01-04T09:00:00")
    assert result["at"] == "2027-01-04T01:00:00+00:00" and isinstance(result["schedules"], list)
    assert ask(environment, "schedule", "run", "acme", "--at", "noon", code=1)["error"]["code"] == "bad_request"


def test_migrate_doctor_operator(environment):
    assert ask(environment, "migrate") == {"applied": [], "partitions": []}
    report = ask(environment, "doctor")
    assert report["healthy"] and all(check["holds"] for check in report["checks"])
    assert "Everything holds." in run(environment, "doctor").stdout
    assert ask(environment, "operator", "create", "Root@X.example", "--password", PASSWORD)["email"] == "root@x.example"
    assert ask(environment, "operator", "create", "root@x.example", "--password", PASSWORD, code=1)["error"]["code"] == "conflict"


def test_errors_are_calm(environment, tmp_path):
    result = start({**environment, "SAAS_BASE_DOMAIN": "http://x", "SAAS_SECRET_KEY": "short"}, "tenant", "list")
    assert result.returncode == 1 and "SAAS_BASE_DOMAIN" in result.stderr and "SAAS_SECRET_KEY" in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    away = {**environment, "DATABASE_URL": "postgresql://someone:hunter2@127.0.0.1:9/crm"}
    for arguments in (["tenant", "list"], ["doctor"], ["migrate", "--wait", "0"]):
        result = run(away, *arguments)
        assert result.returncode == 1 and "127.0.0.1:9/crm" in result.stderr, result.stderr
        assert "Traceback" not in result.stderr and "hunter2" not in result.stderr
    result = run({**environment, "SAAS_SECRET_KEY": "x" * 40}, "tenant", "list")
    assert result.returncode == 1 and "saas migrate" in result.stderr


@pytest_asyncio.fixture
async def behind(environment, clone_database):
    """A database on which the newest migration has not run."""
    url = await clone_database()
    conn = await asyncpg.connect(url)
    await conn.execute("DELETE FROM migration WHERE id = (SELECT max(id) FROM migration)")
    await conn.close()
    return {**environment, "DATABASE_URL": url}


def test_nothing_serves_a_database_that_is_not_migrated(behind):
    commands = (["serve", "--port", "0"], ["serve", "--port", "0", "--workers", "2"], ["worker"])
    started = [subprocess.Popen([sys.executable, "-m", "saas", *c], env=behind, cwd=ROOT, stderr=subprocess.PIPE, text=True) for c in commands]
    for command, process in zip(commands, started, strict=True):
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
        assert process.returncode == 1 and "1 migration" in said and "`saas migrate`" in said and "Traceback" not in said, (command, said)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_calmly(environment, acme, number):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "saas", "serve", "--port", str(port)], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, process.stderr.read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
