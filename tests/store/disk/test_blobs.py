"""Content-addressed files: complete or absent, checked on every read, signed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import DamagedError
from mlkit.store.base import id_time, new_id
from mlkit.store.disk import blobs
from mlkit.store.disk.blobs import BlobStore


def test_the_same_bytes_are_stored_once_under_their_digest(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, ".bin")
    first, second = store.put(b"model"), store.put(b"model")
    assert first == second
    assert store.read(first) == b"model"
    assert list(store.digests()) == [first]
    assert store.leftovers() == []


def test_a_written_file_is_adopted_under_its_digest(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, ".bin")
    for _ in range(2):
        part = store.scratch()
        part.write_bytes(b"rows")
        assert store.read(store.adopt(part)) == b"rows"
    assert store.leftovers() == []


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, ".bin")
    digest = store.put(b"model")
    store.path(digest).write_bytes(b"mobel")
    with pytest.raises(DamagedError, match="does not have the bytes"):
        store.read(digest)


def test_a_missing_blob_names_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="backup restore"):
        BlobStore(tmp_path, ".bin").read("0" * 64)


def test_a_signature_holds_for_one_name_and_number_only() -> None:
    signature = blobs.sign(b"key", "churn", 1, "abc")
    assert blobs.verify(b"key", signature, "churn", 1, "abc")
    assert not blobs.verify(b"key", signature, "churn", 2, "abc")
    assert not blobs.verify(b"other", signature, "churn", 1, "abc")


def test_a_durable_write_replaces_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    file.write_text("old")
    blobs.write_durably(file, b"new")
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["schema.yaml"]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_an_id_tells_when_it_was_made_and_sorts_by_it(now: datetime) -> None:
    first, later = new_id(now), new_id(now + timedelta(milliseconds=2))
    assert abs(id_time(first) - now) < timedelta(milliseconds=2)
    assert first < later
    assert len({new_id(now) for _ in range(100)}) == 100


def test_a_file_in_use_is_never_moved(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, ".parquet")
    sha256 = store.put(b"rows")
    asked = []

    def unused() -> bool:
        asked.append(store.path(sha256).is_file())
        return False

    assert store.remove(sha256, unused) == 0
    assert asked == [True]
    assert store.read(sha256) == b"rows"
