"""The journal: what is on record stays on record, whatever kills the process or fills the disk."""

import errno
import io
import mmap
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import BusyError
from mlkit.store import journal
from mlkit.store.disk import record_file
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def entry(request_id: str = "r1", rows: int = 1) -> Entry:
    return Entry(
        request_id=request_id,
        model_id=1,
        version_id=2,
        version=1,
        role="champion",
        served_us=1_000_000,
        latency_us=42,
        ids=[f"{request_id}-{i}" for i in range(rows)],
        entities=None,
        features=[(1,)] * rows,
        values=[0.5] * rows,
        probabilities=None,
    )


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    entries = [entry(f"r{i}", rows=i) for i in range(5)]
    for one in entries:
        log.append(one, NOW)
    (path,) = journal.files(tmp_path)
    assert journal.read(path) == (entries, False)


def test_a_journal_belongs_to_its_writer_until_it_is_closed(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    log.append(entry(), NOW)
    (path,) = journal.files(tmp_path)
    with journal.claimed(path) as ours:
        assert not ours
    assert log.close() == path
    with journal.claimed(path) as ours:
        assert ours


def test_rotation_without_a_record_makes_no_file(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    assert log.rotate(NOW) is None
    assert log.close() is None
    assert journal.files(tmp_path) == []


def test_a_rotation_hands_on_what_there_is_and_has_the_next_file_ready(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    log.append(entry("first"), NOW)
    handed = log.rotate(NOW)
    assert handed is not None
    assert journal.read(handed) == ([entry("first")], False)
    (following,) = set(journal.files(tmp_path)) - {handed}
    log.append(entry("second"), NOW)
    assert journal.read(following) == ([entry("second")], False)
    with journal.claimed(handed) as free, journal.claimed(following) as owned:
        assert (free, owned) == (True, False)


def test_a_rotation_of_an_idle_journal_leaves_no_file_in_use(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    log.append(entry(), NOW)
    log.rotate(NOW)
    empty = log.rotate(NOW)
    assert empty is not None
    assert empty.stat().st_size == 0
    assert log.rotate(NOW) is None
    for path in journal.files(tmp_path):
        with journal.claimed(path) as ours:
            assert ours


def test_a_claim_on_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with journal.claimed(tmp_path / "gone.journal") as ours:
        assert not ours
    assert journal.read(tmp_path / "gone.journal") == ([], False)


@settings(max_examples=40)
@given(st.data())
def test_a_file_cut_anywhere_keeps_every_whole_record(data: st.DataObject) -> None:
    entries = [entry(f"r{i}") for i in range(4)]
    content = _content(entries)
    cut = data.draw(st.integers(0, len(content)))
    found = _scan(content[:cut])
    assert found.entries == entries[: len(found.entries)]
    assert len(found.entries) == cut * len(entries) // len(content)
    # a writer that is killed leaves the room that it had made; this was cut by somebody else
    assert found.damaged == bool(cut * len(entries) % len(content))


@settings(max_examples=100)
@given(st.data())
def test_a_record_that_a_kill_cut_short_is_no_damage(data: st.DataObject) -> None:
    entries = [entry(f"r{i}") for i in range(3)]
    content = _content(entries)
    cut = data.draw(st.integers(0, len(content) - 1))
    room = -cut % mmap.PAGESIZE + mmap.PAGESIZE
    found = _scan(content[:cut] + bytes(room))
    length = len(content) // len(entries)
    if 0 < cut % length < 8:  # the head is one copy of eight bytes
        return
    assert found == (entries[: cut // length], False)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_flipped_byte_of_the_last_record_is_damage(*, is_open: bool) -> None:
    entries = [entry(f"r{i}") for i in range(3)]
    content = _content(entries)
    start = len(content) * 2 // 3
    for place in range(start, len(content)):
        for mask in (0xFF, 0x01, 0x80):
            changed = bytearray(content)
            changed[place] ^= mask
            room = bytes(-len(content) % mmap.PAGESIZE) if is_open else b""
            assert _scan(bytes(changed) + room) == (entries[:2], True), (place - start, mask)


@settings(max_examples=40)
@given(st.data())
def test_a_changed_byte_is_noticed_and_never_yields_a_false_record(data: st.DataObject) -> None:
    entries = [entry(f"r{i}") for i in range(3)]
    content = bytearray(_content(entries))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found = _scan(bytes(content))
    assert found.entries == entries[: len(found.entries)]
    assert len(found.entries) < len(entries)


def test_zeros_after_a_power_cut_are_no_damage() -> None:
    entries = [entry()]
    assert _scan(_content(entries) + bytes(512)) == (entries, False)


def test_damage_before_the_end_is_reported_and_the_file_is_kept(tmp_path: Path) -> None:
    content = _content([entry("r1"), entry("r2")])
    path = tmp_path / "a.journal"
    path.write_bytes(content[: len(content) // 2] + b"\xff" * 40 + content)
    assert journal.read(path).damaged
    assert journal.set_aside(path).name == "a.damaged"
    assert journal.files(tmp_path) == []


def test_a_full_disk_refuses_the_record_and_leaves_the_earlier_ones(tmp_path: Path) -> None:
    """RLIMIT_FSIZE refuses the space, as a full disk does."""
    script = f"""
import resource
from pathlib import Path
from tests_entry import entry, NOW
from mlkit.errors import BusyError
from mlkit.store.journal import Journal
log = Journal(Path({str(tmp_path)!r}))
log.append(entry("small"), NOW)
size = next(Path({str(tmp_path)!r}).glob('*.journal')).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    log.append(entry("large", rows=40_000), NOW)
except BusyError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(entry("after"), NOW)
"""
    shim = tmp_path / "tests_entry.py"
    shim.write_text(Path(__file__).read_text())
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert "cannot be written" in done.stdout
    scans = [journal.read(path) for path in journal.files(tmp_path)]
    assert {e.request_id for scan in scans for e in scan.entries} == {"small", "after"}
    assert not any(scan.damaged for scan in scans)


def test_the_power_safe_journal_syncs_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd)))
    Journal(tmp_path, power_safe=True).append(entry(), NOW)
    assert len(synced) == 1


def test_a_flush_that_fails_acknowledges_nothing_and_frees_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Journal(tmp_path, power_safe=True)
    log.append(entry("first"), NOW)
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", _refuse)
    with pytest.raises(BusyError, match="cannot be written"):
        log.append(entry("second"), NOW)
    monkeypatch.setattr(os, "fdatasync", real)
    log.append(entry("third"), NOW)
    log.close()
    for path in journal.files(tmp_path):
        with journal.claimed(path) as ours:
            assert ours


def test_whoever_waits_for_a_flush_that_a_rotation_failed_to_make_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Journal(tmp_path, power_safe=True)
    log.append(entry("first"), NOW)
    assert log._file is not None
    waiting, end = log._file, log._file.size
    waiting.synced = 0
    monkeypatch.setattr(os, "fdatasync", _refuse)
    with pytest.raises(OSError, match="Input/output"):
        log.rotate(NOW)
    with pytest.raises(OSError, match="Input/output"):
        log._sync(waiting, end)


def _refuse(_handle: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_killed_writer_leaves_every_acknowledged_record(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from tests_entry import entry, NOW
from mlkit.store.journal import Journal
log = Journal(Path({str(tmp_path)!r}))
for i in range(1_000_000):
    log.append(entry(f"r{{i}}"), NOW)
    print(i, flush=True)
"""
    (tmp_path / "tests_entry.py").write_text(Path(__file__).read_text())
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    (path,) = journal.files(tmp_path)
    with journal.claimed(path) as ours:
        assert ours
    acknowledged = int(rest[-1]) if rest else 49
    found = journal.read(path)
    assert len(found.entries) in (acknowledged + 1, acknowledged + 2)
    assert not found.damaged


def test_a_journal_grows_beyond_what_it_has_reserved_and_ends_at_its_last_record(
    tmp_path: Path,
) -> None:
    log = Journal(tmp_path)
    entries = [entry(f"r{i}", rows=5_000) for i in range(12)]
    for one in entries:
        log.append(one, NOW)
    path = log.close()
    assert path is not None
    assert journal.read(path) == (entries, False)
    assert path.stat().st_size == len(_content(entries))


def test_many_threads_share_a_flush_and_lose_nothing(tmp_path: Path) -> None:
    log = Journal(tmp_path, power_safe=True)

    def write(number: int) -> None:
        for i in range(20):
            log.append(entry(f"{number}-{i}"), NOW)
            if i == 10:
                log.rotate(NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    log.close()
    found = [e.request_id for path in journal.files(tmp_path) for e in journal.read(path).entries]
    assert sorted(found) == sorted(f"{number}-{i}" for number in range(8) for i in range(20))


def test_a_request_on_its_way_is_found_by_its_id(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    mine = msgspec.structs.replace(entry("mine"), owner="ann", digest="d")
    log.append(entry("mine"), NOW)  # by a release that did not know whose it is
    log.append(mine, NOW)
    log.append(entry("other"), NOW)
    assert journal.find(tmp_path, "mine", 1, "ann") == mine
    assert journal.find(tmp_path, "mine", 1, "bob") is None
    assert journal.find(tmp_path, "mine", 7, "ann") is None
    assert journal.find(tmp_path, "mine", 1) is None
    assert journal.find(tmp_path, "absent", 1) is None


@pytest.mark.parametrize("known", [12, 14, 15])
def test_a_record_of_an_earlier_release_is_read(known: int) -> None:
    written = [
        "r1", 1, 2, 1, "champion", 1_000_000, 42, ["i"], ["ann"], [[1.5, "x"]], ["yes"],
        [[0.2, 0.8]], "ann", "d", True,
    ][:known]  # fmt: skip
    read = _scan(record_file.frame(msgspec.msgpack.encode(written)))
    owner, digest = ("ann", "d") if known > 12 else ("", "")
    assert read.entries == [
        Entry(
            request_id="r1", model_id=1, version_id=2, version=1, role="champion",
            served_us=1_000_000, latency_us=42, ids=["i"], entities=["ann"],
            features=[(1.5, "x")], values=["yes"], probabilities=[[0.2, 0.8]],
            owner=owner, digest=digest,
        )
    ]  # fmt: skip


def test_a_record_never_ends_in_a_zero() -> None:
    assert msgspec.structs.fields(Entry)[-1].default is True


def _scan(content: bytes) -> journal.Scan:
    return journal.collect(journal.scan(io.BytesIO(content)))


def _content(entries: list[Entry]) -> bytes:
    return b"".join(journal.frame(one) for one in entries)
