"""What a store does when its process forks: connections do not survive it."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forking(Protocol):
    """Whoever holds connections."""

    def before_fork(self) -> None:
        """Close the idle connections: SQLite's locks must not be inherited."""
        ...

    def after_fork_in_child(self) -> None:
        """Start anew, without touching what is the parent's."""
        ...


def follow_forks(store: Forking) -> None:
    """Tell the store about forks for as long as somebody else holds it."""
    reference = weakref.ref(store)

    def before() -> None:
        if (alive := reference()) is not None:
            alive.before_fork()

    def after_in_child() -> None:
        if (alive := reference()) is not None:
            alive.after_fork_in_child()

    os.register_at_fork(before=before, after_in_child=after_in_child)
