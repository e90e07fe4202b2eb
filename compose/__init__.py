"""A whole stack to try the driver with, and to copy from; `compose.yaml` is the place to begin."""
