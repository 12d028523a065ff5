"""Names of files, classes and tasks that attack whoever shows them: terminals, spreadsheets, web pages."""

from __future__ import annotations

TERMINAL = (
    "\x1b[2J\x1b[31mred",  # clears the screen
    "\x1b]0;title\x07",  # sets the window's title
    "\x9b31m",  # the 8-bit form
    "a\rb",  # overwrites the line
    "a\nb: error: forged line",
    "a\x08\x08b",
    "photo\u202egpj.exe",  # reads backwards
    "a\u2066b\u2069",
    "nul\x00",
    "caf\udce9",  # a file name that is not UTF-8
)
HTML = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "--><script>alert(1)</script>",
    "${alert(1)}",
    "{{7*7}}",
)
FORMULAS = ("=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1")

ALL = (*TERMINAL, *HTML, *FORMULAS)
