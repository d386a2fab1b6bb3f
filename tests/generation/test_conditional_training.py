from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from generation.conditional_cases import conditional, embeddings, sizes
from lexivert.errors import DamagedArtifactError
from lexivert.generation import beams, conditional_storage
from lexivert.generation.conditional_training import (
    ConditionalStep,
    TokenBatches,
    TokenTexts,
    nats_a_token,
    new_model,
    train_conditional,
)
from lexivert.generation.params import load_generation_params
from lexivert.generation.token_proposals import Proposer
from sections import REPOSITORY

END = 3
TEXTS = TokenTexts([[5, 6, 7], [8, 9], [10, 11, 12, 13], [14]], embeddings(4))


@pytest.fixture
def params():
    """The repository's, for a run of seconds."""
    given = load_generation_params(REPOSITORY / "generation" / "params.yaml").conditional
    changes = {"max_tokens": 12, "batch_size": 4, "steps": 250, "learning_rate": 1e-2, "always": 20, "drawn": 20}
    return given.model_copy(update=changes)


def test_the_prior_counts_tokens_and_ends_by_hand():
    prior = TEXTS.log_prior(40, END).exp()
    total = 10 + 4 + 40 * 0.1
    assert float(prior[5]) == pytest.approx(1.1 / total)
    assert float(prior[END]) == pytest.approx(4.1 / total)
    assert float(prior[0]) == pytest.approx(0.1 / total)
    assert float(prior.sum()) == pytest.approx(1.0)


def test_long_texts_and_empty_ones_are_left_out_and_the_rest_sorted():
    texts = TokenTexts([[1] * 5, [], [2] * 3, [3] * 9], embeddings(4)).no_longer_than(8)
    assert texts.tokens == [[2] * 3, [1] * 5]
    torch.testing.assert_close(texts.embeddings, embeddings(4)[[2, 0]])


def test_a_batch_by_hand():
    batch = TokenBatches(TEXTS.no_longer_than(3), END, 3, 1.0, seed=0)(0, 0)
    assert batch.inputs.tolist() == [[3, 14, 0, 0], [3, 8, 9, 0], [3, 5, 6, 7]]
    assert batch.truth.tolist() == [[14, 3, -1, -1], [8, 9, 3, -1], [5, 6, 7, 3]]
    torch.testing.assert_close(batch.embeddings, TEXTS.embeddings[[3, 1, 0]])


def test_batches_are_the_same_whenever_they_are_asked_for():
    batches = TokenBatches(TEXTS.no_longer_than(12), END, 2, 0.5, seed=1)
    one, same = batches(3, 4), batches(3, 4)
    torch.testing.assert_close(one.embeddings, same.embeddings)
    assert any(not torch.equal(one.embeddings, batches(3, number).embeddings) for number in range(5, 15))


def test_with_every_token_as_a_negative_the_loss_is_the_cross_entropy(params):
    model = conditional(40, END)
    step = ConditionalStep(model, TEXTS.log_prior(40, END), params.model_copy(update={"always": 40}), torch.float32)
    batch = TokenBatches(TEXTS.no_longer_than(12), END, 4, 1.0, seed=0)(0, 0)
    losses = step(batch, None)
    inside = batch.truth >= 0
    logits = model.logits(model(batch.embeddings, batch.inputs)[inside])
    expected = F.cross_entropy(logits, batch.truth[inside])
    assert float(losses["nats"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(losses["partition"]) == pytest.approx(float(logits.logsumexp(dim=1).square().mean()), rel=1e-4)
    assert float(losses["loss"]) == pytest.approx(
        float(expected) + params.partition_weight * float(losses["partition"]), rel=1e-4
    )


def test_nats_a_token_by_the_naive_sum():
    model = conditional(40, END)
    total = 0.0
    for tokens, embedding in zip(TEXTS.tokens, TEXTS.embeddings, strict=True):
        logits = model.logits(model(embedding[None], torch.tensor([[END, *tokens]])))[0].log_softmax(dim=1)
        total -= sum(float(logits[place, token]) for place, token in enumerate(tokens))
    assert nats_a_token(model, TEXTS, batch_size=3) == pytest.approx(total / 10, rel=1e-4)
    several = TokenTexts([[], *TEXTS.tokens], embeddings(5)[[4, 0, 1, 2, 3]])
    assert nats_a_token(model, several) == pytest.approx(total / 10, rel=1e-4)


def test_it_learns_what_each_embedding_says_and_where_it_ends(params, tmp_path):
    vectors = torch.randn(40, 24, generator=torch.Generator().manual_seed(0))
    letters, prior = embeddings(40, seed=5), TEXTS.log_prior(40, END)
    model = new_model(vectors, letters, prior, sizes(40, END), seed=0)
    before = nats_a_token(model, TEXTS)
    history = train_conditional(model, TEXTS, prior, params, seed=0)
    assert len(history) == 5
    assert nats_a_token(model, TEXTS) < 0.6 < before
    with torch.inference_mode():
        found = beams.search(Proposer(model, None, 0.0, 1.0).begin(TEXTS.embeddings, [[]] * 4), 2, 8, END)
    assert [own[0].tokens for own in found] == TEXTS.tokens
    again = new_model(vectors, letters, prior, sizes(40, END), seed=0)
    assert train_conditional(again, TEXTS, prior, params, seed=0) == history

    conditional_storage.save(model, "backbone", tmp_path / "saved")
    loaded = conditional_storage.load(tmp_path / "saved", "backbone", 40)
    assert loaded.sizes == model.sizes
    scores = [own.log_probabilities(TEXTS.embeddings, TEXTS.tokens) for own in (model, loaded)]
    torch.testing.assert_close(*scores, rtol=1e-2, atol=1e-2)


def test_what_is_not_its_own_is_refused(tmp_path):
    folder = tmp_path / "saved"
    conditional_storage.save(conditional(40, END), "backbone", folder)
    for backbone, tokens in (("another", 40), ("backbone", 41)):
        with pytest.raises(DamagedArtifactError, match="was trained for another backbone or language model"):
            conditional_storage.load(folder, backbone, tokens)
    (folder / conditional_storage.WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(DamagedArtifactError, match=r"conditional\.safetensors is damaged"):
        conditional_storage.load(folder, "backbone", 40)
