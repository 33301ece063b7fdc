"""Takes NVFlare's sleeps out: its parties look for work every half second or second,
which would be most of a round here. Python imports this file by itself where it is
on PYTHONPATH; simulator and sites are processes that inherit it."""
import os
import time

_sleep, _most = time.sleep, float(os.environ.get("PEERS_SLEEP", "0.01"))
time.sleep = lambda seconds: _sleep(min(seconds, _most))
