"""`rather`: people's preferences between answers, turned into a language model that holds them.

The verbs of the command line are functions here, with the same names and parameters. They are imported when first
used, so that `import rather` needs no torch.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rather.chatting import chat
    from rather.collecting.run import signals
    from rather.demos.config import DemoConfig
    from rather.demos.identity import demo
    from rather.errors import RatherError
    from rather.evaluation.config import EvaluateConfig
    from rather.evaluation.run import evaluate
    from rather.formats import convert, iter_examples, iter_judgments, read_pairs, read_votes, write_pairs
    from rather.generation.config import GenerateConfig
    from rather.generation.run import generate
    from rather.judging.run import judge
    from rather.looping.config import LoopConfig
    from rather.looping.run import loop
    from rather.pairing.run import pair
    from rather.planning.config import PlanConfig
    from rather.planning.run import plan
    from rather.records import Message, Pair, Question, RankedList, Response, Single
    from rather.reporting import report
    from rather.reporting.compare import compare
    from rather.training.adapter import merge
    from rather.training.config import TrainConfig
    from rather.training.gate import audit
    from rather.training.preview import preview
    from rather.training.run import train
    from rather.training.sweep import sweep

__version__ = metadata.version("rather")

_HOMES = {
    "DemoConfig": "rather.demos.config",
    "EvaluateConfig": "rather.evaluation.config",
    "GenerateConfig": "rather.generation.config",
    "LoopConfig": "rather.looping.config",
    "Message": "rather.records",
    "Pair": "rather.records",
    "PlanConfig": "rather.planning.config",
    "Question": "rather.records",
    "RankedList": "rather.records",
    "RatherError": "rather.errors",
    "Response": "rather.records",
    "Single": "rather.records",
    "TrainConfig": "rather.training.config",
    "audit": "rather.training.gate",
    "chat": "rather.chatting",
    "compare": "rather.reporting.compare",
    "convert": "rather.formats",
    "demo": "rather.demos.identity",
    "evaluate": "rather.evaluation.run",
    "generate": "rather.generation.run",
    "judge": "rather.judging.run",
    "iter_examples": "rather.formats",
    "iter_judgments": "rather.formats",
    "loop": "rather.looping.run",
    "merge": "rather.training.adapter",
    "pair": "rather.pairing.run",
    "plan": "rather.planning.run",
    "preview": "rather.training.preview",
    "read_pairs": "rather.formats",
    "read_votes": "rather.formats",
    "report": "rather.reporting",
    "signals": "rather.collecting.run",
    "sweep": "rather.training.sweep",
    "train": "rather.training.run",
    "write_pairs": "rather.formats",
}

__all__ = [
    "DemoConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "LoopConfig",
    "Message",
    "Pair",
    "PlanConfig",
    "Question",
    "RankedList",
    "RatherError",
    "Response",
    "Single",
    "TrainConfig",
    "audit",
    "chat",
    "compare",
    "convert",
    "demo",
    "evaluate",
    "generate",
    "iter_examples",
    "iter_judgments",
    "judge",
    "loop",
    "merge",
    "pair",
    "plan",
    "preview",
    "read_pairs",
    "read_votes",
    "report",
    "signals",
    "sweep",
    "train",
    "write_pairs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rather' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
