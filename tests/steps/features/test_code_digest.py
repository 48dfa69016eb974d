"""Tests of the digest of a function in a file."""

import pytest

from mlkit.steps.features import code_digest

TABLE = "RATES = {'eu': 1}\n%s\ndef f(x):\n    return RATES['eu'] * x\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RATES['us'] = 1", "RATES['us'] = 2"),
        ("RATES.update(eu=1)", "RATES.update(eu=2)"),
        ("for k in RATES: RATES[k] *= 2", "for k in RATES: RATES[k] *= 3"),
    ],
)
def test_what_changes_a_value_of_the_file_counts(before: str, after: str) -> None:
    digests = [code_digest.of(TABLE % line, "f") for line in (before, after)]
    assert digests[0] != digests[1]


def test_statements_about_other_names_do_not_count() -> None:
    assert code_digest.of(TABLE % "other = {}; other[1] = 1", "f") == code_digest.of(
        TABLE % "other = {}; other[1] = 2", "f"
    )


def test_imports_are_those_that_the_function_needs_and_all_with_a_star() -> None:
    text = (
        "import a, b\nfrom c import *\ndef g(): from d import e; return e\ndef f(): return a, g()"
    )
    assert code_digest.imports(text, "f") == "from c import *\nfrom d import e\nimport a"
