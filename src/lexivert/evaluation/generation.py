"""Generation measured: every generator on the same embeddings, an ablation, and vectors that no text produced."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.controller.controller import Effort
from lexivert.data.segments import read_encoded_texts
from lexivert.errors import MissingArtifactError
from lexivert.evaluation import generation_metrics as measures
from lexivert.evaluation.generation_metrics import BUCKETS, Judges
from lexivert.evaluation.metrics import by_length
from lexivert.evaluation.texts import draw_texts, sources_of, texts_of
from lexivert.generation.base import Generator, GeneratorParts, Request
from lexivert.generation.language_model_search import LanguageModelSearch
from lexivert.generation.params import EvaluationParams, GenerationParams, SearchParams, load_generation_params
from lexivert.generation.registry import GENERATORS
from lexivert.model import Lexivert
from lexivert.text.lexicon import WIKITEXT
from lexivert.text.wikitext import article_sentences

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
SEARCH = "language_model_search"
OWN, WIKI = "own", "wikitext"
_FUNCTION_WORDS = 150  # most frequent words, which say nothing of what a text is about
_NOISE_COSINES = (0.9, 0.8)
_BLENDS = {"midpoint": 0.5, "blend_70_30": 0.7}
_MARKS = ("@", "<unk>")


@dataclass(frozen=True)
class Targets:
    """Texts of one source, and the embeddings that are given of them.

    Attributes:
        texts: references.
        embeddings: the backbone's, unit length. Shape: (B, S).
    """

    texts: list[str]
    embeddings: Tensor

    def only(self, rows: Sequence[int]) -> Targets:
        """Some of them."""
        return Targets([self.texts[row] for row in rows], self.embeddings[list(rows)])


@dataclass(frozen=True)
class Bench:
    """Everything that is measured with.

    Attributes:
        parts: of the generators, with training sentences.
        judges: of texts.
        sources: targets by name.
        params: of the evaluation.
        seed: of draws.
    """

    parts: GeneratorParts
    judges: Judges
    sources: Mapping[str, Targets]
    params: EvaluationParams
    seed: int

    def write(self, generator: Generator, embeddings: Tensor, effort: Effort, label: str) -> tuple[list[str], float]:
        """The best text for each embedding, and seconds a text."""
        found: list[str] = []
        start = time.perf_counter()
        parts = torch.split(embeddings, self.params.batch_size)
        for part in tqdm(parts, desc=label, unit="batch", disable=None):
            found += [own[0].text for own in generator.generate(Request(part, 1, effort, seed=self.seed))]
        return found, (time.perf_counter() - start) / max(len(embeddings), 1)

    def scored(self, targets: Targets, texts: Sequence[str]) -> dict[str, Any]:
        """Measures of texts in each length bucket."""
        scores = measures.text_scores(targets.texts, targets.embeddings, texts, self.judges)
        report = {}
        for name, rows in measures.buckets_of(targets.texts).items():
            own = {key: [values[row] for row in rows] for key, values in scores.items()}
            pairs = [targets.texts[row] for row in rows], [texts[row] for row in rows]
            report[name] = measures.summary(*pairs, own, self.seed)
        return report


def run_generation(paths: Paths) -> None:
    """Write metrics/generation/generate.json and, with examples, metrics/generation/generate.csv.

    Raises:
        LexivertError: an artifact is missing or damaged, or the independent encoder is not installed.
    """
    file = paths.root / "generation" / "params.yaml"
    params = load_generation_params(file)
    bench = make_bench(paths, params, given_file(file.parent / params.wikitext))
    generators, written = generators_report(bench)
    report = {"generators": generators, "ablation": ablation_report(bench), "vectors": strange_report(bench)}
    artifacts.write_metrics(paths.metrics("generation/generate"), report)
    artifacts.write_csv(paths.metrics("generation/generate").with_suffix(".csv"), examples_table(bench, written))


def given_file(path: Path) -> Path | None:
    """A file that the user may supply, or None, with a word about it, where there is none."""
    if path.is_file():
        return path
    logger.warning("there is no file %s; its figures are left out", path)
    return None


def make_bench(paths: Paths, params: GenerationParams, wikitext: Path | None) -> Bench:
    """Load the model, draw texts of test documents and of a WikiText file if one is given, and embed them.

    Raises:
        LexivertError: an artifact is missing or damaged.
    """
    model = Lexivert.load(paths.root)
    train = read_encoded_texts(paths, "train")
    parts = replace(model.generator_parts, sentences=train)
    count, seed = params.evaluation.texts, params.seed
    drawn = {OWN: per_bucket(texts_of(paths, "test"), count, seed, sources_of(paths, "test"))}
    if wikitext is not None:
        drawn[WIKI] = per_bucket(plain_sentences(model, wikitext), count, seed)
    sources = {name: Targets(texts, embedded(model, texts)) for name, texts in drawn.items()}
    judges = Judges(model.encoder.backbone.encode, parts.language_model, function_words(model))
    return Bench(parts, judges, sources, params.evaluation, seed)


def per_bucket(texts: Sequence[str], count: int, seed: int, sources: Mapping[str, str] | None = None) -> list[str]:
    """At most ``count`` distinct texts of every length bucket, drawn by seed."""
    drawn = draw_texts(texts, len(texts), seed, sources)
    return [drawn[row] for rows in by_length(drawn, BUCKETS).values() for row in rows[:count]]


def plain_sentences(model: Lexivert, file: Path) -> list[str]:
    """Sentences of a WikiText file as plain text, without those that have an unknown word."""
    segmenter = model.encoder.segmenter
    found = []
    for sentence in article_sentences(file.read_text(encoding="utf-8")):
        if not any(mark in sentence.replace(" @-@ ", "-").split() for mark in _MARKS[1:]):
            units = segmenter.segment(sentence)
            text = segmenter.join(units[1:] if units[:1] == [WIKITEXT] else units)
            found += [] if _MARKS[0] in text else [text]
    return found


def embedded(model: Lexivert, texts: Sequence[str]) -> Tensor:
    """The backbone's embeddings at unit length. Shape: (B, S)."""
    return F.normalize(torch.from_numpy(model.encoder.backbone.encode(list(texts))), dim=1)


def function_words(model: Lexivert) -> frozenset[str]:
    """The most frequent words of the lexicon, in lower case."""
    lexicon = model.encoder.segmenter.lexicon
    words = (s.lower() for s, kind in zip(lexicon.surfaces, lexicon.kinds, strict=True) if kind in {"word", "cased"})
    return frozenset(list(dict.fromkeys(words))[:_FUNCTION_WORDS])


def generators_report(bench: Bench) -> tuple[dict[str, Any], dict[str, dict[str, list[str]]]]:
    """Every registered generator on the same embeddings, the search with its draft effort, too.

    Returns:
        Measures by source, generator and bucket; and the texts by source and generator.
    """
    report: dict[str, Any] = {}
    written: dict[str, dict[str, list[str]]] = {}
    made = makeable(bench.parts)
    tried: list[tuple[str, str, Effort]] = [(name, name, "normal") for name in made]
    tried.append((f"{SEARCH}_draft", SEARCH, "draft"))
    for source, targets in bench.sources.items():
        report[source], written[source] = {"reference": bench.scored(targets, targets.texts)}, {}
        for key, name, effort in tried:
            texts, seconds = bench.write(made[name], targets.embeddings, effort, f"{source}, {key}")
            written[source][key] = texts
            report[source][key] = bench.scored(targets, texts) | {"seconds_a_text": seconds}
    return report, written


def makeable(parts: GeneratorParts) -> dict[str, Generator]:
    """Every registered generator whose trained parts are there; one that was not trained is named in the log.

    Raises:
        LexivertError: the search, which all others are compared with, can't be made.
    """
    made = {}
    for name in GENERATORS:
        try:
            made[name] = GENERATORS.make(name)(parts)
        except MissingArtifactError as error:
            if name == SEARCH:
                raise
            logger.warning("generator %s is left out: %s", name, error)
    return made


def ablations(full: SearchParams) -> dict[str, SearchParams]:
    """Params of the search, each with one thing less."""
    normal = full.budgets.normal
    slow = {"drafts": 0, "fluent_drafts": 8, "rounds": 2, "edits": 2, "cuts": 2, "spellings": 2}  # so less of all
    return {
        "full": full,
        "without_conditional_proposals": _otherwise(full, {"likelihood": 0.0}, slow, {"conditional": 0.0}),
        "without_language_model": _otherwise(
            full, {"fluency": 0.0}, {"drafts": normal.drafts + normal.fluent_drafts, "fluent_drafts": 0}
        ),
        "with_placer_drafts": full.model_copy(update={"placer_drafts": True}),
        "without_selector": _otherwise(full, budget={"rewritings": 0}),
        "without_revision": _otherwise(full, budget={"rounds": 0}),
        "without_cosine": _otherwise(full, {"nearness": 0.0}),
        "without_length_posterior": _otherwise(full, {"length": 0.0}),
    }


def _otherwise(
    full: SearchParams,
    weights: Mapping[str, float] = MappingProxyType({}),
    budget: Mapping[str, int] = MappingProxyType({}),
    proposals: Mapping[str, float] = MappingProxyType({}),
) -> SearchParams:
    """The same with other weights, normal budget, and exponents of proposals."""
    normal = full.budgets.normal.model_copy(update=budget)
    return full.model_copy(
        update={
            "weights": full.weights.model_copy(update=weights),
            "proposals": full.proposals.model_copy(update=proposals),
            "budgets": full.budgets.model_copy(update={"normal": normal}),
        }
    )


def ablation_report(bench: Bench) -> dict[str, Any]:
    """Each ablation on own test texts of 4 to 25 words, of all lengths alike."""
    search = GENERATORS.make(SEARCH)(bench.parts)
    assert isinstance(search, LanguageModelSearch)
    targets = bench.sources[OWN]
    rows = measures.buckets_of(targets.texts)[measures.BARRED]
    step = max(len(rows) // bench.params.ablation_texts, 1)
    targets = targets.only(rows[::step][: bench.params.ablation_texts])
    report = {}
    for name, params in ablations(search.params).items():
        texts, seconds = bench.write(search.with_params(params), targets.embeddings, "normal", name)
        report[name] = bench.scored(targets, texts)[measures.BARRED] | {"seconds_a_text": seconds}
    return {OWN: report}


def strange_vectors(embeddings: Tensor, count: int, seed: int) -> dict[str, tuple[Tensor, list[int]]]:
    """Vectors that no text produced, unit length, by kind, with the row of the text that is most of each.

    Args:
        embeddings: of texts. Shape: (B, S).
        count: vectors of each kind.
        seed: of pairs and noise.
    """
    order = torch.randperm(len(embeddings), generator=torch.Generator().manual_seed(seed))
    first, second = order[:count], order.roll(-1)[:count]
    found = {}
    for name, share in _BLENDS.items():
        found[name] = F.normalize(share * embeddings[first] + (1.0 - share) * embeddings[second], dim=1)
    for cosine in _NOISE_COSINES:
        noise = torch.Generator().manual_seed(seed)
        found[f"cosine_{cosine}"] = add_noise(embeddings[first], torch.full((len(first),), cosine), noise)
    return {name: (vectors, first.tolist()) for name, vectors in found.items()}


def strange_report(bench: Bench) -> dict[str, Any]:
    """Texts for vectors that no text produced: near to the given vector, and fluent."""
    search = GENERATORS.make(SEARCH)(bench.parts)
    targets = bench.sources[OWN]
    targets = targets.only(measures.buckets_of(targets.texts)[measures.BARRED])
    strange = strange_vectors(targets.embeddings, bench.params.vectors, bench.seed)
    vectors = torch.cat([own for own, _ in strange.values()])
    written = iter(bench.write(search, vectors, "normal", "vectors that no text produced")[0])
    report = {}
    for name, (own, rows) in strange.items():
        texts = [next(written) for _ in rows]
        scores = measures.alone_scores(own, texts, bench.judges)
        f1 = measures.text_scores(targets.only(rows).texts, own, texts, bench.judges)["token_f1"]
        report[name] = measures.mean_scores(scores | {"token_f1": f1}, bench.seed)
    return report


def examples_table(bench: Bench, written: Mapping[str, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """References and what was written for them, drawn by seed: source, reference, and a column a generator."""
    import pandas as pd

    rows = []
    rng = np.random.default_rng(bench.seed)
    share = -(-bench.params.examples // len(bench.sources))
    for source, targets in bench.sources.items():
        barred = measures.buckets_of(targets.texts)[measures.BARRED]
        for row in sorted(rng.permutation(barred)[:share].tolist()):
            texts = {name: texts[row] for name, texts in written[source].items()}
            rows.append({"source": source, "reference": targets.texts[row]} | texts)
    return pd.DataFrame(rows[: bench.params.examples])
