"""A browser without pages: keeps the cookies of each host, follows redirects between the product (in this process) and real providers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx


@dataclass
class Browser:
    """`host` is where relative addresses lead."""

    http: httpx.AsyncClient
    host: str
    jar: dict[str, dict[str, str]] = field(default_factory=dict)

    async def get(self, path: str, *, host: str | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self._send("GET", path, None, host or self.host, headers)

    async def post(self, path: str, form: dict[str, Any], *, host: str | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self._send("POST", path, form, host or self.host, headers)

    async def _send(self, method: str, path: str, form: Any, host: str, headers: dict[str, str] | None) -> httpx.Response:
        jar = self.jar.setdefault(host, {})
        cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
        sent = {"host": host, **({"cookie": cookie} if cookie else {}), **(headers or {})}
        answer = await self.http.request(method, path, data=form, headers=sent, follow_redirects=False)
        for line in answer.headers.get_list("set-cookie"):
            assert "domain=" not in line.lower(), "cookies are of one host only"
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value and "max-age=0" not in line.lower():
                jar[name] = value
            else:
                jar.pop(name, None)
        return answer

    @property
    def cookies(self) -> dict[str, str]:
        return self.jar.setdefault(self.host, {})

    async def begin(self, path: str = "/sso/start") -> str:
        """The provider's address to which this browser is sent."""
        answer = await self.get(path)
        assert answer.status_code == 303, answer.text[:500]
        return answer.headers["location"]

    async def visit_provider(self, url: str) -> str:
        """Signs in there (the lying provider asks nothing); the path that leads back here."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
        assert answer.status_code == 302, answer.text[:300]
        return path_of(answer.headers["location"])

    async def sign_in(self, path: str = "/sso/start") -> httpx.Response:
        return await self.get(await self.visit_provider(await self.begin(path)))

    async def token(self, path: str) -> str:
        """The CSRF token of a page."""
        found = re.search(r'name="csrf" content="([^"]*)"', (await self.get(path)).text)
        assert found
        return found[1]


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def shown(answer: httpx.Response) -> str:
    """The error a page shows."""
    found = re.search(r'<div class="notice error" role="alert"><svg.*?</svg>(?:<div><strong>|<span>)(.*?)</', answer.text, re.S)
    return found[1].replace("&#39;", "'") if found else ""
