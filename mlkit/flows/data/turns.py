"""Give each its turn: what fails for one model, view or step keeps no other from its own."""

import logging
from collections.abc import Callable
from typing import TypeVar

from mlkit.errors import MlkitError

T = TypeVar("T")

log = logging.getLogger("mlkit")


class Turns:
    """Do one thing after another and raise in the end what went wrong on the way."""

    def __init__(self) -> None:
        self._failures: dict[str, Exception] = {}

    def take(self, name: str, act: Callable[[], T]) -> T | None:
        """Return what ``act`` returns, None if it raises anything."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # raised again by ``settle``
            self._failures[name] = error
            return None

    def why(self, name: str) -> str | None:
        """Return what went wrong in this turn, None if nothing did.

        What only a programmer can mend leaves its traceback in the log.
        """
        error = self._failures.get(name)
        if error is None or isinstance(error, MlkitError):
            return None if error is None else str(error)
        log.error("%s failed", name, exc_info=error)
        return f"{type(error).__name__}: {error}"

    @property
    def first(self) -> Exception | None:
        """The first error that was met."""
        return next(iter(self._failures.values()), None)

    def settle(self, done: str = "") -> None:
        """Raise what went wrong: of one failure the error itself, of more one MlkitError for all.

        With ``done``, which says what was done all the same, always an MlkitError that begins so.
        """
        if self.first is None:
            return
        if len(self._failures) == 1 and not done:
            raise self.first
        said = [f"{name} failed: {self.why(name)}" for name in self._failures]
        raise MlkitError("; ".join([done, *said] if done else said)) from self.first
