"""`imbtui serve`."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
from typing import Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

EXAMPLES = ("imbtui serve", "ssh -L 8000:127.0.0.1:8000 gpubox imbtui serve")
MODULE = "imbtui"


def command(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address.")] = "127.0.0.1",
    anybody: Annotated[
        bool, typer.Option("--anybody", help="Allow an address that others can reach; there is no password.")
    ] = False,
    runs: options.Runs = None,
) -> None:
    """Open the dashboard in a browser.

    Whoever reaches the address can launch, stop and delete runs as you, so that it is this machine's own
    unless you insist. From elsewhere, forward the port with `ssh -L`.
    """
    check_address(host, anybody=anybody)
    try:
        from imbtui.cli.web import DashboardServer
    except ImportError:
        raise UserError(
            "this needs textual-serve", hint="Install it with: pip install 'imbtui[serve]'"
        ) from None
    if not is_own(host):
        output.say(f"warning: everybody who reaches {host}:{port} can launch, stop and delete runs as you")
    folder = options.runs_paths(runs).root.absolute()
    line = shlex.join([sys.executable, "-m", MODULE, "--runs", str(folder)])
    try:
        DashboardServer(line, host=host, port=port).serve()
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise UserError(f"cannot listen on {host}:{port}: {reason}", where="--port") from None


def is_own(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, *, anybody: bool) -> None:
    """Make sure that nobody else is let in by mistake.

    Raises:
        UserError: others could reach the address, and that was not asked for.
    """
    if not is_own(host) and not anybody:
        raise UserError(
            f"others could reach {host}, and there is no password",
            where="--host",
            hint="Forward a port instead: ssh -L 8000:127.0.0.1:8000 HOST. --anybody insists.",
        )
