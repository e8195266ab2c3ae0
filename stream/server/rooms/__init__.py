"""The rooms of a server: their readers, their storage on disk and their webhook."""
