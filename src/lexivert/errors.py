"""Errors that a user can cause and mend: one line each, naming the file, field or value and what would be right."""

from __future__ import annotations


class LexivertError(Exception):
    """A user's mistake or a damaged artifact; the message is one line and says what would be right."""


class MissingArtifactError(LexivertError):
    """A file that an earlier stage writes is not there; the message names the stage to run."""


class DamagedArtifactError(LexivertError):
    """A file is there but can't be read as what it should be."""
