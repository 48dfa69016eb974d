from pathlib import Path

import pytest

from mlkit.errors import MlkitError
from mlkit.store.dialects.sqlite import refuse_network_file_system, wal_is_safe


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_its_bug_is_fixed(version: tuple[int, int, int], safe: bool) -> None:
    assert wal_is_safe(version) is safe


def test_a_network_file_system_is_refused() -> None:
    mounts = "/dev/vda / ext4 rw 0 0\nserver:/x /mnt/share nfs4 rw 0 0\n"
    refuse_network_file_system(Path("/home"), mounts)
    with pytest.raises(MlkitError, match="network file system"):
        refuse_network_file_system(Path("/mnt/share/project"), mounts)
