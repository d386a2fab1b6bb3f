"""Typed params of a run and of a saved model: unit and range beside every field, the values in ``params.yaml`` alone.

No field has a default: what ``params.yaml`` does not state is an error, so that a number is stated once and DVC sees
every change of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.yaml_reader import overridden, read_yaml, validated

MOST = 2**31 - 1
"""Largest number of anything: what the number libraries count with 32 bits."""
MOST_WIDTH = 2**17
"""Widest vector: the codes of a lexicon must fit into memory."""
MOST_POSITIONS = 2**13
"""Most units of a text: bindings keep a row of angles for each position."""
MOST_SEED = 2**32 - 1
"""Largest seed that all of torch, NumPy and scikit-learn take."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Cosine = Annotated[float, Field(gt=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
STEP_UNIT = 10
"""Optimiser steps of the Selector that are averaged into one point of its curves."""
TensOfSteps = Annotated[int, Field(ge=STEP_UNIT, le=MOST, multiple_of=STEP_UNIT)]
MODEL_FILE = "config.json"
"""File of ``ModelConfig`` in the folder of unit codes."""
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


def _listed(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("a list is needed")  # noqa: TRY004 pydantic takes no other
    return tuple(value)


_LIST = pydantic.BeforeValidator(_listed)
"""YAML and JSON have lists where these sections have tuples; the items are checked as strictly as the rest."""


class Section(pydantic.BaseModel):
    """A section of a params file: every key known and there, every value of exactly its type, every number finite."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class CorpusParams(Section):
    """Where text comes from and how documents are split (stages ``fetch`` and ``corpus``)."""

    source: Literal["embedded", "datasets", "files"]
    folder: str
    """Where the user's files and datasets lie, relative to where stages run; stage ``texts`` depends on all of it."""
    dataset: str
    """Hub id, or name of a folder in ``folder``, with source ``datasets``."""
    config: str
    """Configuration name of the dataset; empty for none."""
    files: Annotated[tuple[str, ...], _LIST]
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
    languages: Annotated[tuple[Language, ...], _LIST]
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


class CodeParams(Section):
    """The vector's layout."""

    embed_dim: Annotated[int, Field(ge=1, le=MOST_WIDTH)]
    """Width of the full vector, D; the order part has D - H dimensions and must be even."""
    semantic_share: Annotated[float, Field(gt=0.0, lt=1.0)]
    """Energy of the semantic prefix in the vector, a."""
    identity_share: Share
    """Energy of the surface string's fixed random part in a unit code."""
    surprisal_share: Share
    """Share of a unit code's energy in proportion to its surprisal under the unigram prior; 0: equal power."""
    eos_energy: PositiveFloat
    """Energy of EOS's code; those of units are 1 on average. A wrong end costs the entire text."""
    max_units: Annotated[int, Field(ge=1, le=MOST_POSITIONS)]
    """Longest text that can be encoded, in units, EOS not counted."""
    binding: str
    """Name of the position binding, an entry of ``codes.bindings.BINDINGS``."""


class TemperatureParams(Section):
    """Cosine-annealed temperature of the contrastive loss."""

    start: PositiveFloat
    end: PositiveFloat


class TokenHeadWeights(Section):
    """Weights of the token head's losses."""

    contrastive: NonNegativeFloat
    reconstruction: NonNegativeFloat
    """Reached after the warm-up."""
    anchor_start: NonNegativeFloat
    anchor_end: NonNegativeFloat
    """The semantic anchor's weight falls from start to end along a cosine."""
    synonym: NonNegativeFloat
    orthogonality: NonNegativeFloat


class TokenHeadParams(Section):
    """Training of the token head (stage ``token_head``)."""

    hidden: PositiveInt
    """Width of both MLPs' hidden layers."""
    batch_size: Annotated[int, Field(ge=4, le=MOST)]
    accumulation: PositiveInt
    """Batches summed into one optimiser step."""
    epochs: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    """Share of the optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat
    temperature: TemperatureParams
    queue_size: NonNegativeInt
    """Past codes kept as negatives."""
    hard_negatives: PositiveInt
    """Hardest in-batch negatives a row."""
    jitter: NonNegativeFloat
    """Standard deviation of the positive's noise, per dimension."""
    synonym_margin: Share
    """Cosine above which synonyms attract no more."""
    reconstruction_warmup_epochs: NonNegativeFloat
    weight: TokenHeadWeights
    heldout_share: Share
    """Share of units kept out of training, for the report."""


class IndexParams(Section):
    """The FAISS index over unit codes (stage ``index``)."""

    factory: str
    """A ``faiss.index_factory`` string."""
    nprobe: PositiveInt
    """Lists searched, for IVF."""
    ef_search: PositiveInt
    """Width of the search, for HNSW."""
    search_dims: NonNegativeInt
    """Leading code dimensions that FAISS searches and frequent units are compared in; hits are rescored with full
    codes. 0: all."""
    shortlist: PositiveInt
    """Hits rescored of a search in few dimensions, where the best stand out."""
    frequent: Annotated[int, Field(ge=3, le=MOST)]
    """Most used units, searched first."""


class SelectorWeights(Section):
    """Weights of the Selector's losses."""

    infonce: NonNegativeFloat
    """Cross-entropy of the right unit, by noise-contrastive sampling, in nats."""
    length: NonNegativeFloat
    """Cross-entropy of the text's length, in nats."""
    partition: NonNegativeFloat
    """Squared log partition function: keeps log probabilities normalised without summing (Devlin et al. 2014)."""


class BagOfWordsParams(Section):
    """First phase of the Selector's training: which units a text has, given its semantic prefix alone."""

    batch_size: Annotated[int, Field(ge=4, le=MOST)]
    """Texts a step."""
    steps: TensOfSteps
    """Optimiser steps, a multiple of ten."""
    learning_rate: PositiveFloat
    """Peak; these steps have every unit's loss in full and bear more than the second phase."""


class SelectorParams(Section):
    """Training of the Selector, the learned prior over units (stage ``selector``)."""

    hidden_dim: PositiveInt
    """Width of the hidden layers, H."""
    embedding_dim: PositiveInt
    """Width of the unit embeddings."""
    free_embeddings: NonNegativeInt
    """Most frequent units with a free embedding beside the one projected from their features."""
    context_window: PositiveInt
    """Neighbours on either side that the Selector sees one by one."""
    max_train_units: PositiveInt
    """Longest training text, in units."""
    min_prefix_cosine: Cosine
    """Noisiest semantic prefix in training: its cosine with the clean one."""
    bag_of_words: BagOfWordsParams
    batch_size: Annotated[int, Field(ge=4, le=MOST)]
    """Texts a step."""
    steps: TensOfSteps
    """Optimiser steps of the second phase, a multiple of ten."""
    learning_rate: PositiveFloat
    """Peak in the second phase."""
    weight_decay: NonNegativeFloat
    warmup_share: Share
    """Share of either phase's optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat
    """Largest norm of the gradient."""
    weight: SelectorWeights


class EasyFirstParams(Section):
    """Rules of the easy-first loop: the most probable units are committed first and subtracted from the vector."""

    candidates: Annotated[int, Field(ge=3, le=MOST)]
    """Candidate units a position, K."""
    frequent_only_rounds: NonNegativeInt
    """Rounds in which a position is searched among the frequent units, before all units are searched."""
    low_noise: NonNegativeFloat
    """Noise variance, in a unit code's energy, at or below which all units are searched at once."""
    rounds: PositiveInt
    """Most rounds a text."""
    revisions: NonNegativeInt
    """Most times that a complete text is examined anew."""
    commit_probability: Share
    """Posterior probability from which a unit is committed."""
    commit_frequent: Share
    """The same for a unit that was searched for among the frequent ones alone."""
    commit_share: Annotated[float, Field(gt=0.0, le=1.0)]
    """Share of a text's open positions that is committed, the most probable first, where none reaches that."""
    doubt_deviations: NonNegativeFloat
    """A committed unit is examined again when its evidence falls this many standard deviations short."""


class AmpParams(Section):
    """Rules of approximate message passing (Donoho, Maleki & Montanari 2009): all positions at once, soft."""

    rounds: PositiveInt
    """Most iterations."""
    damping: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Share of the former posterior mean that each iteration keeps."""
    candidates: PositiveInt
    """Units whose codes make up a posterior mean, K."""
    variance_scale: PositiveFloat
    """Factor on the noise variance that the residual shows (a temperature): above 1 posteriors stay soft longer."""
    min_reach: Share
    """A position that lies before EOS with no more probability than this is left out."""


class RestartParams(Section):
    """What a restart of message passing changes in ``AmpParams``."""

    damping: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Share of the former posterior mean that each iteration keeps."""
    variance_scale: PositiveFloat
    """Factor on the noise variance that the residual shows."""


class CascadeParams(Section):
    """When easy-first decoding is used, when message passing, and when it is restarted with other lengths."""

    underloaded_from: PositiveFloat
    """Order dimensions a unit, EOS counted, from which on easy-first decoding is used."""
    overloaded_below: PositiveFloat
    """Order dimensions a nat of a text's surprise, below which a vector without noise may fail, so that restarts
    help; message passing alone needs 2."""
    sure: NonNegativeFloat
    """A text of a likely length is not decoded again if all its units are at least this probable."""
    lengths: PositiveInt
    """Most lengths that count as likely."""
    margin: NonNegativeFloat
    """Nats by which a likely length may fall short of the likeliest."""
    long_from: PositiveInt
    """Units from which on a length is tried only if the vector's later positions show evidence for it."""
    max_positions: PositiveInt
    """Most positions decoded anew for one vector, of all its lengths together."""
    noise_free_cosine: Cosine
    """Vectors that tell a lower cosine of their order part have noise: no text can be verified, none is read anew."""
    eos_deviations: PositiveFloat
    """EOS's least evidence is below minus this many standard deviations where a text has been taken off a vector, as
    in a difference of two; it is not decoded anew."""
    batch: PositiveInt
    """Lengths that are tried in one batch, the likeliest first."""
    restarts: Annotated[tuple[RestartParams, ...], _LIST]
    """Runs of message passing for each of these lengths; with none, nothing is decoded again."""


class LanguageEffortParams(Section):
    """How far the search with the language model goes for one text."""

    lengths: NonNegativeInt
    """Likely lengths, that of the text that was read among them, at which message passing gives texts to start from;
    twice as many where none was read."""
    climbs: NonNegativeInt
    """Most changes of each of these texts by evidence alone."""
    rounds: NonNegativeInt
    """Most changes of the best of them by total score."""
    embedded: PositiveInt
    """Changes of one unit that are embedded, for the evidence of the semantic prefix, at each step."""
    pairs: NonNegativeInt
    """Changes of two units of a revision that are embedded."""
    read: PositiveInt
    """Changes of one unit, and half as many of two, that the language model reads in a revision."""
    beams: NonNegativeInt
    """Texts kept at each position of a beam search; 0: no such search."""
    max_seconds: PositiveFloat
    """After which no further revision is begun."""


class LanguageConfidenceParams(Section):
    """Logistic regression of a searched text's being right; ``benchmarks/language_search.py`` fits it anew."""

    log_odds: NonNegativeFloat
    """Weight of its log odds against all other texts that the search scored."""
    prefix_noise: float
    """Weight of what it leaves of the semantic prefix, in standard deviations beyond what is to be expected."""
    unexplained: float
    """Added where it leaves more of the vector than the noise that the vector shows by itself."""
    constant: float


class LanguageSearchParams(Section):
    """Search with the language model, for texts that the loops have not read for sure."""

    below: Share
    """Confidence below which a text that is not verified is searched for."""
    candidates: PositiveInt
    """Units proposed at a position."""
    beam_candidates: PositiveInt
    """The same in a beam search."""
    margin: NonNegativeFloat
    """Nats by which a proposal may fall short and still be looked at."""
    beam_margin: NonNegativeFloat
    """Nats by which a unit may fall short of the best at its position and still be looked at in a beam search."""
    length_margin: NonNegativeFloat
    """Nats by which another length may fall short of the likeliest and still be tried."""
    language_weight: NonNegativeFloat
    """Weight of the language model's log probability in the total score; 1: as it is."""
    prefix_weight: NonNegativeFloat
    """Weight of the semantic prefix's log likelihood in the total score; 1: as it is."""
    selector_weight: NonNegativeFloat
    """Weight of the learned prior's log ratio against the unigram prior in the beam search."""
    segmentation_cost: NonNegativeFloat
    """Nats taken off a text which segmentation would write in other units."""
    confidence: LanguageConfidenceParams
    normal: LanguageEffortParams
    high: LanguageEffortParams


class ControllerParams(Section):
    """Rules of the decoding loops, and the calibration of their confidences (stage ``controller``)."""

    prior: str
    """Name of the prior over units, an entry of ``priors.base.PRIORS``; ``name:folder`` names its files, too."""
    algorithm: str
    """Name of the decoding algorithm, an entry of ``controller.registry.DECODERS``."""
    calibration_texts: Annotated[int, Field(ge=20, le=MOST)]
    """Validation texts decoded at several noise levels, on which confidences are calibrated; some are added."""
    easy_first: EasyFirstParams
    amp: AmpParams
    cascade: CascadeParams
    language_search: LanguageSearchParams


class EvaluateParams(Section):
    """The report on test documents (stage ``evaluate``)."""

    texts_per_bucket: PositiveInt
    """Texts tried in each length bucket."""
    noise_cosine: Annotated[float, Field(gt=0.0, le=1.0)]
    """Cosine of the noisy full vector with the true one."""
    confidence_texts: PositiveInt
    """Most texts that confidences are measured on."""
    batch_size: PositiveInt


class RobustnessParams(Section):
    """The sweep over conditions at the limit of what can be read (stage ``robustness``)."""

    texts: PositiveInt
    """Texts decoded in each condition."""
    decisive_texts: PositiveInt
    """Texts decoded in each decisive condition instead."""
    decisive: Annotated[tuple[str, ...], _LIST]
    """Conditions that a release is judged by, named by their keys in the metrics."""
    widths: Annotated[tuple[Annotated[int, Field(ge=2, le=MOST, multiple_of=2)], ...], _LIST]
    """Order dimensions; no noise, texts of at most 32 units."""
    cosines: Annotated[tuple[Cosine, ...], _LIST]
    """Cosines of the noisy full vectors with the clean ones; texts of at most 40 units."""
    lengths: Annotated[tuple[PositiveInt, ...], _LIST]
    """Units a text; no noise."""
    storages: Annotated[tuple[Literal["float32", "float16", "int8", "sign"], ...], _LIST]
    """Number formats that vectors are stored in; texts of at most 32 units."""


class TokenSpaceParams(Section):
    """The report on units (stage ``token_space``)."""

    units: PositiveInt
    """Held-out words, and as many phrases, whose neighbours are looked at."""
    neighbours: PositiveInt
    homographs: PositiveInt
    """Most ambiguous words looked at, those with the most example sentences first."""


class SentenceSpaceParams(Section):
    """The report on sentences (stage ``sentence_space``)."""

    queries: PositiveInt
    """Example sentences that look for their definition; definitions whose class is told."""
    definitions: PositiveInt
    """Other definitions among which to look, and training definitions by which classes are told."""
    sentences_per_book: PositiveInt
    """Sentences of each book whose author is told."""
    pairs: Annotated[int, Field(ge=8, le=MOST)]
    """Sentences with a changed version, for each way to change them."""


class CollapseParams(Section):
    """The report on everything that predicts vectors (stage ``collapse``)."""

    texts: Annotated[int, Field(ge=4, le=MOST)]
    """Test texts of 1 to 40 words."""


class ReportParams(Section):
    """The page of results (stage ``report``)."""

    map_units: Annotated[int, Field(ge=10, le=MOST)]
    """Units drawn on the maps."""
    perplexity: PositiveFloat
    """Of t-SNE: about how many neighbours a unit keeps near."""


class Params(Section):
    """All of ``params.yaml``."""

    seed: Seed
    plugins: Annotated[tuple[str, ...], _LIST]
    """Python files that register parts of one's own (docs/extending.md), relative to this file's folder."""
    corpus: CorpusParams
    vocab: VocabParams
    lexical_maps: LexicalMapsParams
    backbone: BackboneParams
    language_model: LanguageModelParams
    features: FeaturesParams
    code: CodeParams
    token_head: TokenHeadParams
    index: IndexParams
    selector: SelectorParams
    controller: ControllerParams
    evaluate: EvaluateParams
    robustness: RobustnessParams
    token_space: TokenSpaceParams
    sentence_space: SentenceSpaceParams
    collapse: CollapseParams
    report: ReportParams


class ModelConfig(Section):
    """What unit codes were made with; saved beside them, to load a model with the numbers it was trained with."""

    seed: Seed
    """Fixes position rotations and identity codes."""
    semantic_width: PositiveInt
    """Width of the semantic prefix, S: the backbone's."""
    backbone: BackboneParams
    code: CodeParams
    index: IndexParams

    @classmethod
    def of(cls, params: Params, semantic_width: int) -> ModelConfig:
        """Collect a run's config.

        Raises:
            LexivertError: the vector is not wide enough for the backbone, or the order part's width is odd.
        """
        order = params.code.embed_dim - semantic_width
        if order < 2 or order % 2:
            raise LexivertError(
                f"code.embed_dim {params.code.embed_dim} leaves {order} dimensions beside the "
                f"backbone's {semantic_width}; the order part must be even and at least 2 wide"
            )
        return cls(
            seed=params.seed,
            semantic_width=semantic_width,
            backbone=params.backbone,
            code=params.code,
            index=params.index,
        )

    @property
    def order_width(self) -> int:
        """Width of the order part, O."""
        return self.code.embed_dim - self.semantic_width

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        artifacts.write_json(folder / MODEL_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> ModelConfig:
        """Read ``config.json``.

        Raises:
            MissingArtifactError, DamagedArtifactError: it is missing or damaged.
        """
        content = artifacts.read_json(folder / MODEL_FILE)
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            message = f"{folder / MODEL_FILE} does not describe a model; run `dvc repro index`"
            raise DamagedArtifactError(message) from error


def load_params(path: Path = Path("params.yaml"), overrides: Path | None = None) -> Params:
    """Read and check ``params.yaml``, with what a second file of the same form states in place of its values.

    Raises:
        LexivertError: a file is missing, not UTF-8 or not YAML, a key is unknown, missing or twice there, or a value
            is out of its range; the message names file, key and value.
    """
    content = read_yaml(path)
    changes = None
    if overrides is not None:
        changes = read_yaml(overrides) or {}
        content = overridden(content, changes)
    params = validated(Params, content, path, None if overrides is None else (overrides, changes))
    return params.model_copy(update={"plugins": tuple(str(path.parent / file) for file in params.plugins)})
