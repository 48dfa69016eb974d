"""Reading the online store: a connection that is lost is replaced, and none is left behind."""

from collections.abc import Iterator

import pytest

from mlkit.errors import BusyError
from mlkit.project import Project
from mlkit.store.feature_reader import FeatureReader


@pytest.fixture
def reader(project: Project) -> Iterator[FeatureReader]:
    made = FeatureReader(project.database)
    yield made
    made.close()


def test_a_lost_connection_is_replaced_and_closed(reader: FeatureReader) -> None:
    assert reader.versions() == []
    reader._own.connection.close()
    assert reader.versions() == []
    assert len(reader._open) == 1


def test_a_statement_that_fails_opens_no_other_connection(reader: FeatureReader) -> None:
    for _ in range(3):
        with pytest.raises(BusyError, match="cannot read features from"):
            reader._fetch("SELECT nothing FROM nowhere", ())
    assert len(reader._open) == 1
