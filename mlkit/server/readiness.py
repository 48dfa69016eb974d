"""The body of ``GET /readyz``: whether this worker answers, and what is wrong."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from mlkit.server.models.holder import Holder
from mlkit.server.rights import Rights


class Life(msgspec.Struct, frozen=True):
    """The body of ``GET /livez``."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``GET /readyz``."""

    status: Literal["ready", "degraded", "not ready"]
    models: dict[str, int]
    problems: dict[str, str]
    since: Annotated[datetime, msgspec.Meta(tz=True)]

    @property
    def http_status(self) -> int:
        """503 unless every model with a champion answers."""
        return 503 if self.status == "not ready" else 200

    def to(self, rights: Rights, of_models: Collection[str]) -> "Readiness":
        """Return the part that ``rights`` may see; ``of_models`` are the problems of one model."""
        may_read = rights.scope in ("read", "admin")
        own = {name for name in of_models if rights.sees(name)}
        return msgspec.structs.replace(
            self,
            models={n: v for n, v in self.models.items() if may_read and rights.sees(n)},
            problems={
                name: text
                for name, text in self.problems.items()
                if may_read and (rights.whole or name in own)
            },
        )


def judge(
    holder: Holder, since: datetime, *, closed: Mapping[str, str], troubles: Mapping[str, str]
) -> Readiness:
    """Return the state: ``closed`` are problems that stop all predictions, ``troubles`` others."""
    problems = {**troubles, **holder.problems, **closed}
    answering = {name: version.number for name, version in holder.champions.items()}
    answering |= {name: held.loaded.version for name, held in holder.serving.items()}
    silent = set(holder.problems) - set(holder.serving)
    if not answering and not problems:
        problems["models"] = "no model has a champion (see: mlkit model promote)"
    ready = bool(answering) and not silent and not closed
    return Readiness(
        status="not ready" if not ready else "degraded" if problems else "ready",
        models={name: number for name, number in answering.items() if name not in silent},
        problems=problems,
        since=since,
    )
