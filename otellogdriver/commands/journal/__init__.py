"""`otellogdriver journal`: what is kept on disk, what of it waits, its lines; and sending it by hand.

`snapshot.py` finds the streams without touching them, `lines.py` makes records of them with the driver's own feed and
codec; `ls.py`, `show.py` and `export.py` are the commands.
"""
