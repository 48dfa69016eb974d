"""Which workers are missing: noted by the main process, told by those that answer meanwhile."""

import mmap

_noted: mmap.mmap | None = None  # what a fork hands on: a byte for each worker


def begin(workers: int) -> None:
    """Begin with all of them there; before any is forked."""
    global _noted
    _noted = mmap.mmap(-1, workers)  # no file behind it: a full disk takes nothing from it


def note(place: int, *, missing: bool) -> None:
    """Note whether nobody is in the place of a worker."""
    if _noted is not None:
        _noted[place] = missing


def describe() -> str:
    """Say how many are missing, "" if none is."""
    if _noted is None or not any(_noted[:]):
        return ""
    return (
        f"{sum(_noted[:])} of {len(_noted)} workers died and no other is there yet; the server's "
        "log says why"
    )
