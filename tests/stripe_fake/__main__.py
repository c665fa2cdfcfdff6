"""Serve the fake for trying the product by hand."""

from __future__ import annotations

import asyncio

import click

from tests.stripe_fake.server import stripe_open


@click.command()
@click.option("--port", default=8420, show_default=True)
@click.option("--endpoint", default="http://localhost:8000/billing/stripe/webhook", show_default=True, help="Where events go.")
def main(port: int, endpoint: str) -> None:
    """Ctrl-C stops it, and forgets everything."""

    async def run() -> None:
        async with stripe_open(port=port, endpoint=endpoint) as fake:
            click.echo(f"STRIPE_API_KEY={fake.key} STRIPE_API_BASE={fake.url} STRIPE_WEBHOOK_SECRET={fake.secret}")
            await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


if __name__ == "__main__":
    main()
