from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch

from lexivert.config import ModelConfig
from lexivert.errors import LexivertError
from lexivert.priors.base import TOP_K, Belief, PriorSource, load_prior
from lexivert.priors.selector import SelectorPrior
from lexivert.priors.selector_storage import SIZES, WEIGHTS, SelectorSizes, load_selector, save_selector
from lexivert.text.lexicon import Lexicon


@pytest.fixture
def sizes(config, lexicon, tiny_params):
    return SelectorSizes.of(config, len(lexicon), tiny_params.selector)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models" / "selector"


def made(sizes, seed=3):
    """Prior as if trained."""
    selector = sizes.new(seed)
    generator = torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(selector.query[-1].weight, generator=generator)
    vectors = torch.randn(sizes.units, sizes.embedding_dim, generator=generator)
    return SelectorPrior.of(selector, vectors, torch.randn(sizes.units, generator=generator))


def test_sizes_of_a_run(sizes):
    assert asdict(sizes) == {
        "semantic_width": 32,
        "positions": 97,
        "units": 265,
        "embedding_dim": 8,
        "hidden_dim": 32,
        "context_window": 2,
    }


def test_the_seed_fixes_a_new_selector_and_leaves_others_draws_alone(sizes):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (sizes.new(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_new_selector_asks_for_nothing(sizes):
    belief = Belief.certain(torch.zeros(1, 3, dtype=torch.int64), torch.tensor([3]), torch.ones(1, 32), torch.ones(1))
    with torch.no_grad():
        assert not sizes.new(seed=0)(belief, torch.ones(1, 3, TOP_K, 8)).any()


def test_saved_and_loaded_it_is_the_same(config, lexicon, sizes, folder):
    """Unit vectors are kept as half floats; written again, it is the same bytes."""
    prior = made(sizes)
    save_selector(prior, sizes, folder)
    loaded = load_prior("selector", lexicon, config, folder)
    assert isinstance(loaded, SelectorPrior)
    before, after = prior.selector.state_dict(), loaded.selector.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(loaded.output.weight, prior.output.weight.half().float())
    assert torch.equal(loaded.output.bias, prior.output.bias)
    assert not loaded.selector.training
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(first) == {WEIGHTS, SIZES}
    save_selector(loaded, sizes, folder)  # in place of the old one
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert [path.name for path in folder.parent.iterdir()] == ["selector"]


def test_damage_gives_one_line(config, lexicon, sizes, folder):
    source = PriorSource(lexicon, config, folder)
    with pytest.raises(LexivertError, match="selector is missing; run `dvc repro selector` first"):
        load_selector(source)
    save_selector(made(sizes), sizes, folder)
    weights, content = (folder / WEIGHTS).read_bytes(), json.loads((folder / SIZES).read_text())
    for damaged in (b"", b"rubbish", weights[: len(weights) // 2]):
        (folder / WEIGHTS).write_bytes(damaged)
        with pytest.raises(LexivertError, match=r"selector\.safetensors is damaged .*dvc repro selector") as caught:
            load_selector(source)
        assert "\n" not in str(caught.value)
    (folder / WEIGHTS).write_bytes(weights)
    for change in (
        {"hidden_dim": 64},
        {"hidden_dim": "wide"},
        {"colour": 1},
        {"context_window": 3},
        {"context_window": 0},
        {"embedding_dim": 9},
    ):
        (folder / SIZES).write_text(json.dumps(content | change))
        with pytest.raises(LexivertError, match="dvc repro selector") as caught:
            load_selector(source)
        assert "\n" not in str(caught.value)
    for rubbish in ({}, [], {key: value for key, value in content.items() if key != "units"}):
        (folder / SIZES).write_text(json.dumps(rubbish))
        with pytest.raises(LexivertError, match="dvc repro selector"):
            load_selector(source)


def test_a_missing_file_is_named(config, lexicon, sizes, folder):
    save_selector(made(sizes), sizes, folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(LexivertError, match=r"selector\.safetensors is missing; run `dvc repro selector` first"):
        load_selector(PriorSource(lexicon, config, folder))


def test_a_selector_of_another_layout_is_refused(lexicon, sizes, tiny_params, folder):
    """The width of the order part alone is nothing to it."""
    save_selector(made(sizes), sizes, folder)
    for changes, fits in (({"max_units": 95}, False), ({"embed_dim": 230}, True)):
        code = tiny_params.code.model_copy(update=changes)
        config = ModelConfig.of(tiny_params.model_copy(update={"code": code}), 32)
        source = PriorSource(lexicon, config, folder)
        if fits:
            load_selector(source)
        else:
            with pytest.raises(LexivertError, match=r"\(32, 97, 265\), not \(32, 96, 265\); run `dvc repro`"):
                load_selector(source)


def test_a_selector_of_another_lexicon_is_refused(config, lexicon, sizes, folder):
    save_selector(made(sizes), sizes, folder)
    fewer = Lexicon(lexicon.surfaces[:-1], lexicon.kinds[:-1], lexicon.counts[:-1], lexicon.usage[:-1])
    with pytest.raises(LexivertError, match="run `dvc repro"):
        load_selector(PriorSource(fewer, config, folder))
