from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lexivert.artifacts import Paths, write_array, write_parquet
from lexivert.codes.token_head_data import head_config, read_token_head_data
from lexivert.config import load_params
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.stages.token_head import checkpoint_of
from lexivert.text.lexicon import RESERVED, Lexicon

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = ("big", "large", "small", "bigger", "great", "The", "the")
FIRST = len(RESERVED)
BIG, LARGE, SMALL, BIGGER, GREAT, UPPER_THE, LOWER_THE = range(FIRST, FIRST + len(WORDS))
SCHEMA = pa.schema([("unit_id", pa.int32()), ("other_id", pa.int32()), ("relation", pa.string())])


@pytest.fixture
def params():
    return load_params(REPOSITORY / "params.yaml")


def with_share(params, share):
    section = params.token_head.model_copy(update={"heldout_share": share})
    return params.model_copy(update={"token_head": section})


def write_pairs(path, pairs):
    both = [*pairs, *[(other, unit, name) for unit, other, name in pairs]]
    write_parquet(path, {name: [row[place] for row in both] for place, name in enumerate(SCHEMA.names)}, SCHEMA)


@pytest.fixture
def paths(tmp_path: Path):
    paths = Paths(tmp_path)
    count = FIRST + len(WORDS)
    zeros = np.zeros(count, dtype=np.int64)
    Lexicon(RESERVED + WORDS, ("word",) * count, zeros, zeros).save(paths.vocab)
    features = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float16)
    features[LOWER_THE] = features[UPPER_THE]
    write_array(paths.unit_features, features)
    write_pairs(paths.synonyms, [(BIG, LARGE, "synonym"), (BIG, BIGGER, "inflection"), (BIG, GREAT, "sibling")])
    write_pairs(paths.antonyms, [(BIG, SMALL, "antonym")])
    return paths


def test_relations_go_where_they_belong(paths, params):
    data = read_token_head_data(paths, with_share(params, 0.0))
    big = torch.tensor([BIG])
    assert data.units.synonyms.pairs(big)[1].tolist() == [LARGE]
    assert data.units.never_negative.pairs(big)[1].tolist() == [LARGE, BIGGER]
    assert data.units.antonyms.pairs(big)[1].tolist() == [SMALL]
    assert data.pairs["sibling"].pairs(big)[1].tolist() == [GREAT]
    assert data.units.duplicates[LOWER_THE] == data.units.duplicates[UPPER_THE] == UPPER_THE
    assert len(data.units.kept) == len(data.surfaces)
    assert data.config.code_width == 2048 - 8


def test_held_out_units_take_no_part_in_training(paths, params):
    data = read_token_head_data(paths, with_share(params, 0.5))
    kept = set(data.units.kept.tolist())
    assert kept == set(np.nonzero(~data.heldout)[0].tolist())
    assert 0 < len(kept) < len(data.surfaces)
    for relations in (data.units.synonyms, data.units.never_negative, data.units.antonyms):
        left, right = relations.pairs(torch.arange(len(data.surfaces)))
        assert kept.issuperset(left.tolist() + right.tolist())


def test_checkpoint_is_valid_for_these_params_and_inputs_only(paths, params):
    data = read_token_head_data(paths, params)
    same = checkpoint_of(paths, params, read_token_head_data(paths, params))
    assert checkpoint_of(paths, params, data) == same
    other_share = with_share(params, 0.3)
    assert checkpoint_of(paths, other_share, read_token_head_data(paths, other_share)) != same
    write_pairs(paths.antonyms, [(BIG, LARGE, "antonym")])
    assert checkpoint_of(paths, params, read_token_head_data(paths, params)) != same


def test_missing_and_unfit_files_are_named(paths, params):
    write_array(paths.unit_features, np.zeros((3, 8), dtype=np.float16))
    with pytest.raises(DamagedArtifactError, match=r"unit_features\.npy has shape \(3, 8\).*dvc repro features"):
        read_token_head_data(paths, params)
    write_array(paths.unit_features, np.full((FIRST + len(WORDS), 8), np.nan, dtype=np.float16))
    with pytest.raises(DamagedArtifactError, match="not finite"):
        read_token_head_data(paths, params)
    paths.unit_features.unlink()
    with pytest.raises(MissingArtifactError, match="dvc repro features"):
        read_token_head_data(paths, params)


@pytest.mark.parametrize("width", [2048, 2047, 4096])
def test_vector_without_room_for_the_order_part_is_an_error(params, width):
    with pytest.raises(LexivertError, match=r"code\.embed_dim is 2048"):
        head_config(params, width)
