"""The tables of README.md and docs/, made from metrics, losses.csv, dvc.yaml and docstrings.

``TABLES`` maps the name in a marker to the function that makes the table; ``write_tables.py`` fills the pages.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lexivert.data.embedded import EMBEDDED_SOURCES
from lexivert.yaml_reader import read_yaml

PARTS = {
    "backbone": "backbone",
    "prefix": "semantic prefix",
    "order": "order part",
    "full": "full vector",
}
"""Spaces of a sentence: the backbone's embedding, the two parts of a vector, and all of it."""
SPACES = {
    "raw_features": "backbone features",
    "features": "the same, centred",
    "head_codes": "head codes (learned part)",
    "unit_codes": "unit codes",
}
EDITS = {
    "subject_and_object_swapped": "subject and object swapped, controlled",
    "neighbours_swapped": "neighbouring words swapped, controlled",
    "negation": "negation, controlled",
    "neighbours_swapped_natural": "neighbouring words swapped, natural",
    "negation_natural": "negation, natural",
}
PREDICTORS = {
    "reconstruction": "features from codes (token head)",
    "prefix_and_neighbours": "Selector, prefix and neighbours",
    "prefix": "Selector, prefix alone",
    "neighbours": "Selector, neighbours alone",
}
NEAREST = {"nearest_sentence": "nearest training sentence"}
"""The one baseline of evaluation that reads no unit codes, so it is no decoding algorithm."""


NOT_MEASURED = "Not measured on the committed model yet; `dvc repro benchmarks/dvc.yaml` does."
"""Stands in place of a benchmark's table: benchmarks take hours, and run by themselves."""


class MissingFigureError(Exception):
    """A file or key that a table needs is not there."""


@dataclass(frozen=True)
class Results:
    """Everything that tables are made of.

    Attributes:
        root: the project folder.
    """

    root: Path
    _files: dict[str, Any] = field(default_factory=dict)

    def metrics(self, file: str) -> Mapping[str, Any]:
        """Content of ``metrics/<file>.json``.

        Raises:
            MissingFigureError: there is no such file, or it is no JSON object.
        """
        if file not in self._files:
            path = self.root / "metrics" / f"{file}.json"
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise MissingFigureError(f"metrics/{file}.json is missing") from error
            except ValueError as error:
                raise MissingFigureError(f"metrics/{file}.json is no JSON ({error})") from error
            if not isinstance(content, dict):
                raise MissingFigureError(f"metrics/{file}.json is no JSON object")
            self._files[file] = content
        found: Mapping[str, Any] = self._files[file]
        return found

    def has(self, file: str) -> bool:
        """Whether there is a ``metrics/<file>.json``."""
        return (self.root / "metrics" / f"{file}.json").is_file()

    def get(self, file: str, key: str) -> Any:
        """The value under a dotted key of ``metrics/<file>.json``; a key may itself have dots.

        Raises:
            MissingFigureError: the file or the key is not there.
        """
        found = _walk(self.metrics(file), key)
        if found is None:
            raise MissingFigureError(f"metrics/{file}.json has no {key}")
        return found

    def number(self, file: str, key: str) -> float:
        """The number under a dotted key.

        Raises:
            MissingFigureError: the file or the key is not there, or it is no number.
        """
        value = self.get(file, key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MissingFigureError(f"metrics/{file}.json has no number under {key}")
        return value

    @cached_property
    def labels(self) -> dict[str, str]:
        """Decoders by name to their label, as the registry of decoding algorithms has them."""
        from lexivert.controller.registry import DECODERS

        return NEAREST | {name: entry.label for name, entry in DECODERS.items()}


def _walk(content: Any, key: str) -> Any:
    if not isinstance(content, Mapping):
        return None
    if key in content:
        return content[key]
    for name, value in content.items():
        if key.startswith(f"{name}."):
            found = _walk(value, key[len(name) + 1 :])
            if found is not None:
                return found
    return None


def markdown(table: pd.DataFrame) -> str:
    """A table of strings in Markdown; the first column is flush left, the others are flush right."""
    header = [str(column).replace("|", "\\|") for column in table.columns]
    lines = [_line(header), _line(["---", *["---:"] * (len(header) - 1)])]
    lines += [_line([str(cell).replace("|", "\\|") for cell in row]) for row in table.itertuples(index=False)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _frame(rows: Sequence[Mapping[str, str]]) -> str:
    return markdown(pd.DataFrame(list(rows)).fillna(""))


def _share(value: float) -> str:
    """A share with three digits."""
    return f"{value:.3f}"


def _rate(value: float) -> str:
    """A rate or ratio with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _interval(results: Results, file: str, key: str) -> str:
    low, high = (results.number(file, f"{key}.exact_match_{side}") for side in ("low", "high"))
    return f"{results.number(file, f'{key}.exact_match'):.3f} ({low:.3f}–{high:.3f})"


def _decoders(results: Results) -> list[str]:
    """Decoders of stage ``evaluate``, in the registry's order."""
    measured = results.get("evaluate", "clean")
    unknown = measured.keys() - results.labels.keys()
    if unknown:
        raise MissingFigureError(f"metrics/evaluate.json has decoders without a label: {', '.join(sorted(unknown))}")
    return [name for name in results.labels if name in measured]


def reading(results: Results) -> str:
    """The short table of the README: who reads how many texts."""
    rows = []
    for name in _decoders(results):
        clean, noisy = f"clean.{name}", f"noisy.{name}"
        rows.append(
            {
                "decoder": results.labels[name],
                "exact (95 % interval)": _interval(results, "evaluate", clean),
                "BLEU": f"{results.number('evaluate', f'{clean}.bleu'):.1f}",
                "exact, noisy": _share(results.number("evaluate", f"{noisy}.exact_match")),
                "texts/s": _rate(results.number("evaluate", f"rates.{name}_texts_per_second")),
            }
        )
    return _frame(rows)


def round_trip(results: Results) -> str:
    """Every decoder on held-out texts, from clean and noisy vectors."""
    rows = []
    for name in _decoders(results):
        clean = f"clean.{name}"
        figure = {key: results.number("evaluate", f"{clean}.{key}") for key in ("bleu", "chrf")}
        rows.append(
            {
                "decoder": results.labels[name],
                "exact (95 % interval)": _interval(results, "evaluate", clean),
                "units": f"{results.number('evaluate', f'{clean}.unit_accuracy'):.4f}",
                "BLEU": f"{figure['bleu']:.1f}",
                "chrF": f"{figure['chrf']:.1f}",
                "token F1": _share(results.number("evaluate", f"{clean}.token_f1")),
                "cosine": _share(results.number("evaluate", f"{clean}.backbone_cosine")),
                "exact, noisy": _share(results.number("evaluate", f"noisy.{name}.exact_match")),
                "texts/s": _rate(results.number("evaluate", f"rates.{name}_texts_per_second")),
            }
        )
    return _frame(rows)


def by_length(results: Results) -> str:
    """Exact match of the full decoder by length in words, clean and noisy."""
    rows = []
    for condition in ("clean", "noisy"):
        scores = results.get("evaluate", f"{condition}.cascade")
        buckets = {key: value for key, value in scores.items() if key.startswith("words_")}
        if not buckets:
            raise MissingFigureError(f"metrics/evaluate.json has no {condition}.cascade.words_*")
        cells = {
            "–".join(str(int(part)) for part in key.split("_")[1:]) + " words": _share(value["exact_match"])
            for key, value in sorted(buckets.items())
        }
        rows.append({"vector": condition} | cells)
    return _frame(rows)


def by_source(results: Results) -> str:
    """Exact match of the full decoder by where texts come from, clean and noisy."""
    if "source" not in results.get("evaluate", "clean.cascade"):
        return "Not measured on the committed model yet; `dvc repro evaluate` does."
    clean = results.get("evaluate", "clean.cascade.source")
    rows = []
    labels = {name: source.label for name, source in EMBEDDED_SOURCES.items()}
    for source in [name for name in labels if name in clean] + sorted(clean.keys() - labels.keys()):
        row = {"source": labels.get(source, source), "texts": f"{clean[source]['texts']}"}
        for condition in ("clean", "noisy"):
            row[f"exact, {condition}"] = _interval(results, "evaluate", f"{condition}.cascade.source.{source}")
        rows.append(row)
    return _frame(rows)


def confidence(results: Results) -> str:
    """How far the confidence can be trusted."""
    figures = {
        "readings": ("readings", "d"),
        "share read back exactly": ("exact_match", ".3f"),
        "expected calibration error, texts": ("expected_calibration_error", ".3f"),
        "the same, 95 % interval from": ("expected_calibration_error_low", ".3f"),
        "to": ("expected_calibration_error_high", ".3f"),
        "AUROC, texts": ("auroc", ".3f"),
        "expected calibration error, units": ("unit_expected_calibration_error", ".3f"),
        "AUROC, units": ("unit_auroc", ".3f"),
        "mean confidence of blends of two texts": ("mean_confidence_of_blends_of_two", ".3f"),
        "mean confidence of sums of three": ("mean_confidence_of_sums_of_three", ".3f"),
        "mean confidence of differences": ("mean_confidence_of_differences", ".3f"),
        "mean confidence of negated vectors": ("mean_confidence_of_negatives", ".3f"),
        "mean confidence of random vectors": ("mean_confidence_of_random_vectors", ".3f"),
    }
    rows = [
        {"figure": label, "value": format(results.number("evaluate", f"confidence.{key}"), form)}
        for label, (key, form) in figures.items()
    ]
    return _frame(rows)


NOT_GENERATED = "Not measured on the committed model yet; `dvc repro generation/dvc.yaml` does."
"""Stands in place of the tables of generation, whose pipeline runs by itself."""
GENERATION_SOURCES = {"own": "own test documents", "wikitext": "WikiText-2 valid"}
_BARRED = "words_04_25"
_ABLATIONS = {
    "full": "everything",
    "without_conditional_proposals": "without the conditional model's proposals (slow, so budget cut)",
    "without_language_model": "without its fluency in the ranking",
    "with_placer_drafts": "with the Placer's drafts",
    "without_selector": "without the Selector's rewritings",
    "without_revision": "without revision",
    "without_cosine": "without the cosine in the ranking",
    "without_length_posterior": "without the length posterior",
}
_VECTORS = {
    "midpoint": "midpoint of two",
    "blend_70_30": "blend, 70 to 30",
    "cosine_0.9": "in noise, cosine .9",
    "cosine_0.8": "in noise, cosine .8",
}


def _generator_label(name: str) -> str:
    """A generator as tables call it."""
    from lexivert.generation.registry import GENERATORS

    if name == "reference":
        return "the texts themselves"
    known = name.removesuffix("_draft")
    return GENERATORS[known].label + (", draft" if known != name else "")


_GENERATION_MEASURES = {
    "token F1": ("token_f1", ".3f"),
    "word F1": ("word_f1", ".3f"),
    "BLEU": ("bleu", ".1f"),
    "chrF": ("chrf", ".1f"),
    "ROUGE-L": ("rougeL", ".3f"),
    "content F1": ("content_f1", ".3f"),
    "exact": ("exact_match", ".3f"),
    "cosine": ("backbone_cosine", ".3f"),
    "independent cosine": ("independent_cosine", ".3f"),
    "nats a token": ("nats_a_token", ".2f"),
    "repeated": ("repeated_share", ".3f"),
}
"""Columns of the tables of generation: measure and format."""


def _generation_cells(scores: Mapping[str, Any], columns: Iterable[str] = _GENERATION_MEASURES) -> dict[str, str]:
    """Number of texts and measures, with their intervals where there are any."""
    measures = {column: _GENERATION_MEASURES[column] for column in columns}
    cells = {
        column: _with_interval(scores, name, form) for column, (name, form) in measures.items() if name in scores
    }
    return {"texts": f"{scores['texts']}"} | cells


def _with_interval(scores: Mapping[str, Any], name: str, form: str) -> str:
    value = format(scores[name], form)
    if f"{name}_low" not in scores:
        return value
    return f"{value} ({format(scores[f'{name}_low'], form)}–{format(scores[f'{name}_high'], form)})"


def generation(results: Results) -> str:
    """Every generator on the same embeddings."""
    if not results.has("generation/generate"):
        return NOT_GENERATED
    rows = []
    for source, generators in results.get("generation/generate", "generators").items():
        for name, buckets in generators.items():
            row = {"source": GENERATION_SOURCES[source], "written by": _generator_label(name)}
            row |= _generation_cells(buckets[_BARRED])
            row["s/text"] = f"{buckets['seconds_a_text']:.2f}" if "seconds_a_text" in buckets else ""
            rows.append(row)
    return _frame(rows)


def generation_by_length(results: Results) -> str:
    """Language-model search by length of the reference."""
    if not results.has("generation/generate"):
        return NOT_GENERATED
    rows = []
    for source, generators in results.get("generation/generate", "generators").items():
        for bucket, scores in sorted(generators["language_model_search"].items()):
            if isinstance(scores, Mapping) and bucket != _BARRED:
                words = "–".join(str(int(part)) for part in bucket.split("_")[1:])
                row = {"source": GENERATION_SOURCES[source], "words": words}
                rows.append(row | _generation_cells(scores))
    return _frame(rows)


def generation_ablation(results: Results) -> str:
    """The search with one thing less, or more."""
    if not results.has("generation/generate"):
        return NOT_GENERATED
    rows = []
    for source, variants in results.get("generation/generate", "ablation").items():
        for name, scores in variants.items():
            row = {"source": GENERATION_SOURCES[source], "search": _ABLATIONS[name]}
            rows.append(row | _generation_cells(scores) | {"s/text": f"{scores['seconds_a_text']:.2f}"})
    return _frame(rows)


def generation_vectors(results: Results) -> str:
    """Texts for vectors that no text produced."""
    if not results.has("generation/generate"):
        return NOT_GENERATED
    rows = []
    for name, scores in results.get("generation/generate", "vectors").items():
        columns = ("cosine", "token F1", "nats a token", "repeated")
        rows.append({"vector": _VECTORS[name]} | _generation_cells(scores, columns))
    return _frame(rows)


def generation_beside(results: Results) -> str:
    """Language-model search beside the published figures of vec2text."""
    if not results.has("generation/generate"):
        return NOT_GENERATED
    published = {"vec2text, first guess": (0.67, 31.9, 0.0), "vec2text, 50 steps with 8 beams": (0.99, 97.3, 0.92)}
    forms = {"token_f1": ".2f", "bleu": ".1f", "exact_match": ".2f"}
    rows = [
        (name, "", [format(own, form) for own, form in zip(values, forms.values(), strict=True)])
        for name, values in published.items()
    ]
    for source, generators in results.get("generation/generate", "generators").items():
        scores = generators["language_model_search"][_BARRED]
        name = f"language-model search, {GENERATION_SOURCES[source]}"
        own = [_with_interval(scores, measure, form) for measure, form in forms.items()]
        rows.insert(len(rows) - len(published), (name, f"{scores['texts']}", own))
    return _frame(
        [
            {"inverter": name, "texts": texts, "token F1": f1, "BLEU": bleu, "exact": exact}
            for name, texts, (f1, bleu, exact) in rows
        ]
    )


def generation_five(results: Results) -> str:
    """Five references, and what the search makes of their embeddings."""
    path = results.root / "metrics" / "generation" / "generate.csv"
    if not path.is_file():
        return NOT_GENERATED
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    step = max(len(table) // 5, 1)
    rows = [
        {"text": _plain(row["reference"]), "written from its embedding": _plain(row["language_model_search"])}
        for _, row in table.iloc[::step].head(5).iterrows()
    ]
    return "\n".join([_line(tuple(rows[0])), _line(["---"] * 2), *(_line(tuple(row.values())) for row in rows)])


def generation_examples(results: Results) -> str:
    """References, and what the search and the nearest training sentence make of their embeddings."""
    path = results.root / "metrics" / "generation" / "generate.csv"
    if not path.is_file():
        return NOT_GENERATED
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = [
        {
            "text": _plain(row["reference"]),
            "written from its embedding": _plain(row["language_model_search"]),
            "nearest training sentence": _plain(row["nearest_sentence"]),
        }
        for _, row in table.iterrows()
    ]
    return "\n".join([_line(tuple(rows[0])), _line(["---"] * 3), *(_line(tuple(row.values())) for row in rows)])


def _plain(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")


def _conditions(results: Results, file: str, key: str = "") -> dict[str, Mapping[str, Any]]:
    """Conditions of a robustness sweep to the scores of each decoder."""
    content = results.get(file, key) if key else results.metrics(file)
    found = {name: scores for name, scores in content.items() if isinstance(scores, Mapping)}
    if not found:
        raise MissingFigureError(f"metrics/{file}.json has no {key or 'condition'}")
    return found


def condition_label(name: str) -> str:
    """``width_192`` or ``cosine_0.7-storage_int8`` in words."""
    special = {
        "storage": "stored as {}",
        "share": "semantic share {}",
        "length": "{} units and more",
        "width": "order width {}",
        "lexicon": "{} units in the lexicon",
    }
    words = []
    for part in name.split("-"):
        key, _, value = part.partition("_")
        words.append(special.get(key, f"{key} {{}}").format(value) if value else part)
    return ", ".join(words)


def robustness(results: Results) -> str:
    """Exact match of every decoder where reading gets hard."""
    return _sweep(results, "robustness")


def _sweep(results: Results, file: str) -> str:
    """One row a condition, one column a decoder; the full decoder's with its interval."""
    rows = []
    for name, scores in _conditions(results, file).items():
        texts = scores.get("cascade", next(iter(scores.values()))).get("texts", 0)
        row = {"condition (texts)": f"{condition_label(name)} ({texts})"}
        for decoder, label in results.labels.items():
            if "exact_match" in scores.get(decoder, {}):
                interval = decoder == "cascade"
                key = f"{name}.{decoder}"
                row[label] = _interval(results, file, key) if interval else _share(scores[decoder]["exact_match"])
        rows.append(row)
    columns = [
        "condition (texts)",
        *(label for label in results.labels.values() if any(label in row for row in rows)),
    ]
    return markdown(pd.DataFrame(rows).reindex(columns=columns).fillna(""))


def retrieval(results: Results) -> str:
    """Retrieval of definitions, and nearest-neighbour classes, in each space of a sentence."""
    keys = {"P@1": "precision_at_1", "R@10": "recall_at_10", "MRR": "mrr", "nDCG@10": "ndcg_at_10"}
    rows = []
    for part, label in PARTS.items():
        row = {"space": label}
        row |= {
            title: _share(results.number("sentence_space", f"definitions.{part}.{key}"))
            for title, key in keys.items()
        }
        for title, task in (("class", "category_of_definition"), ("author", "author_of_sentence")):
            row[title] = _share(results.number("sentence_space", f"knn.{task}.{part}.accuracy"))
        rows.append(row)
    rows.append(
        {
            "space": "most frequent class; chance",
            "class": _share(results.number("sentence_space", "knn.category_of_definition.most_frequent")),
            "author": _share(results.number("sentence_space", "knn.author_of_sentence.chance")),
        }
    )
    return _frame(rows)


def order_awareness(results: Results) -> str:
    """Whether a linear probe, or the cosine, sees a swap or a negation."""
    rows = []
    for edit, label in EDITS.items():
        row = {"change": label}
        for part, space in PARTS.items():
            key = f"order_awareness.{edit}.{part}"
            row[f"probe: {space}"] = _share(results.number("sentence_space", f"{key}.probe_accuracy"))
        for part in ("backbone", "order", "full"):
            key = f"order_awareness.{edit}.{part}"
            row[f"cosine: {PARTS[part]}"] = _share(results.number("sentence_space", f"{key}.cosine"))
        rows.append(row)
    return _frame(rows)


def token_space(results: Results) -> str:
    """How units lie in the backbone's features and in their codes."""
    rows = []
    for space, label in SPACES.items():
        row = {
            "space": label,
            "purity by maps": _share(results.number("token_space", f"{space}.neighbours_of_words.purity_by_maps")),
            "margin": _share(results.number("token_space", f"{space}.margin_of_words.mean")),
        }
        for pair in ("inflection", "synonym", "antonym", "sibling", "random"):
            row[pair] = _share(results.number("token_space", f"{space}.pairs.{pair}.mean"))
        row["anisotropy"] = f"{results.number('token_space', f'{space}.statistics.anisotropy'):.4f}"
        row["effective rank"] = f"{results.number('token_space', f'{space}.statistics.effective_rank'):.0f}"
        rows.append(row)
    return _frame(rows)


def homographs(results: Results) -> str:
    """One code a spelling against several senses."""
    figures = {
        "cosine with occurrences of the same sense": "own_sense",
        "cosine with occurrences of other senses": "other_senses",
        "nearest sense is the right one": "nearest_sense",
        "the same by chance": "chance",
        "adjusted Rand index of clusters and senses": "adjusted_rand",
    }
    rows = [
        {"figure": label, "value": _share(results.number("token_space", f"homographs.{key}"))}
        for label, key in figures.items()
    ]
    return _frame(rows)


def collapse(results: Results) -> str:
    """Whether a predictor gives back more than the mean vector."""
    columns = {
        "cosine with the truth": "cosine",
        "mean vector": "cosine_of_mean_vector",
        "centred": "cosine_centred",
        "anisotropy": "anisotropy",
        "of the truth": "true_anisotropy",
        "deviation, raw": "raw_deviation_ratio",
        "deviation, unit length": "normalised_deviation_ratio",
    }
    rows = [
        {"predictor": label}
        | {title: _share(results.number("collapse", f"{name}.{key}")) for title, key in columns.items()}
        for name, label in PREDICTORS.items()
    ]
    return _frame(rows)


def predicted_reading(results: Results) -> str:
    """What is read from vectors made of predictions."""
    labels = {
        "encoder_raw": "the encoder's, raw sums",
        "encoder_normalised": "the encoder's, unit length",
        "predicted_raw": "the Selector's expected codes, raw sums",
        "predicted_normalised": "the Selector's expected codes, unit length",
        "mean_vector": "the mean code at every place",
    }
    rows = [
        {
            "vectors": label,
            "exact": _share(results.number("collapse", f"reading.{name}.exact_match")),
            "units": _share(results.number("collapse", f"reading.{name}.unit_accuracy")),
            "token F1": _share(results.number("collapse", f"reading.{name}.token_f1")),
        }
        for name, label in labels.items()
    ]
    return _frame(rows)


def losses(results: Results) -> str:
    """What each of the token head's losses is worth: mean and half-width of the 95 % interval over seeds."""
    path = results.root / "experiments" / "losses.csv"
    if not path.is_file():
        raise MissingFigureError("experiments/losses.csv is missing")
    table = pd.read_csv(path)
    columns = {
        "margin": ("margin", 3),
        "purity by maps": ("purity_by_maps", 3),
        "synonym": ("synonym_cosine", 3),
        "antonym": ("antonym_cosine", 3),
        "effective rank": ("effective_rank", 0),
        "anisotropy": ("anisotropy", 3),
        "exact, cosine .6": ("exact_match_noisy", 2),
        "exact, width 192": ("exact_match_narrow", 2),
    }
    for key, _ in columns.values():
        if key not in table or f"{key}_half_width" not in table:
            raise MissingFigureError(f"experiments/losses.csv has no column {key}, or none {key}_half_width")
    shown = pd.DataFrame({"recipe": table["recipe"].str.replace("_", " ")})
    for title, (key, digits) in columns.items():
        means, widths = table[key], table[f"{key}_half_width"]
        shown[title] = [f"{mean:.{digits}f} ± {width:.{digits}f}" for mean, width in zip(means, widths, strict=True)]
    return markdown(shown)


BENCHMARKS = (
    ("counting", "speedup", ".1f", "counting phrases: times a plain `Counter`, by the clock"),
    ("counting", "speedup_in_processor_time", ".1f", "the same in processor time"),
    ("counting", "tokens", ",d", "counting, large run: tokens"),
    ("counting", "seconds_with_generation", ".0f", "counting, large run: seconds, making them up included"),
    ("counting", "peak_gb", ".1f", "counting, large run: memory, GB"),
    ("features", "ratio", ".1f", "features: times the naive loop, batches of 512 in corpus order"),
    ("features", "ratio_small_batch", ".1f", "features: times the naive loop, batches of 32"),
    ("features", "cosine_min", ".4f", "features: least cosine with the naive loop's"),
    ("token_head_step", "faster", ".0f", "one step of the token head: times the original recipe's speed"),
    ("token_head_step", "smaller", ".1f", "one step of the token head: the original recipe's memory over ours"),
    ("speed", "encode_to_backbone", ".2f", "encoding: share of the bare backbone's rate"),
    ("speed", "cascade_texts_per_second", ".0f", "decoding, 20-word texts: texts a second"),
    ("speed", "cascade_noisy_texts_per_second", ".0f", "decoding at cosine .9: texts a second"),
    ("speed", "cascade_300k_texts_per_second", ".0f", "decoding from 300,000 units: texts a second"),
    ("speed", "trace_seconds", ".3f", "one text with its trace: seconds"),
    ("speed", "same_as_exact_search", ".3f", "share of texts that an exact search reads the same"),
    ("speed", "prefix_cosine_min", ".5f", "least cosine of prefix and backbone"),
    ("speed", "wikitext_clean_exact_match", ".3f", "WikiText-2 valid sentences, exact, clean"),
    ("speed", "wikitext_noisy_exact_match", ".3f", "WikiText-2 valid sentences, exact, cosine .9"),
    ("memory", "reading_to_index", ".2f", "memory of reading, over the size of the index"),
    ("memory", "reading_to_codes", ".2f", "memory of reading, over the size of the unit codes"),
    ("threads", "default.encode.ratio", ".2f", "encoding beside a busy process: times the time alone"),
    ("threads", "default.decode.ratio", ".2f", "decoding beside a busy process: times the time alone"),
    ("threads", "one_thread.decode.ratio", ".2f", "the same with one thread"),
    ("threads", "spinning.decode.ratio", ".2f", "the same with threads that spin"),
)
"""Single figures of the benchmarks: file, key, format and what it is. Those of WikiText may be left out."""
LEFT_OUT = {
    "all": "nothing",
    "no_semantic_prefix": "semantic prefix",
    "no_selector": "Selector (unigram prior)",
    "no_unit_prior": "unit prior",
    "no_placer": "Placer (no easy-first)",
    "amp_selector": "Placer and restarts (message passing alone)",
    "identity_codes_alone": "learned part of the codes (identity alone)",
    "head_codes_alone": "identity part of the codes (learned alone)",
    "hard_cancellation": "soft cancellation (hard instead)",
}
"""Variants of the ablation, by what each is without."""


def benchmarks(results: Results) -> str:
    """The benchmarks' single figures."""
    rows = []
    for file, key, form, label in BENCHMARKS:
        name = f"benchmarks/{file}"
        if key.startswith("wikitext_") and results.has(name) and key not in results.metrics(name):
            continue
        value = format(results.number(name, key), form) if results.has(name) else "not yet"
        rows.append({"what": label, "measured": value, "by": f"`{file}`"})
    return _frame(rows)


def accelerator(results: Results) -> str:
    """Rates on a GPU beside the CPU of the same machine, and vec2text's loop on the same card."""
    if not results.has("benchmarks/accelerator"):
        return NOT_MEASURED
    figures = results.metrics("benchmarks/accelerator")
    machine, loop = figures["hardware"], figures["vec2text"]
    cpu, card = f"{machine['cpu_threads']} CPU threads", machine["card"]
    jobs = {"encode": "encoding", "decode": "decoding", "decode_noisy": "decoding at cosine .8"}
    rows = [
        {"texts a second": label}
        | {title: _rate(figures[side][f"{job}_texts_per_second"]) for title, side in ((cpu, "cpu"), (card, "device"))}
        for job, label in jobs.items()
    ]
    for batch, measured in sorted(loop.items(), key=lambda item: int(item[0].removeprefix("batch_"))):
        label = f"vec2text's loop, untrained, {batch.removeprefix('batch_')} texts at once"
        rows.append({"texts a second": label, cpu: "", card: f"{measured['texts_per_second']:.2f}"})
    return _frame(rows)


def segmentation(results: Results) -> str:
    """Units a word and rates of segmentation, for each text."""
    if not results.has("benchmarks/segmentation"):
        return NOT_MEASURED
    rows = []
    for name, figures in _conditions(results, "benchmarks/segmentation").items():
        rows.append(
            {
                "texts": name.replace("_", " "),
                "units a word": f"{figures['units_a_word']:.3f}",
                "new texts a second": _rate(figures["first_texts_per_second"]),
                "texts seen before a second": _rate(figures["again_texts_per_second"]),
            }
        )
    return _frame(rows)


def limits(results: Results) -> str:
    """Exact match at the limit with more texts, own and WikiText-2."""
    if not results.has("benchmarks/robustness"):
        return NOT_MEASURED
    return _sweep(results, "benchmarks/robustness")


def ablation(results: Results) -> str:
    """The full decoder with one part left out at a time."""
    if not results.has("benchmarks/ablation"):
        return NOT_MEASURED
    conditions = _conditions(results, "benchmarks/ablation")
    rows: dict[str, dict[str, str]] = {}
    for condition, variants in conditions.items():
        for variant, scores in variants.items():
            if "exact_match" not in scores:  # no text was long enough
                continue
            row = rows.setdefault(variant, {"left out": LEFT_OUT.get(variant, variant.replace("_", " "))})
            cells = [f"{scores[key]:.2f}" for key in ("exact_match", "unit_accuracy", "backbone_cosine")]
            rate = f"; {_rate(scores['texts_per_second'])}/s" if "texts_per_second" in scores else ""
            row[f"{condition_label(condition)} ({scores['texts']})"] = f"{', '.join(cells)}{rate}"
    return _frame(list(rows.values()))


def language_search(results: Results) -> str:
    """What the search with a language model reads more than the loops, and why it misreads the rest."""
    if not results.has("benchmarks/language_search"):
        return NOT_MEASURED
    rows = []
    for condition, own in _conditions(results, "benchmarks/language_search").items():
        if "exact_match_loops" in own:
            low, high = own["exact_match_low"], own["exact_match_high"]
            rows.append(
                {
                    "vectors": condition_label(condition),
                    "texts": f"{own['texts']}",
                    "loops alone": f"{own['exact_match_loops']:.3f}",
                    "with the search (95 % interval)": f"{own['exact_match']:.3f} ({low:.3f}–{high:.3f})",
                    "lost": f"{own['lost']}",
                    "search errors": f"{own['search_errors']}",
                    "model errors": f"{own['model_errors']}",
                    "seconds a searched text, mean and most": f"{own['seconds_mean']:.1f}, {own['seconds_most']:.1f}",
                }
            )
    return _frame(rows) if rows else NOT_MEASURED


def index_kinds(results: Results) -> str:
    """Kinds of FAISS index at 300,000 vectors."""
    if not results.has("benchmarks/index"):
        return NOT_MEASURED
    columns = {
        "build, s": ("build_seconds", ".1f"),
        "size, MB": ("megabytes", ",.0f"),
        "alone, ms": ("milliseconds_alone", ".1f"),
        "in 64, ms": ("milliseconds_in_batch", ".1f"),
        "recall@1": ("recall_at_1", ".2f"),
        "recall@10": ("recall_at_10", ".2f"),
        "decoded exactly": ("decoded_exactly", ".2f"),
    }
    rows = []
    for vectors, kinds in _conditions(results, "benchmarks/index").items():
        for kind, figures in kinds.items():
            row = {"vectors": vectors.replace("_", " "), "index": kind}
            row |= {title: format(figures[key], form) for title, (key, form) in columns.items() if key in figures}
            rows.append(row)
    return _frame(rows)


def semantic_share(results: Results) -> str:
    """How full vectors compare meanings against what reads back of them, by semantic share."""
    if not results.has("benchmarks/semantic_share"):
        return NOT_MEASURED
    rows = []
    for share, figures in _conditions(results, "benchmarks/semantic_share").items():
        meaning = {
            title: _share(figures[key])
            for key, title in (("reciprocal_rank", "MRR"), ("sts_spearman", "STS"))
            if key in figures
        }
        for source in [name for name, cells in figures.items() if isinstance(cells, Mapping)] or [""]:
            row = {
                "`code.semantic_share`": share.removeprefix("share_").replace("-", ", ").replace("_", " "),
                **meaning,
            }
            row["texts"] = {"": "", "test": "own test", "wikitext": "WikiText-2 valid"}[source]
            for condition, cells in figures.get(source, {}).items():
                label = condition.removeprefix("cosine_")
                row[label] = f"{_share(cells['exact_match'])} ({_rate(cells['texts_per_second'])}/s)"
            rows.append(row)
    return _frame(rows)


def stages(results: Results) -> str:
    """The stages of dvc.yaml: what each does, what it makes, and the params it reads."""
    return _stages(results, "dvc.yaml")


def generation_stages(results: Results) -> str:
    """The same of generation/dvc.yaml."""
    return _stages(results, "generation/dvc.yaml")


def _stages(results: Results, file: str) -> str:
    path = results.root / file
    if not path.is_file():
        raise MissingFigureError(f"{file} is missing")
    rows = []
    for name, stage in read_yaml(path)["stages"].items():
        made = [*_names(stage.get("outs", [])), *_names(stage.get("metrics", []))]
        rows.append(
            {
                "stage": f"`{name}`",
                "what it does": stage.get("desc", ""),
                "makes": ", ".join(f"`{path.removeprefix('../')}`" for path in made),
                "its params": ", ".join(f"`{param}`" for param in _params(stage.get("params", []))),
            }
        )
    columns = ["stage", "what it does", "makes", "its params"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    return "\n".join([*lines, *(_line(row.values()) for row in rows)])


def _params(entries: Sequence[Any]) -> list[str]:
    """Params in a list of DVC; those of another file stand in a list of their own."""
    lists = [
        [entry] if isinstance(entry, str) else [key for keys in entry.values() for key in keys] for entry in entries
    ]
    return [param for own in lists for param in own]


def _names(entries: Sequence[Any]) -> list[str]:
    """Names in a list of DVC, in which an entry is a name or a mapping from it to its options."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def packages(results: Results) -> str:
    """The packages of lexivert with the first line of their docstring."""
    folder = results.root / "src" / "lexivert"
    rows = []
    for path in sorted(folder.glob("*/__init__.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if not text:
            raise MissingFigureError(f"src/lexivert/{path.parent.name}/__init__.py has no docstring")
        rows.append((f"`{path.parent.name}/`", _first_line(text)))
    for path in sorted(folder.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if path.stem not in {"__init__", "__main__"} and text:
            rows.append((f"`{path.name}`", _first_line(text)))
    lines = [_line(("room", "what it is")), _line(("---", "---"))]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _first_line(docstring: str) -> str:
    return docstring.splitlines()[0].replace("``", "`")


def log(results: Results) -> str:
    """Index of docs/log/: title, outcome and date of each entry, the newest first."""
    rows = []
    for path in sorted((results.root / "docs" / "log").glob("[0-9]*.md"), reverse=True):
        title, _, state, *_ = [*path.read_text(encoding="utf-8").splitlines(), "", "", ""]
        date, _, outcome = state.partition(" · ")
        if not title.startswith("# ") or not outcome or not path.name.startswith(date):
            raise MissingFigureError(
                f"docs/log/{path.name} does not begin with `# title`, a blank line, `date · outcome`"
            )
        rows.append((f"[{title[2:]}]({path.name})", outcome, date))
    lines = [_line(("subject and verdict", "outcome", "date")), _line(["---"] * 3)]
    return "\n".join([*lines, *map(_line, rows)])


TABLES: dict[str, Callable[[Results], str]] = {
    "reading": reading,
    "round_trip": round_trip,
    "by_length": by_length,
    "by_source": by_source,
    "accelerator": accelerator,
    "confidence": confidence,
    "generation": generation,
    "generation_by_length": generation_by_length,
    "generation_ablation": generation_ablation,
    "generation_vectors": generation_vectors,
    "generation_examples": generation_examples,
    "generation_beside": generation_beside,
    "generation_five": generation_five,
    "robustness": robustness,
    "retrieval": retrieval,
    "order_awareness": order_awareness,
    "token_space": token_space,
    "homographs": homographs,
    "collapse": collapse,
    "predicted_reading": predicted_reading,
    "losses": losses,
    "benchmarks": benchmarks,
    "segmentation": segmentation,
    "limits": limits,
    "ablation": ablation,
    "language_search": language_search,
    "index_kinds": index_kinds,
    "semantic_share": semantic_share,
    "stages": stages,
    "generation_stages": generation_stages,
    "packages": packages,
    "log": log,
}
"""Name in a marker to the function that makes the table: the only list of them."""
