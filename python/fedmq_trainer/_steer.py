"""What a strategy needs of local training, and what is told of it."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from . import _safetensors
from ._answers import Refused
from ._safetensors import Array

#: What a trainer may say that it can (X-17).
CAPABILITIES = ("correction", "loss0", "momentum", "mu", "sgd", "steps")

_HOW = "call job.steered(weights, gradients) before each step, or fedmq_trainer.torch.steer(optimizer, module, job) once"


def capabilities(given: Optional[Sequence[str]]) -> List[str]:
    """Those that a script gives, in order."""
    for name in given or ():
        if name not in CAPABILITIES:
            raise Refused(f"capabilities has {name!r}, want some of {', '.join(CAPABILITIES)}")
    return sorted(set(given or ()))


class Steering:
    """What one training is asked for. A job has one, and its methods."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        needs = request.get("needs", [])
        self.needs: List[str] = needs.split() if isinstance(needs, str) else list(needs)
        self.mu = float(request.get("mu", 0))
        self.file: Optional[str] = request.get("correction")
        self.correction: Dict[str, Array] = {}
        self.base: Dict[str, Array] = {}  # the weights as they came
        self.told: Dict[str, float] = {}
        self.steps = 0
        self.rates = 0.0  # their sum

    def began(self, weights: Mapping[str, Array]) -> None:
        if self.file:
            self.correction = _safetensors.load(self.file).tensors
        if self.mu:
            self.base = {name: np.array(a) for name, a in weights.items()}

    def steered(self, weights: Mapping[str, Array], gradients: Mapping[str, Array], lr: Optional[float]) -> Dict[str, Array]:
        out = {}
        for name, g in gradients.items():
            if self.mu:
                g = g + self.mu * (np.asarray(weights[name]) - self.base[name])
            if self.correction:
                g = g + self.correction[name]
            out[name] = g
        self.stepped(lr)
        return out

    def stepped(self, lr: Optional[float]) -> None:
        self.steps += 1
        if lr is not None:
            self.rates += float(lr)

    def scalars(self) -> Dict[str, float]:
        """What is told of a training that has ended, or what is missing of it."""
        steers = [n for n in ("mu", "correction") if n in self.needs and (n != "mu" or self.mu)]
        if steers and not self.steps and "steps" not in self.told:
            raise Refused(f"the strategy needs {' and '.join(steers)} of local training, and train has applied nothing: {_HOW}")
        told = dict(self.told)
        if self.steps:
            told.setdefault("steps", float(self.steps))
            if self.rates:
                told.setdefault("lr", self.rates / self.steps)
        if "sgd" in self.needs:
            told.setdefault("momentum", 0.0)
        want = (["steps", "lr", "momentum"] if "steps" in self.needs else []) + (["loss0"] if "loss0" in self.needs else [])
        missing = [name for name in want if name not in told]
        if missing:
            raise Refused(f"the strategy needs {', '.join(missing)} of local training: say job.tell({', '.join(n + '=...' for n in missing)}),"
                          f" or {_HOW}")
        for name in want:
            if not math.isfinite(told[name]):
                raise Refused(f"train told {name} as {told[name]}, want a finite number")
        return {name: told[name] for name in want}
