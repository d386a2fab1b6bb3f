"""Stage ``report``: metrics/report.html out of what all other stages left."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.token_head import TokenHead, head_codes
from lexivert.config import Params
from lexivert.console import buffer_text
from lexivert.data.wordnet import read_synsets
from lexivert.evaluation.texts import choose_texts, texts_of
from lexivert.model import Lexivert, Reading
from lexivert.report import figures, maps
from lexivert.report.page import Cell, Page, number
from lexivert.report.tables import columns, numbers, read_lines, read_metrics, readable

DECODERS = {
    "nearest": "nearest training sentence",
    "one_shot": "one shot",
    "cancellation": "cancellation",
    "physics": "AMP, unigram prior",
    "controller": "controller",
}
FRONTIER = {
    "one_shot": "one shot",
    "cancellation": "cancellation",
    "amp_flat": "AMP, flat prior",
    "amp_unigram": "AMP, unigram prior",
    "selector": "Selector",
    "selector_placer": "Selector + Placer",
    "controller": "controller",
}
LIMITS = {
    "limit_flat": "limit, flat prior",
    "limit_prior": "limit, unigram prior",
    "limit_soft": "limit of soft decoding",
}
SPACES = {
    "raw_features": "backbone features",
    "features": "the same, centred",
    "head_codes": "head codes",
    "unit_codes": "unit codes",
}
PARTS = {"backbone": "backbone", "prefix": "semantic prefix", "order": "order part", "full": "full vector"}
_TRACES = ((6, 1.0), (12, 0.8), (22, 1.0))
"""Length in words, and cosine of the noisy vector, of the rebuilds that are shown."""
_SHOWN_NEIGHBOURS = 5


def run_report(paths: Paths, params: Params) -> None:
    """Write metrics/report.html."""
    model = Lexivert.load(paths.root)
    layout = model.encoder.config
    lead = (
        f"{len(model.encoder.segmenter.lexicon):,} units, {layout.code.embed_dim} dimensions of which "
        f"{layout.order_width} carry words and order, backbone {layout.backbone.model}, seed {params.seed}. "
        "Texts that are read back are from documents that nothing was trained on."
    )
    page = Page("Lexivert: results of this run", lead)
    _summary(page, paths)
    _reading_back(page, paths)
    _rebuilds(page, paths, model, params)
    _units(page, paths)
    _maps(page, paths, model, params)
    _sentences(page, paths)
    _collapse(page, paths)
    _training(page, paths)
    with artifacts.atomic_path(paths.report) as temporary:
        temporary.write_text(page.render(), encoding="utf-8")


def _summary(page: Page, paths: Paths) -> None:
    report, space = read_metrics(paths, "evaluate"), read_metrics(paths, "sentence_space")
    clean, noisy = report["clean"]["controller"], report["noisy"]["controller"]
    cards = [
        ("texts of 1–40 words read back exactly from clean vectors", number(clean["exact_match"])),
        ("from noisy vectors", number(noisy["exact_match"])),
        ("expected calibration error of the confidence", number(report["confidence"]["expected_calibration_error"])),
        ("AUROC of the confidence", number(report["confidence"]["auroc"])),
    ]
    swapped = space["order_awareness"].get("subject_and_object_swapped", {})
    if "order" in swapped:
        cards.append(("order part tells subject from object (probe)", number(swapped["order"]["probe_accuracy"])))
        cards.append(("the backbone alone does", number(swapped["backbone"]["probe_accuracy"])))
    page.cards(cards)


def _reading_back(page: Page, paths: Paths) -> None:
    report = read_metrics(paths, "evaluate")
    page.section(
        "reading",
        "Reading texts back",
        "Held-out texts become vectors and are read back by five decoders. “Exact” counts texts that are the same "
        "to the last character; “units” counts positions with the right word or phrase.",
    )
    keys = [
        "exact_match",
        "exact_match_low",
        "exact_match_high",
        "unit_accuracy",
        "bleu",
        "token_f1",
        "backbone_cosine",
    ]
    rows: list[list[Cell]] = [
        [f"{DECODERS[name]}, {condition}", *(float(report[condition][name][key]) for key in keys)]
        for condition in ("clean", "noisy")
        for name in DECODERS
    ]
    header = ["decoder, vector", "exact", "low", "high", "units", "BLEU", "token F1", "cosine"]
    page.table(header, rows)
    lengths = read_lines(paths, "exact_match")
    words = numbers(lengths, "words")
    shown = [
        (
            figures.lines(
                words,
                columns(lengths, [f"{name}_{kind}" for name in DECODERS], list(DECODERS.values())),
                "words in the text",
                "share read back exactly",
            ),
            f"Exact match by length, {kind} vectors.",
        )
        for kind in ("clean", "noisy")
    ]
    page.figures(*shown)
    page.heading("At the limit", "Narrow, noisy, long and stored in few bits; points with 95 % intervals.")
    cells = read_metrics(paths, "robustness")
    names = list(cells)
    intervals = {
        label: [
            (cells[c][name]["exact_match"], cells[c][name]["exact_match_low"], cells[c][name]["exact_match_high"])
            for c in names
        ]
        for name, label in FRONTIER.items()
        if all(name in cells[c] for c in names)
    }
    limits = read_lines(paths, "robustness")
    by_width = columns(limits, [*FRONTIER, *LIMITS], [*FRONTIER.values(), *LIMITS.values()])
    drawn = figures.lines(
        numbers(limits, "dimensions_a_unit"),
        by_width,
        "order dimensions a unit",
        "share read back exactly",
        dashed=list(LIMITS.values()),
    )
    short = [_cell_name(name) for name in names]
    page.figures(
        (figures.with_intervals(short, intervals, "share read back exactly"), "Exact match by cell."),
        (drawn, "Texts of every cell by how many dimensions a unit they have; limits are theory, not measured."),
    )
    page.heading(
        "Confidence", "Of the texts given a confidence, the share that is right; on the dotted line the two agree."
    )
    bins = read_lines(paths, "reliability")
    confidence = numbers(bins, "confidence")
    plot = figures.lines(
        confidence,
        {"observed": numbers(bins, "observed"), "perfect": numbers(bins, "perfect")},
        "mean confidence",
        "share that is right",
        dashed=["perfect"],
    )
    sent = report["confidence"]
    page.figures((plot, f"{sent['readings']} readings of {sent['texts']} texts, over a mix of noise levels."))
    page.heading("From the meaning alone", "The order part is missing: what can be written from the semantic prefix.")
    meaning = report["meaning_only"]
    labels = {"controller": "controller", "nearest": "nearest training sentence", "mean_vector": "mean vector"}
    rows = [
        [labels[name], *(float(meaning[name][key]) for key in ("token_f1", "bleu", "backbone_cosine", "exact_match"))]
        for name in labels
    ]
    page.table(["from", "token F1", "BLEU", "cosine", "exact"], rows)


def _cell_name(name: str) -> str:
    """What is special about a condition of the robustness sweep."""
    parts = dict(part.split("_", 1) for part in name.rsplit("-", 1)[0].split("-"))
    if parts["width"] != "default":
        return f"width {parts['width']}"
    if parts["cosine"] != "1":
        return f"cosine {parts['cosine']}"
    storage = name.rsplit("-", 1)[1]
    return f"stored as {storage}" if storage != "float32" else f"{parts['units'].replace('_', '–')} units"


def _rebuilds(page: Page, paths: Paths, model: Lexivert, params: Params) -> None:
    page.section(
        "rebuilds",
        "Rebuilds, word by word",
        "Every step commits the unit that is surest and takes it off the vector; what is left shrinks to nothing "
        "when all is right, which proves the text.",
    )
    encoder = model.encoder
    limit = encoder.config.code.max_units
    chosen = choose_texts(texts_of(paths, "test"), 200, params.seed)
    candidates = [text for text in chosen if len(encoder.segmenter.segment(text)) <= limit]
    curves: dict[str, list[float]] = {}
    longest = 0
    for words, cosine in _TRACES:
        text = min(candidates, key=lambda text: (abs(len(text.split()) - words), text))
        vector = torch.from_numpy(model.encode([text]))
        noisy = add_noise(vector, torch.tensor([cosine]), torch.Generator().manual_seed(params.seed))
        reading = model.read(noisy.numpy(), trace=True)[0]
        said = "clean" if cosine == 1.0 else f"noisy, cosine {cosine}"
        page.heading(f"“{text}”", _verdict(reading, text, said))
        header = ["step", "unit", "place", "p", "residual", "text so far"]
        page.table(header, _steps(model, reading), "Every step", opened=not curves)
        curves[f"{len(text.split())} words, {said}"] = [step.residual for step in reading.steps]
        longest = max(longest, len(reading.steps))
    padded = {name: values + [float("nan")] * (longest - len(values)) for name, values in curves.items()}
    plot = figures.lines(list(range(1, longest + 1)), padded, "committed units", "what is left of the vector")
    page.figures((plot, "Residual norm, step by step; noise is what remains of a noisy vector."))


def _verdict(reading: Reading, text: str, said: str) -> str:
    same = "exactly" if reading.text == text else f"as “{reading.text}”"
    proof = "verified" if reading.verified else "not verified"
    return f"Vector {said}: read back {same}, {proof}, confidence {reading.confidence:.3f}, fit {reading.fit:.4f}."


def _steps(model: Lexivert, reading: Reading) -> list[list[Cell]]:
    segmenter = model.encoder.segmenter
    return [
        [
            str(place),
            segmenter.surface([step.unit])[0],
            step.position,
            step.score,
            step.residual,
            buffer_text(step.buffer, segmenter.join) + " ",
        ]
        for place, step in enumerate(reading.steps, start=1)
    ]


def _units(page: Page, paths: Paths) -> None:
    report = read_metrics(paths, "token_space")
    there = [name for name in SPACES if name in report]
    page.section(
        "units",
        "The space of units",
        f"{report['words']} words and {report['phrases']} phrases that the token head was not trained on. Unit codes "
        "are what vectors are made of: by design mostly a random part fixed by the spelling, so that units stand far "
        "apart; head codes are the learned part.",
    )
    for kind in ("words", "phrases"):
        key = f"neighbours_of_{kind}"
        if all(key in report[name] for name in there):
            page.heading(f"What the nearest neighbours of {kind} are")
            first = ["purity", "purity_by_maps"]
            tags = first + [tag for tag in report[there[0]][key] if tag not in {*first, "most_purity_by_maps"}]
            rows: list[list[Cell]] = [[SPACES[n], *(float(report[n][key][tag]) for tag in tags)] for n in there]
            page.table(["space", *map(readable, tags)], rows)
            most = report[there[0]][key]["most_purity_by_maps"]
            page.text(f"The maps relate so few units to each other that purity by maps can't exceed {number(most)}.")
    page.heading("Cosines of related pairs", "Means over pairs whose first unit is held out.")
    kinds = list(report[there[0]]["pairs"])
    rows = [[SPACES[n], *(float(report[n]["pairs"][kind]["mean"]) for kind in kinds)] for n in there]
    page.table(["space", *kinds], rows)
    lines = read_lines(paths, "pair_cosines")
    page.figures(*[(_histogram(lines, name), f"Cosines in {SPACES[name]}.") for name in there])
    page.heading("Neighbours of some held-out words and phrases")
    examples = read_lines(paths, "neighbours")
    page.table(["unit", "space", "nearest, with cosine and tag"], _neighbour_rows(examples))
    page.heading("Statistics", "mean share: energy of the mean vector; deviations: 1 is a uniform spread.")
    names = ["anisotropy", "effective_rank", "isotropy", "uniformity", "mean_rms"]
    names += [f"deviation_{what}" for what in ("mean", "min", "max")]
    rows = [[SPACES[n], *(float(report[n]["statistics"][name]) for name in names)] for n in there]
    page.table(["space", *map(readable, names)], rows)
    page.heading("Margins and phrases", "Margin: one minus the cosine with the nearest other unit.")
    rows = [
        [
            SPACES[name],
            *(float(report[name].get("margin_of_words", {}).get(key, 0.0)) for key in ("p50", "mean")),
            float(report[name].get("alignment_of_synonyms", 0.0)),
            *(float(report[name]["phrases"].get(f"{whose}_words_cosine", 0.0)) for whose in ("own", "other")),
        ]
        for name in there
    ]
    header = [
        "space",
        "margin, median",
        "margin, mean",
        "alignment of synonyms",
        "phrase · its words",
        "phrase · others' words",
    ]
    page.table(header, rows)
    senses = report["homographs"]
    if senses["words"]:
        page.heading(
            "Words of several senses",
            f"{senses['words']} words in WordNet's example sentences, by the backbone's contextual states. One code "
            "stands for all senses of a spelling.",
        )
        keys = [name for name in senses if name != "words"]
        page.table(list(map(readable, keys)), [[float(senses[key]) for key in keys]])


def _histogram(lines: list[dict[str, str]], space: str) -> Any:
    own = [line for line in lines if line["space"] == space]
    places = sorted({float(line["cosine"]) for line in own})
    relations = list(dict.fromkeys(line["relation"] for line in own))
    found = {(line["relation"], float(line["cosine"])): float(line["share"]) for line in own}
    series = {name: [found.get((name, place), 0.0) for place in places] for name in relations}
    return figures.lines(places, series, "cosine", "share of pairs")


def _neighbour_rows(lines: list[dict[str, str]]) -> list[list[Cell]]:
    """One row for each unit and space; units together."""
    told: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if int(line["rank"]) <= _SHOWN_NEIGHBOURS:
            near = f"{line['neighbour']} ({float(line['cosine']):.2f}, {line['tag']})"
            told.setdefault((line["unit"], line["space"]), []).append(near)
    return [[unit + " ", SPACES[space], ", ".join(near) + " "] for (unit, space), near in sorted(told.items())]


def _maps(page: Page, paths: Paths, model: Lexivert, params: Params) -> None:
    lexicon = model.encoder.segmenter.lexicon
    classes = maps.categories(read_synsets(paths.wordnet))
    drawn = maps.draw(lexicon, classes, params.report.map_units, params.seed)
    features = artifacts.read_array(paths.unit_features)
    head = TokenHead.load(paths.token_head)
    codes = head_codes(head, features[drawn.units])
    page.section(
        "maps",
        "Maps of units",
        f"{len(drawn.units)} units by their head codes, the learned part. PCA keeps distances as far as two "
        "directions can; t-SNE keeps neighbours and nothing else: gaps and sizes on it mean nothing. Classes are "
        "WordNet's lexicographer files.",
    )
    principal, share = maps.principal(codes)
    near = maps.neighbourhoods(codes, params.report.perplexity, params.seed)
    labels = maps.surfaces(lexicon, drawn.units.tolist())
    flat = f"PCA, {share:.0%} of the variance"
    page.figures(
        (figures.scatter(principal, labels, drawn.kinds), f"{flat}, by kind of unit."),
        (figures.scatter(principal, labels, drawn.categories), f"{flat}, by lexicographer class."),
        (figures.scatter(near, labels, drawn.kinds), "t-SNE, by kind of unit."),
        (figures.scatter(near, labels, drawn.categories), "t-SNE, by lexicographer class."),
    )
    words = maps.heat_words(lexicon, classes)
    if words:
        page.heading("Similarity of common words", f"Cosines, class by class: {', '.join(maps.HEAT_CATEGORIES)}.")
        own = maps.surfaces(lexicon, words)
        centred = features[words].astype(np.float32) - head.centre.numpy()
        page.figures(
            (figures.heat_map(maps.cosines(centred), own), "Backbone features, their mean taken off."),
            (figures.heat_map(maps.cosines(head_codes(head, features[words])), own), "Head codes."),
        )


def _sentences(page: Page, paths: Paths) -> None:
    report = read_metrics(paths, "sentence_space")
    found = report["definitions"]
    page.section(
        "sentences",
        "The space of sentences",
        f"Retrieval: {found['queries']} example sentences look for the definition of their own synset among "
        f"{found['definitions']}, none of which is in the training split.",
    )
    there = [name for name in PARTS if found.get(name)]
    if there:
        keys = list(found[there[0]])
        rows: list[list[Cell]] = [[PARTS[name], *(float(found[name][key]) for key in keys)] for name in there]
        page.table(["space", *map(readable, keys)], rows)
    page.heading("Classes by the ten nearest neighbours", "Books, and definitions, that are held out.")
    rows = []
    for task, figures_of in report["knn"].items():
        guess = float(figures_of.get("most_frequent", figures_of.get("chance", 0.0)))
        rows += [
            [
                f"{readable(task)}, {PARTS[name]}",
                *(float(figures_of[name][k]) for k in ("accuracy", "low", "high")),
                guess,
            ]
            for name in PARTS
            if name in figures_of
        ]
    page.table(["task, space", "accuracy", "low", "high", "most frequent, or chance"], rows)
    page.heading(
        "Does the vector notice order?",
        "Cosine of a sentence with its changed version, and accuracy of a linear probe in telling which is which "
        "from one vector alone; chance is .5. Controlled sentences with swapped words have the same words on both "
        "sides. In natural sentences a swap is a fact about two neighbours, which no linear probe can see in a sum.",
    )
    lines = read_lines(paths, "order_awareness")
    changes = list(dict.fromkeys(line["change"] for line in lines))
    for key, label in (("probe_accuracy", "probe accuracy"), ("cosine", "cosine")):
        series = {PARTS[space]: [_of(lines, change, space, key) for change in changes] for space in PARTS}
        page.figures(
            (figures.bars([readable(change) for change in changes], series, label), f"{label.capitalize()}.")
        )


def _of(lines: list[dict[str, str]], change: str, space: str, key: str) -> float:
    return next(float(line[key]) for line in lines if (line["change"], line["space"]) == (change, space))


def _collapse(page: Page, paths: Paths) -> None:
    report = read_metrics(paths, "collapse")
    page.section(
        "collapse",
        "Health of the predictors",
        "A predictor that has collapsed gives the mean vector whatever it is asked: then its cosine is that of the "
        "mean vector, its mean share is 1 and its deviations are 0 of the true ones.",
    )
    names = [
        name
        for name in ("reconstruction", "prefix", "neighbours", "prefix_and_neighbours")
        if "cosine" in report.get(name, {})
    ]
    keys = [
        "cosine",
        "cosine_of_mean_vector",
        "cosine_centred",
        "anisotropy",
        "true_anisotropy",
        "raw_deviation_ratio",
        "normalised_deviation_ratio",
        "raw_mean_error",
    ]
    labels = {
        "reconstruction": "features from codes",
        "prefix": "Selector, prefix alone",
        "neighbours": "Selector, neighbours alone",
        "prefix_and_neighbours": "Selector, both",
    }
    page.table(
        ["predictor", *map(readable, keys)], [[labels[n], *(float(report[n][k]) for k in keys)] for n in names]
    )
    page.heading(
        "What is read from raw, normalised and predicted vectors",
        f"Predicted: the Selector's intentions, superposed; their cosine with the true vectors is "
        f"{number(report['reading']['cosine_of_predicted_vectors'])}, the mean code's at every place "
        f"{number(report['reading']['cosine_of_mean_vector'])}. Length and EOS are given to both.",
    )
    given = ["encoder_raw", "encoder_normalised", "predicted_raw", "predicted_normalised", "mean_vector"]
    scores = ["exact_match", "unit_accuracy", "token_f1"]
    rows: list[list[Cell]] = [[readable(g), *(float(report["reading"][g][key]) for key in scores)] for g in given]
    page.table(["vector", *map(readable, scores)], rows)


def _training(page: Page, paths: Paths) -> None:
    page.section("training", "Training curves")
    shown = []
    for name, x, label, series in (
        (
            "token_head",
            "epoch",
            "Token head; “unmasked” is the script's contrastive loss: a unit is among its own negatives.",
            ["contrastive", "contrastive_unmasked", "reconstruction", "anchor", "synonym"],
        ),
        ("controller", "step", "Selector: topics first, then whole contexts.", ["infonce", "length"]),
    ):
        lines = read_lines(paths, name)
        shown.append((figures.lines(numbers(lines, x), columns(lines, series), x, "mean loss"), label))
    page.figures(*shown)
