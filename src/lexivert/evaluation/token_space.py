"""Stage ``token_space``: isotropy, neighbours and related pairs of units, in codes and in the backbone's features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from lexivert.evaluation import geometry, homographs, nearest, neighbours
from lexivert.evaluation.neighbours import PHRASE_TAGS, TAGS, Ids, Tagger
from lexivert.evaluation.pair_statistics import distribution, pair_cosines
from lexivert.text.lexicon import Lexicon
from lexivert.training.collapse import anisotropy

if TYPE_CHECKING:
    import pandas as pd

SPACES = ("raw_features", "features", "head_codes", "unit_codes")
"""The backbone's features; with their mean taken off; the learned part of a code; the full code."""
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
        heldout: units that the token head was not trained on. Shape: (V,) bool.
        pairs: related ordered pairs by relation, coded ``unit * V + other``, sorted.
    """

    lexicon: Lexicon
    features: Tensor
    heldout: npt.NDArray[np.bool_]
    pairs: Mapping[str, Ids]


def run_token_space(paths: Paths, params: Params) -> None:
    """Write metrics/token_space.json, metrics/plots/pair_cosines.csv, neighbours.csv and homographs.csv."""
    import pandas as pd

    units = read_units(paths, params)
    head = TokenHead.load(paths.token_head)
    rng = np.random.default_rng(params.seed)
    words = _draw(_candidates(units, ("word", "cased", "entity"), related=True), params.token_space.units, rng)
    phrases = _draw(_candidates(units, ("ngram",), related=False), params.token_space.units, rng)
    sampled = _sampled_pairs(units, rng)
    tagger = Tagger(units.lexicon.surfaces, units.pairs, _common(units.lexicon))
    report: dict[str, Any] = {"units": len(units.lexicon), "words": len(words), "phrases": len(phrases)}
    histograms: list[pd.DataFrame] = []
    examples: list[pd.DataFrame] = []
    for name in tqdm(SPACES, desc="spaces", unit="space"):
        vectors = _space(name, units, head, paths)
        report[name], tagged = _space_report(vectors, words, phrases, sampled, tagger, units, params)
        histograms.append(_histograms(name, vectors, sampled))
        examples.append(_examples(name, tagged, units.lexicon))
    report["homographs"], words_of_senses = _homographs(paths, params, units)
    artifacts.write_csv(paths.plots / "pair_cosines.csv", pd.concat(histograms))
    artifacts.write_csv(paths.plots / "neighbours.csv", pd.concat(examples))
    artifacts.write_csv(paths.plots / "homographs.csv", words_of_senses)
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
    chosen = units.heldout & of_kind
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
    heldout = np.flatnonzero(units.heldout)
    chosen = {}
    for relation in RELATIONS:
        codes = units.pairs.get(relation, np.empty(0, dtype=np.int64))
        begins_heldout = units.heldout[decode_pairs(codes, size)[0]]
        left, right = decode_pairs(rng.permutation(codes[begins_heldout])[:_MOST_PAIRS], size)
        chosen[relation] = (torch.from_numpy(left), torch.from_numpy(right))
    if len(heldout):
        left, right = rng.choice(heldout, _MOST_PAIRS), rng.integers(size, size=_MOST_PAIRS)
        kept = left != right
        chosen["random"] = (torch.from_numpy(left[kept]), torch.from_numpy(right[kept]))
    return {name: pairs for name, pairs in chosen.items() if len(pairs[0])}


def _space(name: str, units: Units, head: TokenHead, paths: Paths) -> Tensor:
    """Vectors of all units in one space. Shape: (V, H) or (V, O) float32."""
    if name == "raw_features":
        return units.features
    if name == "features":
        return units.features - head.centre
    if name == "head_codes":
        return torch.from_numpy(head_codes(head, units.features.numpy()))
    codes = artifacts.read_array(paths.index / UNIT_CODES).astype(np.float32)
    return F.normalize(torch.from_numpy(codes), dim=-1)


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
        scores, found = nearest.nearest_others(vectors, queries, count)
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
        "anisotropy": float(anisotropy(rows)),
        "effective_rank": geometry.effective_rank(rows),
        "isotropy": geometry.isotropy(rows),
        "uniformity": geometry.uniformity(rows[:_UNIFORMITY_UNITS]),
        **geometry.per_dimension(rows),
    }


def phrase_report(vectors: Tensor, phrases: Tensor, lexicon: Lexicon) -> dict[str, float]:
    """Cosine of phrases with the mean of their own words' vectors and with that of another phrase's words.

    Args:
        vectors: Shape: (V, D).
        phrases: unit ids; those with a word that is no unit are left out. Shape: (B,).
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


def _histograms(space: str, vectors: Tensor, sampled: Mapping[str, tuple[Tensor, Tensor]]) -> pd.DataFrame:
    """Share of each relation's pairs by cosine; empty bins are left out."""
    import pandas as pd

    tables = []
    for relation, pairs in sampled.items():
        counts, edges = np.histogram(pair_cosines(vectors, *pairs).clamp(-1, 1).numpy(), bins=_BINS)
        shares = {"cosine": (edges[:-1] + edges[1:]) / 2, "share": counts / counts.sum()}
        tables.append(pd.DataFrame({"space": space, "relation": relation, **shares}).query("share > 0"))
    return pd.concat(tables) if tables else pd.DataFrame(columns=["space", "relation", "cosine", "share"])


def _examples(space: str, tagged: Mapping[int, Sequence[tuple[int, str, float]]], lexicon: Lexicon) -> pd.DataFrame:
    """Nearest units of some, one row each."""
    import pandas as pd

    rows = [
        (space, lexicon.surfaces[unit], rank, lexicon.surfaces[other], tag, cosine)
        for unit, near in tagged.items()
        for rank, (other, tag, cosine) in enumerate(near, start=1)
    ]
    return pd.DataFrame(rows, columns=["space", "unit", "rank", "neighbour", "tag", "cosine"])


def _homographs(paths: Paths, params: Params, units: Units) -> tuple[dict[str, float], pd.DataFrame]:
    """Mean figures over ambiguous words, and a row for each."""
    import pandas as pd

    lexicon = units.lexicon
    spellings = [s for s, kind in zip(lexicon.surfaces, lexicon.kinds, strict=True) if kind == "word"]
    found = homographs.occurrences(read_synsets(paths.wordnet), spellings)
    most = Counter({word: len(hits) for word, hits in found.items()}).most_common(params.token_space.homographs)
    backbone = load_encoder(params.backbone) if most else None
    if not isinstance(backbone, ContextualEncoder):
        return {"words": 0}, pd.DataFrame(columns=["word", "senses", "occurrences"])
    hits = [hit for word, _ in most for hit in found[word]]
    states = backbone.span_features([hit.text for hit in hits], [hit.span for hit in hits])
    # Contextual states share a large mean of their own, as features of single words do.
    states -= states.mean(0)
    centre = units.features.mean(0).numpy()
    reports: dict[str, dict[str, float]] = {}
    rows: list[dict[str, Any]] = []
    start = 0
    for word, count in most:
        part = slice(start, start + count)
        start += count
        senses = [hit.sense for hit in hits[part]]
        unit = units.features[lexicon.id_of[word]].numpy() - centre
        reports[word] = homographs.word_report(states[part], senses, unit, params.seed)
        rows.append({"word": word, "senses": len(set(senses)), "occurrences": count, **reports[word]})
    return {"words": len(reports), **homographs.mean_report(reports)}, pd.DataFrame(rows)
