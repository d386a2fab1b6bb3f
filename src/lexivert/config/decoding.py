"""Params of the Selector, of the decoding loops and of the search with a language model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lexivert.config.fields import (
    LIST,
    MOST,
    Cosine,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Share,
    TensOfSteps,
)


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
    """Most positions decoded anew for one vector by each of ``restarts``, of all its lengths together."""
    noise_free_cosine: Cosine
    """Vectors that tell a lower cosine of their order part have noise: no text can be verified, none is read anew."""
    eos_deviations: PositiveFloat
    """EOS's least evidence is below minus this many standard deviations where a text has been taken off a vector, as
    in a difference of two; it is not decoded anew."""
    batch: PositiveInt
    """Runs that are tried in one batch, those of the likeliest length first; a verified text ends them."""
    restarts: Annotated[tuple[RestartParams, ...], LIST]
    """Runs of message passing for each likely length; with none, nothing is decoded again."""


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
    most_log_odds: PositiveFloat
    """Nats that they are counted up to; a search that met no rival at all knows no more."""
    prefix_noise: float
    """Weight of what it leaves of the semantic prefix, in standard deviations beyond what is to be expected."""
    most_prefix_noise: PositiveFloat
    """Standard deviations that it is counted up to, beyond which nothing is more doubtful."""
    unexplained: float
    """Added where it leaves more of the vector than the noise that the vector shows by itself."""
    constant: float


class LanguageSearchParams(Section):
    """Search with the language model, for texts that the loops have not read for sure."""

    below: Share
    """Confidence below which a text that is not verified is searched for."""
    start: RestartParams
    """How message passing at other lengths is run, for texts to start from."""
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
