from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest

from lexivert.codes.hashing import identity_codes
from lexivert.errors import LexivertError


def test_first_signs_by_hand():
    salt = hashlib.blake2b(b"lexivert identity 42", digest_size=16).digest()
    bits = format(hashlib.shake_128(salt + b"the").digest(1)[0], "08b")
    expected = [0.5 if bit == "1" else -0.5 for bit in bits[:4]]
    assert identity_codes(["the"], 4, 42)[0].tolist() == expected


def test_same_on_every_machine():
    signs = identity_codes(["the", "The", "naïve", ""], 16, 42) > 0
    assert np.packbits(signs, axis=1).tobytes().hex() == "dfa2586157b3ff38"


def test_fixed_by_the_surface_alone():
    alone = identity_codes(["river"], 64, 1)
    among = identity_codes(["a", "river", "b"], 64, 1)
    assert np.array_equal(alone[0], among[1])
    assert not np.array_equal(alone, identity_codes(["river"], 64, 2))
    assert not np.array_equal(alone, identity_codes(["River"], 64, 1))


def test_unit_length_and_nearly_orthogonal():
    codes = identity_codes([f"word {number}" for number in range(400)], 1664, 42)
    assert codes.dtype == np.float32
    np.testing.assert_allclose((codes**2).sum(1), 1.0, rtol=1e-5)
    cosines = (codes @ codes.T)[np.triu_indices(400, 1)]
    assert abs(cosines.mean()) < 0.001
    assert cosines.std() == pytest.approx(1664**-0.5, rel=0.05)


def test_width_that_is_no_multiple_of_eight():
    assert identity_codes(["a", "b"], 13, 0).shape == (2, 13)
    assert identity_codes([], 13, 0).shape == (0, 13)


def test_many_units_are_fast():
    start = time.perf_counter()
    identity_codes([f"unit {number}" for number in range(9000)], 1664, 42)
    assert time.perf_counter() - start < 6  # 90k in 4 s on a free core; ten times slack for a busy machine


@pytest.mark.parametrize(("surfaces", "width", "message"), [(["a"], 0, "0 wide"), (["a\ud800"], 8, "lone surrogate")])
def test_wrong_input_is_named(surfaces, width, message):
    with pytest.raises(LexivertError, match=message):
        identity_codes(surfaces, width, 42)
