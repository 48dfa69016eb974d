"""Every example in a docstring gives what it says it gives."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

EXAMPLE = re.compile(r"^ +>>> ", re.MULTILINE)
PACKAGE = Path(__file__).parents[1] / "mlkit"
WITH_EXAMPLES = sorted(
    file
    for file in PACKAGE.rglob("*.py")
    if EXAMPLE.search(file.read_text())
    and "skeleton" not in file.parts
    and file != PACKAGE / "api.py"  # its examples need a project: test_api
)


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_of_a_module_are_true(file: Path) -> None:
    name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
