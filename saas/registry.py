"""Registry[T]: things found by key, with clear errors for unknown and duplicate keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    key: str


T = TypeVar("T", bound=Keyed)


class Registry(Generic[T]):
    """Entries register themselves with `@registry.register` on their class; one instance is kept per key."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, T] = {}

    def register(self, cls: type[T]) -> type[T]:
        entry = cls()
        if entry.key in self._entries:
            raise ValueError(f"{self.noun} {entry.key!r} is registered twice")
        self._entries[entry.key] = entry
        return cls

    def get(self, key: str) -> T:
        try:
            return self._entries[key]
        except KeyError:
            raise KeyError(f"unknown {self.noun} {key!r}; known: {', '.join(sorted(self._entries))}") from None

    def find(self, key: str) -> T | None:
        return self._entries.get(key)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries.values())

    def keys(self) -> list[str]:
        return sorted(self._entries)
