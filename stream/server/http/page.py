"""The files of the captions page, read into memory, and the headers of every HTTP response."""

from collections.abc import Collection
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


def client_folder(name: str) -> Path:
    """Return a folder of `clients/`: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / name
    return installed if installed.is_dir() else package.parent / "clients" / name


def page_assets() -> dict[str, Asset]:
    """Return the files of the page, and below `/javascript` the modules of the client it uses."""
    page, client = client_folder("browser"), client_folder("javascript")
    return load_assets(page) | load_assets(client, "/javascript", only=(".js",))


def load_assets(
    folder: Path, prefix: str = "", only: Collection[str] = tuple(CONTENT_TYPES)
) -> dict[str, Asset]:
    """Read files into memory, by URL path; the server serves no others.

    Args:
        folder: the folder to read, with its subfolders.
        prefix: prefix of the URL paths.
        only: suffixes of the files to read.
    """
    assets = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in only and file.is_file() and "node_modules" not in file.parts:
            path = f"{prefix}/{file.relative_to(folder).as_posix()}"
            assets[path] = (CONTENT_TYPES[file.suffix], file.read_bytes())
    if "/index.html" in assets:
        assets["/"] = assets["/index.html"]
    return assets
