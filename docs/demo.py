"""Draw ``docs/demo.svg`` from a real run: mlkit demo --json | python docs/demo.py."""

import sys
from pathlib import Path

import msgspec

from mlkit.demo import picture
from mlkit.demo.story import Month


class _Played(msgspec.Struct):
    """The part of what ``mlkit demo --json`` prints that is drawn."""

    months: list[Month]


if __name__ == "__main__":
    played = msgspec.json.decode(sys.stdin.buffer.read(), type=_Played)
    Path(__file__).with_suffix(".svg").write_text(picture.draw(played.months), encoding="utf-8")
