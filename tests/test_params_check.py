"""Params that make sense only together are refused before any stage runs."""

from __future__ import annotations

import json
import shutil

import pytest
from ruamel.yaml import YAML

from lexivert.config import load_params
from lexivert.encoders.known import known_width
from lexivert.errors import LexivertError
from lexivert.params_check import check_params
from lexivert.stages import code, fetch
from lexivert.stages.__main__ import main
from lexivert.yaml_reader import overridden, read_yaml
from sections import REPOSITORY, section


@pytest.fixture
def changed(tiny_params):
    """The tiny params with some values changed."""

    def change(**sections):
        return type(tiny_params).model_validate(overridden(tiny_params.model_dump(), sections))

    return change


def test_the_repositorys_own_params_and_the_tests_are_fine(tiny_params):
    check_params(load_params(REPOSITORY / "params.yaml"))
    check_params(load_params(REPOSITORY / "params.yaml", REPOSITORY / "params.quick.yaml"))
    check_params(tiny_params)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"code": {"embed_dim": 32}}, r"code\.embed_dim 32 leaves 0 dimensions beside the backbone's 32"),
        ({"code": {"embed_dim": 20}}, r"code\.embed_dim 20 leaves -12 dimensions"),
        ({"code": {"embed_dim": 255}}, r"code\.embed_dim 255 leaves 223 dimensions .*must be even"),
        ({"code": {"binding": "rotray"}}, r"there is no .*binding 'rotray', but rotary"),
        ({"controller": {"algorithm": "cascde"}}, r"there is no .* 'cascde', but .*cascade"),
        ({"controller": {"prior": "selectr:models/x"}}, r"there is no prior 'selectr', but "),
        ({"backbone": {"model": "mine:folder"}}, r"there is no sentence encoder 'mine', but huggingface"),
        ({"backbone": {"model": "./gone"}}, r"backbone\.model is './gone', but there is no such folder"),
        ({"backbone": {"model": ""}}, r"backbone\.model is ''; give "),
        ({"backbone": {"model": "nobody/nothing"}}, r"backbone\.model 'nobody/nothing' can't be loaded"),
        ({"backbone": {"max_tokens": 65}}, r"backbone\.max_tokens is 65, but .* reads 64 tokens at most"),
        ({"index": {"factory": "Flatt"}}, r"index\.factory 'Flatt' does not work in 224 dimensions"),
        ({"index": {"factory": "PQ64"}}, r"index\.factory 'PQ64' does not work in 224 dimensions"),
        ({"robustness": {"decisive": ["width_1"]}}, r"robustness\.decisive: 'width_1' is none of width_128, "),
        ({"robustness": {"widths": [128, 226]}}, r"robustness\.widths: 226 is wider than the order part, .* 224 "),
        ({"robustness": {"lengths": [90]}}, r"robustness\.lengths: texts of 90 to 98 units are longer .*, 96$"),
    ],
)
def test_what_a_later_stage_could_only_refuse_is_refused_in_one_line(changed, sections, message):
    with pytest.raises(LexivertError, match=message) as caught:
        check_params(changed(**sections))
    assert "\n" not in str(caught.value)


def test_nothing_has_run_by_then(monkeypatch, tmp_path, capsys):
    ran = []
    for stage in (code, fetch):
        monkeypatch.setattr(stage, "run", lambda paths, params: ran.append(paths))
    (tmp_path / "narrow.yaml").write_text("code: { embed_dim: 300 }\n")
    options = ["--root", str(tmp_path), "--params", str(REPOSITORY / "params.yaml")]
    assert main(["code", "fetch", *options, "--overrides", str(tmp_path / "narrow.yaml")]) == 1
    assert capsys.readouterr().err == (
        f"error: {REPOSITORY / 'params.yaml'} with {tmp_path / 'narrow.yaml'}: code.embed_dim 300 leaves -84 "
        "dimensions beside the backbone's 384; the order part must be even and at least 2 wide\n"
    )
    assert ran == []
    assert main(["code", "fetch", *options]) == 0
    assert len(ran) == 2


CHECKED_TOGETHER = [
    {"code": {"embed_dim": 20}},
    {"index": {"factory": "Flatt"}},
    {"robustness": {"lengths": [90]}},
    {"robustness": {"widths": [226]}},
    {"code": {"binding": "rotray"}},
    {"backbone": {"model": "./gone"}},
]


@pytest.mark.parametrize("sections", CHECKED_TOGETHER, ids=str)
def test_the_files_that_were_given_are_named(changed, tiny_params_file, tmp_path, capsys, sections):
    other, narrow = tmp_path / "other.yaml", tmp_path / "narrow.yaml"
    YAML(typ="safe", pure=True).dump(overridden(read_yaml(tiny_params_file), sections), other)
    YAML(typ="safe", pure=True).dump(sections, narrow)
    for options, named in (
        (["--params", str(other)], f"{other}"),
        (["--params", str(tiny_params_file), "--overrides", str(narrow)], f"{tiny_params_file} with {narrow}"),
    ):
        assert main(["corpus", "--root", str(tmp_path), *options]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"error: {named}: ")
        assert err.count("params.yaml") == err.count(str(tiny_params_file)) + err.count("(params.yaml: plugins)")
    with pytest.raises(LexivertError) as caught:  # without a file, none is made up
        check_params(changed(**sections))
    assert "params.yaml: " not in str(caught.value).replace("(params.yaml: plugins)", "")


def _cached_model(cache, name):
    """The folder of a model's files in the hub's cache, as its library lays it out."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    (model / "snapshots" / commit).mkdir(parents=True)
    return model / "snapshots" / commit


class TestWidth:
    def test_of_the_packaged_model_and_of_a_folder(self, tiny_backbone):
        assert known_width(section("backbone")) == 384
        assert known_width(section("backbone", model=str(tiny_backbone), max_tokens=64)) == 32

    def test_what_its_config_does_not_tell_is_left_to_the_stage(self, tiny_backbone, tmp_path):
        folder = shutil.copytree(tiny_backbone, tmp_path / "other")
        config = json.loads((folder / "config.json").read_text())
        del config["hidden_size"]
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer_config.json").unlink()
        assert known_width(section("backbone", model=str(folder), max_tokens=64)) is None

    def test_of_the_hub_through_its_cache(self, tiny_backbone, tmp_path, monkeypatch):
        """With and without the file that tells what the tokeniser reads, which a model may lack."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        folder = _cached_model(tmp_path, "someone/tiny")
        for file in ("config.json", "tokenizer_config.json"):
            shutil.copyfile(tiny_backbone / file, folder / file)
        assert known_width(section("backbone", model="someone/tiny", max_tokens=64)) == 32
        with pytest.raises(LexivertError, match=r"reads 64 tokens at most"):
            known_width(section("backbone", model="someone/tiny", max_tokens=65))
        (folder / "tokenizer_config.json").unlink()
        assert known_width(section("backbone", model="someone/tiny", max_tokens=64)) == 32
        (folder / "config.json").unlink()
        with pytest.raises(LexivertError, match=r"backbone\.model 'someone/tiny' can't be loaded"):
            known_width(section("backbone", model="someone/tiny", max_tokens=64))

    def test_a_file_that_the_hub_is_known_not_to_have(self, tiny_backbone, tmp_path, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        folder = _cached_model(tmp_path, "someone/tiny")
        shutil.copyfile(tiny_backbone / "config.json", folder / "config.json")
        absent = folder.parents[1] / ".no_exist" / folder.name / "tokenizer_config.json"
        absent.parent.mkdir(parents=True)
        absent.touch()
        assert known_width(section("backbone", model="someone/tiny", max_tokens=64)) == 32

    def test_an_encoder_decoder_and_a_damaged_config_are_refused(self, tiny_backbone, tmp_path):
        folder = shutil.copytree(tiny_backbone, tmp_path / "other")
        (folder / "config.json").write_text('{"is_encoder_decoder": true, "d_model": 8}')
        with pytest.raises(LexivertError, match="is an encoder-decoder; a backbone must be an encoder"):
            known_width(section("backbone", model=str(folder), max_tokens=64))
        (folder / "config.json").write_text("{")
        with pytest.raises(LexivertError, match=r"config\.json is not valid JSON"):
            known_width(section("backbone", model=str(folder), max_tokens=64))
