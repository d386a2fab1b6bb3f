"""Commands that show what becomes of one text: its rebuild from its vector, its nearest units."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lexivert.cli.mistakes import one_line
from lexivert.cli.options import EFFORT, MAX_SECONDS, Device, MaxSeconds, Model, Threads, budget_of, load
from lexivert.errors import LexivertError

_MOST_SEED = 2**32 - 1  # as of params.yaml's, whose module takes longer to import than --help may take


def roundtrip(  # noqa: PLR0913, PLR0917 a command has the options it has
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show every step of the rebuild.")] = False,
    noise: Annotated[
        float, typer.Option(metavar="COS", help="Cosine of the vector, made noisy, with the true one.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    meaning: Annotated[
        bool, typer.Option("--meaning", help="Write a text from the sentence embedding alone, with its drafts.")
    ] = False,
    effort: Annotated[
        str | None,
        typer.Option(
            EFFORT,
            metavar="draft|normal|high",
            help="How far to go for a text that is not read for sure, draft if not given; with --meaning how long to "
            "search for a better text, normal if not given.",
        ),
    ] = None,
    max_seconds: MaxSeconds = None,
) -> None:
    """Encode a text, read it back from the vector, and tell whether it is the same."""
    if not 0.0 < noise <= 1.0:
        raise LexivertError(f"--noise is {noise}; a cosine above 0 and up to 1 is needed")
    if not 0 <= seed <= _MOST_SEED:
        raise LexivertError(f"--seed is {seed}; a number from 0 to {_MOST_SEED} is needed")
    from rich.console import Console

    from lexivert.console import show_drafts, show_rebuild, verdict
    from lexivert.display import show
    from lexivert.text.tokenizer import normalize

    if meaning and (trace or max_seconds is not None):
        option = "--trace" if trace else MAX_SECONDS
        raise LexivertError(f"{option} is for reading a vector back; leave it out, or --meaning")
    with one_line():
        if meaning and not normalize(text):
            raise LexivertError(
                "the text is empty, so it has no meaning to write from; give a text, or leave out --meaning"
            )
    budget = budget_of(effort or ("normal" if meaning else "draft"), max_seconds)
    loaded = load(model, device, threads)
    with one_line():
        vectors = loaded.encode([text])
        noisy = _noisy(vectors, noise, seed)
        if meaning:
            loaded.generator  # noqa: B018 says what it lacks before anything is shown
            with show_drafts(Console(highlight=False)) as watch:
                written = loaded.generate(noisy, effort=budget["effort"], watch=watch)[0]
            show(written.text)
            show(f"written from the embedding alone, whose cosine with that of this text is {written.cosine:.4f}")
            return
        reading = loaded.read(noisy, trace=trace, **budget)[0]
    if trace:
        show_rebuild(Console(highlight=False), loaded, reading)
    show(reading.text)
    show(verdict(reading, normalize(text)))


def neighbors(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    count: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
) -> None:
    """List the units whose codes are nearest to a word's, a phrase's or a text's."""
    from lexivert.console import neighbor_table, show_table

    loaded = load(model, device, threads)
    with one_line():
        found = loaded.neighbors(text, count)
    show_table(neighbor_table(found))


def _noisy(vectors: Any, cosine: float, seed: int) -> Any:
    """Turn vectors by a random direction to a given cosine. Shape: (B, D) to (B, D)."""
    if cosine == 1.0:
        return vectors
    import torch

    from lexivert.codes.corruption import add_noise

    generator = torch.Generator().manual_seed(seed)
    return add_noise(torch.from_numpy(vectors), torch.full((len(vectors),), cosine), generator).numpy()
