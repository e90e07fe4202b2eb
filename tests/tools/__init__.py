"""Real programs that the tests talk to, built from their own sources when missing and kept in the tool cache.

`python -m tests.tools [NAME ...]` builds what is named (all, without a name) and prints one path a line.
"""
