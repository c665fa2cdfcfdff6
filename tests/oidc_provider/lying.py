"""An OpenID Connect provider that does everything right until a test tells it to lie. It insists on what a client owes it: the exact
redirect address, PKCE with S256, the secret, each code once."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT_ID, SECRET = "crm-client", "s3cret/with+signs:%"


@dataclass
class Provider:
    """`person`: the claims of whoever signs in next. `lies`: claims put over those of the ID token (None removes one). `token`: makes
    the ID token itself from (header, claims). `metadata`, `answer`: put over what discovery, and the way back, say."""

    port: int = 0
    redirect_uris: set[str] = field(default_factory=set)
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    token: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] | None = None
    key: Any = field(default_factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    jwks: Any = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    failing: int = 0
    info_status: int = 200
    gate: threading.Event | None = None  # nothing is answered before

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def discovery(self) -> dict[str, Any]:
        said = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/info", "end_session_endpoint": f"{self.issuer}/bye", "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }  # fmt: skip
        return {name: value for name, value in {**said, **self.metadata}.items() if value is not None}

    def authorize(self, query: dict[str, str]) -> str:
        """As a browser would be sent back. Errors: AssertionError for a client that does not keep to the rules."""
        assert query["redirect_uri"] in self.redirect_uris, query["redirect_uri"]
        assert query["client_id"] == CLIENT_ID and query["response_type"] == "code" and "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43 and len(query["state"]) >= 22 and len(query["nonce"]) >= 22
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {name: value for name, value in {"code": code, "state": query["state"], **self.answer}.items() if value is not None}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The tokens for a code; each once."""
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":") if authorization else [form.get("client_id", ""), form.get("client_secret", "")]
        if [unquote(part) for part in pair] != [CLIENT_ID, SECRET]:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant", "error_description": "unknown code"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": "wrong verifier"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": asked["nonce"], **self.person, **self.lies}
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": "one"}
        token = self.token(header, claims) if self.token else jwt.encode(header, claims, self.key)
        return 200, {"access_token": "at-" + secrets.token_hex(8), "token_type": "Bearer", "id_token": token}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        provider = self.provider
        provider.seen.append(("GET", self.path))
        if provider.gate is not None:
            provider.gate.wait(20)
        if provider.failing:
            self._answer(provider.failing, {})
        elif path == "/.well-known/openid-configuration":
            self._answer(200, provider.discovery())
        elif path == "/keys":
            self._answer(200, provider.jwks or {"keys": [provider.key.as_dict(private=False)]})
        elif path == "/info":
            self._answer(provider.info_status, provider.info if provider.info is not None else provider.person)
        elif path == "/authorize":
            self.send_response(302)
            self.send_header("location", provider.authorize(query))
            self.send_header("content-length", "0")
            self.end_headers()
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.provider.seen.append(("POST", self.path))
        if self.provider.failing:
            self._answer(self.provider.failing, {})
            return
        self._answer(*self.provider.redeem({name: values[0] for name, values in parse_qs(body).items()}, self.headers.get("authorization", "")))

    def _answer(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def lying_provider() -> Iterator[Provider]:
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": provider}))
    provider.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
