from __future__ import annotations

import pytest

from lexivert.data.glosses import Entry, read_entries, read_glosses, split_gloss
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


LEXNAMES = "00\tadj.all\t3\n04\tnoun.act\t1\n05\tnoun.animal\t1\n29\tverb.body\t2\n02\tadv.all\t4\n"
LICENCE = "  1 This software and database | is being provided to you\n"
NOUNS = """\
00001111 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 00002222 n 0000 | kind; "the dog barked"; "a dog"
00002222 04 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | ten words
00003333 05 n 01 nothing 0 000 |
"""
OTHERS = {
    "verb": '00004444 29 v 01 breathe 0 001 @ 00005555 v 0000 01 + 02 00 | draw air; "breathe!"\n',
    "adj": "00006666 00 a 03 galore(ip) 0 out_of(p) 0 elect(a) 0 000 | in plenty\n",
    "adv": "00007777 02 r 01 o'clock 0 000 | by the clock\n",
}


@pytest.fixture
def dictionary(tmp_path):
    """Files laid out as wndb(5WN) says: offset, file, type, hexadecimal count of words, words with their numbers."""
    (tmp_path / "lexnames").write_text(LEXNAMES)
    for part, lines in {"noun": NOUNS, **OTHERS}.items():
        (tmp_path / f"data.{part}").write_text(LICENCE + lines)
    return tmp_path


def test_read_entries_by_hand(dictionary):
    assert list(read_entries(dictionary)) == [
        Entry(
            "n00001111",
            "noun.animal",
            ("dog", "domestic dog", "Canis familiaris"),
            "kind",
            ("the dog barked", "a dog"),
        ),
        Entry("n00002222", "noun.act", tuple("abcdefghij"), "ten words", ()),
        Entry("v00004444", "verb.body", ("breathe",), "draw air", ("breathe!",)),
        Entry("a00006666", "adj.all", ("galore", "out of", "elect"), "in plenty", ()),
        Entry("r00007777", "adv.all", ("o'clock",), "by the clock", ()),
    ]


def test_read_real_entries(embedded):
    entries = {entry.name: entry for entry in read_entries(embedded.wordnet)}
    parts = {name: [entry.definition, *entry.examples] for name, entry in entries.items()}
    assert parts == dict(read_glosses(embedded.wordnet))
    assert len({entry.category for entry in entries.values()}) == 45  # all lexicographer files of WordNet 3.0
    dog = entries["n02084071"]
    assert (dog.category, dog.lemmas) == ("noun.animal", ("dog", "domestic dog", "Canis familiaris"))
    assert not [lemma for entry in entries.values() for lemma in entry.lemmas if "_" in lemma or "(" in lemma]


@pytest.mark.parametrize("name", ["lexnames", "data.adv"])
def test_a_missing_dictionary_file_is_named(dictionary, name):
    (dictionary / name).unlink()
    with pytest.raises(MissingArtifactError, match=name):
        list(read_entries(dictionary))
