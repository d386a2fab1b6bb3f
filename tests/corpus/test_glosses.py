from __future__ import annotations

import pytest

from lexivert.corpus.glosses import read_glosses, split_gloss
from lexivert.errors import MissingArtifactError


@pytest.mark.parametrize(
    ("gloss", "parts"),
    [
        (
            'stop using; "the children were told"; "put away"  \n',
            ["stop using", "the children were told", "put away"],
        ),
        ("a post; the rank of it \n", ["a post; the rank of it"]),
        (
            'under control; "he was in bondage to fear:; "a release"',
            ["under control", "he was in bondage to fear", "a release"],
        ),
        ('stores; "she loaded"women carrying home"  ', ["stores", "she loaded", "women carrying home"]),
        ("(usually followed by `to') able", ["(usually followed by 'to') able"]),
    ],
)
def test_split_gloss(gloss, parts):
    assert split_gloss(gloss) == parts


def test_read_real_glosses(embedded):
    glosses = dict(read_glosses(embedded.wordnet))
    assert len(glosses) == 117_659
    assert glosses["a00001740"][0].startswith("(usually followed by 'to') having the necessary means")
    assert glosses["n02084071"][0].startswith("a member of the genus Canis")
    assert glosses["n02084071"][1:] == ["the dog barked all night"]


def test_missing_wordnet_names_the_stage(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        list(read_glosses(tmp_path / "raw" / "wordnet"))
