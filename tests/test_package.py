from __future__ import annotations

import subprocess
import sys

import pytest

import lexivert
from lexivert import model


def test_the_first_name_taken_loads_what_it_needs():
    assert lexivert.Lexivert is model.Lexivert
    assert lexivert.Reading is model.Reading
    assert set(lexivert.__all__) <= set(dir(lexivert))
    with pytest.raises(AttributeError, match="has no attribute 'Lexivertt'"):
        lexivert.Lexivertt  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "numpy", "faiss", "transformers", "huggingface_hub", "pydantic", "pyarrow"}
    code = f"import sys, lexivert; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
