"""Standard input and output, kept for messages (X-1, X-13)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import IO, Any, Dict, Iterator, Optional, Tuple


def own() -> Tuple[int, IO[bytes]]:
    """Take standard input and output. Whatever else prints, here or in a library,
    prints to standard error from now on, and whatever else reads finds the
    end of input: a process that is forked while a thread of ours reads closes
    ``sys.stdin``, which must not be what that thread holds."""
    source, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout.flush()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return source, out


def lines(source: int) -> Iterator[bytes]:
    """The lines of a descriptor, without Python's buffers and their locks."""
    rest = b""
    while part := os.read(source, 1 << 16):
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest


class Group:
    """The processes that this program has started, as far as they stayed in the
    group that the agent made (X-13)."""

    def __init__(self) -> None:
        self.number: Optional[int] = None

    def hear(self, hello: Dict[str, Any]) -> None:
        number = hello.get("group")
        if hasattr(os, "getpgrp") and os.getpgrp() == number:  # of an agent in another container it is not ours
            self.number = number

    def end_others(self) -> None:
        """Ask the others of the group to end."""
        if self.number is not None and threading.current_thread() is threading.main_thread():
            before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(self.number, signal.SIGTERM)
            signal.signal(signal.SIGTERM, before)

    def end(self) -> None:
        """End the whole group, this process included."""
        if self.number is not None:
            os.killpg(self.number, signal.SIGKILL)
        os._exit(1)
