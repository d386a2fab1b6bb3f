"""The decoding loop of vec2text (Morris et al. 2023, arXiv 2310.06816), with weights that are never trained.

How long the loop takes depends on sizes and on the number of steps, not on what the weights are, so that an untrained
loop of the published size gives the published method's time, without its quality. Per text and step, every kept
hypothesis is embedded, the corrector (a T5 encoder-decoder) reads the target embedding, the hypothesis's, their
difference and the hypothesis's tokens, and writes corrections by beam search; of all corrections of a text those are
kept whose embeddings are nearest the target. Left out, all in its favour: decoding to strings and tokenising them
again between steps, and the first hypothesis's own model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration


@dataclass(frozen=True)
class Vec2TextSizes:
    """Sizes of the loop; by default the published ones (T5-base, GTR-base, 32 tokens, 50 steps, beam 8).

    Attributes:
        width: of tokens and of embeddings.
        layers, heads, feed_forward: of encoder and decoder each.
        vocabulary: tokens.
        repeats: positions that an embedding is unfolded to.
        tokens: tokens of a text.
        beam: hypotheses kept a text, and beams a hypothesis.
        steps: corrections.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    vocabulary: int = 32128
    repeats: int = 16
    tokens: int = 32
    beam: int = 8
    steps: int = 50


class Vec2TextLoop(nn.Module):
    """Embedder and corrector of the published shapes.

    Args:
        sizes: of both.
    """

    def __init__(self, sizes: Vec2TextSizes) -> None:
        super().__init__()
        self.sizes = sizes
        config = T5Config(
            vocab_size=sizes.vocabulary,
            d_model=sizes.width,
            d_kv=sizes.width // sizes.heads,
            d_ff=sizes.feed_forward,
            num_layers=sizes.layers,
            num_heads=sizes.heads,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
        self.embedder = T5EncoderModel(T5Config(**config.to_dict()))  # it changes its config
        self.embedder_head = nn.Linear(sizes.width, sizes.width, bias=False)
        self.corrector = T5ForConditionalGeneration(config)
        self.unfold = nn.ModuleList(
            nn.Sequential(
                nn.Linear(sizes.width, sizes.width),
                nn.GELU(),
                nn.Linear(sizes.width, sizes.width * sizes.repeats),
            )
            for _ in range(3)
        )

    def embed(self, tokens: Tensor) -> Tensor:
        """Unit vectors of texts, by mean pooling. Shape: (B, tokens) to (B, width)."""
        states = self.embedder(input_ids=tokens).last_hidden_state
        return F.normalize(self.embedder_head(states.mean(dim=1)), dim=1)

    def correct(self, target: Tensor, hypotheses: Tensor, beams: int) -> Tensor:
        """Beam search for better texts. Shape: target (B, width), hypotheses (B, tokens) to (B * beams, tokens)."""
        guess = self.embed(hypotheses)
        vectors = (target, guess, target - guess)
        unfolded = [
            net(vector).unflatten(1, (self.sizes.repeats, -1))
            for net, vector in zip(self.unfold, vectors, strict=True)
        ]
        read = torch.cat([*unfolded, self.corrector.shared(hypotheses)], dim=1)
        mask = read.new_ones(read.shape[:2], dtype=torch.long)
        written = self.corrector.generate(
            encoder_outputs=self.corrector.encoder(inputs_embeds=read, attention_mask=mask),
            attention_mask=mask,
            min_new_tokens=self.sizes.tokens,
            max_new_tokens=self.sizes.tokens,
            num_beams=beams,
            num_return_sequences=beams,
            do_sample=False,
        )
        return written[:, 1:]

    @torch.inference_mode()
    def forward(self, target: Tensor, steps: int | None = None) -> Tensor:
        """Tokens of the nearest text that was found, in fewer steps if so told. Shape: (B, width) to (B, tokens)."""
        sizes, texts = self.sizes, len(target)
        tokens = torch.zeros(texts, sizes.tokens, dtype=torch.long, device=target.device)
        kept = 1
        for _ in range(sizes.steps if steps is None else steps):
            found = self.correct(target.repeat_interleave(kept, dim=0), tokens, sizes.beam)
            found = found.unflatten(0, (texts, kept * sizes.beam))
            near = torch.einsum("tnd,td->tn", self.embed(found.flatten(0, 1)).unflatten(0, found.shape[:2]), target)
            best = near.topk(sizes.beam, dim=1).indices
            tokens = found.gather(1, best[:, :, None].expand(-1, -1, sizes.tokens)).flatten(0, 1)
            kept = sizes.beam
        return tokens[:: sizes.beam]
