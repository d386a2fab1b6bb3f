from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch

from lexivert.codes.superposition import superpose
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation.collapse import (
    CONTEXTS,
    Predicted,
    against_mean,
    expected_codes,
    moments_report,
    predict,
    prediction_report,
    reading_report,
    superpose_predicted,
)
from lexivert.evaluation.texts import encode_texts
from lexivert.priors.base import Belief
from lexivert.priors.selector import SelectorPrior
from lexivert.text.lexicon import EOS


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestFigures:
    def test_moments_are_given_raw_and_at_unit_length(self):
        """Predictions twice too long: as they are the deviations are doubled, at unit length all fits."""
        true = drawn(40, 3) * torch.tensor([1.0, 2.0, 3.0])
        report = moments_report(2.0 * true, true)
        assert set(report) == {
            f"{kind}_{name}"
            for kind in ("raw", "normalised")
            for name in ("mean_error", "deviation_ratio", "deviation_correlation")
        }
        assert report["raw_deviation_ratio"] == pytest.approx(2.0)
        assert report["raw_mean_error"] > 0.01
        assert report["normalised_deviation_ratio"] == pytest.approx(1.0)
        assert report["normalised_mean_error"] == pytest.approx(0.0, abs=1e-5)
        assert report["normalised_deviation_correlation"] == pytest.approx(1.0)

    def test_against_mean_by_hand(self):
        predicted = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
        true = torch.tensor([[1.0, 1.0], [1.0, 3.0]])
        mean = torch.tensor([1.0, 0.0])
        assert against_mean(predicted, true, mean) == pytest.approx(
            {
                "cosine": (1 / math.sqrt(2) + 4 / math.sqrt(20)) / 2,
                "cosine_of_mean_vector": (1 / math.sqrt(2) + 1 / math.sqrt(10)) / 2,
                "cosine_centred": (0.0 + 1.0) / 2,  # (1, 0) with (0, 1), (0, 1) with (0, 3)
                # Unit rows (1, 0) and (1, 1) / √2 have cosine 1 / √2: (1 + 1 / √2) / 2 over all four pairs.
                "anisotropy": (1 + 1 / math.sqrt(2)) / 2,
                "true_anisotropy": (1 + 4 / math.sqrt(20)) / 2,
            }
        )

    def test_a_prediction_collapsed_to_the_mean_shows(self):
        true, mean = drawn(50, 8) + 1.0, torch.ones(8)
        report = against_mean(mean.expand(50, 8), true, mean)
        assert report["cosine"] == pytest.approx(report["cosine_of_mean_vector"])
        assert report["cosine_centred"] == pytest.approx(0.0, abs=1e-6)
        assert report["anisotropy"] == pytest.approx(1.0)
        assert report["true_anisotropy"] < 0.9


class TestExpectedCodes:
    def test_by_hand(self):
        codes = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]).half()
        expected = expected_codes(torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]), codes)
        assert expected.dtype == torch.float32
        assert expected.tolist() == [[0.25, 0.75], [0.0, 2.0]]

    @pytest.mark.parametrize("block", [1, 7, 20, 16_384])
    def test_equals_one_product_for_any_block(self, block):
        probabilities, codes = drawn(6, 20).softmax(dim=1), drawn(20, 5, seed=1)
        torch.testing.assert_close(expected_codes(probabilities, codes, block), probabilities @ codes)


def test_prediction_report_by_hand():
    codes = torch.eye(4)
    texts = EncodedTexts([], [[1, 2], [1, 3]], torch.zeros(2, 2))
    predicted = Predicted(codes[torch.tensor([1, 2, 3, 3])], torch.tensor([1, 2, 3, 3]))
    truth = codes[torch.tensor([1, 2, 1, 3])]
    report = prediction_report(predicted, truth, torch.zeros(4), texts, codes)
    assert report["likeliest_is_right"] == 3 / 4
    assert report["commonest_is_right"] == 2 / 4  # always unit 1
    assert report["cosine"] == pytest.approx(3 / 4)
    # Unit 1 is predicted once and true twice of four: deviations √3/4 and 1/2; unit 3 the other way round.
    alike, fewer = 1.0, math.sqrt(3) / 2
    assert report["raw_deviation_ratio"] == pytest.approx((fewer + alike + 1 / fewer) / 3)


class TestWithAModel:
    TEXTS = (
        "The silent owl watched the mill.",
        "Emma asked a noble captain.",
        "The rose was 12 miles from the river.",
        "She painted the wall, but the sailor didn't.",
        "Rose",
    )

    @pytest.fixture
    def many(self, tiny_model):
        """Twenty texts of several lengths: more than are read at once."""
        return encode_texts(tiny_model.encoder, [text for text in self.TEXTS for _ in range(4)])

    @pytest.fixture
    def codes(self, tiny_model):
        return tiny_model.encoder.codes

    @pytest.fixture
    def prior(self, tiny_model):
        """Its Selector has strong opinions: after thirty steps of training the real one has hardly any."""
        trained = tiny_model.decoder.parts.prior
        selector = copy.deepcopy(trained.selector)
        generator = torch.Generator().manual_seed(0)
        for network in (selector.query, selector.bag_of_words):
            torch.nn.init.normal_(network[-1].weight, generator=generator)
        return SelectorPrior.of(selector, drawn(*trained.output.weight.shape), trained.output.bias)

    @pytest.mark.parametrize("known", CONTEXTS.values(), ids=CONTEXTS)
    def test_predictions_equal_one_text_and_one_position_at_a_time(self, prior, codes, many, known):
        prefix, neighbours = known
        predicted = predict(prior, codes, many, prefix=prefix, neighbours=neighbours)
        expected, likeliest = [], []
        with torch.inference_mode():
            for row, units in enumerate(many.units):
                seen = torch.tensor([units]) if neighbours else torch.full((1, len(units)), -1)
                length, cosine = torch.tensor([len(units)]), torch.tensor([float(prefix)])
                belief = Belief.certain(seen, length, many.prefixes[row : row + 1], cosine)
                for query in prior.queries(belief)[0]:
                    probabilities = (prior.output.weight @ query + prior.output.bias).softmax(dim=0)
                    expected.append(probabilities @ codes.float())
                    likeliest.append(int(probabilities.argmax()))
        torch.testing.assert_close(predicted.codes, torch.stack(expected), atol=1e-5, rtol=1e-4)
        assert predicted.likeliest.tolist() == likeliest
        assert EOS not in likeliest
        assert len(set(likeliest)) > 5

    @pytest.mark.parametrize("known", CONTEXTS.values(), ids=CONTEXTS)
    def test_only_what_is_known_counts(self, prior, codes, many, known):
        prefix, neighbours = known

        def predicted(texts):
            return predict(prior, codes, texts, prefix=prefix, neighbours=neighbours).codes

        def difference(other):
            return float((predicted(other) - predicted(many)).abs().max())

        other_meaning = difference(replace(many, prefixes=many.prefixes.flip(0)))
        other_order = difference(replace(many, units=[units[::-1] for units in many.units]))
        for value, counts in ((other_meaning, prefix), (other_order, neighbours)):
            assert value > 1e-2 if counts else value < 1e-6

    def test_a_position_never_sees_its_own_unit(self, prior, codes, many):
        units = [list(text) for text in many.units]
        places = [min(2, len(text) - 1) for text in units]
        other = [[*text[:at], text[at] + 1, *text[at + 1 :]] for text, at in zip(units, places, strict=True)]
        before = predict(prior, codes, many, prefix=True, neighbours=True).codes
        after = predict(prior, codes, replace(many, units=other), prefix=True, neighbours=True).codes
        starts = torch.tensor([0, *map(len, units[:-1])]).cumsum(0)
        own = starts + torch.tensor(places)
        torch.testing.assert_close(before[own], after[own])
        beside = own[torch.tensor([len(text) > 3 for text in units])] + 1
        assert float((before[beside] - after[beside]).abs().amax(dim=1).min()) > 1e-5  # as float noise is below 1e-6

    def test_predictions_that_are_the_codes_make_the_encoders_vectors(self, tiny_model, many):
        encoder = tiny_model.encoder
        units = [*many.units, []]
        codes = encoder.codes[torch.tensor([unit for text in units for unit in text])].float()
        expected = superpose(units, encoder.codes, encoder.binding)
        torch.testing.assert_close(superpose_predicted(codes, units, encoder), expected, atol=1e-5, rtol=1e-5)

    def test_superposed_predictions_equal_loop(self, tiny_model):
        encoder = tiny_model.encoder
        codes = drawn(3, encoder.codes.shape[1])

        def bound(code, position):
            return encoder.binding.bind(code[None], torch.tensor([position]))[0]

        end = encoder.codes[EOS].float()
        expected = torch.stack(
            (
                bound(codes[0], 0) + bound(codes[1], 1) + bound(end, 2),
                bound(codes[2], 0) + bound(end, 1),
            )
        )
        found = superpose_predicted(codes, [[300, 301], [302]], encoder)  # which units they are does not matter
        torch.testing.assert_close(found, expected)

    def test_reading_of_perfect_predictions(self, tiny_model, many):
        """Where the codes themselves are predicted, what is read from them is what is read from the encoder's."""
        encoder = tiny_model.encoder
        some = many.only(range(0, 20, 4))
        codes = encoder.codes[torch.tensor([unit for units in some.units for unit in units])].float()
        report = reading_report(tiny_model, some, codes, codes.mean(0))
        assert report["cosine_of_predicted_vectors"] == pytest.approx(1.0)
        assert report["cosine_of_mean_vector"] < 0.9
        assert report["encoder_raw"]["exact_match"] >= 0.6
        for name in ("encoder_normalised", "predicted_raw", "predicted_normalised"):
            assert report[name] == report["encoder_raw"]
        assert report["mean_vector"]["exact_match"] == 0.0
        assert report["moments"]["raw_deviation_ratio"] == pytest.approx(1.0)
