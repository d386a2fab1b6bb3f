from __future__ import annotations

import pytest

from lexivert.codes.bindings import BINDINGS
from lexivert.controller.registry import DECODERS
from lexivert.errors import LexivertError
from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
from lexivert.priors.base import PRIORS
from lexivert.registry import Registry


@pytest.fixture
def shapes():
    registry = Registry("shape")

    @registry.register("square", label="a square")
    def square():
        return 4

    @registry.register("triangle", label="a triangle")
    class Triangle:
        corners = 3

    return registry


def test_names_lead_to_factories_and_labels_in_order(shapes):
    assert list(shapes) == ["square", "triangle"]
    assert len(shapes) == 2
    assert shapes.make("square")() == 4
    assert shapes.make("triangle")().corners == 3
    assert shapes["triangle"].label == "a triangle"
    assert "circle" not in shapes


def test_what_is_missing_is_named_beside_what_there_is(shapes):
    with pytest.raises(LexivertError, match=r"there is no shape 'circle', but square, triangle; .*plugins") as caught:
        shapes.make("circle")
    assert "\n" not in str(caught.value)


def test_a_name_is_taken_once(shapes):
    with pytest.raises(LexivertError, match="shape 'square' is registered already; choose another name"):
        shapes.register("square", label="another")(lambda: 5)
    assert shapes.make("square")() == 4


def test_the_same_factory_may_come_again(shapes):
    """As when its file is imported twice: another object, made from the same lines."""

    def make():
        def circle():
            return 0

        return circle

    shapes.register("circle", label="old")(make())
    again = make()
    assert shapes.register("circle", label="new")(again) is again
    assert shapes["circle"].label == "new"


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a b", "a\\b"])
def test_names_hold_nothing_that_parts_them_from_an_argument(shapes, name):
    with pytest.raises(LexivertError, match="is no name for a shape"):
        shapes.register(name, label="a shape")


def test_what_the_project_itself_has():
    assert "rotary" in BINDINGS
    assert {"selector", "unigram", "flat"} <= set(PRIORS)
    assert "cascade" in DECODERS
    for registry in (BINDINGS, PRIORS, DECODERS):
        assert all(entry.label and callable(entry.factory) for entry in registry.values())
