# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of Lexivert
#
# Lexivert writes a sentence as one vector that does two jobs: its first numbers are an ordinary sentence embedding,
# for semantic search; the rest holds the words and their order, so that the sentence can be **read back** from the
# vector alone. This notebook goes once through all of it: load, encode, neighbours, rebuild, noise, compare
# experiments.
#
# It needs a trained model: run `make reproduce` in the project folder first. Then run the cells from top to bottom,
# and change the sentences as you like.

# %%
import difflib
import html
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from IPython.display import HTML
from ipywidgets import FloatSlider, IntSlider, interact

from lexivert.codes.corruption import add_noise
from lexivert.console import buffer_text, verdict
from lexivert.model import Lexivert
from lexivert.text.tokenizer import normalize


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> HTML:
    """Show rows as a table."""

    def row(cells: Sequence[object], tag: str) -> str:
        return "".join(f'<{tag} style="text-align: left">{html.escape(str(cell))}</{tag}>' for cell in cells)

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return HTML(f"<table><tr>{row(header, 'th')}</tr>{body}</table>")


# %% [markdown]
# ## 1. Load
#
# A model lives in a project folder: `data/` holds the vocabulary, `models/` what was trained.

# %%
# The project folder is the one above notebooks/; set the environment variable LEXIVERT_ROOT to use another one.
ROOT = Path(os.environ.get("LEXIVERT_ROOT") or Path.cwd().parent).resolve()

model = Lexivert.load(ROOT)
semantic_width = model.semantic_width
print(f"vectors of {model.embed_dim} numbers: {semantic_width} for the meaning, the rest for words and their order")
print(f"{len(model.encoder.segmenter.lexicon.surfaces)} units in the vocabulary")

# %% [markdown]
# ## 2. Encode
#
# `encode` takes a list of texts and gives one vector of length 1 for each.

# %%
SENTENCES = [
    "In the middle of the night a silent owl left the tower, and the old king saw it on the other side of the river.",
    "Late in the evening a quiet bird flew away from the castle.",
    "The king's army marched on London.",
    "The soldiers left for the city.",
]

vectors = model.encode(SENTENCES)
print("shape", vectors.shape, "type", vectors.dtype)
print("lengths", np.linalg.norm(vectors, axis=1))

# %% [markdown]
# The *semantic prefix*, the first numbers of a vector, is the embedding of the sentence encoder underneath. Cut it
# off, scale it to length 1, and products are cosines: near 1 for like meaning, near 0 for unrelated sentences.
# Semantic search needs nothing else.

# %%
prefix = vectors[:, :semantic_width]
prefix = prefix / np.linalg.norm(prefix, axis=1, keepdims=True)
cosines = prefix @ prefix.T

table(
    ["", *range(1, len(SENTENCES) + 1), "sentence"],
    [
        [number, *(f"{cosine:.2f}" for cosine in row), sentence]
        for number, (row, sentence) in enumerate(zip(cosines, SENTENCES, strict=True), start=1)
    ],
)

# %% [markdown]
# ## 3. Neighbours
#
# A text is written in *units*: words, names, phrases of a few words, punctuation; what the vocabulary lacks is
# spelled in pieces (`##` marks one within a word). Every unit has a code, and `neighbors` lists the units whose codes
# are nearest. A code holds spelling and meaning, so both kinds of likeness count.

# %%
print(model.segment(SENTENCES[0]))

# %%
table(["unit", "kind", "cosine"], [[n.surface, n.kind, f"{n.score:.3f}"] for n in model.neighbors("river", k=8)])

# %% [markdown]
# A phrase works too. If it is no unit of its own, the sum of its units' codes is looked up.

# %%
PHRASE = "a silent owl"

print(f"“{PHRASE}” is written as {model.segment(PHRASE)}")
table(["unit", "kind", "cosine"], [[n.surface, n.kind, f"{n.score:.3f}"] for n in model.neighbors(PHRASE, k=8)])

# %% [markdown]
# ## 4. Rebuild
#
# `read` gets nothing but the vector: neither the text nor its length.

# %%
sentence = SENTENCES[0]
reading = model.read(vectors[:1], trace=True)[0]

print(reading.text)
print(verdict(reading, normalize(sentence)))
print(f"confidence, the probability that the entire text is right: {reading.confidence:.3f}")

# %% [markdown]
# With `trace=True` the reading remembers every step of the decoder: the unit it was surest of, the position, the
# probability it gave, and the *residual*, the share of the vector not explained yet. `·` is a position still open,
# `<end>` the end of the text. What is found is subtracted, which makes the rest easier to see.

# %%
surfaces = [model.encoder.segmenter.surface([step.unit])[0] for step in reading.steps]

table(
    ["step", "unit", "position", "probability", "residual", "text so far"],
    [
        [number, surface, step.position, f"{step.score:.3f}", f"{step.residual:.4f}", text]
        for number, (surface, step) in enumerate(zip(surfaces, reading.steps, strict=True), start=1)
        for text in [buffer_text(step.buffer, model.encoder.segmenter.join)]
    ],
)

# %% [markdown]
# A residual of zero verifies the reading: the rebuilt text gives the very same vector.

# %%
line = go.Scatter(
    x=list(range(len(surfaces) + 1)),
    y=[1.0, *(step.residual for step in reading.steps)],
    text=["nothing yet", *surfaces],
    mode="lines+markers",
    hovertemplate="%{text}<br>residual %{y:.4f}<extra></extra>",
)
go.Figure(line, {"height": 350, "xaxis_title": "step", "yaxis_title": "residual", "yaxis_rangemode": "tozero"})

# %% [markdown]
# ## 5. Noise
#
# What if the vector is not quite the right one? `add_noise` turns it in a random direction until its cosine with the
# true vector is the given one: 1 is no noise; at 0.5 there is more noise in it than signal. Below, the text that is
# read, the decoder's confidence in it, and the units that came out otherwise.


# %%
def show_noisy(cosine: float, seed: int = 0) -> None:
    """Read the sentence from a noisy vector, and show which units came out otherwise."""
    generator = torch.Generator().manual_seed(seed)
    noisy = add_noise(torch.from_numpy(vectors[:1]), torch.tensor([cosine]), generator)
    found = model.read(noisy.numpy())[0]
    meant = model.segment(sentence)
    print(found.text)
    print(f"cosine {cosine:.2f}   confidence {found.confidence:.3f}   exact: {found.text == normalize(sentence)}")
    changes = difflib.SequenceMatcher(None, meant, found.units, autojunk=False).get_opcodes()
    different = [(meant[a:b], list(found.units[c:d])) for kind, a, b, c, d in changes if kind != "equal"]
    for was, read in different:
        print(f"  {was} was read as {read}")
    if not different:
        print("  no unit differs")


show_noisy(0.5)

# %% [markdown]
# The same with a slider: find the noise that the sentence does not survive. `seed` draws other noise of the same
# strength. Very noisy vectors take a few seconds, since the decoder tries again where it is not sure. (Without a
# running kernel the slider does nothing.)

# %%
_ = interact(
    show_noisy,
    cosine=FloatSlider(value=0.8, min=0.5, max=1.0, step=0.05, continuous_update=False),
    seed=IntSlider(value=0, min=0, max=9, continuous_update=False),
)

# %% [markdown]
# ## 6. Compare two experiments
#
# Every run of the pipeline writes its results to `metrics/*.json`, which git keeps. So two runs are compared by
# naming two revisions: a commit, a branch, a tag, or a DVC experiment (`dvc exp show` lists them); `workspace` means
# the files as they are now. To see a difference, change something in `params.yaml`, run `dvc exp run` in the project
# folder, and run the cells below again. On the command line, `dvc metrics diff` lists every difference.

# %%
BEFORE = "HEAD"
AFTER = "workspace"


# %%
def numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    """List the numbers within a metrics file, under dotted names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(f"{name}.{key}", inner)
    elif isinstance(value, int | float) and not name.endswith("_per_second"):  # speed is the machine's
        yield name, value


def metrics_at(revision: str) -> dict[str, float]:
    """Read all metrics of a revision, also of one in which some stages have none yet."""
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(str(ROOT), rev=None if revision == "workspace" else revision)
    contents = {Path(path).stem: json.loads(files.read_text(path)) for path in files.glob("/metrics/*.json")}
    return {name: number for stage, content in contents.items() for name, number in numbers(stage, content)}


def compare(before: str, after: str, most: int = 15) -> HTML | None:
    """Show the metrics that differ most between two revisions, by their share of the larger value."""
    if not (ROOT / "dvc.yaml").is_file():
        print(f"nothing to compare: {ROOT} holds a model, but no dvc.yaml and so no history of runs")
        return None
    try:
        from dvc.exceptions import DvcException
    except ImportError:
        print("nothing to compare: DVC is not installed; it comes with the extra `pipeline`")
        return None
    try:
        old, new = metrics_at(before), metrics_at(after)
    except DvcException as error:  # no git, no commit yet, or no such revision
        print(f"nothing to compare: {error}")
        return None
    both = old.keys() & new.keys()
    different = [name for name in both if old[name] != new[name]]
    different.sort(key=lambda name: (-abs(new[name] - old[name]) / max(abs(new[name]), abs(old[name])), name))
    only = len(old.keys() ^ new.keys())
    print(f"{len(both)} metrics are in both, and {len(different)} of them differ; {only} are in one only")
    if not different:
        return None
    return table(
        ["metric", before, after, "difference"],
        [
            [name, f"{old[name]:.6g}", f"{new[name]:.6g}", f"{new[name] - old[name]:+.6g}"]
            for name in different[:most]
        ],
    )


compare(BEFORE, AFTER)
