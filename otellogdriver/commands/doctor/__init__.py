"""`otellogdriver doctor`: what is wrong with this installation, and what to do about it.

Each file looks at one thing and returns `Check`s; `command.py` asks them in turn and prints. Nothing is changed, but
for one test record that the collector gets.
"""
