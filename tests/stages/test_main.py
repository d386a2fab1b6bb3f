"""The command that runs stages: order, options, one-line errors."""

from __future__ import annotations

from functools import partial

import pytest

from lexivert.stages import __main__ as stages_main
from lexivert.stages import code, corpus, fetch
from lexivert.stages.__main__ import STAGES, main, run_stages
from sections import REPOSITORY

PARAMS = str(REPOSITORY / "params.yaml")


@pytest.fixture
def seen(monkeypatch):
    """Runs of two stages, which do nothing."""
    runs = []
    for name, stage in (("fetch", fetch), ("corpus", corpus)):
        record = partial(lambda name, paths, params: runs.append((name, paths.root, params.seed)), name)
        monkeypatch.setattr(stage, "run", record)
    return runs


def test_stages_run_in_the_given_order(seen, tmp_path):
    assert main(["corpus", "fetch", "--root", str(tmp_path), "--params", PARAMS]) == 0
    assert seen == [("corpus", tmp_path, 42), ("fetch", tmp_path, 42)]


def test_overrides_replace_params(seen, tmp_path):
    (tmp_path / "small.yaml").write_text("seed: 7\n")
    options = ["--root", str(tmp_path), "--params", PARAMS, "--overrides", str(tmp_path / "small.yaml")]
    assert main(["fetch", *options]) == 0
    assert seen == [("fetch", tmp_path, 7)]


def test_an_unknown_stage_is_named_before_anything_runs(seen, tmp_path, capsys):
    assert main(["fetch", "fecth", "--root", str(tmp_path), "--params", PARAMS]) == 1
    assert capsys.readouterr().err == f"error: there is no stage 'fecth'; there are {', '.join(STAGES)}\n"
    assert seen == []


def test_params_are_read_and_plugins_loaded_once(seen, monkeypatch, tmp_path):
    calls = []
    for name, function in (("load_params", stages_main.load_params), ("check_names", stages_main.check_names)):
        monkeypatch.setattr(stages_main, name, partial(_noted, calls, name, function))
    monkeypatch.setattr(stages_main.plugins, "load", partial(_noted, calls, "plugins", stages_main.plugins.load))
    assert main(["fetch", "--root", str(tmp_path), "--params", PARAMS]) == 0
    assert sorted(calls) == ["check_names", "load_params", "plugins"]


def _noted(calls, name, function, *arguments):
    calls.append(name)
    return function(*arguments)


def test_a_defect_keeps_its_traceback(monkeypatch, tmp_path):
    def broken(paths, params):
        raise ZeroDivisionError

    monkeypatch.setattr(code, "run", broken)
    with pytest.raises(ZeroDivisionError):
        run_stages(["code"], tmp_path, REPOSITORY / "params.yaml")
