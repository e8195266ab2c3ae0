"""Where model weights come from, which formats they are in, and what a checkpoint contains."""
