"""The command palette: everything that a key does here, every screen, and the themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from imbtui.tui.theme import NAMES

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

_MOVES = ("move(", "page(", "end(", "scroll_", "page_", "turn(", "erase")


class Commands(Provider):
    """Commands of the screen below and of the app."""

    async def discover(self) -> Hits:
        for title, about, run in self._all():
            yield DiscoveryHit(title, run, help=about)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, about, run in self._all():
            score = max(matcher.match(title), 0.8 * matcher.match(about))
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, text=title, help=about)

    def _all(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        """Yield title, explanation and what to call."""
        app = cast("ImbtuiApp", self.app)
        seen: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            # Moving about is for keys; Textual's own bindings carry no tooltip.
            if (
                not (binding.id and binding.tooltip)
                or binding.id in seen
                or binding.action.startswith(_MOVES)
            ):
                continue
            seen.add(binding.id)
            title = f"{binding.tooltip.rstrip('.')}"
            run = partial(self._press, binding.action, active.node)
            yield title, f"key {app.get_key_display(binding)}", run
        for theme, about in NAMES.items():
            yield f"Theme: {theme}", about, partial(app.choose_theme, theme)
        yield "Theme: choose among all", "Textual's themes as well", app.action_change_theme

    async def _press(self, action: str, node: Any) -> None:
        await self.app.run_action(action, node)
