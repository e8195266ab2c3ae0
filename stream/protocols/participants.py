"""Connections that carry the audio of several participants, each with a session of its own.

The sessions share a room, in which each participant is a speaker: the labels are right by
construction, because no voice has to be told from another.
"""

from collections.abc import Mapping

from stream.protocols.call_settings import room_name
from stream.protocols.declarations import Query
from stream.protocols.interface import Service
from stream.protocols.labels import label_of
from stream.protocols.telephony import CallProtocol

MAX_PARTICIPANTS = 100
"""Most participants of one connection; a session of each one takes memory."""


class ParticipantsProtocol(CallProtocol):
    """A connection with a session for each participant."""

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.participants: dict[str, str] = {}
        """Id of each participant at the client, and of the session."""

    def open_for(
        self,
        participant: str,
        asked: Mapping[str, object],
        room: str,
        about: Mapping[str, str] | None = None,
        label: str = "",
    ) -> str:
        """Open the session of a participant and return its id. Raises `PeerError`."""
        session_id = f"{self.session_id}.{len(self.participants)}"
        try:
            speaker = label_of(label or participant)
        except ValueError:
            speaker = f"Speaker {len(self.participants) + 1}"
        named = {"room": room_name(room, self.session_id), "speakers": (speaker,)}
        self.open_session({**named, **asked}, about, session_id)
        self.participants[participant] = session_id
        return session_id

    def participant_of(self, session_id: str) -> str:
        """Return the participant whose session this is."""
        found = (name for name, one in self.participants.items() if one == session_id)
        return next(found, "")
