"""Whoever sets torch's default device changes nothing: every tensor is made where its inputs lie.

Under ``torch.device("meta")`` a tensor that is made without a device has no data, so that whatever reads it fails.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.corruption import STORAGE, add_noise, blends
from lexivert.codes.superposition import join_parts, split_parts, superpose
from lexivert.controller.belief import BeliefState
from lexivert.controller.calibration import calibrate
from lexivert.controller.confidence import Calibration
from lexivert.controller.controller import Controller
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.registry import DECODERS
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.selector import Selector, UnitEmbeddings
from lexivert.priors.selector_data import SelectorTexts
from lexivert.priors.selector_storage import SelectorSizes
from lexivert.priors.selector_training import train_selector
from lexivert.priors.unigram import flat, unigram
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import UnitIndex, report
from sections import section


def nowhere():
    return torch.device("meta")


@pytest.fixture(scope="module")
def narrow(make_world):
    """300 units in 96 dimensions, texts of up to 23 units: some are read at once, some not at all."""
    return make_world(300, 96, positions=24, frequent=100)


def anew(world):
    """The world's parts without anything that was computed once and kept."""
    binding = RotaryBinding(world.codebook.width, world.codebook.binding.positions, seed=0)
    index = UnitIndex.build(world.codebook.codes, world.index.params)
    return replace(world.parts, codebook=replace(world.codebook, binding=binding), index=index)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", DECODERS)
def test_every_algorithm_reads_the_same_texts(narrow, name, known):
    texts = [*narrow.drawn(4, 3, seed=1), *narrow.drawn(4, 17, seed=2), []]
    order = narrow.vectors(texts)
    order[1:3] = add_noise(order[1:3], torch.full((2,), 0.8), torch.Generator().manual_seed(0))
    units = torch.full((9, 24), -1)
    units[:, 0] = torch.tensor([text[0] if text else -1 for text in texts])
    prefix = F.normalize(torch.randn(9, 8, generator=torch.Generator().manual_seed(3)), dim=1)
    expected = DECODERS.make(name)(anew(narrow)).decode(Observation.of(order, prefix, units if known else None))
    with nowhere():
        parts = anew(narrow)
        observed = Observation.of(order, prefix, units if known else None)
        found = DECODERS.make(name)(parts).decode(observed, trace=True)
    assert found.units == expected.units
    assert torch.equal(found.fit, expected.fit)
    assert torch.equal(found.verified, expected.verified)


def test_the_calibrated_controller_reads_the_same_texts(narrow):
    texts = narrow.drawn(5, 6, seed=4)
    order = add_noise(narrow.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(0))
    calibration = Calibration((0.5, 0.1, 0.0, 0.2, 0.0, -0.3, -0.4, 0.7), (0.5, 0.3, 0.1))
    expected = Controller(anew(narrow), calibration).decode_all(narrow.observed(order), 2, "")
    observed = narrow.observed(order)
    with nowhere():
        controller = Controller(anew(narrow), calibration)
        found = controller.to("cpu").decode_all(observed, 2, "")
        assert controller.decode_all(observed[slice(0, 0)], 2, "").units == []
    assert found.units == expected.units
    assert torch.equal(found.confidence, expected.confidence)


def test_vectors_and_what_happens_to_them(narrow):
    texts, codes = narrow.texts([0, 3, 12]), narrow.codebook.codes
    prefix = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    cosine = torch.tensor([1.0, 0.9, 0.5])

    def made():
        binding = RotaryBinding(96, 24, seed=5)
        vectors = join_parts(prefix, superpose(texts, codes, binding), 0.4)
        generator = torch.Generator().manual_seed(1)
        noisy = add_noise(vectors, cosine, generator)
        stored = [store(noisy) for store in STORAGE.values()]
        return [vectors, noisy, blends(vectors, generator), *stored, *split_parts(vectors, 8)]

    expected = made()
    with nowhere():
        found = made()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_beliefs_and_noise(narrow):
    order = narrow.vectors(narrow.texts([5, 9]))

    def estimated():
        codebook = anew(narrow).codebook
        observed = narrow_observed[:]
        belief = BeliefState.of_lengths(codebook, length)
        belief.commit(rows, rows + 2, units)
        belief.drop(rows[:1], rows[:1] + 2)
        belief.move_eos(rows[1:], length[:1])
        found = estimate_noise(observed, belief, rows, complete=belief.complete(rows))
        seen = belief.view(rows, 7, observed.prefix, found.prefix_cosine)
        return [found.residual, found.variance, found.prefix_cosine, belief.total, seen.units, seen.marginals]

    narrow_observed = narrow.observed(order)
    rows, units, length = torch.arange(2), torch.tensor([7, 8]), torch.tensor([6, 9])
    expected = estimated()
    with nowhere():
        found = estimated()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16"])
def test_searches(narrow, factory):
    params = section("index", factory=factory, search_dims=48, shortlist=16, frequent=50)
    _, asked = narrow.queries(0.02, 30)
    selector = narrow.prior.output

    def searched():
        index = UnitIndex.build(narrow.codebook.codes, params)
        layers = (flat(narrow.codebook.log_prior).output, unigram(narrow.codebook.log_prior).output, selector)
        hits = []
        for layer in layers:
            prior = Logits(asked.prior[:, : layer.weight.shape[1]], layer)
            hits += [index.search(asked.natural, 5, prior), index.search_exact(asked.natural, 5, prior)]
            hits += [index.scan(asked.natural, 5, prior, first=50, width=48)]
            hits += [next(index.compare(asked.natural, 5, prior))]
        hits += [index.scan(asked.natural[:0], 5, first=50), index.search_exact(asked.natural, 3)]
        return [part for found in hits for part in found], report(index, seed=0, probes=20)

    expected, told = searched()
    with nowhere():
        found, again = searched()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert again == told


def test_training_of_the_selector(narrow):
    rng = np.random.default_rng(0)
    units = [rng.integers(1, 300, size=n).tolist() for n in rng.integers(1, 9, size=40)]
    prefixes = F.normalize(torch.from_numpy(rng.standard_normal((40, 8)).astype(np.float32)), dim=1)
    texts = EncodedTexts([], units, prefixes)
    bags = {"batch_size": 6, "steps": 10, "learning_rate": 3e-3}
    params = section("selector", max_train_units=12, batch_size=6, steps=10, bag_of_words=bags)
    torch.manual_seed(0)
    selector = Selector(8, 6, 16, 2, 16)
    space = UnitEmbeddings(torch.randn(300, 10), narrow.codebook.log_prior, embedding_dim=6, free=50)
    log_prior, texts = narrow.codebook.log_prior, SelectorTexts(texts, texts)
    trained = train_selector(copy.deepcopy(selector), copy.deepcopy(space), texts, log_prior, params, seed=3)
    with nowhere():
        again = train_selector(selector, space, texts, log_prior, params, seed=3)
    assert again[1] == trained[1]
    assert torch.equal(again[0].output.weight, trained[0].output.weight)


def test_calibration(make_world):
    world = make_world(300, 256, positions=24)
    prefixes = F.normalize(torch.randn(30, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    texts = EncodedTexts([], world.drawn(30, 5, seed=5), prefixes)
    expected = calibrate(Controller(anew(world)), texts, 28, seed=0)
    with nowhere():
        assert calibrate(Controller(anew(world)), texts, 28, seed=0) == expected


def test_a_new_selector_lies_on_the_cpu_and_is_the_same():
    sizes = SelectorSizes(semantic_width=8, positions=24, units=300, embedding_dim=6, hidden_dim=16, context_window=2)
    expected = sizes.new(seed=1).state_dict()
    with nowhere():
        found = sizes.new(seed=1).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
