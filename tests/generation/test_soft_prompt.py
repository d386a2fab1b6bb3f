from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.generation import soft_prompt
from lexivert.generation.base import GENERATORS, Generator, GeneratorParts, Request
from lexivert.generation.mask_predict import equal_draws
from lexivert.generation.params import SoftPromptParams
from lexivert.generation.prompted_generator import FOLDER, PromptedGenerator
from lexivert.generation.soft_prompt import PromptedModel, SoftPromptSizes
from lexivert.generation.soft_prompt_training import PromptedBatches, train_soft_prompt
from lexivert.training.checkpoint import Checkpoint

SENTENCES = [
    "The old captain saw the river.",
    "Emma saw two lamps near the old mill.",
    "It was a pale moon.",
    "She sold the red lamp.",
    "“Don't you see the moon?” said Emma.",
    "The river was 40 miles from the mill.",
]
PARAMS = SoftPromptParams.model_validate(
    {
        "prompt_tokens": 3,
        "max_train_tokens": 40,
        "min_prefix_cosine": 0.99,
        "batch_size": 6,
        "steps": 300,
        "learning_rate": 5.0e-3,
        "weight_decay": 0.0,
        "warmup_share": 0.1,
        "clip_norm": 1.0,
    }
)


@pytest.fixture(scope="module")
def tokenizer(tiny_language_model):
    return AutoTokenizer.from_pretrained(tiny_language_model)


@pytest.fixture(scope="module")
def prefixes(tiny_model):
    return F.normalize(torch.from_numpy(tiny_model.encoder.backbone.encode(SENTENCES)), dim=1)


@pytest.fixture(scope="module")
def tokens(tokenizer):
    listed = tokenizer(SENTENCES, add_special_tokens=False)["input_ids"]
    return [[*own, tokenizer.eos_token_id] for own in listed]


@pytest.fixture(scope="module")
def untrained(tiny_language_model, prefixes):
    """Makes the same model every time."""

    def make():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.float32)
            return PromptedModel(SoftPromptSizes(prefixes.shape[1], model.config.hidden_size, 3), model)

    return make


@pytest.fixture(scope="module")
def learned(untrained, tokens, prefixes):
    """Knows the sentences by heart."""
    prompted = untrained()
    history = train_soft_prompt(prompted, tokens, prefixes, PARAMS, seed=0)
    assert history[-1]["loss"] < 0.5 < history[0]["loss"]
    return prompted


def test_the_loss_is_that_of_each_token_by_itself(untrained, tokens, prefixes):
    """Against one forward of each text alone, without padding."""
    prompted, total = untrained().eval(), []
    with torch.no_grad():
        for row, own in enumerate(tokens):
            embedded = prompted.model.get_input_embeddings()(torch.tensor([own]))
            given = torch.cat((prompted.prompts(prefixes[row : row + 1]), embedded), dim=1)
            logp = prompted.model(inputs_embeds=given).logits[0].log_softmax(dim=1)
            total += [-float(logp[2 + place, token]) for place, token in enumerate(own)]
        longest = max(map(len, tokens))
        padded = torch.tensor([[*own, *[5] * (longest - len(own))] for own in tokens])
        found = prompted(prefixes, padded, torch.tensor([len(own) for own in tokens]))
    assert float(found) == pytest.approx(np.mean(total), rel=1e-4)


def test_all_weights_are_trained(untrained, tokens, prefixes):
    before, prompted = untrained(), untrained()
    train_soft_prompt(prompted, tokens, prefixes, PARAMS.model_copy(update={"steps": 10}), seed=0)
    changed = {
        name: not torch.equal(value, before.state_dict()[name]) for name, value in prompted.state_dict().items()
    }
    assert all(changed.values()), [name for name, is_changed in changed.items() if not is_changed]


def test_training_resumes_to_the_same_bytes(untrained, tokens, prefixes, tmp_path, monkeypatch):
    params = PARAMS.model_copy(update={"steps": 20})
    full = untrained()
    history = train_soft_prompt(full, tokens, prefixes, params, seed=0)
    checkpoint, written = Checkpoint(tmp_path, "mine", every=6), Checkpoint.write

    def write(self, state):
        written(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", write)
        with pytest.raises(KeyboardInterrupt):
            train_soft_prompt(untrained(), tokens, prefixes, params, 0, checkpoint)
    resumed = untrained()
    assert train_soft_prompt(resumed, tokens, prefixes, params, 0, checkpoint) == history
    assert all(torch.equal(value, full.state_dict()[name]) for name, value in resumed.state_dict().items())


def test_batches_are_noisy_texts_of_nearly_one_length(tokens, prefixes):
    params = PARAMS.model_copy(update={"batch_size": 3})
    batch = PromptedBatches(tokens, prefixes, params, seed=0)(0, 1)
    again = PromptedBatches(tokens, prefixes, params, seed=0)(0, 1)
    assert batch.prefix.equal(again.prefix)
    by_length = sorted(tokens, key=len)
    rows = [tokens.index(own[:n]) for own, n in zip(batch.tokens.tolist(), batch.length.tolist(), strict=True)]
    assert [tokens[row] for row in rows] in [by_length[start : start + 3] for start in range(4)]
    assert ((batch.prefix * prefixes[rows]).sum(dim=1) >= 0.99 - 1e-5).all()


def test_greedy_texts_are_those_of_a_forward_for_each_token(untrained, prefixes):
    prompted = untrained().eval()
    found = prompted.sample(prefixes, [4, 9], 1, 8, 0.0, equal_draws(0, 6))
    for row, text in enumerate(found):
        own = [4, 9]
        while len(own) < 8:
            embedded = prompted.model.get_input_embeddings()(torch.tensor([own]))
            given = torch.cat((prompted.prompts(prefixes[row : row + 1]), embedded), dim=1)
            with torch.no_grad():
                token = int(prompted.model(inputs_embeds=given).logits[0, -1].argmax())
            if token == 1:
                break
            own.append(token)
        assert text == own


def test_a_draw_depends_on_nothing_beside_it(learned, prefixes):
    both = learned.sample(prefixes[:2], [], 1, 20, 1.5, equal_draws(3, 2))
    assert learned.sample(prefixes[1:2], [], 1, 20, 1.5, equal_draws(3, 1)) == both[1:]


def test_sentences_that_were_learned_are_written(tiny_model, learned, tokenizer, prefixes):
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior)
    generator = PromptedGenerator(parts, learned, tokenizer)
    assert isinstance(generator, Generator)
    found = generator.generate(Request(prefixes, effort="draft"))
    assert [candidates[0].text for candidates in found] == SENTENCES
    assert all(len(candidates) == 1 and candidates[0].cosine > 0.999 for candidates in found)


def test_the_nearest_of_several(tiny_model, learned, tokenizer, prefixes):
    """Between two sentences: of greedy text and draws the nearest, no text twice, as many as are asked for."""
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior)
    generator = PromptedGenerator(parts, learned, tokenizer)
    between = F.normalize(prefixes[:2] + prefixes[2:4], dim=1)
    draft = generator.generate(Request(between, effort="draft"))
    found = generator.generate(Request(between, count=3))
    for one, several in zip(draft, found, strict=True):
        cosines = [candidate.cosine for candidate in several]
        assert cosines == sorted(cosines, reverse=True)
        assert cosines[0] >= one[0].cosine - 1e-6
        assert len({candidate.text for candidate in several}) == len(several) <= 3
    assert generator.generate(Request(between, count=3)) == found
    assert generator.generate(Request(between[:0])) == []


def test_a_beginning_and_banned_words(tiny_model, learned, tokenizer, prefixes):
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior)
    generator = PromptedGenerator(parts, learned, tokenizer)
    found = generator.generate(Request(prefixes, effort="draft", prefix="She sold"))
    assert all(candidates[0].text.startswith("She sold") for candidates in found)
    found = generator.generate(Request(prefixes, effort="draft", banned=("captain", "moon")))
    texts = [candidates[0].text for candidates in found]
    assert not any("captain" in text or "moon" in text for text in texts)
    assert texts[1] == SENTENCES[1]


def test_a_text_of_which_nothing_is_left_is_not_ranked(tiny_model, learned, tokenizer, prefixes):
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior)
    generator = PromptedGenerator(parts, learned, tokenizer)
    words = tuple(sorted({word.strip(".") for word in SENTENCES[3].split()}))
    (found,) = generator.generate(Request(prefixes[3:4], 3, banned=(*words, ".")))
    assert all(candidate.text for candidate in found)
    (found,) = generator.generate(Request(prefixes[3:4], effort="draft", prefix="She sold", banned=("the", "red")))
    assert found[0].text.startswith("She sold")


def test_saved_and_read(tiny_model, learned, tokenizer, prefixes, tmp_path):
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior, folder=tmp_path)
    with pytest.raises(LexivertError, match=r"soft_prompt.* is missing"):
        GENERATORS.make("soft_prompt")(parts)
    soft_prompt.save(learned, tokenizer, "another", tmp_path / FOLDER)
    with pytest.raises(DamagedArtifactError, match="was trained for another backbone"):
        GENERATORS.make("soft_prompt")(parts)
    soft_prompt.save(learned, tokenizer, tiny_model.encoder.backbone.fingerprint(), tmp_path / FOLDER)
    state = torch.get_rng_state()
    generator = GENERATORS.make("soft_prompt")(parts)
    assert state.equal(torch.get_rng_state())
    found = generator.generate(Request(prefixes, effort="draft"))
    assert [candidates[0].text for candidates in found] == SENTENCES
    vocabulary = (tmp_path / FOLDER / soft_prompt.MODEL / "tokenizer.json").read_bytes()
    (tmp_path / FOLDER / soft_prompt.MODEL / "tokenizer.json").write_bytes(b"null")
    with pytest.raises(DamagedArtifactError, match="is damaged"):
        GENERATORS.make("soft_prompt")(parts)
    (tmp_path / FOLDER / soft_prompt.MODEL / "tokenizer.json").write_bytes(vocabulary)
    (tmp_path / FOLDER / soft_prompt.PROMPT_WEIGHTS).write_bytes(b"\0" * 20)
    with pytest.raises(DamagedArtifactError, match="is damaged"):
        GENERATORS.make("soft_prompt")(parts)
    with pytest.raises(LexivertError, match="needs its fine-tuned language model"):
        GENERATORS.make("soft_prompt")(GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior))


def test_a_run_without_steps_trains_nothing(tiny_model, tmp_path):
    soft_prompt.save_nothing(tmp_path / FOLDER)
    parts = GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior, folder=tmp_path)
    with pytest.raises(MissingArtifactError, match=r"nothing was trained; set soft_prompt.steps"):
        GENERATORS.make("soft_prompt")(parts)
