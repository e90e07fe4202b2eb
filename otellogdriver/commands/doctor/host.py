"""What the driver needs of its host: FIFO directory, state directory, disk.

Paths are those of the machine this runs on. Nothing is left behind: writing is tried with a file without a name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from otellogdriver.commands.amounts import size
from otellogdriver.commands.doctor.check import Check, failed, note, ok, setting, skipped
from otellogdriver.settings.options import PluginSettings


def directories(settings: PluginSettings, fifos: Path, state: Path, plugin: str) -> Iterator[Check]:
    """Look at both directories and at the disk below them. `plugin`: its name, for advice."""
    try:
        if not fifos.is_dir():
            yield failed(
                "FIFO directory",
                f"{fifos} {'is no directory' if fifos.exists() else 'does not exist'}: no container can start",
                "the engine makes it when it enables the plugin: disable and enable it",
            )
            return
        yield ok("FIFO directory", str(fifos))
        yield from _state(state)
        yield from _disk(settings, state if state.exists() else fifos, plugin)
    except PermissionError as error:
        yield skipped("state directory", f"{error.filename or state}: not readable for this user", "run this as root")
    except OSError as error:
        text = f"{error.filename or state}: {error.strerror}"
        yield failed("state directory", text, "repair the disk; until then lines are read and dropped, counted")


def _state(state: Path) -> Iterator[Check]:
    if not state.exists():
        yield note("state directory", f"{state} is not there yet: the driver makes it with its first start")
        return
    try:
        # Readable and executable only for root; so whoever gets here is, and only the disk can object.
        os.close(os.open(state, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except IsADirectoryError:  # how a file system says that it has no O_TMPFILE
        writable = os.access(state, os.W_OK)
    except PermissionError:
        raise
    except OSError as error:
        yield failed(
            "state directory",
            f"{state} cannot be written: {error.strerror}; lines are read and dropped, counted as disk_error",
            "remount the file system read-write, or repair it: `dmesg` may say why it is not",
        )
        return
    else:
        writable = True
    if not writable:
        yield failed("state directory", f"{state} cannot be written", "see who owns it and how it is mounted")
        return
    yield ok("state directory", f"{state} is writable")


def _disk(settings: PluginSettings, path: Path, plugin: str) -> Iterator[Check]:
    disk = os.statvfs(path)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    floor = min(settings.journal_min_free, total // 20)  # as the driver reckons
    room = max(0, free - floor)
    seen = f"{size(free)} of {size(total)} free at {path}"
    if disk.f_files and not disk.f_favail:
        yield failed("disk", f"no inode is free at {path}: no file can be made", "delete files: `df -i` shows where")
    elif not room:
        yield failed(
            "disk",
            f"{seen}, and {size(floor)} are kept free: lines are given up, counted as journal_full",
            "free space (`docker system df`), or let the journal lie on a larger disk; less may be kept free: "
            + setting(plugin, "OTELLOGDRIVER_JOURNAL_MIN_FREE=…"),
        )
    elif room < settings.journal_total_max_size:
        yield note(
            "disk",
            f"{seen}: in an outage {size(room)} can wait, not the {size(settings.journal_total_max_size)} "
            "that OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE allows",
            "free space, or lower the limit so that the policy acts before the disk is full",
        )
    else:
        yield ok("disk", f"{seen}; up to {size(settings.journal_total_max_size)} can wait")
