"""Wire protocols: each turns messages of clients into calls of sessions, and events into messages.

`protocol_table` lists them.
"""
