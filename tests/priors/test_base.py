from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lexivert.errors import LexivertError
from lexivert.priors.base import PRIORS, TOP_K, Belief, Prior, PriorSource, load_prior, ruled_out_eos
from lexivert.priors.unigram import FixedPrior, unigram
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import EOS, NEVER


def test_what_is_known_for_certain_is_one_candidate_of_probability_1():
    units = torch.tensor([[5, -1, 7]])
    belief = Belief.certain(units, torch.tensor([3]), torch.ones(1, 4), torch.tensor([0.9]))
    nothing = [-1] * (TOP_K - 1)
    assert belief.units.tolist() == [[[5, *nothing], [-1, *nothing], [7, *nothing]]]
    assert belief.marginals[0, :, 0].tolist() == [1.0, 0.0, 1.0]
    assert not belief.marginals[0, :, 1:].any()
    assert (belief.length.tolist(), belief.cosine.tolist()) == ([3], [pytest.approx(0.9)])


def test_an_empty_belief_has_a_clean_prefix_or_none():
    prefix = torch.tensor([[0.6, 0.8], [0.0, 0.0]])
    belief = Belief.empty(4, torch.tensor([4, 2]), prefix)
    assert belief.units.shape == belief.marginals.shape == (2, 4, TOP_K)
    assert (belief.units == -1).all()
    assert not belief.marginals.any()
    torch.testing.assert_close(belief.cosine, torch.tensor([1.0, 0.0]))


def test_eos_is_ruled_out_of_a_layer_and_nothing_else():
    layer = OutputLayer(torch.eye(3), torch.tensor([0.1, 0.2, 0.3]))
    without = ruled_out_eos(layer)
    assert without.bias.tolist() == pytest.approx([NEVER, 0.2, 0.3])
    assert layer.bias[EOS] == pytest.approx(0.1)
    assert without.weight is layer.weight


def test_the_unigram_prior_of_a_lexicon(lexicon, config, tmp_path):
    prior = load_prior("unigram", lexicon, config, tmp_path)
    assert isinstance(prior, Prior)
    assert isinstance(prior, FixedPrior)
    expected = unigram(torch.from_numpy(lexicon.log_prior()))
    assert torch.equal(prior.output.bias, expected.output.bias)


def test_a_factory_is_given_the_folder_that_stands_behind_the_colon(lexicon, config, tmp_path):
    seen = []

    def load_noted(source: PriorSource) -> FixedPrior:
        seen.append(source)
        return unigram(source.log_prior())

    PRIORS.register("noted", label="noted")(load_noted)
    load_prior("noted", lexicon, config, tmp_path)
    load_prior("noted:models/mine:2", lexicon, config, tmp_path)
    assert [source.folder for source in seen] == [tmp_path, Path("models/mine:2")]
    assert all((source.lexicon, source.config) == (lexicon, config) for source in seen)


def test_a_prior_that_nobody_registered(lexicon, config, tmp_path):
    with pytest.raises(
        LexivertError, match=r"there is no prior 'oracle', but .*selector.*; one of your own"
    ) as caught:
        load_prior("oracle:somewhere", lexicon, config, tmp_path)
    assert "\n" not in str(caught.value)
