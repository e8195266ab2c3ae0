"""Decodes the audio of files and byte streams in any format that FFmpeg reads."""
