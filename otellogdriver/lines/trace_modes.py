"""What traces are told apart by: languages, and the modes that a trace goes through.

Numbers alone, so that what is compiled has them as C. A state is a mode with what is added to it.
"""

from __future__ import annotations

LOOK = 512
"""Bytes of a line that are looked at."""

JAVA = 1
PYTHON = 2
GO = 4
NODE = 8
DOTNET = 16
RUBY = 32
PHP = 64
RUST = 128
TIMESTAMP = 256
AUTO = 255
PRESETS = {
    "auto": AUTO,
    "java": JAVA,
    "python": PYTHON,
    "go": GO,
    "node": NODE,
    "dotnet": DOTNET,
    "ruby": RUBY,
    "php": PHP,
    "rust": RUST,
    "timestamp": TIMESTAMP,
}
"""Name -> languages; the names are those of `line_options.PRESETS`."""

APART = -1  # the line begins a record of its own
# Modes; the bits above MODE hold the indentation of a traceback.
LOG = 0
BLANK = 1  # a log line, then an empty line
HALF = 2  # the first of two lines of a message: java.util.logging, .NET's console
EXC = 3  # the name of an exception; its message may go on
FRAMES = 4  # the stack below the exception
PAUSE = 5  # an empty line after the stack
TRACEBACK = 6  # Python's stack, before the exception
RAISED = 7  # the exception of a traceback; its message and its notes may go on
CHAIN = 8  # an empty line after the exception
GROUP = 9  # Python's exception groups
FIELDS = 10  # pydantic's list of faults
PANIC = 11  # Go's message
GOROUTINE = 12
CALLS = 13  # zap's stack
SOURCE = 14  # Node shows the place in a file, before the error
CARET = 15  # a mark below the place in the line
THREAD = 16  # Rust's panic, before its message
UNWOUND = 17  # Rust's panic, after its message
BODY = 18  # indented text below the first line
QUERY = 19  # SQLAlchemy's text of a statement
TIMED = 20  # of TIMESTAMP: a record that begins with a time
UNTIMED = 21  # and one that does not
TOLD = 22  # a message whose second line names its level: warning or higher
STACK = 23  # Python's stack without an exception
MODE = 31
SURE = 32  # added to EXC: a stack will follow, and all lines before it are the message
