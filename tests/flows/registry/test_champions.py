"""What is done for every champion reaches each of them."""

from collections.abc import Callable

import pytest

from mlkit.errors import MlkitError, NotFoundError
from mlkit.flows.registry import champions
from mlkit.project import Project


def test_without_a_champion_nothing_is_done(project: Project) -> None:
    assert champions.each(project, lambda model: model) == "no model has a champion yet"


def test_a_model_that_fails_keeps_no_other_from_its_turn(
    project: Project, register: Callable[..., object]
) -> None:
    for name in ("b", "a", "c"):
        register(project, name)
    register(project, "unpromoted", promote=False)
    assert champions.each(project, lambda _: "fine") == "a: fine; b: fine; c: fine"

    def act(model: str) -> str:
        if model == "b":
            raise NotFoundError("its rows are gone")
        return "fine"

    with pytest.raises(MlkitError, match=r"^a: fine; b failed: its rows are gone; c: fine$"):
        champions.each(project, act)
