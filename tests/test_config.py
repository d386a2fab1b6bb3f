from __future__ import annotations

import datetime
import functools
import json
import math
import re
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from dvc.utils.serialize import load_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from sklearn.cluster import KMeans

from lexivert.codes.bindings import binding_of
from lexivert.config import MODEL_FILE, ModelConfig, Params, load_params
from lexivert.errors import LexivertError
from lexivert.yaml_reader import overridden, read_yaml, validated
from sections import section

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def content():
    return read_yaml(PROJECT / "params.yaml")


@pytest.fixture
def text():
    return (PROJECT / "params.yaml").read_text(encoding="utf-8")


def write(tmp_path, content):
    path = tmp_path / "params.yaml"
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        YAML(typ="safe", pure=True).dump(content, path)
    return path


def fails(path):
    """The one line that reading ends with."""
    with pytest.raises(LexivertError) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def leaves(section, *place):
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, *place, name)
        else:
            yield (*place, name)


CONTENT = read_yaml(PROJECT / "params.yaml")
LEAVES = list(leaves(CONTENT))


def test_the_projects_own_params(tmp_path):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    params = load_params(tmp_path / "params.yaml")
    assert params.corpus.source == "embedded"
    assert params.code.embed_dim == 2048
    assert params.vocab.ngram_max == 7
    assert params.controller.cascade.restarts[0].variance_scale == 0.8


def test_every_stage_has_a_section(content):
    assert set(content) - {"seed"} == set(Params.model_fields) - {"seed"}


def test_it_is_read_as_dvc_reads_it(tmp_path, text):
    """YAML 1.2: numbers with an exponent and no point, octals, words that YAML 1.1 took for booleans."""
    changed = (
        text.replace("weight_decay: 1.0e-2", "weight_decay: 5e-3")
        .replace("seed: 42", "seed: 0o52")
        .replace("source: embedded", "source: files")
        .replace("files: []", "files: [no, off.txt, 'a: b.txt']")
    )
    path = write(tmp_path, changed)
    assert read_yaml(path) == load_yaml(str(path))
    params = load_params(path)
    assert params.token_head.weight_decay == 0.005
    assert params.seed == 42
    assert params.corpus.files == ("no", "off.txt", "a: b.txt")


@pytest.mark.parametrize("keys", LEAVES, ids=[".".join(keys) for keys in LEAVES])
def test_no_key_has_a_second_default(tmp_path, content, keys):
    section = content
    for key in keys[:-1]:
        section = section[key]
    del section[keys[-1]]
    assert fails(write(tmp_path, content)).endswith(f"params.yaml: {'.'.join(keys)}: this key is missing")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("corpus", "valid_share"), 1.5, r"corpus.valid_share: .*less than or equal to 1, not 1.5"),
        (("corpus", "source"), "web", r"corpus.source: .*'embedded', 'datasets' or 'files', not 'web'"),
        (("corpus", "shuffle"), True, r"corpus.shuffle: no such key; there are source, folder, dataset,"),
        (("vocab", "ngram_max"), 8, r"vocab.ngram_max: .*less than or equal to 7, not 8"),
        (("corpus", "test_share"), 0.98, r"corpus: valid_share 0\.02 plus test_share 0\.98 must be below 1$"),
        (("vocab", "ngram_min"), 8, r"vocab: ngram_min 8 must be at most ngram_max 7$"),
        (
            ("vocab", "languages"),
            ["en", "xx"],
            r"vocab.languages.1: a language with a word list is one of ar bg .* zh, not 'xx'$",
        ),
        (
            ("vocab", "languages"),
            ["en", "de", "en"],
            r"vocab.languages: en stands twice; name each language once, not",
        ),
        (("vocab", "languages"), "en", r"vocab.languages: a list is needed, not 'en'$"),
        (("vocab", "language_words"), -1, r"vocab.language_words: .*greater than or equal to 0, not -1$"),
        (("vocab", "min_count", "word"), 0, r"vocab.min_count.word: .*greater than or equal to 1, not 0"),
        (("code", "semantic_share"), 0.0, r"code.semantic_share: .*greater than 0, not 0.0"),
        (("token_head", "learning_rate"), "fast", r"token_head.learning_rate: .*valid number.*, not 'fast'"),
        (("vocab", "min_count", "wrod"), 2, r"vocab.min_count.wrod: no such key; there are word,"),
        (("controllr",), {}, r"controllr: no such key; there are seed, plugins, corpus, .*controller, "),
        (("selector", "steps"), 905, r"selector.steps: .*multiple of 10, not 905"),
        (("controller", "amp", "damping"), 1.0, r"controller.amp.damping: .*less than 1, not 1.0"),
        (
            ("controller", "cascade", "restarts"),
            [{"damping": 0.1, "variance": 1.0, "variance_scale": 1.0}],
            r"controller.cascade.restarts.0.variance: no such key; there are damping, variance_scale$",
        ),
        (
            ("controller", "cascade", "restarts"),
            [{"damping": 0.1}],
            r"controller.cascade.restarts.0.variance_scale: this key is missing$",
        ),
    ],
)
def test_wrong_values_name_file_key_and_value(tmp_path, content, keys, value, message):
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    assert re.search(message, fails(write(tmp_path, content)))


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1e999"])
def test_numbers_are_finite(tmp_path, text, value):
    changed = text.replace("weight_decay: 1.0e-2", f"weight_decay: {value}", 1)
    number = str(float(value.replace(".", "", 1) if value != "1e999" else "inf"))
    expected = f"token_head.weight_decay: input should be a finite number, not {number}"
    assert fails(write(tmp_path, changed)).endswith(expected)


def changed(content, keys, value):
    """A copy with one value changed."""
    head, *rest = keys
    return content | {head: changed(content[head], rest, value) if rest else value}


def wrong_types(value):
    """Values that YAML, Python or NumPy would take for one of this type, or that have no place among numbers."""
    if isinstance(value, bool | str):
        return [True, 1, None, [value]]
    if isinstance(value, int):
        return [
            True,
            False,
            float(value),
            str(value),
            None,
            [value],
            math.inf,
            math.nan,
            2**70,
            -1,
            datetime.date.min,
        ]
    if isinstance(value, float):
        return [True, str(value), None, [value], math.inf, -math.inf, math.nan, 10**400, datetime.date.min]
    return [True, "ab", None, {"a": 1}, {"a", "b"}, [[[1]]], [True]]


@pytest.mark.parametrize("keys", LEAVES, ids=[".".join(keys) for keys in LEAVES])
def test_every_value_has_exactly_its_type(keys):
    value = functools.reduce(dict.__getitem__, keys, CONTENT)
    name = ".".join(keys)
    for wrong in wrong_types(value):
        with pytest.raises(LexivertError, match=rf"^p\.yaml: {re.escape(name)}(\.0)?: ") as caught:
            validated(Params, changed(CONTENT, keys, wrong), Path("p.yaml"))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize("keys", [("robustness", name) for name in ("widths", "lengths", "cosines")])
def test_items_of_lists_have_exactly_their_type(keys):
    (item, *_) = functools.reduce(dict.__getitem__, keys, CONTENT)
    for wrong in (True, str(item), math.inf, math.nan, None):
        with pytest.raises(LexivertError, match=rf"{'.'.join(keys)}\.0: "):
            validated(Params, changed(CONTENT, keys, [wrong]), Path("p.yaml"))


def test_an_integer_may_stand_where_a_fraction_may(content):
    params = validated(Params, changed(content, ("token_head", "learning_rate"), 1), Path("p.yaml"))
    assert params.token_head.learning_rate == 1.0


def test_a_seed_fits_every_library(content):
    for seed in (0, 2**32 - 1):
        params = validated(Params, content | {"seed": seed}, Path("p.yaml"))
        torch.manual_seed(params.seed)
        KMeans(n_clusters=1, n_init=1, random_state=params.seed).fit(np.ones((2, 2)))
    for seed in (-1, 2**32, 2**70):
        with pytest.raises(LexivertError, match=rf"seed: .*(greater|less) than or equal to \d+, not {seed}$"):
            validated(Params, content | {"seed": seed}, Path("p.yaml"))


@pytest.mark.parametrize(
    "written",
    [
        "[" * 100_000,
        "seed: " + "{a: " * 5_000,
        "seed: 0x" + "f" * 5_000,
        "seed: " + "9" * 5_000,
        "seed: &a [*a]",
        "seed: &a {b: *a}",
        "seed: !!bool x",
        "seed: !!omap [a: 1, a: 2]",
        "seed: !!python/object:os.system x",
        "seed: 2026-13-45",
        "seed: *nothing",
        "seed: 1\n---\nseed: 2",
        "seed: !!binary gIGC",
        "? [a, b]\n: 1",
        "1: 2",
        "- 1",
        "12",
    ],
    ids=lambda text: text[:24],
)
def test_whatever_is_written_is_one_short_line(tmp_path, written):
    assert len(fails(write(tmp_path, written))) < 400 + len(str(tmp_path))


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4))
def test_no_value_passes_but_one_of_its_type(value):
    for keys in LEAVES[::5]:
        try:
            validated(Params, changed(CONTENT, keys, value), Path("p.yaml"))
        except LexivertError as error:
            assert "\n" not in str(error)  # noqa: PT017 it may also pass
        else:
            former = functools.reduce(dict.__getitem__, keys, CONTENT)
            assert type(value) is type(former) or (type(former) is float and type(value) is int)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("  nprobe: 16\n", "  nprobe: 16\n  nprobe: 16\n", "nprobe"),
        ("collapse:\n", "index:\n  nprobe: 3\ncollapse:\n", "index"),
        ("{ start: 0.2, end: 0.1 }", "{ start: 0.2, end: 0.1, start: 0.3 }", "start"),
        ("{ damping: 0.0, variance_scale: 0.8 }", "{ damping: 0.0, variance_scale: 0.8, damping: 1 }", "damping"),
        ("seed: 42\n", "seed: 42\n'seed': 43\n", "seed"),
        ("seed: 42\n", "<<: {seed: 1}\n<<: {seed: 2}\nseed: 42\n", "<<"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path, text, old, new, key):
    message = fails(write(tmp_path, text.replace(old, new)))
    assert re.search(rf'params\.yaml: line \d+: key "{key}" stands twice in its section; keep one$', message)


def test_a_misspelt_key_is_named_with_the_one_that_it_stands_for(tmp_path, content):
    content["code"]["embed_dims"] = content["code"].pop("embed_dim")
    message = fails(write(tmp_path, content))
    assert "params.yaml: code.embed_dims: no such key, while code.embed_dim is missing; there are " in message


def test_a_missing_section_is_named(tmp_path, content):
    del content["backbone"]
    assert fails(write(tmp_path, content)).endswith("params.yaml: backbone: this key is missing")


def test_missing_and_broken_files(tmp_path):
    path = tmp_path / "params.yaml"
    assert "run from the project's root folder" in fails(path)
    assert "params.yaml is not valid YAML" in fails(write(tmp_path, "seed: [1\ncorpus: {"))
    path.write_bytes(b"seed: 1 # caf\xe9\n")
    assert fails(path).endswith("params.yaml is not UTF-8 (byte 13); save it as UTF-8")
    assert "top level" in fails(write(tmp_path, ""))


class TestOverrides:
    def test_leaves_replace_leaves(self, tmp_path):
        (tmp_path / "small.yaml").write_text("seed: 7\nselector: { steps: 10, bag_of_words: { steps: 20 } }\n")
        params, own = (
            load_params(PROJECT / "params.yaml", tmp_path / "small.yaml"),
            load_params(PROJECT / "params.yaml"),
        )
        assert params.seed == 7
        assert params.selector.steps == 10
        assert params.selector.bag_of_words.steps == 20
        assert params.selector.bag_of_words.batch_size == own.selector.bag_of_words.batch_size
        assert params.controller == own.controller

    def test_nothing_in_the_file_changes_nothing(self, tmp_path):
        (tmp_path / "small.yaml").write_text("# nothing\n")
        assert load_params(PROJECT / "params.yaml", tmp_path / "small.yaml") == load_params(PROJECT / "params.yaml")

    def test_the_message_names_the_second_file(self, tmp_path):
        (tmp_path / "small.yaml").write_text("selector: { stepz: 10 }\n")
        with pytest.raises(LexivertError, match=r"small\.yaml: selector\.stepz: no such key; there are hidden_dim,"):
            load_params(PROJECT / "params.yaml", tmp_path / "small.yaml")

    @pytest.mark.parametrize(
        ("first", "second", "named"),
        [
            ({"seed": -1}, {"selector": {"steps": 10}}, "first.yaml"),
            ({"seed": -1}, {}, "first.yaml"),
            ({"selector": {"steps": -1}}, {"selector": {"hidden_dim": 8}}, "first.yaml"),
            ({"plugins": [1]}, {"seed": 1}, "first.yaml"),
            ({}, {"seed": -1}, "second.yaml"),
            ({}, {"selector": {"steps": -1}}, "second.yaml"),
            ({}, {"selector": 3}, "second.yaml"),
            ({}, {"plugins": [1]}, "second.yaml"),
            ({}, {"controller": {"cascade": {"restarts": [{"damping": 2.0, "variance_scale": 1.0}]}}}, "second.yaml"),
            ({"corpus": {"valid_share": 0.6}}, {"corpus": {"test_share": 0.6}}, "first.yaml with second.yaml"),
        ],
    )
    def test_the_message_names_the_file_that_states_the_value(self, tmp_path, monkeypatch, first, second, named):
        monkeypatch.chdir(tmp_path)
        for name, content in (("first.yaml", overridden(deepcopy(CONTENT), first)), ("second.yaml", second)):
            YAML(typ="safe", pure=True).dump(content, Path(name))
        with pytest.raises(LexivertError) as caught:
            load_params(Path("first.yaml"), Path("second.yaml"))
        assert str(caught.value).startswith(f"{named}: ")

    def test_a_key_that_is_missing_in_both_is_missing_in_the_first(self, tmp_path):
        content = {key: value for key, value in CONTENT.items() if key != "seed"}
        YAML(typ="safe", pure=True).dump(content, tmp_path / "first.yaml")
        (tmp_path / "second.yaml").write_text("selector: { steps: 10 }\n")
        with pytest.raises(LexivertError, match=r"first\.yaml: seed: this key is missing$"):
            load_params(tmp_path / "first.yaml", tmp_path / "second.yaml")

    def test_a_value_may_replace_a_section_and_a_section_a_value(self):
        assert overridden({"a": {"b": 1}, "c": 2}, {"a": 3, "c": {"d": 4}}) == {"a": 3, "c": {"d": 4}}


def test_sections_of_tests_are_the_repositorys():
    assert section("token_head").batch_size == load_params(PROJECT / "params.yaml").token_head.batch_size
    changed = section("token_head", hidden=8, weight={"synonym": 0.5})
    assert (changed.hidden, changed.weight.synonym, changed.weight.contrastive) == (8, 0.5, 1.0)


class TestModelConfig:
    def test_of_a_run(self, tiny_params):
        config = ModelConfig.of(tiny_params, 32)
        assert config.order_width == 256 - 32
        assert config.seed == tiny_params.seed
        binding = binding_of(config)
        assert (binding.width, binding.positions) == (224, 97)

    @pytest.mark.parametrize(("width", "left"), [(31, 225), (256, 0), (300, -44)])
    def test_the_order_part_must_be_even_and_there(self, tiny_params, width, left):
        with pytest.raises(LexivertError, match=rf"code\.embed_dim 256 leaves {left} dimensions beside .* {width}"):
            ModelConfig.of(tiny_params, width)

    def test_saved_and_loaded_it_is_the_same(self, tiny_params, tmp_path):
        config = ModelConfig.of(tiny_params, 32)
        config.save(tmp_path)
        assert ModelConfig.load(tmp_path) == config

    def test_one_of_another_release_is_told_by_its_keys(self, tiny_params, tmp_path):
        ModelConfig.of(tiny_params, 32).save(tmp_path)
        content = json.loads((tmp_path / MODEL_FILE).read_text())
        del content["code"]["eos_energy"]
        reason = "code.eos_energy is missing, so another release made it"
        for wrong, message in (
            (content, reason),
            (content | {"code": content["code"] | {"end_energy": 1.5}}, reason),
            (content | {"code": content["code"] | {"eos_energy": 1.0, "more": 1}}, "code.more is no key of this"),
        ):
            (tmp_path / MODEL_FILE).write_text(json.dumps(wrong))
            with pytest.raises(LexivertError, match=message) as caught:
                ModelConfig.load(tmp_path)
            assert "make the model anew: `make reproduce`, `make quick`, or `dvc repro index`" in str(caught.value)

    def test_a_damaged_one_gives_one_line(self, tiny_params, tmp_path):
        with pytest.raises(LexivertError, match=r"config\.json is missing"):
            ModelConfig.load(tmp_path)
        ModelConfig.of(tiny_params, 32).save(tmp_path)
        content = json.loads((tmp_path / MODEL_FILE).read_text())
        for wrong in ({}, content | {"semantic_width": 0}, content | {"seed": "x"}, content | {"more": 1}, []):
            (tmp_path / MODEL_FILE).write_text(json.dumps(wrong))
            with pytest.raises(LexivertError, match="dvc repro index") as caught:
                ModelConfig.load(tmp_path)
            assert "\n" not in str(caught.value)
