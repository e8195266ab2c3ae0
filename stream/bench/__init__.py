"""`distil-stream bench`: how fast, how right and how costly each part is, a command for each.

Each prints a table and one JSON line; docs/benchmarks.md and docs/decisions hold what they printed.
"""
