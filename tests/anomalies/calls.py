"""Which errors a system call may end with, and which calls are left alone.

In: names as strace writes them. The errors are those of the kernel's manual pages that come from a shortage or from a
device, not from a wrong argument: the driver must survive each at any place where it makes the call.
"""

from __future__ import annotations

FILES = ("EMFILE", "ENFILE", "ENOMEM")
DISK = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
ENTRY = ("ENOSPC", "EIO", "EROFS", "EACCES")

ERRORS: dict[str, tuple[str, ...]] = {
    # Files and directories.
    "openat": (*FILES, "EIO", "ENOSPC", "EROFS", "EACCES"),
    "read": ("EIO", "ENOMEM"),
    "pread64": ("EIO", "ENOMEM"),
    "preadv": ("EIO", "ENOMEM"),
    "preadv2": ("EIO", "ENOMEM"),
    "readv": ("EIO", "ENOMEM"),
    "write": DISK,
    "pwrite64": DISK,
    "splice": (*DISK, "ENOMEM"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO", "EROFS"),
    "truncate": ("EIO", "EROFS"),
    "lseek": ("EIO",),
    "mkdir": ENTRY,
    "rename": ENTRY,
    "unlink": ("EIO", "EROFS", "EACCES"),
    "unlinkat": ("EIO", "EROFS", "EACCES"),
    "rmdir": ("EIO", "EROFS", "EACCES"),
    "chmod": ("EIO", "EROFS"),
    "fchmod": ("EIO", "EROFS"),
    "utimensat": ("EIO", "EROFS"),
    "getdents64": ("EIO", "ENOMEM"),
    "newfstatat": ("EIO", "ENOMEM"),
    "fstat": ("EIO", "ENOMEM"),
    "lstat": ("EIO", "ENOMEM"),
    "stat": ("EIO", "ENOMEM"),
    "statx": ("EIO", "ENOMEM"),
    "statfs": ("EIO", "ENOMEM"),
    "fcntl": ("EPERM", "EBUSY", "ENOMEM"),
    "ioctl": ("ENOMEM",),
    "close": ("EIO", "EINTR"),
    "dup": FILES,
    # Waiting.
    "eventfd2": FILES,
    "epoll_create1": FILES,
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR",),
    "poll": ("ENOMEM", "EINTR"),
    "pipe2": FILES,
    # Sockets.
    "socket": (*FILES, "ENOBUFS"),
    "socketpair": FILES,
    "bind": ("EADDRINUSE", "ENOMEM"),
    "listen": ("EADDRINUSE",),
    "accept4": (*FILES, "ENOBUFS", "ECONNABORTED"),
    "connect": ("ECONNREFUSED", "EADDRNOTAVAIL", "ENETUNREACH", "ENOBUFS"),
    "sendto": ("ENOBUFS", "ENOMEM", "ECONNRESET", "EPIPE"),
    "sendmsg": ("ENOBUFS", "ENOMEM", "ECONNRESET", "EPIPE"),
    "sendmmsg": ("ENOBUFS", "ENOMEM"),
    "writev": ("EIO", "ENOBUFS", "ECONNRESET"),
    "recvfrom": ("ENOMEM", "ECONNRESET"),
    "recvmsg": ("ENOMEM", "ECONNRESET"),
    "getsockname": ("ENOBUFS",),
    "getpeername": ("ENOBUFS", "ENOTCONN"),
    "getsockopt": ("ENOMEM",),
    "setsockopt": ("ENOMEM", "ENOBUFS"),
    "shutdown": ("ENOTCONN",),
    # Threads and memory.
    "clone": ("EAGAIN", "ENOMEM"),
    "clone3": ("EAGAIN", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "mprotect": ("ENOMEM",),
}

NOT_THERE = frozenset({("begin", "fcntl"), ("end", "fcntl"), ("scrape", "setsockopt")})
"""(phase, call): what never fails there. Asking a file's flags, though setting a pipe's size may; TCP_NODELAY."""
