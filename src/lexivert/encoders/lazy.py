"""A backbone that is loaded when it is first used: reading vectors takes none, and importing transformers seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from lexivert.config import BackboneParams
from lexivert.devices import choose_device
from lexivert.encoders.base import SentenceEncoder, load_encoder
from lexivert.encoders.fingerprint import fingerprint_of_files
from lexivert.encoders.known import known_folder, known_width

_LOADING = threading.RLock()  # one for all, as a lock of its own could not be copied to another process


class LazyEncoder:
    """A sentence encoder to come, for whatever number of threads.

    Args:
        load: builds it.
        fingerprint: its fingerprint where that is known; that of the encoder itself if None.
    """

    def __init__(self, load: Callable[[], SentenceEncoder], fingerprint: str | None = None) -> None:
        self._load = load
        self._fingerprint = fingerprint
        self._encoder: SentenceEncoder | None = None

    def get(self) -> SentenceEncoder:
        """The encoder, which is loaded once.

        Raises:
            LexivertError: it can't be loaded; the next call tries again.
        """
        if self._encoder is None:
            with _LOADING:
                if self._encoder is None:
                    self._encoder = self._load()
        return self._encoder

    def fingerprint(self) -> str:
        """Hash of all that makes it this encoder."""
        return self.get().fingerprint() if self._fingerprint is None else self._fingerprint


def lazy_encoder(
    params: BackboneParams,
    load: Callable[[BackboneParams], SentenceEncoder] = load_encoder,
    fingerprint: str | None = None,
) -> LazyEncoder:
    """The encoder that ``backbone.model`` names, loaded at once unless its files show that it can be loaded later.

    They do where they are on this machine, can be read, and have the fingerprint that is expected.

    Args:
        params: section ``backbone``.
        load: builds the encoder, and refuses one that is not what it should be.
        fingerprint: that the encoder must have; None for any.

    Raises:
        LexivertError: it can't be loaded, or what ``load`` says.
    """
    found = LazyEncoder(partial(load, params), fingerprint)
    if not _can_wait(params, fingerprint):
        found.get()
    return found


def _can_wait(params: BackboneParams, fingerprint: str | None) -> bool:
    folder = known_folder(params)
    if folder is None or known_width(params) is None:
        return False
    choose_device(params.device)
    stored = fingerprint_of_files(params, folder)
    return stored is not None and fingerprint in {None, stored}
