"""`imbtui serve`: on this machine alone, for its own pages alone, and the dashboard behind it."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from imbtui.cli.serve import check_address, is_own
from imbtui.errors import UserError
from imbtui.paths import RunPaths, RunsPaths

PATIENCE = 60.0  # seconds; the machine may be busy
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_this_machine_s_own_addresses(host: str) -> None:
    assert is_own(host)
    check_address(host, anybody=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_others_need_to_be_insisted_on(host: str) -> None:
    with pytest.raises(UserError, match="no password"):
        check_address(host, anybody=False)
    check_address(host, anybody=True)


@pytest.mark.parametrize(
    ("origin", "asked", "address", "ours"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1", True),
        ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),  # a forwarded port
        ("http://[::1]:8000", "[::1]:8000", "::1", True),
        (None, "127.0.0.1:8000", "127.0.0.1", True),  # no browser
        ("http://evil.example", "127.0.0.1:8000", "127.0.0.1", False),
        ("http://127.0.0.1:7777", "127.0.0.1:8000", "127.0.0.1", False),
        ("null", "127.0.0.1:8000", "127.0.0.1", False),
        ("http://evil.example:8000", "evil.example:8000", "127.0.0.1", False),  # its name leads here
        ("http://gpubox:8000", "gpubox:8000", "0.0.0.0", True),
        ("http://evil.example", "gpubox:8000", "0.0.0.0", False),
    ],
)
def test_pages_of_others_are_refused(origin: str | None, asked: str, address: str, ours: bool) -> None:
    pytest.importorskip("textual_serve")
    from imbtui.cli.web import is_our_page

    assert is_our_page(origin, asked, address) is ours


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def served(runs: RunsPaths, port: int) -> Iterator[str]:
    """The address at which the dashboard over `runs` is served."""
    pytest.importorskip("textual_serve")
    command = [sys.executable, "-m", "imbtui", "serve", "--port", str(port), "--runs", str(runs.root)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except ConnectionRefusedError:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


async def test_the_dashboard_is_behind_the_websocket(served: str) -> None:
    import aiohttp

    seen = b""
    async with (
        asyncio.timeout(PATIENCE),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{served}/ws?width=100&height=30") as ws,
    ):
        while b"No runs here yet" not in seen:
            seen += (await ws.receive()).data or b""


async def test_the_page_of_another_does_not_get_in(served: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(f"{served}/ws", headers={"Origin": "http://evil.example"})


def test_a_port_that_is_taken_is_said(served: str, port: int, runs: RunsPaths) -> None:
    command = [sys.executable, "-m", "imbtui", "serve", "--port", str(port), "--runs", str(runs.root)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 2
    assert (
        second.stderr.strip() == f"imbtui: --port: cannot listen on 127.0.0.1:{port}: address already in use"
    )


# In a browser. The page draws on a canvas, so that its text is read from xterm.js. It keeps its terminal to
# itself; the script below takes it when it is made.

TAKE_TERMINAL = """
Object.defineProperty(Object.prototype, "terminal", {
  configurable: true,
  set(made) {
    if (made.buffer) window.shownTerminal = made;
    Object.defineProperty(this, "terminal", {value: made, writable: true, configurable: true});
  },
});
"""
READ_TERMINAL = """
(() => {
  const active = window.shownTerminal?.buffer.active;
  if (!active) return "";
  return [...Array(active.length).keys()].map(y => active.getLine(y).translateToString()).join("\\n");
})()
"""


class Page:
    """One page in a browser, driven over the DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count()

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its result; events on the way are passed over."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    async def text(self) -> str:
        """Return what stands in the page's terminal."""
        answer = await self.do("Runtime.evaluate", expression=READ_TERMINAL)
        return str(answer["result"]["value"])

    async def until(self, wanted: str) -> str:
        """Wait until a text stands in the terminal; return all that stands there."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in (shown := await self.text()):
            assert time.monotonic() < deadline, f'"{wanted}" did not show:\n{shown}'
            await asyncio.sleep(0.1)
        return shown

    async def press(self, key: str) -> None:
        code = ord(key.upper())
        for kind in ("keyDown", "keyUp"):
            text = key if kind == "keyDown" else ""
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    async def picture(self) -> Image.Image:
        """Return what is painted, after the next frame."""
        answer = await self.do("Page.captureScreenshot", format="png")
        return Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")

    async def pictured(self, condition: Callable[[Image.Image], bool]) -> Image.Image:
        """Wait until what is painted fulfils a condition."""
        deadline = time.monotonic() + PATIENCE
        while not condition(picture := await self.picture()):
            assert time.monotonic() < deadline, "the picture did not come"
            await asyncio.sleep(0.1)
        return picture


@asynccontextmanager
async def browser(url: str, folder: Path) -> AsyncIterator[Page]:
    """Open a page in a headless Chromium of its own."""
    import aiohttp

    assert CHROMIUM is not None
    flags = [
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--window-size=1200,800",
    ]
    # The page draws with WebGL; without a GPU that is done in software.
    flags += ["--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    chromium = subprocess.Popen(
        [CHROMIUM, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(3 * PATIENCE), aiohttp.ClientSession() as session:
            told = folder / "DevToolsActivePort"  # port and path, written when it listens
            while not (told.exists() and told.read_text().count("\n")):
                assert chromium.poll() is None, "Chromium ended"
                await asyncio.sleep(0.1)
            port = told.read_text().split("\n")[0]
            async with session.get(f"http://127.0.0.1:{port}/json/list") as listed:
                target = next(one for one in await listed.json() if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.do("Page.enable")
                await page.do("Page.addScriptToEvaluateOnNewDocument", source=TAKE_TERMINAL)
                await page.do("Page.navigate", url=url)
                yield page
                await page.do("Browser.close")
        chromium.wait(timeout=30)
    finally:
        if chromium.poll() is None:
            chromium.kill()
            chromium.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
async def test_the_dashboard_in_a_browser(
    served: str, make_runs: Callable[..., list[RunPaths]], tmp_path: Path
) -> None:
    """The table of runs is shown and painted; a key opens the queue, and the picture changes."""
    run, *_ = make_runs()
    async with browser(served, tmp_path / "profile") as page:
        shown = await page.until("queued")
        assert "name" in shown and "progress" in shown  # the table's headings
        table = await page.pictured(lambda picture: len(picture.getcolors(1 << 24) or ()) > 50)
        table.save(tmp_path / "runs.png")

        await page.press("Q")
        await page.until("slots:")
        queue = await page.pictured(
            lambda picture: ImageChops.difference(picture, table).getbbox() is not None
        )
        queue.save(tmp_path / "queue.png")
    assert run.root.is_dir()  # looking changes nothing
