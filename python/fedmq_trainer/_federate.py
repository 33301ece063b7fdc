"""A federation of a folder, from a notebook."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence

from ._model import Model, load

if TYPE_CHECKING:
    import pandas

_BEAT = 0.2  # seconds between looks at the records


class Federation(NamedTuple):
    """What came of a federation."""

    metrics: "pandas.DataFrame"  #: a row for each committed round: what judges the model that it began with, over all sites
    model: Optional[Model]  #: of the task; None where there are several
    sites: "pandas.DataFrame"  #: the same, with a row for each round and site
    models: Dict[str, Model]  #: by task
    log: str  #: what ``fedmq up`` said


def federate(folder: "str | os.PathLike[str]", *, again: bool = False, program: Optional[str] = None, progress: bool = True,
             flags: Sequence[str] = ()) -> Federation:
    """Run the broker, the aggregator and the sites of a folder, as ``fedmq up`` does, to the end of its tasks.

    ``again`` begins anew where an earlier run has ended. ``program`` is the fedmq to run, else the one of
    FEDMQ_PROGRAM or of the PATH; ``flags`` are further ones of ``fedmq up``. It wants pandas.
    """
    import pandas  # noqa: F401  before anything is run

    where = pathlib.Path(folder)
    command = [_program(program), "up", str(where), *(["--again"] if again else []), *flags]
    started, seen = time.time(), _Records(where)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=os.name == "posix")
        try:
            _watch(p, seen, _Bar(_rounds(where), started) if progress else None)
        except BaseException:  # such as the notebook's stop button
            _end(p)
            raise
        out.seek(0)
        log = out.read()
    if p.returncode:
        raise RuntimeError(f"fedmq up {where} ended with {p.returncode}:\n" + "\n".join(log.splitlines()[-12:]))
    records = seen.look()
    tasks = sorted({r["task"] for r in records})
    models = {task: load(where / f"{task}.safetensors") for task in tasks if (where / f"{task}.safetensors").exists()}
    return Federation(_frame(records), next(iter(models.values())) if len(models) == 1 else None, _sites(records), models, log)


def _program(given: Optional[str]) -> str:
    found = shutil.which(given or os.environ.get("FEDMQ_PROGRAM") or "fedmq")
    if found is None:
        raise FileNotFoundError(f"{given or 'fedmq'} is no program in the PATH: want federate(..., program='/path/to/fedmq')")
    return found


def _watch(p: "subprocess.Popen[bytes]", seen: "_Records", bar: Optional["_Bar"]) -> None:
    while p.poll() is None:
        if bar is not None:
            bar.show(seen.look())
        time.sleep(_BEAT)
    if bar is not None:
        bar.show(seen.look())
        bar.end()


def _end(p: "subprocess.Popen[bytes]") -> None:
    """End a program that is still running, with all that it has started."""
    p.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
    try:
        p.wait(timeout=20)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


class _Records:
    """The committed records of the folder's aggregator, without those of runs that were put aside."""

    def __init__(self, where: pathlib.Path) -> None:
        self.where = where
        self.known: Dict[pathlib.Path, Dict[str, Any]] = {}

    def look(self) -> List[Dict[str, Any]]:
        there = [p for p in sorted(self.where.glob("**/records/*/*.json")) if "runs" not in p.relative_to(self.where).parts]
        self.known = {p: record for p in there if (record := self.known.get(p) or _record(p))}
        return [r for r in self.known.values() if r["verdict"] == "committed" and r["round"] > 0]


def _record(path: pathlib.Path) -> Optional[Dict[str, Any]]:
    try:
        record: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # it is being written, or put aside
    return record if record.get("schema") == "fedmq.record.v1" else None


def _rounds(where: pathlib.Path) -> int:
    """How many rounds the folder's tasks have, for the bar alone: 0 is not known."""
    try:
        text = (where / "aggregator.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return 0
    return sum(int(n) for n in re.findall(r"(?m)^\s+rounds:\s*(\d+)", text))


class _Bar:
    """One line that is written again and again."""

    def __init__(self, total: int, started: float, out: Optional[IO[str]] = None) -> None:
        self.total, self.started, self.out, self.last = total, started, out or sys.stderr, ""

    def show(self, records: List[Dict[str, Any]]) -> None:
        rounds = [r for r in records if r["work"] == "train" and r["committed_ms"] >= self.started * 1000 - 1000]
        line = f"{len(rounds)} rounds"
        if self.total:
            share = min(1.0, len(rounds) / self.total)
            line = f"{'#' * round(30 * share):.<30} {len(rounds)}/{self.total} rounds"
        judged = [r for r in records if r["metrics"]]
        if judged:
            name = _shown(judged[-1])
            line += f", {name} {judged[-1]['metrics'][name]['value'] or 0:.4g}"
        if line != self.last:
            self.out.write("\r" + line.ljust(len(self.last)))
            self.out.flush()
            self.last = line

    def end(self) -> None:
        self.out.write(f"  {time.time() - self.started:.0f} s\n")
        self.out.flush()


def _shown(record: Dict[str, Any]) -> str:
    """The metric that is shown first."""
    names = [record.get("shown"), "accuracy", "rmse", "loss", *record["metrics"]]
    return str(next(n for n in names if n in record["metrics"]))


def _frame(records: List[Dict[str, Any]]) -> "pandas.DataFrame":
    import pandas
    rows = [{"task": r["task"], "round": r["round"], "work": r["work"], "sites": sum(e["verdict"] == "counted" for e in r["entries"]),
             **{name: m["value"] for name, m in r["metrics"].items()}} for r in records]
    return pandas.DataFrame(rows, columns=None if rows else ["task", "round", "work", "sites"])


def _sites(records: List[Dict[str, Any]]) -> "pandas.DataFrame":
    import pandas
    rows = [{"task": r["task"], "round": r["round"], "site": e["member"], "verdict": e["verdict"], "samples": e.get("samples", 0), **e.get("metrics", {})}
            for r in records for e in r["entries"]]
    return pandas.DataFrame(rows, columns=None if rows else ["task", "round", "site", "verdict", "samples"])
