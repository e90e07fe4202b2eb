"""Faults, sorted by who can mend them.

Expected ends (a request that must be retried, a stream that has ended) are values, not exceptions; see
`export/outcome.py`. What is raised here is a fault, and its class says whose: the user's (`OptionError`), the engine's
(`ProtocolError`) or the disk's (`JournalError`). The message is one line and is shown to the user as it is, so it
names the thing, the value and what is allowed, and never holds a secret.
"""

import errno

_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))
_LASTING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL))


class DriverError(Exception):
    """The root of every fault that this driver reports by itself."""


class OptionError(DriverError):
    """An option, log-opt or environment variable that cannot be used; the user mends it."""


class ProtocolError(DriverError):
    """A request of the plugin protocol that does not have the shape Docker's engine sends."""


class JournalError(DriverError):
    """The state directory cannot be used as asked (not a directory, not writable, damaged beyond use)."""


def is_shortage(error: BaseException) -> bool:
    """Whether it says nothing about what was asked for, only that it cannot be had now: no file numbers, no memory, no
    thread."""
    if isinstance(error, OSError):
        return error.errno in _SHORTAGES
    return isinstance(error, MemoryError | SystemError) or str(error) == "can't start new thread"


def may_pass(error: BaseException) -> bool:
    """Whether the same may go well later: a shortage, or a disk that does not give what it has. It says nothing about
    what is there."""
    return is_shortage(error) or (isinstance(error, OSError) and error.errno not in _LASTING)
