"""Test speech whose words, pauses and word times are known, and distances between word edges."""
