from __future__ import annotations

import itertools

import pytest

from lexivert.data.wordnet import Synset, WordNet, lemma_key, read_synsets, split_gloss
from lexivert.errors import DamagedArtifactError, MissingArtifactError


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


LEXNAMES = "00\tadj.all\t3\n04\tnoun.act\t1\n05\tnoun.animal\t1\n29\tverb.body\t2\n02\tadv.all\t4\n"
LICENCE = "  1 This software and database | is being provided to you\n"
NOUNS = """\
00001111 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 00002222 n 0000 | kind; "the dog barked"; "a dog"
00002222 04 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | ten words
00003333 05 n 01 nothing 0 000 |
"""
OTHERS = {
    "verb": '00004444 29 v 01 breathe 0 001 @ 00005555 v 0000 01 + 02 00 | draw air; "breathe!"\n',
    "adj": "00006666 00 a 03 galore(ip) 0 out_of(p) 0 elect(a) 0 001 ! 00006667 s 0102 | in plenty\n"
    "00006667 00 s 02 few 0 scant 0 002 ! 00006666 a 0202 ! 00006666 a 0201 | in want\n",
    "adv": "00007777 02 r 01 o'clock 0 000 | by the clock\n",
}


@pytest.fixture
def dictionary(tmp_path):
    """Files laid out as wndb(5WN) says: offset, file, type, hexadecimal count of words, words with their numbers."""
    (tmp_path / "lexnames").write_text(LEXNAMES)
    for part, lines in {"noun": NOUNS, **OTHERS}.items():
        (tmp_path / f"data.{part}").write_text(LICENCE + lines)
    return tmp_path


def test_synsets_by_hand(dictionary):
    """Antonyms are by number of the lemma: the second of out_of, the first of dearth; all of the same file."""
    assert list(read_synsets(dictionary)) == [
        Synset(
            "n00001111",
            "noun.animal",
            ("dog", "domestic dog", "Canis familiaris"),
            "kind",
            ("the dog barked", "a dog"),
            hypernyms=("n00002222",),
        ),
        Synset("n00002222", "noun.act", tuple("abcdefghij"), "ten words"),
        Synset("n00003333", "noun.animal", ("nothing",), ""),
        Synset("v00004444", "verb.body", ("breathe",), "draw air", ("breathe!",), hypernyms=("v00005555",)),
        Synset("a00006666", "adj.all", ("galore", "out of", "elect"), "in plenty", antonyms=("scant",)),
        Synset("a00006667", "adj.all", ("few", "scant"), "in want", antonyms=("out of", "galore")),
        Synset("r00007777", "adv.all", ("o'clock",), "by the clock"),
    ]


def test_sentences_are_definition_and_examples():
    assert Synset("n1", "noun.act", ("a",), "kind", ("one", "two")).sentences == ["kind", "one", "two"]
    assert Synset("n1", "noun.act", ("a",), "").sentences == []


def test_real_synsets(embedded):
    synsets = {synset.name: synset for synset in read_synsets(embedded.wordnet)}
    assert len(synsets) == 117_659
    assert all(synset.definition for synset in synsets.values())
    assert len({synset.category for synset in synsets.values()}) == 45  # all lexicographer files of WordNet 3.0
    assert synsets["a00001740"].definition.startswith("(usually followed by 'to') having the necessary means")
    dog = synsets["n02084071"]
    assert (dog.category, dog.lemmas) == ("noun.animal", ("dog", "domestic dog", "Canis familiaris"))
    assert dog.sentences[0].startswith("a member of the genus Canis")
    assert dog.sentences[1:] == ["the dog barked all night"]
    assert set(dog.hypernyms) == {"n02083346", "n01317541"}
    assert dog.antonyms == ()
    assert not [lemma for synset in synsets.values() for lemma in synset.lemmas if "_" in lemma or "(" in lemma]


@pytest.mark.parametrize("name", ["lexnames", "data.adv"])
def test_a_missing_dictionary_file_is_named(dictionary, name):
    (dictionary / name).unlink()
    with pytest.raises(MissingArtifactError, match=name):
        list(read_synsets(dictionary))


def test_spelling_variants_share_a_key():
    assert {lemma_key(text) for text in ("ice cream", "ice-cream", "Ice_Cream", "ice_cream")} == {"ice_cream"}


@pytest.mark.parametrize(
    ("form", "bases"),
    [
        ("ran", {"run"}),
        ("running", {"running", "run"}),
        ("runs", {"run"}),
        ("run", {"run"}),
        ("found", {"found", "find"}),
        ("children", {"child"}),
        ("stages", {"stage"}),
        ("hoped", {"hope"}),
        ("goes", {"go"}),
        ("ice_creams", {"ice_cream"}),
        ("larger", {"larger", "large"}),
        ("number", {"number"}),  # no comparative of numb
        ("as", {"as"}),  # no plural of a
        ("his", set()),  # no plural of hi
        ("the", set()),
        ("xyzzy", set()),
    ],
)
def test_base_forms(wordnet, form, bases):
    assert wordnet.base_forms(form) == bases


def test_synsets_of_the_dictionary(wordnet):
    synsets = {synset.lemmas: synset for synset in wordnet.synsets()}
    assert {"small", "little"} <= set(synsets["large", "big"].antonyms)
    assert synsets["Paris", "City of Light", "French capital", "capital of France"].hypernyms == ("n08691669",)


def test_synsets_are_nltks(wordnet):
    """The direct reading against NLTK's objects, on adjectives, which have most antonyms."""
    read = {synset.name: synset for synset in wordnet.synsets()}
    with_antonyms = 0
    for synset in itertools.islice(wordnet._reader.all_eng_synsets("a"), 2000):
        own = read[f"a{synset.offset():08d}"]
        antonyms = {other.name() for lemma in synset.lemmas() for other in lemma.antonyms()}
        assert own.lemmas == tuple(name.replace("_", " ") for name in synset.lemma_names())
        assert set(own.antonyms) == {name.replace("_", " ") for name in antonyms}
        with_antonyms += bool(antonyms)
    assert with_antonyms > 300


def test_missing_and_damaged_folders(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        WordNet(tmp_path / "raw" / "wordnet")
    (tmp_path / "raw" / "wordnet").mkdir(parents=True)
    with pytest.raises(DamagedArtifactError, match="is not a complete WordNet") as caught:
        WordNet(tmp_path / "raw" / "wordnet")
    assert "\n" not in str(caught.value)
