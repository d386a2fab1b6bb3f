from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lexivert.artifacts import write_parquet
from lexivert.data.relations import SCHEMA, Relations, decode_pairs, encode_pairs, read_pairs, read_relations
from lexivert.errors import DamagedArtifactError, MissingArtifactError


def test_pairs_are_coded_by_unit_and_then_by_other():
    """Of 10 units, (3, 7) is 37; narrow numbers don't overflow."""
    units, others = np.array([3, 0, 9], dtype=np.int8), np.array([7, 4, 9], dtype=np.int8)
    coded = encode_pairs(units, others, 10)
    assert coded.tolist() == [37, 4, 99]
    assert encode_pairs(np.array([100_000], dtype=np.int32), np.array([1], dtype=np.int32), 100_001).tolist() == [
        100_000 * 100_001 + 1
    ]
    left, right = decode_pairs(coded, 10)
    assert left.tolist() == [3, 0, 9]
    assert right.tolist() == [7, 4, 9]
    assert [part.tolist() for part in decode_pairs(coded[:0], 0)] == [[], []]


def relations(pairs, size):
    left, right = np.array(pairs).reshape(-1, 2).T
    return Relations.from_pairs(left, right, size)


def test_rows_are_sorted_without_doubles_or_loops():
    made = relations([(2, 3), (0, 2), (0, 1), (2, 3), (1, 1)], 4)
    assert made.starts.tolist() == [0, 2, 2, 3, 3]
    assert made.others.tolist() == [1, 2, 3]
    assert made.counts(torch.tensor([0, 1, 2, 3])).tolist() == [2, 0, 1, 0]


def test_turns_go_through_all_related_units():
    made = relations([(1, 5), (1, 7), (1, 9), (4, 2)], 10)
    batch = torch.tensor([3, 1, 4])
    seen = []
    for turn in range(3):
        rows, others = made.turn(batch, turn)
        assert rows.tolist() == [1, 2]
        assert others[1] == 2
        seen.append(int(others[0]))
    assert sorted(seen) == [5, 7, 9]
    assert made.turn(batch, 3)[1].tolist() == made.turn(batch, 0)[1].tolist()


def test_units_without_relations_take_no_turn():
    rows, others = relations([], 3).turn(torch.tensor([0, 1, 2]), 0)
    assert rows.tolist() == []
    assert others.tolist() == []


def test_mask_equals_loop_over_pairs():
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, 30, size=(80, 2))
    made = relations(pairs, 30)
    known = {(int(a), int(b)) for a, b in pairs if a != b}
    units, candidates = (
        torch.from_numpy(generator.integers(0, 30, 12)),
        torch.from_numpy(generator.integers(0, 30, 50)),
    )
    naive = [[(int(unit), int(other)) in known for other in candidates] for unit in units]
    assert made.among(units, candidates).tolist() == naive
    assert any(any(row) for row in naive)


def test_mask_of_no_relations_and_no_candidates():
    units = torch.tensor([0, 1])
    assert not relations([], 2).among(units, torch.tensor([1, 0, 1])).any()
    assert relations([(0, 1)], 2).among(units, torch.empty(0, dtype=torch.int64)).shape == (2, 0)


def test_pairs_of_units():
    left, right = relations([(2, 3), (0, 2), (0, 1)], 4).pairs(torch.tensor([2, 1, 0]))
    assert left.tolist() == [2, 0, 0]
    assert right.tolist() == [3, 1, 2]


def write(path, rows):
    columns = {name: [row[place] for row in rows] for place, name in enumerate(SCHEMA.names)}
    write_parquet(path, columns, SCHEMA)


def test_read_relations_keeps_names_and_units_asked_for(tmp_path: Path):
    path = tmp_path / "synonyms.parquet"
    rows = [(0, 1, "synonym"), (1, 0, "synonym"), (0, 2, "inflection"), (0, 3, "sibling"), (1, 3, "synonym")]
    write(path, rows)
    keep = np.array([True, True, True, False])
    assert read_relations(path, ("synonym", "inflection"), 4, keep).others.tolist() == [1, 2, 0]
    assert read_relations(path, ("sibling",), 4, keep).others.tolist() == []
    assert read_relations(path, ("antonym",), 4, keep).others.tolist() == []


def test_read_pairs_gives_every_relation_sorted(tmp_path: Path):
    path = tmp_path / "synonyms.parquet"
    write(path, [(2, 1, "synonym"), (1, 2, "synonym"), (3, 0, "sibling")])
    found = {name: pairs.tolist() for name, pairs in read_pairs(path, 4).items()}
    assert found == {"synonym": [6, 9], "sibling": [12]}
    write(path, [])
    assert read_pairs(path, 4) == {}


def test_read_relations_names_what_is_wrong(tmp_path: Path):
    path = tmp_path / "data" / "synonyms.parquet"
    with pytest.raises(MissingArtifactError, match="dvc repro lexical_maps"):
        read_relations(path, ("synonym",), 4, np.ones(4, dtype=bool))
    write(path, [(0, 4, "synonym")])
    with pytest.raises(DamagedArtifactError, match="outside the vocabulary of 4"):
        read_relations(path, ("synonym",), 4, np.ones(4, dtype=bool))
