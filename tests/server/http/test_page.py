"""The files of the page."""

import posixpath
import re
from pathlib import Path

from stream.server.http.page import load_assets, page_assets


def test_only_files_of_a_page_are_served(tmp_path: Path) -> None:
    for name in ("index.html", "app.js", "README.md", "lib/a.js", "key.pem", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assets = load_assets(tmp_path)
    assert set(assets) == {"/", "/index.html", "/app.js", "/lib/a.js"}
    assert assets["/"] == ("text/html; charset=utf-8", b"index.html")
    assert set(load_assets(tmp_path / "lib", "/lib", only=(".js",))) == {"/lib/a.js"}


def test_every_module_that_a_module_imports_is_served() -> None:
    assets = page_assets()
    assert "/javascript/protocol.js" in assets
    assert "/javascript/package.json" not in assets
    for path, (content_type, content) in assets.items():
        if content_type.startswith("text/javascript"):
            for imported in re.findall(
                r'^(?:import|export|}) .*?from "(.+?)";', content.decode(), re.M
            ):
                assert posixpath.normpath(posixpath.join(path, "..", imported)) in assets
