"""The curves that dvc.yaml plots are those that stages write, and are drawn without a network, each in its colour."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import vl_convert

from browser import BROWSER, opened
from lexivert.controller.registry import DECODERS
from lexivert.evaluation.robustness import ALL_DECODERS, FEW_DECODERS, LIMITS
from lexivert.evaluation.round_trip import DECODERS_TRIED
from lexivert.yaml_reader import read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PLOTS = {name: plot for named in read_yaml(REPOSITORY / "dvc.yaml")["plots"] for name, plot in named.items()}
SERIES = {name: [series for listed in plot["y"].values() for series in listed] for name, plot in PLOTS.items()}


def test_exact_match_is_plotted_for_every_decoder_the_controllers_on_top():
    clean, noisy = (SERIES[f"Exact match by length, {kind} vectors"] for kind in ("clean", "noisy"))
    assert clean == [f"{name}_clean" for name in DECODERS_TRIED]
    # the nearest sentence of noisy vectors is the line of the clean ones over again, along the axis
    assert noisy == [f"{name}_noisy" for name in DECODERS_TRIED if name != "nearest_sentence"]
    assert clean[-1] == "cascade_clean"


def test_robustness_is_plotted_for_every_decoder_above_the_limits():
    assert SERIES["Exact match by order dimensions a unit"] == [*LIMITS, *ALL_DECODERS]
    assert ALL_DECODERS[-1] == "cascade"


@pytest.mark.parametrize("names", [ALL_DECODERS, FEW_DECODERS, DECODERS_TRIED[1:]])
def test_decoders_are_the_registrys(names):
    assert set(names) <= set(DECODERS)


def write_tables(root: Path, factor: float) -> None:
    """Every table that is plotted, three rows, each column at a height of its own."""
    tables: dict[str, dict[str, list[float]]] = {}
    for plot in PLOTS.values():
        for file, columns in plot["y"].items():
            table = tables.setdefault(file, {plot["x"]: [1.0, 2.0, 3.0]})
            for column in columns:
                height = len(table) * factor
                table[column] = [height, height, height + 0.5]
    for file, table in tables.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(table).to_csv(root / file, index=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """The pages of `dvc plots show` and `dvc plots diff` in a copy of the project's pipeline."""
    root = tmp_path_factory.mktemp("plotted")
    shutil.copyfile(REPOSITORY / "dvc.yaml", root / "dvc.yaml")
    shutil.copyfile(REPOSITORY / "params.yaml", root / "params.yaml")
    (root / ".dvc" / "plots").mkdir(parents=True)
    for name in ("config", "plots/by_series.json"):
        shutil.copyfile(REPOSITORY / ".dvc" / name, root / ".dvc" / name)
    (root / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "write_plots_page.py", root / "scripts")

    def run(*command: str) -> None:
        environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root / ".dvc" / "site")}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    write_tables(root, 1.0)
    run("git", "init", "--quiet")
    run("git", "add", "--all")
    run("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "tables")
    write_tables(root, 1.5)
    run(sys.executable, "scripts/write_plots_page.py")
    dvc = (sys.executable, "-m", "dvc", "plots")
    run(*dvc, "show", "--out", "shown")
    run(*dvc, "diff", "HEAD", "--out", "compared")
    return {"show": root / "shown" / "index.html", "diff": root / "compared" / "index.html"}


def specifications(page: Path) -> dict[str, dict]:
    """What is drawn, by title."""
    found = re.findall(r"var spec = (\{.*\});$", page.read_text(encoding="utf-8"), flags=re.M)
    return {spec["title"]["text"]: spec for spec in map(json.loads, found)}


def lines(svg: str) -> list[tuple[str, str | None]]:
    """Colour and dashes of every line of a drawing."""
    paths = re.findall(r"<path [^>]*aria-roledescription=\"line mark\"[^>]*>", svg)
    dashes = [re.search(r'stroke-dasharray="([^"]*)"', path) for path in paths]
    colours = [re.search(r'stroke="([^"]*)"', path)[1] for path in paths]
    return list(zip(colours, [dash[1] if dash else None for dash in dashes], strict=True))


@pytest.mark.parametrize("command", ["show", "diff"])
def test_every_plot_is_on_a_page_that_needs_no_network(pages, command):
    page = pages[command].read_text(encoding="utf-8")
    assert list(specifications(pages[command])) == list(PLOTS)
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert page.count("</script>") == len(PLOTS) + 1  # Vega's own text ends none


@pytest.mark.parametrize("name", PLOTS)
def test_every_series_has_a_colour_and_every_revision_its_dashes(pages, name):
    for command, revisions in (("show", 1), ("diff", 2)):
        drawn = lines(vl_convert.vegalite_to_svg(specifications(pages[command])[name]))
        assert len(set(drawn)) == len(drawn) == len(SERIES[name]) * revisions
        assert len({colour for colour, _ in drawn}) == len(SERIES[name])
        assert len({dashes for _, dashes in drawn}) == revisions


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("command", "width"), [("show", 1280), ("diff", 400)])
def test_a_browser_without_a_network_draws_every_line(pages, tmp_path, command, width):
    seen = opened(pages[command], tmp_path, width)
    assert seen.messages == []
    assert len(lines(seen.content)) == sum(map(len, SERIES.values())) * (1 if command == "show" else 2)
    assert seen.scroll_width <= seen.width
