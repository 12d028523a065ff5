"""Text that came with data or plugins, made fit for a terminal and for a spreadsheet."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# control characters, surrogates of file names that are not UTF-8, and format characters that turn the reading direction
_UNFIT = ("Cc", "Cs", "Cf")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """One line of text without characters that act on a terminal; they are shown as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in _UNFIT else char for char in text)


def printable_lines(text: str) -> str:
    """Text of any number of lines without characters that act on a terminal but for the line ends."""
    return "\n".join(map(printable, text.split("\n")))


def csv_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: what looks like a formula is quoted, as OWASP advises."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def size_text(count: float) -> str:
    """A number of bytes in the largest unit that it fills: "0 bytes", "12.5 KiB", "3.00 GiB"."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= factor:
            return f"{count / factor:.2f} {unit}" if factor >= 2**30 else f"{count / factor:.1f} {unit}"
    return f"{count:.0f} bytes"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, the first left-aligned, the others too; a rule under the header."""
    header, rows = [printable(cell) for cell in header], [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
