"""The one deadline of tests: it tells a hang from a slow machine, and nothing else.

No test says how fast something is. What must be fast is measured and printed by the instruments and the benchmark; what
must be in order is asserted as order.
"""

HANG_SECONDS = 900.0
"""Seconds after which something that should have happened is taken for hanging."""
