from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from lexivert.errors import LexivertError
from lexivert.search import faiss_index
from lexivert.search.output_layer import OutputLayer
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import INDEX_FILE, Compared, UnitIndex, report
from lexivert.text.lexicon import NEVER
from sections import section


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_codes(count=600, width=64):
    return F.normalize(normal(count, width, seed=1), dim=1).half()


CODES = random_codes()
QUERIES = normal(40, 64, seed=2)


def params(**changes):
    return section("index", **({"factory": "Flat", "search_dims": 0, "shortlist": 32, "frequent": 100} | changes))


def index(codes=CODES, **changes):
    return UnitIndex.build(codes, params(**changes))


def prior_of(queries, units, width=3, seed=2):
    """A prior's logits, of so many queries over so many units."""
    layer = OutputLayer(normal(units, width, seed=seed), normal(units, seed=seed + 1))
    return Logits(normal(queries, width, seed=seed + 2), layer)


def naive(queries, codes, k):
    """Scores of the k best units, and the units."""
    scores = queries @ codes.float().T
    units = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return scores.gather(1, units), units


# --- search: the k best units ---


@pytest.mark.parametrize("search", ["search", "scan", "search_exact"])
def test_flat_search_is_the_exact_one(search):
    hits = getattr(index(), search)(QUERIES, 7)
    scores, units = naive(QUERIES, CODES, 7)
    assert torch.equal(hits.units, units)
    torch.testing.assert_close(hits.scores, scores, rtol=1e-5, atol=1e-5)
    assert (hits.units.dtype, hits.scores.dtype) == (torch.int64, torch.float32)


def test_exact_search_beyond_one_block_of_codes():
    codes = random_codes(8200, 8)
    hits = index(codes).search_exact(codes[8190:8195].float(), 1)
    assert hits.units[:, 0].tolist() == list(range(8190, 8195))


@pytest.mark.parametrize("factory", ["Flat", "HNSW16"])
def test_a_scan_of_the_first_units_sees_no_others(factory):
    hits = index(factory=factory).scan(QUERIES, 7, first=100)
    scores, units = naive(QUERIES, CODES[:100], 7)
    assert torch.equal(hits.units, units)
    torch.testing.assert_close(hits.scores, scores, rtol=1e-5, atol=1e-5)


def test_more_neighbours_than_units():
    small = index(CODES[:5])
    for search in (small.search, small.search_exact, small.scan):
        hits = search(QUERIES[:2], 50)
        assert hits.scores.shape == hits.units.shape == (2, 5)
        assert sorted(hits.units[0].tolist()) == [0, 1, 2, 3, 4]


def test_a_shortlist_of_leading_dimensions_is_rescored_with_full_codes():
    short = index(factory="SQ8", search_dims=16, shortlist=600)
    assert short.searched_width == 16
    assert torch.equal(short.search(QUERIES, 5).units, naive(QUERIES, CODES, 5)[1])
    hits = index(search_dims=16, shortlist=20).search(QUERIES, 5)
    shortlisted = naive(QUERIES[:, :16], CODES[:, :16], 20)[1]
    for row in range(len(QUERIES)):
        exact = CODES[shortlisted[row]].float() @ QUERIES[row]
        best = exact.argsort(descending=True)[:5]
        assert torch.equal(hits.units[row], shortlisted[row][best])
        torch.testing.assert_close(hits.scores[row], exact[best], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factory", ["IVF8,Flat", "HNSW16", "PQ4x4", "IVF8,PQ4x4", "PCA32,IVF8,Flat"])
def test_approximate_kinds_find_a_code_itself_and_give_the_same_bytes_twice(factory, tmp_path):
    files = []
    for name in ("one", "two"):
        approximate = index(factory=factory, nprobe=8, ef_search=64, shortlist=200)
        (tmp_path / name).mkdir()
        approximate.save(tmp_path / name)
        files.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert files[0] == files[1]
    assert set(files[0]) == {INDEX_FILE, "unit_codes.npy"}
    hits = approximate.search(CODES[::10].float(), 1)
    assert (hits.units[:, 0] == torch.arange(0, 600, 10)).float().mean() > 0.95


@pytest.mark.parametrize("factory", ["IVF8,Flat", "RR64,IVF8,Flat"])
def test_nprobe_reaches_the_lists(factory):
    everywhere, one_list = index(factory=factory, nprobe=8), index(factory=factory, nprobe=1)
    assert torch.equal(everywhere.search(QUERIES, 5).units, naive(QUERIES, CODES, 5)[1])
    assert (one_list.search(QUERIES, 5).units != everywhere.search(QUERIES, 5).units).any()


def test_short_answers_are_padded_at_the_end():
    hits = index(factory="IVF8,Flat", nprobe=1, shortlist=600).search(QUERIES, 600)
    padding = hits.units < 0
    assert padding.any()
    assert torch.isneginf(hits.scores[padding]).all()
    assert torch.isfinite(hits.scores[~padding]).all()
    assert torch.equal(padding.sort(dim=1).values, padding)


def test_other_kinds_scan_their_frequent_units_alone():
    graph = index(factory="HNSW16")
    assert graph.scan(QUERIES, 3, first=100).units.max() < 100
    for first in (None, 101):
        with pytest.raises(ValueError, match="scans its 100 frequent units alone"):
            graph.scan(QUERIES, 3, first=first)


@pytest.mark.parametrize(("factory", "scans"), [("Flat", True), ("FlatIPPanorama4", False), ("SQ8", False)])
def test_only_a_plain_flat_index_is_scanned(factory, scans):
    """Other kinds may hold the vectors in another layout; FAISS searches those itself."""
    codes = random_codes(400)
    searched = index(codes, factory=factory, shortlist=16, frequent=10)
    assert searched.scans is scans
    assert (searched.search(codes.float(), 1).units[:, 0] == torch.arange(400)).float().mean() > 0.99


def test_a_scan_of_few_dimensions_shortlists_by_them():
    """The shortlist is that of the leading dimensions but for what rounding moves, its order that of full codes."""
    codes, queries = random_codes(300), normal(50, 64, seed=1)
    wide = codes.float()
    hits = index(codes, shortlist=7).scan(queries, 7, width=16, biased=False)
    shared = 0
    for row in range(50):
        exact, units = wide @ queries[row], hits.units[row]
        torch.testing.assert_close(hits.scores[row], exact[units].sort(descending=True).values, rtol=1e-4, atol=1e-4)
        assert len(set(units.tolist())) == 7
        leading = (wide[:, :16] @ queries[row, :16]).topk(8).indices
        shared += len(set(units.tolist()) & set(leading.tolist()))
    assert shared > 0.95 * 50 * 7


def test_no_queries():
    nothing = Logits(torch.empty(0, 3), prior_of(0, 600).layer)
    assert index().scan(QUERIES[:0], 3).units.shape == (0, 3)
    assert index().search_exact(QUERIES[:0], 3, nothing).units.shape == (0, 3)
    assert joined(index().compare(QUERIES[:0], 3, nothing)).units.shape == (0, 3)


# --- a prior's logits are part of the scores ---


@pytest.mark.parametrize("factory", ["Flat", "HNSW16"])
def test_a_prior_is_part_of_the_score(factory):
    """Against scoring every unit by inner product plus logit; a graph's shortlist is found without it."""
    codes, queries = random_codes(500), normal(20, 64, seed=1)
    searched = index(codes, factory=factory, shortlist=500, ef_search=500)
    prior = prior_of(20, 500)
    scores = queries @ codes.float().T + prior.layer.logits(prior.queries)
    searches = [(searched.search, 500), (searched.search_exact, 500), (partial(searched.scan, first=100), 100)]
    for search, limit in searches:
        hits = search(queries, 50, prior)
        expected = scores[:, :limit].topk(5, dim=1)
        assert torch.equal(hits.units[:, :5], expected.indices)
        torch.testing.assert_close(hits.scores[:, :5], expected.values, rtol=2e-3, atol=2e-3)


def test_a_scan_may_leave_the_prior_to_the_rescoring():
    codes, queries = random_codes(300), normal(20, 64, seed=1)
    searched = index(codes, shortlist=30)
    prior = Logits(torch.empty(20, 0), OutputLayer(torch.empty(300, 0), normal(300, seed=2)))
    plain = searched.scan(queries, 24, width=48).units
    without, within = (searched.scan(queries, 24, prior, width=48, biased=biased) for biased in (False, True))
    scores = queries @ codes.float().T + prior.layer.bias
    for row in range(20):
        own = set(plain[row].tolist())
        assert len(own & set(without.units[row].tolist())) > len(own & set(within.units[row].tolist()))
    for hits in (without, within):
        torch.testing.assert_close(hits.scores, scores.gather(1, hits.units), rtol=1e-4, atol=1e-4)
        assert (hits.scores.diff(dim=1) <= 0).all()


def test_layers_that_take_turns_are_not_mixed_up():
    queries, prior = evidence(count=40)
    searched, opposite = index(), OutputLayer(-prior.layer.weight, -prior.layer.bias)
    for layer in (prior.layer, opposite, prior.layer):
        given = Logits(prior.queries, layer)
        expected, _ = dense(queries, given)
        found = joined(searched.compare(queries, 600, given))
        torch.testing.assert_close(shares(found), expected.gather(1, found.units), atol=1e-5, rtol=1e-3)
        best = searched.scan(queries, 1, given).units[:, 0]
        assert (best == expected.argmax(dim=1)).float().mean() > 0.95


# --- comparison of all units ---


def evidence(count=300, strength=20.0, seed=5):
    """Codes in noise over its variance, with a prior of low rank."""
    chosen = torch.randint(600, (count,), generator=torch.Generator().manual_seed(seed))
    natural = strength * CODES[chosen].float() + strength**0.5 * normal(count, 64, seed=seed)
    return natural, prior_of(count, 600, seed=seed)


def dense(queries, prior):
    """Softmax over all units, and log mean exponential of the products under the prior's own distribution."""
    logits = prior.layer.logits(prior.queries)
    scores = queries @ CODES.float().T + logits
    return scores.softmax(dim=1), scores.logsumexp(dim=1) - logits.logsumexp(dim=1)


def joined(parts):
    """One ``Compared`` of several."""
    parts = list(parts)
    return Compared(*(torch.cat([getattr(part, name) for part in parts]) for name in Compared._fields))


def log_sum(found):
    """Log summed exponentials of the scores of all units."""
    return torch.logaddexp(found.scores.logsumexp(dim=1), found.log_tail)


def shares(found):
    """Softmax over all units, of those that are told by name."""
    return torch.exp(found.scores - log_sum(found)[:, None])


def test_all_units_compared_by_name_give_the_softmax():
    queries, prior = evidence()
    exact, log_evidence = dense(queries, prior)
    found = joined(index().compare(queries, 600, prior))
    assert found.units.sort(dim=1).values.tolist() == [list(range(600))] * 300
    torch.testing.assert_close(shares(found), exact.gather(1, found.units), atol=1e-5, rtol=1e-3)
    assert torch.equal(found.codes, CODES[found.units].float())
    # the prior's log sum is of eight-bit products
    torch.testing.assert_close(log_sum(found) - found.log_prior, log_evidence, atol=4e-2, rtol=1e-4)


def test_many_queries_are_compared_a_part_at_a_time():
    queries, prior = evidence(count=12_000)
    parts = list(index().compare(queries, 3, prior))
    assert len(parts) > 1
    together = joined(parts)
    alone = joined(index().compare(queries[-7:], 3, Logits(prior.queries[-7:], prior.layer)))
    torch.testing.assert_close(together.scores[-7:].sort().values, alone.scores.sort().values)


def test_those_told_by_name_leave_the_others_their_probability():
    queries, prior = evidence()
    exact, log_evidence = dense(queries, prior)
    found = joined(index().compare(queries, 6, prior))
    assert found.scores.shape == found.units.shape == (300, 6)
    own = exact.gather(1, found.units)
    assert (shares(found) - own).abs().mean() < 3e-4
    error = log_sum(found) - found.log_prior - log_evidence
    assert error.abs().mean() < 3e-3
    assert (shares(found).sum(dim=1) < 0.9).any()
    torch.testing.assert_close(shares(found).amax(dim=1), exact.amax(dim=1), atol=1e-2, rtol=1e-2)


def test_what_rounding_does_to_the_log_sum_is_no_bias():
    """Over ten layers: the queries of one share what rounding does to it."""
    means = []
    for seed in range(10):
        queries, prior = evidence(seed=seed)
        found = joined(index().compare(queries, 6, prior))
        means.append((log_sum(found) - found.log_prior - dense(queries, prior)[1]).mean().item())
    assert max(map(abs, means)) < 4e-3
    assert abs(sum(means) / 10) < 1e-3


def test_a_graph_does_not_count_what_it_found_twice():
    """With codes that tell nothing, every unit has its prior's share, found or not."""
    _, prior = evidence(count=50)
    found = joined(index(factory="HNSW16", ef_search=200).compare(torch.zeros(50, 64), 40, prior))
    expected = prior.layer.logits(prior.queries).softmax(dim=1)
    torch.testing.assert_close(shares(found), expected.gather(1, found.units), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(log_sum(found) - found.log_prior, torch.zeros(50), atol=1e-3, rtol=0)


def test_a_graph_knows_units_that_stand_out():
    queries, prior = evidence(strength=60.0)
    exact, _ = dense(queries, prior)
    found = joined(index(factory="HNSW16", ef_search=200).compare(queries, 40, prior))
    sure = exact.amax(dim=1) > 0.9
    assert sure.sum() > 100
    best = found.units.gather(1, found.scores.argmax(dim=1, keepdim=True))[:, 0]
    assert (best[sure] == exact[sure].argmax(dim=1)).float().mean() > 0.95


@pytest.mark.parametrize("factory", ["Flat", "HNSW16"])
@pytest.mark.parametrize("strength", [1e2, 1e3, 1e4, 1e5])
def test_without_noise_the_right_unit_has_all_the_probability(factory, strength):
    """Scores of 1e5 are rounded by hundreds, and a log-normal mean is beyond all bounds."""
    truth = torch.arange(0, 600, 10)
    prior = prior_of(60, 600)
    found = joined(index(factory=factory, ef_search=200).compare(strength * CODES[truth].float(), 8, prior))
    best = found.units.gather(1, found.scores.argmax(dim=1, keepdim=True))[:, 0]
    assert (best == truth).float().mean() > 0.95
    assert shares(found).amax(dim=1)[best == truth].min() > 0.99


def test_a_unit_that_is_ruled_out_has_no_share():
    queries, prior = evidence(count=40)
    best = joined(index().compare(queries, 3, prior)).units[0, 0].item()
    found = joined(index().compare(queries, 3, Logits(prior.queries, prior.layer.without([best]))))
    assert prior.layer.without([best]).bias[best] == NEVER
    assert not shares(found)[found.units == best].any()
    assert torch.isfinite(log_sum(found)).all()


# --- on disk and on devices ---


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16", "PQ4x4", "SQ8"])
def test_saved_and_loaded_it_finds_the_same(tmp_path, factory):
    original = index(factory=factory, search_dims=16)
    original.save(tmp_path)
    for codes in (None, original.codes):
        loaded = UnitIndex.load(tmp_path, params(factory=factory, search_dims=16), codes)
        assert loaded.scans is original.scans is (factory == "Flat")
        assert len(loaded) == 600
        assert loaded.codes.dtype == torch.float16
        for one, other in zip(original.search(QUERIES, 5), loaded.search(QUERIES, 5), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_a_damaged_index_gives_one_line(tmp_path, content):
    index().save(tmp_path)
    file = tmp_path / INDEX_FILE
    file.write_bytes(file.read_bytes()[:5000] if content is None else content)
    with pytest.raises(LexivertError, match="not a readable FAISS index; delete it and run `dvc repro index`"):
        UnitIndex.load(tmp_path, params())
    file.unlink()
    with pytest.raises(LexivertError, match=r"units\.faiss is missing"):
        UnitIndex.load(tmp_path, params())


def test_index_and_codes_of_different_runs():
    with pytest.raises(LexivertError, match="does not fit 599 unit codes"):
        UnitIndex(CODES[:-1], faiss_index.build(CODES, params()), params())


def test_moved_to_a_device_searches_are_made_there():
    """The meta device computes nothing, but it refuses what lies elsewhere."""
    searched = index()
    assert searched.to("cpu") is searched
    moved, queries = searched.to("meta"), QUERIES.to("meta")
    layer = prior_of(40, 600).layer.to("meta")
    prior = Logits(torch.empty(40, 3, device="meta"), layer)
    for hits in (moved.scan(queries, 5, prior, first=100), moved.search_exact(queries, 5, prior)):
        assert (hits.units.device.type, hits.units.shape) == ("meta", (40, 5))
    assert next(iter(moved.compare(queries, 5, prior))).codes.shape == (40, 5, 64)


# --- report ---


def test_report_counts_what_the_shortlist_misses():
    full = report(index(), seed=0)
    assert full == {"units": 600, "code_width": 64, "searched_width": 64, "recall_at_1": 1.0}
    narrow = report(index(search_dims=8, shortlist=2), seed=0)
    assert narrow["searched_width"] == 8
    assert 0.0 < narrow["recall_at_1"] < 0.9
