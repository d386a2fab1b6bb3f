"""A prior: a causal transformer over units, begun by the semantic prefix (a soft prompt).

What is believed of a position enters as the expected embedding under its marginals. The state that predicts a
position has seen those before it alone, so that a position's query never depends on what is believed of it.

Usage: ``python causal_transformer.py FOLDER`` trains it on the project in this folder, after ``dvc repro features``;
then ``controller.prior: causal:FOLDER``.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.config import Params, load_params
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.segments import read_encoded_texts
from lexivert.devices import choose_device
from lexivert.errors import DamagedArtifactError
from lexivert.priors.base import PRIORS, Belief, PriorSource, ruled_out_eos
from lexivert.priors.selector_data import SelectorBatch, calibrated_candidates, padded
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import Lexicon
from lexivert.training.loop import LoopConfig, Progress, train

WEIGHTS, SIZES = "causal.safetensors", "config.json"
LEAST_COSINE = 0.5
"""Of the noisiest prefix in training with the clean one."""


@dataclass(frozen=True)
class Sizes:
    """What the shapes depend on.

    Attributes:
        units: V.
        semantic_width: S.
        positions: of the longest text, EOS's included.
        width: H.
        layers: how many.
        heads: of attention.
    """

    units: int
    semantic_width: int
    positions: int
    width: int = 128
    layers: int = 2
    heads: int = 4


class CausalTransformer(nn.Module):
    """The network: expected embeddings in, one query a position out.

    Args:
        sizes: of it.
        log_prior: log unigram probability, where the biases begin. Shape: (V,).
    """

    def __init__(self, sizes: Sizes, log_prior: Tensor) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        self.embeddings = nn.Embedding(sizes.units, width)
        nn.init.normal_(self.embeddings.weight, std=width**-0.5)
        self.bias = nn.Parameter(log_prior.clone())
        self.unknown = nn.Parameter(torch.zeros(width))
        self.prefix = nn.Linear(sizes.semantic_width + 1, width)
        self.position = nn.Embedding(sizes.positions, width)
        layer = nn.TransformerEncoderLayer(
            width, sizes.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, sizes.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.length = nn.Linear(sizes.semantic_width + 1, sizes.positions)

    def forward(self, belief: Belief) -> Tensor:
        """One query for every position. Shape: (B, N, H)."""
        marginals, n = belief.marginals, belief.marginals.shape[1]
        expected = (self.embeddings(belief.units.clamp_min(0)) * marginals[..., None]).sum(dim=2)
        inputs = expected + (1.0 - marginals.sum(dim=2, keepdim=True)) * self.unknown
        inputs = torch.cat((self.prefix(_prefix(belief))[:, None], inputs[:, :-1]), dim=1)
        inputs = inputs + self.position(torch.arange(n, device=inputs.device))
        mask = torch.ones(n, n, dtype=torch.bool, device=inputs.device).triu(1)
        queries: Tensor = self.layers(inputs, mask=mask)
        return queries

    def log_length(self, belief: Belief) -> Tensor:
        """Log probability of every length, none ruled out. Shape: (B, positions)."""
        learned = self.length(_prefix(belief)).softmax(dim=1)
        return torch.log(0.98 * learned + 0.02 / self.sizes.positions)


def _prefix(belief: Belief) -> Tensor:
    """Semantic prefix as far as its noise leaves it believable, and that cosine. Shape: (B, S + 1)."""
    cosine = belief.cosine[:, None]
    return torch.cat((belief.prefix * cosine, cosine), dim=1)


@dataclass(frozen=True)
class CausalPrior:
    """The trained network as a ``Prior``.

    Attributes:
        output: unit vectors and biases; the vectors are the input embeddings (tied).
        network: gives the queries.
    """

    output: OutputLayer
    network: CausalTransformer

    def queries(self, belief: Belief) -> Tensor:
        """One query for every position. Shape: (B, N, H)."""
        queries: Tensor = self.network(belief)
        return queries

    def log_length(self, belief: Belief, positions: int) -> Tensor:
        """Log probability of every length, given the prefix. Shape: (B, positions)."""
        if positions != self.network.sizes.positions:
            raise ValueError(f"the network knows {self.network.sizes.positions} lengths, not {positions}")
        return self.network.log_length(belief)

    def without(self, units: Sequence[int]) -> CausalPrior:
        """The same prior with some units ruled out."""
        return CausalPrior(self.output.without(units), self.network)

    def to(self, device: torch.device | str) -> CausalPrior:
        """The same prior on a device."""
        return CausalPrior(self.output.to(device), copy.deepcopy(self.network).to(device))

    def save(self, folder: Path) -> None:
        """Write what ``load_causal`` reads; the folder is replaced if it is there."""
        weights = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        with artifacts.atomic_path(folder) as temporary:
            temporary.mkdir()
            save_file(weights, temporary / WEIGHTS)
            artifacts.write_json(temporary / SIZES, asdict(self.network.sizes))


@PRIORS.register("causal", label="causal transformer")
def load_causal(source: PriorSource) -> CausalPrior:
    """Read what ``CausalPrior.save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: it is not there, or of another model.
    """
    folder = artifacts.require(source.folder)
    sizes = Sizes(**artifacts.read_json(folder / SIZES))
    needed = (len(source.lexicon), source.config.semantic_width, source.config.code.max_units + 1)
    if (sizes.units, sizes.semantic_width, sizes.positions) != needed:
        raise DamagedArtifactError(f"{folder} is of another model; train the causal transformer again")
    network = CausalTransformer(sizes, source.log_prior())
    network.load_state_dict(load_file(artifacts.require(folder / WEIGHTS)))
    return _prior_of(network)


def _prior_of(network: CausalTransformer) -> CausalPrior:
    network.eval().requires_grad_(requires_grad=False)
    return CausalPrior(ruled_out_eos(OutputLayer(network.embeddings.weight, network.bias)), network)


def train_causal(
    paths: Paths, params: Params, folder: Path, *, width: int = 128, steps: int = 2000, batch: int = 64
) -> CausalPrior:
    """Train on the training sentences of a project, and write the result.

    Args:
        paths: of a project whose stages ``vocab`` and ``features`` have run.
        params: of the project.
        folder: replaced if it is there.
        width: H.
        steps: of the optimiser.
        batch: texts a step.
    """
    lexicon = Lexicon.load(paths.vocab)
    texts = read_encoded_texts(paths, "train", min(params.selector.max_train_units, params.code.max_units))
    log_prior = torch.from_numpy(lexicon.log_prior())
    sizes = Sizes(len(lexicon), texts.prefixes.shape[1], params.code.max_units + 1, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        network = CausalTransformer(sizes, log_prior).to(choose_device(params.backbone.device))
    config = LoopConfig(epochs=1, batches=steps, learning_rate=3e-3, warmup_share=0.1, seed=params.seed)
    unigram = log_prior.exp().cumsum(dim=0)
    train(
        lambda drawn, progress: _losses(network, drawn, progress),
        {"network": network},
        lambda _epoch, number: _drawn(texts, unigram, batch, (params.seed, number)),
        config,
        label="causal transformer",
    )
    prior = _prior_of(network)
    prior.save(folder)
    return prior


def _losses(network: CausalTransformer, batch: SelectorBatch, _progress: Progress) -> Mapping[str, Tensor]:
    """Cross-entropy of units, given what is believed before each, and of the length given the prefix."""
    batch = batch.to(network.bias.device)
    inside = batch.truth >= 0
    logits = F.linear(network(batch.belief)[inside], network.embeddings.weight, network.bias)
    units = F.cross_entropy(logits, batch.truth[inside])
    length = F.nll_loss(network.log_length(batch.belief), batch.belief.length)
    return {"loss": units + 0.2 * length, "units": units, "length": length}


def _drawn(texts: EncodedTexts, unigram: Tensor, count: int, seed: tuple[int, int]) -> SelectorBatch:
    """Texts of which a part is known, with noisy prefixes: what a decoder sees on its way. Shape: unigram (V,)."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(texts), size=count).tolist()
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    truth, length = padded([texts.units[row] for row in rows])
    cosine = LEAST_COSINE + (1.0 - LEAST_COSINE) * torch.rand(count, generator=generator)
    units, marginals = calibrated_candidates(truth, unigram, generator)
    prefix = add_noise(texts.prefixes[rows], cosine, generator)
    cosine[torch.rand(count, generator=generator) < 0.1] = 0.0  # no prefix
    return SelectorBatch(truth, Belief(units, marginals, length, prefix, cosine))


if __name__ == "__main__":
    train_causal(Paths(), load_params(), Path(sys.argv[1]))
