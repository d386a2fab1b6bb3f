"""What goes wrong with a file, in one line."""

import pytest

from lexivert.damage import damage
from lexivert.errors import LexivertError


def test_whatever_goes_wrong_with_a_file_is_one_line(tmp_path):
    for error in (ValueError("one\ntwo"), KeyError(), RuntimeError("shape"), OSError("disk")):
        with pytest.raises(LexivertError) as caught, damage(tmp_path / "file", "mend it"):
            raise error
        assert str(caught.value).startswith(f"{tmp_path / 'file'} is damaged (")
        assert str(caught.value).endswith("); mend it")
        assert "\n" not in str(caught.value)
    with pytest.raises(ZeroDivisionError), damage(tmp_path / "file", "mend it"):
        raise ZeroDivisionError  # a defect of ours
    for defect in (AttributeError, AssertionError):
        with pytest.raises(defect), damage(tmp_path / "file", "mend it"):
            raise defect
    with pytest.raises(LexivertError), damage(tmp_path / "file", "mend it", (AttributeError,)):
        raise AttributeError
