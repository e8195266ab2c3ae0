"""The `distil-stream` commands, one file each; `main` lists them."""
