from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.errors import LexivertError
from lexivert.search import faiss_index
from lexivert.search.faiss_index import build
from lexivert.search.unit_index import UnitIndex
from sections import section

CODES = F.normalize(torch.randn(600, 64, generator=torch.Generator().manual_seed(1)), dim=1).half()
FACTORIES = ["Flat", "IVF16,Flat", "HNSW16", "PQ8x4", "IVF16,PQ8x4", "HNSW16_PQ8x4", "IVF16_HNSW8,Flat", "NSG16,Flat"]


def params(**changes):
    return section("index", **({"factory": "Flat", "search_dims": 0, "shortlist": 32, "frequent": 100} | changes))


@pytest.fixture
def four_threads():
    """FAISS has one in these tests (see conftest.py), and one thread is always the same."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(4)
    yield
    faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("factory", FACTORIES)
def test_two_builds_with_threads_give_the_same_bytes(factory, four_threads):
    builds = [faiss.serialize_index(build(CODES, params(factory=factory))).tobytes() for _ in range(2)]
    assert builds[0] == builds[1]
    assert faiss.omp_get_max_threads() == 4


class Noted:
    """Notes how many threads FAISS may use while vectors are added."""

    is_trained = True

    def add(self, vectors):
        self.threads = faiss.omp_get_max_threads()


@pytest.mark.parametrize(("factory", "threads"), [("HNSW16", 1), ("IVF16_HNSW8,Flat", 1), ("NSG16", 1), ("Flat", 4)])
def test_graphs_alone_are_built_by_one_thread(factory, threads, four_threads, monkeypatch):
    monkeypatch.setattr(faiss, "index_factory", lambda *_: Noted())
    assert build(CODES, params(factory=factory)).threads == threads
    assert faiss.omp_get_max_threads() == 4


def test_after_a_build_that_fails_there_are_as_many_threads_as_before(four_threads):
    with pytest.raises(LexivertError, match="does not work for 1 units"):
        build(CODES[:1], params(factory="IVF16_HNSW8,Flat"))
    assert faiss.omp_get_max_threads() == 4


@pytest.mark.parametrize("factory", ["Flut", "IVF4096,Flat", "PQ7", ""])
def test_a_bad_factory_gives_one_line(factory):
    with pytest.raises(LexivertError, match=rf"index\.factory '{factory}' does not work for 600 units: .") as caught:
        build(CODES, params(factory=factory))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("factory", "flat"), [("Flat", True), ("FlatIPPanorama4", False), ("SQ8", False), ("HNSW16", False)]
)
def test_only_a_plain_flat_index_counts_as_one(factory, flat):
    assert faiss_index.is_flat(build(CODES, params(factory=factory))) is flat


def test_an_index_is_over_leading_dimensions():
    queries = torch.randn(9, 64, generator=torch.Generator().manual_seed(2))
    index = build(CODES, params(search_dims=16))
    assert index.d == 16
    found = faiss_index.shortlist(index, queries, 5)
    scores = queries[:, :16] @ CODES[:, :16].float().T
    assert torch.equal(found, scores.topk(5, dim=1).indices)
    assert faiss_index.shortlist(index, queries, 1000).shape == (9, 600)


def test_a_shortlist_is_padded_where_too_few_were_found():
    index = build(CODES, params(factory="IVF8,Flat"))
    faiss_index.set_search_width(index, params(factory="IVF8,Flat", nprobe=1))
    found = faiss_index.shortlist(index, CODES[:20].float(), 600)
    assert (found == -1).any(dim=1).all()
    assert (found[:, 0] == torch.arange(20)).all()


@pytest.mark.parametrize("factory", ["IVF8,Flat", "RR64,IVF8,Flat"])
def test_nprobe_reaches_the_lists(factory):
    queries = torch.randn(40, 64, generator=torch.Generator().manual_seed(2))
    index = build(CODES, params(factory=factory))
    best = (queries @ CODES.float().T).argmax(dim=1)
    shares = []
    for nprobe in (1, 8):
        faiss_index.set_search_width(index, params(factory=factory, nprobe=nprobe))
        shares.append((faiss_index.shortlist(index, queries, 1)[:, 0] == best).float().mean().item())
    assert shares[0] < 0.9
    assert shares[1] == 1.0


def test_ef_search_reaches_the_graph():
    queries = torch.randn(200, 64, generator=torch.Generator().manual_seed(2))
    index = build(CODES, params(factory="HNSW4"))
    best = (queries @ CODES.float().T).argmax(dim=1)
    shares = []
    for width in (1, 400):
        faiss_index.set_search_width(index, params(factory="HNSW4", ef_search=width))
        shares.append((faiss_index.shortlist(index, queries, 1)[:, 0] == best).float().mean().item())
    assert shares[0] < shares[1]


def test_written_and_read_it_finds_the_same(tmp_path):
    path = tmp_path / "units.faiss"
    index = build(CODES, params(factory="IVF8,Flat"))
    faiss_index.write(index, path)
    read = faiss_index.read(path)
    queries = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    np.testing.assert_array_equal(index.search(queries, 3)[1], read.search(queries, 3)[1])


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_a_damaged_file_gives_one_line(tmp_path, content):
    path = tmp_path / "units.faiss"
    faiss_index.write(build(CODES, params()), path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(LexivertError, match="not a readable FAISS index; delete it and run `dvc repro index`"):
        faiss_index.read(path)
    path.unlink()
    with pytest.raises(LexivertError, match=r"units\.faiss is missing"):
        faiss_index.read(path)


@pytest.mark.parametrize("dims", [0, 32, 100])
def test_a_flat_index_may_be_built_when_it_is_needed(dims, tmp_path, monkeypatch):
    index, queries = faiss_index.FlatOverCodes(CODES, params(search_dims=dims)), CODES[::7].float()
    expected = build(CODES, params(search_dims=dims))
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "build", None)  # not yet
        unit_index = UnitIndex(CODES, index, params(search_dims=dims))
        assert unit_index.scans
        assert unit_index.scan(queries, 1).units[:, 0].tolist() == list(range(0, 600, 7))
    assert (index.ntotal, index.d) == (expected.ntotal, expected.d)
    found = faiss_index.shortlist(index, queries, 5)
    assert torch.equal(found, faiss_index.shortlist(expected, queries, 5))
    faiss_index.write(index, tmp_path / "a.faiss")
    faiss_index.write(expected, tmp_path / "b.faiss")
    assert (tmp_path / "a.faiss").read_bytes() == (tmp_path / "b.faiss").read_bytes()
