"""What is offered for new values can be copied as it is shown."""

from mlkit.flows.data.new_values import NewValues


def test_a_value_that_is_shown_in_another_form_is_in_no_command() -> None:
    said = NewValues("plan", {"gold": 3, "a\u200bb": 2}).remedy("d", "schemas/d.yaml")
    assert "mlkit data rules d --accept plan=gold" in said
    assert "\u200b" not in said
