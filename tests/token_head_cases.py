"""A small token head's params and units, for tests of its loss and of its training."""

import numpy as np
import torch

from lexivert.codes.token_head import TokenHeadConfig
from lexivert.codes.token_head_step import TrainingUnits
from lexivert.data.relations import Relations
from lexivert.training.loop import Progress
from sections import section

CONFIG = TokenHeadConfig(feature_width=12, hidden=32, code_width=48, identity_share=0.6, identity_seed=42)
PARAMS = section(
    "token_head",
    hidden=32,
    batch_size=32,
    epochs=2,
    queue_size=40,
    learning_rate=3e-3,
    accumulation=2,
    temperature={"start": 0.075, "end": 0.04},
    reconstruction_warmup_epochs=2.0,
    weight={"anchor_start": 0.2, "anchor_end": 0.05},
)
START = Progress(epoch=0, batch=0, epochs_done=0.0, share=0.0)


def units(count=120, synonyms=(), antonyms=()):
    """Random features, of which each synonym's is near its unit's."""
    rows = torch.randn(count, 12, generator=torch.Generator().manual_seed(0))
    pairs = np.array([*synonyms, *[(b, a) for a, b in synonyms]]).reshape(-1, 2)
    opposite = np.array([*antonyms, *[(b, a) for a, b in antonyms]]).reshape(-1, 2)
    related = Relations.from_pairs(pairs[:, 0], pairs[:, 1], count)
    return TrainingUnits(
        features=rows.half(),
        duplicates=torch.arange(count),
        kept=torch.arange(count),
        synonyms=related,
        never_negative=related,
        antonyms=Relations.from_pairs(opposite[:, 0], opposite[:, 1], count),
    )
