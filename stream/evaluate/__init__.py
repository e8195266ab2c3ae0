"""`distil-stream evaluate`: accuracy, latency, stability and cost of a streaming system."""
