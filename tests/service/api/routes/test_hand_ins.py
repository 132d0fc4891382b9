"""Work handed in is accepted completely and once, or refused with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from grader.service.api.service import UPLOADS_PER_TOKEN
from grader.service.store.queries.leases import claim_lease
from tests.support.api_batches import CLASS, claimed, hand_in, hand_in_own, notebook, zipped
from tests.support.api_server import Api


def test_a_zip_file_becomes_a_batch(api: Api) -> None:
    answer = hand_in(api["staff"], title="HW2", training="quick")
    assert answer.status_code == 202
    accepted = answer.json()
    batch = api["staff"].get(answer.headers["Location"]).json()
    assert batch["id"] == accepted["batch"]
    assert (batch["title"], batch["training"], batch["assignment"]) == ("HW2", "quick", "hw2")
    assert (batch["owner"], batch["submissions"], batch["done"]) == ("staff", 3, False)
    assert batch["states"] == {"waiting": 3, "leased": 0, "graded": 0, "failed": 0, "cancelled": 0}
    items = api["staff"].get(batch["links"]["submissions"]).json()["items"]
    assert [item["key"] for item in items] == list(CLASS)
    (kept,) = items[0]["notebooks"]
    sent = notebook("mine = 'kim'")
    assert kept["sha256"] == hashlib.sha256(sent).hexdigest()
    fetched = api["staff"].get(kept["url"])
    assert fetched.content == sent
    assert fetched.headers["Content-Disposition"] == "attachment; filename*=UTF-8''hw2.ipynb"


def test_notebooks_become_a_batch(api: Api) -> None:
    files = [("files", (f"{name}.ipynb", notebook(name))) for name in CLASS]
    accepted = api["ci"].post("/v1/batches", files=files).json()
    assert accepted["submissions"] == 3


def test_korean_names_arrive(api: Api) -> None:
    files = {"files": ("반.zip", zipped({"김하늘/과제 2.ipynb": notebook(), "박솔/과제 2.ipynb": notebook("y = 2")}))}
    batch = api["staff"].post("/v1/batches", files=files).json()["batch"]
    items = api["staff"].get(f"/v1/batches/{batch}/submissions").json()["items"]
    assert [item["name"] for item in items] == ["김하늘", "박솔"]
    fetched = api["staff"].get(items[0]["notebooks"][0]["url"])
    assert fetched.content == notebook()
    assert "filename*=UTF-8''%EA%B3%BC" in fetched.headers["Content-Disposition"]


def test_what_is_left_aside_is_told(api: Api) -> None:
    data = zipped({"kim/hw2.ipynb": notebook(), "kim/data.7z": b"1,2", "lee/notes.txt": b"sorry"})
    accepted = api["staff"].post("/v1/batches", files={"files": ("class.zip", data)}).json()
    assert accepted["notices"] == [
        "kim: data.7z: it was not opened; unpack it, and hand in the files, or a zip file of them"
    ]
    submissions = api["staff"].get(f"/v1/batches/{accepted['batch']}/submissions").json()["items"]
    assert [(row["key"], len(row["notebooks"]), len(row["companions"])) for row in submissions] == [
        ("kim", 1, 1),
        ("lee", 0, 1),
    ]


def test_what_lies_beside_the_notebooks_is_stored_and_sent_back(api: Api) -> None:
    sent = [("files", ("hw2.ipynb", notebook())), ("files", ("data/x 1.csv", b"1")), ("files", ("my.py", b"x = 1"))]
    own = api["kim"].post("/v1/submissions", files=sent).json()
    assert own["notices"] == []
    found = api["kim"].get(f"/v1/submissions/{own['submission']}").json()
    assert [file["name"] for file in (*found["notebooks"], *found["companions"])] == [
        *("hw2.ipynb", "data/x 1.csv", "my.py")
    ]
    assert [api["kim"].get(file["url"]).content for file in found["companions"]] == [b"1", b"x = 1"]
    assert api["lee"].get(found["companions"][0]["url"]).status_code == 404
    assert api["kim"].get(f"/v1/submissions/{own['submission']}/files/hw2.ipynb").status_code == 404
    (job,) = claimed(api.store)
    assert [name for name, _ in job.files] == ["hw2.ipynb", "data/x 1.csv", "my.py"]


def test_a_student_is_told_at_once_what_to_hand_in(api: Api) -> None:
    accepted = api["kim"].post("/v1/submissions", files={"files": ("hw2.py", b"x = 1")})
    assert accepted.status_code == 202
    assert accepted.json()["notices"] == [
        "hw2.py: this is a Python file, not a notebook; hand in the notebook itself, hw2.ipynb"
    ]


def test_one_student_s_notebooks_are_one_submission(api: Api) -> None:
    data = zipped({"a/hw2.ipynb": notebook("a"), "b/hw2.ipynb": notebook("b"), "c.ipynb": notebook("c")})
    answer = api["kim"].post("/v1/submissions", files={"files": ("mine.zip", data)})
    found = api["kim"].get(answer.headers["Location"]).json()
    assert found["id"] == answer.json()["submission"]
    names = [each["name"] for each in found["notebooks"]]
    assert len(set(names)) == 3
    assert {api["kim"].get(each["url"]).content for each in found["notebooks"]} == {notebook(x) for x in "abc"}


def test_the_same_request_is_accepted_once(api: Api) -> None:
    first, second = (hand_in(api["staff"], key="k1").json() for _ in range(2))
    assert (first["new"], second["new"]) == (True, False)
    assert first["batch"] == second["batch"]
    assert hand_in(api["ci"], key="k1").json()["new"]  # another's key is another key
    one, other = (
        api["kim"].post("/v1/submissions", files={"files": ("a.ipynb", notebook())}, headers={"Idempotency-Key": "k1"})
        for _ in range(2)
    )
    assert one.json()["submission"] == other.json()["submission"]


def test_another_request_with_the_same_key_is_a_conflict(api: Api) -> None:
    hand_in(api["staff"], key="k1")
    answer = hand_in(api["staff"], "somebody", key="k1")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/idempotency-conflict"


def test_posts_at_once_make_one_batch(api: Api) -> None:
    with ThreadPoolExecutor(UPLOADS_PER_TOKEN) as pool:
        answers = list(pool.map(lambda _: hand_in(api["staff"], key="k1"), range(UPLOADS_PER_TOKEN)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["batch"] for answer in answers}) == 1
    assert sum(answer.json()["new"] for answer in answers) == 1
    assert len(api["staff"].get("/v1/batches").json()["items"]) == 1


def test_what_was_accepted_can_be_claimed_though_the_broker_is_down(api: Api) -> None:
    hand_in_own(api["kim"])
    with api.store.read_session() as session:
        ids = session.connection().exec_driver_sql("SELECT id, publications FROM grading").all()
    ((job, publications),) = ids
    assert publications == 0  # it is due again at once
    assert claim_lease(api.store, job, "worker", 60, "cpu")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("roster.csv", b"kim", "there is no notebook in it"),
        ("class.zip", b"no zip at all", "class.zip"),
        ("empty.zip", zipped({}), "there is no notebook"),
        ("texts.zip", zipped({"kim/notes.txt": b"x"}), "notebook"),
        ("", b"", ""),
    ],
)
def test_what_is_neither_zip_nor_notebook_is_refused_with_a_sentence(
    api: Api, name: str, data: bytes, sentence: str
) -> None:
    answer = api["staff"].post("/v1/batches", files={"files": (name, data)})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert api["staff"].get("/v1/batches").json()["items"] == []


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"training": "forever"}, "body.training"),
        ({"title": "x" * 201}, "body.title"),
        ({"colour": "red"}, "body.colour"),
    ],
)
def test_fields_are_checked(api: Api, fields: dict[str, str], where: str) -> None:
    problem = hand_in(api["staff"], **fields).json()
    assert problem["type"] == "/problems/invalid-request"
    assert [error["where"] for error in problem["errors"]] == [where]


def test_an_assignment_that_is_not_offered_is_refused(api: Api) -> None:
    problem = hand_in(api["staff"], assignment="../../etc").json()
    assert problem["type"] == "/problems/unusable-input"
    assert "hw2" in problem["detail"]


def flat_bomb() -> bytes:
    return zipped({"kim/hw2.ipynb": b"\0" * (900 << 20)})


def nested_bomb() -> bytes:
    return zipped({f"kim/{number}.zip": zipped({"a.ipynb": b" " * (4 << 20)}) for number in range(8)})


@pytest.mark.slow
@pytest.mark.parametrize("bomb", [flat_bomb, nested_bomb])
def test_a_zip_bomb_unpacks_to_nothing_large(api: Api, bomb: Callable[[], bytes]) -> None:
    data = bomb()
    assert len(data) < api.settings.upload_bytes
    answer = api["staff"].post("/v1/batches", files={"files": ("class.zip", data)})
    # Refused, or accepted without the one file that is too large; that file is never stored.
    assert answer.status_code in {202, 422}
    assert sum(len(api.store.blobs.get(sha)) for sha in kept(api)) < 2 * api.settings.upload_bytes


def kept(api: Api) -> list[str]:
    with api.store.read_session() as session:
        return [sha for (sha,) in session.connection().exec_driver_sql("SELECT sha256 FROM submission_file").all()]


def test_files_in_other_fields_are_refused(api: Api) -> None:
    files = [("files", ("a.ipynb", notebook())), ("title", ("b.ipynb", notebook()))]
    assert api["staff"].post("/v1/batches", files=files).status_code == 422


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_body_that_is_no_multipart_is_refused(api: Api, content_type: str) -> None:
    answer: httpx.Response = api["staff"].post("/v1/batches", content=b"junk", headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/bad-request"
