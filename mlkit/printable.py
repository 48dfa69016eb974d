"""Escape unprintable characters of text from outside: data, names and files may hold anything.

Terminals, mail readers and chats interpret control characters; other characters hide or reorder
text.
"""

import logging
from types import TracebackType

_LINE_BREAKS = "\n"
_LINE_CHARS = 10_000


def text(value: object) -> str:
    r"""Return ``value`` with invisible characters escaped, except for line breaks.

    These are control characters, direction marks, zero-width characters and undecodable bytes.

    >>> text("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\nc'
    """
    whole = str(value)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() or c == _LINE_BREAKS else _escaped(c) for c in whole)


def line(value: object) -> str:
    r"""Return ``value`` as one line: invisible characters and line breaks are escaped.

    >>> line("drift\nerror: all is lost")
    'drift\\nerror: all is lost'
    """
    whole = str(value)
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() else _escaped(c) for c in whole)


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
    """Return a line, shortened to what a log should have of it."""
    more = len(one_line) - _LINE_CHARS
    return one_line if more <= 0 else f"{one_line[:_LINE_CHARS]} ... ({more} more characters)"


def _escaped(character: str) -> str:
    """Return the Python escape of an invisible character; a Unicode space becomes a blank."""
    if character.isspace() and ord(character) >= 0xA0 and character not in "\u2028\u2029":
        return " "
    return character.encode("unicode_escape").decode("ascii")
