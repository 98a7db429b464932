"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own runs folder and terminal settings out of the tests."""
    for name in ("IMBTUI_RUNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def data_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with real image data, also exported as `IMBTUI_DATA`."""
    named = os.environ.get("IMBTUI_DATA")
    root = Path(named) if named else SHARED_DATA
    if not root.is_dir():
        pytest.skip("no real data: set IMBTUI_DATA to a folder in torchvision's layout")
    monkeypatch.setenv("IMBTUI_DATA", str(root))
    return root
