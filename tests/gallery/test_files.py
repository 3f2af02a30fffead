"""The page's files: whole, from this server alone, and without anything that its security policy forbids."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

FOLDER = files("mediad_service") / "gallery"
FILES = {entry.name: entry.read_text() for entry in FOLDER.iterdir() if not entry.name.startswith((".", "__"))}
PAGES = [name for name in FILES if name.endswith(".html")]
SCRIPTS = [name for name in FILES if name.endswith(".js")]


def test_the_page_is_shipped() -> None:
    assert {"index.html", "docs.html", "login.html", "style.css", "app.js", "icon.svg"} <= set(FILES)


@pytest.mark.parametrize("name", PAGES)
def test_pages_hold_no_script_or_style_of_their_own(name: str) -> None:
    text = FILES[name]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("name", sorted(FILES))
def test_everything_named_is_there_and_nothing_is_from_elsewhere(name: str) -> None:
    text = FILES[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"""https?://|["'(]//""", text)
    named = set(re.findall(r"/static/([\w.-]+)", text)) | set(re.findall(r'from "\./([\w.-]+)"', text))
    assert named <= set(FILES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_make_no_elements_out_of_text(name: str) -> None:
    """File names are other people's text: they become text nodes only."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", FILES[name])
