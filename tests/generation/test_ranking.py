from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.generation.params import RankingWeights
from lexivert.generation.ranking import Ranker
from lexivert.priors.base import Belief

TEXTS = [
    ["The old captain saw the river.", "She sold a lamp.", "It was a noble snow, and the letter wanted it."],
    ["Emma saw two lamps near the old mill."],
]
REPEATED = {"The old captain saw the river.": 1 / 6, "It was a noble snow, and the letter wanted it.": 1 / 10}
WEIGHTS = RankingWeights(nearness=50.0, fluency=0.25, likelihood=0.5, length=2.0, repetition=3.0)
NEAREST = RankingWeights(nearness=1.0, fluency=0.0, likelihood=0.0, length=0.0, repetition=0.0)


@pytest.fixture
def told(tiny_model):
    return F.normalize(torch.from_numpy(tiny_model.encoder.backbone.encode(["The young captain saw the sea."] * 2)))


def ranker(tiny_model, model, language_model, weights):
    return Ranker(tiny_model.encoder, tiny_model.decoder.parts.prior, model, language_model, weights)


def given(language_model):
    return [[(language_model.tokens([text])[0], text) for text in own] for own in TEXTS]


def naive(tiny_model, model, language_model, embedding, text):
    """The score of one text, term by term."""
    encoder, prior = tiny_model.encoder, tiny_model.decoder.parts.prior
    own = F.normalize(torch.from_numpy(encoder.backbone.encode([text])), dim=1)[0]
    tokens = language_model.tokens([text])
    one = torch.ones(1, dtype=torch.int64)
    lengths = prior.log_length(Belief.empty(1, one, embedding[None]), encoder.config.code.max_units + 1)[0]
    return (
        50.0 * float(own @ embedding)
        + 0.25 * float(language_model.log_probability([text])[0]) / len(tokens[0])
        + 0.5 * float(model.log_probabilities(embedding[None], tokens)[0]) / (len(tokens[0]) + 1)
        + 2.0 * float(lengths[len(encoder.segmenter.segment(text))])
        - 3.0 * REPEATED.get(text, 0.0)
    )


@torch.inference_mode()
def test_scores_are_the_weighted_sum(tiny_model, model, language_model, told):
    found = ranker(tiny_model, model, language_model, WEIGHTS).ranked(told, given(language_model), 3)
    for embedding, own, texts in zip(told, found, TEXTS, strict=True):
        expected = {text: naive(tiny_model, model, language_model, embedding, text) for text in texts}
        assert [one.text for one in own] == sorted(texts, key=lambda text: -expected[text])
        for one in own:
            assert one.score == pytest.approx(expected[one.text], rel=1e-3)
            assert one.log_probability == pytest.approx(
                float(language_model.log_probability([one.text])[0]), rel=1e-3
            )
            assert list(one.tokens) == language_model.tokens([one.text])[0]


@torch.inference_mode()
def test_only_the_shortlist_is_read_by_the_language_model(tiny_model, model, language_model, told, monkeypatch):
    read = []
    score = type(language_model).log_probability
    monkeypatch.setattr(
        type(language_model), "log_probability", lambda self, texts: read.extend(texts) or score(self, texts)
    )
    nearest = ranker(tiny_model, model, language_model, NEAREST.model_copy(update={"fluency": 0.1}))
    found = nearest.ranked(told, given(language_model), 2)
    assert len(read) == 3
    assert [len(own) for own in found] == [2, 1]


@torch.inference_mode()
def test_what_has_no_weight_is_not_looked_at(tiny_model, language_model, told):
    """Cosines alone: no conditional model is needed, and no log probability known."""
    found = ranker(tiny_model, None, None, NEAREST).ranked(told, given(language_model), 3)
    assert [one.score for one in found[0]] == pytest.approx([one.cosine for one in found[0]])
    assert [one.cosine for one in found[0]] == sorted((one.cosine for one in found[0]), reverse=True)
    assert all(one.log_probability is None for one in found[0])
