"""The second prior: a causal transformer, trained on the tiny corpus."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, load_params
from lexivert.data.segments import read_encoded_texts
from lexivert.errors import LexivertError
from lexivert.model import Lexivert
from lexivert.priors.base import TOP_K, Belief, Prior, load_prior
from lexivert.priors.perplexity import cross_entropies
from lexivert.text.lexicon import EOS, NEVER, Lexicon

NAME = "causal_transformer"


@pytest.fixture(scope="module")
def module(plugin):
    return plugin(NAME)


@pytest.fixture(scope="module")
def trained(module, make_once, tiny_project, tiny_params_file):
    """Folder of the transformer: 150 steps of 32 sentences."""

    def make(folder):
        params = load_params(tiny_params_file)
        module.train_causal(Paths(tiny_project), params, folder, width=32, steps=150, batch=32)

    return make_once("causal_transformer", make)


@pytest.fixture(scope="module")
def lexicon(tiny_project):
    return Lexicon.load(Paths(tiny_project).vocab)


@pytest.fixture(scope="module")
def config(tiny_project):
    return ModelConfig.load(Paths(tiny_project).index)


@pytest.fixture(scope="module")
def prior(trained, lexicon, config, tmp_path_factory):
    return load_prior(f"causal:{trained}", lexicon, config, tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def belief(lexicon):
    """Two texts of six and four units, of which something is believed everywhere."""
    generator = torch.Generator().manual_seed(0)
    units = torch.randint(1, len(lexicon), (2, 6, TOP_K), generator=generator)
    marginals = torch.rand(2, 6, TOP_K, generator=generator) / TOP_K
    prefix = F.normalize(torch.randn(2, 32, generator=generator), dim=1)
    return Belief(units, marginals, torch.tensor([6, 4]), prefix, torch.tensor([1.0, 0.7]))


def test_it_is_a_prior_that_rules_out_eos(prior):
    assert isinstance(prior, Prior)
    assert prior.output.bias[EOS] == NEVER
    without = prior.without([7])
    assert without.output.bias[7] == NEVER
    assert prior.output.bias[7] > NEVER


@pytest.mark.parametrize("place", range(6))
def test_a_query_depends_on_what_is_believed_before_it_alone(prior, belief, place):
    units, marginals = belief.units.clone(), belief.marginals.clone()
    units[0, place], marginals[0, place] = 1 + units[0, place] % 9, torch.tensor([0.9, 0.05, 0.0])
    other = dataclasses.replace(belief, units=units, marginals=marginals)
    changed = (prior.queries(other) - prior.queries(belief)).abs().amax(dim=2) > 1e-5
    assert changed[0].tolist() == [position > place for position in range(6)]
    assert not changed[1].any()


def test_expected_embeddings_are_the_inputs(prior, belief):
    """A belief shared by two candidates that are one unit is that unit for certain."""
    split, certain = belief.units.clone(), belief.units.clone()
    split[0, 2], certain[0, 2] = torch.tensor([5, 5, -1]), torch.tensor([5, -1, -1])
    shares = [belief.marginals.clone(), belief.marginals.clone()]
    shares[0][0, 2], shares[1][0, 2] = torch.tensor([0.4, 0.6, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    one = prior.queries(dataclasses.replace(belief, units=split, marginals=shares[0]))
    other = prior.queries(dataclasses.replace(belief, units=certain, marginals=shares[1]))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_text_depends_neither_on_the_others_nor_on_padding(prior, belief):
    alone = Belief(*(getattr(belief, field.name)[1:] for field in dataclasses.fields(belief)))
    cut = dataclasses.replace(alone, units=alone.units[:, :4], marginals=alone.marginals[:, :4])
    torch.testing.assert_close(prior.queries(cut)[0], prior.queries(belief)[1, :4], atol=1e-5, rtol=1e-5)


def test_lengths_are_probabilities_and_none_is_ruled_out(prior, belief):
    log_length = prior.log_length(belief, 97)
    torch.testing.assert_close(log_length.exp().sum(dim=1), torch.ones(2))
    assert log_length.exp().min() > 1e-4
    with pytest.raises(ValueError, match="knows 97 lengths, not 12"):
        prior.log_length(belief, 12)


def test_it_has_learned(prior, lexicon, tiny_project):
    """On validation documents, in nats a unit."""
    texts = read_encoded_texts(Paths(tiny_project), "valid", 24)
    costs = cross_entropies(prior, torch.from_numpy(lexicon.log_prior()), texts)
    assert costs["prefix"] < costs["unigram"] - 0.5
    assert costs["prefix_and_neighbours"] < costs["unigram"] - 0.5


def test_of_another_model_it_is_refused(module, trained, lexicon, config, tmp_path):
    folder = tmp_path / "other"
    load_prior(f"causal:{trained}", lexicon, config, tmp_path).save(folder)
    sizes = json.loads((folder / module.SIZES).read_text())
    (folder / module.SIZES).write_text(json.dumps(sizes | {"units": 3}))
    with pytest.raises(LexivertError, match="of another model; train the causal transformer again"):
        load_prior(f"causal:{folder}", lexicon, config, tmp_path)
    with pytest.raises(LexivertError, match="absent is missing"):
        load_prior("causal:absent", lexicon, config, tmp_path)


def test_end_to_end_every_text_is_read(extended, trained, heldout_texts):
    root = extended("prior", [NAME], {"controller": {"prior": f"causal:{trained}"}}, ["controller"])
    model = Lexivert.load(root)
    readings = model.read(model.encode(heldout_texts))
    assert [reading.text for reading in readings] == heldout_texts
    assert all(reading.verified for reading in readings)


def test_end_to_end_texts_are_written_for_prefixes_alone(extended, trained, heldout_texts):
    """The generator asks the same prior."""
    root = extended("prior", [NAME], {"controller": {"prior": f"causal:{trained}"}}, ["controller"])
    model = Lexivert.load(root)
    written = model.generate(model.encode(heldout_texts[:2])[:, :32])
    assert all(one.text.strip() for one in written)
