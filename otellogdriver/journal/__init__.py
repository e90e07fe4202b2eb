"""The journal: what every container printed, as the very frames the engine sent, on disk.

Constraints, with numbers:
- A FIFO's bytes reach the page cache by splice(2) without a copy in this process, so `kill -9` loses nothing.
- Undelivered data is bounded per container (`journal-max-size`) and for the driver (`journal_total_max_size`).
- 1,000 streams at once; a stream that never gets a byte leaves nothing behind.

Layout below the state directory (directories 0700, files 0600):

    containers/<container id>/<seq 8 digits>-<FIFO name>/
        meta.json              File and Info of StartLogging; written before the call is answered
        <offset 20 digits>.log segments, named by the stream offset of their first byte; <= SEGMENT_SIZE
        cursor, cursor-mirror  what is delivered, one per destination (cursor.py)
        ended                  exists once the FIFO is finished; its mtime says when

Frames straddle segments; only the offset in the stream counts. Writing: one FIFO thread per stream appends; nobody else
does. Reading: anyone, up to `Stream.end`, by offset. Deleting: only `Store`, whole segments, oldest first, never one
that holds undelivered bytes unless the limit's policy gave them up (counted). Recovery: the file names and sizes *are*
the state; a cursor that is torn or damaged falls back to its other slot, else to the start of the stream: sent twice
rather than lost.
"""
