"""The server behind `imbtui serve`: textual-serve, for the pages that it has sent itself.

A browser lets any page open a websocket to this machine. What comes from another page than ours is refused;
so is a foreign name that has been made to lead here.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from imbtui.cli import output
from imbtui.cli.serve import is_own

PAGE = Path(__file__).parent / "page"
GRACE = 1.0  # seconds that open tabs have to close when the server ends


class DashboardServer(Server):
    """A dashboard of its own for each browser tab.

    Args:
        command: what is run for each.
        host: the address to listen to.
    """

    def __init__(self, command: str, *, host: str, port: int) -> None:
        super().__init__(command, host=host, port=port, title="imbtui", templates_path=PAGE)

    def serve(self, debug: bool = False) -> None:
        """Answer until Ctrl+C."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        about = f"the dashboard is at http://{host}:{self.port}   Ctrl+C ends it; runs go on"
        web.run_app(
            self._make_app(),
            host=self.host,
            port=self.port,
            access_log=None,
            shutdown_timeout=GRACE,
            print=lambda _: output.say(about),  # called once the port is open
        )

    async def handle_index(self, request: web.Request) -> web.Response:
        # A forwarded port may have another number where the browser is.
        self.public_url = f"http://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if not is_our_page(request.headers.get("Origin"), request.host, self.host):
            raise web.HTTPForbidden(text="only a page of this server may open the dashboard")
        return await super().handle_websocket(request)


def is_our_page(origin: str | None, asked: str, address: str) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Args:
        origin: where the page is from, as browsers tell it; None: no browser asks.
        asked: host and port that are asked for.
        address: the one that is listened to; on this machine's own nobody else's name is answered to.
    """
    if origin is not None and urlsplit(origin).netloc != asked:
        return False
    return not is_own(address) or is_own(urlsplit(f"//{asked}").hostname or "")
