"""Stage ``vocab``: training sentences to the lexicon."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, read_parquet, write_metrics
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.text.vocabulary import build_lexicon, lexicon_metrics


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write data/vocab.parquet."""
    paths, settings = Paths(root), load_params(params)
    table = read_parquet(paths.corpus, ["split", "text"]).to_pydict()
    texts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for split, text in zip(table["split"], table["text"], strict=True):
        texts[split].append(text)
    if not texts["train"]:
        raise LexivertError(f"{paths.corpus} holds no training sentence; check the corpus section of {params}")
    lexicon = build_lexicon(texts["train"], settings.vocab)
    lexicon.save(paths.vocab)
    write_metrics(paths.metrics("vocab"), lexicon_metrics(lexicon, texts))


if __name__ == "__main__":
    run(main)
