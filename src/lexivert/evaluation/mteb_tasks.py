"""Tasks of ``mteb`` (Muennighoff et al. 2023), and STS files of one's own as such tasks, on a loaded model.

mteb loads the data, computes the scores and lays out the results. It is the extra ``eval`` and slow to import:
import this module where it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import mteb
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from mteb.abstasks.sts import AbsTaskSTS
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

from lexivert.arguments import check_texts
from lexivert.errors import LexivertError, TooLongError
from lexivert.evaluation.sts_files import Pair, read_pairs
from lexivert.model import Lexivert
from lexivert.text.tokenizer import normalize

PARTS = ("full", "prefix", "order")
"""What of the vectors is compared: all of it, the semantic prefix, or the rest."""


class Score(NamedTuple):
    """Main score of one subset of a task's data.

    Attributes:
        task: mteb's name.
        split: of the data.
        subset: of the data, often a language; ``default`` if there is but one.
        measure: what the score is, such as ``cosine_spearman``.
        value: the score.
    """

    task: str
    split: str
    subset: str
    measure: str
    value: float


class PartEncoder(AbsEncoder):  # type: ignore[misc]  # mteb is untyped to mypy
    """A model as mteb wants it: texts to one part of their vectors, compared by cosine.

    mteb's own prompts are not used; one meant for the backbone belongs into ``backbone.prompt``.

    Args:
        model: the model.
        part: one of ``PARTS``.

    Raises:
        LexivertError: no such part.
    """

    def __init__(self, model: Lexivert, part: str) -> None:
        check_part(part)
        self.model = model
        self.part = part
        width, semantic_width = model.embed_dim, model.encoder.config.semantic_width
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"lexivert/{part}",
                "revision": model.fingerprint,
                "embed_dim": {"full": width, "prefix": semantic_width, "order": width - semantic_width}[part],
                "max_tokens": model.encoder.config.backbone.max_tokens,
                "similarity_fn_name": ScoringFunction.COSINE,
                "framework": ["PyTorch"],
                "use_instructions": False,
            }
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        task_metadata: Any,
        show_progress_bar: bool = False,
        **_: Any,
    ) -> npt.NDArray[np.float32]:
        """One part of the vectors of texts, scaled to unit length. Shape: (B, D), (B, S) or (B, O).

        The prefix is the backbone's embedding, which a text too long for a vector has, too.

        Args:
            inputs: batches with B texts in all under ``text``.
            task_metadata: names the task.
            show_progress_bar: show one.

        Raises:
            LexivertError: a text can't be encoded.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        progress = task_metadata.name if show_progress_bar else ""
        try:
            return self._encode(check_texts(texts), progress)
        except ValueError as error:
            longer = "" if self.part == "prefix" else "; part prefix takes texts of any length"
            raise LexivertError(f"task {task_metadata.name}: {error}{longer}") from error

    def _encode(self, texts: Sequence[str], progress: str) -> npt.NDArray[np.float32]:
        encoder = self.model.encoder
        if self.part == "prefix":
            vectors = encoder.backbone.encode([normalize(text) for text in texts], progress=progress)
        else:
            vectors = self.model.encode(texts, progress=progress)
            vectors = vectors if self.part == "full" else vectors[:, encoder.config.semantic_width :]
        unit: npt.NDArray[np.float32] = F.normalize(torch.from_numpy(vectors), dim=-1).numpy()
        return unit


class LocalSTS(AbsTaskSTS):  # type: ignore[misc]
    """The lines of an STS file as a task of mteb; it is called ``LocalSTS-`` and the file's name.

    Args:
        path: ``.tsv`` file; see ``read_pairs``.

    Raises:
        LexivertError: see ``read_pairs``.
    """

    min_score, max_score = 0, 1  # mteb leaves scores as they are; a correlation doesn't mind their scale

    def __init__(self, path: Path) -> None:
        self.pairs = read_pairs(path)
        self.metadata = mteb.TaskMetadata(
            name=f"LocalSTS-{path.stem}",
            description=f"Sentence pairs of {path.name}.",
            dataset={"path": path.name, "revision": hashlib.sha256(path.read_bytes()).hexdigest()[:16]},
            type="STS",
            category="t2t",
            eval_langs=["eng-Latn"],
            main_score="cosine_spearman",
        )
        super().__init__()
        columns = {
            "score": [pair.score for pair in self.pairs],
            "sentence1": [pair.first for pair in self.pairs],
            "sentence2": [pair.second for pair in self.pairs],
        }
        self.dataset = {"default": {"test": datasets.Dataset.from_dict(columns)}}
        self.data_loaded = True


def check_part(part: str) -> None:
    """Refuse what is none of ``PARTS``.

    Raises:
        LexivertError: names them.
    """
    if part not in PARTS:
        raise LexivertError(f"part is {part!r}; {', '.join(PARTS[:-1])} or {PARTS[-1]} is needed")


def read_tasks(paths: Iterable[Path]) -> list[LocalSTS]:
    """Make a task of each STS file.

    Raises:
        LexivertError: see ``read_pairs``; or two files have the same name, so that their results would, too.
    """
    tasks: dict[str, LocalSTS] = {}
    for path in paths:
        task = LocalSTS(path)
        if task.metadata.name in tasks:
            raise LexivertError(f"two STS files are called {path.name}; their results would be, too: rename one")
        tasks[task.metadata.name] = task
    return list(tasks.values())


def find_tasks(names: Iterable[str]) -> list[Any]:
    """Look tasks up in mteb, each once.

    Raises:
        LexivertError: mteb has none of this name, or it is not of text alone.
    """
    tasks = []
    for name in dict.fromkeys(names):
        try:
            task = mteb.get_task(name)
        except KeyError as error:
            message = str(error.args[0]).removeprefix("KeyError: ")
            raise LexivertError(f"mteb task {message}") from error
        if set(task.metadata.modalities) != {"text"}:
            kinds = ", ".join(task.metadata.modalities)
            raise LexivertError(f"mteb task {name!r} has data of kind {kinds}; only text can be encoded")
        tasks.append(task)
    return tasks


def evaluate(encoder: PartEncoder, tasks: Iterable[Any], folder: Path, *, progress: bool = False) -> Iterator[Score]:
    """Run tasks one by one, write their results in mteb's layout to ``folder``, and yield their main scores.

    What ``folder`` already holds for this very model and part is not run again, except for STS files.

    Args:
        encoder: model and part.
        tasks: from ``read_tasks`` and ``find_tasks``.
        folder: where mteb keeps results; made if it isn't there.
        progress: show bars.

    Raises:
        LexivertError: a task's data can't be reached, a text can't be encoded, or a result that is there is damaged.
    """
    cache = _Results(folder)
    for task in tasks:
        if isinstance(task, LocalSTS) and encoder.part != "prefix":
            _check_lengths(encoder.model, task.pairs)
        result = _run(encoder, task, cache, progress)
        for split, scores in result.scores.items():
            for score in scores:
                names = (task.metadata.name, split, score["hf_subset"], task.metadata.main_score)
                yield Score(*names, float(score["main_score"]))


def result_folder(encoder: PartEncoder, folder: Path) -> Path:
    """Where in ``folder`` mteb writes a model's results."""
    path: Path = _Results(folder).get_task_result_path("task", encoder.mteb_model_meta)
    return path.parent


class _Results(mteb.ResultCache):  # type: ignore[misc]
    """A folder of results, which mteb would put into a folder ``results`` of its own within it."""

    def get_task_result_path(self, *arguments: Any, **options: Any) -> Path:
        """Where mteb writes the results of a task."""
        path: Path = super().get_task_result_path(*arguments, **options)
        folder = Path(self.cache_path)
        return folder / path.relative_to(folder / "results")


def _check_lengths(model: Lexivert, pairs: Iterable[Pair]) -> None:
    for pair in pairs:
        for text in (pair.first, pair.second):
            try:
                model.encoder.written(text)
            except TooLongError as error:
                raise LexivertError(f"{pair.where}: sentence {error}: split it, or compare part prefix") from error


def _run(encoder: PartEncoder, task: Any, cache: Any, progress: bool) -> Any:
    """Result of a task, written or found; only one task's data is in memory at a time."""
    local = isinstance(task, LocalSTS)
    if task.is_aggregate:
        for part in task.tasks:
            _run(encoder, part, cache, progress)  # mteb finds their results then
    elif not local and _is_open(encoder, task, cache):
        _load_data(task)
    results = mteb.evaluate(
        encoder,
        task,
        cache=cache,
        overwrite_strategy="always" if local else "only-missing",  # mteb doesn't see that a file has changed
        encode_kwargs={"show_progress_bar": progress},
        show_progress_bar=progress,
        co2_tracker=False,
    )
    if not local and task.data_loaded:
        task.unload_data()
    return results.task_results[0]


def _is_open(encoder: PartEncoder, task: Any, cache: Any) -> bool:
    """Whether anything of a task has still to be run."""
    try:
        found = cache.load_task_result(task.metadata.name, encoder.mteb_model_meta)
    except ValueError as error:
        path = cache.get_task_result_path(task.metadata.name, encoder.mteb_model_meta)
        raise LexivertError(f"{path} is no result of mteb; delete it") from error
    return found is None or bool(found.get_missing_evaluations(task))


def _load_data(task: Any) -> None:
    try:
        with _hub_log_hidden():
            task.load_data()
    except Exception as error:  # the libraries raise dozens of unrelated types
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LexivertError(
            f"task {task.metadata.name}: its data could not be reached ({reason}); an STS file of your own (--sts) "
            "works offline"
        ) from error


@contextlib.contextmanager
def _hub_log_hidden() -> Iterator[None]:
    """Hide what the hub's client logs of each attempt; the error that ends them says it."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
