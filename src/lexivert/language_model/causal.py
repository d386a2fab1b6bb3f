"""A causal language model with a key-value cache that can be gathered, so that beams share what they have read.

The cache of B beginnings is kept as plain tensors: rows may be repeated, dropped and reordered. Beginnings of unequal
length stand in one cache with gaps, which a mask hides; positions count a row's own tokens alone, so a gap changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

_TOKENS_AT_ONCE = 1024  # of a batch of texts that are scored; bounds the memory of its logits


@dataclass(frozen=True)
class Beginnings:
    """B beginnings of texts, as far as a language model has read them.

    Attributes:
        cache: keys and values of every layer. Shape: each (B, heads, L, head width).
        read: true where a place of the cache holds a token, not a gap. Shape: (B, L) bool.
        log_probs: log probability of every token to come next. Shape: (B, T), T tokens in the vocabulary.
    """

    cache: tuple[tuple[Tensor, Tensor], ...]
    read: Tensor
    log_probs: Tensor

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, rows: Tensor) -> Beginnings:
        """Some of them, in any order, repeated or not. Shape: rows (b,) int64."""
        cache = tuple((keys[rows], values[rows]) for keys, values in self.cache)
        return Beginnings(cache, self.read[rows], self.log_probs[rows])

    def unread(self, kept: Tensor) -> Beginnings:
        """Only the first so many tokens of each; what comes next is not known until one more is read. Shape: (B,)."""
        read = self.read & (self.read.cumsum(dim=1) <= kept[:, None])
        return Beginnings(self.cache, read, torch.full_like(self.log_probs, torch.nan))


class CausalLanguageModel:
    """Log probabilities of texts and of what may follow them, in nats.

    Args:
        model: a transformer of transformers' ``AutoModelForCausalLM``; put into eval mode, without gradients.
        tokenizer: of the model, with an id that stands before every text: ``bos``, or ``eos`` where it has none.

    Raises:
        ValueError: the tokeniser has neither.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval().requires_grad_(requires_grad=False)
        self.tokenizer = tokenizer
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        if start is None:
            raise ValueError("its tokeniser has neither a bos nor an eos token to begin a text with")
        self.start_id = int(start)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(next(self.model.parameters()).device)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        found: torch.dtype = next(self.model.parameters()).dtype
        return found

    @property
    def vocabulary(self) -> int:
        """Tokens that it tells apart, T."""
        return int(self.model.config.vocab_size)

    def to(self, device: torch.device | str) -> Self:
        """Move the weights to a device."""
        self.model.to(device)
        return self

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, without the one before it and none behind."""
        if not texts:
            return []
        found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def text(self, tokens: Sequence[int]) -> str:
        """Text of some tokens, exactly as they spell it."""
        found: str = self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
        return found

    @torch.inference_mode()
    def begin(self, count: int = 1) -> Beginnings:
        """Nothing read but what stands before every text. ``count`` rows."""
        ids = torch.tensor([[self.start_id]], device=self.device)
        read = torch.ones_like(ids, dtype=torch.bool)
        begun = self._read((), ids, read, read)
        last = Beginnings(begun[1], read, F.log_softmax(begun[0][:, -1].float(), dim=-1))
        return last[torch.zeros(count, dtype=torch.int64, device=self.device)]

    def extend(self, beginnings: Beginnings, tokens: Sequence[Sequence[int]]) -> tuple[Beginnings, Tensor]:
        """Read on.

        Args:
            beginnings: B of them; they stay as they are.
            tokens: what follows each, any number of tokens, none included.

        Returns:
            What is read then, and the log probability of what was added. Shape: (B,).
        """
        longer, gained = self.read_on(beginnings, tokens)
        return longer, gained.sum(dim=1)

    @torch.inference_mode()
    def read_on(self, beginnings: Beginnings, tokens: Sequence[Sequence[int]]) -> tuple[Beginnings, Tensor]:
        """The same with the log probability of every token that was added, 0 behind the last. Shape: (B, n)."""
        longest = max(map(len, tokens), default=0)
        if not longest:
            return beginnings, beginnings.log_probs.new_zeros(len(beginnings), 0)
        ids, mask = self._padded(tokens, longest)
        read = torch.cat((beginnings.read, mask), dim=1)
        logits, cache = self._read(beginnings.cache, ids, read, mask)
        before = torch.cat((beginnings.log_probs[:, None], F.log_softmax(logits.float(), dim=-1)), dim=1)
        gained = before[:, :-1].gather(2, ids[:, :, None])[:, :, 0].masked_fill(~mask, 0.0)
        last = mask.sum(dim=1)  # of the row's last token, 0 where nothing was added
        log_probs = before[torch.arange(len(ids), device=ids.device), last]
        return Beginnings(cache, read, log_probs), gained

    @torch.inference_mode()
    def log_probability(self, texts: Sequence[str]) -> Tensor:
        """Log probability of each text from its start; whether it ends there is not asked. Shape: (B,)."""
        return self._scored(self.tokens(texts))

    @torch.inference_mode()
    def nats_a_token(self, texts: Sequence[str]) -> Tensor:
        """Mean negative log probability of each text's tokens, 0 for one without any. Shape: (B,)."""
        tokens = self.tokens(texts)
        counts = torch.tensor([max(len(own), 1) for own in tokens], device=self.device)
        return -self._scored(tokens) / counts

    def _scored(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Log probability of each list of tokens from the start; lists of like length stand in one batch."""
        total = torch.zeros(len(tokens), device=self.device)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        while order:
            longest = len(tokens[order[-1]]) + 1
            rows = order[-max(1, _TOKENS_AT_ONCE // longest) :]
            del order[-len(rows) :]
            total[rows] = self._batch_scored([tokens[row] for row in rows], longest)
        return total

    def _batch_scored(self, tokens: Sequence[Sequence[int]], longest: int) -> Tensor:
        ids, mask = self._padded([[self.start_id, *own] for own in tokens], longest)
        logits, _ = self._read((), ids, mask, mask)
        logits, following = logits[:, :-1].float(), ids[:, 1:, None]
        own = logits.gather(2, following)[:, :, 0] - logits.logsumexp(dim=2)
        return own.masked_fill(~mask[:, 1:], 0.0).sum(dim=1)

    def _padded(self, tokens: Sequence[Sequence[int]], longest: int) -> tuple[Tensor, Tensor]:
        """Tokens side by side, and where there are any. Shape: two (B, longest)."""
        ids = torch.tensor([[*own, *[0] * (longest - len(own))] for own in tokens], device=self.device)
        counts = torch.tensor([len(own) for own in tokens], device=self.device)
        return ids, torch.arange(longest, device=self.device) < counts[:, None]

    def _read(
        self, cache: tuple[tuple[Tensor, Tensor], ...], ids: Tensor, read: Tensor, mask: Tensor
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
        """Logits after each new token, and the longer cache. Shape: ids and mask (B, n), read (B, L + n)."""
        from transformers import DynamicCache

        positions = (read.sum(dim=1, keepdim=True) - mask.sum(dim=1, keepdim=True)) + mask.cumsum(dim=1) - 1
        past = DynamicCache(cache) if cache else DynamicCache()
        found = self.model(
            input_ids=ids,
            attention_mask=read.long(),
            position_ids=positions.clamp_min(0),
            past_key_values=past,
            use_cache=True,
        )
        return found.logits, tuple((layer.keys, layer.values) for layer in found.past_key_values.layers)
