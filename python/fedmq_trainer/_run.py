"""The program's side of docs/spec/trainer.md."""

from __future__ import annotations

import json
import math
import os
import queue
import random
import sys
import threading
from typing import IO, Any, Callable, Dict, Mapping, Optional, Sequence, Set, Union

import numpy as np

from . import _answers, _meaning, _pipes, _safetensors, _steer
from ._job import Cancelled, Job
from ._safetensors import Array

Tensors = Mapping[str, Array]
Train = Callable[[Dict[str, Array], Job], Optional[Tensors]]
Evaluate = Callable[[Dict[str, Array], Job], Optional[Mapping[str, Any]]]
Statistics = Callable[[Job], Tensors]
Init = Callable[[Job], Tensors]

VERSION = 1


def run(*, samples: Union[int, Callable[[], int]], train: Train, evaluate: Optional[Evaluate] = None,
        statistics: Optional[Statistics] = None, init: Optional[Init] = None,
        rules: Optional[Mapping[str, str]] = None, settings: Optional[Sequence[str]] = None, name: str = "fedmq_trainer",
        check: Optional[Callable[[], None]] = None, features: Optional[Sequence[Any]] = None,
        classes: Optional[Sequence[Any]] = None, target: str = "y", contract: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Sequence[str]] = None) -> None:
    """Train for a site until the agent ends.

    ``train`` gets the global model, arrays by name, and a :class:`Job`, and
    returns the trained one, the same names and shapes; nothing, if it has
    changed the arrays that it was given. ``evaluate``
    returns sums over the rows that the site does not train on (see
    :func:`classification`), ``statistics`` what :func:`moments` gives, ``init`` a
    first model; integer tensors of it get the rule keep, ``rules`` names others.
    ``samples`` is the number of training rows: the site's weight. ``settings``
    names those that the script reads: an order with another is refused. ``check``
    is called first: what it raises keeps the site from starting.

    ``features`` are the names of the columns that the model reads, in order, and
    ``classes`` the labels of its outputs: a site that has others, or another order, is
    refused before a round, and so is another name of the ``target``. ``contract`` says the same and more as docs/spec/trainer.md does.

    ``capabilities`` are what the script can of what strategies other than fedavg need, such as
    ``("mu", "steps")``; then it calls :meth:`Job.steered` before each step and :meth:`Job.tell`.

    What the script prints goes to the agent's log.
    """
    if sys.stdin is not None and sys.stdin.isatty() and "FEDMQ_WORK" not in os.environ:
        sys.exit("This program is a trainer: `fedmq site` starts it (see trainer: {exec: ...} of a site's configuration).")
    source, out = _pair or _pipes.own()
    with out:
        server = _Server(out, samples, train, evaluate, statistics, init, rules or {}, settings, name, check,
                         contract if contract is not None else _meaning.contract(features, classes, target), capabilities)
        if "FEDMQ_WORK" in os.environ:
            sys.exit(server.once(os.environ))
        server.converse(source)


# Under an agent from the import on: scripts print before they run.
_pair = _pipes.own() if "FEDMQ_VERSION" in os.environ else None


def progress(done: int, total: int) -> None:
    """Say that a script is still loading its data, before :func:`run`: the agent
    waits on. In a training function that is :meth:`Job.progress`."""
    if _pair is not None:
        _pair[1].write(encode({"type": "progress", "done": int(done), "total": max(int(total), 1)}))


class _Server:
    def __init__(self, out: IO[bytes], samples: Union[int, Callable[[], int]], train: Train, evaluate: Optional[Evaluate],
                 statistics: Optional[Statistics], init: Optional[Init], rules: Mapping[str, str],
                 settings: Optional[Sequence[str]], name: str, check: Optional[Callable[[], None]],
                 contract: Optional[Mapping[str, Any]], capabilities: Optional[Sequence[str]]) -> None:
        self.check, self.contract, self.capabilities = check, contract, capabilities
        self.out, self.samples, self.name, self.rules, self.settings = out, samples, name, rules, settings
        self.train, self.evaluate, self.statistics, self.init = train, evaluate, statistics, init
        self.lock = threading.Lock()
        self.job: Optional[Job] = None  # under way
        self.unwanted: Set[Any] = set()  # ids of requests that were cancelled
        self.over = False  # the agent has closed our input
        self.group = _pipes.Group()
        self.requests: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue()

    def say(self, message: Dict[str, Any]) -> None:
        line = encode(message)
        with self.lock:
            self.out.write(line)

    def hello(self) -> bool:
        """Say what this program is, or why it cannot start (X-4)."""
        try:
            if self.check is not None:
                self.check()
            can = _steer.capabilities(self.capabilities)
            n = _answers.rows(self.samples() if callable(self.samples) else self.samples)
        except Exception as e:
            print(_answers.explain(e), file=sys.stderr, end="")
            self.say({"type": "error", "message": _answers.told(e)})
            return False
        message: Dict[str, Any] = {"type": "hello", "version": VERSION, "name": self.name, "samples": n}
        for kind in ("evaluate", "statistics", "init"):
            if getattr(self, kind) is not None:
                message[kind] = True
        if can:
            message["capabilities"] = can
        if self.settings is not None:
            message["settings"] = sorted(set(self.settings))
        if self.contract is not None:
            message["contract"] = self.contract
        self.say(message)
        return True

    def converse(self, source: int) -> None:
        """Serve a worker's requests to the end of input (X-4 to X-13)."""
        threading.Thread(target=self.listen, args=(source,), daemon=True).start()
        while (request := self.requests.get()) is not None:
            if request["type"] == "hello":
                self.group.hear(request)
                if not self.hello():
                    sys.exit(1)
            else:
                self.answer(request)
        self.group.end_others()

    def listen(self, source: int) -> None:
        """Hear requests and, while a job runs, cancellations and the end."""
        for line in _pipes.lines(source):
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
            self.group.end()
        self.requests.put(None)

    def answer(self, request: Dict[str, Any]) -> bool:
        """Do a job and say how it went."""
        self.job = job = Job(request, self.say)
        if self.over:
            self.group.end()
        if job.id in self.unwanted:
            job._cancelled.set()
        end: Dict[str, Any] = {"type": "done"}
        try:
            job.check()
            end.update(self.do(job, request))
        except Cancelled:
            end = {"type": "error", "message": "cancelled"}
        except Exception as e:  # told to the agent; the program lives on
            print(_answers.explain(e), file=sys.stderr, end="")
            end = {"type": "error", "message": _answers.told(e)}
        self.job = None
        if job.id is not None:
            end["id"] = job.id
        self.say(end)
        return bool(end["type"] == "done")

    def do(self, job: Job, request: Dict[str, Any]) -> Dict[str, Any]:
        random.seed(job.seed)
        np.random.seed(job.seed_int % 2**32)
        if job.work == "train":
            given = _answers.Given(request["model"])
            job._steering.began(given.tensors)
            _safetensors.save(request["out"], given.trained(self.train(given.tensors, job)))
            scalars = job._steering.scalars()
            return {"scalars": scalars} if scalars else {}
        elif job.work == "evaluate" and self.evaluate is not None:
            return _answers.measured(self.evaluate(_safetensors.load(request["model"]).tensors, job))
        elif job.work == "statistics" and self.statistics is not None:
            _safetensors.save(request["out"], _answers.arrays("statistics", self.statistics(job)))
        elif job.work == "init" and self.init is not None:
            tensors = _answers.arrays("init", self.init(job))
            _safetensors.save(request["out"], tensors, _answers.first(tensors, self.rules))
        else:
            raise ValueError(f"this trainer cannot do {job.work!r}")
        return {}

    def once(self, env: Mapping[str, str]) -> int:
        """Serve the one request that the environment holds (X-16)."""
        if env["FEDMQ_WORK"] == "hello":
            return 0 if self.hello() else 1
        request = {name[6:].lower(): value for name, value in env.items() if name.startswith("FEDMQ_")}
        request["type"] = request["work"]
        typed = {"settings": json.loads(request.get("settings", "{}")), "round": int(request.get("round", 0)),
                 "attempt": int(request.get("attempt", 0))}
        return 0 if self.answer({**request, **typed}) else 1


def encode(message: Dict[str, Any]) -> bytes:
    """One line (X-2). What is not finite becomes null."""
    order = ("type", "version", "name", "id", "samples", "evaluate", "statistics", "init", "capabilities", "settings", "contract", "done", "total",
             "metrics", "confusion", "scores", "scalars", "message")
    ordered = {k: message[k] for k in order if k in message}
    if "metrics" in ordered:
        ordered["metrics"] = {k: v if v is not None and math.isfinite(v) else None for k, v in ordered["metrics"].items()}
    return json.dumps(ordered, separators=(",", ":"), allow_nan=False).encode() + b"\n"
