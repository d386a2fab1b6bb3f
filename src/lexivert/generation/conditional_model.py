"""A small causal transformer over the language model's tokens, told a sentence embedding: what may come next.

The language model knows what is fluent, this one what an embedding is about: how such a sentence begins, which words
it has, when it has said all of them and ends. It is trained in minutes on the training sentences. Token vectors begin
as the language model's own, projected to their principal components, so that words that training never met stand near
their like. Beside its vector a token has a fixed feature, the backbone's own embedding of it: the nearer to the
sentence embedding, the likelier, as much as the place in the text wants it. Its logits are trained to be log
probabilities as they are (self-normalised, Devlin et al. 2014), so that texts are scored without a sum over all
tokens.

Its proposals are read token by token with a cache, by the interface of ``language_model.causal.CausalLanguageModel``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EMBEDDING_SCALE = 8.0  # brings a unit vector's entries to the order of 1
_PROPOSED = 16384  # tokens that are proposed: the rest is rare, and spelled in pieces
_SIMILARITY = 10.0  # first logit of a token whose feature is the embedding itself
_LOGIT_SCALE = 2.0  # makes the first logits of the order of 1


@dataclass(frozen=True)
class ConditionalSizes:
    """All that a conditional model's shapes depend on.

    Attributes:
        tokens: T, size of the vocabulary.
        semantic_width: S.
        hidden_dim: H.
        feature_dim: F, width of the tokens' fixed features.
        layers: of the transformer.
        heads: of its attention; they divide ``hidden_dim``.
        positions: places counted from the beginning; those further behind look alike.
        end: id of the token that stands before every text and behind it.
    """

    tokens: int
    semantic_width: int
    hidden_dim: int
    feature_dim: int
    layers: int
    heads: int
    positions: int
    end: int


@dataclass(frozen=True)
class Paths:
    """B beginnings of texts, as far as a conditional model has read them.

    Attributes:
        embeddings: what each is to say. Shape: (B, S).
        cache: keys and values of every layer. Shape: each (B, heads, L, head width).
        read: true where a place of the cache holds a token, not a gap. Shape: (B, L) bool.
        logits: log probability of every token of ``ConditionalModel.proposed`` to come next, up to the model's error
            of normalisation. Shape: (B, P).
    """

    embeddings: Tensor
    cache: tuple[tuple[Tensor, Tensor], ...]
    read: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, rows: Tensor) -> Paths:
        """Some of them, in any order, repeated or not. Shape: rows (b,) int64."""
        cache = tuple((keys[rows], values[rows]) for keys, values in self.cache)
        return Paths(self.embeddings[rows], cache, self.read[rows], self.logits[rows])

    def unscored(self) -> Paths:
        """The same without logits, which are large; to be read on, each by a token at least."""
        return Paths(self.embeddings, self.cache, self.read, self.logits[:, :0])


class _Layer(nn.Module):
    """Attention and feed-forward, normalised before (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def shrink(self, factor: float) -> None:
        """Begin with less of what the layer adds, so that many layers add up to the order of 1 (GPT-2)."""
        with torch.no_grad():
            self.joined.weight *= factor
            self.narrow.weight *= factor

    def forward(
        self, hidden: Tensor, cache: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Hidden states (B, n, H), and keys and values of all L places.

        ``mask`` is true where a place is seen, (B, 1, n, L); None, without a cache, if all see all before them.
        """
        batch, n, width = hidden.shape
        parts = self.projections(self.norm(hidden)).view(batch, n, 3, self.heads, -1)
        query, keys, values = parts.permute(2, 0, 3, 1, 4)
        if cache is not None:
            keys, values = torch.cat((cache[0], keys), dim=2), torch.cat((cache[1], values), dim=2)
        seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=mask is None)
        hidden = hidden + self.joined(seen.transpose(1, 2).reshape(batch, n, width))
        return hidden + self.narrow(F.gelu(self.wide(self.feed_norm(hidden)))), (keys, values)


class ConditionalModel(nn.Module):
    """log p(token | tokens before, sentence embedding).

    Args:
        sizes: of all its parts.
        vectors: of the tokens, where their training begins. Shape: (T, H).
        features: of the tokens, fixed. Shape: (T, F).
        directions: from an embedding to the space of the features, where training begins. Shape: (F, S).
        log_prior: log unigram probability, where the biases begin. Shape: (T,).

    Attributes:
        dtype: number format that proposals and scores are computed in; float32 until another is set.
    """

    features: Tensor

    def __init__(
        self, sizes: ConditionalSizes, vectors: Tensor, features: Tensor, directions: Tensor, log_prior: Tensor
    ) -> None:
        super().__init__()
        self.sizes, self.dtype = sizes, torch.float32
        width = sizes.hidden_dim
        self.vectors = nn.Parameter(vectors.clone())
        self.bias = nn.Parameter(log_prior.clone())
        self.position = nn.Embedding(sizes.positions, width)
        self.first, self.last = nn.Linear(sizes.semantic_width, width), nn.Linear(sizes.semantic_width, width)
        layers = [_Layer(width, sizes.heads) for _ in range(sizes.layers)]
        for layer in layers:
            layer.shrink((2 * sizes.layers) ** -0.5)
        self.layers = nn.ModuleList(layers)
        self.norm, self.query = nn.LayerNorm(width), nn.Linear(width, width)
        nn.init.normal_(self.position.weight, std=0.1)
        self.register_buffer("features", features.clone())
        self.similarity = nn.Linear(sizes.semantic_width, sizes.feature_dim, bias=False)
        self.gate = nn.Linear(width, 1)
        self.wanted = nn.Linear(width, sizes.feature_dim)
        with torch.no_grad():
            self.similarity.weight.copy_(_SIMILARITY / _EMBEDDING_SCALE * directions)
            for parameter in (*self.gate.parameters(), *self.wanted.parameters()):
                parameter.zero_()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.bias.device

    def forward(self, embeddings: Tensor, tokens: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Queries for the token behind each of some tokens, which begin with ``end``; later ones are not seen.

        Args:
            embeddings: what the texts say. Shape: (B, S).
            tokens: of the texts. Shape: (B, N).
            vectors: of these tokens, if they have been looked up before. Shape: (B, N, H).

        Shape: (B, N, H + F).
        """
        mask = torch.ones_like(tokens, dtype=torch.bool)
        return self._read(embeddings, (), tokens, mask, mask, vectors, gapless=True)[0]

    def output(self, tokens: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Vectors, looked up before or not, and features of some tokens, side by side. Shape: (m,) to (m, H + F)."""
        own = F.embedding(tokens, self.vectors) if vectors is None else vectors
        return torch.cat((own, self.features[tokens]), dim=-1)

    def logits(self, queries: Tensor) -> Tensor:
        """Logits of all tokens. Shape: (..., H + F) to (..., T)."""
        return queries @ torch.cat((self.vectors, self.features), dim=1).T + self.bias

    @cached_property
    def proposed(self) -> Tensor:
        """Tokens that may be proposed, ascending: the most frequent, and the end. Shape: (P,)."""
        frequent = self.bias.topk(min(_PROPOSED, len(self.bias))).indices
        end = frequent.new_tensor([self.sizes.end])
        return torch.cat((frequent, end)).unique()  # type: ignore[no-any-return, no-untyped-call]

    @cached_property
    def _proposed_layer(self) -> tuple[Tensor, Tensor]:
        """Their vectors and biases. Shape: (P, H + F) and (P,)."""
        return self.output(self.proposed).detach().to(self.dtype), self.bias[self.proposed].detach()

    def _proposals(self, queries: Tensor) -> Tensor:
        """Logits of the tokens that may be proposed. Shape: (B, H + F) to (B, P)."""
        vectors, bias = self._proposed_layer
        return (queries.to(self.dtype) @ vectors.T).float().add_(bias)

    def begin(self, embeddings: Tensor) -> Paths:
        """Nothing read but what stands before every text. Shape: embeddings (B, S), unit length."""
        ids = torch.full((len(embeddings), 1), self.sizes.end, device=self.device)
        read = torch.ones_like(ids, dtype=torch.bool)
        queries, cache = self._follow(embeddings, (), ids, read, read)
        return Paths(embeddings, cache, read, self._proposals(queries[:, -1]))

    def extend(self, paths: Paths, tokens: Sequence[Sequence[int]]) -> Paths:
        """Read on: any number of tokens for each, none included."""
        longest = max(map(len, tokens), default=0)
        if not longest:
            return paths
        ids, mask = padded(tokens, longest, self.device)
        read = torch.cat((paths.read, mask), dim=1)
        queries, cache = self._follow(paths.embeddings, paths.cache, ids, read, mask)
        counts = mask.sum(dim=1)
        last = queries[torch.arange(len(ids), device=self.device), (counts - 1).clamp_min(0)]
        logits = self._proposals(last)
        if not counts.all():
            logits = torch.where(counts[:, None] > 0, logits, paths.logits)
        return Paths(paths.embeddings, cache, read, logits)

    def log_probabilities(self, embeddings: Tensor, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Log probability of texts and their ends, up to the error of normalisation. Shape: (B, S) to (B,)."""
        longest = max(map(len, tokens), default=0) + 1
        end = self.sizes.end
        inputs, mask = padded([[end, *own] for own in tokens], longest, self.device)
        wanted, _ = padded([[*own, end] for own in tokens], longest, self.device)
        queries = self._follow(embeddings, (), inputs, mask, mask)[0].float()
        own = (queries * self.output(wanted)).sum(dim=2) + self.bias[wanted]
        return own.masked_fill(~mask, 0.0).sum(dim=1)

    def _follow(
        self, embeddings: Tensor, cache: tuple[tuple[Tensor, Tensor], ...], ids: Tensor, read: Tensor, mask: Tensor
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
        """What ``_read`` says, without gradients and in the model's own number format."""
        with torch.no_grad(), torch.autocast(ids.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self._read(embeddings, cache, ids, read, mask)

    def _read(
        self,
        embeddings: Tensor,
        cache: tuple[tuple[Tensor, Tensor], ...],
        ids: Tensor,
        read: Tensor,
        mask: Tensor,
        vectors: Tensor | None = None,
        *,
        gapless: bool = False,
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
        """Queries behind each new token, and the longer cache. Shape: ids and mask (B, n), read (B, L + n).

        ``gapless``: nothing has been read before, and all of ``mask`` is true; attention is quicker then.
        """
        n, before = ids.shape[1], read.shape[1] - ids.shape[1]
        counts = read[:, :before].sum(dim=1, keepdim=True) + mask.cumsum(dim=1) - 1
        places = counts.clamp(0, self.sizes.positions - 1)
        told = embeddings * _EMBEDDING_SCALE
        vectors = F.embedding(ids, self.vectors) if vectors is None else vectors
        hidden = vectors + self.position(places) + self.first(told)[:, None]
        seen = None if gapless else _seen(read, n)
        longer = []
        for number, layer in enumerate(self.layers):
            hidden, kept = layer(hidden, cache[number] if cache else None, seen)
            longer.append(kept)
        normed = self.norm(hidden + self.last(told)[:, None])
        near = 2.0 * torch.sigmoid(self.gate(normed)) * self.similarity(told)[:, None] + self.wanted(normed)
        own = self.query(normed) * (_LOGIT_SCALE / math.sqrt(self.sizes.hidden_dim))
        return torch.cat((own, near), dim=2), tuple(longer)


def _seen(read: Tensor, n: int) -> Tensor:
    """Which places the last ``n`` see: what is read up to and with their own. Shape: (B, L) to (B, 1, n, L)."""
    length = read.shape[1]
    places = torch.arange(length, device=read.device)
    causal = places[None, :] <= places[length - n :, None]
    own = places[None, :] == places[length - n :, None]  # a gap sees itself, so that its softmax is defined
    return ((read[:, None, :] & causal) | own)[:, None]


def padded(tokens: Sequence[Sequence[int]], longest: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Tokens side by side, and where there are any. Shape: two (B, longest)."""
    ids = torch.tensor([[*own, *[0] * (longest - len(own))] for own in tokens], dtype=torch.int64, device=device)
    counts = torch.tensor([len(own) for own in tokens], device=device)
    return ids.view(len(tokens), longest), torch.arange(longest, device=device) < counts[:, None]


def similar_features(embeddings: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Features of tokens from the backbone's embeddings of them, and the directions that an embedding is seen by.

    Their inner product is about that of the embeddings, less what all tokens share.

    Args:
        embeddings: unit length; zero for a token that spells nothing. Shape: (T, S).
        width: F, at most S.

    Shape: (T, F) and (F, S).
    """
    spelled = embeddings.any(dim=1)
    mean = embeddings[spelled].double().mean(dim=0)
    centred = (embeddings.double() - mean) * spelled[:, None]
    _, found = torch.linalg.eigh(centred.T @ centred)
    directions = found[:, -width:].flip(1).T
    return (centred @ directions.T).float(), directions.float()


def principal_components(vectors: Tensor, width: int) -> Tensor:
    """Token vectors in their principal components, a half in size; zeros where ``width`` is more than they have.

    Shape: (T, H) to (T, width).
    """
    centred = vectors.double() - vectors.double().mean(dim=0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    found = centred @ directions[:, -width:].flip(1)
    found = F.pad(found, (0, width - found.shape[1]))
    return (0.5 * found / found.square().mean().sqrt().clamp_min(1e-12)).float()
