"""A running service takes up new policies, and keeps the last good where what is there now does not load."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.policy.load import POLICIES
from shared.policy.problem import PolicyError
from shared.policy.shelf import LOOK_SECONDS, Shelf

TEXT = (POLICIES / "hakago" / "v1.yaml").read_text(encoding="utf-8")
SECOND = TEXT.replace("version: 1", "version: 2", 1).replace("2020-01-01", "2026-01-01", 1)


@dataclass
class Ticks:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        self.now += LOOK_SECONDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, 1, TEXT)
    return tmp_path


def put(folder: Path, version: int, text: str) -> None:
    path = folder / "hakago" / f"v{version}.yaml"
    path.parent.mkdir(exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


def versions(shelf: Shelf) -> list[int]:
    return [policy.version for policy in shelf.book().all()]


def test_a_service_does_not_start_with_a_policy_that_does_not_load(folder: Path) -> None:
    put(folder, 1, TEXT.replace("clause: HW.3\n", "clause: HW.9\n", 1))
    with pytest.raises(PolicyError, match=r"HW\.9"):
        Shelf(folder)


def test_a_new_version_is_taken_up_after_a_while(folder: Path) -> None:
    ticks = Ticks()
    shelf = Shelf(folder, ticks)
    put(folder, 2, SECOND)
    ticks.now += LOOK_SECONDS - 0.1
    assert versions(shelf) == [1]
    ticks.now += 0.1
    assert versions(shelf) == [1, 2]


def test_the_last_good_is_kept_and_the_next_good_is_taken(folder: Path) -> None:
    ticks = Ticks()
    shelf = Shelf(folder, ticks)
    first = shelf.book()
    put(folder, 2, SECOND.replace("merchant: hakago", "merchant: hakago\nnonsense: 1"))
    ticks.pass_by()
    assert shelf.book() is first
    put(folder, 2, SECOND)
    ticks.pass_by()
    assert versions(shelf) == [1, 2]


@pytest.mark.parametrize("change", ["seller_days: 8", None])
def test_a_published_version_neither_changes_nor_goes(folder: Path, change: str | None) -> None:
    put(folder, 2, SECOND)
    ticks = Ticks()
    shelf = Shelf(folder, ticks)
    first = shelf.book()
    if change is None:
        (folder / "hakago" / "v2.yaml").unlink()
    else:
        put(folder, 2, SECOND.replace("seller_days: 7", change))
    ticks.pass_by()
    assert shelf.book() is first
    put(folder, 2, SECOND)
    ticks.pass_by()
    assert [policy.digest for policy in shelf.book().all()] == [policy.digest for policy in first.all()]


def test_nothing_is_read_while_nothing_changes(folder: Path) -> None:
    ticks = Ticks()
    shelf = Shelf(folder, ticks)
    first = shelf.book()
    ticks.pass_by()
    assert shelf.book() is first


def test_without_a_folder_the_policies_of_the_package() -> None:
    assert Shelf().book().merchants() == ("gejet-mall", "hakago")
