"""Finds where one file ends and another begins, if several were joined one behind the other.

FFmpeg reads the first of several joined WAV or MP4 files only, and of joined Ogg files those whose
codec does not change. So a walker follows the structure of a file. It is a generator of runs: each
gives the number of the next bytes that belong to the file. When the walker returns, the file ends,
and another file follows. The same walkers serve files, in which runs are skipped, and streams, in
which they are passed on.

A header of a WAV file may be wrong: a recorder that was stopped has not updated its sizes. What
follows the announced audio, and is neither a chunk nor another file, is audio.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

Peek = Callable[[int], bytes]
"""Returns the next bytes without consuming them; fewer than requested at the end."""

MAX_PARTS = 10_000
"""Joined files, at most; each costs about a millisecond to open."""

SCANNED = 1 << 20
"""Bytes of a file that are searched at once."""

LONGEST_START = 80
"""Bytes of the longest pattern with which a file begins."""

RIFF_UNKNOWN = 0x7FFF_0000
"""A size field of at least this in a WAV header means that the size was not known."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a file of some kind begins."""

    magics: tuple[bytes, ...]
    """Its first four bytes."""
    pattern: re.Pattern[bytes]
    """All that identifies it: no audio matches this by chance."""

    def may_begin(self, head: bytes) -> bool:
        """Return whether up to four bytes may be the first of such a file."""
        return any(magic.startswith(head) for magic in self.magics)


WAV_START = Start(
    (b"RIFF", b"RF64", b"BW64"),
    re.compile(rb"(?:RIFF|RF64|BW64).{4}WAVE(?:fmt |JUNK|ds64|bext|LIST)", re.DOTALL),
)
EBML_START = Start(
    (b"\x1a\x45\xdf\xa3",),
    re.compile(rb"\x1a\x45\xdf\xa3.{1,60}?\x42\x82.{1,8}?(?:webm|matroska)", re.DOTALL),
)

CHUNKS = frozenset(
    b"LIST id3 ID3 JUNK junk bext iXML cue smpl inst PEAK fact PAD FLLR afsp DISP cart plst note "
    b"labl _PMX aXML chna umid levl acid strc minf elm1 regn ovwf Fake wavl slnt link".split()
)
"""Chunks that programs write behind the audio of a WAV file, without their spaces."""

BOXES = frozenset(
    b"ftyp moov moof mdat free skip wide styp sidx ssix mfra emsg uuid meta pdin prft pnot udta "
    b"bloc junk".split()
)
"""Boxes at the top of an MP4 file."""

ALL = 1 << 62
"""More bytes than any file has."""


@dataclass(frozen=True, slots=True)
class Run:
    """The next bytes of a file."""

    length: int
    kept: bool = True
    """False for chunks behind the audio, which a decoder would take for audio."""
    start: Start | None = None
    """If set, the run ends earlier where another file of this kind begins."""


Walker = Callable[[Peek], Iterator[Run]]
"""Yields the runs of a file of one format."""


def walk_wav(peek: Peek) -> Iterator[Run]:
    """Yield the runs of a WAV file (RIFF, RF64, BW64)."""
    riff_end = 8 + int.from_bytes(peek(8)[4:8], "little")
    at, data_size = 12, 0
    yield Run(12)
    while len(head := peek(24)) >= 8 and head[:4] != b"data":
        if head[:4] == b"ds64":
            data_size = int.from_bytes(head[16:24], "little")
        size = int.from_bytes(head[4:8], "little")
        at += 8 + size + size % 2
        yield Run(8 + size + size % 2)
    announced = int.from_bytes(head[4:8], "little")
    size = data_size if announced == 0xFFFF_FFFF else announced
    yield Run(8)
    yield Run(size or ALL, start=WAV_START)
    padding = size % 2 and peek(1) == b"\0"
    if padding:
        yield Run(1, kept=False)
    at += 8 + size + bool(padding)
    while (head := peek(16)) and not walker_of(head):
        chunk_size = int.from_bytes(head[4:8], "little")
        if head[:4].strip() in CHUNKS or at + 8 < riff_end < RIFF_UNKNOWN:
            at += 8 + chunk_size + chunk_size % 2
            yield Run(8 + chunk_size + chunk_size % 2, kept=False)
        elif head.startswith((b"ID3", b"TAG")):
            yield Run(ALL, kept=False)
        else:  # the sizes in the header were never updated
            yield Run(ALL, start=WAV_START)


def walk_aiff(peek: Peek) -> Iterator[Run]:
    """Yield the run of an AIFF file, if another one follows it."""
    size = int.from_bytes(peek(8)[4:8], "big")
    yield Run(8 + size + size % 2)
    if walker_of(peek(16)) is None:
        yield Run(ALL)


def walk_mp4(peek: Peek) -> Iterator[Run]:
    """Yield the boxes of an MP4 file, until a file type follows the boxes of a film."""
    film = False
    while len(head := peek(16)) >= 8:
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if film and kind == b"ftyp":
            return
        if size < 8 or kind not in BOXES:
            if film and walker_of(head):
                return
            size = ALL  # it reaches to the end, or is damaged
        film = film or kind in (b"moov", b"moof", b"mdat")
        yield Run(size)


def walk_ebml(peek: Peek) -> Iterator[Run]:
    """Yield the runs of a Matroska or WebM file; a live one does not announce its length."""
    head = peek(4 + 8)
    yield Run(4 + sum(ebml_size(head[4:])))
    head = peek(4 + 8)
    length, size = ebml_size(head[4:])
    if head[:4] == b"\x18\x53\x80\x67" and size < ALL:
        yield Run(4 + length + size, start=EBML_START)
    if peek(4) and not walker_of(peek(16)):
        yield Run(ALL, start=EBML_START)


def ebml_size(data: bytes) -> tuple[int, int]:
    """Return the length of a size field, in bytes, and the size; `ALL` if it is unknown."""
    if not data or not data[0]:
        return 1, ALL
    length = 9 - data[0].bit_length()
    unknown = (1 << 7 * length) - 1
    size = int.from_bytes(data[:length], "big") & unknown
    return length, ALL if size == unknown else size


def walk_ogg(peek: Peek) -> Iterator[Run]:
    """Yield the pages of an Ogg file, until the first page of a track follows other pages."""
    begun = False
    while len(page := peek(27 + 255)) >= 27 and page.startswith(b"OggS"):
        is_first = bool(page[5] & 2)
        if is_first and begun:
            return
        begun = begun or not is_first
        n_segments = page[26]
        yield Run(27 + n_segments + sum(page[27 : 27 + n_segments]))
    if page and not walker_of(page[:16]):
        yield Run(ALL)


def walk_rest(peek: Peek) -> Iterator[Run]:
    """Yield all that is left: FFmpeg reads joined files of the other formats by itself."""
    yield Run(ALL)


def walker_of(head: bytes) -> Walker | None:
    """Return the walker for a file that begins with these 16 bytes; None for other formats."""
    if head[:4] in WAV_START.magics and head[8:12] == b"WAVE":
        return walk_wav
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return walk_aiff
    if head[:4] in EBML_START.magics:
        return walk_ebml
    if head[:4] == b"OggS":
        return walk_ogg
    if head[4:8] == b"ftyp":
        return walk_mp4
    return walk_rest if head[:4] == b"fLaC" else None


def runs_of(peek: Peek) -> Iterator[Run]:
    """Yield the runs of the file that begins at the next byte, of any format; at least one."""
    head = peek(16)
    walker = walker_of(head) or (walk_mp4 if head[4:8] in BOXES else walk_rest)
    empty = True
    for run in walker(peek):
        empty = False
        yield run
    if empty:  # it is shorter than a header of its kind
        yield from walk_rest(peek)


def parts_of(file: BinaryIO) -> list[tuple[int, int]]:
    """Return where each of the joined files lies in a file: [start, end) in bytes."""
    size, at = file.seek(0, 2), 0

    def peek(n: int) -> bytes:
        file.seek(at)
        return file.read(n)

    parts: list[tuple[int, int]] = []
    while at < size:
        start = end = at
        for run in runs_of(peek) if len(parts) < MAX_PARTS else walk_rest(peek):
            stop = min(at + run.length, size)
            at = min(stop, first_match(file, at, stop, run.start.pattern)) if run.start else stop
            end = at if run.kept else end
            if run.start and at < stop:  # another file begins before the announced end
                break
        parts.append((start, end))
    return parts


def first_match(file: BinaryIO, start: int, stop: int, pattern: re.Pattern[bytes]) -> int:
    """Return where the pattern first matches in [start, stop) of a file; `stop` if nowhere."""
    while start < stop:
        file.seek(start)
        if found := pattern.search(file.read(SCANNED + LONGEST_START)):
            return start + found.start()
        start += SCANNED
    return stop
