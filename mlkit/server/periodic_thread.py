"""A thread that does one thing again and again, and outlives whatever goes wrong with it."""

import logging
import threading
import time
from collections.abc import Callable

from mlkit.errors import MlkitError

log = logging.getLogger("mlkit.server")


class PeriodicThread:
    """Call ``act`` every ``every_s`` seconds; what it raises is told, and the next call comes."""

    def __init__(self, name: str, act: Callable[[], object], every_s: float) -> None:
        self.name = name
        self._act = act
        self._every_s = every_s
        self._began = time.monotonic()
        self.trouble = ""

    def start(self, stop: threading.Event) -> None:
        """Begin, in a thread that ends after ``stop``."""
        threading.Thread(target=self._run, args=(stop,), name=self.name, daemon=True).start()

    def call(self) -> None:
        """Do it once; ``trouble`` says what went wrong, "" if nothing did."""
        self._began = time.monotonic()
        try:
            self._act()
        except BaseException as error:  # it runs code of libraries and of users
            text = str(error) or type(error).__name__
            if text != self.trouble:
                log.error("%s: %s", self.name, text, exc_info=unexpected(error))
            self.trouble = text
        else:
            self.trouble = ""

    @property
    def late_s(self) -> float:
        """For how long it has been in one call, or was not called at all."""
        return max(0.0, time.monotonic() - self._began - self._every_s)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            self.call()


def unexpected(error: BaseException) -> BaseException | None:
    """Return the error if only its traceback says what it is."""
    return None if isinstance(error, (MlkitError, OSError)) else error
