"""People of a tenant speaking to the real application over HTTP (in-process ASGI, real PostgreSQL)."""

from __future__ import annotations

from typing import Any

import httpx


class Person:
    """One signed-in API client."""

    def __init__(self, client: httpx.AsyncClient, host: str, *, language: str = "zh-CN") -> None:
        self.client, self.host, self.language = client, host, language
        self.token = ""
        self.id = ""

    async def sign_in(self, email: str, password: str) -> Person:
        answer = await self.call("POST", "/tokens", {"email": email, "password": password}, expect=201)
        self.token = answer["token"]
        self.id = (await self.get("/me"))["id"]
        return self

    async def send(self, method: str, path: str, body: Any = None, *, content: bytes | None = None, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """The whole answer, whatever it is; `content` instead of a body is sent as it is."""
        sent = {"host": self.host, "accept-language": self.language, **(headers or {})}
        if self.token and "authorization" not in sent and "cookie" not in sent:
            sent["authorization"] = f"Bearer {self.token}"
        url = path if path.startswith("http") else f"/api/v1{path}"
        if content is not None:
            return await self.client.request(method, url, content=content, params=params or None, headers={"content-type": "application/json", **sent})
        return await self.client.request(method, url, json=body, params=params or None, headers=sent)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int | None = 200, headers: dict[str, str] | None = None, **params: Any) -> Any:
        response = await self.send(method, path, body, headers=headers, **params)
        if expect is not None:
            assert response.status_code == expect, f"{method} {path} -> {response.status_code}: {response.text[:2000]}"
        return response.json() if response.content else None

    async def get(self, path: str, *, expect: int = 200, **params: Any) -> Any:
        return await self.call("GET", path, expect=expect, **params)

    async def create(self, entity: str, *, expect: int = 201, **values: Any) -> Any:
        return await self.call("POST", f"/records/{entity}", {"values": values}, expect=expect)

    async def change(self, entity: str, rid: str, *, expect: int = 200, **values: Any) -> Any:
        return await self.call("PATCH", f"/records/{entity}/{rid}", {"values": values}, expect=expect)

    async def move(self, entity: str, rid: str, key: str, *, expect: int = 200, **values: Any) -> Any:
        return await self.call("POST", f"/records/{entity}/{rid}/transitions/{key}", {"values": values}, expect=expect)

    async def list(self, entity: str, **params: Any) -> list[dict[str, Any]]:
        return (await self.get(f"/records/{entity}", **params))["data"]


def fields_of(problem: dict[str, Any]) -> set[str]:
    return {e["field"] for e in problem["errors"]}


def refused(response: httpx.Response, status: int, code: str | None = None, *, field: str | None = None, rule: str | None = None) -> dict[str, Any]:
    """The answer is a clean problem (RFC 9457) with this status, naming this field and rule. Returns it."""
    assert response.status_code == status, f"{response.request.method} {response.request.url} -> {response.status_code}: {response.text[:1500]}"
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert {"type", "title", "status", "detail", "code", "errors"} <= set(problem)
    assert problem["status"] == status and problem["title"] and problem["detail"]
    for leak in ("Traceback", "asyncpg", "saas/", "SELECT ", "psycopg", "Exception"):
        assert leak not in response.text
    if code is not None:
        assert problem["code"] == code, problem
    if field is not None:
        assert field in fields_of(problem), problem
    if rule is not None:
        assert rule in {e["code"] for e in problem["errors"]}, problem
    return problem


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)
