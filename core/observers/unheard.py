"""What observers see of the ranks that do not lead: nothing."""

from __future__ import annotations

from collections.abc import Callable


class Unheard:
    """Takes the place of the hooks: every call is answered by nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **_: None
