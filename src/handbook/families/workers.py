"""Work done in processes that are forked from one in which the large libraries are imported, each with a time limit."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Child:
    """A process at work on one item.

    Attributes:
        item: What it is at work on.
        pid: Its number.
        ends: When its time is up, in seconds of the monotonic clock.
        text: What it has written.
    """

    item: str
    pid: int
    ends: float
    text: list[bytes] = field(default_factory=list)


def each(
    items: Iterable[str], work: Callable[[str], Any], *, processes: int = 2, limit_s: float = 60
) -> Iterator[tuple[str, Any]]:
    """What `work` returns for each item, as they are done; `{"error": …}` for those that died or took too long.

    Args:
        items: What is worked on.
        work: Returns what JSON can say.
        processes: How many work at once.
        limit_s: The seconds that one may take.
    """
    waiting = list(items)[::-1]
    chosen = selectors.DefaultSelector()
    while waiting or chosen.get_map():
        while waiting and len(chosen.get_map()) < processes:
            read, child = _start(waiting.pop(), work, limit_s)
            chosen.register(read, selectors.EVENT_READ, child)
        for key, _ in chosen.select(timeout=0.5):
            child = key.data
            if part := os.read(key.fd, 1 << 16):
                child.text.append(part)
                continue
            yield child.item, _end(chosen, key.fd, child, "died")
        for key in list(chosen.get_map().values()):
            if time.monotonic() > key.data.ends:
                os.kill(key.data.pid, signal.SIGKILL)
                key.data.text.clear()
                yield key.data.item, _end(chosen, int(key.fd), key.data, f"took more than {limit_s:.0f} s")


def _start(item: str, work: Callable[[str], Any], limit_s: float) -> tuple[int, _Child]:
    """Fork a process that works on an item and writes what it returns."""
    read, write = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(write)
        return read, _Child(item, pid, time.monotonic() + limit_s)
    try:
        os.close(read)
        with open(write, "w", encoding="utf-8") as pipe:
            json.dump(work(item), pipe)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _end(chosen: selectors.BaseSelector, fd: int, child: _Child, otherwise: str) -> Any:
    """Wait for a process, and read what it wrote."""
    chosen.unregister(fd)
    os.close(fd)
    os.waitpid(child.pid, 0)
    try:
        return json.loads(b"".join(child.text))
    except ValueError:
        return {"error": otherwise}
