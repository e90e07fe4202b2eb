"""Which injections are made: all that the calls of each phase allow, or a fixed few.

In: for each phase the calls that were seen in it, with how often one thread makes them. Out: injections. Of each call
the first few fail with each error that it may have, later ones with one of them in turn; and once for each call and
error all of them fail, for some seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.anomalies.calls import ERRORS
from tests.anomalies.strace import Injection

_EACH_ERROR = 3
"""The first so many calls of a kind fail with each of their errors."""
_LASTING_ERRORS = 2
"""So many errors of a call are made to last."""


def single(made: Mapping[str, int], most: int) -> Iterator[Injection]:
    """One call of each thread fails: the first, the second, … up to `most`."""
    for call, count in sorted(made.items()):
        errors = ERRORS.get(call, ())
        for number in range(1, min(count, most) + 1):
            chosen = errors if number <= _EACH_ERROR else errors[number % len(errors) :][:1] if errors else ()
            for errno in chosen:
                yield Injection(call, errno, str(number))


def lasting(made: Mapping[str, int]) -> Iterator[Injection]:
    """All calls of a kind fail while the fault lasts."""
    for call in sorted(made):
        for errno in ERRORS.get(call, ())[:_LASTING_ERRORS]:
            if errno != "EINTR":  # a call that is interrupted again and again is made again and again
                yield Injection(call, errno, "1+")


def allocations() -> Iterator[int]:
    """Which allocations fail: all of the first ones, later ones further and further apart."""
    number = 1
    while number < 20_000:
        yield number
        number += max(1, number // 40)


SAMPLE = {
    "StartLogging": "accept4 clone3 close epoll_ctl eventfd2 getsockname ioctl mkdir newfstatat openat recvfrom "
    "rename sendto setsockopt write",
    "intake": "epoll_wait sendto splice",
    "delivery": "close connect epoll_ctl getpeername getsockname getsockopt ioctl preadv2 pwrite64 recvfrom sendto "
    "setsockopt socket",
    "full speed": "fcntl poll pwrite64 splice",
    "commit with sync": "fdatasync preadv2 pwrite64 recvfrom sendto splice",
    "rotation": "close fcntl ioctl lseek newfstatat openat preadv2 pwrite64 read recvfrom rename sendto splice "
    "unlink write",
    "StopLogging": "close epoll_ctl getsockname ioctl openat read recvfrom sendto splice write",
    "ReadLogs": "close epoll_ctl getsockname ioctl openat preadv2 recvfrom sendto",
    "scrape": "accept4 close epoll_ctl getdents64 getsockname ioctl lseek newfstatat openat read recvfrom sendto "
    "statfs",
}
"""Phase -> the calls that fail in every run of the tests."""

SAMPLE_OF_RESTARTS = {
    "begin": "accept4 bind chmod close connect epoll_create1 epoll_ctl getsockname ioctl listen mkdir sendto "
    "setsockopt socket socketpair splice statfs write",
    "end": "close epoll_ctl openat read recvfrom write",
}
"""The same for the begin and the end of the process."""


def sample(phase: str) -> Iterator[Injection]:
    """The first call of each kind, with two of its errors."""
    for call in (SAMPLE | SAMPLE_OF_RESTARTS)[phase].split():
        for errno in ERRORS[call][:2]:
            yield Injection(call, errno)
