"""The fake as a Litestar application: the API, a payment page, a portal, invoices to look at, and signed webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html import escape
from typing import Any

import httpx
import uvicorn
from litestar import Litestar, Request, Response, get, route
from litestar.enums import MediaType
from litestar.params import FromPath

from tests.stripe_fake import api, subscriptions
from tests.stripe_fake.forms import decode
from tests.stripe_fake.store import Fake, Refused, body_of


def signature(body: bytes, secret: str, *, at: int | None = None) -> str:
    """The header of a webhook: the moment and an HMAC over it and the body."""
    stamp = int(time.time()) if at is None else at
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


async def deliver(fake: Fake, client: httpx.AsyncClient | None = None) -> list[int]:
    """Send the events that wait to the endpoint, in their order; returns the answers. Without an endpoint they are only kept."""
    waiting, fake.unsent = fake.unsent, []
    if fake.endpoint is None:
        return []
    answers = []
    async with contextlib.AsyncExitStack() as stack:
        client = client or await stack.enter_async_context(httpx.AsyncClient(timeout=20))
        for event in waiting:
            body = body_of(event)
            answer = await client.post(fake.endpoint, content=body, headers={"stripe-signature": signature(body, fake.secret), "content-type": "application/json; charset=utf-8"})
            answers.append(answer.status_code)
    return answers


def make_app(fake: Fake) -> Litestar:
    @route("/v1/{path:path}", http_method=["GET", "POST", "DELETE"], status_code=200)
    async def call(request: Request) -> Response[Any]:
        text = request.url.query if request.method == "GET" else (await request.body()).decode()
        asked = decode(text)
        fake.asked.append((request.method, request.url.path, asked))
        if not request.headers.get("authorization", "").endswith(fake.key):
            return Response({"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}, status_code=401)
        if fake.failures:
            status, message = fake.failures.pop(0)
            kind = "rate_limit_error" if status == 429 else "api_error"
            return Response({"error": {"type": kind, "message": message}}, status_code=status, headers={"stripe-should-retry": "false"})
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        print_ = f"{request.url.path} {text}"
        if key and key in fake.answered:
            before, status, answer = fake.answered[key]
            if before != print_:
                return Response({"error": {"type": "idempotency_error", "message": "Keys for idempotent requests can only be used with the same parameters they were first used with."}}, status_code=400)
            return Response(answer, status_code=status, headers={"idempotent-replayed": "true"})
        try:
            handler, parts = api.find(request.method, request.url.path)
            answer, status = json.loads(json.dumps(handler(fake, asked, **parts))), 200
        except Refused as error:
            answer, status = error.body, error.status
        if key and (status < 400 or status == 402):
            fake.answered[key] = (print_, status, answer)
        _send_soon(fake)
        return Response(answer, status_code=status)

    @get("/pay/{session:str}", media_type=MediaType.HTML)
    async def pay_page(session: FromPath[str]) -> str:
        found = fake.get("checkout.session", session)
        lines = "".join(f"<li>{escape(str(line.get('quantity', '')))} × {escape(str(fake.get('price', line['price'])['lookup_key']))}</li>" for line in found["line_items"])
        return _page("Checkout", f"<ul>{lines}</ul><form method=post><label>Tax id <input name=tax_id></label> <button name=card value=good>Pay</button> <button name=card value=bad>Pay, and refuse this card later</button></form><a href='{escape(found['cancel_url'])}'>Back</a>")

    @route("/pay/{session:str}", http_method=["POST"], status_code=200)
    async def paid(request: Request, session: FromPath[str]) -> Response[Any]:
        form = decode((await request.body()).decode())
        found = fake.get("checkout.session", session)
        api.complete(fake, session, tax_id=form.get("tax_id", ""))
        if form.get("card") == "bad":
            fake.declines.add(found["customer"])
        await deliver(fake)
        return Response("", status_code=303, headers={"location": found["success_url"].replace("{CHECKOUT_SESSION_ID}", session)})

    @get("/portal/{portal:str}", media_type=MediaType.HTML)
    async def portal_page(portal: FromPath[str]) -> str:
        found = fake.get("billing_portal.session", portal)
        return _page("Customer portal", f"<form method=post><button name=do value=pay>Use a good card and pay what is open</button> <button name=do value=bad>Use a card that will be refused</button></form><a id=back href='{escape(found['return_url'])}'>Back</a>")

    @route("/portal/{portal:str}", http_method=["POST"], status_code=200)
    async def portal_act(request: Request, portal: FromPath[str]) -> Response[Any]:
        found = fake.get("billing_portal.session", portal)
        if decode((await request.body()).decode()).get("do") == "pay":
            settle(fake, found["customer"])
        else:
            fake.declines.add(found["customer"])
        await deliver(fake)
        return Response("", status_code=303, headers={"location": found["return_url"]})

    @get("/invoice/{invoice:str}", media_type=MediaType.HTML)
    async def invoice_page(invoice: FromPath[str]) -> str:
        found = fake.get("invoice", invoice)
        return _page(f"Invoice {found['number']}", f"<p>{found['total'] / 100:.2f} {found['currency'].upper()}: {found['status']}</p>")

    return Litestar([call, pay_page, paid, portal_page, portal_act, invoice_page], openapi_config=None, logging_config=None)


def settle(fake: Fake, customer: str) -> None:
    """The customer's card works again, and what is open is paid."""
    fake.declines.discard(customer)
    for found in list(fake.all("invoice").values()):
        if found["customer"] == customer:
            subscriptions.pay(fake, found)


def _page(title: str, body: str) -> str:
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><link rel=icon href='data:,'><h1>{escape(title)}</h1>{body}</html>"


_tasks: set[asyncio.Task[Any]] = set()


def _send_soon(fake: Fake) -> None:
    """After the answer, as Stripe does."""
    if fake.endpoint and fake.unsent and not fake.hold:
        task = asyncio.get_running_loop().create_task(deliver(fake))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


async def settled() -> None:
    """Until every event on its way has been answered."""
    while _tasks:
        await asyncio.wait(set(_tasks))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def stripe_open(*, port: int = 0, endpoint: str | None = None) -> AsyncIterator[Fake]:
    """The fake, serving until the end of the block."""
    fake = Fake(endpoint=endpoint)
    server = _Server(uvicorn.Config(make_app(fake), host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.005)
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        await settled()
        server.should_exit = True
        await task
