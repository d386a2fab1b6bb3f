"""Stage ``token_space``: where units stand in the space of codes, beside the backbone's raw features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import UNIT_CODES, Paths
from lexivert.codes.token_head import TokenHead, head_codes
from lexivert.config import Params
from lexivert.data.relations import RELATIONS, decode_pairs, read_pairs
from lexivert.data.unit_split import heldout_units
from lexivert.data.wordnet import read_synsets
from lexivert.encoders.base import ContextualEncoder, load_encoder
from lexivert.evaluation import geometry, homographs, neighbours
from lexivert.evaluation.neighbours import PHRASE_TAGS, TAGS, Ids, Tagger
from lexivert.evaluation.pair_statistics import distribution, pair_cosines
from lexivert.evaluation.tables import Row, write_table
from lexivert.text.lexicon import Lexicon

SPACES = ("raw_features", "features", "head_codes", "unit_codes")
"""The backbone's features; with their mean taken off; the learned part of a code; the whole code."""
_STATISTICS_UNITS = 20_000  # drawn for rank and moments
_UNIFORMITY_UNITS = 3_000  # all pairs of these
_MOST_PAIRS = 20_000  # of a relation
_EXAMPLES = 8  # words, and phrases, whose neighbours are printed
_COMMON_WORDS = 100
_BINS = np.linspace(-1.0, 1.0, 81)


@dataclass(frozen=True)
class Units:
    """The lexicon with its features and relations.

    Attributes:
        lexicon: all units.
        features: backbone features. Shape: (V, H).
        held_out: units that the token head was not trained on. Shape: (V,) bool.
        pairs: related ordered pairs by relation, coded ``unit * V + other``, sorted.
    """

    lexicon: Lexicon
    features: Tensor
    held_out: npt.NDArray[np.bool_]
    pairs: Mapping[str, Ids]


def run_token_space(paths: Paths, params: Params) -> None:
    """Write metrics/token_space.json, metrics/plots/pair_cosines.csv, neighbours.csv and homographs.csv."""
    units = read_units(paths, params)
    head = TokenHead.load(paths.token_head)
    rng = np.random.default_rng(params.seed)
    words = _draw(_candidates(units, ("word", "cased", "entity"), related=True), params.token_space.units, rng)
    phrases = _draw(_candidates(units, ("ngram",), related=False), params.token_space.units, rng)
    sampled = _sampled_pairs(units, rng)
    tagger = Tagger(units.lexicon.surfaces, units.pairs, _common(units.lexicon))
    report: dict[str, Any] = {"units": len(units.lexicon), "words": len(words), "phrases": len(phrases)}
    histograms: list[Row] = []
    examples: list[Row] = []
    for name in tqdm(SPACES, desc="spaces", unit="space"):
        vectors = _space(name, units, head, paths)
        report[name], tagged = _space_report(vectors, words, phrases, sampled, tagger, units, params)
        histograms += _histograms(name, vectors, sampled)
        examples += _examples(name, tagged, units.lexicon)
    homograph_report, rows = _homographs(paths, params, units)
    report["homographs"] = homograph_report
    write_table(paths.plots / "pair_cosines.csv", ["space", "relation", "cosine", "share"], histograms)
    write_table(paths.plots / "neighbours.csv", ["space", "unit", "rank", "neighbour", "tag", "cosine"], examples)
    header = ["word", "senses", "occurrences", *(name for name in homograph_report if name != "words")]
    write_table(paths.plots / "homographs.csv", header, rows)
    artifacts.write_metrics(paths.metrics("token_space"), report)


def read_units(paths: Paths, params: Params) -> Units:
    """Read lexicon, features and maps.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is not there or can't be read.
    """
    lexicon = Lexicon.load(paths.vocab)
    features = torch.from_numpy(artifacts.read_array(paths.unit_features).astype(np.float32))
    pairs: dict[str, Ids] = {}
    for path in (paths.synonyms, paths.antonyms):
        pairs |= read_pairs(path, len(lexicon))
    return Units(lexicon, features, heldout_units(lexicon, params), pairs)


def _candidates(units: Units, kinds: Sequence[str], *, related: bool) -> Ids:
    """Held-out units of some kinds; with ``related`` only those that the maps relate to any other."""
    of_kind = np.isin(np.asarray(units.lexicon.kinds, dtype=object), kinds)
    chosen = units.held_out & of_kind
    if related:
        known = np.zeros(len(chosen), dtype=bool)
        for codes in units.pairs.values():
            known[decode_pairs(codes, len(chosen))[0]] = True
        chosen &= known
    return np.flatnonzero(chosen)


def _draw(candidates: Ids, count: int, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(np.sort(rng.permutation(candidates)[:count]))


def _common(lexicon: Lexicon) -> frozenset[str]:
    """The most used words: articles, prepositions, pronouns."""
    order = np.argsort(-lexicon.usage, kind="stable")
    return frozenset([lexicon.surfaces[unit].casefold() for unit in order[:_COMMON_WORDS].tolist()])


def _sampled_pairs(units: Units, rng: np.random.Generator) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs whose first unit is held out, by relation, and as many at random."""
    size = len(units.lexicon)
    held = np.flatnonzero(units.held_out)
    chosen = {}
    for relation in RELATIONS:
        codes = units.pairs.get(relation, np.empty(0, dtype=np.int64))
        begins_heldout = units.held_out[decode_pairs(codes, size)[0]]
        left, right = decode_pairs(rng.permutation(codes[begins_heldout])[:_MOST_PAIRS], size)
        chosen[relation] = (torch.from_numpy(left), torch.from_numpy(right))
    if len(held):
        left, right = rng.choice(held, _MOST_PAIRS), rng.integers(size, size=_MOST_PAIRS)
        apart = left != right
        chosen["random"] = (torch.from_numpy(left[apart]), torch.from_numpy(right[apart]))
    return {name: pairs for name, pairs in chosen.items() if len(pairs[0])}


def _space(name: str, units: Units, head: TokenHead, paths: Paths) -> Tensor:
    """Vectors of all units in one space. Shape: (V, H) or (V, O) float32."""
    if name == "raw_features":
        return units.features
    if name == "features":
        return units.features - head.centre
    if name == "head_codes":
        return torch.from_numpy(head_codes(head, units.features.numpy()))
    return torch.from_numpy(artifacts.read_array(paths.index / UNIT_CODES).astype(np.float32))


def _space_report(
    vectors: Tensor,
    words: Tensor,
    phrases: Tensor,
    sampled: Mapping[str, tuple[Tensor, Tensor]],
    tagger: Tagger,
    units: Units,
    params: Params,
) -> tuple[dict[str, Any], dict[int, list[tuple[int, str, float]]]]:
    """Figures of one space, and the tagged neighbours of the words."""
    count = min(params.token_space.neighbours, len(vectors) - 1)
    report: dict[str, Any] = {"statistics": statistics(vectors, params.seed)}
    tagged: dict[int, list[tuple[int, str, float]]] = {}
    for name, queries, tags in (("words", words, TAGS), ("phrases", phrases, PHRASE_TAGS)):
        if not len(queries):
            continue
        scores, found = neighbours.nearest(vectors, queries, count)
        rows = [tagger.tags(unit, near) for unit, near in zip(queries.tolist(), found.tolist(), strict=True)]
        report[f"neighbours_of_{name}"] = neighbours.purity(rows, tags)
        reachable = [min(tagger.related(unit), count) / count for unit in queries.tolist()]
        report[f"neighbours_of_{name}"]["most_purity_by_maps"] = float(np.mean(reachable))
        report[f"margin_of_{name}"] = distribution(1.0 - scores[:, 0])
        for place in np.linspace(0, len(queries) - 1, min(_EXAMPLES, len(queries))).astype(int).tolist():
            tagged[int(queries[place])] = list(
                zip(found[place].tolist(), rows[place], scores[place].tolist(), strict=True)
            )
    report["pairs"] = {name: distribution(pair_cosines(vectors, *pairs)) for name, pairs in sampled.items()}
    if "synonym" in sampled:
        left, right = sampled["synonym"]
        report["alignment_of_synonyms"] = geometry.alignment(vectors[left], vectors[right])
    report["phrases"] = phrase_report(vectors, phrases, units.lexicon)
    return report, tagged


def statistics(vectors: Tensor, seed: int) -> dict[str, float]:
    """Embedding statistics of a sample of units. Shape: (V, D)."""
    generator = torch.Generator().manual_seed(seed)
    rows = F.normalize(vectors[torch.randperm(len(vectors), generator=generator)[:_STATISTICS_UNITS]], dim=-1)
    return {
        "anisotropy": geometry.anisotropy(rows),
        "effective_rank": geometry.effective_rank(rows),
        "isotropy": geometry.isotropy(rows),
        "uniformity": geometry.uniformity(rows[:_UNIFORMITY_UNITS]),
        **geometry.per_dimension(rows),
    }


def phrase_report(vectors: Tensor, phrases: Tensor, lexicon: Lexicon) -> dict[str, float]:
    """Cosine of phrases with the mean of their own words' vectors and with that of another phrase's words.

    Args:
        vectors: Shape: (V, D).
        phrases: unit ids; those with a word that is no unit are left out. Shape: (Q,).
        lexicon: spelling of the phrases.
    """
    kept, means = [], []
    for phrase in phrases.tolist():
        words = [lexicon.id_of.get(word) for word in lexicon.surfaces[phrase].split()]
        if None not in words:
            kept.append(phrase)
            means.append(F.normalize(vectors[words], dim=-1).mean(0))
    if len(kept) < 2:
        return {"count": len(kept)}
    own, made = vectors[kept], torch.stack(means)
    return {
        "count": len(kept),
        "own_words_cosine": float(F.cosine_similarity(own, made).mean()),
        "other_words_cosine": float(F.cosine_similarity(own, made.roll(1, dims=0)).mean()),
    }


def _histograms(space: str, vectors: Tensor, sampled: Mapping[str, tuple[Tensor, Tensor]]) -> list[Row]:
    rows: list[Row] = []
    for relation, pairs in sampled.items():
        counts, edges = np.histogram(pair_cosines(vectors, *pairs).clamp(-1, 1).numpy(), bins=_BINS)
        middles = (edges[:-1] + edges[1:]) / 2
        shares = counts / counts.sum()
        rows += [[space, relation, float(x), float(y)] for x, y in zip(middles, shares, strict=True) if y > 0]
    return rows


def _examples(space: str, tagged: Mapping[int, Sequence[tuple[int, str, float]]], lexicon: Lexicon) -> list[Row]:
    return [
        [space, lexicon.surfaces[unit], rank, lexicon.surfaces[other], tag, cosine]
        for unit, near in tagged.items()
        for rank, (other, tag, cosine) in enumerate(near, start=1)
    ]


def _homographs(paths: Paths, params: Params, units: Units) -> tuple[dict[str, float], list[Row]]:
    """Mean figures over ambiguous words, and a row for each."""
    lexicon = units.lexicon
    spellings = [s for s, kind in zip(lexicon.surfaces, lexicon.kinds, strict=True) if kind == "word"]
    found = homographs.occurrences(read_synsets(paths.wordnet), spellings)
    most = Counter({word: len(hits) for word, hits in found.items()}).most_common(params.token_space.homographs)
    backbone = load_encoder(params.backbone) if most else None
    if not isinstance(backbone, ContextualEncoder):
        return {"words": 0}, []
    hits = [hit for word, _ in most for hit in found[word]]
    states = backbone.span_features([hit.text for hit in hits], [hit.span for hit in hits])
    # Contextual states share a large mean of their own, as features of single words do.
    states -= states.mean(0)
    centre = units.features.mean(0).numpy()
    reports: dict[str, dict[str, float]] = {}
    rows: list[Row] = []
    start = 0
    for word, count in most:
        part = slice(start, start + count)
        start += count
        senses = [hit.sense for hit in hits[part]]
        unit = units.features[lexicon.id_of[word]].numpy() - centre
        reports[word] = homographs.word_report(states[part], senses, unit, params.seed)
        rows.append([word, len(set(senses)), count, *reports[word].values()])
    return {"words": len(reports), **homographs.mean_report(reports)}, rows
