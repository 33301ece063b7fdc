"""NVFlare's side of scripts/peers: FedAvg of one float32 array, in its simulator.

    python nvflare_fedavg.py SITES PARAMETERS ROUNDS WORKSPACE

Every site is a process, as in the simulator with as many threads as sites. A site
adds a number to every parameter, which is all of its training. Prints one JSON
object: seconds and CPU seconds of each round but the first, CPU of all processes.
"""
import json
import os
import sys
import time

import numpy as np
import psutil
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.executor import Executor
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.workflows.fedavg import FedAvg
from nvflare.job_config.api import FedJob


class AddOne(Executor):
    """A site: sends what it was given, and one more."""

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        model = from_shareable(shareable)
        weights = {name: value + np.float32(1) for name, value in model.data.items()}
        out = DXO(data_kind=DataKind.WEIGHTS, data=weights, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 1})
        return out.to_shareable()


class TimedFedAvg(FedAvg):
    """FedAvg that keeps its model in memory, and notes when a round has ended."""

    # NVFlare writes into the job what is named here, and takes its defaults for the rest.
    def __init__(self, parameters, report, num_clients, num_rounds, task_check_period):
        super().__init__(persistor_id="", num_clients=num_clients, num_rounds=num_rounds, task_check_period=task_check_period)
        self.parameters, self.report, self.marks = parameters, report, {}

    def load_model(self):
        return FLModel(params={"weight": np.zeros(self.parameters, np.float32)}, params_type=ParamsType.FULL)

    def save_model(self, model):
        self.marks.setdefault(self.current_round, (time.monotonic(), cpu(int(os.environ["PEERS_ROOT"]))))
        if len(self.marks) == self.num_rounds:
            exact = self._received_count == self.num_clients and bool((model.params["weight"] == self.num_rounds).all())
            with open(self.report, "w") as f:
                json.dump({"marks": list(self.marks.values()), "exact": exact}, f)


def cpu(root):
    """User and system seconds of a process and all below it that live."""
    total = 0.0
    root = psutil.Process(root)
    for p in [root, *root.children(recursive=True)]:
        try:
            t = p.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += t.user + t.system
    return total


def main(sites, parameters, rounds, workspace):
    os.environ["PEERS_ROOT"] = str(os.getpid())
    report = os.path.join(workspace, "report.json")
    job = FedJob(name="peers", min_clients=sites)
    job.to_server(TimedFedAvg(parameters, report, sites, rounds + 1, 0.002))
    names = [f"site-{i + 1}" for i in range(sites)]
    for name in names:
        job.to(AddOne(), name)
    job.simulator_run(os.path.join(workspace, "run"), clients=names, threads=sites, log_config="concise")
    with open(report) as f:
        got = json.load(f)
    marks = got["marks"]  # the first is the end of a round that warms up
    seconds = [b[0] - a[0] for a, b in zip(marks, marks[1:])]
    spent = [b[1] - a[1] for a, b in zip(marks, marks[1:])]
    print(json.dumps({"rounds_s": seconds, "cpu_s": spent, "exact": got["exact"]}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
