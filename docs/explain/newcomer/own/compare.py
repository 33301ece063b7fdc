import json
import sys

from plant import scores

for path in sys.argv[1:]:
    with open(path) as f:
        rounds = [scores(*counts) for counts in json.load(f)]
    for number, (fault, ok, macro) in enumerate(rounds, 1):
        print(f"{path} round {number}: macro F1 {macro:.3f}, fault {fault[0]:.3f} {fault[1]:.3f} {fault[2]:.3f}, ok {ok[0]:.3f} {ok[1]:.3f} {ok[2]:.3f}")
