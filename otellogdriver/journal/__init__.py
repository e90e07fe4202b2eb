"""The journal: what every container printed, as the very frames the engine sent, on disk.

Constraints, with numbers:
- A FIFO's bytes reach the page cache by splice(2) without a copy in this process, so `kill -9` loses nothing.
- Undelivered data is bounded per container (`journal-max-size`) and for the driver (`journal_total_max_size`).
- 1,000 streams at once; a stream that never gets a byte leaves nothing behind. 10,000 that have ended and wait for
  delivery fit into a few MiB: what they need is read from disk when it is needed.

Format: layout.py, which is frozen. What a directory holds: segment.py. How far it is delivered: cursor.py.

Frames straddle segments; only the offset in the stream counts. Writing: one FIFO thread per stream appends; nobody else
does. Reading: anyone, up to `Stream.end`, by offset. Deleting: only `Store`, whole segments, oldest first, never one
that holds undelivered bytes unless the limit's policy gave them up (counted). Recovery: the file names and sizes *are*
the state; a cursor that is torn or damaged falls back to its other slot, else to the start of the stream: sent twice
rather than lost.

State moves only with success: after any system call or allocation that fails, memory and disk agree as before the call,
and the call may be repeated. A fault stays with its stream.
"""
