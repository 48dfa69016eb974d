"""The significance level of one check, so that all checks together raise few false alarms."""

from datetime import timedelta

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One false alarm in ``every_s`` seconds, shared by the ``checks`` expected in that time.

    ``alpha`` is the significance level of each check: its probability of a false alarm.
    """

    every_s: float
    checks: float
    alpha: float

    @property
    def in_words(self) -> str:
        """The budget in words, for people."""
        return (
            f"allowed is one false alarm in {self.every_s / 86_400:g} days; {self.checks:.0f} "
            f"checks are expected in that time, so at most {self.checks * self.alpha:.2g} false "
            "alarms"
        )


def share(
    every: timedelta, *, window: timedelta, seen: int, span: timedelta, most: float
) -> Budget:
    """Return the share of one check in a budget of one false alarm per ``every``.

    ``seen`` checks were made in the last ``span``. The same rate is expected to go on, but at least
    one check per ``window``. With c checks in ``every``, alpha = min(``most``, 1 / c): the expected
    number of false alarms is then at most one.

    >>> day = timedelta(days=1)
    >>> share(90 * day, window=day, seen=7, span=7 * day, most=0.05).checks
    90.0
    """
    checks = max(1.0, every / window, seen * (every / span))
    return Budget(every_s=every.total_seconds(), checks=checks, alpha=min(most, 1 / checks))
