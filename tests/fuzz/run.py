"""Fuzz native code: mutated input, every read and write checked by the address sanitizer.

    python -m tests.fuzz.run [codec|lines|traces] --seconds 60 [--seed 1 [--first 1234]]

The extension (of `codec`: streams of frames; of `lines`: lines to parse; of `traces`: lines to join) is compiled anew
with -fsanitize=address,undefined in a temporary folder, and loaded by a child process. What it says is compared with
the same in Python. Ends with 0 if nothing was found; else with 1, the seed and number of the input (to look at it
again), and the input in hex, which belongs into `tests/data/frames` or `tests/data/lines` once the fault is mended.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import machinery, util
from pathlib import Path
from typing import Any

from otellogdriver.codec import python
from otellogdriver.codec.contract import NOTHING, Codec, EncodeOptions
from otellogdriver.lines import joined, severity, severity_scan, trace_modes
from otellogdriver.lines.redaction import Redaction
from otellogdriver.lines.writer import PythonWriter, Rules
from tests.data.frames.corpus import CASES
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import CASES as LINE_CASES
from tests.data.lines.programs import examples, levelless, source_of

ROOT = Path(__file__).parent.parent.parent
LEVEL_MODULES = "names neighbours letters values places".split()
TARGETS = {
    "codec": ("codec/native.pyx",),
    "lines": (*(f"lines/level_{name}.py" for name in LEVEL_MODULES), "lines/severity_scan.py", "lines/native.pyx"),
    "traces": ("lines/log_line.py", "lines/trace_headings.py", "lines/traces.py", "lines/joined.py"),
}
"""What is compiled of each, what is imported before what imports it; the last one is called."""
OBSERVED = 1_763_980_000_123_456_789
HUGE = 1 << 40
LONGEST_SEED = 20_000
"""Bytes of a case above which it is not mutated: the Python codec would get most of the time."""
VARINTS = [b"\0", b"\x7f", b"\x80\x01", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f", b"\x80" * 10 + b"\x01"]
LENGTHS = [0, 1, 7, 8, 9, 12, 0x7FFF, (1 << 21) - 1, 1 << 21, (1 << 21) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
HEADS = [b"\n\x06stdout", b"\n\x06stderr"]
LINE_PIECES = [
    *b'{ } [ ] , : " \\ \\u00e9 \\ud83d\\ude00 \\ud800 \\n -0 1e5 1E400 0.1 true null "a":1, 99999999999'.split(),
    b" ",
]
JOINED = source_of(joined)
LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]


def library_of(folder: Path, source: str) -> Path:
    return folder / f"{Path(source).stem}{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(folder: Path, source: str) -> None:
    """The extension with sanitizers. Raises CalledProcessError."""
    library = library_of(folder, source)
    c = library.with_suffix(".c")
    command = [sys.executable, "-m", "cython", "-3", f"otellogdriver/{source}", "-o", str(c)]
    subprocess.run(command, check=True, cwd=ROOT)
    flags = ["-O1", "-g", "-fPIC", "-shared", "-fwrapv", "-fno-omit-frame-pointer"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run([os.environ.get("CC", "cc"), *flags, *checks, include, str(c), "-o", str(library)], check=True)


def child_environment() -> dict[str, str]:
    asan = subprocess.run(
        [os.environ.get("CC", "cc"), "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if not Path(asan).is_absolute():
        sys.exit(f"{os.environ.get('CC', 'cc')} has no libasan.so: install the address sanitizer's library")
    # Python's own allocator would hide the ends of objects from the sanitizer, and never frees all at exit.
    return {**os.environ, "LD_PRELOAD": asan, "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0"}


def mutated_line(chance: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[at : at + chance.choice([1, 2, 8])]
        elif kind == 2:
            data[at:at] = chance.choice(LINE_PIECES)
        elif kind == 3:
            data[at:] = chance.choice(seeds)
        else:
            data[at:at] = data[chance.randrange(len(data) + 1) :][: chance.randrange(20)] * chance.choice([1, 2, 30])
    return bytes(data)


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[at : at + chance.choice([1, 2, 4, 30])]
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.choice([1, 2, 4, 30]))
        elif kind == 3:
            data[at : at + chance.choice([0, 1, 2])] = chance.choice(VARINTS)
        elif kind == 4:
            data[at : at + chance.choice([0, 4])] = chance.choice(LENGTHS).to_bytes(4, "big")
        elif kind == 5:
            data[at:at] = chance.choice(HEADS)
        elif kind == 6:
            data[at:] = chance.choice(seeds)
        else:
            # A length that is right for what follows, so that the parser sees what else is wrong with it.
            rest = data[at : at + chance.randrange(60)]
            data[at:at] = len(chance.choice(HEADS) + rest).to_bytes(4, "big") + chance.choice(HEADS)
    return bytes(data)


@contextmanager
def exactly(data: bytes) -> Iterator[memoryview]:
    """A buffer of its own, behind whose end nothing belongs to it: reading one byte too far is found."""
    address = LIBC.malloc(len(data))
    ctypes.memmove(address, data, len(data))
    try:
        yield memoryview((ctypes.c_ubyte * len(data)).from_address(address)).cast("B")
    finally:
        LIBC.free(address)


def line_differences(native: Any, chance: random.Random, data: bytes) -> str:
    """As `differences`, for the writer of lines."""
    redaction = Redaction(chance.choice(["[0-9]{3}", "^a", "é+"])) if chance.random() < 0.2 else None
    parse: Any = chance.choice(["json", "json", "auto", "logfmt", "none"])
    rules = Rules(parse, chance.random() < 0.5, chance.random() < 0.5, redaction)
    options = EncodeOptions(chance.choice([None, b"12345678"]))
    records = [(5, OBSERVED, 0, data), (70, 0, 1, data[chance.randrange(len(data) + 1) :])]
    limit = chance.choice([HUGE, 0, 100])
    kept = EncodeOptions(options.uid, b"", 3, chance.random() < 0.5)
    frames = b"".join(frame(data[begin:], chance.choice([OBSERVED, 0])) for begin in (0, len(data) // 2))
    made = python.encode(frames, 0, NOTHING, kept, OBSERVED, HUGE)
    plain = PythonWriter(replace(rules, redaction=None, keep_bytes=kept.keep_bytes))
    if native.NativeWriter(plain.rules, plain).rewrite(made.payload, made.records, limit) != plain.rewrite(
        made.payload, made.records, limit
    ):
        return f"rewrite with {plain.rules}"
    writer = PythonWriter(rules)
    found = native.NativeWriter(rules, writer).write(records, options, OBSERVED, limit)
    return "" if found == writer.write(records, options, OBSERVED, limit) else f"write with {rules}"


def trace_differences(native: Any, chance: random.Random, data: bytes) -> str:
    """As `differences`, for the joining of lines; each has its last line's state and what the next may need of it."""
    languages = chance.choice([*trace_modes.PRESETS.values(), 0])
    begins = None if languages else (lambda line: line[:1] != b" ")
    size = chance.choice([1, 1, 1, 700, 70_000])
    texts = [text * size if chance.random() < 0.1 else text for text in data.split(b"\n")]
    lines = [(number, 0, chance.random() < 0.2, text) for number, text in enumerate(texts)]
    head, streams = chance.choice([b"", *texts]), chance.choice([3, 3, 1])
    found = []
    for module in (native, JOINED):
        groups, heads = [None, None], [head, b""]
        records = module.join(languages, begins, lines, groups, heads, streams)
        left = [group and (group.begin, group.head, group.state, group.count, group.text()) for group in groups]
        found.append((records, left, heads))
    return "" if found[0] == found[1] else f"join of {languages}"


def differences(native: Codec, chance: random.Random, data: bytes) -> str:
    """Which function of the codec says something else than the Python one, if any."""
    cut = chance.randrange(len(data) + 1)
    options = EncodeOptions(chance.choice([None, b"12345678"]), b"\x32\x00" * chance.randrange(2), chance.randrange(4))
    limit = chance.choice([HUGE, 0, 100, 1000])
    flush, final = chance.random() < 0.3, chance.random() < 0.3
    begins = (chance.randrange(-1, len(data) + 1), chance.randrange(-1, len(data) + 1))
    since, until = chance.randrange(-1, 5), chance.randrange(-1, 5)
    calls: dict[str, tuple[bytes, Callable[[Codec, bytes | memoryview], object]]] = {}
    head = data[:cut]
    first = python.encode(head, 0, NOTHING, options, OBSERVED, limit, flush)
    calls["encode"] = head, lambda codec, chunk: codec.encode(chunk, 0, NOTHING, options, OBSERVED, limit, flush)
    calls["encode with a carry"] = (
        data[first.end :],
        lambda codec, chunk: codec.encode(chunk, first.end, first.carry, options, OBSERVED, limit, flush, final),
    )
    calls["rebuild"] = data, lambda codec, chunk: codec.rebuild(chunk, 0, begins)
    calls["count"] = data, lambda codec, chunk: codec.count(chunk, 0, cut, final)
    calls["readable"] = data, lambda codec, chunk: codec.readable(chunk, 0, since, until)
    calls["positions"] = data, lambda codec, chunk: codec.positions(chunk, 0)
    for name, (given, call) in calls.items():
        with exactly(given) as chunk:
            if call(native, chunk) != call(python, given):
                return name
    return ""


def load_sanitized(folder: Path, source: str) -> Any:
    """The module of that source. Others find it by its name, as it is imported by native code."""
    name = f"otellogdriver.{source.partition('.')[0].replace('/', '.')}"
    loader = machinery.ExtensionFileLoader(name, str(library_of(folder, source)))
    spec = util.spec_from_loader(name, loader)
    assert spec is not None
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def child(target: str, folder: Path, seconds: float, seed: int, first: int, note: Path) -> int:
    """Try input after input; `note` says which one, should the sanitizer end the process."""
    if target == "lines":
        setattr(severity, "find", source_of(severity_scan).find)  # noqa: B010 -- what the Python writer calls
    # In place of the modules that the imports above have loaded.
    native = [load_sanitized(folder, source) for source in TARGETS[target]][-1]
    change, compare = mutated, differences
    seeds = [case.data for case in CASES if len(case.data) < LONGEST_SEED]
    seeds += [frame(text[:size], OBSERVED) for text in (b"a" * 70, "aé€😀".encode() * 7) for size in range(70)]
    if target == "traces":
        change, compare = mutated_line, trace_differences
        files = sorted((ROOT / "tests" / "data" / "lines" / "traces").glob("*.txt"))
        seeds = [text.partition(b"\n")[2] for file in files for text in file.read_bytes().split(b"%% ")]
    if target == "lines":
        change, compare = mutated_line, line_differences
        seeds = [line.line for case in LINE_CASES for line in case.lines]
        seeds += [example.line for example in [*examples("programs.txt"), *levelless()]]
    end = time.monotonic() + seconds
    number = first
    with note.open("r+b", buffering=0) as noted:
        while time.monotonic() < end:
            chance = random.Random(f"{seed}/{number}")
            data = change(chance, seeds)
            noted.seek(0)
            noted.write(f"input {number} of seed {seed}: {data.hex()}\n".encode())
            noted.truncate()
            wrong = compare(native, chance, data)
            if wrong:
                print(f"{wrong}: native and Python differ", file=sys.stderr)
                return 1
            number += 1
    print(f"{number - first} inputs of seed {seed}: nothing found")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz native code under the address sanitizer.")
    parser.add_argument("target", nargs="?", choices=TARGETS, default="codec")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(given.target, given.child, given.seconds, given.seed, given.first, given.child / "note")
    seed = time.time_ns() % 1_000_000 if given.seed is None else given.seed
    with tempfile.TemporaryDirectory(prefix="native-fuzz-") as folder:
        environment = child_environment()
        for source in TARGETS[given.target]:
            build(Path(folder), source)
        note = Path(folder) / "note"
        note.touch()
        command = [sys.executable, "-m", "tests.fuzz.run", given.target, "--child", folder, "--seed", str(seed)]
        command += ["--seconds", str(given.seconds), "--first", str(given.first)]
        # A pass never takes long: an input that keeps the codec busy is a fault as well.
        try:
            ended = subprocess.run(command, cwd=ROOT, env=environment, timeout=given.seconds + 60).returncode
        except subprocess.TimeoutExpired:
            ended = -1
        if ended:
            print(f"FAULT ({ended}) at {note.read_text()}", file=sys.stderr)
        return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())
