"""The terms of the page, each explained in one line: shown where it stands, and listed at the page's end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lexivert.data.embedded import EMBEDDED_SOURCES

TERMS = {
    # how well texts are read back
    "exact": "Share of texts that came back the same to the last character.",
    "low": "Lower end of the 95 % interval of the share before it (Wilson 1927).",
    "high": "Upper end of the 95 % interval of the share before it (Wilson 1927).",
    "units": "Share of positions with the right unit: word, phrase, number, punctuation mark or piece.",
    "BLEU": "Overlap of runs of up to four words with the original, 0 to 100 (Papineni et al. 2002).",
    "token F1": "F1 of the words of the two texts, in any order (Rajpurkar et al. 2016).",
    "embedding cosine": "Cosine of the backbone's embeddings of the original and of the text that was read.",
    "clean": "The vector as it was written.",
    "noisy": "The vector turned by a random direction, to the cosine named or else evaluate.noise_cosine.",
    # where texts come from
    "exact match by source": "Share of texts of each source that came back the same to the last character.",
    **{name: source.explanation for name, source in EMBEDDED_SOURCES.items()},
    "files": "The user's own files.",
    "datasets": "A dataset of the Hugging Face hub.",
    # what reads vectors back
    "decoder": "What reads vectors back, or guesses what they say.",
    "nearest training sentence": "Reads nothing: gives the training sentence with the nearest semantic prefix.",
    "one-shot unbinding": "Every position is unbound once and gets its nearest unit; nothing is taken off.",
    "hard cancellation": "Guesses are subtracted and all positions are looked at again, without a prior.",
    "AMP, flat prior": "Approximate message passing that holds every unit to be equally likely.",
    "AMP, unigram prior": "Approximate message passing that knows how frequent each unit is.",
    "AMP, model's prior": "Approximate message passing with the model's own prior, by default the Selector.",
    "easy-first (Selector + Placer)": "The surest units are committed and subtracted first, with the learned prior.",
    "cascade, unigram prior": "The controller with unit frequencies in place of the learned prior.",
    "cascade (the controller)": "What decode() does: easy first, or message passing with restarts, until verified.",
    "limit, flat prior": "Theory: from here on a unit's evidence beats that of all others at once, 2 ln V.",
    "limit, unigram prior": "Theory: from here on the evidence beats what unit frequencies make likely.",
    "limit of soft decoding": "Theory: half of the limit with a unigram prior, since soft guesses take noise off.",
    "written by": "What writes a text for a semantic prefix alone.",
    "hill climbing": "A draft is revised word by word while its embedding comes nearer to the given one.",
    "from the mean vector": "The same search for the mean embedding: what it gets without being told anything.",
    # conditions
    "order dimensions a unit": "Width of the order part over the number of units: how much room each has.",
    "width": "The order part has only so many dimensions.",
    "length": "Texts of so many units, or a few more.",
    "stored as": "The number format in which the vector was kept: int8, or its signs alone.",
    # confidence
    "confidence": "Calibrated probability that a text is exactly right, as read() returns it.",
    "observed": "Share of the texts given about this confidence that are right.",
    "perfect": "Where confidence and share are the same.",
    "expected calibration error": "Mean distance of confidence and share of right ones, over ten bins.",
    "AUROC": "How well confidence tells right texts from wrong ones: 1 always, .5 not at all.",
    # rebuilds
    "step": "One commit of the decoding loop, in order; in training, one update of the weights.",
    "unit": "An entry of the lexicon; ## marks a piece of a word, <end> the end of the text, <cap> a capital.",
    "position": "Place of the unit in the text, from 0.",
    "p": "Probability of the unit at its position when it was committed.",
    "residual": "Share of the vector that the units so far do not explain; 0 verifies the text.",
    "text so far": "What is decoded; a dot stands for each position that is open.",
    "fit": "Cosine of the given order part with that of the text read.",
    "verified": "The text found gives the given vector, so it is certain.",
    # spaces of units
    "space": "Which vectors are compared.",
    "backbone features": "What the frozen sentence encoder makes of a unit alone.",
    "centred features": "Backbone features with their mean taken off.",
    "head codes": "The learned part of unit codes: what the token head makes of the features.",
    "unit codes": "What vectors are made of: head code and a random part that the spelling fixes.",
    "nearest, with cosine and tag": "The five nearest units; the tag says how WordNet relates them.",
    "purity": "Share of neighbours that are related in any way: all but opposites and unrelated ones.",
    "purity by maps": "Share of neighbours that WordNet relates, or that differ in case alone; no opposites.",
    "same lemma": "Inflections, or the same spelling in another case.",
    "same phrase": "The same phrase, inflected or in another case.",
    "shares a word": "A phrase with a word in common, the most frequent ones aside.",
    "phrase with it": "A phrase that contains the word.",
    "synonym": "Two units with a sense in common (WordNet); in training, the loss that draws them together.",
    "related": "Siblings: senses below one hypernym (WordNet).",
    "opposite": "Antonyms (WordNet).",
    "unrelated": "No relation is known.",
    "antonym": "Two units of opposite sense (WordNet).",
    "inflection": "Two forms of one lemma.",
    "sibling": "Two units with senses below one hypernym.",
    "random": "Pairs drawn at random, to compare with.",
    "share of pairs": "Of this relation, the pairs whose cosine falls into a bin .025 wide.",
    "anisotropy": "Mean cosine of two vectors: near 1 all are alike, 0 if evenly spread (Ethayarajh 2019).",
    "effective rank": "Directions that are really used: exponential of the spectrum's entropy (Roy & Vetterli 2007).",
    "isotropy": "1 where no direction is preferred, .135 where all vectors are one (Mu & Viswanath 2018).",
    "uniformity": "Lower is more evenly spread; 0 where all vectors are one (Wang & Isola 2020).",
    "mean rms": "Size of the dimensions' means, in deviations of a uniform spread.",
    "deviation mean": "Mean standard deviation of a dimension; 1 is a uniform spread.",
    "deviation min": "That of the dimension that varies least.",
    "deviation max": "That of the dimension that varies most.",
    "margin, median": "One minus the cosine with the nearest other unit: how safely units are told apart.",
    "margin, mean": "The same, mean over words.",
    "alignment of synonyms": "Mean squared distance of synonyms: 0 is best, 2 is chance (Wang & Isola 2020).",
    "phrase · its words": "Cosine of a phrase with the mean of its own words.",
    "phrase · others' words": "Cosine of a phrase with the mean of another phrase's words.",
    # words of several senses
    "over words": "Each word counts once.",
    "mean": "Mean over all of them.",
    "own sense": "Mean cosine of an occurrence with the others of its sense.",
    "other senses": "Mean cosine of an occurrence with those of each other sense.",
    "all senses": "Mean cosine of an occurrence with all others of the word.",
    "isolated word": "Mean cosine of an occurrence with the feature of the word alone.",
    "nearest sense": "Share of occurrences that lie nearest to their own sense.",
    "chance": "What guessing among the senses gives.",
    "adjusted Rand": "Agreement of k-means clusters with the senses; 0 is chance (Hubert & Arabie 1985).",
    "V-measure": "Homogeneity and completeness of these clusters (Rosenberg & Hirschberg 2007).",
    # maps
    "word": "Words in lower case.",
    "cased": "Capitalised forms of words that are also there in lower case.",
    "entity": "Names of one word or several: capitalised, and not there in lower case.",
    "ngram": "Phrases of two to seven words.",
    "number": "Digits, with points and commas.",
    "numeric": "Digits with letters, such as 1860s.",
    "anomalous": "What is no other kind, such as 's.",
    "punctuation": "Signs without letters or digits.",
    "lexicographer class": "WordNet's file of most of a word's senses: part of speech and subject, as noun.animal.",
    "other": "Words of rarer classes, and what WordNet does not list.",
    # spaces of sentences
    "backbone": "The frozen sentence encoder's own embedding, without Lexivert.",
    "semantic prefix": "The first dimensions of a vector: the backbone's embedding, scaled.",
    "order part": "The other dimensions: the superposition of bound unit codes.",
    "full vector": "Both together.",
    "MAP": "Mean average precision of the ranking; with one right definition the same as MRR.",
    "MRR": "Mean of one over the rank of the right definition.",
    "nDCG at 10": "Gain of the right definition among the first ten, less the lower it stands.",
    "precision at 1": "Share of queries whose first hit is right.",
    "precision at 10": "Right ones among the first ten hits; at most .1 here.",
    "recall at 1": "Share of queries whose first hit is right.",
    "recall at 10": "Share of queries with the right definition among the first ten.",
    "task": "What is to be guessed from the neighbours.",
    "author of sentence": "Which author wrote a sentence of a held-out book.",
    "category of definition": "WordNet's lexicographer class of a held-out definition.",
    "accuracy": "Share of right guesses by the ten nearest neighbours.",
    "most frequent, or chance": "Accuracy of always guessing the most frequent class, or of guessing at random.",
    "probe accuracy": "Share that a linear classifier gets right from one vector alone; chance is .5.",
    "cosine": "Cosine of the two vectors: 1 is the same direction.",
    "neighbours swapped": "Controlled sentences, two adjectives swapped.",
    "neighbours swapped natural": "Sentences of the corpus, two neighbouring words swapped.",
    "negation": "Controlled sentences, an adverb replaced by “not”.",
    "negation natural": "Sentences of the corpus, “not” put in.",
    "subject and object swapped": "“The A saw the B.” against “The B saw the A.”",
    # collapse
    "predictor": "What predicts vectors.",
    "features from codes": "The token head's reconstruction of backbone features from unit codes.",
    "Selector, prefix alone": "The expected code at a position, from the semantic prefix.",
    "Selector, neighbours alone": "The expected code at a position, from all other units.",
    "Selector, both": "The expected code at a position, from prefix and all other units.",
    "cosine with the truth": "Mean cosine of predictions with the true vectors.",
    "cosine of mean vector": "The same of one constant guess, the mean vector.",
    "cosine centred": "Cosine with the truth, the mean taken off both sides.",
    "true anisotropy": "Anisotropy of the true vectors.",
    "raw deviation ratio": "Standard deviations of predictions over true ones; 1 fits, 0 is collapse to the mean.",
    "normalised deviation ratio": "The same, all vectors at unit length.",
    "raw mean error": "Distance of the two means, in true deviations.",
    "vector": "What is read: clean or noisy, true or predicted.",
    "encoder raw": "The true order part as it is summed, of any length.",
    "encoder normalised": "The true order part at unit length, as encode() writes it.",
    "predicted raw": "The codes that the Selector expects, superposed.",
    "predicted normalised": "The same at unit length.",
    "mean vector": "The mean code at every position.",
    # training
    "mean loss": "The loss, averaged over the steps of an epoch, or over ten steps.",
    "epoch": "One pass over all units.",
    "contrastive": "InfoNCE: a unit must be told from other units (van den Oord et al. 2018).",
    "contrastive unmasked": "The same with the unit among its own negatives, as in the research script.",
    "reconstruction": "How far features restored from codes are from the true ones.",
    "anchor": "Keeps cosines of codes near those of features (relational distillation, Park et al. 2019).",
    "InfoNCE": "Cross-entropy of the true unit among all, given its context.",
    "length loss": "Cross-entropy of the text's true number of units.",
}
"""Label to explanation. A label is what stands in a table's head or first column, in a legend or on an axis."""
SAME = (
    (re.compile(r"(?:noun|verb|adj|adv)\.[A-Za-z]+"), "lexicographer class"),
    (re.compile(r"cosine \d.*"), "noisy"),
    (re.compile(r"width \d+"), "width"),
    (re.compile(r"length \d+"), "length"),
    (re.compile(r"stored as \w+"), "stored as"),
    (re.compile(r"mean confidence"), "confidence"),
    (re.compile(r"share read back exactly"), "exact"),
    (re.compile(r"share that is right"), "observed"),
    (re.compile(r"norm of the residual"), "residual"),
)
"""Labels with a value in them, or in other words, and the term that explains them."""
_SEPARATOR = ", "


@dataclass(frozen=True)
class Piece:
    """A part of a label.

    Attributes:
        text: itself.
        term: key in ``TERMS``; empty where it is none.
    """

    text: str
    term: str = ""

    @property
    def explanation(self) -> str:
        """One line, or empty."""
        return TERMS.get(self.term, "")

    @property
    def anchor(self) -> str:
        """Of the line in the list of terms."""
        return anchor(self.term)


def anchor(term: str) -> str:
    """A term as the end of a link."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def pieces(label: str) -> list[Piece]:
    """Cut a label at its commas into the longest terms from left to right: "cascade, unigram prior" and "noisy"."""
    words = label.split(_SEPARATOR)
    found: list[Piece] = []
    while words:
        length = next((n for n in range(len(words), 0, -1) if _term(_SEPARATOR.join(words[:n]))), 1)
        text = _SEPARATOR.join(words[:length])
        found.append(Piece(text, _term(text)))
        words = words[length:]
    return found


def explanation(label: str) -> str:
    """What a label means, in one line; empty where nothing of it is a term."""
    known = [piece for piece in pieces(label) if piece.term]
    if len(known) == 1:
        return known[0].explanation
    return " ".join(f"{piece.text}: {piece.explanation}" for piece in known)


def used(labels: Iterable[str]) -> dict[str, str]:
    """The terms of some labels with their explanations, in the order of ``TERMS``."""
    wanted = {piece.term for label in labels for piece in pieces(label)}
    return {term: text for term, text in TERMS.items() if term in wanted}


def _term(text: str) -> str:
    if text in TERMS:
        return text
    return next((term for pattern, term in SAME if pattern.fullmatch(text)), "")
