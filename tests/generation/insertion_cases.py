"""A lexicon of forty words, six sentences, a Selector that was trained on them, and networks that learn them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.generation.insertion_networks import InsertionNetworks, InsertionSizes, digest_of
from lexivert.generation.insertion_training import train_insertions
from lexivert.generation.params import SelectorPlacerParams
from lexivert.priors.selector import Selector, SelectorPrior, UnitEmbeddings
from lexivert.priors.selector_data import SelectorTexts
from lexivert.priors.selector_training import train_selector
from lexivert.text.lexicon import RESERVED
from lexivert.training.checkpoint import Checkpoint
from sections import section

FIRST = len(RESERVED)
WORDS = [first + second for first in "bcdfghjk" for second in "aeiou"]
UNITS = FIRST + len(WORDS)
SENTENCES = 6
SEMANTIC_WIDTH, EMBEDDING_DIM, POSITIONS = 16, 24, 12
PARAMS = SelectorPlacerParams.model_validate(
    {
        "hidden_dim": 48,
        "layers": 2,
        "heads": 2,
        "phrase_window": 3,
        "max_train_units": 8,
        "min_prefix_cosine": 0.9,
        "batch_size": 48,
        "steps": 200,
        "learning_rate": 6.0e-3,
        "weight_decay": 0.0,
        "warmup_share": 0.05,
        "clip_norm": 1.0,
        "always": 20,
        "drawn": 10,
        "weight": {"selection": 1.0, "placement": 1.0, "open": 3.0, "wrong": 3.0},
    }
)


def log_prior() -> torch.Tensor:
    """Log unigram probability: the first words are the most frequent; what is no word hardly occurs."""
    places = torch.arange(UNITS).float() - FIRST
    return torch.log_softmax(torch.where(places < 0, -12.0, -places / 12.0), dim=0)


@cache
def prior() -> SelectorPrior:
    """The Selector, trained for seconds: which words an embedding speaks of, and which stand beside each other."""
    rules = section(
        "selector",
        hidden_dim=32,
        embedding_dim=EMBEDDING_DIM,
        free_embeddings=UNITS,
        context_window=2,
        max_train_units=8,
        min_prefix_cosine=0.9,
        bag_of_words={"batch_size": SENTENCES, "steps": 60, "learning_rate": 1.0e-2},
        batch_size=SENTENCES,
        steps=120,
        learning_rate=6.0e-3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        selector = Selector(SEMANTIC_WIDTH, EMBEDDING_DIM, rules.hidden_dim, rules.context_window, POSITIONS)
        space = UnitEmbeddings(torch.randn(UNITS, SEMANTIC_WIDTH), log_prior(), EMBEDDING_DIM, UNITS)
    texts = SelectorTexts(sentences(), sentences())
    found, _ = train_selector(selector, space, texts, log_prior(), rules, seed=0)
    found.selector.requires_grad_(requires_grad=False)
    return found


@cache
def sentences() -> EncodedTexts:
    """Six sentences of three to six words, none with a word twice, each with an embedding of its own."""
    rng = np.random.default_rng(0)
    units = [(FIRST + rng.permutation(len(WORDS))[: int(rng.integers(3, 7))]).tolist() for _ in range(SENTENCES)]
    prefixes = torch.randn(SENTENCES, SEMANTIC_WIDTH, generator=torch.Generator().manual_seed(1))
    return EncodedTexts([], units, F.normalize(prefixes, dim=1))


def sizes() -> InsertionSizes:
    """Of networks for these sentences."""
    own = (PARAMS.hidden_dim, PARAMS.layers, PARAMS.heads, PARAMS.phrase_window)
    return InsertionSizes(SEMANTIC_WIDTH, POSITIONS, EMBEDDING_DIM, *own, digest_of(prior()))


def trained(
    steps: int = PARAMS.steps, checkpoint: Checkpoint | None = None
) -> tuple[InsertionNetworks, list[dict[str, float]]]:
    """Networks that have learned the sentences, each eight times in every step, and their curves."""
    networks = sizes().new(seed=0)
    params = PARAMS.model_copy(update={"steps": steps})
    texts = sentences().only([*range(SENTENCES)] * 8)
    return networks, train_insertions(networks, prior(), texts, log_prior(), params, 0, checkpoint)


@cache
def learned() -> InsertionNetworks:
    """Networks that know the sentences by heart."""
    return trained()[0].requires_grad_(requires_grad=False)


@cache
def begun() -> InsertionNetworks:
    """Networks after a few steps, whose outputs are no longer zero."""
    return trained(steps=10)[0].requires_grad_(requires_grad=False)
