"""The program's side of docs/spec/trainer.md."""

from __future__ import annotations

import json
import math
import os
import queue
import random
import sys
import threading
import traceback
from typing import IO, Any, Callable, Dict, Mapping, Optional, Set, Union

import numpy as np

from . import _safetensors
from ._job import Cancelled, Job
from ._safetensors import Array

Tensors = Mapping[str, Array]
Train = Callable[[Dict[str, Array], Job], Tensors]
Evaluate = Callable[[Dict[str, Array], Job], Optional[Mapping[str, float]]]
Statistics = Callable[[Job], Tensors]
Init = Callable[[Job], Tensors]

VERSION = 1


def run(*, samples: Union[int, Callable[[], int]], train: Train, evaluate: Optional[Evaluate] = None,
        statistics: Optional[Statistics] = None, init: Optional[Init] = None,
        rules: Optional[Mapping[str, str]] = None, name: str = "fedmq_trainer") -> None:
    """Train for a site until the agent ends.

    ``train`` gets the global model, arrays by name, and a :class:`Job`, and
    returns the trained one, the same names, types and shapes. ``evaluate``
    returns sums over the rows that the site does not train on (see
    :func:`classification`), ``statistics`` what :func:`moments` gives, ``init`` a
    first model; integer tensors of it get the rule keep, ``rules`` names others.
    ``samples`` is the number of training rows: the site's weight.

    What the script prints goes to the agent's log.
    """
    if sys.stdin is not None and sys.stdin.isatty() and "FEDMQ_WORK" not in os.environ:
        sys.exit("This program is a trainer: `fedmq site` starts it (see trainer: {exec: ...} of a site's configuration).")
    with _out or _stdout() as out:
        server = _Server(out, samples, train, evaluate, statistics, init, rules or {}, name)
        if "FEDMQ_WORK" in os.environ:
            sys.exit(server.once(os.environ))
        server.converse(sys.stdin.buffer)


def _stdout() -> IO[bytes]:
    """Keep standard output for messages: whatever else prints, here or in a
    library, prints to standard error from now on."""
    own = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout.flush()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return own


# Under an agent from the import on: scripts print before they run.
_out = _stdout() if "FEDMQ_VERSION" in os.environ else None


class _Server:
    def __init__(self, out: IO[bytes], samples: Union[int, Callable[[], int]], train: Train, evaluate: Optional[Evaluate],
                 statistics: Optional[Statistics], init: Optional[Init], rules: Mapping[str, str], name: str) -> None:
        self.out, self.samples, self.name, self.rules = out, samples, name, rules
        self.train, self.evaluate, self.statistics, self.init = train, evaluate, statistics, init
        self.lock = threading.Lock()
        self.job: Optional[Job] = None  # under way
        self.unwanted: Set[Any] = set()  # ids of requests that were cancelled
        self.over = False  # the agent has closed our input
        self.requests: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue()

    def say(self, message: Dict[str, Any]) -> None:
        line = encode(message)
        with self.lock:
            self.out.write(line)

    def hello(self) -> None:
        n = self.samples() if callable(self.samples) else self.samples
        message: Dict[str, Any] = {"type": "hello", "version": VERSION, "name": self.name, "samples": int(n)}
        for kind in ("evaluate", "statistics", "init"):
            if getattr(self, kind) is not None:
                message[kind] = True
        self.say(message)

    def converse(self, source: IO[bytes]) -> None:
        """Serve a worker's requests to the end of input (X-4 to X-13)."""
        threading.Thread(target=self.listen, args=(source,), daemon=True).start()
        while (request := self.requests.get()) is not None:
            if request["type"] == "hello":
                self.hello()
            else:
                self.answer(request)

    def listen(self, source: IO[bytes]) -> None:
        """Hear requests and, while a job runs, cancellations and the end."""
        for line in source:
            if not line.strip():
                continue
            request = json.loads(line)
            if request["type"] != "cancel":
                self.requests.put(request)
                continue
            self.unwanted.add(request.get("id"))
            if (job := self.job) is not None and job.id in self.unwanted:
                job._cancelled.set()
        self.over = True
        if self.job is not None:  # the agent is gone: nobody waits for the result
            os._exit(1)
        self.requests.put(None)

    def answer(self, request: Dict[str, Any]) -> bool:
        """Do a job and say how it went."""
        self.job = job = Job(request, self.say)
        if self.over:
            os._exit(1)
        if job.id in self.unwanted:
            job._cancelled.set()
        end: Dict[str, Any] = {"type": "done"}
        try:
            job.check()
            end.update(self.do(job, request))
        except Cancelled:
            end = {"type": "error", "message": "cancelled"}
        except Exception as e:  # told to the agent; the program lives on
            traceback.print_exc()
            end = {"type": "error", "message": f"{type(e).__name__}: {e}"[:2000]}
        self.job = None
        if job.id is not None:
            end["id"] = job.id
        self.say(end)
        return bool(end["type"] == "done")

    def do(self, job: Job, request: Dict[str, Any]) -> Dict[str, Any]:
        random.seed(job.seed)
        np.random.seed(job.seed_int % 2**32)
        if job.work == "train":
            model = _safetensors.load(request["model"])
            _safetensors.save(request["out"], self.train(model.tensors, job))
        elif job.work == "evaluate" and self.evaluate is not None:
            metrics = self.evaluate(_safetensors.load(request["model"]).tensors, job)
            return {"metrics": {k: float(v) for k, v in (metrics or {}).items()}}
        elif job.work == "statistics" and self.statistics is not None:
            _safetensors.save(request["out"], self.statistics(job))
        elif job.work == "init" and self.init is not None:
            tensors = self.init(job)
            kept = {name: "keep" for name, a in tensors.items() if np.asarray(a).dtype.kind in "iV"}
            _safetensors.save(request["out"], tensors, {**kept, **self.rules})
        else:
            raise ValueError(f"this trainer cannot do {job.work!r}")
        return {}

    def once(self, env: Mapping[str, str]) -> int:
        """Serve the one request that the environment holds (X-16)."""
        if env["FEDMQ_WORK"] == "hello":
            self.hello()
            return 0
        request = {name[6:].lower(): value for name, value in env.items() if name.startswith("FEDMQ_")}
        request["type"] = request["work"]
        typed = {"settings": json.loads(request.get("settings", "{}")), "round": int(request.get("round", 0)),
                 "attempt": int(request.get("attempt", 0))}
        return 0 if self.answer({**request, **typed}) else 1


def encode(message: Dict[str, Any]) -> bytes:
    """One line (X-2). What is not finite becomes null."""
    order = ("type", "version", "name", "id", "samples", "evaluate", "statistics", "init", "done", "total", "metrics", "message")
    ordered = {k: message[k] for k in order if k in message}
    if "metrics" in ordered:
        ordered["metrics"] = {k: v if v is not None and math.isfinite(v) else None for k, v in ordered["metrics"].items()}
    return json.dumps(ordered, separators=(",", ":"), allow_nan=False).encode() + b"\n"
