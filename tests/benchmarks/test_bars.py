"""A benchmark that misses one of its bars says so and exits with another code than 0."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch
import typer

SPEED = {
    "encode_rates": {"encode_to_backbone": 0.9, "encode_texts_per_second": 1.0, "backbone_texts_per_second": 1.0},
    "decode_rates": {"controller_texts_per_second": 160.0},
    "decode_otherwise": {
        "trace_seconds": 0.05,
        "same_as_exact_search": 1.0,
        "controller_300k_texts_per_second": 50.0,
    },
    "prefix_cosine": {"prefix_cosine_min": 1.0},
}
BAD = {
    "encode_to_backbone": 0.1,
    "controller_texts_per_second": 0.1,
    "trace_seconds": 0.2,
    "same_as_exact_search": 0.9,
    "controller_300k_texts_per_second": 0.1,
    "prefix_cosine_min": 0.1,
}


@pytest.mark.parametrize("missed", [None, "units", *BAD])
@pytest.mark.parametrize("number", [True, False])
def test_speed(load, monkeypatch, caplog, missed, number):
    speed = load("speed")
    units = range(10 if missed == "units" else 100_000)
    monkeypatch.setattr(speed.Lexivert, "load", lambda _: SimpleNamespace(index=units))
    monkeypatch.setattr(speed, "held_out", lambda _: ["a text"] * 9)
    changed = {missed: BAD[missed] if number else float("nan")} if missed in BAD else {}
    for name, figures in SPEED.items():
        own = figures | {key: value for key, value in changed.items() if key in figures}
        monkeypatch.setattr(speed, name, lambda *_, own=own: own)
    if missed is None:
        speed.main()
        return
    with pytest.raises(typer.Exit) as end:
        speed.main()
    assert end.value.exit_code == 1
    assert f"missed: {missed}" in caplog.text


@pytest.mark.parametrize(("whole", "missed"), [(1.4, False), (1.6, True), (float("nan"), True)])
def test_memory(load, monkeypatch, tmp_path, capsys, whole, missed):
    """Of an index of 1,000 bytes."""
    memory = load("memory")
    folder = memory.Paths(tmp_path).index
    folder.mkdir(parents=True)
    (folder / "units.faiss").write_bytes(b"x" * 600)
    (folder / "unit_codes.npy").write_bytes(b"x" * 400)
    monkeypatch.setattr(memory, "texts_of", lambda *_: ["a text"] * 9)
    peaks = {False: 500.0, True: 500.0 + 1000.0 * whole}
    monkeypatch.setattr(memory, "measured", lambda *_, whole: peaks[whole])
    with pytest.raises(typer.Exit) if missed else contextlib.nullcontext():
        memory.main(root=tmp_path)
    assert ("missed" in capsys.readouterr().out) is missed


def test_the_exact_index_is_a_dense_search_and_a_softmax(load, tiny_model):
    """Against scoring everything; the quick index agrees with it, and a crippled one would not."""
    speed = load("speed")
    index = speed.ExactIndex.of(tiny_model.index)
    prior = tiny_model.decoder.proposer.prior
    codes = torch.from_numpy(index.codes).float()
    rows = torch.arange(10, 30)
    queries = 40.0 * codes[rows] + torch.randn(20, codes.shape[1], generator=torch.Generator().manual_seed(0))
    bias = (torch.ones(20, 1), prior.table[:, -1:])
    scores = queries @ codes.T + bias[0] @ bias[1].T
    assert (index.scan(queries.numpy(), 3, bias, width=8)[1] == scores.topk(3, dim=1).indices.numpy()).all()
    assert index.scan(queries.numpy(), 3, bias, first=20)[1].max() < 20
    found, quick = index.posterior(queries, 4, bias), tiny_model.index.posterior(queries, 4, bias)
    torch.testing.assert_close(found.shares, scores.softmax(dim=1).topk(4, dim=1).values)
    torch.testing.assert_close(quick.mean, found.mean, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(quick.whole, found.whole, atol=0.05, rtol=0.01)
