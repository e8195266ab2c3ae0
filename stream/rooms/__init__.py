"""Rooms: the words of several streams, interleaved by time, for any number of readers. Pure."""
