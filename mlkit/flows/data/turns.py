"""Run independent steps: the failure of one model, view or step does not stop the others."""

import logging
from collections.abc import Callable
from typing import TypeVar

from mlkit.errors import MlkitError

T = TypeVar("T")

log = logging.getLogger("mlkit")


class Turns:
    """Run steps one after another and raise their errors at the end."""

    def __init__(self) -> None:
        self._failures: dict[str, Exception] = {}

    def take(self, name: str, act: Callable[[], T]) -> T | None:
        """Call ``act`` and return its result, or None if it raises anything."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # raised again by ``settle``
            self._failures[name] = error
            return None

    def why(self, name: str) -> str | None:
        """Return the error message of step ``name``, None if it succeeded.

        The traceback of an unexpected error goes to the log.
        """
        error = self._failures.get(name)
        if error is None or isinstance(error, MlkitError):
            return None if error is None else str(error)
        log.error("%s failed", name, exc_info=error)
        return f"{type(error).__name__}: {error}"

    @property
    def first(self) -> Exception | None:
        """The first error."""
        return next(iter(self._failures.values()), None)

    def settle(self, done: str = "") -> None:
        """Raise the error if one step failed, or one MlkitError for several.

        With ``done``, a summary of the steps that succeeded, always raise an MlkitError that starts
        with it.
        """
        if self.first is None:
            return
        if len(self._failures) == 1 and not done:
            raise self.first
        said = [f"{name} failed: {self.why(name)}" for name in self._failures]
        raise MlkitError("; ".join([done, *said] if done else said)) from self.first
