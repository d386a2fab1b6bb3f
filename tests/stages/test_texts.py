"""Stage ``texts``: the list of files that stage ``fetch`` depends on."""

from __future__ import annotations

import pytest

from lexivert.artifacts import Paths
from lexivert.errors import LexivertError
from lexivert.stages import texts
from sections import repository_params, section


@pytest.fixture
def listed(tmp_path):
    """Writes the list for a source, and gives the names in it and its bytes."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "README.md").write_text("Here.")
    (folder / "a.txt").write_text("Alice.")
    (folder / "b.txt").write_text("Emma.")
    (folder / "set" / "inner").mkdir(parents=True)
    (folder / "set" / "inner" / "rows.bin").write_bytes(b"\x00")

    def run(source, **values):
        corpus = section("corpus", source=source, folder=str(folder), **values)
        texts.run(Paths(tmp_path), repository_params().model_copy(update={"corpus": corpus}))
        content = (tmp_path / "data" / "texts.txt").read_text()
        return [line.split()[1].removeprefix(f"{folder}/") for line in content.splitlines()[1:]], content

    run.folder = folder
    return run


def test_with_embedded_texts_nothing_is_listed_whatever_lies_there(listed):
    assert listed("embedded") == ([], "embedded\n")
    assert listed("datasets", dataset="a/set-of-the-hub") == ([], "datasets\n")


def test_files_that_are_read_and_no_others(listed):
    assert listed("files")[0] == ["a.txt", "b.txt"]
    assert listed("files", files=("b.txt",))[0] == ["b.txt"]
    assert listed("datasets", dataset="set")[0] == ["set/inner/rows.bin"]


@pytest.mark.parametrize(
    "values", [{"source": "files", "files": ("a.txt",)}, {"source": "datasets", "dataset": "set"}]
)
def test_an_edit_of_one_changes_the_list_and_one_of_another_does_not(listed, values):
    before = listed(**values)
    assert listed(**values) == before
    (listed.folder / "b.txt").write_text("Another.")
    (listed.folder / "README.md").write_text("There.")
    assert listed(**values) == before
    (listed.folder / "a.txt").write_text("Emily.")
    (listed.folder / "set" / "inner" / "rows.bin").write_bytes(b"\x01")
    names, content = listed(**values)
    assert names == before[0]
    assert content != before[1]


def test_what_is_not_there_is_refused_as_fetch_does(listed, tmp_path):
    with pytest.raises(LexivertError, match=r"corpus\.files: gone\.txt is not in corpus\.folder"):
        listed("files", files=("gone.txt",))
    assert not (tmp_path / "data").exists()
