"""Look up the columns of one feature view that the rows of a request lack."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import UNSET

from mlkit import epoch
from mlkit.flows.features.online import Found, Online
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import KEY_TYPES
from mlkit.steps.inputs import values
from mlkit.steps.inputs.columns import InputSchema, Kind

Rowlike = list[list[Any]]
Problem = dict[str, object]
Tally = dict[str, Counter[str]]
"""How many rows met each of ``OUTCOMES``, by view."""

OUTCOMES: Final = ("fresh", "stale", "absent", "given")
_CONVERTERS: Final[dict[Kind, Callable[[Any], Any]]] = {
    "number": float,
    "datetime": values.moment,
}


class LookedUp:
    """Fills the columns of one view; ``places`` are the positions of all columns in a row.

    With ``by_id`` the view's entity is given by the ``entity_ids`` of a request.
    """

    def __init__(
        self,
        online: Online,
        use: ViewUse,
        schema: InputSchema,
        places: Mapping[str, int],
        *,
        by_id: bool,
    ) -> None:
        self.use = use
        self._by_id = by_id
        self._reader = online.reader(use)
        self._type = KEY_TYPES[use.key]
        self._key_place = places[use.entity]
        kinds = {column.name: column.kind for column in schema.columns}
        self._fields = [
            (places[name], at, _CONVERTERS.get(kinds[name]))
            for at, name in enumerate(use.columns)
            if name in kinds
        ]

    def fill(self, table: Rowlike, now: datetime, tally: Tally) -> list[Problem]:
        """Put the values of the view into the rows that lack some; return the problems.

        Raises BusyError if the database cannot be read.
        """
        counts = tally.setdefault(self.use.name, Counter())
        lacking = [at for at, row in enumerate(table) if self._lacks(row)]
        counts["given"] += len(table) - len(lacking)
        if not lacking:
            return []
        problems: list[Problem] = []
        keys = [self._key(at, table[at], problems) for at in lacking]
        if problems:
            return problems
        found = self._reader.lookup(keys, epoch.to_us(now))
        for at, one in zip(lacking, found, strict=True):
            counts[one.state] += 1
            if one.features is None:
                problems.append(self._refusal(at, table[at], one, now))
            else:
                self._put(table[at], one.features)
        return problems

    def _lacks(self, row: list[Any]) -> bool:
        return any(row[place] is UNSET for place, _, _ in self._fields)

    def _put(self, row: list[Any], found: tuple[Any, ...]) -> None:
        for place, at, convert in self._fields:
            if row[place] is UNSET:
                value = found[at]
                row[place] = value if convert is None or value is None else convert(value)

    def _key(self, at: int, row: list[Any], problems: list[Problem]) -> Any:
        """Return the entity to look up, None if there is none; a row without one is a problem."""
        key, kind = row[self._key_place], self._type
        if type(key) is float and kind is int and key.is_integer():
            return int(key)
        if key is None or (type(key) is kind and "\0" not in str(key)):
            return key
        problems.append(self._missing_key(at, row) if key is UNSET else self._wrong_key(at, key))
        return None

    def _missing_key(self, at: int, row: list[Any]) -> Problem:
        use = self.use
        column = next(use.columns[i] for place, i, _ in self._fields if row[place] is UNSET)
        ids = "entity_ids or " if self._by_id else ""
        problem = (
            f"missing; feature view '{use.name}' fills it if {ids}the column '{use.entity}' says "
            "for whom"
        )
        return {"row": at, "column": column, "problem": problem}

    def _wrong_key(self, at: int, key: object) -> Problem:
        if type(key) is str and self._type is str:
            problem = "a feature view's entity cannot have a NUL character"
            return {"row": at, "column": self.use.entity, "problem": problem}
        kind = "a whole number" if self._type is int else "text"
        problem = f"the entity of feature view '{self.use.name}' is {kind}, not {key!r:.40}"
        return {"row": at, "column": self.use.entity, "problem": problem}

    def _refusal(self, at: int, row: list[Any], found: Found, now: datetime) -> Problem:
        """Return why a view whose policy is ``refuse`` has no value for a row."""
        use, key = self.use, row[self._key_place]
        refusal: Problem = {
            "row": at,
            "column": use.entity,
            "problem": f"feature view '{use.name}' has no value for {key!r:.80}",
            "view": use.name,
            "entity": key,
            "age_s": None,
        }
        if found.event_at is not None:
            age = now - found.event_at
            refusal["age_s"] = age.total_seconds()
            shown = timedelta(seconds=round(age.total_seconds()))
            refusal["problem"] = (
                f"{refusal['problem']} that is younger than {use.ttl}: the newest is {shown} old"
            )
        return refusal
