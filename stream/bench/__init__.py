"""`distil-stream bench`: commands that measure speed, accuracy and cost, one for each part.

Each prints a table and one JSON line. docs/benchmarks.md and docs/decisions contain their results.
"""
