from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lexivert.language_model.causal import CausalLanguageModel

TEXTS = [
    "The silent owl watched the mill.",
    "",
    "rose",
    "It was a noble snow, and the letter wanted it.",
    "漢字 🙂 5",
]


@pytest.fixture(scope="module")
def model(tiny_language_model):
    network = AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.float32)
    return CausalLanguageModel(network, AutoTokenizer.from_pretrained(tiny_language_model))


def naive(model, text):
    """Log probability of each token of a text, one forward without cache for each beginning of it."""
    ids = [model.tokenizer.bos_token_id, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]
    found = []
    with torch.no_grad():
        for end in range(1, len(ids)):
            logits = model.model(input_ids=torch.tensor([ids[:end]])).logits[0, -1]
            found.append(float(logits.log_softmax(dim=0)[ids[end]]))
    return found


def test_texts_of_unequal_length_are_scored_as_each_alone(model):
    expected = torch.tensor([sum(naive(model, text)) for text in TEXTS])
    assert expected[0] < -50.0  # an untrained model is surprised by everything
    torch.testing.assert_close(model.log_probability(TEXTS), expected, atol=1e-3, rtol=1e-4)


def test_nats_a_token_is_the_mean_surprise(model):
    found = model.nats_a_token(TEXTS)
    assert float(found[1]) == 0.0
    assert float(found[0]) == pytest.approx(-sum(naive(model, TEXTS[0])) / len(naive(model, TEXTS[0])), rel=1e-4)


def test_batches_bound_by_tokens_give_the_same(model, monkeypatch):
    whole = model.log_probability(TEXTS)
    monkeypatch.setattr("lexivert.language_model.causal._TOKENS_AT_ONCE", 9)
    torch.testing.assert_close(model.log_probability(TEXTS), whole, atol=1e-3, rtol=1e-4)


def test_no_texts(model):
    assert model.log_probability([]).shape == (0,)
    assert model.tokens([]) == []


def test_reading_on_in_unequal_steps_is_reading_at_once(model):
    """Rows are repeated, reordered, and add none, one or several tokens: the cache has gaps."""
    tokens = model.tokens(TEXTS)
    state, total = model.begin(2), torch.zeros(2)
    state, gained = model.extend(state, [tokens[0][:3], tokens[3][:1]])
    total = (total + gained)[[1, 0, 1]]
    state = state[torch.tensor([1, 0, 1])]
    state, gained = model.extend(state, [tokens[3][1:4], tokens[0][3:4], []])
    total += gained
    state, gained = model.extend(state, [tokens[3][4:], tokens[0][4:], tokens[3][1:]])
    total += gained
    expected = model.log_probability([TEXTS[3], TEXTS[0], TEXTS[3]])
    torch.testing.assert_close(total, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(state.log_probs[0], state.log_probs[2], atol=1e-4, rtol=1e-4)
    assert state.log_probs.exp().sum(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-4)


def test_what_was_read_stays_as_it_was(model):
    state = model.begin(1)
    before = state.log_probs.clone()
    model.extend(state, [model.tokens(["rose"])[0]])
    again, gained = model.extend(state, [model.tokens(["rose"])[0]])
    torch.testing.assert_close(state.log_probs, before)
    torch.testing.assert_close(gained, model.log_probability(["rose"]), atol=1e-4, rtol=1e-4)
    assert len(again) == len(state) == 1


def test_adding_nothing_costs_and_changes_nothing(model):
    state = model.begin(2)
    same, gained = model.extend(state, [[], []])
    assert same is state
    assert gained.tolist() == [0.0, 0.0]


def test_tokens_spell_their_text(model):
    for text, tokens in zip(TEXTS, model.tokens(TEXTS), strict=True):
        assert model.text(tokens) == text


def test_a_tokeniser_without_a_start_is_refused(model):
    model.tokenizer.bos_token, start = None, model.tokenizer.bos_token
    assert CausalLanguageModel(model.model, model.tokenizer).start_id == model.tokenizer.eos_token_id
    model.tokenizer.eos_token, end = None, model.tokenizer.eos_token
    try:
        with pytest.raises(ValueError, match="neither a bos nor an eos"):
            CausalLanguageModel(model.model, model.tokenizer)
    finally:
        model.tokenizer.bos_token, model.tokenizer.eos_token = start, end
