from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lexivert.language_model.causal import CausalLanguageModel
from lexivert.language_model.running_texts import RunningTexts


@pytest.fixture(scope="module")
def model(tiny_language_model):
    network = AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.float32)
    return CausalLanguageModel(network, AutoTokenizer.from_pretrained(tiny_language_model))


def check(running, texts):
    expected = running.model.log_probability(texts)
    torch.testing.assert_close(running.log_probability, expected, atol=2e-3, rtol=1e-4)
    assert running.tokens == running.model.tokens(texts)


def test_texts_grow_branch_and_are_scored_as_each_alone(model):
    running = RunningTexts.empty(model)
    steps = [
        ([0, 0], ["The", "Emma"]),
        ([0, 1, 0], ["The silent", "Emma saw", "The owl"]),
        ([2, 0, 1], ["The owl", "The silent owl", "Emma saw the captain"]),
        ([1, 1], ["The silent owl was 5", "The silent owl, isn"]),
        ([0, 1], ["The silent owl was 57 漢", "The silent owl, isn't it?"]),
    ]
    for rows, texts in steps:
        running = running.grown(rows, texts)
        check(running, texts)


def test_what_comes_behind_may_change_the_last_tokens(model):
    running = RunningTexts.empty(model).grown([0], ["The riv"])
    before = running.tokens[0]
    grown = running.grown([0, 0, 0], ["The river", "The riv", "The "])
    assert grown.tokens[0][: len(before)] != before  # or nothing is tested
    check(grown, ["The river", "The riv", "The "])
    check(
        grown.grown([0, 1, 2], ["The river was", "The riv al", "The ship"]),
        ["The river was", "The riv al", "The ship"],
    )


def test_a_text_that_shares_nothing_is_read_from_the_start(model):
    running = RunningTexts.empty(model).grown([0], ["The silent owl"])
    check(running.grown([0, 0], ["Emma saw it", ""]), ["Emma saw it", ""])


def test_rows_may_be_chosen(model):
    running = RunningTexts.empty(model).grown([0, 0], ["The", "Emma"])[[1, 1, 0]]
    check(running, ["Emma", "Emma", "The"])
    check(running.grown([2, 0], ["The owl", "Emma saw"]), ["The owl", "Emma saw"])
