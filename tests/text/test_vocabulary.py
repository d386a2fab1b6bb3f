import numpy as np
import pyarrow as pa
import pytest

from lexivert.text.lexicon import COUNTED_KINDS, EOS, RESERVED, Lexicon
from lexivert.text.ngrams import encode_texts
from lexivert.text.segmentation import Segmenter
from lexivert.text.segmenting import segment_texts
from lexivert.text.vocabulary import (
    Unit,
    assemble,
    build_lexicon,
    choose,
    count_candidates,
    count_units,
    coverage,
    lexicon_metrics,
    usage_of,
)
from sections import section


def params_of(min_count=1, most=1000, **options):
    return section(
        "vocab",
        min_count=dict.fromkeys(COUNTED_KINDS, min_count),
        max_units=dict.fromkeys(COUNTED_KINDS, most),
        **{"pieces": 300, **options},
    )


ROWS = [
    "The green hill is green.",
    "New York's green hill cost 1,234 on the 5th.",
    "Near New York the green hill stands.",
]


def test_kinds_and_counts_worked_by_hand():
    units = {unit.surface: (unit.kind, unit.count) for unit in count_candidates(encode_texts(ROWS), params_of())}
    assert units["green"] == ("word", 4)
    assert units["The"] == ("cased", 1)
    assert units["York"] == ("entity", 2)
    assert units["New York"] == ("entity", 2)
    assert units["Near New York"] == ("entity", 1)
    assert units["1,234"] == ("number", 1)
    assert units["5th"] == ("numeric", 1)
    assert units["'s"] == ("anomalous", 1)
    assert units["."] == ("punctuation", 3)
    assert units["green hill"] == ("ngram", 3)
    assert units["the green hill stands"] == ("ngram", 1)
    assert "on the 5th" not in units
    assert "The green" not in units


def test_named_entity_does_not_depend_on_row_order_nor_on_the_word_being_frequent():
    rows = ["Rose and Rose and Violet and Violet", "a rose"]
    for order in (rows, rows[::-1]):
        kinds = {unit.surface: unit.kind for unit in count_candidates(encode_texts(order), params_of(2))}
        assert kinds["Rose"] == "cased"
        assert kinds["Violet"] == "entity"
        assert "rose" not in kinds


def test_shortest_phrase_is_respected():
    units = count_candidates(encode_texts(["a b c", "a b c"]), params_of(2, ngram_min=3))
    assert [unit.surface for unit in units if unit.kind == "ngram"] == ["a b c"]


def test_choice_is_the_most_frequent_with_ties_by_surface_and_without_reserved_looks():
    units = [Unit(s, "word", n) for s, n in {"c": 2, "b": 2, "a": 1, "d": 3, "##x": 9, "<y": 9}.items()]
    assert [unit.surface for unit in choose(units, params_of(1, 2))] == ["d", "b"]
    assert [unit.surface for unit in choose(units, params_of(2, 9))] == ["d", "b", "c"]


def test_ids_go_by_usage_then_count_then_surface():
    lexicon = assemble(
        [Unit("a", "word", 1, 5), Unit("c", "word", 7), Unit("b", "word", 7), Unit("<cap>", "control", 0, 4)]
    )
    assert lexicon.surfaces == (*RESERVED, "a", "b", "c")
    assert lexicon.usage[lexicon.id_of["<cap>"]] == 4


@pytest.fixture(scope="module")
def built():
    return build_lexicon(ROWS * 2, params_of(2))


@pytest.fixture(scope="module")
def lexicon(built):
    return built[0]


def test_the_training_rows_come_in_the_units_of_the_finished_lexicon(built):
    lexicon, segments = built
    assert segments.to_pylist() == Segmenter(lexicon).segment_batch(ROWS * 2)
    assert segments.type == pa.list_(pa.int32())


def test_rows_are_segmented_in_order_and_may_be_empty(lexicon):
    segments = segment_texts(lexicon, [ROWS[1], "", ROWS[0]], "rows")
    assert segments.to_pylist() == Segmenter(lexicon).segment_batch([ROWS[1], "", ROWS[0]])
    assert segment_texts(lexicon, [], "rows").to_pylist() == []


def test_processes_share_the_rows_and_their_order_stays(lexicon):
    rows = [f"{ROWS[n % len(ROWS)]} {n}" for n in range(2100)]
    assert segment_texts(lexicon, rows, "rows", processes=2) == segment_texts(lexicon, rows, "rows", processes=1)


def test_usage_counts_an_end_for_every_row():
    """Rows (1, 3, 3), () and (3): three ends, unit 1 once, unit 3 three times."""
    segments = pa.array([[1, 3, 3], [], [3]], pa.list_(pa.int32()))
    assert usage_of(segments, 5).tolist() == [3, 1, 0, 3, 0]


def test_usage_is_what_segmentation_of_the_training_rows_uses(lexicon):
    segmenter = Segmenter(lexicon)
    expected = np.zeros(len(lexicon), dtype=np.int64)
    for row in ROWS * 2:
        for unit in [*segmenter.segment(row), EOS]:
            expected[unit] += 1
    assert lexicon.usage.tolist() == expected.tolist()
    rest = lexicon.usage[len(RESERVED) :]
    assert (np.diff(rest) <= 0).all()


def test_unused_phrases_are_dropped_and_words_and_pieces_stay(lexicon):
    counted = {unit.surface: unit.kind for unit in count_units(ROWS * 2, params_of(2))}
    dropped = set(counted) - set(lexicon.surfaces)
    assert "green hill is" in dropped  # always inside the longer "green hill is green"
    assert all(" " in surface for surface in dropped)
    assert all(lexicon.usage[lexicon.id_of[s]] > 0 for s, kind in counted.items() if " " in s and s in lexicon.id_of)


def test_same_rows_give_the_same_file(lexicon, tmp_path):
    again, _ = build_lexicon(ROWS * 2, params_of(2))
    lexicon.save(tmp_path / "one.parquet")
    again.save(tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert Lexicon.load(tmp_path / "one.parquet").surfaces == lexicon.surfaces


def test_coverage_worked_by_hand():
    lexicon = assemble([Unit("a", "word", 3), Unit("##b", "piece", 0)])
    usage = np.zeros(len(lexicon), dtype=np.int64)
    usage[[EOS, 1, 7, lexicon.id_of["a"], lexicon.id_of["##b"]]] = [9, 1, 2, 3, 4]
    assert coverage(usage, lexicon, 5) == {
        "units_per_word": 2.0,
        "piece_share": 0.4,
        "byte_share": 0.2,
        "control_share": 0.1,
    }


def test_metrics_name_kinds_and_the_splits_that_hold_text(lexicon):
    texts = {"train": ROWS * 2, "valid": ["stands."], "test": []}
    segments = {split: segment_texts(lexicon, rows, split) for split, rows in texts.items()}
    metrics = lexicon_metrics(lexicon, texts, segments)
    assert metrics["units"]["total"] == len(lexicon)
    assert sum(metrics["units"].values()) == 2 * len(lexicon)
    assert metrics["valid"] == {"units_per_word": 2.0, "piece_share": 0.0, "byte_share": 0.0, "control_share": 0.0}
    assert "test" not in metrics
