"""The embedded texts: what they are, by source, with their names in tables."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A kind of texts, split on its own and shown with figures of its own.

    Attributes:
        label: its name in tables.
        explanation: one line for readers.
    """

    label: str
    explanation: str


EMBEDDED_SOURCES = {
    "novels": Source("novels", "Novels and stories of Project Gutenberg."),
    "drama": Source("drama", "Plays of Shakespeare, in their old spelling."),
    "bible": Source("Bible", "The King James Bible."),
    "poems": Source("poems", "Verse of Project Gutenberg."),
    "wikipedia": Source("Wikipedia", "Pages of the English Wikipedia."),
    "glosses": Source("WordNet's glosses", "WordNet's definitions and example sentences."),
}
"""By the name that column ``source`` of the corpus has, in the order of tables."""
