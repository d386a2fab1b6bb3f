import string
import subprocess
import sys

from lexivert.text.wordpieces import learn_pieces

WORDS = {
    "walking": 9,
    "walked": 5,
    "talking": 4,
    "talked": 3,
    "stalking": 1,
    "Walker": 2,
    "chalked": 1,
    "日": 3,
    "x1": 2,
}


def test_alphabet_in_both_forms_comes_whatever_the_size():
    pieces = learn_pieces(WORDS, 1)
    for character in string.ascii_letters + string.digits + "日-":
        assert character in pieces
        assert f"##{character}" in pieces
    assert not any(piece.startswith("<") for piece in pieces)


def test_merges_find_what_types_share_and_skip_known_surfaces():
    alphabet = learn_pieces(WORDS, 1)
    pieces = learn_pieces(WORDS, len(alphabet) + 5)
    assert len(pieces) == len(set(pieces)) == len(alphabet) + 5
    assert "##alk" in pieces
    assert "##alk" not in learn_pieces(WORDS, len(alphabet) + 5, {"##alk"})


def test_numbers_cost_little():
    pieces = set(learn_pieces(WORDS, 8000))
    assert {"07", "123", "1914", "2024", "##56"} <= pieces


def test_every_process_learns_the_same_pieces():
    program = (
        "from lexivert.text.wordpieces import learn_pieces\n"
        "words = {a + b + c: 2 for a in 'abcdefgh' for b in 'ijklmn' for c in 'opqrst'}\n"
        "import sys; sys.stdout.write(' '.join(learn_pieces(words, 500)))"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)
    }
    assert len(outputs) == 1
