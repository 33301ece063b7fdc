"""Runs the federation of this folder, a process for each party, and prints what travelled in each round:

    python3 bytes.py [FEDMQ]

Down: what a site's connection has received (fedmq_link_receive_bytes_total of its /metrics) when it trains. Up: what
the aggregator's record of the round says, of both sites.
"""
import json
import pathlib
import re
import socket
import subprocess
import sys
import urllib.request

FEDMQ = sys.argv[1] if sys.argv[1:] else "fedmq"
HERE = pathlib.Path(__file__).resolve().parent
SITES = ["north", "south"]


def port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def received(address):
    text = urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()
    return float(re.search(r"^fedmq_link_receive_bytes_total(?:{.*})? (\S+)$", text, re.M)[1])


def start(*args, **more):
    return subprocess.Popen([FEDMQ, *args, "--log-level", "error"], cwd=HERE, **more)


def run():
    """What has come to each site by each round."""
    broker = re.search(r"tcp://(\S+:\d+)", (HERE / "aggregator.yaml").read_text())[1]
    http = {site: f"127.0.0.1:{port()}" for site in SITES}
    parties, totals, number = [start("broker", "--open", "--listen", broker)], {}, 1  # {site: bytes} by round
    try:
        watch = start("watch", "-c", "aggregator.yaml", stdout=subprocess.PIPE, text=True)
        parties.append(watch)
        watch.stdout.readline()  # "broker up": it sees the first round
        parties.append(start("aggregator", "-c", "aggregator.yaml"))
        parties += [start("site", "-c", f"{site}.yaml", "--http", http[site]) for site in SITES]
        for line in watch.stdout:
            if "halted: finished" in line:
                return [totals[n] for n in sorted(totals)]
            if m := re.search(r"event opened round=(\d+)", line):
                number = int(m[1])
            m = re.search(r"site (\w+)/lab (?:busy|late still) training", line)
            seen = [m[1]] if m else SITES if re.search(r"event accepted .* count=1$", line) else []
            for site in seen:
                if site not in totals.setdefault(number, {}):
                    totals[number][site] = received(http[site])
    finally:
        for p in reversed(parties):
            p.terminate()
        for p in parties:
            p.wait()


totals = run()
records = [json.loads(p.read_text()) for p in (HERE / "state/aggregator/records/digits").glob("*.json")]
records = sorted((r for r in records if r["work"] == "train"), key=lambda r: r["version"])
print("round     model down, bytes    update up, bytes   accuracy before")
print("           north      south       (both sites)")
before = dict.fromkeys(SITES, 0.0)
for number, (now, r) in enumerate(zip(totals, records), 1):
    down = [f"{now[site] - before[site]:>11,.0f}" for site in SITES]
    print(f"{number:>5}{''.join(down)} {r['bytes_up']:>18,} {r['metrics']['accuracy']['value']:>17.3f}")
    before = now
