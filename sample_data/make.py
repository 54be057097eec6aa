"""Make the three frames of this folder again; SOURCES.md says where they come from. Standard library only.

Run ``python sample_data/make.py apache-airflow-2.7.3.tar.gz`` from the root of the repository, with the source
archive of Apache Airflow 2.7.3 as PyPI has it. Without an archive, ``texts.csv`` is left as it is.
"""

from __future__ import annotations

import csv
import hashlib
import re
import sys
import tarfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).resolve().parent

TEXTS_PER_CATEGORY = 40
#: Headings of the release notes, in lower case and without hyphens, and the category each stands for.
CATEGORIES = {
    "bug fixes": "bug fix",
    "new features": "new feature",
    "improvements": "improvement",
    "misc/internal": "internal",
    "doc only changes": "documentation",
}

#: One pull request an entry, no old ticket number in front; lines on new committers are left out, they name people.
ENTRY = re.compile(r"- (?!\[|.*\(#\d+\) \(|.*ommitter)(.{25,140}) \(#(\d+)\)")

#: Patient: observer 1 three times | observers 2 to 5, as in variant A.
RATINGS = """
1:111|1111 2:333|4334 3:112|2122 4:222|3121 5:222|3222 6:222|3322 7:122|2111 8:333|3433 9:222|2223 10:232|2223
11:444|4444 12:222|3343 13:111|1111 14:222|3212 15:121|1111 16:111|2111 17:111|1111 18:111|1111 19:222|2221
20:222|1322 21:222|2222 22:222|2221 23:222|3222 24:221|2222 25:111|1111 26:111|1111 27:232|2222 28:111|1111
29:111|1111 30:112|1121 31:111|1111 32:333|3233 33:111|1111 34:222|2222 35:222|3232 36:433|4343 37:221|2232
38:232|3233 39:333|3432 40:111|1111 41:111|1111 42:121|2111 43:232|2222 44:121|1111 45:222|2222
"""
#: The one patient whose ratings by observer 1 differ between the two transcriptions.
VARIANTS = {"A": {}, "B": {"7": "112"}}


def main(archives: list[str]) -> None:
    """Write every frame that can be made from what is at hand."""
    write("anaesthetists.csv", ("variant", "patient", "observer", "repeat", "rating"), ratings())
    write(
        "images.csv",
        ("image_id", "image_url", "camera", "scene", "captured_at", "width", "height", "priority", "min_px"),
        images(),
    )
    for archive in archives:
        columns = ("change_id", "text", "release", "released_on", "filed_under")
        write("texts.csv", columns, chosen(entries(release_notes(archive))))


def write(name: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Write one frame as CSV."""
    with (HERE / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def ratings() -> Iterator[tuple[object, ...]]:
    """Yield one row per answer of an observer, for both variants."""
    for variant, other in VARIANTS.items():
        for cell in RATINGS.split():
            patient, answers = cell.split(":")
            first, rest = answers.split("|")
            for repeat, rating in enumerate(other.get(patient, first), start=1):
                yield variant, patient, 1, repeat, rating
            for observer, rating in enumerate(rest, start=2):
                yield variant, patient, observer, 1, rating


def images() -> Iterator[tuple[object, ...]]:
    """Yield 96 made-up images: four cameras, four scenes, one picture an hour."""
    random = Random("images of made-up cats")  # noqa: S311 - a repeatable picture list, no secret
    cameras = {"hallway": (1280, 720), "kitchen": (1920, 1080), "garden": (2560, 1440), "phone": (3024, 4032)}
    for number in range(1, 97):
        camera = random.choice(list(cameras))
        width, height = cameras[camera]
        host = random.choice(["images.example.org", "cdn.example.com"])
        scene = random.choice(["day", "dusk", "night"] if camera == "garden" else ["daylight", "lamp", "dark"])
        captured_at = f"2020-07-{1 + (number - 1) // 24:02d}T{(number - 1) % 24:02d}:{random.randrange(60):02d}:00Z"
        image_id = f"kitten_{number:04d}"
        priority = 30 if scene in ("night", "dark") else 10
        url = f"https://{host}/2020-07/{camera}/{image_id}.jpg"
        yield image_id, url, camera, scene, captured_at, width, height, priority, width // 64


def release_notes(archive: str) -> str:
    """Read the release notes out of the source archive."""
    with tarfile.open(archive) as tar:
        (name,) = (name for name in tar.getnames() if re.fullmatch(r"[^/]+/RELEASE_NOTES\.rst", name))
        member = tar.extractfile(name)
        assert member is not None
        return member.read().decode("utf-8")


def entries(notes: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the one-line entries of the 2.x releases that name exactly one pull request."""
    release = released_on = category = None
    lines = notes.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if match := re.fullmatch(r"Airflow (2\.[\d.]+),? \((\d{4}-\d\d-\d\d)\)", line):
            release, released_on = match.groups()
        elif re.fullmatch(r"([\"^~=-])\1{3,}", below):
            category = CATEGORIES.get(line.strip().lower().replace("-", " "))
        elif (match := ENTRY.fullmatch(line)) and release and released_on and category:
            text = match[1].replace("``", "`").rstrip(".")
            yield f"airflow-{match[2]}", text, release, released_on, category


def chosen(found: Iterable[tuple[str, str, str, str, str]]) -> list[tuple[str, str, str, str, str]]:
    """Take equally many of each category, in an order that depends on the ids alone; ids and texts are unique."""
    by_id = {row[0]: row for row in found}
    by_text = {row[1]: row for row in by_id.values()}
    shuffled = sorted(by_text.values(), key=lambda row: hashlib.sha256(row[0].encode()).hexdigest())
    kept = [
        row
        for category in CATEGORIES.values()
        for row in [row for row in shuffled if row[4] == category][:TEXTS_PER_CATEGORY]
    ]
    return sorted(kept, key=shuffled.index)


if __name__ == "__main__":
    main(sys.argv[1:])
