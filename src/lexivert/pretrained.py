"""Models that are saved, loaded and shared: from a project, from a folder that travels, from the Hugging Face hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.controller import model_folder, storage
from lexivert.controller.controller import Controller
from lexivert.encoders.huggingface import is_local
from lexivert.errors import LexivertError
from lexivert.generation.params import WritingParams, travelling, writing_of
from lexivert.writing import Writer


class Pretrained(ModelHubMixin):
    """The parts of a trained model, and where they come from and go to.

    Args:
        encoder: text to vector.
        decoder: vector to units.
        generation: folder of generators' trained parts; looked at when a text is first written. None for none.
        writing: which generator writes, and params of its search; the best one that there are parts for if None.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Controller,
        generation: Path | None = None,
        writing: WritingParams | None = None,
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self._writer = Writer(encoder, decoder, generation, writing or WritingParams())

    @classmethod
    def load(cls, path: Path | str = ".", *, device: str | None = None) -> Self:
        """Load from a project folder after ``dvc repro``.

        Args:
            path: the project folder.
            device: auto, cpu, cuda or mps; what ``backbone.device`` in the project's params says if None.

        Raises:
            LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
        """
        paths = Paths(Path(path))
        return cls(*storage.load_model(paths, device), paths.generation, writing_of(paths.root))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *, device: str = "auto", **hub: Any) -> Self:
        """Load from a model folder that ``save_pretrained`` wrote, or from the Hugging Face hub.

        Vectors and texts read are those of the model that was saved, to the byte on the same kind of machine. A
        backbone that is not in the folder comes from its package or the hub, and must be the one it was made with.

        Args:
            pretrained_model_name_or_path: a folder, or a hub id such as ``name/model``.
            device: auto (cuda, else mps, else cpu), cpu, cuda or mps.
            **hub: for hub ids, ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only``.

        Raises:
            LexivertError: a file is missing or damaged, of another format version, the backbone is another one, or
                the hub has no such model or can't be reached.
        """
        name = str(pretrained_model_name_or_path)
        if is_local(name) or isinstance(pretrained_model_name_or_path, Path):
            return cls._of_folder(Path(name).expanduser(), device)
        with _hub_explained(name):
            return super().from_pretrained(name, device=device, **hub)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str = "auto", **hub: Any) -> Self:
        """Fetch a model from the hub; called by the mixin."""
        wanted = [*model_folder.FILES, *(f"{name}/*" for name in model_folder.FOLDERS)]
        return cls._of_folder(Path(snapshot_download(model_id, allow_patterns=wanted, **hub)), device)

    @classmethod
    def _of_folder(cls, folder: Path, device: str) -> Self:
        generation = folder / model_folder.GENERATION
        return cls(*model_folder.read(folder, device), generation, travelling(generation / model_folder.SEARCH))

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        include_backbone: bool = True,
        include_language_model: bool = False,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        **hub: Any,
    ) -> str | None:
        """Write a model folder that loads anywhere, all of it or nothing; see ``controller.model_folder``.

        Weights are safetensors, tables Parquet, the rest JSON. A Flat FAISS index is built anew when it is needed;
        other kinds are kept in FAISS's own format.

        Args:
            save_directory: made, or replaced if it holds a model and nothing else.
            include_backbone: with the backbone's weights and tokeniser; without, its package or hub id is named and
                its fingerprint kept.
            include_language_model: with what ``effort`` above draft and ``generate`` need, of which the packaged one
                is 270 MB.
            repo_id: on the hub; the folder's name if None.
            push_to_hub: upload it, too.
            **hub: options of ``push_to_hub``.

        Returns:
            Address of the upload, or None.

        Raises:
            LexivertError: the folder holds something else, or a backbone that only this machine has is left out.
        """
        folder = Path(save_directory)
        model_folder.write(
            folder,
            self.encoder,
            self.decoder,
            include_backbone=include_backbone,
            include_language_model=include_language_model,
            generation=self._writer.folder,
            search=None if (search := self._writer.params.search) is None else search.model_dump(),
        )
        if not push_to_hub:
            return None
        if not include_backbone:
            hub.setdefault("ignore_patterns", [f"{model_folder.BACKBONE}/*"])
        return str(self.push_to_hub(repo_id or folder.resolve().name, **hub))


@contextlib.contextmanager
def _hub_explained(name: str) -> Iterator[None]:
    """Turn the hub client's many errors into one line."""
    try:
        yield
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LexivertError(f"{name!r} is no folder here, nor a model that the hub gives ({reason})") from error
