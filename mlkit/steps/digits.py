"""Numbers that stand beside each other, with as many digits as it takes to tell them apart."""

import math
from typing import Final

_MOST: Final = 15  # what a double holds


def alike(*values: float, least: int = 3) -> list[str]:
    """Return the values with three digits of how far they lie apart, and ``least`` of their own.

    >>> alike(40.7128, 40.7306, 40.7812), alike(0.242, 0.312), alike(1234567.0, 1234890.0)
    (['40.7128', '40.7306', '40.7812'], ['0.242', '0.312'], ['1234567', '1234890'])
    >>> alike(31_415.9, 2.0), alike(5.0, 5.0), alike(2e-9, 0.0), alike(1e100, float("nan"))
    (['31416', '2'], ['5', '5'], ['2e-09', '0'], ['1e+100', 'nan'])
    """
    finite = [value for value in values if math.isfinite(value)]
    largest = max((abs(value) for value in finite), default=0.0)
    span = max(finite, default=0.0) - min(finite, default=0.0)
    digits = least
    if 0 < span < math.inf:
        digits = math.floor(math.log10(largest)) - math.floor(math.log10(span)) + 3
    return [_shown(value, min(max(digits, least), _MOST)) for value in values]


def _shown(value: float, digits: int) -> str:
    if math.isfinite(value) and 10**digits <= abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"
