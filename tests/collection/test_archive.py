"""A hostile zip file is refused, or the one bad file in it is skipped."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile

import pytest

from grader.collection import ArchiveBounds, Collection, collect_archive
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS
from tests.support.zip_files import NOTEBOOK, with_flags, with_zip64_end, zip_entry, zipped, zipped_by_windows

ZEROS = b"0" * 10**7


def collected(packed: bytes, **bounds: int) -> Collection:
    return collect_archive("class.zip", packed, ArchiveBounds(**bounds))


def files_of(collection: Collection) -> dict[str, list[str]]:
    return {item.name: [name for name, _ in item.files] for item in collection.submissions}


def told(collection: Collection) -> str:
    """Return the notices on the first submission."""
    return "\n".join(map(str, collection.submissions[0].notices))


def refusal(packed: bytes, **bounds: int) -> str:
    with pytest.raises(InputError) as refused:
        collected(packed, **bounds)
    message = str(refused.value)
    assert message.startswith("class.zip: ")
    assert "\n" not in message
    return message


def kim_s_notices(**kim: bytes) -> str:
    """Return the notices on kim, who submits these files, and check that lee is collected all the same."""
    files = [(name.replace("_", "."), data) for name, data in kim.items()]
    collection = collected(zipped([("lee/hw2.ipynb", NOTEBOOK), *((f"kim/{name}", data) for name, data in files)]))
    assert files_of(collection) == {"kim": [], "lee": ["hw2.ipynb"]}
    return told(collection)


# Paths of entries


@pytest.mark.parametrize(
    "name", ["../kim.ipynb", "/etc/kim.ipynb", "a/../../kim.ipynb", "C:/kim.ipynb", "..\\kim.ipynb"]
)
def test_a_path_that_leads_out_is_skipped(name: str) -> None:
    collection = collected(zipped([("lee.ipynb", NOTEBOOK), (name, NOTEBOOK)]))
    assert files_of(collection) == {"lee": ["lee.ipynb"]}
    assert collection.notices[0].endswith("its path leads out of the archive")


def test_backslashes_are_folders() -> None:
    assert files_of(collected(zipped([("kim\\a.ipynb", NOTEBOOK), ("lee\\a.ipynb", NOTEBOOK)]))) == {
        "kim": ["a.ipynb"],
        "lee": ["a.ipynb"],
    }


def test_a_link_in_an_archive_is_skipped_and_its_student_is_not() -> None:
    collection = collected(zipped([("lee.ipynb", NOTEBOOK), (zip_entry("kim.ipynb", 0o120777), b"/etc/passwd")]))
    assert files_of(collection) == {"kim": [], "lee": ["lee.ipynb"]}
    assert "it is a link, which is not followed" in told(collection)


def test_a_long_path_is_skipped() -> None:
    collection = collected(zipped([("lee.ipynb", NOTEBOOK), (f"{'a/' * 600}kim.ipynb", NOTEBOOK)]))
    assert files_of(collection) == {"lee": ["lee.ipynb"]}
    assert "its path has more than 1,000 characters" in collection.notices[0]


def test_names_twice_are_both_read() -> None:
    collection = collected(zipped([("kim/a.ipynb", b"1"), ("kim/a.ipynb", b"2"), ("lee/a.ipynb", b"3")]))
    assert collection.submissions[0].files == (("kim/a.ipynb".removeprefix("kim/"), b"1"), ("a-2.ipynb", b"2"))


# How names are written


def test_korean_names_from_windows_are_read() -> None:
    packed = zipped_by_windows({"김민수/과제.ipynb": "cp949", "이유나/hw2.ipynb": "cp949", "박서준/hw2.ipynb": "utf-8"})
    assert files_of(collected(packed)) == {"김민수": ["과제.ipynb"], "박서준": ["hw2.ipynb"], "이유나": ["hw2.ipynb"]}


def test_decomposed_names_from_a_mac_are_composed() -> None:
    packed = zipped({"\u1100\u1175\u11b7/a.ipynb": NOTEBOOK, "lee/a.ipynb": NOTEBOOK})
    assert [item.name for item in collected(packed).submissions] == ["lee", "김"]


# What is damaged


def test_a_truncated_archive_is_refused() -> None:
    assert "cannot be opened as a zip file" in refusal(zipped({"kim.ipynb": NOTEBOOK})[:-30])


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert "download it again" in refusal(data)


def test_a_wrong_checksum_costs_only_that_file() -> None:
    packed = zipped([("kim/hw2.ipynb", b"a" * 50), ("lee/hw2.ipynb", NOTEBOOK)], method=zipfile.ZIP_STORED)
    collection = collected(packed.replace(b"a" * 50, b"b" * 50))
    assert files_of(collection) == {"kim": [], "lee": ["hw2.ipynb"]}
    assert "hw2.ipynb: it cannot be unpacked (Bad CRC-32" in told(collection)


def test_a_damaged_zip_inside_costs_only_its_student() -> None:
    assert "hw2.zip: it cannot be opened as a zip file" in kim_s_notices(hw2_zip=b"PK no zip")


def test_whatever_bytes_are_wrong_the_answer_is_a_collection_or_a_refusal() -> None:
    """Every damage is made with a fixed seed, so that failures can be repeated."""
    whole = zipped({"kim/hw2.ipynb": NOTEBOOK, "lee/hw2.zip": zipped({"hw2.ipynb": NOTEBOOK})})
    answers = []
    for seed in range(400):
        chance = random.Random(seed)
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        try:
            answers.append(bool(collected(bytes(damaged)).submissions))
        except InputError:
            answers.append(False)
    assert {True, False} == set(answers)


# What is encrypted or packed in another way


def test_an_encrypted_archive_is_refused() -> None:
    packed = with_flags(zipped({"kim.ipynb": NOTEBOOK, "data.csv": b"1"}), 0x1)
    assert refusal(packed).endswith("it is encrypted; unpack it with its password, and give the folder")


def test_an_encrypted_zip_inside_costs_only_its_student() -> None:
    assert "it is encrypted" in kim_s_notices(hw2_zip=with_flags(zipped({"hw2.ipynb": NOTEBOOK}), 0x1))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_cannot_be_counted_while_they_unpack_are_skipped(method: int) -> None:
    assert f"it is packed by method {method}" in kim_s_notices(hw2_zip=zipped({"hw2.ipynb": NOTEBOOK}, method))


# Bombs


def test_a_notebook_that_unpacks_to_a_thousand_times_its_size_is_skipped() -> None:
    assert "it unpacks to more than 250 times its size" in kim_s_notices(hw2_ipynb=ZEROS)


def test_a_notebook_past_its_bounds_is_not_unpacked() -> None:
    large = b" " * (DEFAULT_BOUNDS.file_bytes + 1)
    collection = collected(zipped({"kim.ipynb": large, "lee.ipynb": NOTEBOOK}), ratio=2000)
    assert files_of(collection) == {"kim": [], "lee": ["lee.ipynb"]}
    assert "clear its outputs and save it again" in told(collection)


def test_a_small_notebook_may_pack_well() -> None:
    small = b" " * 2**19
    assert collected(zipped({"kim.ipynb": small})).submissions[0].files == (("kim.ipynb", small),)


def test_a_declared_size_that_is_too_small_gives_no_byte_more() -> None:
    packed = bytearray(zipped([("kim/hw2.ipynb", ZEROS), ("lee/hw2.ipynb", NOTEBOOK)]))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", packed, packed.find(signature) + offset, 1000)
    tracemalloc.start()
    collection = collected(bytes(packed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert files_of(collection) == {"kim": [], "lee": ["hw2.ipynb"]}
    assert peak < len(ZEROS) / 2


def test_a_declared_size_that_is_too_large_is_told() -> None:
    packed = bytearray(zipped([("kim/hw2.ipynb", NOTEBOOK), ("lee/hw2.ipynb", NOTEBOOK)]))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", packed, packed.find(signature) + offset, len(NOTEBOOK) + 1)
    collection = collected(bytes(packed))
    assert files_of(collection) == {"kim": [], "lee": ["hw2.ipynb"]}
    assert "it is shorter than its archive says" in told(collection)


def test_a_class_that_unpacks_to_more_than_is_read_is_refused() -> None:
    files = {f"{number}/hw2.ipynb": NOTEBOOK * 10 for number in range(10)}
    assert "it unpacks to more than is read" in refusal(zipped(files), bytes=len(NOTEBOOK) * 99)
    assert len(collected(zipped(files), bytes=len(NOTEBOOK) * 100).submissions) == 10


def test_one_student_s_archive_that_is_too_large_costs_nobody_else() -> None:
    files = {"kim.zip": zipped({f"{number}.ipynb": NOTEBOOK for number in range(10)}), "lee.ipynb": NOTEBOOK}
    collection = collected(zipped(files), inner_bytes=len(NOTEBOOK) * 5)
    assert [len(item.files) for item in collection.submissions] == [5, 1]
    assert "it unpacks to more than is read" in told(collection)


def test_one_student_s_archives_list_so_many_files_together_and_cost_nobody_else() -> None:
    inner = zipped({f"{number}.ipynb": b"" for number in range(4)})
    files = {**{f"kim/{number}/work.zip": inner for number in range(9)}, "lee/hw2.ipynb": NOTEBOOK}
    # Ten are in the whole archive; of kim's nine, two are within the bound, and the other seven take nothing away.
    collection = collected(zipped(files), entries=10, all_entries=18)
    assert [len(item.files) for item in collection.submissions] == [8, 1]
    assert "2/work.zip: its archives list more files than are read" in told(collection)


def test_all_archives_together_list_so_many_files() -> None:
    inner = zipped({"a.ipynb": NOTEBOOK, "data.csv": b""})
    files = {f"{number}.zip": inner for number in range(10)}
    assert "list more files than are read" in refusal(zipped(files), all_entries=29)
    assert len(collected(zipped(files), all_entries=30).submissions) == 10


def test_what_is_refused_to_one_student_is_not_taken_from_all() -> None:
    inner = zipped({"hw2.ipynb": NOTEBOOK * 20})
    files = {**{f"kim/{number}.zip": inner for number in range(9)}, "lee/hw2.ipynb": NOTEBOOK}
    within = len(NOTEBOOK) * 19
    assert len(inner) < within
    collection = collected(zipped(files), inner_bytes=within, bytes=9 * len(inner) + len(NOTEBOOK))
    assert [len(item.files) for item in collection.submissions] == [0, 1]


def test_archives_inside_count_for_the_whole() -> None:
    inner = zipped({"hw2.ipynb": NOTEBOOK})
    files = {f"{number}.zip": inner for number in range(10)}
    assert "it unpacks to more than is read" in refusal(zipped(files), bytes=len(inner) * 10 + len(NOTEBOOK) * 9)
    assert len(collected(zipped(files), bytes=(len(inner) + len(NOTEBOOK)) * 10).submissions) == 10


def test_archives_in_archives_end_somewhere() -> None:
    packed = zipped({"hw2.ipynb": NOTEBOOK})
    for _ in range(2):
        packed = zipped({"work.zip": packed})
    assert files_of(collected(packed)) == {"work": ["hw2.ipynb"]}
    packed = zipped({"work.zip": packed})
    assert "it is an archive in an archive in an archive" in told(collected(packed))


def test_too_many_entries_are_refused_before_they_are_read() -> None:
    packed = zipped({f"{number}.ipynb": b"" for number in range(11)})
    assert refusal(packed, entries=10) == "class.zip: it has more than 10 files; pack the notebooks alone"
    assert len(collected(packed, entries=11).submissions) == 11


def test_a_large_table_of_contents_is_refused_before_it_is_parsed() -> None:
    packed = zipped({f"{number:0500}.ipynb": b"" for number in range(10)})
    assert "it has more than 10 files" in refusal(packed, entries=10)
    assert len(collected(packed, entries=30).submissions) == 10


def test_an_end_that_looks_like_another_end_hides_no_table_of_contents() -> None:
    packed = bytearray(zipped({f"{number:0500}.ipynb": b"" for number in range(10)}))
    packed[-18:-14] = b"PK\x05\x06"  # numbers of disks, which are not read
    assert "it has more than 10 files" in refusal(bytes(packed), entries=10)


def test_neither_does_a_second_table_of_contents() -> None:
    packed = with_zip64_end(zipped({f"{number:0500}.ipynb": b"" for number in range(10)}))
    assert len(collected(packed).submissions) == 10
    assert "it has more than 10 files" in refusal(packed, entries=10)


def test_a_class_s_archive_in_an_archive_counts_as_deep() -> None:
    students = {f"{name}.zip": zipped({"hw2.ipynb": NOTEBOOK}) for name in ("kim", "lee")}
    packed = zipped({"download.zip": zipped(students), "readme.txt": b""})
    assert files_of(collected(packed, depth=3)) == {"kim": ["hw2.ipynb"], "lee": ["hw2.ipynb"]}
    assert collected(packed, depth=3).notices == ("skipped: ../readme.txt",)
    assert files_of(collected(packed, depth=2)) == {"kim": [], "lee": []}


def test_entries_that_lie_over_one_another_are_refused() -> None:
    packed = bytearray(zipped({"kim.ipynb": NOTEBOOK * 100, "lee.ipynb": NOTEBOOK}))
    directory = packed.find(b"PK\x01\x02")
    second = packed.find(b"PK\x01\x02", directory + 4)
    struct.pack_into("<L", packed, second + 42, 10)  # inside the first
    assert "its files lie over one another" in refusal(bytes(packed))


def test_a_bomb_beside_a_notebook_is_left_out_and_costs_nobody_anything() -> None:
    packed = zipped([("kim/hw2.ipynb", NOTEBOOK), ("kim/zeros.bin", ZEROS), ("lee/hw2.ipynb", NOTEBOOK)])
    collection = collected(packed, bytes=2 * len(NOTEBOOK))
    assert files_of(collection) == {"kim": ["hw2.ipynb"], "lee": ["hw2.ipynb"]}
    assert "zeros.bin: it unpacks to more than 250 times its size" in told(collection)


def test_data_of_one_student_never_takes_what_notebooks_of_others_need() -> None:
    chance = random.Random(5)
    packed = zipped([("a/hw2.ipynb", NOTEBOOK), ("a/x.bin", chance.randbytes(5000)), ("b/hw2.ipynb", NOTEBOOK)])
    collection = collected(packed, bytes=2 * len(NOTEBOOK) + 4000)
    assert files_of(collection) == {"a": ["hw2.ipynb"], "b": ["hw2.ipynb"]}
    assert told(collection).startswith("x.bin: it unpacks to more than is read")


def test_odd_names_in_archives_are_told_and_never_reach_a_folder() -> None:
    odd = {"kim/a\nb.csv": b"1", "kim/" + "x" * 300: b"1", "kim/d": b"1", "kim/d/x": b"1"}
    collection = collected(zipped({"kim/hw2.ipynb": NOTEBOOK, **odd, "lee/": b""}))
    submission = collection.submissions[0].read()
    assert [file.path for file in submission.files] == ["d"]
    assert len(submission.notices) == 3
