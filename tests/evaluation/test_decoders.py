from __future__ import annotations

import pytest
import torch

from lexivert.controller.registry import DECODERS
from lexivert.errors import LexivertError
from lexivert.evaluation.corruptions import send
from lexivert.evaluation.decoders import NEAREST_SENTENCE, decoder_named, in_batches, label_of, unit_ids


@pytest.mark.parametrize("name", DECODERS)
def test_every_algorithm_of_the_registry_reads_what_is_easy(parts, drawn, name):
    texts = drawn([2, 3])
    sent = send(texts.units, texts.prefixes, parts.codebook, 1.0, "float32", seed=0)
    assert decoder_named(name, parts)(*sent) == texts.units


def test_an_unknown_decoder_is_named(parts):
    with pytest.raises(LexivertError, match="there is no decoding algorithm 'guess', but one_shot, "):
        decoder_named("guess", parts)


def test_labels_are_the_registrys_and_one_for_retrieval():
    assert [label_of(name) for name in DECODERS] == [entry.label for entry in DECODERS.values()]
    assert label_of(NEAREST_SENTENCE) == "nearest training sentence"
    assert len({label_of(name) for name in (NEAREST_SENTENCE, *DECODERS)}) == 1 + len(DECODERS)


def test_no_label_calls_the_cascade_message_passing():
    """For short texts at full width the cascade commits easy units first: it is no AMP."""
    assert "AMP" not in label_of("cascade_unigram") + label_of("cascade")
    assert all("AMP" in label_of(name) for name in DECODERS if name.startswith("amp"))


@pytest.mark.parametrize("batch", [1, 3, 7, 50])
def test_batches_are_decoded_in_order_and_joined(batch):
    sizes = []

    def decode(left, right):
        sizes.append(len(left))
        return (left + right).tolist()

    assert in_batches(decode, (torch.arange(7), torch.arange(7) * 10), batch, "") == [11 * row for row in range(7)]
    assert sum(sizes) == 7
    assert max(sizes) == min(batch, 7)


def test_units_of_readings_are_those_that_were_decoded(tiny_model):
    texts = ["The silent owl watched the mill.", "Rose"]
    readings = tiny_model.read(tiny_model.encode(texts))
    assert unit_ids(tiny_model, readings) == tiny_model.encoder.segment([reading.text for reading in readings])
