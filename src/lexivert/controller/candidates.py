"""Retrieval for easy-first decoding: the cheapest search that the noise allows, rescored, then the posterior."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import OPEN
from lexivert.controller.posterior import ExpectedTail, softmax_with_tail
from lexivert.priors.base import Prior
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import Hits, UnitIndex

DETECTION_THRESHOLD = 6.0
"""Deviations by which the right unit must stand out for a search in few dimensions to have it on the shortlist."""
_WIDTHS = (128, 256, 384, 512, 768, 1024)
"""Numbers of dimensions that all units are searched in."""


@dataclass(frozen=True)
class Queries:
    """m positions whose units are asked for.

    Attributes:
        rows: text of each. Shape: (m,).
        positions: Shape: (m,).
        natural: evidence over noise variance. Shape: (m, O).
        prior: the prior's queries. Shape: (m, H).
        variance: noise per dimension. Shape: (m,).
        current: unit that is believed there, as a guess or committed, or -1: always among the candidates, as a
            shortlist in few dimensions may miss a unit whose evidence is weak. Shape: (m,).
        frequent_only: positions for which a search of frequent units is enough. Shape: (m,) bool.
    """

    rows: Tensor
    positions: Tensor
    natural: Tensor
    prior: Tensor
    variance: Tensor
    current: Tensor
    frequent_only: Tensor


class CandidateSearch:
    """Candidates with their posterior.

    Args:
        prior: over units.
        index: nearest units.
        codebook: codes and unigram prior.
        candidates: K.
    """

    def __init__(self, prior: Prior, index: UnitIndex, codebook: Codebook, candidates: int) -> None:
        self.prior = prior
        self.index = index
        self.codebook = codebook
        self.candidates = candidates
        self._least_energy = 2.0 * float(index.half_energies.min())
        self.tail = ExpectedTail(codebook.log_prior, index.half_energies, index.frequent)

    def posterior(self, queries: Queries) -> tuple[Tensor, Tensor]:
        """Find and score candidates.

        Returns:
            Units and their posterior probabilities, both (m, K).
        """
        hits = self.retrieve(queries)
        variance = queries.natural.square().sum(dim=1) / queries.natural.shape[1]
        lowest = hits.scores.topk(2, dim=1, largest=False).values[:, 1]  # the very lowest may be the current unit
        precision = 1.0 / queries.variance
        log_tail = self.tail.log_tail(hits.units, lowest, variance, precision, queries.frequent_only)
        return hits.units, softmax_with_tail(hits.scores, log_tail)[0]

    def retrieve(self, queries: Queries) -> Hits:
        """Find the K units of most score: among the frequent units or among all. Shape: two (m, K)."""
        count, natural = min(self.candidates, self.index.frequent), queries.natural
        units = queries.rows.new_empty(len(natural), count)
        scores = natural.new_empty(len(natural), count)
        prior = Logits(queries.prior, self.prior.output, 1.0 / queries.variance)
        for chosen, search in self._searches(queries.frequent_only, queries.variance):
            if chosen.any():
                found = search(natural[chosen], count, prior.rows(chosen))
                scores[chosen], units[chosen] = found.scores, found.units
        missed = (queries.current != OPEN) & (units != queries.current[:, None]).all(dim=1)
        lost = queries.current[missed]
        units[missed, -1] = lost
        codes = self.codebook.embed(lost)
        own = (codes * natural[missed]).sum(dim=1) - codes.square().sum(dim=1) / (2.0 * queries.variance[missed])
        scores[missed, -1] = own + self.prior.output.some_logits(queries.prior[missed], lost[:, None])[:, 0]
        return Hits(scores, units)

    def _searches(self, frequent_only: Tensor, variance: Tensor) -> Iterator[tuple[Tensor, Callable[..., Hits]]]:
        """Tell which positions are searched how: the less noise, the fewer code dimensions distinguish the units.

        In d of O dimensions the score of the right unit, of energy g, stands ``sqrt(g d / (1 + O·variance))``
        deviations above those of the units that have nothing to do with the evidence. An index other than Flat is
        left to itself.
        """
        index = self.index
        yield frequent_only, partial(index.scan, width=index.searched_width, first=index.frequent)
        if not index.scans:
            yield ~frequent_only, index.search
            return
        needed = DETECTION_THRESHOLD**2 * (1.0 + self.codebook.width * variance) / self._least_energy
        enough = 0
        for width in (width for width in _WIDTHS if width < self.codebook.width):
            yield (
                ~frequent_only & (needed > enough) & (needed <= width),
                partial(index.scan, width=width, biased=False),
            )
            enough = width
        yield ~frequent_only & (needed > enough), index.scan
