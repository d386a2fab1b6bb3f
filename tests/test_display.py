from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.display import show, shown, visible

AS_IT_IS = [
    "root:x:0:0:root:/root:/bin/bash",
    ":smile: [bold]b[/bold] [link=x]y[/] \\n {0} %s",
    "“naïve” 漢字 한 👍🏽 🇫🇷 👩\u200d🚀 ☃️",
    "می\u200cخواهم १२ \u0600",
    "",
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("text", AS_IT_IS)
def test_what_can_be_seen_stays(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\nb\r\tc\x0b\x0c\x7f\x85\x9b", r"a\nb\r\tc\x0b\x0c\x7f\x85\x9b"),
        ("abc\u202ecba\u2066\u2069\u200e", r"abc\u202ecba\u2066\u2069\u200e"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("in\u200bvis\u00adi\u2060ble\ufeff\U000e0041", r"in\u200bvis\xadi\u2060ble\ufeff\U000e0041"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_steers_a_terminal_or_is_not_seen_is_escaped(text, expected):
    assert visible(text) == expected


@given(st.text(st.characters(codec=None), max_size=50))
def test_one_line_without_control_characters(text):
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in visible(text))
    assert len(visible(text).splitlines()) <= 1
    visible(text).encode()


def test_off_a_terminal_every_byte_is_kept(capsys):
    text = "\x1b[31m :smile: \x07\x08\u202e" + "x" * 500
    assert shown(text, io.StringIO()) == text
    assert shown(text, Terminal()) == visible(text)
    show(text)
    assert capsys.readouterr().out == f"{text}\n"
