from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lexivert.codes.encoder import Encoder
from lexivert.codes.hashing import identity_codes
from lexivert.config import ModelConfig
from lexivert.controller import model_folder, storage
from lexivert.controller.base import Parts
from lexivert.controller.confidence import Calibration
from lexivert.controller.controller import Controller
from lexivert.controller.language_search import LanguageSearch
from lexivert.encoders.huggingface import PACKAGED, HuggingFaceEncoder
from lexivert.errors import LexivertError, MissingArtifactError
from lexivert.language_model import storage as language_model_storage
from lexivert.language_model.storage import Source
from lexivert.model import Lexivert
from lexivert.priors.base import load_prior
from lexivert.priors.selector import SelectorPrior
from lexivert.priors.selector_storage import SelectorSizes
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.text.segmentation import Segmenter

TEXTS = ["The old captain saw the river.", "", "Emma saw ☃ and 🙂…", "Alice bought a red lamp at the end of the day."]


@pytest.fixture
def folder(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_in_it_is_pickled(folder):
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".parquet", ".md", ".txt"}
    left_out = {"units.faiss", "language_model", "generation"}
    assert {path.name for path in folder.iterdir()} == model_folder.FILES - left_out


def test_the_model_that_comes_back_is_the_one_that_went(folder, tiny_model):
    again = Lexivert.from_pretrained(folder)
    vectors = tiny_model.encode(TEXTS)
    assert again.encode(TEXTS).tobytes() == vectors.tobytes()
    assert again.read(vectors, trace=True) == tiny_model.read(vectors, trace=True)
    assert again.generate(vectors[:2]) == tiny_model.generate(vectors[:2])
    assert (
        again.fingerprint == tiny_model.fingerprint == json.loads((folder / "config.json").read_text())["fingerprint"]
    )


def test_saved_again_it_is_the_same_to_the_byte(folder, tmp_path):
    Lexivert.from_pretrained(folder).save_pretrained(tmp_path / "again")
    before = contents(folder)
    assert contents(tmp_path / "again") == before
    Lexivert.from_pretrained(folder).save_pretrained(folder)  # in its own place
    assert contents(folder) == before
    assert {path.name for path in tmp_path.iterdir()} >= {"again", "model"}
    assert not list(tmp_path.glob(".*"))


READS = """
import sys
import numpy as np
from lexivert import Lexivert

model = Lexivert.from_pretrained("model")
np.save("again.npy", model.encode(sys.argv[1:]))
for text in model.decode(np.load("vectors.npy")):
    print(ascii(text))
"""


def test_copied_to_an_empty_directory_it_reads_its_vectors(folder, tiny_model, tmp_path):
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.move(folder, place / "model")
    vectors = tiny_model.encode(TEXTS)
    np.save(place / "vectors.npy", vectors)
    (place / "reads.py").write_text(READS, encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "reads.py", *TEXTS], cwd=place, env=os.environ, capture_output=True, text=True, check=False
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [ascii(text) for text in TEXTS]
    assert np.load(place / "again.npy").tobytes() == vectors.tobytes()


READS_ALONE = """
import sys
import numpy as np
from lexivert import Lexivert

model = Lexivert.from_pretrained("model")
print("pandas" in sys.modules)
vectors = np.load("vectors.npy")
for reading in model.read(vectors):
    print(ascii(reading.text))
print(model.fingerprint, "transformers" in sys.modules)
print(model.encode(sys.argv[1:]).tobytes() == vectors.tobytes(), "transformers" in sys.modules)
"""


def test_reading_loads_no_transformers(folder, tiny_model):
    np.save(folder.parent / "vectors.npy", tiny_model.encode(TEXTS))
    answer = subprocess.run(
        [sys.executable, "-c", READS_ALONE, *TEXTS],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    expected = ["False", *map(ascii, TEXTS), f"{tiny_model.fingerprint} False", "True True"]
    assert answer.stdout.splitlines() == expected


def test_a_backbone_that_is_changed_after_loading_is_refused(folder):
    model = Lexivert.from_pretrained(folder)
    config = json.loads((folder / "backbone" / "config.json").read_text())
    (folder / "backbone" / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    for _ in range(2):
        with pytest.raises(LexivertError, match=r"backbone is another backbone than .* was made with \(fingerprint"):
            model.encode(TEXTS)


def test_a_hub_id_in_the_hubs_own_cache(folder, tiny_model, tmp_path):
    cached = tmp_path / "cache" / "models--somebody--tiny"
    shutil.copytree(folder, cached / "snapshots" / "0123abcd")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0123abcd")
    model = Lexivert.from_pretrained("somebody/tiny", cache_dir=tmp_path / "cache", local_files_only=True)
    assert model.fingerprint == tiny_model.fingerprint
    with pytest.raises(LexivertError, match="'somebody/other' is no folder here, nor a model that the hub gives"):
        Lexivert.from_pretrained("somebody/other", cache_dir=tmp_path / "cache", local_files_only=True)


def test_the_hubs_mixin_saves_it_whole(tiny_model, folder, tmp_path):
    """As ``push_to_hub`` calls it before it uploads the folder."""
    assert (
        tiny_model.save_pretrained(tmp_path / "x" / "somebody" / "tiny", config=None, model_card_kwargs=None) is None
    )
    assert contents(tmp_path / "x" / "somebody" / "tiny") == contents(folder)


def test_an_index_of_another_kind_travels_too(tiny_model, tmp_path):
    encoder, decoder = tiny_model.encoder, tiny_model.decoder
    params = encoder.config.index.model_copy(update={"factory": "HNSW16"})
    config = encoder.config.model_copy(update={"index": params})
    parts = replace(decoder.parts, index=UnitIndex.build(encoder.codes, params))
    other = Lexivert(Encoder(config, encoder.backbone, encoder.segmenter, encoder.codes), decoder.with_parts(parts))
    other.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "units.faiss").is_file()
    again = Lexivert.from_pretrained(tmp_path / "model")
    assert not again.index.scans
    vectors = other.encode(TEXTS)
    assert again.read(vectors) == other.read(vectors)
    (tmp_path / "model" / "units.faiss").write_bytes(b"rubbish")
    with pytest.raises(LexivertError, match=r"units\.faiss is incomplete or damaged .* save or download"):
        Lexivert.from_pretrained(tmp_path / "model")
    (tmp_path / "model" / "units.faiss").unlink()
    with pytest.raises(LexivertError, match=r"units\.faiss is missing"):
        Lexivert.from_pretrained(tmp_path / "model")


def test_a_model_of_another_release_names_the_key(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "older")
    path = tmp_path / "older" / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["model"]["code"]["eos_energy"]
    path.write_text(json.dumps(content), encoding="utf-8")
    message = r"\(code\.eos_energy is missing, so another release made it\); save or download the model again$"
    with pytest.raises(LexivertError, match=message):
        Lexivert.from_pretrained(tmp_path / "older")


@pytest.mark.parametrize("name", ["unigram", "flat"])
def test_a_prior_made_of_the_lexicon_needs_no_files(tiny_model, tmp_path, name):
    parts = tiny_model.decoder.parts
    params = parts.params.model_copy(update={"prior": name})
    prior = load_prior(name, tiny_model.encoder.segmenter.lexicon, tiny_model.encoder.config, tmp_path)
    other = Lexivert(tiny_model.encoder, tiny_model.decoder.with_parts(replace(parts, prior=prior, params=params)))
    other.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model" / "prior").exists()
    vectors = other.encode(TEXTS)
    assert Lexivert.from_pretrained(tmp_path / "model").read(vectors) == other.read(vectors)


def test_a_prior_that_can_not_be_saved_is_said_so(tiny_model, tmp_path):
    class Mine:
        def __getattr__(self, name):
            if name == "save":
                raise AttributeError(name)
            return getattr(tiny_model.decoder.parts.prior, name)

    parts = replace(tiny_model.decoder.parts, prior=Mine())
    other = Lexivert(tiny_model.encoder, tiny_model.decoder.with_parts(parts))
    with pytest.raises(LexivertError, match=r"the prior Mine has no method save\(folder\)"):
        other.save_pretrained(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "lexicon.parquet",
        "unit_codes.safetensors",
        "prior/selector.safetensors",
        "prior/config.json",
        "backbone/model.safetensors",
        "backbone/config.json",
    ],
)
def test_damage_gives_one_line(folder, name):
    whole = (folder / name).read_bytes()
    damages = (whole[: len(whole) // 2], b"", b"not what it should be", None)
    for content in damages:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(LexivertError) as caught:
            Lexivert.from_pretrained(folder)
        message = str(caught.value)
        assert "\n" not in message
        assert "dvc" not in message
        assert str(folder) in message or "backbone" in message


def test_other_versions_and_other_folders_are_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format_version": 4}))
    with pytest.raises(LexivertError, match="format version 4; this release reads version 3"):
        Lexivert.from_pretrained(folder)
    before = json.loads(json.dumps(config | {"format_version": 1}))  # as of releases that knew less
    del before["model"]["code"]["eos_energy"], before["decoding"]["params"]["language_search"]
    (folder / "config.json").write_text(json.dumps(before))
    with pytest.raises(LexivertError, match="format version 1; this release reads version 3: use the release that"):
        Lexivert.from_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(LexivertError, match="is no Lexivert model"):
        Lexivert.from_pretrained(folder)
    with pytest.raises(LexivertError, match="is no folder"):
        Lexivert.from_pretrained(tmp_path / "gone")


@pytest.mark.parametrize("changes", [{"decoding": {}}, {"model": {}}, {"backbone_fingerprint": None}])
def test_a_config_of_another_form_is_refused(folder, changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(LexivertError) as caught:
        Lexivert.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_files_of_different_models_do_not_mix(folder):
    path = folder / "prior" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"positions": 12}))
    with pytest.raises(LexivertError, match="save or download the model again"):
        Lexivert.from_pretrained(folder)


def test_another_backbone_is_refused(folder, tiny_backbone):
    config = json.loads((folder / "backbone" / "config.json").read_text())
    (folder / "backbone" / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(LexivertError, match=r"backbone is another backbone than .* was made with \(fingerprint"):
        Lexivert.from_pretrained(folder)
    shutil.rmtree(folder / "backbone")
    with pytest.raises(LexivertError, match=r"backbone\.model is '\./backbone', but there is no such folder"):
        Lexivert.from_pretrained(folder)


def test_a_folder_that_is_something_else_is_not_replaced(tiny_model, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    tiny_model.save_pretrained(tmp_path / "empty")
    assert contents(tmp_path / "empty") == contents(folder)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("years of work")
    with pytest.raises(LexivertError, match="thesis is no model folder, and not empty"):
        tiny_model.save_pretrained(thesis)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(LexivertError, match=r"holds notes\.txt beside a model"):
        tiny_model.save_pretrained(folder)
    with pytest.raises(LexivertError, match="is a file"):
        tiny_model.save_pretrained(thesis / "chapter.tex")
    assert (thesis / "chapter.tex").read_text() == "years of work"
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_backbone_of_this_machine_alone_must_travel(tiny_model, tmp_path):
    with pytest.raises(LexivertError, match="is a folder of this machine; include it"):
        tiny_model.save_pretrained(tmp_path / "model", include_backbone=False)
    assert not (tmp_path / "model").exists()


@pytest.fixture
def packaged(tiny_params):
    """Encoder and decoder on the packaged backbone, with a lexicon of a few words and a prior as if trained."""
    backbone_params = tiny_params.backbone.model_copy(update={"model": PACKAGED, "max_tokens": 64})
    code = tiny_params.code.model_copy(update={"embed_dim": 384 + 256})
    config = ModelConfig.of(tiny_params.model_copy(update={"backbone": backbone_params, "code": code}), 384)
    surfaces = (*RESERVED, "the", "old", "captain")
    counts = np.arange(len(surfaces), 0, -1, dtype=np.int64)
    lexicon = Lexicon(surfaces, ("control",) * 6 + ("byte",) * 256 + ("word",) * 3, counts, counts)
    codes = identity_codes(surfaces, config.order_width, config.seed).astype(np.float16)
    encoder = Encoder(config, HuggingFaceEncoder.load(config.backbone), Segmenter(lexicon), torch.from_numpy(codes))
    sizes = SelectorSizes.of(config, len(lexicon), tiny_params.selector)
    vectors = torch.randn(sizes.units, sizes.embedding_dim, generator=torch.Generator().manual_seed(0)).half().float()
    prior = SelectorPrior.of(sizes.new(seed=0), vectors, torch.from_numpy(lexicon.log_prior()))
    codebook = storage.codebook_of(config, lexicon, encoder.codes)
    index = UnitIndex.build(encoder.codes, config.index)
    return SimpleNamespace(
        encoder=encoder, decoder=Controller(Parts(codebook, index, prior, tiny_params.controller), Calibration.none())
    )


def test_a_packaged_backbone_may_stay_behind(packaged, tmp_path):
    model = Lexivert(packaged.encoder, packaged.decoder)
    model.save_pretrained(tmp_path / "with")
    model.save_pretrained(tmp_path / "without", include_backbone=False)
    assert (tmp_path / "with" / "backbone" / "model.safetensors").is_file()
    assert not (tmp_path / "without" / "backbone").exists()
    expected = model.encode(["the old captain"]).tobytes()
    for name in ("with", "without"):
        again = Lexivert.from_pretrained(tmp_path / name)
        assert again.encode(["the old captain"]).tobytes() == expected
        assert again.decode(again.encode(["the old captain"])) == ["the old captain"]
        assert again.encoder.config.backbone.model == PACKAGED
    config = json.loads((tmp_path / "without" / "config.json").read_text())
    (tmp_path / "without" / "config.json").write_text(json.dumps(config | {"backbone_fingerprint": "0" * 64}))
    with pytest.raises(LexivertError, match=rf"^{PACKAGED} is another backbone than .* not 000000000000\)"):
        Lexivert.from_pretrained(tmp_path / "without")


def test_the_encoder_alone(folder, tiny_model):
    encoder = model_folder.read_encoder(folder)
    shutil.rmtree(folder / "prior")
    assert model_folder.read_encoder(folder, "cpu").fingerprint == encoder.fingerprint == tiny_model.fingerprint


def test_the_card_says_how_to_load_it(folder, tiny_model):
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: lexivert\n")
    assert "Lexivert.from_pretrained" in card
    assert tiny_model.fingerprint in card
    assert "| width of a vector | 256: semantic prefix 32, order part 224 |" in card


def test_a_language_model_travels_on_demand(tiny_model, tmp_path):
    with pytest.raises(LexivertError, match="a folder of this machine; leave the language model out"):
        tiny_model.save_pretrained(tmp_path / "model", include_language_model=True)
    assert not (tmp_path / "model").exists()
    tiny_model.save_pretrained(tmp_path / "without")
    search = Lexivert.from_pretrained(tmp_path / "without").decoder.search
    with pytest.raises(MissingArtifactError, match="was saved without a language model"):
        _ = search.language_model
    language_model_storage.write("none", tmp_path / "none")
    named = LanguageSearch(tiny_model.decoder.parts, tiny_model.encoder, Source(tmp_path / "none"))
    decoder = Controller(tiny_model.decoder.parts, tiny_model.decoder.calibration, search=named)
    Lexivert(tiny_model.encoder, decoder).save_pretrained(tmp_path / "with", include_language_model=True)
    assert (tmp_path / "with" / "language_model" / "language_model.json").is_file()
    with pytest.raises(LexivertError, match=r"language_model\.model is none"):
        _ = Lexivert.from_pretrained(tmp_path / "with").decoder.search.language_model


def test_a_decoder_without_a_search_has_no_language_model(packaged, tmp_path):
    with pytest.raises(LexivertError, match="has no language model; leave it out"):
        Lexivert(packaged.encoder, packaged.decoder).save_pretrained(tmp_path / "model", include_language_model=True)
