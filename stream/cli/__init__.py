"""The `distil-stream` commands, one file each; `main` registers them."""
