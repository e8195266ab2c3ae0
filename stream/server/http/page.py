"""The files of the captions page, read into memory, and the headers of every HTTP response."""

from pathlib import Path

Asset = tuple[str, bytes]
"""Content type and content."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Allows the page to use its own files and websocket, and nothing else."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers sent with every HTTP response."""

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""Content types by suffix; files with other suffixes, such as README.md, are not served."""


def page_folder() -> Path:
    """Return the folder of the captions page: in the package, or in `clients` of a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "browser"
    return installed if installed.is_dir() else package.parent / "clients" / "browser"


def load_assets(folder: Path) -> dict[str, Asset]:
    """Read the files of the page into memory, by URL path; no other file is ever served."""
    assets = {}
    for file in sorted(folder.rglob("*")):
        content_type = CONTENT_TYPES.get(file.suffix)
        if content_type and file.is_file():
            assets[f"/{file.relative_to(folder).as_posix()}"] = (content_type, file.read_bytes())
    if "/index.html" in assets:
        assets["/"] = assets["/index.html"]
    return assets
