"""A collector at a link-local address, which has a zone, is reached over both protocols."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, sys
from otellogdriver.export.client import client_for
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered
from tests.fakes.otlp_server import OtlpServer
from otellogdriver.export.client import prepare
from tests.unit.export.otlp_requests import request

async def main(protocol):
    async with OtlpServer(protocol, host="[::]" if protocol == "grpc" else "::") as server:
        destination = Destination((f"http://[fe80::99%25lo]:{server.port}",), protocol)
        client = client_for(destination)
        outcome = await client.send(prepare(destination, [request("a", 1)]))
        await client.close()
        assert outcome == Delivered(), outcome
        authority = server.requests[0].headers.get("host", f"[fe80::99]:{server.port}")
        assert authority == f"[fe80::99]:{server.port}", authority

asyncio.run(main(sys.argv[1]))
"""
NETWORK = 'ip link set lo up && ip -6 address add fe80::99/64 dev lo nodad && exec "$@"'


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_address_with_a_zone_is_reached(protocol: str) -> None:
    command = ["unshare", "--net", "sh", "-c", NETWORK, "sh", sys.executable, "-c", SCRIPT, protocol]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
