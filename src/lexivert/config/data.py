"""Params of the stages that make texts, lexicon and features."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from lexivert.config.fields import LIST, MOST, NonNegativeInt, PositiveInt, Section, Share

LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hu", "id"),
    *("is", "it", "ja", "ko", "lt", "lv", "mk", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sh", "sk", "sl", "sv"),
    *("ta", "tr", "uk", "ur", "vi", "zh"),
)
"""Languages that there are word lists of."""


def _with_word_list(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"a language with a word list is one of {' '.join(LANGUAGES)}")
    return language


Language = Annotated[str, pydantic.AfterValidator(_with_word_list)]


class CorpusParams(Section):
    """Where text comes from and how documents are split (stages ``fetch`` and ``corpus``)."""

    source: Literal["embedded", "datasets", "files"]
    folder: str
    """Where the user's files and datasets lie, relative to where stages run; stage ``texts`` depends on all of it."""
    dataset: str
    """Hub id, or name of a folder in ``folder``, with source ``datasets``."""
    config: str
    """Configuration name of the dataset; empty for none."""
    files: Annotated[tuple[str, ...], LIST]
    """Names in ``folder``, with source ``files``: ``.txt`` (a document a file), ``.jsonl`` or ``.parquet`` (a
    document a row); all that are there if empty."""
    text_field: str
    """Column of the text in ``.jsonl``, ``.parquet`` and hub datasets."""
    valid_share: Share
    """Share of sentences in complete validation documents."""
    test_share: Share
    """Share of sentences in complete test documents."""
    max_sentence_words: PositiveInt
    """Longer sentences are cut at clause ends, in whitespace words."""
    max_documents: NonNegativeInt
    """Most documents read, the first ones, 0 for all: with source ``files`` in all, with ``datasets`` of each split,
    with ``embedded`` of each of the three: books, Wikipedia's pages, WordNet's entries."""

    @pydantic.model_validator(mode="after")
    def _train_is_left(self) -> CorpusParams:
        if self.valid_share + self.test_share >= 1.0:
            raise ValueError(f"valid_share {self.valid_share} plus test_share {self.test_share} must be below 1")
        return self


class KindCounts(Section):
    """One integer for each unit kind that is counted."""

    word: PositiveInt
    cased: PositiveInt
    entity: PositiveInt
    ngram: PositiveInt
    number: PositiveInt
    numeric: PositiveInt
    anomalous: PositiveInt
    punctuation: PositiveInt


class VocabParams(Section):
    """What becomes a unit (stage ``vocab``)."""

    ngram_min: Annotated[int, Field(ge=2, le=MOST)]
    ngram_max: Annotated[int, Field(ge=2, le=7)]
    """Length of phrases, in words."""
    min_count: KindCounts
    """Fewest occurrences in the training split."""
    max_units: KindCounts
    """Most units of a kind, the most frequent first."""
    min_usage: NonNegativeInt
    """Phrases used less often in the segmented training split are dropped."""
    pieces: PositiveInt
    """Fallback word pieces learned on the training words."""
    languages: Annotated[tuple[Language, ...], LIST]
    """Languages whose words become units, the corpus's own first: it has half the weight of all. Empty for none."""
    language_words: NonNegativeInt
    """Most words added from the lists of these languages, the most probable first."""
    language_pieces: NonNegativeInt
    """Most characters and subwords added to spell their other words."""

    @pydantic.field_validator("languages")
    @classmethod
    def _each_language_once(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for place, language in enumerate(languages):
            if language in languages[:place]:
                raise ValueError(f"{language} stands twice; name each language once")
        return languages

    @pydantic.model_validator(mode="after")
    def _shortest_phrase_is_no_longer_than_the_longest(self) -> VocabParams:
        if self.ngram_min > self.ngram_max:
            raise ValueError(f"ngram_min {self.ngram_min} must be at most ngram_max {self.ngram_max}")
        return self


class LexicalMapsParams(Section):
    """WordNet relations within the vocabulary (stage ``lexical_maps``)."""

    max_synonyms: PositiveInt
    """A unit with more synonyms than this keeps none."""
    max_siblings: PositiveInt
    """A unit with more hypernym siblings than this keeps none."""


class BackboneParams(Section):
    """The frozen sentence encoder."""

    model: str
    """The packaged MiniLM, a Hugging Face id, a local path, or ``name:argument`` of a registered encoder."""
    pooling: Literal["mean", "cls"]
    prompt: str
    """Put before every text, e.g. ``"query: "`` for e5."""
    max_tokens: Annotated[int, Field(ge=4, le=MOST)]
    """Word pieces read of a text."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    """``auto``: bfloat16 where the device multiplies it natively, else float32."""


class LanguageModelParams(Section):
    """The causal language model (stage ``language_model``)."""

    model: str
    """The packaged SmolLM2, a Hugging Face id, a local path, or ``none``."""


class FeaturesParams(Section):
    """Frozen features (stage ``features``)."""

    tokens_per_batch: PositiveInt
    """Word pieces a batch, padding included."""
    max_train_sentences: NonNegativeInt
    """Training sentences encoded, drawn at random, a larger share of small sources; 0 for all. Validation and test
    are always encoded in full."""
