"""Trains the conditional model: cross-entropy of the next token, with noise on the embedding.

Noise on what a decoder is told makes it rely on the language where the embedding is not exact, and raises quality
even where it is (Duquenne et al. 2023; Barrault et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from lexivert.codes.corruption import add_noise, training_cosines
from lexivert.devices import choose_dtype
from lexivert.encoders.base import SentenceEncoder
from lexivert.generation.conditional_model import (
    ConditionalModel,
    ConditionalSizes,
    padded,
    principal_components,
    similar_features,
)
from lexivert.generation.params import STEPS_A_POINT, ConditionalParams
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.loop import History, LoopConfig, Progress, train
from lexivert.training.partition import log_partition
from lexivert.training.sampled_softmax import ImportanceSample

_UNSEEN = 0.1  # occurrences that a token is given which training has not met


@dataclass(frozen=True)
class TokenTexts:
    """Sentences in tokens of the language model, each with its embedding.

    Attributes:
        tokens: of each sentence, at least one.
        embeddings: unit length. Shape: (B, S).
    """

    tokens: Sequence[Sequence[int]]
    embeddings: Tensor

    def no_longer_than(self, most: int) -> TokenTexts:
        """Those of at most so many tokens, shortest first."""
        rows = [row for row, own in enumerate(self.tokens) if 0 < len(own) <= most]
        rows.sort(key=lambda row: len(self.tokens[row]))
        return TokenTexts([self.tokens[row] for row in rows], self.embeddings[rows])

    def log_prior(self, tokens: int, end: int) -> Tensor:
        """Log unigram probability of every token, one end a text. Shape: (T,)."""
        counts = torch.full((tokens,), _UNSEEN, dtype=torch.float64)
        flat = torch.tensor([token for own in self.tokens for token in own], dtype=torch.int64)
        counts += torch.bincount(flat, minlength=tokens)
        counts[end] += len(self.tokens)
        return (counts / counts.sum()).log().float()


@dataclass(frozen=True)
class TokenBatch:
    """Some sentences of like length.

    Attributes:
        embeddings: as they are told. Shape: (B, S).
        inputs: the end token, then the sentence's own. Shape: (B, N).
        truth: what follows each, the end token last; -1 behind it. Shape: (B, N).
    """

    embeddings: Tensor
    inputs: Tensor
    truth: Tensor


@dataclass(frozen=True)
class TokenBatches:
    """The batch of an epoch and a number, the same whenever it is asked for.

    Attributes:
        texts: shortest first.
        end: token before and behind every text.
        batch_size: texts a batch.
        min_cosine: least cosine of a noisy embedding with its own.
        seed: of the draw.
    """

    texts: TokenTexts
    end: int
    batch_size: int
    min_cosine: float
    seed: int

    def __call__(self, epoch: int, batch: int) -> TokenBatch:
        """Draw the batch: neighbours in length, told with noise."""
        rng = np.random.default_rng((self.seed, epoch, batch))
        count = min(self.batch_size, len(self.texts.tokens))
        first = int(rng.integers(len(self.texts.tokens) - count + 1))
        tokens = self.texts.tokens[first : first + count]
        inputs, inside = padded([[self.end, *own] for own in tokens], len(tokens[-1]) + 1, "cpu")
        truth, _ = padded([[*own, self.end] for own in tokens], len(tokens[-1]) + 1, "cpu")
        cosine = training_cosines(count, self.min_cosine, rng)
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        told = add_noise(self.texts.embeddings[first : first + count], cosine, draws)
        return TokenBatch(told, inputs, truth.masked_fill(~inside, -1))


class ConditionalStep:
    """A batch to the losses.

    Args:
        model: to be trained.
        log_prior: log unigram probability of the tokens. Shape: (T,).
        params: of the run.
        dtype: that products are computed in.
    """

    def __init__(
        self, model: ConditionalModel, log_prior: Tensor, params: ConditionalParams, dtype: torch.dtype
    ) -> None:
        self.model, self.params, self.dtype = model, params, dtype
        self._sample = ImportanceSample(log_prior.to(model.device), params.always, params.drawn)

    def __call__(self, batch: TokenBatch, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss``, ``nats`` a token, and ``partition``, the mean square of its logarithm."""
        del progress
        device = self.model.device
        inputs, truth = batch.inputs.to(device), batch.truth.to(device)
        inside = truth >= 0
        truth = truth[inside]
        negatives, times = self._sample.draw()
        told, true, wrong = self._vectors(inputs, truth, negatives)
        with (
            _attention_for_training(device),
            torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            queries = self.model(batch.embeddings.to(device), inputs, told)[inside].float()
        column = negatives.new_full(self.model.bias.shape, -1)
        column[negatives] = torch.arange(len(negatives), device=device)
        vectors, bias = self.model.output(negatives, wrong), self.model.bias[negatives] + times.log()
        elsewhere = log_partition(queries, vectors, bias, self.dtype, column[truth])
        own = (queries * self.model.output(truth, true)).sum(dim=1) + self.model.bias[truth]
        partition = torch.logaddexp(elsewhere, own)
        nats, scale = (partition - own).mean(), partition.square().mean()
        return {"loss": nats + self.params.partition_weight * scale, "nats": nats, "partition": scale}

    def _vectors(self, *tokens: Tensor) -> list[Tensor]:
        """Vectors of tokens, in one look-up: its gradient is as large as all vectors. Shape: (...) to (..., H)."""
        found = F.embedding(torch.cat([own.flatten() for own in tokens]), self.model.vectors)
        parts = torch.split(found, [own.numel() for own in tokens])
        return [part.view(*own.shape, -1) for part, own in zip(parts, tokens, strict=True)]


def _attention_for_training(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU attention with all its weights in memory: in short texts its gradient is quicker than flash's."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def token_embeddings(language_model: CausalLanguageModel, backbone: SentenceEncoder, tokens: int) -> Tensor:
    """The backbone's embedding of each token's letters, unit length; zero for one without any. Shape: (T, S)."""
    spelled = [language_model.text([token]).strip() for token in range(tokens)]
    place = {text: row for row, text in enumerate(dict.fromkeys(spelled))}
    found = torch.from_numpy(np.ascontiguousarray(backbone.encode(list(place), progress="tokens")))
    rows = torch.tensor([place[text] for text in spelled])
    empty = torch.tensor([not any(map(str.isalnum, text)) for text in spelled])
    return F.normalize(found.float(), dim=1)[rows].masked_fill(empty[:, None], 0.0)


def new_model(
    vectors: Tensor, embeddings: Tensor, log_prior: Tensor, sizes: ConditionalSizes, seed: int
) -> ConditionalModel:
    """Untrained, on the CPU.

    Args:
        vectors: the language model's own, of its tokens. Shape: (T, any).
        embeddings: the backbone's of the tokens, see ``token_embeddings``. Shape: (T, S).
        log_prior: log unigram probability. Shape: (T,).
        sizes: of the model.
        seed: of the other weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = similar_features(embeddings, sizes.feature_dim)
        return ConditionalModel(sizes, principal_components(vectors, sizes.hidden_dim), *features, log_prior)


def train_conditional(
    model: ConditionalModel,
    texts: TokenTexts,
    log_prior: Tensor,
    params: ConditionalParams,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train the model in place.

    Args:
        model: untrained.
        texts: training sentences.
        log_prior: log unigram probability of the tokens. Shape: (T,).
        params: of the run.
        seed: of batches and draws.
        checkpoint: resumable state.

    Returns:
        Means of every component over each ``STEPS_A_POINT`` steps.
    """
    fitting = texts.no_longer_than(params.max_tokens)
    batches = TokenBatches(fitting, model.sizes.end, params.batch_size, params.min_cosine, seed)
    config = LoopConfig.of_steps(params, STEPS_A_POINT, seed)
    step = ConditionalStep(model.train(), log_prior, params, choose_dtype("auto", model.device))
    history = train(step, {"model": model}, batches, config, checkpoint, "conditional model")
    model.eval()
    return history


@torch.inference_mode()
def nats_a_token(model: ConditionalModel, texts: TokenTexts, batch_size: int = 64) -> float:
    """Cross-entropy of all tokens of texts, their ends left out as a language model's are, with clean embeddings."""
    total = count = 0.0
    for start in range(0, len(texts.tokens), batch_size):
        tokens = texts.tokens[start : start + batch_size]
        longest = max(*map(len, tokens), 1)
        inputs, _ = padded([[model.sizes.end, *own[:-1]] for own in tokens], longest, model.device)
        truth, inside = padded(tokens, longest, model.device)
        queries = model(texts.embeddings[start : start + batch_size].to(model.device), inputs)[inside]
        total += float(F.cross_entropy(model.logits(queries), truth[inside], reduction="sum"))
        count += int(inside.sum())
    return total / max(count, 1.0)
