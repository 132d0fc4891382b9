"""Each system's layout is recognised by its names, and every student is found with the ids of that system."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.collection import (
    CollectedSubmission,
    Collection,
    CollectionLayout,
    collect,
    collect_archive,
    collect_files,
)
from grader.errors import InputError
from tests.support.zip_files import NOTEBOOK, zipped


def collected(*names: str) -> Collection:
    """Collect a zip file with a notebook's bytes under each of these names."""
    return collect_archive("class.zip", zipped(dict.fromkeys(names, NOTEBOOK)))


def names_of(collection: Collection) -> dict[str, list[str]]:
    return {item.name: [name for name, _ in item.files] for item in collection.submissions}


def only(collection: Collection) -> CollectedSubmission:
    (submission,) = collection.submissions
    return submission


# One folder, one file


def test_one_folder_is_one_student() -> None:
    collection = collected("kim/hw2.ipynb", "kim/more/extra.ipynb", "lee/hw2.ipynb")
    assert collection.layout is CollectionLayout.FOLDERS
    assert names_of(collection) == {"kim": ["hw2.ipynb", "more/extra.ipynb"], "lee": ["hw2.ipynb"]}


def test_folders_around_the_students_are_gone_through() -> None:
    assert names_of(collected("all/hw2/kim/a.ipynb", "all/hw2/lee/a.ipynb")) == {"kim": ["a.ipynb"], "lee": ["a.ipynb"]}


def test_a_file_beside_the_folder_around_the_students_changes_nothing() -> None:
    collection = collected("all/kim/a.ipynb", "all/lee/a.ipynb", "roster.csv")
    assert names_of(collection) == {"kim": ["a.ipynb"], "lee": ["a.ipynb"]}
    assert collection.notices == ("skipped: ../roster.csv",)


def test_a_single_folder_with_one_notebook_is_a_student() -> None:
    assert names_of(collected("kim/hw2.ipynb")) == {"kim": ["hw2.ipynb"]}


def test_a_notebook_beside_the_folders_is_a_student_too() -> None:
    assert names_of(collected("kim/a.ipynb", "lee/a.ipynb", "park.ipynb")) == {
        "kim": ["a.ipynb"],
        "lee": ["a.ipynb"],
        "park": ["park.ipynb"],
    }


def test_flat_notebooks_are_a_student_each() -> None:
    collection = collected("kim_hw2.ipynb", "lee_hw2.ipynb")
    assert collection.layout is CollectionLayout.FILES
    assert names_of(collection) == {"kim_hw2": ["kim_hw2.ipynb"], "lee_hw2": ["lee_hw2.ipynb"]}


def test_a_folder_of_data_beside_flat_notebooks_is_nobody() -> None:
    collection = collected("kim.ipynb", "lee.ipynb", "data/train.csv")
    assert [item.name for item in collection.submissions] == ["kim", "lee"]
    assert collection.notices == ("skipped: data/train.csv",)


def test_a_student_without_a_notebook_is_not_overlooked() -> None:
    collection = collected("kim/hw2.ipynb", "lee/hw2.pdf", "park/")
    assert names_of(collection) == {"kim": ["hw2.ipynb"], "lee": ["hw2.pdf"], "park": []}


def test_what_is_nowhere_a_notebook_is_refused() -> None:
    with pytest.raises(InputError, match=r"^class\.zip: there is no notebook in it; give a folder or zip file"):
        collect_archive("class.zip", zipped({"readme.txt": b"read this", "data/train.csv": b"1"}))


# Canvas


@pytest.mark.parametrize("late", ["LATE", "late"])
def test_canvas_names_give_student_id_and_file(late: str) -> None:
    collection = collected(
        "kimminsu_120_4501_hw2.ipynb", f"leeyuna_{late}_121_4502_hw2-1.ipynb", "박서준_122_4503_과제.ipynb"
    )
    assert collection.layout is CollectionLayout.CANVAS
    assert [(item.key, item.name, item.identifiers, item.files[0][0]) for item in collection.submissions] == [
        ("kimminsu_120", "kimminsu", {"canvas_id": "120"}, "hw2.ipynb"),
        ("leeyuna_121", "leeyuna", {"canvas_id": "121"}, "hw2-1.ipynb"),
        ("박서준_122", "박서준", {"canvas_id": "122"}, "과제.ipynb"),
    ]
    assert [list(map(str, item.notices)) for item in collection.submissions] == [[], ["it was handed in late"], []]


def test_canvas_files_of_one_user_are_one_submission() -> None:
    collection = collected("kim_120_4501_hw2_1.ipynb", "kim_120_4502_hw2_2.ipynb", "kim_120_4503_9_9_hw2_1.ipynb")
    assert [name for name, _ in only(collection).files] == ["hw2_1.ipynb", "hw2_2.ipynb", "9_9_hw2_1.ipynb"]


def test_canvas_files_of_one_name_stay_apart() -> None:
    collection = collected("kim_120_4501_hw2.ipynb", "kim_120_4502_hw2.ipynb")
    assert [name for name, _ in only(collection).files] == ["hw2.ipynb", "hw2-2.ipynb"]


def test_two_students_of_one_name_stay_apart() -> None:
    collection = collected("kimminsu_120_4501_hw2.ipynb", "kimminsu_121_4502_hw2.ipynb")
    assert [item.key for item in collection.submissions] == ["kimminsu_120", "kimminsu_121"]


def test_canvas_without_names_keeps_the_anonymous_ids() -> None:
    collection = collected("anon_ab1cd_4501_hw2.ipynb", "LATE_anon_x9y8z_4502_hw2.ipynb")
    assert collection.layout is CollectionLayout.CANVAS
    assert [(item.key, item.identifiers) for item in collection.submissions] == [
        ("anon_ab1cd", {"canvas_anonymous": "ab1cd"}),
        ("anon_x9y8z", {"canvas_anonymous": "x9y8z"}),
    ]


def test_a_text_entered_in_canvas_is_a_student_without_a_notebook() -> None:
    collection = collected("kim_120_4501_hw2.ipynb", "lee_121_text.html", "park_LATE_122_link.html")
    assert [(item.identifiers["canvas_id"], len(item.files)) for item in collection.submissions] == [
        ("120", 1),
        ("121", 1),
        ("122", 1),
    ]


def test_a_zip_handed_in_to_canvas_is_looked_into() -> None:
    inner = zipped({"work/hw2.ipynb": NOTEBOOK, "work/data.csv": b"1"})
    collection = collect_archive("class.zip", zipped({"kim_120_4501_hw2.zip": inner}))
    assert [name for name, _ in only(collection).files] == ["hw2.ipynb", "data.csv"]
    assert only(collection).identifiers == {"canvas_id": "120"}


def test_canvas_numbers_a_module_and_the_notebook_still_finds_it() -> None:
    collection = collected("kim_120_1_hw2-1.ipynb", "kim_120_2_my_layers-1.py", "kim_120_3_x.csv", "kim_120_4_x-2.csv")
    assert [name for name, _ in only(collection).files] == [
        *("hw2-1.ipynb", "my_layers-1.py", "x-2.csv", "x.csv", "my_layers.py")
    ]


def test_what_lies_among_canvas_files_is_not_lost() -> None:
    collection = collected(
        "kim_120_1_hw2.ipynb", "lee_121_2_hw2.ipynb", "by_mail.ipynb", "solution/hw2.ipynb", "old/x.txt"
    )
    assert [item.name for item in collection.submissions] == ["by_mail", "kim", "lee", "solution"]
    assert collection.notices == ("skipped: old/x.txt",)


# Moodle


def test_moodle_folders_give_name_and_participant() -> None:
    collection = collected(
        "Minsu Kim_1201_assignsubmission_file/hw2.ipynb",
        "이 유나_1202_assignsubmission_file_/hw2.ipynb",
        "이 유나_1202_assignsubmission_onlinetext/onlinetext.html",
    )
    assert collection.layout is CollectionLayout.MOODLE
    assert [(item.key, item.name, item.identifiers) for item in collection.submissions] == [
        ("Minsu_Kim_1201", "Minsu Kim", {"moodle_participant": "1201"}),
        ("이_유나_1202", "이 유나", {"moodle_participant": "1202"}),
    ]
    assert names_of(collection)["이 유나"] == ["hw2.ipynb", "onlinetext.html"]


def test_moodle_files_give_the_name_that_was_handed_in() -> None:
    collection = collected(
        "Minsu Kim_1201_assignsubmission_file_hw2_a.ipynb",
        "Minsu Kim_1201_assignsubmission_file_hw2_b.ipynb",
        "Yuna Lee_1202_assignsubmission_onlinetext_onlinetext.html",
    )
    assert names_of(collection) == {"Minsu Kim": ["hw2_a.ipynb", "hw2_b.ipynb"], "Yuna Lee": ["onlinetext.html"]}


@pytest.mark.parametrize(
    ("blind", "number"), [("Participant", "7"), ("참가자", "7"), ("Teilnehmer/in".replace("/", ""), "7")]
)
def test_moodle_without_names_keeps_the_number(blind: str, number: str) -> None:
    assert only(collected(f"{blind}_{number}_assignsubmission_file/hw2.ipynb")).identifiers == {
        "moodle_participant": number
    }


def test_a_class_of_one_in_moodle_is_one_student() -> None:
    collection = collected("Kim_1_assignsubmission_file/a.ipynb", "Kim_1_assignsubmission_file/b.ipynb")
    assert names_of(collection) == {"Kim": ["a.ipynb", "b.ipynb"]}


def test_moodle_s_default_group_has_no_number() -> None:
    assert only(collected("Default group_assignsubmission_file/hw2.ipynb")).identifiers == {}


def test_a_zip_beside_a_notebook_is_opened_too() -> None:
    inner = zipped({"part2/hw2.ipynb": NOTEBOOK, "part2/my_layers.py": b"x = 1"})
    files = {
        "Kim_1_assignsubmission_file/part2.zip": inner,
        "Lee_2_assignsubmission_file/mine.ipynb": NOTEBOOK,
        "Lee_2_assignsubmission_file/part2.zip": inner,
    }
    collection = collect_archive("class.zip", zipped(files))
    assert names_of(collection) == {
        "Kim": ["hw2.ipynb", "my_layers.py"],
        "Lee": ["mine.ipynb", "part2/hw2.ipynb", "part2/my_layers.py"],
    }


def test_a_zip_of_the_book_beside_a_notebook_is_not_run() -> None:
    book = zipped({f"{number}.ipynb": NOTEBOOK for number in range(21)})
    collection = collect_archive("class.zip", zipped({"kim/hw2.ipynb": NOTEBOOK, "kim/d2l.zip": book, "lee/": b""}))
    assert names_of(collection) == {"kim": ["hw2.ipynb"], "lee": []}
    assert "d2l.zip: it holds 21 notebooks, and none was run" in str(collection.submissions[0].notices[0])


def test_a_zip_of_data_comes_along_both_ways() -> None:
    collection = collect_archive(
        "class.zip", zipped({"kim/hw2.ipynb": NOTEBOOK, "kim/x.zip": zipped({"x/1.csv": b"1"}), "lee/": b""})
    )
    assert names_of(collection)["kim"] == ["hw2.ipynb", "x/1.csv", "x.zip"]


@pytest.mark.parametrize("name", ["hw2.tar.gz", "hw2.7z", "hw2.RAR"])
def test_an_archive_of_another_kind_is_named(name: str) -> None:
    collection = collected(f"kim/{name}", "lee/hw2.ipynb")
    assert [str(notice) for notice in collection.submissions[0].notices] == [
        f"{name}: it was not opened; unpack it, and hand in the files, or a zip file of them"
    ]


# Names that are nearly a notebook's


@pytest.mark.parametrize(
    "name",
    [
        *("hw2.ipynb.txt", "hw2.ipynb.json", "hw2.json", "hw2", "hw2.ipynb ", "hw2.ipynb.", "hw2.ipynb (1)"),
        *("hw2 (1).ipynb", "HW2.IPYNB", "hw2.ipynb.ipynb", "hw2.ipynb.download", "hw2.ipynb.zip", "hw2.txt"),
    ],
)
@pytest.mark.parametrize("is_alone", [True, False])
def test_a_notebook_of_another_name_is_one(name: str, is_alone: bool) -> None:
    others = [] if is_alone else ["lee/hw2.ipynb"]
    kim = collected(f"kim/{name}", *others).submissions[0]
    assert (kim.name, [item.name for item in kim.read().notebooks], kim.read().notices) == ("kim", [name], ())


@pytest.mark.parametrize("name", ["hw2.pdf", "hw2.py", "hw2.html", "hw2.docx", "hw2.hwp"])
def test_a_class_without_any_notebook_has_its_students_all_the_same(name: str) -> None:
    packed = zipped({f"{student}/{name}": b"# In[1]:\nprint(1)" for student in ("kim", "lee")})
    assert names_of(collect_archive("class.zip", packed)) == {"kim": [name], "lee": [name]}


def test_flat_files_of_another_kind_are_students_too_or_belong_to_one() -> None:
    files = {"kim.ipynb": NOTEBOOK, "kim.pdf": b"%PDF-", "lee.pdf": b"%PDF-", "park": NOTEBOOK, "d2l_helpers.py": b""}
    collection = collect_archive("class.zip", zipped(files))
    assert names_of(collection) == {"kim": ["kim.ipynb", "kim.pdf"], "lee": ["lee.pdf"], "park": ["park"]}
    assert collection.notices == ("skipped: d2l_helpers.py",)


# GitHub Classroom


def clones(root: Path, *names: str) -> Path:
    for name in names:
        (root / name / ".git").mkdir(parents=True)
        (root / name / ".git" / "HEAD").write_text("ref: refs/heads/main")
        (root / name / "hw2.ipynb").write_bytes(NOTEBOOK)
    return root


def test_clones_give_the_login(tmp_path: Path) -> None:
    collection = collect(clones(tmp_path / "cnn-hw2-submissions", "cnn-hw2-kim-a", "cnn-hw2-kim-b"))
    assert collection.layout is CollectionLayout.CLONES
    assert [(item.key, item.identifiers) for item in collection.submissions] == [
        ("kim-a", {"login": "kim-a"}),
        ("kim-b", {"login": "kim-b"}),
    ]
    assert collection.submissions[0].notices == ()


def test_clones_elsewhere_share_the_assignment_s_name(tmp_path: Path) -> None:
    collection = collect(clones(tmp_path / "clones", "hw2-minsu", "hw2-yuna"))
    assert [item.identifiers for item in collection.submissions] == [{"login": "minsu"}, {"login": "yuna"}]


def test_a_single_clone_with_several_notebooks_is_one_student(tmp_path: Path) -> None:
    root = clones(tmp_path / "hw2-submissions", "hw2-kim")
    (root / "hw2-kim" / "extra.ipynb").write_bytes(NOTEBOOK)
    assert only(collect(root)).identifiers == {"login": "kim"}


def test_clones_without_a_shared_name_are_folders_of_students(tmp_path: Path) -> None:
    assert [item.name for item in collect(clones(tmp_path / "clones", "minsu", "yuna")).submissions] == [
        "minsu",
        "yuna",
    ]


# Keys and order


def test_keys_are_safe_as_file_names_and_no_two_are_the_same() -> None:
    collection = collected(
        "Kim?/a.ipynb", "Kim*/a.ipynb", "kim/a.ipynb", "con/a.ipynb", "-/a.ipynb", f"{'김' * 200}/a.ipynb"
    )
    keys = [item.key for item in collection.submissions]
    assert keys == ["Kim", "Kim-2", "_con", "kim-3", "submission", "김" * 40]
    assert all(len(key.encode()) <= 255 for key in keys)


def test_decomposed_names_are_composed(tmp_path: Path) -> None:
    decomposed = "\u1100\u1175\u11b7"  # as macOS writes 김
    (tmp_path / decomposed).mkdir()
    (tmp_path / decomposed / "hw2.ipynb").write_bytes(NOTEBOOK)
    assert (only(collect(tmp_path)).key, only(collect(tmp_path)).name) == ("김", "김")


def test_the_order_does_not_depend_on_the_archive_s() -> None:
    names = ["c/1.ipynb", "a/2.ipynb", "a/1.ipynb", "b/1.ipynb"]
    assert collected(*names) == collected(*reversed(names))
    assert [item.key for item in collected(*names).submissions] == ["a", "b", "c"]


def test_files_of_one_name_in_one_submission_are_called_by_their_paths() -> None:
    collection = collected("kim/part1/hw2.ipynb", "kim/part2/hw2.ipynb", "lee/hw2.ipynb")
    assert names_of(collection)["kim"] == ["part1/hw2.ipynb", "part2/hw2.ipynb"]


# Files that are given one by one


def test_notebooks_given_one_by_one_are_a_student_each() -> None:
    collection = collect_files([("lee.ipynb", b"2"), ("C:\\some\\folder\\kim.ipynb", b"1")])
    assert [(item.key, item.files) for item in collection.submissions] == [
        ("kim", (("kim.ipynb", b"1"),)),
        ("lee", (("lee.ipynb", b"2"),)),
    ]


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    collection = collect_files([("/home/me/lee/hw2.ipynb", b"2"), ("/home/me/kim/hw2.ipynb", b"1")])
    assert [(item.key, item.files) for item in collection.submissions] == [
        ("kim", (("hw2.ipynb", b"1"),)),
        ("lee", (("hw2.ipynb", b"2"),)),
    ]


def test_files_of_one_name_and_no_folder_are_two_students() -> None:
    collection = collect_files([("hw2.ipynb", b"1"), ("hw2.ipynb", b"2")])
    assert [(item.key, item.files[0][1]) for item in collection.submissions] == [("hw2", b"1"), ("hw2-2", b"2")]


def test_files_given_one_by_one_may_be_named_as_canvas_names_them() -> None:
    collection = collect_files([("kim_120_1_a.ipynb", NOTEBOOK), ("kim_120_2_b.ipynb", NOTEBOOK)])
    assert only(collection).identifiers == {"canvas_id": "120"}
    assert [name for name, _ in only(collection).files] == ["a.ipynb", "b.ipynb"]
