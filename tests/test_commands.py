"""How commands begin and end: the project's own code, standard output of all kinds, one line an error."""

from __future__ import annotations

import ast
import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lexivert import commands
from lexivert.errors import LexivertError

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "src"


@pytest.fixture
def copied(tmp_path):
    """A copied checkout, as far as it decides whose code runs."""
    root = tmp_path / "copy"
    shutil.copytree(SOURCES / "lexivert", root / "src" / "lexivert", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copyfile(REPOSITORY / name, root / name)
    for folder in ("benchmarks", "experiments", "scripts"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def started(folder, sources, *arguments):
    """Exit code and standard error of a Python process in a folder, with the package of some sources."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr


def refused(root):
    there = SOURCES / "lexivert"
    return f"error: {root} is a Lexivert project, but the code that runs is that of {there}; "


COMMANDS = {
    "stage": ("-m", "lexivert.stages", "code"),
    "command": ("-c", "from lexivert.cli import main; main()", "--version"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("below", [".", "experiments", "src/lexivert/codes"])
def test_another_folders_code_is_refused_anywhere_in_a_checkout(copied, command, below):
    code, err = started(copied / below, SOURCES, *command)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(refused(copied))
    assert not (copied / "build").exists()


def test_a_checkouts_own_code_runs_whatever_it_was_reached_by(copied, tmp_path):
    assert started(copied, copied / "src", *COMMANDS["command"]) == (0, "")
    (tmp_path / "link").symlink_to(copied)
    assert started(tmp_path / "link", copied / "src", *COMMANDS["command"]) == (0, "")
    assert started(copied, tmp_path / "link" / "src", *COMMANDS["command"]) == (0, "")


def test_outside_of_a_checkout_every_package_is_fine(tmp_path):
    (tmp_path / "params.yaml").touch()  # a project folder without sources of its own
    assert started(tmp_path, SOURCES, *COMMANDS["command"]) == (0, "")


def test_a_script_runs_the_code_that_it_lies_beside_wherever_it_is_started(copied, tmp_path):
    code, err = started(tmp_path, SOURCES, copied / "scripts" / "show_results.py")
    assert (code, err.count("\n")) == (1, 1), err
    assert err.startswith(refused(copied))


def imports_the_package(script: ast.Module) -> bool:
    nodes = list(ast.walk(script))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return any(name.partition(".")[0] == "lexivert" for name in names)


def test_every_script_that_needs_the_package_is_run_as_a_command():
    """By its last block; all but what ``speed.py`` starts on another release."""
    ends = {}
    for folder in ("benchmarks", "experiments", "scripts"):
        for path in (REPOSITORY / folder).glob("*.py"):
            script = ast.parse(path.read_text(encoding="utf-8"))
            if isinstance(script.body[-1], ast.If) and imports_the_package(script):
                ends[f"{folder}/{path.name}"] = ast.unparse(script.body[-1])
    del ends["benchmarks/against.py"]
    assert len(ends) > 12
    assert [name for name, end in ends.items() if not re.search(r"run_command\(|commands\.run\(", end)] == []


PRINT = """
import sys
from lexivert import commands
def show():
    for number in range(int(sys.argv[1])):
        print(sys.argv[2])
raise SystemExit(commands.run(show))
"""


def printed(redirection: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a command that prints, its output sent somewhere by the shell."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'"$@" {redirection}; echo "${{PIPESTATUS[0]}}" >&2',
            "",
            sys.executable,
            "-c",
            PRINT,
            *arguments,
        ],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, status = done.stderr.splitlines()
    return int(status), "\n".join(lines)


@pytest.mark.parametrize(
    ("redirection", "count", "message"),
    [
        ("| true", "100000", "standard output was closed before everything was written"),
        ("| head -n 1", "100000", "standard output was closed before everything was written"),
        (">&-", "1", "standard output is closed; write to a file instead"),
        pytest.param(
            ">/dev/full",
            "1",
            "standard output: No space left on device",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full"),
        ),
    ],
)
def test_output_that_takes_nothing_is_one_line(redirection, count, message):
    assert printed(redirection, count, "word") == (1, f"error: {message}")


def test_nothing_to_write_needs_no_output():
    for redirection in (">&-", "2>&- >&-", "<&- >&-"):
        assert printed(redirection, "0", "")[0] == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_a_character_is_one_line(encoding):
    code, err = printed("", "1", "Emma saw ☃", PYTHONIOENCODING=encoding)
    assert code == 1
    assert err.count("\n") == 0
    assert "which has no \\u2603; set PYTHONIOENCODING=utf-8" in err
    assert printed("", "1", "Emma", PYTHONIOENCODING=encoding) == (0, "")


def test_a_message_is_one_line_whatever_is_in_it(capsys):
    def fail():
        raise LexivertError("a\nb\x1b[31m\u2028c")

    assert commands.run(fail) == 1
    assert capsys.readouterr().err == "error: a\\nb\\x1b[31m\\u2028c\n"


def test_files_are_named(capsys, tmp_path):
    assert commands.run((tmp_path / "gone").read_text) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'gone'}: No such file or directory\n"


def test_a_defect_passes():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        commands.run(fail)


def test_a_refusal_of_the_system_without_a_file_says_why_and_no_more(capsys):
    def fail():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert commands.run(fail) == 1
    assert capsys.readouterr().err == "error: No space left on device\n"


def test_an_os_error_that_the_system_did_not_raise_is_a_defect():
    def fail():
        raise OSError("a library's own words")

    with pytest.raises(OSError, match="a library's own words"):
        commands.run(fail)


def test_a_refusals_traceback_is_in_the_log(caplog, tmp_path):
    caplog.set_level("DEBUG", logger="lexivert.commands")
    assert commands.run((tmp_path / "gone").read_text) == 1
    assert "in read_text" in caplog.text


class TestCopyOfDvc:
    """What DVC copies a project to, for experiments that are queued or run beside it, runs its own sources."""

    @pytest.fixture(params=["tmpa1", "standalone/tmpa1"])
    def beside(self, copied, request):
        """Such a copy, whose sources differ: they say so as they are imported."""
        folder = copied / ".dvc" / "tmp" / "exps" / request.param
        shutil.copytree(copied, folder, ignore=shutil.ignore_patterns(".dvc"))
        with (folder / "src" / "lexivert" / "display.py").open("a") as file:
            file.write("\nimport sys\nsys.stderr.write('the copy\\n')\n")
        return folder

    def test_runs_its_own_code_with_the_projects_environment(self, copied, beside):
        assert started(beside, copied / "src", *COMMANDS["command"]) == (0, "the copy\n")
        code, err = started(beside, copied / "src", *COMMANDS["stage"])
        assert (code, err.splitlines()[0]) == (0, "the copy")
        assert (beside / "build" / "code" / "fetch.txt").is_file()
        assert not (copied / "build").exists()

    def test_arguments_and_exit_status_are_as_they_were_given(self, copied, beside):
        code, err = started(beside, copied / "src", "-m", "lexivert.stages", "fetch", "no such stage")
        assert code == 1
        assert err.splitlines()[1].startswith("error: there is no stage 'no such stage'; ")

    def test_a_script_too_wherever_it_is_started(self, copied, beside, tmp_path):
        code, err = started(tmp_path, copied / "src", beside / "scripts" / "show_results.py")
        assert code == 1  # nothing was measured there
        assert "the copy" in err
        assert "the code that runs is that of" not in err

    def test_one_of_another_project_is_refused(self, beside):
        code, err = started(beside, SOURCES, *COMMANDS["stage"])
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith(refused(beside))

    def test_where_other_code_still_comes_first_it_is_refused_and_not_tried_for_ever(self, copied, beside):
        insert = f"import sys; sys.path.insert(0, {str(copied / 'src')!r}); "
        code, err = started(beside, copied / "src", "-c", insert + COMMANDS["command"][1], "--version")
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith(f"error: {beside} is a Lexivert project, but the code that runs is that of {copied}")
