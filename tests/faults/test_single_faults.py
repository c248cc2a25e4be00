"""Every single fault between the bridge and HubSpot, over real TCP: each request converges, nothing is done twice.

``SCIM_BRIDGE_SINGLE_FAULTS=0.3`` takes that share of the scenarios, at random; all by default.
"""

import asyncio
import os
from contextlib import suppress

import httpx2

from scim_bridge.models import RateLimit
from scim_bridge.upstream import HttpClients
from tests.faults.faultproxy import KINDS, MADE_UP, message
from tests.faults.instruments import run

LEAST = 1_100
"""Scenarios below which operations have gone missing."""


def test_after_any_single_fault_hubspot_is_what_the_client_was_told() -> None:
    """{faults} × {calls of each SCIM operation} × {before, after effect}: 0 false answers, 0 doubled, all converge.

    So it is for every operation on Users and Groups, for Bulk, and for every way of deprovisioning.
    """
    share = os.environ.get("SCIM_BRIDGE_SINGLE_FAULTS", "1")
    report = run("single_faults", "--share", share)
    print(f"single faults: {report}")
    assert report["violations"] == []
    assert report["unreached"] == 0
    assert report["scenarios"] == report["due"] >= LEAST * float(share)
    assert set(report["fired"]) == {f"{kind} {when}" for kind in KINDS for when in ("before", "after")}
    assert set(map(int, report["statuses"])) <= {200, 201, 204, 429}


async def test_bytes_after_an_answer_are_never_the_answer_to_the_next_call() -> None:
    """A second answer on a connection is not taken for somebody else's: a connection is used once."""
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                right = message("200 OK", head.split()[1])
                writer.write(right + message("404 Not Found", MADE_UP))
                await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        url = f"http://{host}:{port}"
        async with HttpClients()(base_url=url, account="one", rate_limit=RateLimit(1000, 1.0)) as http:
            answers: list[httpx2.Response] = [await http.get(f"/{name}") for name in ("ada", "bob", "cy")]
        await asyncio.gather(*filter(None, served))
    assert len(served) == len(answers)
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "/ada"), (200, "/bob"), (200, "/cy")]
