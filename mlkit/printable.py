"""One printable form of what came from outside: data, names and files may hold anything.

A terminal, a mail reader and a chat obey control characters; others hide or reorder what is read.
"""

import logging
from types import TracebackType

_LINE_BREAKS = "\n"
_LINE_CHARS = 10_000


def text(value: object) -> str:
    r"""Return ``value`` with its lines, and everything else that cannot be seen written out.

    Control characters, marks of direction, characters without width, and bytes that are no text.

    >>> text("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\nc'
    """
    whole = str(value)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() or c == _LINE_BREAKS else _written(c) for c in whole)


def line(value: object) -> str:
    r"""Return ``value`` where one line is meant: a line break is written out as well.

    >>> line("drift\nerror: all is lost")
    'drift\\nerror: all is lost'
    """
    whole = str(value)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() else _written(c) for c in whole)


class Formatter(logging.Formatter):
    """Write a record on one line, and a traceback below it, in printable form."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line."""
        record.message = _cut(line(record.message))
        return super().formatMessage(record)

    def formatException(  # noqa: N802  # logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the traceback."""
        whole = text(super().formatException(ei))
        return "\n".join(_cut(each) for each in whole.split("\n"))


def _cut(one_line: str) -> str:
    """Return the beginning of a line that no log wants whole."""
    more = len(one_line) - _LINE_CHARS
    return one_line if more <= 0 else f"{one_line[:_LINE_CHARS]} ... ({more} more characters)"


def _written(character: str) -> str:
    """Return an invisible character as Python writes it; a blank of any width is a blank."""
    if character.isspace() and ord(character) >= 0xA0 and character not in "\u2028\u2029":
        return " "
    return character.encode("unicode_escape").decode("ascii")
