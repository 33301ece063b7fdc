"""One piece of work, as a training function sees it."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sized, TypeVar

import numpy as np

from ._safetensors import Array
from ._steer import Steering

T = TypeVar("T")


class Cancelled(Exception):
    """The result is not wanted any more: the round is over."""


class Job:
    """What is asked for, and how to report on it."""

    def __init__(self, request: Dict[str, Any], say: Callable[[Dict[str, Any]], None]) -> None:
        self.work: str = request["type"]  #: train, evaluate, statistics or init
        self.task: str = request.get("task", "")  #: name of the task
        self.member: str = request.get("member", "")  #: path of this site
        self.round: int = request.get("round", 0)  #: from 1; the same after a restart
        self.attempt: int = request.get("attempt", 0)  #: work must not depend on it
        self.settings: Dict[str, Any] = request.get("settings", {})  #: of the order
        self.seed: bytes = bytes.fromhex(request.get("seed", ""))  #: 32 bytes
        self.id: Optional[int] = request.get("id")
        self._say = say
        self._steering = Steering(request)
        self._cancelled = threading.Event()

    @property
    def seed_int(self) -> int:
        """The seed as an integer below 2**63, for libraries that want one."""
        return int.from_bytes(self.seed[:8], "big") >> 1

    def rng(self) -> np.random.Generator:
        """A new numpy generator: the same numbers for the same round."""
        return np.random.default_rng(int.from_bytes(self.seed, "big"))

    @property
    def needs(self) -> List[str]:
        """What the strategy needs of local training: some of what the script says that it can."""
        return self._steering.needs

    @property
    def mu(self) -> float:
        """FedProx: this times (weights - received weights) belongs to every gradient."""
        return self._steering.mu

    @property
    def correction(self) -> Dict[str, Array]:
        """SCAFFOLD: these belong to every gradient; empty, there are none."""
        return self._steering.correction

    def steered(self, weights: Mapping[str, Array], gradients: Mapping[str, Array], lr: Optional[float] = None) -> Dict[str, Array]:
        """The gradients with what the strategy adds, for one step with the rate ``lr``
        from ``weights``; the step is counted."""
        return self._steering.steered(weights, gradients, lr)

    def tell(self, **scalars: float) -> None:
        """Tell ``steps``, ``lr``, ``momentum`` or ``loss0``, the mean loss of the received
        weights over the training rows, where the strategy needs them."""
        self._steering.told.update({name: float(v) for name, v in scalars.items()})

    @property
    def cancelled(self) -> bool:
        """Whether the work is not wanted any more."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise :class:`Cancelled` if the work is not wanted any more."""
        if self.cancelled:
            raise Cancelled

    def progress(self, done: int, total: int) -> None:
        """Show progress on the site's status; raises :class:`Cancelled`."""
        self.check()
        message = {"type": "progress", "id": self.id, "done": int(done), "total": max(int(total), 1)}
        self._say({k: v for k, v in message.items() if v is not None})

    def steps(self, iterable: Iterable[T]) -> Iterator[T]:
        """Iterate, with progress and an end when the work is cancelled."""
        try:
            total = len(iterable) if isinstance(iterable, Sized) else 0
        except TypeError:  # a DataLoader of an IterableDataset has a length only by name
            total = 0
        for done, item in enumerate(iterable):
            if total:
                self.progress(done, total)
            self.check()
            yield item
