"""Sound out of files and byte streams of any format that FFmpeg reads."""
