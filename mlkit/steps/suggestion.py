"""What somebody who wrote an unknown word may have meant."""

import difflib
from collections.abc import Sequence


def hint(word: str, known: Sequence[str]) -> str:
    """Return what to write instead of ``word``.

    >>> hint("nulable", ["nullable", "unique"])
    "did you mean 'nullable'"
    """
    near = difflib.get_close_matches(word, known, n=1)
    listed = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
    return f"did you mean '{near[0]}'" if near else f"known: {listed}"
