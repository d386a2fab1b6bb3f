from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lexivert.controller.belief import BeliefState
from lexivert.controller.candidates import DETECTION_THRESHOLD, CandidateSearch, Queries
from lexivert.controller.evidence import Positions, evidence_at
from lexivert.controller.noise import estimate_noise
from lexivert.text.lexicon import EOS, NEVER


def search(world, candidates=None):
    return CandidateSearch(world.prior, world.index, world.codebook, candidates or world.params.easy_first.candidates)


def everywhere(queries, *, frequent_only):
    return replace(queries, frequent_only=torch.full_like(queries.frequent_only, frequent_only))


def naive_scores(world, queries):
    """Inner product, less half the code's energy over the noise variance, plus log prior. Shape: (m, V)."""
    scores = queries.natural @ world.codebook.codes.float().T + world.codebook.log_prior
    scores -= world.codebook.energies / (2.0 * queries.variance[:, None])
    scores[..., EOS] = NEVER
    return scores


@pytest.mark.parametrize("variance", [0.005, 0.02, 0.03])
@pytest.mark.parametrize("frequent_only", [False, True])
@pytest.mark.parametrize("surprisal_share", [0.0, 0.7])
def test_the_posterior_is_near_the_full_softmax(make_world, variance, frequent_only, surprisal_share):
    """Eight candidates stand for all of 1000 units; the tail mass of the others is estimated."""
    world = make_world(1000, 256, frequent=300, surprisal_share=surprisal_share)
    _, queries = world.queries(variance, 200)
    units, marginals = search(world).posterior(everywhere(queries, frequent_only=frequent_only))
    exact = world.log_posterior(queries).gather(1, units)
    inside = exact.amax(dim=1) > math.log(0.05)
    if frequent_only:
        inside &= world.log_posterior(queries).argmax(dim=1) < 300
    assert inside.sum() > 50
    difference = (marginals - exact.exp())[inside].abs().amax(dim=1)
    assert difference.mean() < 0.05
    assert marginals.sum(dim=1).max() <= 1.0 + 1e-5


@pytest.mark.parametrize("surprisal_share", [0.0, 1.0])
def test_with_all_units_retrieved_the_posterior_is_the_softmax(make_world, surprisal_share):
    world = make_world(40, 64, candidates=40, surprisal_share=surprisal_share)
    _, queries = world.queries(0.02, 20)
    units, marginals = search(world).posterior(queries)
    exact = world.log_posterior(queries).gather(1, units)
    torch.testing.assert_close(marginals, exact.exp(), atol=2e-3, rtol=0)


def test_frequent_units_alone_are_searched_where_that_is_enough(world):
    _, queries = world.queries(0.03, 6)
    queries = replace(queries, frequent_only=torch.tensor([True, False, True, False, False, True]))
    hits = search(world).retrieve(queries)
    everything = naive_scores(world, queries)
    for row in range(6):
        expected = torch.topk(everything[row, : 500 if queries.frequent_only[row] else 2000], 8)
        assert hits.units[row, :6].tolist() == expected.indices[:6].tolist()
        torch.testing.assert_close(hits.scores[row, :6], expected.values[:6], atol=1e-2, rtol=1e-4)


def test_the_current_unit_is_always_a_candidate(world):
    """Row 0 has none, row 1 one that is found anyway, row 2 a unit that has nothing to do with the evidence."""
    _, queries = world.queries(0.03, 3)
    alone = search(world).retrieve(queries).units
    stranger = next(unit for unit in range(1, 2000) if unit not in alone[2].tolist())
    current = torch.tensor([-1, int(alone[1, 3]), stranger])
    scores, units = search(world).retrieve(replace(queries, current=current))
    assert torch.equal(units[:2], alone[:2])
    assert torch.equal(units[2], torch.cat((alone[2, :-1], torch.tensor([stranger]))))
    assert scores[2, -1].item() == pytest.approx(naive_scores(world, queries)[2][stranger].item(), rel=1e-4)


def test_a_prior_query_changes_what_is_retrieved(world):
    _, queries = world.queries(0.05, 4)
    without = search(world).retrieve(queries).units
    queries.prior[2] = torch.linspace(-3.0, 3.0, queries.prior.shape[1])
    units = search(world).retrieve(queries).units
    assert torch.equal(units, world.log_posterior(queries).topk(8, dim=1).indices)
    assert (units != without).any(dim=1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("width", [128, 256, 384, 512])
def test_a_search_of_few_dimensions_misses_next_to_nothing(make_world, monkeypatch, width):
    """At the noise up to which so few dimensions are searched, against a search in all of them."""
    world, widths = make_world(20000, 640, candidates=4, frequent=10), []
    scan = world.index.scan

    def recorded(*args, **options):
        widths.append(options.get("width"))
        return scan(*args, **options)

    monkeypatch.setattr(world.index, "scan", recorded)
    variance = (width / DETECTION_THRESHOLD**2 - 1.0) / 640 * 0.999
    _, queries = world.queries(variance, 600)
    units = search(world).retrieve(queries).units
    assert widths == [width]
    missed = (units != world.log_posterior(queries).argmax(dim=1)[:, None]).all(dim=1)
    assert missed.float().mean() <= 0.01


def first_queries(world, texts):
    """Every position of some texts, of which nothing is known but the lengths."""
    observed = world.observed(world.vectors(texts))
    belief = BeliefState.of_lengths(world.codebook, torch.tensor([len(text) for text in texts]))
    rows = torch.arange(len(texts))
    asked = belief.open(rows, max(map(len, texts)))
    which, positions = asked.nonzero(as_tuple=True)
    estimate = estimate_noise(observed, belief, rows)
    with torch.no_grad():
        found = evidence_at(
            Positions(rows, which, positions), asked.shape[1], observed, belief, estimate, world.prior
        )
    return Queries(
        rows=which,
        positions=positions,
        natural=found.natural,
        prior=found.queries,
        variance=found.variance,
        current=torch.full_like(which, -1),
        frequent_only=torch.zeros_like(which, dtype=torch.bool),
    )


def test_the_right_unit_is_the_likeliest(world):
    texts = world.texts([6, 3])
    queries = first_queries(world, texts)
    assert queries.rows.tolist() == [0] * 6 + [1] * 3
    assert queries.positions.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    units, marginals = search(world).posterior(queries)
    best = units.gather(1, marginals.argmax(dim=1)[:, None])[:, 0]
    assert best.tolist() == texts[0] + texts[1]
    assert (marginals.amax(dim=1) > 0.5).all()


def test_a_rare_unit_that_is_current_stays_a_candidate(world):
    """A search of frequent units can't find it; believed at its position, it is scored all the same."""
    text, rare = world.texts([6])[0], 1700
    text[2] = rare
    queries = everywhere(first_queries(world, [text]), frequent_only=True)
    without, _ = search(world).posterior(queries)
    current = queries.current.clone()
    current[2] = rare
    units, marginals = search(world).posterior(replace(queries, current=current))
    assert rare not in without[2]
    assert units[2, -1] == rare
    assert units[2, marginals[2].argmax()] == rare
    scores = naive_scores(world, queries)[2]
    assert scores[rare] > scores[units[2, :-1]].max()
    torch.testing.assert_close(units[[0, 1, 3, 4, 5]], without[[0, 1, 3, 4, 5]])
