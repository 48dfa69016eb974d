"""What somebody who wrote an unknown word may have meant."""

import difflib
from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 100


def hint(word: str, known: Sequence[str]) -> str:
    """Return what to write instead of ``word``.

    >>> hint("nulable", ["nullable", "unique"])
    "did you mean 'nullable'"
    """
    short = [name for name in known[:2_000] if len(name) <= _LONGEST]
    near = difflib.get_close_matches(word[:_LONGEST], short, n=1)  # cubic in the lengths
    listed = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
    return f"did you mean '{near[0]}'" if near else f"known: {listed}"
