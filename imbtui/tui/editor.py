"""The user's own editor, on a text that lies in a file of its own meanwhile."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

from imbtui.errors import UserError

if TYPE_CHECKING:
    from textual.app import App


def edit(app: App[Any], text: str, *, name: str) -> str:
    """Return a text as the user leaves it in `$VISUAL`, `$EDITOR` or vi; the dashboard waits.

    Args:
        name: of the file, for editors that go by it.

    Raises:
        UserError: there is no such editor, or it failed.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="imbtui-") as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            with app.suspend():
                done = subprocess.run([*command, str(path)], check=False)
        except SuspendNotSupported:
            raise UserError("an editor cannot be opened from here") from None
        except OSError as error:
            hint = "Name yours in the variable EDITOR."
            raise UserError(f"{command[0]} cannot be started: {error.strerror}", hint=hint) from None
        if done.returncode:
            raise UserError(f"{command[0]} ended with {done.returncode}; nothing was changed")
        return path.read_text(encoding="utf-8")
