"""Search for the text of most total score, for vectors that the decoding loops have not read for sure.

It starts from the text that was read and from message passing at other likely lengths, and climbs from these by
evidence alone. From the best of them on, a left-to-right beam changes several units at once, and message passing runs
again with those units fixed on which the best texts agree. Then changes of one or two units are proposed by evidence
and learned prior; the likeliest are embedded, and the likeliest of those read by the language model; where none of
them helps, a beam again. A text takes another's place only if its total score is higher.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from tqdm import tqdm

from lexivert.codes.encoder import Encoder
from lexivert.config import LanguageEffortParams, LanguageSearchParams, RestartParams
from lexivert.controller.base import Parts
from lexivert.controller.belief import OPEN
from lexivert.controller.confidence import VERIFIED
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.evidence_climb import EvidenceClimb, joined
from lexivert.controller.first_tokens import FirstTokens, spoken
from lexivert.controller.lengths import length_posterior, log_length_prior
from lexivert.controller.observation import Observation
from lexivert.controller.proposals import Proposals
from lexivert.controller.restarts import Restarts
from lexivert.controller.results import DecodeResult
from lexivert.controller.total_score import TotalScore
from lexivert.controller.unit_beam import BeamRules, UnitBeam
from lexivert.controller.verification import fit, verified
from lexivert.errors import LexivertError
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.language_model.storage import Source

Text = tuple[int, ...]
_LEAST_GAIN = 1.0e-3  # nats; less is rounding


@dataclass(frozen=True)
class Found:
    """What a search found for one vector.

    Attributes:
        units: of the best text.
        scores: probability of each unit among all texts that were scored.
        total: the best text's total score.
        log_odds: of the best text against all others that were scored.
        prefix_noise: see ``TotalScore.prefix_noise``.
        unexplained: whether it leaves more of the vector than the noise that the vector shows.
    """

    units: list[int]
    scores: list[float]
    total: float
    log_odds: float = 0.0
    prefix_noise: float = 0.0
    unexplained: bool = False


class LanguageSearch:
    """Searches texts by their total score.

    Args:
        parts: codebook, index, prior and rules.
        encoder: writes texts and embeds them.
        source: of the language model, which is loaded when it is first needed.
    """

    def __init__(self, parts: Parts, encoder: Encoder, source: Source) -> None:
        self.parts = parts
        self.encoder = encoder
        self.source = source
        self.params: LanguageSearchParams = parts.params.language_search
        self.proposals = Proposals(parts)
        self.restarts = Restarts(parts)

    @cached_property
    def language_model(self) -> CausalLanguageModel:
        """Prior over texts.

        Raises:
            LexivertError: there is none, or it can't be loaded.
        """
        model = self.source.load()
        if model is None:
            raise LexivertError(
                "effort is more than draft, which needs a language model, but language_model.model is none; name one"
            )
        return model

    @cached_property
    def first_tokens(self) -> FirstTokens:
        """What the language model says of units before it reads them."""
        lexicon, log_prior = self.encoder.segmenter.lexicon, self.parts.codebook.log_prior
        return FirstTokens(self.language_model, spoken(lexicon), log_prior)

    def with_parts(self, parts: Parts) -> LanguageSearch:
        """The same search with other parts."""
        return LanguageSearch(parts, self.encoder, self.source)

    def effort(self, name: str, max_seconds: float | None = None) -> LanguageEffortParams:
        """How far the search goes at ``normal`` or ``high`` effort, and for how many seconds a text at most."""
        effort: LanguageEffortParams = getattr(self.params, name)
        return effort if max_seconds is None else effort.model_copy(update={"max_seconds": max_seconds})

    def unsure(self, found: DecodeResult) -> list[int]:
        """Rows that are worth a search: not verified, and below ``below`` in confidence."""
        assert found.confidence is not None
        return (~found.verified.cpu() & (found.confidence < self.params.below)).nonzero()[:, 0].tolist()

    @torch.inference_mode()
    def decode(
        self, read: Sequence[Sequence[int]], observed: Observation, effort: LanguageEffortParams
    ) -> DecodeResult:
        """Search the texts of B vectors; a bar shows progress where it takes long.

        Args:
            read: what the loops read in each.
            observed: the vectors.
            effort: how far to go for each.
        """
        found = []
        with tqdm(read, desc="searching", unit="text", mininterval=1.0, delay=5.0, leave=False, disable=None) as bar:
            for row, units in enumerate(bar):
                found.append(self.search(units, observed[slice(row, row + 1)], effort))
        texts, codebook = [own.units for own in found], self.parts.codebook
        fits = fit(observed.order, codebook.superpose(texts))
        counts = torch.tensor([len(text) for text in texts], device=fits.device)
        certain = verified(fits, counts, codebook.min_distance)
        confidence = torch.tensor([self.confidence(own) for own in found])
        confidence = confidence.masked_fill(certain.cpu(), VERIFIED)
        scores = [_shared(own.scores, chance) for own, chance in zip(found, confidence.tolist(), strict=True)]
        return DecodeResult(texts, scores, fits, certain, [[] for _ in found], confidence=confidence)

    def confidence(self, found: Found) -> float:
        """Probability that the best text is right, by a logistic regression (Platt 1999); 0 where there is none."""
        weights = self.params.confidence
        odds = weights.log_odds * found.log_odds + weights.prefix_noise * found.prefix_noise + weights.constant
        odds += weights.unexplained * found.unexplained
        return 1.0 / (1.0 + math.exp(-odds)) if found.units else 0.0

    def search(self, read: Sequence[int], observed: Observation, effort: LanguageEffortParams) -> Found:
        """Search the text of one vector.

        Args:
            read: units of the text that the loops read; may be none.
            observed: the vector.
            effort: how far to go. Message passing at other lengths, with which it begins, is not bounded by its
                ``max_seconds``; nothing new begins after them.
        """
        score = TotalScore(observed, self.parts.codebook, self.encoder, self.language_model, self.params)
        deadline = time.monotonic() + effort.max_seconds
        climb = EvidenceClimb(self.proposals, score, effort.embedded)
        starts = self._starts(read, score, effort)
        reached = [climb.climbed(start, effort.climbs, deadline) for start in starts]
        texts = list(dict.fromkeys([*starts[:1], *reached]))
        if not texts:
            return Found([], [], 0.0)
        text, seen = texts[int(score(texts).argmax())], set[Text]()
        for _ in range(effort.rounds):
            if time.monotonic() >= deadline:
                break
            better = None if seen else self._several(text, score, effort, seen, deadline)
            if better is None and time.monotonic() < deadline:
                better = self._revised(text, climb, effort)
            if better is None and time.monotonic() < deadline:
                better = self._several(text, score, effort, seen, deadline)
            if better is None:
                break
            text = better
        return self._found(score)

    def _starts(self, read: Sequence[int], score: TotalScore, effort: LanguageEffortParams) -> list[Text]:
        """The text that was read, and what message passing reads at other lengths that are about as likely.

        Message passing ends by itself; no deadline ends it.
        """
        observed = score.observed
        prior = log_length_prior(self.parts.prior, observed, self.parts.codebook.binding.positions)
        evidence = length_posterior(observed, self.parts.codebook, prior)[0]
        likely = evidence.topk(min(effort.lengths if read else 2 * effort.lengths, len(evidence)))
        near = likely.values >= likely.values[0] - self.params.length_margin
        lengths = [length for length in likely.indices[near].tolist() if length not in (0, len(read))]
        texts = [tuple(read)] if read else []
        if lengths:
            pairs = [(length, self.params.start) for length in lengths]
            texts += map(tuple, self.restarts.restart(observed, pairs).units)
        texts = [text for text in dict.fromkeys(texts) if text]
        if len(texts) < 2:
            return texts
        likely_too = score.order_evidence(texts)
        likely_too += torch.stack([self.parts.codebook.log_prior[list(text)].sum() for text in texts])
        worth = (likely_too > likely_too.max() - self.params.length_margin).tolist()
        return [text for place, text in enumerate(texts) if worth[place] or (read and not place)]

    def _revised(self, text: Text, climb: EvidenceClimb, effort: LanguageEffortParams) -> Text | None:
        """The text with the best change of one or two units, or with all that help; None if none does."""
        chances = climb.near(text, effort.pairs, effort.read)
        score = climb.score
        before = float(score([text]))
        totals = score([change.text for change in chances]).tolist()
        helping = sorted(
            (pair for pair in zip(totals, chances, strict=True) if pair[0] > before + _LEAST_GAIN),
            key=lambda pair: -pair[0],
        )
        if not helping:
            return None
        total, first = helping[0]
        joint = joined(text, [change for _, change in helping])
        return joint if joint != first.text and float(score([joint])) > total else first.text

    def _several(
        self, text: Text, score: TotalScore, effort: LanguageEffortParams, seen: set[Text], deadline: float
    ) -> Text | None:
        """A better text by a beam, or by message passing with what the best texts agree on; None if there is none."""
        if text in seen or not effort.beams:
            return None
        seen.add(text)
        before = float(score([text]))
        substitutes = self.proposals.substitutes(text, score.observed, self.params.beam_candidates)
        params = self.params
        rules = BeamRules(effort.beams, params.beam_margin, params.language_weight, params.selector_weight)
        beam = UnitBeam(
            self.parts.codebook, self.language_model, self.first_tokens, score.prose, score.prefix_evidence, rules
        )
        found = [tuple(units) for units in beam.search(text, score.observed, substitutes, deadline)]
        if time.monotonic() < deadline:
            found += self._passed([text, *found], score.observed)
        totals = score(found)
        best = int(totals.argmax())
        return found[best] if float(totals[best]) > before + _LEAST_GAIN else None

    def _passed(self, texts: Sequence[Text], observed: Observation) -> list[Text]:
        """What message passing reads where the units on which some texts of one length agree are known."""
        agreed = [units[0] if len(set(units)) == 1 else OPEN for units in zip(*texts, strict=True)]
        if OPEN not in agreed:
            return []
        known = torch.full((1, self.parts.codebook.binding.positions), OPEN, device=observed.order.device)
        known[0, : len(agreed)] = torch.tensor(agreed, device=known.device)
        if observed.known is not None:
            width = observed.known.shape[1]
            known[:, :width] = torch.where(observed.known != OPEN, observed.known, known[:, :width])
        pairs = [(len(agreed), rule) for rule in self._rules()]
        return [tuple(units) for units in self.restarts.restart(replace(observed, known=known), pairs).units if units]

    def _rules(self) -> Sequence[RestartParams]:
        """How message passing is run: as for restarts, or as ever where there are none."""
        amp = self.parts.params.amp
        usual = RestartParams(damping=amp.damping, variance_scale=amp.variance_scale)
        return self.parts.params.cascade.restarts or (usual,)

    def _found(self, score: TotalScore) -> Found:
        """The best of all texts that were scored, its units weighed by how far others agree."""
        texts = list(score.known)
        totals = torch.tensor([score.known[text] for text in texts], dtype=torch.float64)
        weights, best = self.params.confidence, texts[int(totals.argmax())]
        pairs = list(zip(texts, totals.softmax(dim=0).tolist(), strict=True))
        agreeing = [[own for text, own in pairs if text[n : n + 1] == (unit,)] for n, unit in enumerate(best)]
        scores = [min(sum(own), 1.0) for own in agreeing]
        others = totals[totals.argsort(descending=True)[1:]]
        log_odds = float(totals.max() - others.logsumexp(dim=0)) if len(others) else weights.most_log_odds
        codebook, observed = self.parts.codebook, score.observed
        fits = fit(observed.order, codebook.superpose([best]))
        return Found(
            units=list(best),
            scores=scores,
            total=float(totals.max()),
            log_odds=min(log_odds, weights.most_log_odds),
            prefix_noise=min(max(score.prefix_noise(best), 0.0), weights.most_prefix_noise),
            unexplained=float(EnergySplit.of(observed, codebook.semantic_share).explains(fits)) == 0.0,
        )


def _shared(scores: Sequence[float], confidence: float) -> list[float]:
    """Probabilities of units that are together no surer than their text is."""
    share = confidence ** (1.0 / max(len(scores), 1))
    return [score * share for score in scores]
