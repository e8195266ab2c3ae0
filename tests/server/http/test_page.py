"""The files of the page."""

from pathlib import Path

from stream.server.http.page import load_assets


def test_only_files_of_a_page_are_served(tmp_path: Path) -> None:
    for name in ("index.html", "app.js", "README.md", "lib/a.js", "key.pem", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assets = load_assets(tmp_path)
    assert set(assets) == {"/", "/index.html", "/app.js", "/lib/a.js"}
    assert assets["/"] == ("text/html; charset=utf-8", b"index.html")
