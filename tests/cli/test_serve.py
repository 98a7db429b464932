"""`imbtui serve`: on this machine alone, and the dashboard behind it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time

import pytest

from imbtui.cli.serve import check_address, is_own
from imbtui.errors import UserError
from imbtui.paths import RunsPaths


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_this_machine_s_own_addresses(host: str) -> None:
    assert is_own(host)
    check_address(host, anybody=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_others_need_to_be_insisted_on(host: str) -> None:
    with pytest.raises(UserError, match="no password"):
        check_address(host, anybody=False)
    check_address(host, anybody=True)


def test_the_dashboard_is_behind_the_address(runs: RunsPaths) -> None:
    pytest.importorskip("textual_serve")
    import aiohttp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-m", "imbtui", "serve", "--port", str(port), "--runs", str(runs.root)],
        stdout=subprocess.DEVNULL,
    )

    async def look() -> bytes:
        seen = b""
        async with aiohttp.ClientSession() as session:
            deadline = time.monotonic() + 60
            while True:
                try:
                    page = await (await session.get(f"http://127.0.0.1:{port}/")).text()
                    break
                except aiohttp.ClientConnectionError:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)
            assert "imbtui" in page
            async with session.ws_connect(f"ws://127.0.0.1:{port}/ws?width=100&height=30") as ws:
                while b"No runs here yet" not in seen:
                    seen += (await ws.receive(timeout=60)).data or b""
        return seen

    try:
        assert b"No runs here yet" in asyncio.run(look())
    finally:
        served.terminate()
        served.wait(timeout=30)
