"""The memory benchmark: two real processes on the tiny model, and the verdict on figures."""

from __future__ import annotations

import json

import pytest
import typer


@pytest.fixture
def memory(load):
    return load("memory")


def test_reading_takes_memory_beyond_the_rest(memory, tiny_project, tmp_path):
    """Of an index of a few hundred kilobytes it takes far more than the bar allows: torch is loaded either way, the
    decoder's working space is not."""
    out = tmp_path / "memory.json"
    with pytest.raises(typer.Exit) as end:
        memory.main(root=tiny_project, texts=4, out=out)
    assert end.value.exit_code == 1
    figures = json.loads(out.read_text())
    size = sum(file.stat().st_size for file in (tiny_project / "models" / "index").iterdir())
    assert figures["index_megabytes"] == pytest.approx(size / 1e6, rel=1e-4)
    assert figures["peak_megabytes"] > 100
    assert figures["reading_to_codes"] >= figures["reading_to_index"] > memory.BAR
