"""Minutes of random faults on a real engine: `python -m tests.soak`."""
