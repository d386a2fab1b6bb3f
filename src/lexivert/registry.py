"""Registries: the parts that can be plugged in, by name, each with its factory and its label in tables.

There is one registry a protocol (bindings, priors, decoding algorithms, generators, encoders), and it is the only
list of such parts: params, evaluation, report, command line and documentation read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from lexivert.errors import LexivertError

Factory = TypeVar("Factory", bound=Callable[..., object])
Own = TypeVar("Own", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[Factory]):
    """One part that can be chosen.

    Attributes:
        factory: makes the part.
        label: what tables and pages call it.
    """

    factory: Factory
    label: str


class Registry(Mapping[str, Entry[Factory]]):
    """Names to entries, in order of registration.

    Args:
        kind: what the parts are, for error messages, such as ``prior``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Factory]] = {}

    def register(self, name: str, label: str) -> Callable[[Own], Own]:
        """Decorator that enters a factory.

        Args:
            name: how params and metrics keys call the part.
            label: how tables and pages call it.

        Raises:
            LexivertError: the name is empty or holds a colon, which parts a name from its argument, a slash or a
                space; or it belongs to another factory already. The same one may be registered again, as when its
                file is imported twice.
        """
        if not name or any(sign in name for sign in ":/\\ "):
            raise LexivertError(f"{name!r} is no name for a {self.kind}: leave out colons, slashes and spaces")

        def enter(factory: Own) -> Own:
            known = self._entries.get(name)
            if known is not None and _origin(known.factory) != _origin(factory):
                raise LexivertError(f"{self.kind} {name!r} is registered already; choose another name")
            self._entries[name] = Entry(cast("Factory", factory), label)
            return factory

        return enter

    def make(self, name: str) -> Factory:
        """The factory of a part.

        Raises:
            LexivertError: there is no such part; the message names those that there are.
        """
        if name not in self._entries:
            known = ", ".join(self._entries)
            raise LexivertError(
                f"there is no {self.kind} {name!r}, but {known}; one of your own must be imported before it is used "
                "(params.yaml: plugins)"
            )
        return self._entries[name].factory

    def __getitem__(self, name: str) -> Entry[Factory]:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _origin(factory: object) -> tuple[str, str]:
    """File and qualified name that a factory was defined under."""
    code = getattr(factory, "__code__", None) or getattr(getattr(factory, "__init__", None), "__code__", None)
    return getattr(code, "co_filename", ""), getattr(factory, "__qualname__", repr(factory))
