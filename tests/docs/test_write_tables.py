"""The tables of the pages: made from metrics by hand-worked examples, written, compared, and refused in one line."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lexivert.controller.registry import DECODERS

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "scripts"


@pytest.fixture(scope="module")
def command() -> Iterator[typer.Typer]:
    """The command of ``scripts/write_tables.py``, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        app = typer.Typer()
        app.command()(importlib.import_module("write_tables").main)
        yield app


@pytest.fixture
def run(command: typer.Typer) -> Callable[..., Any]:
    """Runs the command on a project folder."""
    return lambda root, *options: CliRunner().invoke(command, ["--root", str(root), *options])


def scores(exact: float) -> dict[str, float]:
    return {
        "exact_match": exact,
        "exact_match_low": exact - 0.05,
        "exact_match_high": exact + 0.05,
        "unit_accuracy": 0.98765,
        "bleu": 97.06,
        "chrf": 98.64,
        "token_f1": 0.9934,
        "backbone_cosine": 0.9936,
        "texts": 20,
        "words_01_10": {"exact_match": exact},
        "words_11_20": {"exact_match": exact - 0.1},
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with metrics of two decoders and one page."""
    evaluate = {
        "clean": {"cascade": scores(0.9), "one_shot": scores(0.5)},
        "noisy": {"cascade": scores(0.8), "one_shot": scores(0.25)},
        "rates": {"cascade_texts_per_second": 282.389, "one_shot_texts_per_second": 35.6},
    }
    robustness = {
        "width_192": {"cascade": scores(0.75), "one_shot": scores(0.35)},
        "cosine_0.7": {"cascade": scores(0.6)},
        "storage_int8": {"cascade": scores(0.9)},
    }
    (tmp_path / "metrics").mkdir()
    for name, content in (("evaluate", evaluate), ("robustness", robustness)):
        (tmp_path / "metrics" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "docs").mkdir()
    return tmp_path


def page(project: Path, content: str) -> Path:
    path = project / "README.md"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_table_is_written_between_its_markers(run, project: Path):
    readme = page(project, "before\n\n<!-- table: reading -->\nold\n<!-- end -->\n\nafter\n")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8") == (
        "before\n\n<!-- table: reading -->\n"
        "| decoder | exact (95 % interval) | BLEU | exact, noisy | texts/s |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        f"| {DECODERS['one_shot'].label} | 0.500 (0.450–0.550) | 97.1 | 0.250 | 35.6 |\n"
        f"| {DECODERS['cascade'].label} | 0.900 (0.850–0.950) | 97.1 | 0.800 | 282 |\n"
        "<!-- end -->\n\nafter\n"
    )


def test_sources_in_the_order_of_the_corpus_with_their_own_last(run, project: Path):
    readme = page(project, "<!-- table: by_source -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8").splitlines()[1:-1] == [
        "Not measured on the committed model yet; `dvc repro evaluate` does."
    ]
    path = project / "metrics" / "evaluate.json"
    evaluate = json.loads(path.read_text(encoding="utf-8"))
    for condition, exact in (("clean", 0.9), ("noisy", 0.6)):
        evaluate[condition]["cascade"]["source"] = {name: scores(exact) for name in ("files", "wikipedia", "drama")}
    path.write_text(json.dumps(evaluate), encoding="utf-8")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8").splitlines()[1:-1] == [
        "| source | texts | exact, clean | exact, noisy |",
        "| --- | ---: | ---: | ---: |",
        "| drama | 20 | 0.900 (0.850–0.950) | 0.600 (0.550–0.650) |",
        "| Wikipedia | 20 | 0.900 (0.850–0.950) | 0.600 (0.550–0.650) |",
        "| files | 20 | 0.900 (0.850–0.950) | 0.600 (0.550–0.650) |",
    ]


def test_conditions_are_named_and_missing_cells_are_empty(run, project: Path):
    readme = page(project, "<!-- table: robustness -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    one_shot, cascade = (DECODERS[name].label for name in ("one_shot", "cascade"))
    assert readme.read_text(encoding="utf-8").splitlines()[1:-1] == [
        f"| condition (texts) | {one_shot} | {cascade} |",
        "| --- | ---: | ---: |",
        "| order width 192 (20) | 0.350 | 0.750 (0.700–0.800) |",
        "| cosine 0.7 (20) |  | 0.600 (0.550–0.650) |",
        "| stored as int8 (20) |  | 0.900 (0.850–0.950) |",
    ]


def test_a_figure_within_a_sentence(run, project: Path):
    marker = "<!-- value: evaluate rates.cascade_texts_per_second .1f -->"
    readme = page(project, f"It reads {marker}?<!-- end --> texts a second.\n")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8") == f"It reads {marker}282.4<!-- end --> texts a second.\n"


def test_a_file_is_shown_in_full(run, project: Path):
    (project / "mine.py").write_text("ONE = 1\n\n", encoding="utf-8")
    readme = page(project, "<!-- file: mine.py -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8") == "<!-- file: mine.py -->\n```python\nONE = 1\n```\n<!-- end -->\n"


def test_some_parts_of_a_file_are_shown_with_their_decorators(run, project: Path):
    source = "ONE = 1\n\n\n@cache\n@other\ndef two():\n    return 2\n\n\nclass Three:\n    four = 4\n"
    (project / "mine.py").write_text(source, encoding="utf-8")
    readme = page(project, "<!-- file: mine.py Three two -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    shown = "class Three:\n    four = 4\n\n\n@cache\n@other\ndef two():\n    return 2"
    assert f"```python\n{shown}\n```\n" in readme.read_text(encoding="utf-8")


def test_a_key_may_have_dots_in_it(run, project: Path):
    key = "cosine_0.7.cascade.exact_match"
    readme = page(project, f"<!-- value: robustness {key} .2f --><!-- end -->\n")
    assert run(project).exit_code == 0
    assert ">0.60<" in readme.read_text(encoding="utf-8")


def test_check_names_what_differs_and_writes_nothing(run, project: Path):
    content = "<!-- table: by_length -->\nold\n<!-- end -->\n"
    readme = page(project, content)
    checked = run(project, "--check")
    assert checked.exit_code == 1
    assert checked.stdout == "differs: README.md: table by_length\n"
    assert readme.read_text(encoding="utf-8") == content


def test_what_was_written_passes_the_check_and_is_the_same_twice(run, project: Path):
    readme = page(project, "<!-- table: round_trip -->\n<!-- end -->\n")
    run(project)
    first = readme.read_bytes()
    checked = run(project, "--check")
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert run(project).stdout == ""
    assert readme.read_bytes() == first


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("table: collapse", "table collapse: metrics/collapse.json is missing"),
        ("table: losses", "table losses: experiments/losses.csv is missing"),
        ("table: confidence", "table confidence: metrics/evaluate.json has no confidence.readings"),
        ("table: nonsense", "table nonsense: no table is called nonsense; there are "),
        ("file: nonsense.py", "file nonsense.py: nonsense.py is missing"),
        ("file: empty.py One", "file empty.py One: empty.py has no class or function One"),
        ("value: evaluate rates .1f", "has no number under rates"),
        ("value: evaluate", "needs three words: file, key and format"),
        ("value: evaluate rates.cascade_texts_per_second zz", "has the format zz, which Python can't use"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_writes_nothing(run, project: Path, marker: str, message: str):
    (project / "empty.py").touch()
    content = f"<!-- table: reading -->\n<!-- end -->\n\n<!-- {marker} -->\n<!-- end -->\n"
    readme = page(project, content)
    failed = run(project)
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: README.md: ")
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert readme.read_text(encoding="utf-8") == content


def test_damaged_metrics_are_named(run, project: Path):
    page(project, "<!-- table: reading -->\n<!-- end -->\n")
    (project / "metrics" / "evaluate.json").write_text("{", encoding="utf-8")
    failed = run(project)
    assert failed.exit_code == 1
    assert "metrics/evaluate.json is no JSON" in failed.stderr


def test_a_decoder_without_a_label_is_named(run, project: Path):
    page(project, "<!-- table: reading -->\n<!-- end -->\n")
    path = project / "metrics" / "evaluate.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["clean"]["my_decoder"] = scores(0.5)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "decoders without a label: my_decoder" in run(project).stderr


def test_a_marker_without_an_end_is_named(run, project: Path):
    page(project, "<!-- table: reading -->\n")
    failed = run(project)
    assert failed.exit_code == 1
    assert "has no `<!-- end -->`" in failed.stderr


def test_losses_show_mean_and_half_width(run, project: Path):
    keys = ["margin", "purity_by_maps", "synonym_cosine", "antonym_cosine", "effective_rank", "anisotropy"]
    keys += ["exact_match_noisy", "exact_match_narrow"]
    header = ",".join(["recipe", *(f"{key},{key}_half_width" for key in keys)])
    (project / "experiments").mkdir()
    row = ",".join(["without_anchor", *(["0.5,0.04"] * len(keys))])
    (project / "experiments" / "losses.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    readme = page(project, "<!-- table: losses -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    last = readme.read_text(encoding="utf-8").splitlines()[3]
    assert last.startswith("| without anchor | 0.500 ± 0.040 |")
    assert last.endswith("| 0.50 ± 0.04 | 0.50 ± 0.04 |")


def test_the_index_of_the_log_is_made_of_its_entries(run, project: Path):
    folder = project / "docs" / "log"
    folder.mkdir()
    (folder / "2026-01-01-a.md").write_text("# A: dropped\n\n2026-01-01 · negative\n", encoding="utf-8")
    (folder / "2026-02-01-b.md").write_text("# B: kept\n\n2026-02-01 · kept\n", encoding="utf-8")
    index = folder / "README.md"
    index.write_text("<!-- table: log -->\n<!-- end -->\n", encoding="utf-8")
    page(project, "")
    assert run(project).exit_code == 0
    assert index.read_text(encoding="utf-8").splitlines()[3:-1] == [
        "| [B: kept](2026-02-01-b.md) | kept | 2026-02-01 |",
        "| [A: dropped](2026-01-01-a.md) | negative | 2026-01-01 |",
    ]


def test_every_marker_of_the_pages_names_a_table_and_every_table_is_shown():
    text = "".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"))
    )
    source = (SCRIPTS / "result_tables.py").read_text(encoding="utf-8")
    tables = set(re.findall(r'^    "(\w+)": \w+,$', source.split("TABLES:")[1], re.M))
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == tables


def benchmark(project: Path, name: str, figures: dict[str, Any]) -> None:
    folder = project / "metrics" / "benchmarks"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures), encoding="utf-8")


def test_the_ablation_names_what_is_left_out(run, project: Path):
    rates = {"texts_per_second": 1.64}
    benchmark(
        project,
        "ablation",
        {
            "test-cosine_0.7": {"all": scores(1.0) | rates, "no_selector": scores(0.85)},
            "wikitext-width_192": {"all": scores(0.8) | rates, "no_selector": {"texts": 0}},
        },
    )
    readme = page(project, "<!-- table: ablation -->\n<!-- end -->\n")
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8").splitlines()[1:-1] == [
        "| left out | test, cosine 0.7 (20) | wikitext, order width 192 (20) |",
        "| --- | ---: | ---: |",
        "| nothing | 1.00, 0.99, 0.99; 1.64/s | 0.80, 0.99, 0.99; 1.64/s |",
        "| Selector (unigram prior) | 0.85, 0.99, 0.99 |  |",
    ]


def test_figures_of_wikitext_may_be_left_out(run, project: Path):
    """Any other figure may not; the message names the first that is missing."""
    tables = importlib.import_module("result_tables")
    files: dict[str, dict[str, Any]] = {}
    for file, key, _, _ in tables.BENCHMARKS:
        *folders, last = key.split(".")
        inner = files.setdefault(file, {})
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[last] = 7
    complete = page(project, "<!-- table: benchmarks -->\n<!-- end -->\n")

    def rows() -> list[str]:
        for file, figures in files.items():
            benchmark(project, file, figures)
        assert run(project).exit_code == 0
        return complete.read_text(encoding="utf-8").splitlines()[3:-1]

    assert len(rows()) == len(tables.BENCHMARKS)
    del files["speed"]["wikitext_clean_exact_match"], files["speed"]["wikitext_noisy_exact_match"]
    assert len(rows()) == len(tables.BENCHMARKS) - 2
    assert not [row for row in rows() if "WikiText" in row]
    del files["speed"]["trace_seconds"]
    benchmark(project, "speed", files["speed"])
    assert "metrics/benchmarks/speed.json has no trace_seconds" in run(project).output


GENERATION_TABLES = (
    "generation",
    "generation_by_length",
    "generation_ablation",
    "generation_vectors",
    "generation_beside",
    "generation_examples",
    "generation_five",
)


def generated(f1: float) -> dict[str, float]:
    """Scores of texts that were written."""
    names = ("chrf", "rougeL", "content_f1", "exact_match", "backbone_cosine", "independent_cosine", "repeated_share")
    found = dict.fromkeys(names, 0.25) | {"bleu": 4.56, "nats_a_token": 5.126, "texts": 8, "seconds_a_text": 1.5}
    found |= {"nats_a_token_low": 4.5, "nats_a_token_high": 5.75}
    return found | {"token_f1": f1, "token_f1_low": f1 - 0.1, "token_f1_high": f1 + 0.1}


def test_before_anything_was_generated_the_tables_say_so(run, project: Path):
    readme = page(project, "".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in GENERATION_TABLES))
    assert run(project).exit_code == 0
    assert readme.read_text(encoding="utf-8").count("`dvc repro generation/dvc.yaml` does") == len(GENERATION_TABLES)


def test_the_tables_of_generation(run, project: Path):
    buckets = {"words_04_12": generated(0.5), "words_04_25": generated(0.4), "seconds_a_text": 1.234}
    reference = {"words_04_25": generated(1.0)}
    content = {
        "generators": {"own": {"reference": reference, "language_model_search": buckets}},
        "ablation": {"own": {"full": generated(0.4), "without_revision": generated(0.3)}},
        "vectors": {"midpoint": generated(0.2)},
    }
    folder = project / "metrics" / "generation"
    folder.mkdir()
    (folder / "generate.json").write_text(json.dumps(content), encoding="utf-8")
    rows = ["reference,language_model_search,nearest_sentence", *(f"a{n} | b,w{n},NA" for n in range(10))]
    (folder / "generate.csv").write_text("\n".join(rows), encoding="utf-8")
    readme = page(project, "".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in GENERATION_TABLES))
    assert run(project).exit_code == 0
    text = readme.read_text(encoding="utf-8")
    assert "| own test documents | the texts themselves | 8 | 1.000 (0.900–1.100) | 4.6 |" in text
    assert "| own test documents | language-model search | 8 | 0.400 (0.300–0.500) | 4.6 |" in text
    assert "| 5.13 (4.50–5.75) | 0.250 | 1.23 |" in text
    assert "| own test documents | 4–12 | 8 | 0.500 (0.400–0.600) |" in text
    assert "| own test documents | without revision | 8 | 0.300 (0.200–0.400) |" in text
    assert "| midpoint of two | 8 | 0.250 | 0.200 (0.100–0.300) | 5.13 (4.50–5.75) | 0.250 |" in text
    assert "| language-model search, own test documents | 8 | 0.40 (0.30–0.50) | 4.6 | 0.25 |" in text
    assert "| vec2text, first guess |  | 0.67 | 31.9 | 0.00 |" in text
    assert text.count("| w4 |") == 2
    assert "| a0 \\| b | w0 | NA |" in text
    assert "| a1 \\| b | w1 |\n" not in text  # five of the ten
