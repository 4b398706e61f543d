from __future__ import annotations

import gzip
import re

from frontend.widget_script import FOLDER, PARTS, built

SERVERS = [{"urls": "stun:stun.example.com"}]


def test_the_widget_weighs_at_most_fifteen_kilobytes() -> None:
    assert len(built([]).gzipped) <= 15 * 1024


def test_the_widget_is_one_function_without_imports() -> None:
    text = built(SERVERS).text.decode()
    assert not re.search(r"^(import|export) ", text, re.MULTILINE)
    assert text.startswith("(() => {")
    assert '"stun:stun.example.com"' in text


def test_every_module_of_the_widget_is_in_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.js")} == set(PARTS)


def test_the_widget_never_writes_markup() -> None:
    text = built([]).text.decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_the_compressed_form_is_the_same_script_and_its_tag_follows_its_content() -> None:
    script = built([])
    assert gzip.decompress(script.gzipped) == script.text
    assert built(SERVERS).etag != script.etag
