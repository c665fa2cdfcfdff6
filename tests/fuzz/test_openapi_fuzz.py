"""Requests drawn from the API's own description, for every role of every pack: no answer is a fault of ours, none carries anything of
another tenant.

Bounded and the same in every run. SAAS_FUZZ_EXAMPLES=50 draws more per operation, SAAS_FUZZ_SEED draws others.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

from saas.metadata.packs import load_pack
from saas.tenants import create_user
from tests.acceptance.api import Person
from tests.conftest import PASSWORD
from tests.integration.test_openapi import fill
from tests.isolation.worlds import WORD, World, make_world

PACKS = ("baseline-crm", "jb-rm-crm")
ROLES = [(pack, role["key"]) for pack in PACKS for role in load_pack(pack)["roles"]]
EXAMPLES = int(os.environ.get("SAAS_FUZZ_EXAMPLES", "0"))
SEED = int(os.environ.get("SAAS_FUZZ_SEED", "5"))
LEAKS = ("Traceback", "asyncpg", "psycopg", "saas/runtime", "SELECT ", "INSERT INTO")


@pytest_asyncio.fixture(scope="module")
async def foreign(http, tenant_factory) -> World:
    """Another tenant, with something of everything, all of it marked with WORD."""
    return await make_world(http, tenant_factory, WORD)


@pytest_asyncio.fixture(scope="module")
async def offices(http, tenant_factory) -> dict[str, dict[str, tuple[str, str]]]:
    """{pack: {role: (host, e-mail)}}; "" is the administrator who was there first."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for pack in PACKS:
        tenant = await tenant_factory(pack=pack)
        host = f"{tenant.slug}.localhost"
        found[pack] = {"": (host, tenant.admin_email)}
        for role in load_pack(pack)["roles"]:
            email = f"role-{role['key']}@{tenant.slug}.example".replace("_", "-")
            await create_user(tenant.id, email, PASSWORD, role["key"], [role["key"]])
            found[pack][role["key"]] = (host, email)
        await fill(await Person(http, host, language="en").sign_in(tenant.admin_email, tenant.admin_password))
    return found


@pytest.mark.parametrize(("pack", "role"), ROLES)
async def test_no_request_breaks_it_or_reaches_another_tenant(http, offices, foreign, pack, role):
    host, email = offices[pack][role]
    person = await Person(http, host, language="en").sign_in(email, PASSWORD)
    document = await person.get("/openapi.json")
    chance = random.Random(f"{SEED} {pack} {role}")
    own = [r["id"] for path in document["paths"] if path.startswith("/records/") and path.count("/") == 2 for r in (await person.send("GET", path)).json().get("data", ())]
    theirs = [value for value in foreign.things.values() if isinstance(value, str) and "@" not in value]
    asked, wrong = 0, []
    for operation, cases in drawn(document, EXAMPLES or (2 if role == "admin" else 1)):
        for number, case in enumerate(cases):
            url = case.path
            for name, value in (case.path_parameters or {}).items():
                known = (own, theirs, [str(value)])[chance.randrange(3)] or [str(value)]
                url = url.replace(f"{{{name}}}", httpx.URL(path=f"/{chance.choice(known)}").raw_path.decode()[1:].replace("/", "%2F").replace("?", "%3F") or "-")
            answer = await ask(person, case, url)
            if answer is None:
                continue
            asked += 1
            if answer.status_code == 401:  # it closed its own session
                await person.sign_in(email, PASSWORD)
            if answer.status_code >= 500:
                wrong.append(f"{operation} #{number} {url} {case.query!r} {short(case.body)}: {answer.status_code} {answer.text[:300]}")
            sent = f"{url} {case.query!r} {short(case.body, 100_000)}"
            for word in (WORD, *LEAKS):
                if word in answer.text and word not in sent:
                    wrong.append(f"{operation} #{number} {url}: the answer says {word!r}: {answer.text[:300]}")
    assert not wrong, "\n".join(wrong[:20])
    assert asked >= len(document["paths"])


def drawn(document: dict[str, Any], examples: int) -> Iterator[tuple[str, list[Any]]]:
    """Each operation with so many requests that its description allows."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(allow_x00=False)
    for result in schema.get_all_operations():
        operation = result.ok()
        yield operation.label, examples_of(operation.as_strategy(), examples)


def examples_of(strategy: Any, count: int) -> list[Any]:
    found: list[Any] = []

    @seed(SEED)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


async def ask(person: Person, case: Any, url: str) -> httpx.Response | None:
    """None for what cannot be written as a request at all."""
    headers = {name: str(value) for name, value in dict(case.headers or {}).items() if name.lower() not in ("host", "authorization", "cookie", "content-type", "content-length")}
    kind = case.media_type or "application/json"
    content = b"" if case.body is None or type(case.body).__name__ == "NotSet" else json.dumps(case.body, default=str).encode() if "json" in kind else str(case.body).encode()
    sent = {"host": person.host, "authorization": f"Bearer {person.token}", **headers, **({"content-type": kind} if content else {})}
    try:
        request = person.client.build_request(case.method, f"/api/v1{url}", params=dict(case.query or {}), content=content, headers=sent)
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError):
        return None
    return await person.client.send(request)


def short(body: Any, length: int = 300) -> str:
    return repr(body)[:length]
