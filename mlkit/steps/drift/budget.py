"""How sure one check must be, so that all of them together raise few false alarms."""

from datetime import timedelta

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One false alarm in ``every_s`` seconds, shared by the ``checks`` expected in that time.

    ``alpha`` is the chance of a false alarm that each of them may take.
    """

    every_s: float
    checks: float
    alpha: float

    @property
    def in_words(self) -> str:
        """What is allowed and what that makes for one check."""
        return (
            f"allowed is one false alarm in {self.every_s / 86_400:g} days; {self.checks:.0f} "
            f"checks are expected in that time, so at most {self.checks * self.alpha:.2g} false "
            "alarms"
        )


def share(
    every: timedelta, *, window: timedelta, seen: int, span: timedelta, most: float
) -> Budget:
    """Return what one check may take of a budget of one false alarm in the time ``every``.

    ``seen`` checks were made in the last ``span``; there will be as many, or one for each
    ``window``, whichever is more. No check takes more than ``most``.

    >>> day = timedelta(days=1)
    >>> share(90 * day, window=day, seen=7, span=7 * day, most=0.05).checks
    90.0
    """
    checks = max(1.0, every / window, seen * (every / span))
    return Budget(every_s=every.total_seconds(), checks=checks, alpha=min(most, 1 / checks))
