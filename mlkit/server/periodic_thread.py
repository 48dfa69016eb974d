"""A thread that calls one function periodically and survives its errors."""

import logging
import threading
import time
from collections.abc import Callable

from mlkit.errors import MlkitError

log = logging.getLogger("mlkit.server")


class PeriodicThread:
    """Call ``act`` every ``every_s`` seconds; an error is logged, and the next call follows."""

    def __init__(self, name: str, act: Callable[[], object], every_s: float) -> None:
        self.name = name
        self._act = act
        self._every_s = every_s
        self._began = time.monotonic()
        self.trouble = ""

    def start(self, stop: threading.Event) -> None:
        """Start the thread; it ends once ``stop`` is set."""
        threading.Thread(target=self._run, args=(stop,), name=self.name, daemon=True).start()

    def call(self) -> None:
        """Call ``act`` once; ``trouble`` is then its error, "" if it had none."""
        self._began = time.monotonic()
        try:
            self._act()
        except BaseException as error:  # it runs code of libraries and users, which may exit
            text = str(error) or type(error).__name__
            if text != self.trouble:
                log.error("%s: %s", self.name, text, exc_info=unexpected(error))
            self.trouble = text
        else:
            self.trouble = ""

    @property
    def late_s(self) -> float:
        """How many seconds the present or next call is overdue."""
        return max(0.0, time.monotonic() - self._began - self._every_s)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            self.call()


def unexpected(error: BaseException) -> BaseException | None:
    """Return the error if its message does not suffice and the traceback belongs in the log."""
    return None if isinstance(error, (MlkitError, OSError)) else error
