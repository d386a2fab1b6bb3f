from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lexivert.artifacts import write_parquet
from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.training.negatives import CodeQueue, Relations, hardest, read_relations, same_unit

SCHEMA = pa.schema([("unit_id", pa.int32()), ("other_id", pa.int32()), ("relation", pa.string())])


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


def test_same_unit_knows_twins():
    twins = torch.tensor([0, 1, 1, 3])
    assert same_unit(torch.tensor([0, 2]), torch.tensor([0, 1, 2, 3]), twins).tolist() == [
        [True, False, False, False],
        [False, True, True, False],
    ]


def test_hardest_by_hand():
    similarity = torch.tensor([[1.0, 0.9, 0.2, 0.5], [0.9, 1.0, 0.3, 0.1]])
    excluded = torch.tensor([[True, True, False, False], [False, True, False, False]])
    assert hardest(similarity, excluded, 2).tolist() == [[3, 2], [0, 2]]
    assert hardest(similarity, excluded, 9).shape == (2, 4)


def test_queue_is_first_in_first_out():
    queue = CodeQueue(5, 1)
    assert queue.entries()[0].shape == (0, 1)
    for start in (0, 3):
        ids = torch.arange(start, start + 3)
        queue.push(ids[:, None].float().requires_grad_(), ids)
    codes, units = queue.entries()
    assert units.tolist() == [5, 1, 2, 3, 4]
    assert codes[:, 0].tolist() == units.tolist()
    assert not codes.requires_grad


def test_queue_smaller_than_a_batch_keeps_the_last():
    queue = CodeQueue(2, 1)
    queue.push(torch.arange(3.0)[:, None], torch.arange(3))
    assert sorted(queue.entries()[1].tolist()) == [1, 2]
    empty = CodeQueue(0, 1)
    empty.push(torch.ones(2, 1), torch.arange(2))
    assert empty.entries()[0].shape == (0, 1)


def test_queue_state_goes_round():
    queue, other = CodeQueue(4, 2), CodeQueue(4, 2)
    queue.push(torch.randn(3, 2), torch.arange(3))
    other.load_state_dict(queue.state_dict())
    for each in (queue, other):
        each.push(torch.ones(3, 2), torch.arange(3) + 7)
    assert torch.equal(queue.codes, other.codes)
    assert queue.units.tolist() == other.units.tolist() == [8, 9, 2, 7]


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


def test_read_relations_names_what_is_wrong(tmp_path: Path):
    path = tmp_path / "data" / "synonyms.parquet"
    with pytest.raises(MissingArtifactError, match="dvc repro lexical_maps"):
        read_relations(path, ("synonym",), 4, np.ones(4, dtype=bool))
    write(path, [(0, 4, "synonym")])
    with pytest.raises(DamagedArtifactError, match="outside the vocabulary of 4"):
        read_relations(path, ("synonym",), 4, np.ones(4, dtype=bool))
