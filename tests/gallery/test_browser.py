"""What a person sees and does on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediad.engine import Engine
from mediad_service.api import Server

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


class Page:
    """A page with what went wrong in it: errors, and requests to anywhere else."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.tab = browser.new_context(**options).new_page()
        self.wrong: list[str] = []
        self.tab.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("request", lambda one: None if one.url.startswith(address) else self.wrong.append(one.url))
        self.tab.goto(address)
        self.tab.wait_for_selector(".card img")

    def names(self, kind: str) -> list[str]:
        names: list[str] = self.tab.locator(f".card.{kind} h3").all_inner_texts()
        return names

    def wait(self, condition: str) -> None:
        self.tab.wait_for_function(f"() => {condition}", timeout=20_000)  # text alone would be evaluated by the page


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Page]:
    page = Page(browser, server.page or "")
    yield page
    page.tab.context.close()
    assert page.wrong == []


def test_it_shows_what_there_is(page: Page, engine: Engine, library: Path) -> None:
    assert sorted(page.names("cluster")) == sorted(cluster["name"] for cluster in engine.entries("clusters"))
    assert len(page.names("sequence")) == 1
    assert "bird.mkv" in page.names("file")
    assert page.tab.locator("#state").inner_text() == "Up to date"
    volumes = page.tab.locator("#volumes").inner_text()
    assert "photos" in volumes
    assert f"offline: {library / 'away'} is not there" in volumes
    page.tab.click(".troubles summary")
    assert "broken.jpg" in page.tab.locator(".troubles").inner_text()


def test_every_preview_is_a_picture(page: Page) -> None:
    for image in page.tab.locator(".card img").all():
        image.scroll_into_view_if_needed()
    page.wait("[...document.querySelectorAll('.card img')].every((one) => one.complete && one.naturalWidth > 0)")
    assert page.tab.locator(".blank").count() == 0


def test_folders_are_named_by_their_volumes_also_where_the_status_comes_late(page: Page) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.tab.route("**/api/events", hold)
    page.tab.reload()
    page.tab.wait_for_selector(".card .folder")
    folders = page.tab.locator(".card .folder").all_inner_texts()
    assert not [folder for folder in folders if folder.startswith("/")]
    held[0].continue_()
    page.tab.unroute("**/api/events")


def test_words_find_what_they_say(page: Page) -> None:
    page.tab.fill("#words", "sunflower")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("text=likeness")
    folders = page.tab.locator(".card .folder").all_inner_texts()[:5]
    assert all(folder.endswith("photos/sunflower") for folder in folders)
    page.tab.go_back()
    page.tab.wait_for_selector(".card.cluster")


@pytest.mark.parametrize("card", [".card.sequence.moves", ".card.file.moves"])
def test_what_moves_stands_still_until_it_is_looked_at(page: Page, card: str) -> None:
    found = page.tab.locator(card).first
    image = found.locator("img")
    found.scroll_into_view_if_needed()
    page.wait(f"document.querySelector('{card} img').naturalWidth > 0")
    still = image.get_attribute("src")
    width = image.evaluate("one => one.naturalWidth")
    found.hover()
    page.wait(f"document.querySelector('{card}').matches('.playing')")
    page.wait(f"document.querySelector('{card} img').complete")
    assert image.get_attribute("src") != still
    assert 0 < image.evaluate("one => one.naturalWidth") <= 240 < width
    page.tab.mouse.move(1, 1)
    page.wait(f"!document.querySelector('{card}').matches('.playing')")
    assert image.get_attribute("src") == still
    found.locator("a").focus()  # and for those who use no mouse
    page.wait(f"document.querySelector('{card}').matches('.playing')")


def test_a_cluster_opens_and_a_picture_in_it(page: Page) -> None:
    card = page.tab.locator(".card.cluster").first
    name = card.locator("h3").inner_text()
    card.locator("a").press("Enter")
    page.tab.wait_for_selector("h1")
    assert page.tab.locator("h1").inner_text() == name
    first, second = page.names("file")[:2]
    page.tab.locator(".card.file a").first.click()
    assert page.tab.locator("#viewer h2").inner_text() == first
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.locator("#viewer h2").inner_text() == second
    page.wait("document.querySelector('.viewer > img').naturalWidth > 0")
    assert page.tab.locator("#viewer dd").count() >= 3
    page.tab.click("text=More like this")
    page.tab.wait_for_selector("text=likeness")
    assert page.names("file")[0] == second


def test_a_cluster_is_renamed_in_its_place(page: Page, engine: Engine) -> None:
    cluster = engine.entries("clusters")[0]
    card = page.tab.locator(f".card.cluster[data-key='{cluster['id']}']")
    for name in ("<b>Mine</b> & yours", ""):
        card.hover()
        card.locator(".pencil").click()
        page.tab.keyboard.type(name) if name else page.tab.keyboard.press("Delete")
        page.tab.keyboard.press("Enter")
        expected = name or cluster["name"]
        page.tab.wait_for_selector(f".cluster h3:text-is({json.dumps(expected)})")
        assert expected in [one["name"] for one in engine.entries("clusters")]


def test_what_comes_appears_by_itself(page: Page, engine: Engine, library: Path, shared: Path) -> None:
    new = library / "photos" / "alone" / "a new one.jpg"
    new.parent.mkdir()
    new.write_bytes((shared / "media" / "labelled" / "umbrella" / "image_0001.jpg").read_bytes())
    count = engine.status()["assets"]["images"] + 1
    page.wait(f"document.querySelector('.facts')?.textContent.startsWith('{count} images')")
    new.unlink()
    engine.sync(timeout=60)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_colours(browser: Any, server: Server, scheme: str) -> None:
    size = {"width": 400, "height": 800}
    page = Page(browser, server.page or "", color_scheme=scheme, viewport=size, has_touch=True)
    for address in ("", "#videos", "#sequences"):
        page.tab.goto(f"{server.page}{address}")
        page.tab.wait_for_selector(".card img")
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 400
    ground = page.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) > 380) == (scheme == "light")
    card = page.tab.locator(".card.sequence.moves").first
    card.locator("a").tap()  # the first tap plays, the second opens
    page.wait("document.querySelector('.card.sequence').matches('.playing')")
    card.locator("a").tap()
    page.tab.wait_for_selector("h1 >> text=/./")
    page.tab.wait_for_selector(".group")
    page.tab.context.close()
    assert page.wrong == []


def test_the_description_of_the_api_works_offline(page: Page, server: Server) -> None:
    page.tab.goto(f"{server.page}docs")
    page.tab.wait_for_selector(".docs article")
    assert page.tab.locator(".docs article").count() > 20
    assert "[object" not in page.tab.locator(".docs").inner_text()
