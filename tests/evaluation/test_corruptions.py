from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.superposition import superpose
from lexivert.evaluation.corruptions import at_width, flat_index, send, with_codes, with_lexicon
from lexivert.evaluation.decoders import decoder_named
from sections import section


def test_narrower_codes_are_leading_dimensions_as_long_as_before():
    codes = torch.tensor([[3.0, 4.0, 12.0], [0.0, 2.0, 1.0]]).half()
    expected = torch.tensor([[7.8, 10.4], [0.0, 5.0**0.5]])  # 13 and √5 long
    torch.testing.assert_close(at_width(codes, 2).float(), expected, atol=0.0, rtol=1e-3)
    assert at_width(codes, 3) is codes


def test_a_vector_that_nothing_happens_to_comes_back(parts, drawn, config):
    texts, codebook = drawn([3, 9]), parts.codebook
    order, prefixes = send(texts.units, texts.prefixes, codebook, 1.0, "float32", seed=0)
    clean = F.normalize(superpose(texts.units, codebook.codes, codebook.binding), dim=1)
    torch.testing.assert_close(order, 0.6**0.5 * clean, atol=1e-4, rtol=0)
    torch.testing.assert_close(prefixes, 0.4**0.5 * texts.prefixes, atol=1e-4, rtol=0)


def test_noise_is_of_the_full_vector(parts, drawn, config):
    """The parts' cosines, weighed by their energies .4 and .6 (and by what is left of those), make the full one's."""
    texts, codebook = drawn([5] * 40), parts.codebook
    order, prefixes = send(texts.units, texts.prefixes, codebook, 0.7, "float32", seed=0)
    clean = F.normalize(superpose(texts.units, codebook.codes, codebook.binding), dim=1)
    of_order, of_prefix = F.cosine_similarity(order, clean), F.cosine_similarity(prefixes, texts.prefixes)
    noise = 0.51 / (parts.codebook.width + 8)
    expected = 0.49 * 0.6 / (0.49 * 0.6 + parts.codebook.width * noise)
    assert of_order.mean().item() == pytest.approx(math.sqrt(expected), abs=0.02)
    assert of_prefix.mean().item() == pytest.approx(math.sqrt(0.196 / (0.196 + 8 * noise)), abs=0.03)


def test_storage_is_of_the_full_vector(parts, drawn, config):
    texts = drawn([3])
    order, prefixes = send(texts.units, texts.prefixes, parts.codebook, 1.0, "sign", seed=0)
    entry = (parts.codebook.width + 8) ** -0.5
    torch.testing.assert_close(order.abs(), torch.full((1, parts.codebook.width), entry))
    torch.testing.assert_close(prefixes.abs(), torch.full((1, 8), entry))


def test_narrower_parts_keep_prior_and_rules_and_are_read(parts, drawn, config):
    narrow = with_codes(parts, at_width(parts.codebook.codes, 192), config)
    assert narrow.codebook.codes.shape == (len(parts.codebook), 192)
    assert (narrow.codebook.binding.width, narrow.codebook.binding.positions) == (192, 60)
    assert (narrow.prior, narrow.params) == (parts.prior, parts.params)
    assert narrow.codebook.semantic_share == 0.4
    texts = drawn([4, 7])
    sent = send(texts.units, texts.prefixes, narrow.codebook, 1.0, "float32", seed=0)
    assert decoder_named("cascade", narrow)(*sent) == texts.units


@pytest.mark.parametrize("units", [100, 300, 450])
def test_a_lexicon_of_another_size_keeps_the_most_used_units(parts, config, units):
    other = with_lexicon(parts, units, config)
    count = min(units, len(parts.codebook))
    assert other.codebook.codes.shape == (units, parts.codebook.width)
    assert len(other.prior.output) == len(other.codebook.log_prior) == units
    assert torch.equal(other.codebook.codes[:count], parts.codebook.codes[:count])
    assert torch.equal(other.prior.output.weight[:count], parts.prior.output.weight[:count])
    assert not other.prior.output.weight[count:].any()
    assert other.prior.selector is parts.prior.selector
    torch.testing.assert_close(other.codebook.codes.float().norm(dim=1), torch.ones(units), atol=2e-3, rtol=0)
    texts = [[5, 99, 7, 50]]
    sent = send(texts, torch.ones(1, 8), other.codebook, 1.0, "float32", seed=0)
    assert decoder_named("cascade", other)(*sent) == texts


def test_units_that_no_text_has_may_be_candidates(parts, drawn, config):
    """So narrow and noisy that some of 2,700 random codes are retrieved; the Selector was never told of them."""
    texts = drawn([6] * 4)
    other = with_lexicon(with_codes(parts, at_width(parts.codebook.codes, 64), config), 3000, config)
    order, _ = send(texts.units, texts.prefixes, other.codebook, 0.9, "float32", seed=0)
    assert int(other.index.search(order, 1).units.max()) >= len(parts.codebook)
    sent = send(texts.units, texts.prefixes, other.codebook, 0.9, "float32", seed=0)
    assert len(decoder_named("cascade", other)(*sent)) == 4


def test_a_flat_index_searches_no_more_dimensions_than_there_are(parts, drawn, config):
    index = flat_index(at_width(parts.codebook.codes, 64), section("index", search_dims=10_000))
    assert (len(index), index.searched_width) == (len(parts.codebook), 64)
