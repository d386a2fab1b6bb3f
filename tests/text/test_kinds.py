import pytest

from lexivert.text.kinds import TokenKind, classify, is_reserved


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        (TokenKind.WORD, "the well-known o'clock n't café straße привет 日 rock'n'roll"),
        (TokenKind.CAPITALISED, "The US U.S. iPhone d'Artagnan al-Qaeda Élan MI6 N'T"),
        (TokenKind.NUMBER, "1 1914 3.14 1,234 1,234.5 007"),
        (TokenKind.NUMERIC, "5th 1860s mid-1990s 15-year-old"),
        (TokenKind.ANOMALOUS, "'s e.g. a.b@c.org 1990-91 snake_case"),
        (TokenKind.PUNCTUATION, ". -- - … ' @-@ 👍 \u0301"),
    ],
)
def test_classify(kind, examples):
    assert {example: classify(example) for example in examples.split()} == dict.fromkeys(examples.split(), kind)


def test_reserved_surfaces():
    assert is_reserved("##s")
    assert is_reserved("<end>")
    assert not is_reserved("#1")
