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

    async def call(self, method: str, path: str, body: Any = None, *, expect: int | None = 200, headers: dict[str, str] | None = None, **params: Any) -> Any:
        sent = {"host": self.host, "accept-language": self.language, **(headers or {})}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        response = await self.client.request(method, f"/api/v1{path}", json=body, params=params or None, headers=sent)
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
