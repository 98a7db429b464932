"""Other runs, whose artefacts a run may begin from."""

from __future__ import annotations

from pathlib import Path

from imbtui.errors import UserError, did_you_mean
from imbtui.paths import RunPaths


def find_run(runs: Path | None, name: str, *, where: str) -> RunPaths:
    """Return a run by its id, by the start of one, or by the path of its folder.

    Args:
        runs: the folder of runs to look in.
        name: what the user wrote.
        where: the recipe's key, for messages.

    Raises:
        UserError: there is none, or several begin like this.
    """
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise UserError(f"{path} is no folder of a run", where=where)
        return RunPaths(path.absolute())
    ids = [] if runs is None else sorted(p.name for p in runs.iterdir() if (p / "recipe.toml").is_file())
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in matching:
        matching = [name]
    if len(matching) > 1:
        raise UserError(
            f'{len(matching)} runs begin with "{name}"', where=where, hint=f"One is {matching[0]}."
        )
    if not matching:
        folder = "" if runs is None else f" in {runs}"
        raise UserError(f'there is no run "{name}"{folder}', where=where, hint=did_you_mean(name, ids[-20:]))
    assert runs is not None
    return RunPaths(runs / matching[0])
