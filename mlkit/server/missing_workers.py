"""Which workers are missing: noted by the main process, reported by the remaining workers."""

import mmap

_missing: mmap.mmap | None = None  # a shared byte for each worker, inherited by the fork


def begin(workers: int) -> None:
    """Note that no worker is missing; called before any is forked."""
    global _missing
    _missing = mmap.mmap(-1, workers)  # without a file, so a full disk does no harm


def note(place: int, *, missing: bool) -> None:
    """Note whether worker number ``place`` is missing."""
    if _missing is not None:
        _missing[place] = missing


def describe() -> str:
    """Return a sentence about the missing workers, "" if there are none."""
    if _missing is None or not any(_missing[:]):
        return ""
    return (
        f"{sum(_missing[:])} of {len(_missing)} workers died and no other is there yet; the "
        "server's log says why"
    )
