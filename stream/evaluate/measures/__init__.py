"""What is computed from a record of events: one measure in each file."""
