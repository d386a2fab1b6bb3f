from __future__ import annotations

from functools import partial

import faiss
import numpy as np
import pytest
import torch

from lexivert.errors import LexivertError
from lexivert.search.faiss_index import INDEX_FILE, UnitIndex, build, report
from sections import section

RNG = np.random.default_rng(0)


def random_codes(count=600, width=64):
    codes = np.random.default_rng(1).standard_normal((count, width))
    return (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float16)


CODES = random_codes()
QUERIES = np.random.default_rng(2).standard_normal((40, 64)).astype(np.float32)


def params(**changes):
    return section("index", **({"factory": "Flat", "search_dims": 0, "shortlist": 32, "frequent": 100} | changes))


def index(codes=CODES, **changes):
    return UnitIndex(codes, build(codes, params(**changes)), params(**changes))


def naive(queries, codes, k):
    scores = queries @ codes.astype(np.float32).T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, ids, axis=1), ids


@pytest.mark.parametrize("search", ["search", "scan", "search_exact"])
def test_flat_search_is_the_exact_one(search):
    scores, ids = getattr(index(), search)(QUERIES, 7)
    expected_scores, expected_ids = naive(QUERIES, CODES, 7)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5, atol=1e-5)
    assert ids.dtype == np.int64


def test_exact_search_beyond_one_block_of_codes():
    codes = random_codes(8200, 8)
    _, ids = index(codes).search_exact(codes[8190:8195].astype(np.float32), 1)
    assert ids[:, 0].tolist() == list(range(8190, 8195))


@pytest.mark.parametrize("factory", ["Flat", "HNSW16"])
def test_a_scan_of_the_first_units_sees_no_others(factory):
    scores, ids = index(factory=factory).scan(QUERIES, 7, first=100)
    expected_scores, expected_ids = naive(QUERIES, CODES[:100], 7)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5, atol=1e-5)


def test_more_neighbours_than_units():
    small = index(CODES[:5])
    for search in (small.search, small.search_exact, small.scan):
        scores, ids = search(QUERIES[:2], 50)
        assert scores.shape == ids.shape == (2, 5)
        assert sorted(ids[0].tolist()) == [0, 1, 2, 3, 4]


def test_a_shortlist_of_leading_dimensions_is_rescored_with_whole_codes():
    short = index(factory="SQ8", search_dims=16, shortlist=600)
    assert short.searched_width == 16
    np.testing.assert_array_equal(short.search(QUERIES, 5)[1], naive(QUERIES, CODES, 5)[1])
    narrow = index(search_dims=16, shortlist=20)
    scores, ids = narrow.search(QUERIES, 5)
    shortlisted = naive(QUERIES[:, :16], CODES[:, :16], 20)[1]
    for row in range(len(QUERIES)):
        exact = QUERIES[row] @ CODES[shortlisted[row]].astype(np.float32).T
        best = np.argsort(-exact)[:5]
        assert ids[row].tolist() == shortlisted[row][best].tolist()
        np.testing.assert_allclose(scores[row], exact[best], rtol=1e-4)


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
    probes = CODES[::10].astype(np.float32)
    _, ids = approximate.search(probes, 1)
    assert (ids[:, 0] == np.arange(0, 600, 10)).mean() > 0.95


@pytest.fixture
def four_threads():
    """FAISS has one in these tests (see conftest.py), and one thread is always the same."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(4)
    yield
    faiss.omp_set_num_threads(before)


FACTORIES = ["Flat", "IVF16,Flat", "HNSW16", "PQ8x4", "IVF16,PQ8x4", "HNSW16_PQ8x4", "IVF16_HNSW8,Flat", "NSG16,Flat"]


@pytest.mark.parametrize("factory", FACTORIES)
def test_two_builds_with_threads_give_the_same_bytes(factory, four_threads):
    builds = [faiss.serialize_index(build(CODES, params(factory=factory))).tobytes() for _ in range(2)]
    assert builds[0] == builds[1]


class FakeIndex:
    """Notes how many threads FAISS may use while vectors are added; one vector is too few for it."""

    is_trained = True

    def add(self, vectors):
        self.threads = faiss.omp_get_max_threads()
        if len(vectors) == 1:
            raise RuntimeError("Error: too few")


@pytest.mark.parametrize(("factory", "threads"), [("HNSW16", 1), ("IVF16_HNSW8,Flat", 1), ("NSG16", 1), ("Flat", 4)])
def test_graphs_alone_are_built_by_one_thread(factory, threads, four_threads, monkeypatch):
    monkeypatch.setattr(faiss, "index_factory", lambda *_: FakeIndex())
    assert build(CODES, params(factory=factory)).threads == threads
    assert faiss.omp_get_max_threads() == 4
    with pytest.raises(LexivertError, match="too few"):
        build(CODES[:1], params(factory=factory))
    assert faiss.omp_get_max_threads() == 4


@pytest.mark.parametrize("factory", ["IVF8,Flat", "RR64,IVF8,Flat"])
def test_nprobe_reaches_the_lists(factory):
    everywhere, one_list = index(factory=factory, nprobe=8), index(factory=factory, nprobe=1)
    np.testing.assert_array_equal(everywhere.search(QUERIES, 5)[1], naive(QUERIES, CODES, 5)[1])
    assert (one_list.search(QUERIES, 5)[1] != everywhere.search(QUERIES, 5)[1]).any()


def test_short_answers_are_padded_at_the_end():
    few = index(factory="IVF8,Flat", nprobe=1, shortlist=600)
    scores, ids = few.search(QUERIES, 600)
    padding = ids < 0
    assert padding.any()
    assert np.isneginf(scores[padding]).all()
    assert np.isfinite(scores[~padding]).all()
    assert (np.sort(padding, axis=1) == padding).all()


@pytest.mark.parametrize("factory", ["Flut", "IVF4096,Flat", "PQ7", ""])
def test_a_bad_factory_gives_one_line(factory):
    with pytest.raises(LexivertError, match=rf"index\.factory '{factory}' does not work for 600 units: .") as caught:
        build(CODES, params(factory=factory))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16", "PQ4x4", "SQ8"])
def test_saved_and_loaded_it_finds_the_same(tmp_path, factory):
    original = index(factory=factory, search_dims=16)
    original.save(tmp_path)
    loaded = UnitIndex.load(tmp_path, params(factory=factory, search_dims=16))
    assert loaded.scans is original.scans is (factory == "Flat")
    assert len(loaded) == 600
    assert loaded.codes.dtype == np.float16
    for one, other in zip(original.search(QUERIES, 5), loaded.search(QUERIES, 5), strict=True):
        np.testing.assert_array_equal(one, other)


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
        UnitIndex(CODES[:-1], build(CODES, params()), params())


def test_report_counts_what_the_shortlist_misses():
    whole = report(index(), seed=0)
    assert whole == {"units": 600, "code_width": 64, "searched_width": 64, "recall_at_1": 1.0}
    narrow = report(index(search_dims=8, shortlist=2), seed=0)
    assert narrow["searched_width"] == 8
    assert 0.0 < narrow["recall_at_1"] < 0.9


@pytest.mark.parametrize("factory", ["Flat", "HNSW16"])
def test_a_bias_is_part_of_the_score(factory):
    """Against scoring every unit by inner product plus bias; a graph's shortlist is found without it."""
    codes, queries = random_codes(500), np.random.default_rng(1).standard_normal((20, 64), dtype=np.float32)
    numbers = section("index", factory=factory, search_dims=0, shortlist=500, frequent=100, ef_search=500)
    searched = UnitIndex(codes, build(codes, numbers), numbers)
    rng = np.random.default_rng(2)
    bias = tuple(torch.from_numpy(rng.standard_normal((count, 3), dtype=np.float32)) for count in (20, 500))
    scores = queries @ codes.astype(np.float32).T + (bias[0] @ bias[1].T).numpy()
    searches = [(searched.search, 500), (searched.search_exact, 500), (partial(searched.scan, first=100), 100)]
    for search, limit in searches:
        found, ids = (part[:, :5] for part in search(queries, 50, bias))
        expected = np.argsort(-scores[:, :limit], axis=1)[:, :5]
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_allclose(found, np.take_along_axis(scores, expected, axis=1), rtol=2e-3, atol=2e-3)


def test_a_scan_of_few_dimensions_shortlists_by_them():
    """The shortlist is that of the leading dimensions but for what rounding moves, its order that of whole codes."""
    codes, queries = random_codes(300), np.random.default_rng(1).standard_normal((50, 64), dtype=np.float32)
    wide, short = codes.astype(np.float32), index(codes, shortlist=7)
    scores, ids = short.scan(queries, 7, width=16, biased=False)
    shared = 0
    for row in range(50):
        exact = wide @ queries[row]
        np.testing.assert_allclose(scores[row], np.sort(exact[ids[row]])[::-1], rtol=1e-4, atol=1e-4)
        assert len(set(ids[row])) == 7
        shared += len(np.intersect1d(ids[row], np.argsort(-(wide[:, :16] @ queries[row, :16]))[:8]))
    assert shared > 0.95 * 50 * 7


def test_a_scan_may_leave_the_bias_to_the_rescoring():
    codes, queries = random_codes(300), np.random.default_rng(1).standard_normal((20, 64), dtype=np.float32)
    searched = index(codes, shortlist=30)
    bias = torch.ones(20, 1), torch.from_numpy(np.random.default_rng(2).standard_normal((300, 1), dtype=np.float32))
    plain = searched.scan(queries, 24, width=48)
    without, within = (searched.scan(queries, 24, bias, width=48, biased=biased) for biased in (False, True))
    full = codes.astype(np.float32) @ queries.T + bias[1].numpy()
    for row in range(20):
        assert len(set(plain[1][row]) & set(without[1][row])) > len(set(plain[1][row]) & set(within[1][row]))
        for scores, ids in ((without[0][row], without[1][row]), (within[0][row], within[1][row])):
            np.testing.assert_allclose(scores, full[ids, row], rtol=1e-4, atol=1e-4)
            assert (np.diff(scores) <= 0).all()


def evidence(count=300, strength=20.0, seed=5):
    """Codes in noise over its variance, with a bias of low rank."""
    rng = np.random.default_rng(seed)
    chosen = torch.from_numpy(CODES[rng.integers(600, size=count)].astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal((count, 64), dtype=np.float32))
    bias = tuple(torch.from_numpy(rng.standard_normal((rows, 3), dtype=np.float32)) for rows in (count, 600))
    return strength * chosen + strength**0.5 * noise, bias


def dense(queries, bias):
    """Softmax over all units, and log mean exponential of the products under the bias's own distribution."""
    codes, prior = torch.from_numpy(CODES).float(), bias[0] @ bias[1].T
    logits = queries @ codes.T + prior
    return logits.softmax(dim=1), logits.logsumexp(dim=1) - prior.logsumexp(dim=1)


def test_a_posterior_over_all_units_is_the_softmax():
    queries, bias = evidence()
    exact, whole = dense(queries, bias)
    found = index().posterior(queries, 600, bias)
    ordered, units = exact.sort(dim=1, descending=True)
    torch.testing.assert_close(found.shares, ordered, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found.shares, exact.gather(1, found.units), atol=1e-5, rtol=1e-3)
    assert torch.equal(found.units[:, 0], units[:, 0])
    torch.testing.assert_close(found.mean, exact @ torch.from_numpy(CODES).float(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.whole, whole, atol=2e-2, rtol=1e-4)  # the bias's normaliser is of eight bits


def test_tables_that_take_turns_are_not_mixed_up():
    queries, (rows, table) = evidence(count=40)
    searched, other = index(), -table
    for given in (table, other, table):
        expected, _ = dense(queries, (rows, given))
        found = searched.posterior(queries, 600, (rows, given))
        torch.testing.assert_close(found.shares, expected.gather(1, found.units), atol=1e-5, rtol=1e-3)
        best = searched.scan(queries.numpy(), 1, (rows, given))[1][:, 0]
        assert (torch.from_numpy(best) == expected.argmax(dim=1)).float().mean() > 0.95


def test_a_posterior_of_few_units_leaves_the_others_their_probability():
    """The mean is of the six best alone; what they lack to 1 is the others'."""
    queries, bias = evidence()
    exact, whole = dense(queries, bias)
    found = index().posterior(queries, 6, bias)
    assert found.shares.shape == found.units.shape == (300, 6)
    assert (found.shares.diff(dim=1) <= 0).all()
    own = exact.gather(1, found.units)
    assert (found.shares - own).abs().mean() < 3e-4
    assert (found.whole - whole).abs().mean() < 3e-3
    assert (found.whole - whole).mean().abs() < 2e-4  # unbiased
    codes = torch.from_numpy(CODES).float()[found.units]
    torch.testing.assert_close(found.mean, (found.shares[:, :, None] * codes).sum(dim=1), atol=1e-5, rtol=1e-4)
    assert (found.shares.sum(dim=1) < 0.9).any()
    torch.testing.assert_close(found.shares[:, 0], exact.amax(dim=1), atol=1e-2, rtol=1e-2)


def test_a_posterior_of_a_graph_does_not_count_what_it_found_twice():
    """With codes that tell nothing, every unit has its prior's share, found or not."""
    _, bias = evidence(count=50)
    found = index(factory="HNSW16", ef_search=200).posterior(torch.zeros(50, 64), 40, bias)
    prior = (bias[0] @ bias[1].T).softmax(dim=1)
    torch.testing.assert_close(found.shares, prior.gather(1, found.units), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.whole, torch.zeros(50), atol=1e-3, rtol=0)


def test_no_queries():
    assert index().posterior(torch.empty(0, 64), 3, (torch.empty(0, 1), torch.zeros(600, 1))).units.shape == (0, 3)
    assert index().scan(QUERIES[:0], 3)[1].shape == (0, 3)


def test_other_kinds_scan_their_frequent_units_alone():
    graph = index(factory="HNSW16")
    assert graph.scan(QUERIES, 3, first=100)[1].max() < 100
    for first in (None, 101):
        with pytest.raises(ValueError, match="scans its 100 frequent units alone"):
            graph.scan(QUERIES, 3, first=first)


def test_a_posterior_of_a_graph_knows_clear_units():
    queries, bias = evidence(strength=60.0)
    exact, _ = dense(queries, bias)
    found = index(factory="HNSW16", ef_search=200).posterior(queries, 40, bias)
    clear = exact.amax(dim=1) > 0.9
    assert clear.sum() > 100
    assert (found.units[clear, 0] == exact[clear].argmax(dim=1)).float().mean() > 0.95


def test_a_unit_that_is_ruled_out_has_no_share():
    queries, (rows, units) = evidence(count=40)
    ones, table = torch.cat((rows, torch.ones(40, 1)), dim=1), torch.cat((units, torch.zeros(600, 1)), dim=1)
    best = index().posterior(queries, 3, (ones, table)).units[0, 0]
    table[best, -1] = -1e4
    found = index().posterior(queries, 3, (ones, table))
    assert not found.shares[found.units == best].any()
    assert torch.isfinite(found.whole).all()


@pytest.mark.parametrize(("factory", "scans"), [("Flat", True), ("FlatIPPanorama4", False), ("SQ8", False)])
def test_only_a_plain_flat_index_is_scanned(factory, scans):
    """Other kinds may hold the vectors in another layout; FAISS searches those itself."""
    codes = random_codes(400)
    numbers = section("index", factory=factory, search_dims=0, shortlist=16, frequent=10)
    searched = UnitIndex(codes, build(codes, numbers), numbers)
    assert searched.scans is scans
    assert (searched.search(codes.astype(np.float32), 1)[1][:, 0] == np.arange(400)).mean() > 0.99
