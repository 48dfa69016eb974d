"""Round numbers beside an axis, the same for the chart in the terminal and the picture."""

import math

_TINY = 1e-300  # below this the powers of ten end


def ticks(top: float, *, most: int) -> list[float]:
    """Return 0 and its multiples by a round step, the last at or above ``top``.

    The step is 1, 2 or 5 times a power of ten, the smallest that needs at most ``most`` of them.

    >>> ticks(17.1, most=5)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    if top < _TINY:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(size * power for size in (1, 2, 5, 10, 20) if size * power * most >= top)
    return [place * step for place in range(math.ceil(top / step) + 1)]
