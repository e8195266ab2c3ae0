"""The formats and codecs that FFmpeg may open for a client: audio alone, and no playlists.

FFmpeg has hundreds of demuxers and decoders, many of them for files of old games, and decodes the
pictures and the video of a file while it looks for its sound. What is not in these lists is never
opened.
"""

STREAM_FORMATS = ("matroska", "webm", "ogg", "wav", "mp3", "flac", "aac", "mov", "mp4")
"""Containers that can be decoded while their bytes arrive."""

FILE_FORMATS = (
    *STREAM_FORMATS, "3gp", "3g2", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi",
    "caf", "ac3", "dss", "eac3", "dts", "flv", "g722", "gsm", "latm", "loas", "mpeg", "mpegts",
    "mxf", "nistsphere", "nut", "qcp", "tta", "voc", "w64", "wv",
)  # fmt: skip
"""Containers of recordings."""

CODECS = (
    "aac", "aac_latm", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "adpcm_swf",
    "adpcm_yamaha", "alac", "amrnb", "amrwb", "ape", "dca", "dss_sp", "eac3", "evrc", "flac",
    "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "libopencore_amrnb",
    "libopencore_amrwb", "libopus", "libspeex", "libvorbis", "mp1", "mp1float", "mp2",
    "mp2float", "mp3", "mp3float", "nellymoser", "opus", "pcm_alaw", "pcm_bluray", "pcm_dvd",
    "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be",
    "pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24le",
    "pcm_s24le_planar", "pcm_s32be", "pcm_s32le", "pcm_s32le_planar", "pcm_s8", "pcm_s8_planar",
    "pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le", "pcm_u8",
    "qcelp", "shorten", "speex", "truespeech", "tta", "vorbis", "wavpack", "wmalossless",
    "wmapro", "wmav1", "wmav2", "wmavoice",
)  # fmt: skip
"""Decoders of audio; none of video, pictures or subtitles."""


def safe_options(formats: tuple[str, ...]) -> dict[str, str]:
    """Return the options with which FFmpeg opens nothing but audio in one of these formats."""
    return {
        "protocol_whitelist": "none",  # a playlist opens no files and no URLs
        "format_whitelist": ",".join(formats),
        "codec_whitelist": ",".join(CODECS),
    }
