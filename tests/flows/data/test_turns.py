"""What fails keeps nothing else from its turn, and is told in the end."""

from collections.abc import Callable

import pytest

from mlkit.errors import BusyError, MlkitError
from mlkit.flows.data.turns import Turns
from mlkit.flows.operations import upkeep
from mlkit.flows.registry import champions
from mlkit.project import Project

Register = Callable[..., object]


def fail(error: Exception) -> None:
    raise error


def test_one_failure_is_raised_as_it_is_and_many_as_one() -> None:
    turns = Turns()
    turns.settle()
    assert turns.take("fine", lambda: 3) == 3
    assert turns.take("busy", lambda: fail(BusyError("locked"))) is None
    with pytest.raises(BusyError, match=r"^locked$"):
        turns.settle()
    turns.take("odd", lambda: fail(ZeroDivisionError("division by zero")))
    told = r"^busy failed: locked; odd failed: ZeroDivisionError: division by zero$"
    with pytest.raises(MlkitError, match=told):
        turns.settle()


@pytest.mark.parametrize("broken", ["a", "z"])
@pytest.mark.parametrize("error", [OverflowError(34, "too large"), KeyError("x"), MemoryError()])
def test_any_error_of_one_model_leaves_the_others_their_turn(
    project: Project, register: Register, broken: str, error: Exception
) -> None:
    for name in (broken, "m"):
        register(project, name)
    done: list[str] = []

    def act(model: str) -> str:
        if model == broken:
            raise error
        done.append(model)
        return "fine"

    with pytest.raises(MlkitError, match=f"{broken} failed: {type(error).__name__}") as told:
        champions.each(project, act)
    assert done == ["m"]
    assert told.value.__cause__ is error  # of which the runner knows whether memory was short


def test_messages_are_sent_though_a_look_at_features_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Project] = []
    monkeypatch.setattr(
        "mlkit.flows.features.freshness.watch", lambda _project: fail(ValueError("a plan of old"))
    )
    deliver = upkeep.delivery.deliver
    monkeypatch.setattr(
        "mlkit.flows.alerts.delivery.deliver", lambda each: sent.append(each) or deliver(each)
    )
    with pytest.raises(ValueError, match="a plan of old"):
        upkeep.process(project)
    assert sent == [project]
