"""A container that prints as fast as it can, in bursts: a process of its own that writes frames into a FIFO.

    python -m tests.faults.writer FIFO SEED BYTES PAUSE

BYTES is the most in a burst, PAUSE the most seconds between two. It ends when its stdin is closed and then says how
many lines it wrote: {"stdout": 123, "stderr": 45}. Line n of a stream is `text(stream, n)`, so a reader can tell
whether it is whole.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time

from tests.fakes.engine import pieces


def text(stream: str, number: int) -> bytes:
    """Line `number` of a stream: mostly short, sometimes empty behind its number, now and then in pieces."""
    size = 40_000 if number % 199 == 7 else (number * 7919) % 400
    return b"%s %08d " % (stream.encode(), number) + b"x" * size


def main(path: str, seed: int, burst: int, pause: float) -> None:
    rng = random.Random(seed)
    counts = {"stdout": 0, "stderr": 0}
    fifo = os.open(path, os.O_WRONLY)
    told_to_end = select.poll()
    told_to_end.register(0, select.POLLHUP | select.POLLIN)
    while not told_to_end.poll(0):
        block, size = bytearray(), rng.randint(1, burst)
        while len(block) < size:
            stream = "stderr" if rng.random() < 0.25 else "stdout"
            block += pieces(text(stream, counts[stream]), stream.encode())
            counts[stream] += 1
        view = memoryview(block)
        while view:
            view = view[os.write(fifo, view) :]
        time.sleep(rng.uniform(0, pause))
    os.close(fifo)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
