"""A language model that is told a sentence embedding as a soft prompt, all weights trained: the profile for a GPU.

The embedding is mapped to a few vectors that stand before the text, where embeddings of tokens would (Li & Liang
2021, prefix-tuning; here the language model is trained with it). Noise on the embedding in training makes what is
written from clean ones better, too (SONAR in LCM, 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lexivert import artifacts
from lexivert.damage import damage
from lexivert.encoders.huggingface import loader_errors
from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.generation.mask_predict import pick

PROMPT_WEIGHTS, CONFIG, MODEL = "soft_prompt.safetensors", "config.json", "model"
_SCALE = 8.0  # brings a unit vector's entries to the order of 1


@dataclass(frozen=True)
class SoftPromptSizes:
    """Shapes of the map from embedding to prompt.

    Attributes:
        semantic_width: S.
        model_width: H, of the language model's token embeddings.
        prompt_tokens: vectors that stand before the text, P.
    """

    semantic_width: int
    model_width: int
    prompt_tokens: int


class PromptedModel(nn.Module):
    """A causal transformer behind a soft prompt.

    Args:
        sizes: of the prompt.
        model: of transformers' ``AutoModelForCausalLM``; trained with the prompt.
    """

    def __init__(self, sizes: SoftPromptSizes, model: Any) -> None:
        super().__init__()
        self.sizes = sizes
        self.model = model
        hidden = 2 * sizes.model_width
        last = nn.Linear(hidden, sizes.prompt_tokens * sizes.model_width)
        self.prompt = nn.Sequential(nn.Linear(sizes.semantic_width, hidden), nn.GELU(), nn.LayerNorm(hidden), last)
        with torch.no_grad():  # prompts begin as long as the embeddings of tokens are
            deviation = model.get_input_embeddings().weight.float().std()
            nn.init.normal_(last.weight, std=float(deviation) * hidden**-0.5)
            nn.init.zeros_(last.bias)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.prompt.parameters()).device

    def prompts(self, prefix: Tensor) -> Tensor:
        """Soft prompts of sentence embeddings of unit length. Shape: (B, S) to (B, P, H)."""
        dtype = next(self.prompt.parameters()).dtype
        found: Tensor = self.prompt(prefix.to(dtype) * _SCALE)
        return found.view(len(prefix), self.sizes.prompt_tokens, self.sizes.model_width)

    def forward(self, prefix: Tensor, tokens: Tensor, length: Tensor) -> Tensor:
        """Mean cross-entropy of the tokens of texts, given their embeddings, in nats.

        Args:
            prefix: sentence embeddings, unit length. Shape: (B, S).
            tokens: of the texts, each with its end; anything beyond. Shape: (B, N).
            length: tokens of each text, its end counted. Shape: (B,).
        """
        prompts, p = self.prompts(prefix), self.sizes.prompt_tokens
        embeddings = torch.cat((prompts, self.model.get_input_embeddings()(tokens[:, :-1]).to(prompts.dtype)), dim=1)
        inside = torch.arange(tokens.shape[1], device=tokens.device) < length[:, None]
        seen = F.pad(inside[:, :-1], (p, 0), value=True)
        logits = self.model(inputs_embeds=embeddings, attention_mask=seen.long(), use_cache=False).logits[:, p - 1 :]
        return F.cross_entropy(logits[inside].float(), tokens[inside])

    @torch.inference_mode()
    def sample(
        self,
        prefix: Tensor,
        begun: Sequence[int],
        end: int,
        longest: int,
        temperature: float,
        draws: Sequence[torch.Generator],
    ) -> list[list[int]]:
        """Tokens of one text for each embedding, without its end.

        Args:
            prefix: sentence embeddings, unit length. Shape: (B, S).
            begun: tokens that every text begins with.
            end: token that ends a text.
            longest: tokens of a text, at most.
            temperature: of the draw; 0 takes the likeliest token.
            draws: where each text's draws come from, on the CPU. Length: B.
        """
        start = torch.tensor([list(begun)], dtype=torch.int64, device=prefix.device).expand(len(prefix), -1)
        prompts = self.prompts(prefix)
        given = torch.cat((prompts, self.model.get_input_embeddings()(start).to(prompts.dtype)), dim=1)
        texts: list[list[int]] = [[] for _ in range(len(prefix))]
        active, cache = set(range(len(prefix))), None
        for _ in range(longest - len(begun)):
            found = self.model(inputs_embeds=given, past_key_values=cache, use_cache=True)
            cache = found.past_key_values
            chosen = pick(found.logits[:, -1].float(), temperature, draws)
            tokens = chosen.tolist()
            active = {row for row in active if tokens[row] != end}
            for row in active:
                texts[row].append(tokens[row])
            if not active:
                break
            given = self.model.get_input_embeddings()(chosen)[:, None].to(prompts.dtype)
        return [[*begun, *own] for own in texts]


def save(prompted: PromptedModel, tokenizer: Any, backbone: str, folder: Path) -> None:
    """Write prompt, language model and tokeniser, all or nothing.

    Args:
        prompted: trained.
        tokenizer: of its language model.
        backbone: fingerprint of the backbone whose embeddings it was told.
        folder: replaced if it is there.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in prompted.prompt.state_dict().items()}
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file(state, temporary / PROMPT_WEIGHTS)
        artifacts.write_json(temporary / CONFIG, {"sizes": asdict(prompted.sizes), "backbone": backbone})
        prompted.model.save_pretrained(temporary / MODEL)
        tokenizer.save_pretrained(temporary / MODEL)


def save_nothing(folder: Path) -> None:
    """Write that nothing was trained; the folder is replaced if it is there."""
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        artifacts.write_json(temporary / CONFIG, None)


def load(folder: Path, backbone: str, device: torch.device, dtype: torch.dtype) -> tuple[PromptedModel, Any]:
    """Read what ``save`` wrote: the model, in eval mode, and its tokeniser.

    Args:
        folder: that was written.
        backbone: fingerprint of the backbone that embeddings are of.
        device: for the model.
        dtype: of its weights.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged or of another backbone, or nothing was
            trained.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    if content is None:
        raise MissingArtifactError(
            f"{folder} says that nothing was trained; set soft_prompt.steps in generation/params.yaml"
        )
    weights, source = artifacts.require(folder / PROMPT_WEIGHTS), artifacts.require(folder / MODEL)
    with damage(folder, "train it again, see stage soft_prompt", loader_errors()):
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(source, local_files_only=True, dtype=dtype)
        with torch.random.fork_rng(devices=[]):
            prompted = PromptedModel(SoftPromptSizes(**content["sizes"]), model)
        trained_for = str(content["backbone"])
        prompted.prompt.load_state_dict(load_file(weights))
    if trained_for != backbone:
        raise DamagedArtifactError(
            f"{folder} was trained for another backbone; train it again, see stage soft_prompt"
        )
    return prompted.to(device=device, dtype=dtype).eval(), tokenizer
