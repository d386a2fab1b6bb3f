from __future__ import annotations

import pytest

from lexivert.codes.bindings import BINDINGS
from lexivert.controller.registry import DECODERS
from lexivert.errors import LexivertError
from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
from lexivert.priors.base import PRIORS
from lexivert.registry import Registry


@pytest.fixture
def animals():
    registry = Registry("animal")
    registry.register("cat", label="Cat")(lambda: "meow")
    registry.register("dog", label="Dog")(lambda: "woof")
    return registry


def test_entries_are_a_mapping_in_order_of_registration(animals):
    assert list(animals) == ["cat", "dog"]
    assert len(animals) == 2
    assert {name: entry.label for name, entry in animals.items()} == {"cat": "Cat", "dog": "Dog"}
    assert animals["dog"].factory() == "woof"
    assert "cow" not in animals


def test_a_factory_by_name(animals):
    assert animals.make("cat")() == "meow"


def test_an_unknown_name_is_told_in_one_line_with_those_that_there_are(animals):
    with pytest.raises(LexivertError, match="there is no animal 'cow', but cat, dog; .*params.yaml: plugins") as caught:
        animals.make("cow")
    assert "\n" not in str(caught.value)


def test_a_decorated_class_or_function_is_given_back_as_it_was():
    registry = Registry("animal")

    @registry.register("bird", label="Bird")
    class Bird:
        pass

    def fish():
        return Bird()

    assert registry.register("fish", label="Fish")(fish) is fish
    assert isinstance(registry.make("bird")(), Bird)
    assert isinstance(Bird(), Bird)


def test_a_name_belongs_to_one_factory(animals):
    def other():
        return "?"

    with pytest.raises(LexivertError, match="animal 'cat' is registered already; choose another name"):
        animals.register("cat", label="Other")(other)
    assert animals.make("cat")() == "meow"


def test_a_file_that_is_imported_twice_registers_anew():
    """The functions are two, but of the same file and name."""
    registry = Registry("animal")

    def imported():
        def cow():
            return "moo"

        return cow

    first, second = imported(), imported()
    assert first is not second
    registry.register("cow", label="Cow")(first)
    registry.register("cow", label="Cow again")(second)
    assert registry.make("cow") is second
    assert registry["cow"].label == "Cow again"


def test_what_the_project_itself_has():
    assert "rotary" in BINDINGS
    assert {"selector", "unigram", "flat"} <= set(PRIORS)
    assert "cascade" in DECODERS
    for registry in (BINDINGS, PRIORS, DECODERS):
        assert all(entry.label and callable(entry.factory) for entry in registry.values())
