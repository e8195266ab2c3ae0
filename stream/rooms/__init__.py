"""Rooms: what several streams say, interleaved by time, for any number of readers. Pure."""
