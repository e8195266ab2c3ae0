"""Short-lived keys for browsers: `POST /v1/realtime/client_secrets`, and the beta's endpoint.

A secret is `ek_`, then its expiry and the settings of the session, as JSON in base64, then the
server's signature. So nothing is stored: a connection that shows the secret begins with these
settings.
"""

import base64
from typing import Any

import msgspec

from stream.errors import PeerError, SettingsError
from stream.protocols.declarations import HttpRequest, HttpResponse
from stream.protocols.interface import Service
from stream.protocols.openai_realtime.session_settings import RealtimeSettings, read_update

PREFIX = "ek_"
USUAL_S, SHORTEST_S, LONGEST_S = 600, 10, 7200
"""Seconds for which a secret is valid: by default, at least and at most."""
BETA_S = 60
"""The same for one of the beta."""

Json = dict[str, Any]


def settings_in(shown_key: str) -> RealtimeSettings:
    """Return the settings that a secret holds; the usual ones for any other key."""
    if not shown_key.startswith(PREFIX):
        return RealtimeSettings()
    payload = shown_key.removeprefix(PREFIX).partition(".")[0]
    try:
        held = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        update = read_update(held["session"], beta=held["beta"])
        return RealtimeSettings().updated(update)
    except (ValueError, KeyError, TypeError, PeerError):
        # A server that requires no key does not check it: any text after `ek_` comes here.
        return RealtimeSettings()


def secret(service: Service, session: object, expires_at: int, *, beta: bool) -> str:
    """Return a secret with these settings."""
    held = msgspec.json.encode({"exp": expires_at, "beta": beta, "session": session})
    payload = base64.urlsafe_b64encode(held).decode().rstrip("=")
    return f"{PREFIX}{payload}.{service.sign(payload)}"


def create(service: Service, request: HttpRequest) -> HttpResponse:
    """Respond to `POST /v1/realtime/client_secrets`."""
    asked = read_body(request)
    session = asked.get("session") or {"type": "transcription"}
    settings = RealtimeSettings().updated(read_update(session, beta=False))
    seconds = seconds_of(asked.get("expires_after"), USUAL_S)
    expires_at = round(service.wall_time()) + seconds
    value = secret(service, session, expires_at, beta=False)
    fields = settings.fields("sess_unopened", service, expires_at)
    return as_json({"value": value, "expires_at": expires_at, "session": fields})


def create_beta(service: Service, request: HttpRequest) -> HttpResponse:
    """Respond to `POST /v1/realtime/transcription_sessions`."""
    session = read_body(request)
    settings = RealtimeSettings().updated(read_update(session, beta=True))
    asked = session.pop("client_secret", None)
    expires_at = round(service.wall_time()) + seconds_of((asked or {}).get("expires_at"), BETA_S)
    value = secret(service, session, expires_at, beta=True)
    fields = settings.beta_fields("sess_unopened", service, expires_at)
    return as_json({**fields, "client_secret": {"value": value, "expires_at": expires_at}})


def read_body(request: HttpRequest) -> Json:
    """Return the JSON object in the body.

    Raises `SettingsError` if there is none, or if the request itself shows a secret, which would
    then never expire.
    """
    for name, value in request.headers:
        if name.lower() == "authorization" and value.partition(" ")[2].startswith(PREFIX):
            raise SettingsError("authorization", "A client secret cannot create another one.")
    try:
        body = msgspec.json.decode(request.body or b"{}")
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise SettingsError("body", "The body is no JSON object.")
    return body


def seconds_of(asked: object, usual: int) -> int:
    """Return for how many seconds a secret is asked. Raises `SettingsError` out of the range."""
    seconds = asked.get("seconds", usual) if isinstance(asked, dict) else usual
    if not isinstance(seconds, int) or not SHORTEST_S <= seconds <= LONGEST_S:
        raise SettingsError(
            "expires_after.seconds", f"seconds is {seconds!r}; use {SHORTEST_S} to {LONGEST_S}."
        )
    return seconds


def as_json(body: Json) -> HttpResponse:
    """Return a response of JSON."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return HttpResponse(200, msgspec.json.encode(body).decode(), headers)
