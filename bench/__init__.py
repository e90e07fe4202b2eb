"""The benchmark: `python -m bench` (one table, ratios against baselines in one run), `python -m bench.codec` (the codec
alone). Real engine, real containers, the plugin as Docker installs it, and a sink that discards quickly.

Beyond one host, without an engine: `python -m bench.gateway` (how many hosts a gateway takes), `python -m bench.sizes`
(bytes of a line)."""
