"""Inputs of the public API: texts there and back, vectors and arguments of any kind, neighbours."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np

from fuzz import inputs
from lexivert import Lexivert
from lexivert.text.tokenizer import normalize

SURE = 0.9
"""Confidence above which a clean vector's text is right."""


def there_and_back(model: Lexivert, rng: random.Random) -> None:
    """Texts become vectors and are read back: an ordinary sentence is right, and so is what is verified or sure."""
    texts: Any = [
        rng.choice(inputs.SENTENCES) if rng.random() < 0.3 else inputs.text(rng) for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.1:
        texts[rng.randrange(len(texts))] = inputs.value(rng)
    if rng.random() < 0.1:
        texts = rng.choice([texts[0], tuple(texts), iter(texts), {"text": texts}, inputs.value(rng)])
    listed = list(texts) if isinstance(texts, list | tuple) else None
    try:
        vectors = model.encode(texts)
    except ValueError as error:
        one_line(error)
        if listed and all(isinstance(text, str) for text in listed) and len(listed) == 1:
            assert not fits(model, listed[0])
        return
    assert vectors.dtype == np.float32
    assert vectors.shape[1] == model.embed_dim
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    if listed is None:
        assert not isinstance(texts, dict | str), "a table or one string was taken for a list of texts"
        return
    assert len(vectors) == len(listed)
    assert all(map(model.fits, listed))
    readings = model.read(vectors)
    sensible(readings, len(listed))
    for text, reading in zip(listed, readings, strict=True):
        right = reading.text == normalize(text)
        assert right or not reading.verified, (text, reading)
        assert right or reading.confidence <= SURE, (text, reading)
        assert right or text not in inputs.SENTENCES, (text, reading)


def fits(model: Lexivert, text: str) -> bool:
    """Whether a vector can take a text; not where it is none."""
    try:
        return model.fits(text)
    except ValueError:
        return False


def any_vectors(model: Lexivert, rng: random.Random) -> None:
    """Vectors that no text made, and arguments of any kind: a reading is sensible, a certificate is true."""
    texts = [rng.choice(inputs.SENTENCES) for _ in range(rng.randint(1, 3))]
    vectors = model.encode(texts)
    given = inputs.transformed(vectors, model.semantic_width, rng)
    count: int | None = len(texts)
    if rng.random() < 0.4:
        given, count = inputs.argument(vectors, rng), None
    options: dict[str, Any] = {}
    if rng.random() < 0.3:
        options["banned"] = inputs.words(rng)
    if rng.random() < 0.3:
        options["prefix"] = rng.choice([texts[0][: rng.randint(0, 20)], inputs.text(rng), inputs.value(rng)])
    if rng.random() < 0.2:
        options["trace"] = True
    try:
        readings = model.read(given, **options)
    except ValueError as error:
        one_line(error)
        return
    sensible(readings, count)
    for row, reading in enumerate(readings):
        if reading.verified and count and np.asarray(given).shape[1] == model.embed_dim:
            certified(model, reading.text, np.asarray(given)[row])
        for word in options.get("banned", ()):
            written = re.escape(" ".join(word.split()))
            assert not re.search(rf"(?<!\w){written}(?!\w)", reading.text, re.IGNORECASE), (options, reading.text)
        if isinstance(options.get("prefix"), str):
            wanted = normalize(options["prefix"])
            assert reading.text.startswith(wanted), (wanted, reading.text)


def certified(model: Lexivert, text: str, vector: np.ndarray) -> None:
    """A verified text gives the order part that was read."""
    own = model.encode([text])[0, model.semantic_width :].astype(np.float64)
    given = vector[model.semantic_width :].astype(np.float64)
    given /= np.abs(given).max()
    cosine = own @ given / np.linalg.norm(own) / np.linalg.norm(given)
    assert cosine > 0.999, (text, cosine)


def near(model: Lexivert, rng: random.Random) -> None:
    """Neighbours of texts, vectors and other things: so many, the nearest first."""
    vector = model.encode([rng.choice(inputs.SENTENCES)])[0]
    query = rng.choice(
        [inputs.text(rng), inputs.text(rng), vector, vector[: model.semantic_width], inputs.value(rng)]
    )
    count = rng.choice([1, 5, 10, 10**6, inputs.value(rng)])
    try:
        found = model.neighbors(query, count)
    except ValueError as error:
        one_line(error)
        return
    assert type(count) is int
    assert 1 <= len(found) <= count
    scores = [neighbor.score for neighbor in found]
    assert scores == sorted(scores, reverse=True)
    assert all(-1.0001 <= score <= 1.0 for score in scores)


def sensible(readings: list[Any], count: int | None) -> None:
    """Readings have probabilities that are such, and one score a unit."""
    assert count is None or len(readings) == count
    for reading in readings:
        assert 0.0 <= reading.confidence <= 1.0
        assert -1.0001 <= reading.fit <= 1.0001
        assert len(reading.scores) in {0, len(reading.units)}
        assert all(0.0 <= score <= 1.0 for score in reading.scores)
        reading.text.encode("utf-8")


def one_line(error: Exception) -> None:
    """A mistake is told in one line that is no longer than a screen."""
    message = str(error)
    assert message
    assert "\n" not in message
    assert len(message) < 1000, message[:200]


ATTEMPTS = (there_and_back, there_and_back, any_vectors, any_vectors, near)


def attempt(model: Lexivert, rng: random.Random) -> None:
    """Any of these."""
    rng.choice(ATTEMPTS)(model, rng)
