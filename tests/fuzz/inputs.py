"""Seeded inputs: texts of all sorts, vectors of all sorts, values of all types."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

SENTENCES = (
    "The old captain saw the river.",
    "“Don't you see the moon?” said Emma; “it is pale.”",
    "The river was 12 miles from the mill, or 9,500.5 paces.",
    "She saw the lamp (a red one) -- but the captain didn't.",
    "Alice bought a red lamp near the old mill.",
    "When Emma saw the moon, the pale-hearted captain saw it too!",
)
NOTATION = (
    *("<end>", "<unk>", "<cap>", "<0x41>", "##ing", "@-@", "@,@", "<wikitext>", "[bold]x[/bold]", "[/]", ":smile:"),
    *("root:x:0:0:root:/root:/bin/bash", "\\x1b[31m", "%s%n", "{0}", "$HOME", "../..", "-", "--noise", "NaN", "null"),
    *("<b>a</b>", "<|endoftext|>", "[CLS] [MASK]", "\x1b[31mred\x1b[0m", "a\tb", "a\r\nb", "a\u2028b", "\ufeffa"),
)
CHARACTERS = (
    *(
        "a",
        "Z",
        "é",
        "ß",
        "ı",
        "İ",
        "ſ",
        "K",
        "Å",
        "ﬁ",
        "½",
        "²",
        "٣",
        "中",
        "日",
        "한",
        "か",
        "ж",
        "α",
        "א",
        "ع",
        "ก",
    ),
    *(
        "e\u0301",
        "a\u0315\u0300",
        "\u1100\u1161",
        "\u0301",
        "\u200b",
        "\u200d",
        "\u202e",
        "\u00ad",
        "\ufe0f",
        "\ufffd",
    ),
    *(
        "🙂",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "𝒳",
        "\U0010ffff",
        "\ufffe",
        "\ue000",
        "\x00",
        "\x07",
        "\x7f",
        "\x85",
        "\xa0",
    ),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        ".",
        ",",
        "'",
        "’",
        '"',
        "-",
        "–",
        "…",
        "/",
        "\\",
        "<",
        ">",
        "#",
        "@",
        "&",
        "0",
        "9",
        "1,000",
    ),
)


def text(rng: random.Random) -> str:
    """A text: ordinary, mutated, of odd characters, of the project's own notation, endless, empty."""
    made: list[Callable[[], str]] = [
        lambda: rng.choice(SENTENCES),
        lambda: mutated(rng.choice(SENTENCES), rng),
        lambda: mutated(rng.choice(SENTENCES), rng),
        lambda: " ".join(rng.choice(SENTENCES).split()[: rng.randint(0, 6)]),
        lambda: "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(0, 30))),
        lambda: " ".join(rng.choice(NOTATION) for _ in range(rng.randint(1, 4))),
        lambda: rng.choice(SENTENCES) + rng.choice((" ", "")) + rng.choice(NOTATION),
        lambda: "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 12))),
        lambda: rng.choice(CHARACTERS) * rng.choice((1, 2, 50, 300, 5000)),
        lambda: " ".join(rng.choice(SENTENCES) for _ in range(rng.randint(2, 20))),
        lambda: rng.choice(("", " ", "\n", "\t \u3000", ".", "a", "A")),
    ]
    return rng.choice(made)()


def mutated(original: str, rng: random.Random) -> str:
    """A text with some characters put in, left out, doubled, exchanged, or in another case."""
    letters = list(original)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(letters) + 1)
        changes: list[Callable[[], object]] = [
            lambda place=place: letters.insert(place, rng.choice(CHARACTERS)),
            lambda place=place: letters.__delitem__(slice(place, place + rng.randint(1, 3))),
            lambda place=place: letters.insert(place, "".join(letters[place : place + 5])),
            lambda: rng.shuffle(letters) if rng.random() < 0.1 else None,
            lambda place=place: letters.__setitem__(slice(place, None), [c.swapcase() for c in letters[place:]]),
        ]
        rng.choice(changes)()
    return "".join(letters)


def value(rng: random.Random, depth: int = 0) -> Any:
    """A value of any type that JSON or YAML has, and some that Python alone has."""
    simple: list[Any] = [
        *(None, True, False, 0, 1, -1, 2, 7, 10, 64, 10**6, 2**31, 2**63, 2**70, -(2**70)),
        *(0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-300, 1e300, math.inf, -math.inf, math.nan),
        *("", " ", "a", "true", "1", "1e-3", ".inf", "auto", "cpu", "é", "x" * 200, "\x00", "- a"),
    ]
    if depth < 2 and rng.random() < 0.2:
        size = rng.randint(0, 3)
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(size)]
        return {rng.choice(("a", "start", "word", "steps", "")): value(rng, depth + 1) for _ in range(size)}
    return rng.choice(simple)


def transformed(vectors: np.ndarray, prefix: int, rng: random.Random) -> np.ndarray:
    """Vectors that a text made, noisy, mixed, cut, scaled, or stored in few bits. Shape: (B, D)."""
    noise = np.random.default_rng(rng.randrange(2**32)).standard_normal(vectors.shape).astype(np.float32)
    factor = rng.choice((0.1, 0.5, 0.9, -1.0, 2.0))
    order_only = vectors.copy()
    order_only[:, :prefix] = 0.0
    bare = vectors.copy()
    bare[:, prefix:] = 0.0
    return rng.choice(
        [
            vectors,
            vectors + noise * rng.choice((1e-7, 1e-4, 0.01, 0.05, 0.3)),
            vectors + factor * np.roll(vectors, 1, axis=0),
            -vectors,
            vectors * rng.choice((1e-30, 1e-3, 1e3, 1e30)),
            np.sign(vectors),
            np.round(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127),
            vectors.astype(np.float16),
            order_only,
            bare,
            vectors[:, :prefix],
            vectors[:, ::-1],
            noise,
        ]
    )


def argument(vectors: np.ndarray, rng: random.Random) -> Any:
    """Something given as vectors: other containers, types and shapes, right or wrong. Shape: (B, D)."""
    spoilt = vectors.astype(np.float64)
    spoilt[rng.randrange(len(spoilt)), rng.randrange(spoilt.shape[1])] = rng.choice(
        (math.nan, math.inf, -math.inf, 1e308)
    )
    return rng.choice(
        [
            vectors.tolist(),
            list(vectors),
            tuple(map(tuple, vectors.tolist())),
            np.asfortranarray(vectors),
            vectors[::-1],
            torch.from_numpy(vectors.copy()).requires_grad_(),
            torch.from_numpy(vectors.copy()).to(torch.bfloat16),
            vectors.astype(np.float64),
            (vectors * 1000).astype(np.int32),
            vectors > 0,
            vectors.astype(np.complex64),
            vectors.astype(str),
            vectors.astype(object),
            vectors[0],
            vectors[None],
            vectors[:0],
            vectors[:, :-1],
            np.zeros_like(vectors),
            spoilt,
            [vectors[0].tolist(), vectors[0].tolist()[:-1]],
            [],
            [[]],
            {"vector": vectors},
            iter(vectors.tolist()),
            value(rng),
        ]
    )


def words(rng: random.Random) -> Any:
    """Something given as words that no text may contain."""
    some = [rng.choice(rng.choice(SENTENCES).split()) for _ in range(rng.randint(1, 3))]
    return rng.choice(
        [
            some,
            tuple(some),
            set(some),
            [rng.choice(some).upper()],
            [text(rng)],
            [" ".join(some)],
            [""],
            some[0],
            value(rng),
        ]
    )
