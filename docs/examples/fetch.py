"""Fetch pages with aiohttp, in a Twisted program."""

import asyncio
import sys

import aiohttp
from twisted.internet import task
from twisted.internet.defer import Deferred

from netsuite.net.aio import as_deferred
from netsuite.net.reactor import install


async def fetch(session: aiohttp.ClientSession, url: str) -> None:
    """Say how many bytes a page has."""
    async with session.get(url) as response:
        print(len(await response.read()), url)


async def fetch_all(urls: tuple[str, ...]) -> None:
    """All of them at once. This is asyncio code throughout, and runs as a task."""
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as group,
    ):
        for url in urls:
            group.create_task(fetch(session, url))


def main(reactor: object, *urls: str) -> Deferred[None]:
    """Twisted code, which has a Deferred for it."""
    return as_deferred(fetch_all(urls), reactor=reactor)


if __name__ == "__main__":
    install()
    task.react(main, sys.argv[1:])
