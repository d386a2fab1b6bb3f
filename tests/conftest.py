"""What every test may use: a tiny local backbone, a tiny corpus, and parameters for a run of seconds."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before the hub's library is imported: no test may use the network
# Tiny matrices: a second thread only waits, and on a busy machine very long. Set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import hashlib
import io
import math
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from hypothesis import settings
from ruamel.yaml import YAML
from xdist.scheduler import LoadScopeScheduling

from lexivert import cli
from lexivert.artifacts import Paths, write_json, write_parquet
from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.power import unit_energies, with_energies
from lexivert.config import ControllerParams, Params, load_params
from lexivert.controller.base import Parts
from lexivert.controller.candidates import Queries
from lexivert.controller.observation import Observation
from lexivert.data.fetch import fetch
from lexivert.data.relations import SCHEMA as RELATIONS_SCHEMA
from lexivert.data.sources import read_source, write_texts
from lexivert.data.word_lists import read_word_lists
from lexivert.model import Lexivert
from lexivert.priors.selector import Selector, SelectorPrior
from lexivert.search.unit_index import UnitIndex
from lexivert.stages.__main__ import run_stages
from lexivert.yaml_reader import overridden, read_yaml
from sections import repository_params, section

# A machine that does other things too is no reason to fail, so nothing has a deadline.
settings.register_profile("default", max_examples=100, deadline=None)
settings.register_profile("nightly", max_examples=600, deadline=None)
settings.load_profile("default")

REPOSITORY = Path(__file__).resolve().parents[1]
TESTS = Path(__file__).parent
FIRST = ("pipeline", "evaluation", "notebooks", "benchmarks", "controller", "text", "test_cli.py", "test_model.py")
"""What takes longest: begun first, so that neither of two workers is left alone with one at the end."""


class ByFile(LoadScopeScheduling):
    """Keeps a file's tests on one worker, and with them its fixtures; those of the pipeline share one project."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/pipeline" if file.startswith("tests/pipeline/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is named first."""
    rank = {folder: number for number, folder in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).parts[0], len(FIRST)))


@pytest.fixture(scope="session")
def embedded(pytestconfig: pytest.Config) -> Paths:
    """Paths of a project whose raw folder holds all that comes in packages: this one, or one in the cache."""
    project = Paths(REPOSITORY)
    if all(folder.is_dir() for folder in (project.wordnet, project.gutenberg, project.wikipedia, project.word_lists)):
        return project
    cache = pytestconfig.cache.mkdir("embedded")
    with FileLock(cache / "fetch.lock"):
        fetch(Paths(cache), repository_params().corpus, word_lists=True)
    return Paths(cache)


@pytest.fixture(scope="session")
def word_lists(embedded: Paths) -> dict[str, dict[str, float]]:
    """Word frequencies of the languages of ``params.yaml``."""
    return read_word_lists(embedded, repository_params().vocab.languages)


TINY_WIDTH = 32

_WORDS = {
    "noun": """
        answer apple army baker bell bird boat book bread bridge brother candle captain castle chair child
        church city cloud coat corner country daughter door dream eagle evening farmer father field fire fish
        flower forest friend garden gate girl grass hand harbour hat hill horse house island journey king
        kitchen lady lake lamp letter light lion market master meadow merchant mill money moon morning mother
        mountain night ocean owl paper path piano picture prince queen rain river road rock room rose sailor
        school shadow sheep ship shoe sister snow soldier song spring star stone storm story stranger street
        summer sun table teacher thief tower tree valley village voice wagon wall water wheel wind window
        winter wolf woman wood world year
    """,
    "verb": """
        asked believed bought broke brought built called carried caught chose counted covered crossed
        described drew feared filled followed forgot found gave heard held hid kept knew left liked lost loved
        made met missed needed noticed opened painted passed praised promised pulled reached remembered saw
        sent shook showed sold sought stole thanked told took touched turned understood visited wanted warned
        washed watched wished wrote
    """,
    "adjective": """
        ancient black blue bold brave bright broken calm cheerful clever cold cruel dark deep distant dry
        early empty faithful famous foolish gentle golden great green heavy high honest hungry kind little
        lonely long lost low narrow noble old pale patient poor proud quiet red rich sad silent silver small
        strange strong sweet tall tired warm weak white wide wild wise young
    """,
    "function word": """
        a about after again all an and are as at be because been before but by can could did do does for from
        had has have he her him his i if in into is it me more my no not of on or other our out over she side
        so some than that the their them then there they this through to under until up upon was we were what
        when where which while who will with would you your end day middle near one two three don didn isn
        said thou shall
    """,
    "suffix": """
        s es ed er ers est ing ings ly ness ment tion able ful less ish y al en ous ity ation n't
    """,
}
NOUNS, VERBS, ADJECTIVES, FUNCTION_WORDS, SUFFIXES = (words.split() for words in _WORDS.values())
NAMES = ["Alice", "Mr. Brown", "Captain Hook", "Emma", "Harriet", "London", "New York", "Queen Anne", "Rome", "Toby"]
PLACES = [
    "at the end of the day",
    "in the middle of the night",
    "on the other side of the river",
    "near the old mill",
]


def _vocabulary() -> list[str]:
    """A WordPiece vocabulary that covers ASCII letters, so that few texts meet [UNK]."""
    characters = [*(chr(code) for code in range(0x21, 0x7F) if not chr(code).isupper()), *"“”‘’—"]
    names = [part.strip(".").lower() for name in NAMES for part in name.split()]
    words = NOUNS + VERBS + ADJECTIVES + FUNCTION_WORDS + names
    pieces = [f"##{text}" for text in [*characters, *SUFFIXES]]
    return list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *pieces, *words]))


@pytest.fixture(scope="session")
def make_once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder that all workers of a test run share: whoever needs it first makes it, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared / name
        with FileLock(shared / f"{name}.lock"):
            if not (shared / f"{name}.made").exists():
                folder.mkdir()
                make(folder)
                (shared / f"{name}.made").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tiny_backbone(make_once: Callable[..., Path]) -> Path:
    """Folder of a random two-layer BERT, 32 wide, 64 positions, in Hugging Face format; always the same weights."""
    return make_once("tiny_backbone", _write_backbone)


def _write_backbone(folder: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = _vocabulary()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=TINY_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokens = {piece: number for number, piece in enumerate(vocabulary)}
    BertTokenizerFast(vocab=tokens, model_max_length=64).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_language_model(make_once: Callable[..., Path]) -> Path:
    """Folder of a random two-layer Llama, 32 wide, 512 positions, with a tokeniser of byte pairs; the same always."""
    return make_once("tiny_language_model", _write_language_model)


def _write_language_model(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    rng = random.Random(0)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([_sentence(rng) for _ in range(300)], trainer)
    config = LlamaConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=TINY_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>").save_pretrained(folder)


def _sentence(rng: random.Random) -> str:
    """One sentence out of templates: plain, spoken, with a name, with a number, with a phrase that comes often."""
    noun, other = rng.sample(NOUNS, 2)
    verb, adjective, name = rng.choice(VERBS), rng.choice(ADJECTIVES), rng.choice(NAMES)
    return rng.choice(
        [
            f"The {adjective} {noun} {verb} the {other}.",
            f"{name} {verb} a {adjective} {noun} {rng.choice(PLACES)}.",
            f"“Don't you see the {noun}?” said {name}; “it is {adjective}.”",
            f"The {noun} was {rng.randint(2, 99)} miles from the {other}, or {rng.randint(1, 9)},500.5 paces.",
            f"It was a {adjective} {noun}, and the {other} {verb} it {rng.choice(PLACES)}.",
            f"She {verb} the {noun} (a {adjective} one) -- but the {other} didn't.",
            f"When {name} {verb} the {noun}, the {adjective}-hearted {other} {rng.choice(VERBS)} it too!",
        ]
    )


@pytest.fixture(scope="session")
def tiny_corpus_files(make_once: Callable[..., Path]) -> list[Path]:
    """Fourteen ``.txt`` documents of 45 sentences each, in paragraphs; the same text every time."""
    return sorted(make_once("tiny_corpus", _write_corpus).iterdir())


def _write_corpus(folder: Path) -> None:
    rng = random.Random(0)
    for document in range(14):
        paragraphs = [" ".join(_sentence(rng) for _ in range(9)) for _ in range(5)]
        file = folder / f"document_{document:02d}.txt"
        file.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def tiny_params_file(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_backbone: Path,
    tiny_language_model: Path,
    tiny_corpus_files: list[Path],
) -> Path:
    """A ``params.yaml`` for a full pipeline run of seconds: tiny corpus, tiny backbone, D = 32 + 224 = 256.

    Tests must not write into it.
    """
    content = read_yaml(REPOSITORY / "params.yaml")
    changes = {
        "corpus": {
            "source": "files",
            "folder": str(tiny_corpus_files[0].parent),
            "valid_share": 0.1,
            "test_share": 0.1,
        },
        "vocab": {"languages": [], "pieces": 300, "min_count": dict.fromkeys(content["vocab"]["min_count"], 2)},
        "backbone": {"model": str(tiny_backbone), "max_tokens": 64, "device": "cpu", "dtype": "float32"},
        "language_model": {"model": str(tiny_language_model)},
        "features": {"tokens_per_batch": 512, "max_train_sentences": 200},
        "code": {"embed_dim": 256, "max_units": 96, "eos_nats": 2.0},
        "token_head": {"hidden": 64, "batch_size": 64, "epochs": 2, "queue_size": 128},
        "selector": {
            "hidden_dim": 32,
            "embedding_dim": 8,
            "free_embeddings": 100,
            "context_window": 2,
            "max_train_units": 24,
            "bag_of_words": {"batch_size": 8, "steps": 20},
            "batch_size": 8,
            "steps": 30,
        },
        "controller": {
            "calibration_texts": 24,
            "easy_first": {"candidates": 4},
            # An untrained prior reads few noisy texts, and every restart is spent on each of the others.
            "cascade": {"lengths": 2, "restarts": [{"damping": 0.1, "variance_scale": 1.0}]},
        },
        "evaluate": {"texts_per_bucket": 3, "confidence_texts": 6, "batch_size": 8},
        "token_space": {"units": 40, "neighbours": 3, "homographs": 5},
        "sentence_space": {"queries": 30, "definitions": 60, "sentences_per_book": 5, "pairs": 12},
        "collapse": {"texts": 6},
        "report": {"map_units": 60, "perplexity": 5.0},
        "robustness": {
            "texts": 3,
            "decisive_texts": 5,
            "compared_texts": 4,
            "decisive": ["width_128"],
            "widths": [128],
            "cosines": [0.7],
            "lengths": [8, 48],
            "storages": ["sign"],
        },
    }
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    YAML(typ="safe", pure=True).dump(overridden(content, changes), path)
    return path


@pytest.fixture(scope="session")
def tiny_params(tiny_params_file: Path) -> Params:
    """The content of ``tiny_params_file``."""
    return load_params(tiny_params_file)


STAGES_OF_A_MODEL = ("corpus", "vocab", "features", "language_model", "token_head", "index", "selector", "controller")


@pytest.fixture(scope="session")
def tiny_project(make_once: Callable[..., Path], tiny_params_file: Path) -> Iterator[Path]:
    """Project folder of a model made by the stages, without WordNet's maps.

    Tests must not write into it: at the end of the run it has to hold what it held.
    """

    def make(root: Path) -> None:
        paths = Paths(root)
        write_texts(paths, read_source(load_params(tiny_params_file).corpus))
        for path in (paths.synonyms, paths.antonyms):
            write_parquet(path, {name: [] for name in RELATIONS_SCHEMA.names}, RELATIONS_SCHEMA)
        run_stages(STAGES_OF_A_MODEL, root, tiny_params_file)

    root = make_once("tiny_project", make)
    before = _digest(root)
    yield root
    assert _digest(root) == before, f"a test has written into {root}, which others read"


def _digest(folder: Path) -> str:
    """Of all files: their names and bytes."""
    digest = hashlib.blake2b()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def generation_project(
    tiny_project: Path, tiny_language_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Paths:
    """A copy of ``tiny_project`` with the tiny language model and an untrained conditional model."""
    from generation.conditional_cases import conditional
    from lexivert.generation import conditional_storage
    from lexivert.language_model import storage

    paths = Paths(tmp_path_factory.mktemp("generation") / "project")
    shutil.copytree(tiny_project, paths.root)
    shutil.copytree(tiny_language_model, paths.language_model, dirs_exist_ok=True)  # the packaged one's, as it were
    write_json(paths.language_model / storage.ABOUT, {"model": storage.PACKAGED})
    language_model = storage.load(paths.language_model, "cpu")
    model = conditional(language_model.model.get_input_embeddings().weight.shape[0], language_model.start_id)
    backbone = Lexivert.load(paths.root).encoder.backbone.fingerprint()
    conditional_storage.save(model, backbone, paths.generation / conditional_storage.FOLDER)
    (paths.root / "generation").mkdir()
    shutil.copy(REPOSITORY / "generation" / "params.yaml", paths.root / "generation")
    return paths


@pytest.fixture(scope="session")
def tiny_model(tiny_project: Path) -> Iterator[Lexivert]:
    """The model of ``tiny_project``, loaded once; tests must not change it."""
    model = Lexivert.load(tiny_project)
    before = _behaviour(model)
    yield model
    assert _behaviour(model) == before, "a test has changed the model, which others use"


@pytest.fixture
def lexivert(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line on ``tiny_project``; gives exit code, standard output and standard error."""

    def run(*arguments: object, stdin: str | None = None, model: bool = True) -> tuple[int, str, str]:
        where = ["--model", str(tiny_project)] if model else []
        monkeypatch.setattr(sys, "argv", ["lexivert", *map(str, arguments), *where])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def _behaviour(model: Lexivert) -> list[object]:
    vectors = model.encode(["The old captain saw the river.", "Emma saw two lamps near the old mill."])
    return [vectors.tobytes(), model.read(vectors), model.generate(vectors, effort="draft")]


SEMANTIC_WIDTH, EMBEDDING_DIM = 8, 6


@dataclass(frozen=True)
class World:
    """A random lexicon with its index, an untrained Selector, and the repository's rules.

    Attributes:
        codebook: codes, unigram prior and binding.
        index: nearest units.
        prior: an untrained Selector's, which is the unigram one.
        params: rules of the loops.
    """

    codebook: Codebook
    index: UnitIndex
    prior: SelectorPrior
    params: ControllerParams

    @property
    def parts(self) -> Parts:
        """What decoding algorithms are made of."""
        return Parts(self.codebook, self.index, self.prior, self.params)

    def texts(self, lengths: list[int], seed: int = 0) -> list[list[int]]:
        """Random texts of these lengths, every unit but EOS as likely as any other."""
        rng = np.random.default_rng(seed)
        return [rng.integers(1, len(self.codebook), size=n).tolist() for n in lengths]

    def vectors(self, texts: list[list[int]]) -> torch.Tensor:
        """Order parts of unit length. Shape: (B, O)."""
        return F.normalize(self.codebook.superpose(texts), dim=1)

    def observed(self, order: torch.Tensor, known: torch.Tensor | None = None) -> Observation:
        """Order parts of any length, without a prefix. Shape: (B, O), known (B, N)."""
        return Observation.of(order, torch.zeros(len(order), SEMANTIC_WIDTH), known)

    def drawn(self, count: int, length: int, seed: int) -> list[list[int]]:
        """Texts of one length, every unit but EOS as often as the unigram prior says."""
        weights = self.codebook.log_prior.exp()
        weights[0] = 0.0
        generator = torch.Generator().manual_seed(seed)
        draws = torch.multinomial(weights, count * length, replacement=True, generator=generator)
        return draws.view(count, length).tolist()

    def queries(self, variance: float, rows: int, seed: int = 0) -> tuple[torch.Tensor, Queries]:
        """One position of each of some texts: a unit drawn from the prior, and its code in noise."""
        truth = torch.tensor(self.drawn(1, rows, seed)[0])
        codes = self.codebook.codes[truth].float()
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(seed))
        return truth, Queries(
            rows=torch.arange(rows),
            positions=torch.zeros_like(truth),
            natural=(codes + math.sqrt(variance) * noise) / variance,
            prior=torch.zeros(rows, EMBEDDING_DIM),
            variance=torch.full((rows,), variance),
            current=torch.full_like(truth, -1),
            frequent_only=torch.zeros(rows, dtype=torch.bool),
        )

    def log_posterior(self, queries: Queries) -> torch.Tensor:
        """Over all units, by a softmax over all of them. Shape: (m, V)."""
        log_prior = queries.prior @ self.prior.output.weight.T + self.prior.output.bias
        evidence = queries.natural @ self.codebook.codes.float().T
        evidence -= self.codebook.energies / (2.0 * queries.variance[:, None])
        return torch.log_softmax(evidence + log_prior, dim=1)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """Makes a ``World`` of so many units and dimensions, for texts of fewer units than ``positions``.

    Codes have the same energy unless ``surprisal_share`` says otherwise; EOS's grows with the length at ``eos_nats``.
    """

    def make(
        units: int,
        width: int,
        positions: int = 65,
        candidates: int = 8,
        frequent: int = 8192,
        surprisal_share: float = 0.0,
        eos_nats: float = 0.0,
    ) -> World:
        generator = torch.Generator().manual_seed(units)
        codes = F.normalize(torch.randn(units, width, generator=generator), dim=1).half()
        zipf = 1.0 / torch.arange(10, units + 10)
        log_prior = torch.log(zipf / zipf.sum())
        codes = with_energies(codes, unit_energies(log_prior, surprisal_share, 1.5 if surprisal_share else 1.0))
        codebook = Codebook(codes, log_prior, RotaryBinding(width, positions, seed=0), eos_nats=eos_nats)
        index = UnitIndex.build(
            codes, section("index", factory="Flat", search_dims=0, shortlist=max(candidates, 8), frequent=frequent)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            selector = Selector(SEMANTIC_WIDTH, EMBEDDING_DIM, 16, 2, positions).eval()
        vectors = torch.randn(units, EMBEDDING_DIM, generator=generator)
        prior = SelectorPrior.of(selector, vectors, codebook.log_prior)
        return World(codebook, index, prior, section("controller", easy_first={"candidates": candidates}))

    return make


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    """2000 units, 512 wide, texts of up to 64 units; 500 units count as frequent."""
    return make_world(2000, 512, frequent=500)
