"""Errors on their way from a worker: what the user is to read arrives as it was raised, a bug with its trace."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass

from rather.errors import RatherError


@dataclass(frozen=True)
class Failed:
    """What was raised somewhere else. packed: pickled; None where its kind does not let it."""

    packed: bytes | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        trace = "".join(traceback.format_exception(error))
        for kind in type(error).__mro__:
            if kind is type(error):
                packed = _packed(error)
            elif issubclass(kind, RatherError):  # one that holds more than words: as the next kind above it
                packed = _packed(kind(str(error)))
            else:
                break
            if packed is not None:
                return cls(packed, trace)
        return cls(None, trace)

    def error(self) -> Exception:
        """To raise here."""
        error = RuntimeError("a worker failed") if self.packed is None else pickle.loads(self.packed)
        if not isinstance(error, RatherError):
            error.add_note(f"In a worker:\n{self.trace}")
        return error


def _packed(error: Exception) -> bytes | None:
    """None for an error that does not survive the way. (Pickle leaves its causes behind.)"""
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
    except Exception:
        return None
    return data
