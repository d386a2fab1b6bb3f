from __future__ import annotations

import pytest
import torch

from generation.conditional_cases import embeddings
from lexivert.generation.token_proposals import Proposer

TEXTS = ["The old captain saw", "", "It was a noble snow, and the"]


def spread(steps, model):
    """Log probability of every token, out of all choices."""
    values, tokens = steps.choices(len(model.bias))
    found = torch.full((len(steps), len(model.bias)), -torch.inf)
    return found.scatter_reduce_(1, tokens, values, "amax")


def naive(model, language_model, embedding, tokens, weight, own_weight, *, may_end):
    """Log probability of what comes next, by its definition."""
    end, bias = model.sizes.end, model.bias
    queries = model(embedding[None], torch.tensor([[end, *tokens]]))
    own = model.logits(queries)[0, -1].log_softmax(dim=0)
    read = language_model.extend(language_model.begin(), [tokens])[0].log_probs[0]
    total = own_weight * own + weight * read
    repeatable = set(bias.topk(64).indices.tolist())
    for token in set(tokens) - repeatable:
        total[token] -= 3.0
    total[end] = -torch.inf
    total = total.log_softmax(dim=0)
    if may_end:
        total = total + torch.log1p(-own[end].exp())
        total[end] = own[end]
    return total


@pytest.mark.parametrize("may_end", [True, False])
def test_proposals_are_the_product_of_both_models(model, language_model, may_end):
    proposer, told = Proposer(model, language_model, 0.7, 0.9), embeddings(3)
    tokens = language_model.tokens(TEXTS)
    steps = proposer.begin(told, tokens, may_end=may_end)
    for row in range(3):
        expected = naive(model, language_model, told[row], tokens[row], 0.7, 0.9, may_end=may_end)
        torch.testing.assert_close(spread(steps, model)[row], expected, rtol=1e-3, atol=1e-3)
    assert steps.choices(5)[0].exp().sum(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-4)
    moved = steps.moved(torch.tensor([2, 0]), torch.tensor([7, 9]))
    for row, (owner, token) in enumerate([(2, 7), (0, 9)]):
        text = [*tokens[owner], token]
        expected = naive(model, language_model, told[owner], text, 0.7, 0.9, may_end=may_end)
        torch.testing.assert_close(spread(moved, model)[row], expected, rtol=1e-3, atol=1e-3)


def test_without_a_language_model_the_conditional_model_proposes_alone(model, language_model):
    told, tokens = embeddings(1), language_model.tokens(TEXTS[:1])
    found = spread(Proposer(model, None, 0.0, 1.0).begin(told, tokens), model)[0]
    expected = naive(model, language_model, told[0], tokens[0], 0.0, 1.0, may_end=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_few_choices_are_the_likeliest_of_the_conditional_model(model):
    steps = Proposer(model, None, 0.0, 1.0).begin(embeddings(2), [[], [5]])
    _, tokens = steps.choices(6)
    for row, logits in enumerate(steps.paths.logits):
        likeliest = set(logits.topk(7).indices.tolist())
        assert set(tokens[row].tolist()) == likeliest | {model.sizes.end}
