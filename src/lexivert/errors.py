"""Errors that a user can cause and mend: one line each, naming the file, field or value and what would be right."""

from __future__ import annotations


class LexivertError(Exception):
    """A user's mistake or a damaged artifact; the message is one line and says what would be right."""


class LexivertWarning(UserWarning):
    """What a user should know of a result; the command line shows it in one line."""


class GenerationWarning(LexivertWarning):
    """Texts are written with less than sentences take, or by an alignment that tells texts hardly from each other."""


class ReadingWarning(LexivertWarning):
    """A text that its vector is not expected to give back exactly, or one that was read and is doubtful."""


class MissingArtifactError(LexivertError):
    """A file that an earlier stage writes is not there; the message names the stage to run."""


class DamagedArtifactError(LexivertError):
    """A file is there but can't be read as what it should be."""


class TooLongError(ValueError):
    """A text has more units than a vector holds."""


class RowError(ValueError):
    """One of several texts or vectors is wrong.

    Args:
        kind: what it is one of, ``text`` or ``vector``.
        row: its row, from 0.
        reason: what is wrong, as a sentence without its subject.
    """

    def __init__(self, kind: str, row: int, reason: str) -> None:
        super().__init__(f"{kind} {row} {reason}")
        self.kind = kind
        self.row = row
        self.reason = reason
