"""Uploads: received within limits, and only after the caller was authenticated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from grader.collection import (
    ArchiveBounds,
    CollectedSubmission,
    Collection,
    collect_archive,
    collect_files,
    collect_submission,
)
from grader.errors import InputError
from grader.service.api.access import Anyone, hold_share
from grader.service.api.problems import RETRY_SECONDS, Problem
from grader.service.api.service import ServiceDep
from grader.service.settings import Settings

__all__ = ["Upload", "UploadDep", "collect_own_upload", "collect_upload", "describe_multipart"]

_SECONDS = 900  # for a body: 256 MiB at 2.4 Mbit/s
_FILES = 5000  # in a body
_CHARSETS = (b"utf-8", b"utf8")
_FIELDS = 16
_FIELD_BYTES = 64 * 1024
_UNPACKED = 2  # times `upload_bytes`: notebooks with images compress little
_LISTED = 400_000  # files and folders of all zip files in a body; this many take half a gigabyte of memory
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """A multipart body: its fields, and its files, of which large ones are on disk."""

    fields: Mapping[str, str]
    files: tuple[UploadFile, ...]

    def parse_form(self, kind: type[Form]) -> Form:
        """Return the fields as a validated model.

        Raises:
            RequestValidationError: a field is unknown, or its value is not allowed.
        """
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in errors]) from None

    def read(self) -> list[tuple[str, bytes]]:
        """Return name and bytes of each file, read into memory."""
        return [(file.filename or "", file.file.read()) for file in self.files]


def collect_upload(upload: Upload, settings: Settings) -> Collection:
    """Collect the submissions of a class: one zip file, or files named as by an LMS.

    Raises:
        InputError: the files exceed the limits, or contain no submission.
    """
    files, bounds = _read_files(upload), _choose_bounds(settings)
    (name, data), *others = files
    if not others and (data.startswith(_ZIP) or name.lower().endswith(".zip")):
        return collect_archive(name or "the zip file", data, bounds)
    return collect_files(files, bounds)


def collect_own_upload(upload: Upload, settings: Settings) -> CollectedSubmission:
    """Collect all files as the submission of one student.

    Raises:
        InputError: there are no files, or they exceed the limits.
    """
    return collect_submission(_read_files(upload), _choose_bounds(settings))


def _read_files(upload: Upload) -> list[tuple[str, bytes]]:
    if files := upload.read():
        return files
    raise InputError("the request has no files; send a zip file or notebooks in the field `files`")


def _choose_bounds(settings: Settings) -> ArchiveBounds:
    return ArchiveBounds(bytes=_UNPACKED * settings.upload_bytes, all_entries=_LISTED)


async def _receive_upload(token: Anyone, request: Request, service: ServiceDep) -> AsyncIterator[Upload]:
    """Receive a body within the limits."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem("unsupported-media-type", "send the files as multipart/form-data")
    # The framework would accept any codec of Python, and some of them fail in unexpected ways.
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    if charset.lower() not in _CHARSETS:
        raise Problem("unsupported-media-type", "send names and fields as UTF-8, and omit `charset`")
    with hold_share(service.uploads_per_token, token, "uploads"):
        if service.uploads.locked():
            detail = "this server is receiving as many uploads as it can; nothing was stored, send it again"
            raise Problem("unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})
        async with service.uploads:
            try:
                async with asyncio.timeout(_SECONDS):
                    limited = Request(request.scope, _limit_body(request, service.settings.upload_bytes))
                    form = await limited.form(max_files=_FILES, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
            except TimeoutError:
                raise Problem("timeout", f"the body did not arrive within {_SECONDS} seconds") from None
            except ClientDisconnect:
                raise Problem("bad-request", "the connection ended before the body did") from None
            try:
                files = tuple(value for value in form.getlist("files") if isinstance(value, UploadFile))
                fields = [(name, value) for name, value in form.multi_items() if name != "files"]
                if any(isinstance(value, UploadFile) for _, value in fields):
                    raise InputError("send files in the field `files` only")
                yield Upload({name: str(value) for name, value in fields}, files)
            finally:
                await form.close()


def _limit_body(request: Request, most: int) -> Receive:
    """Return a function that receives up to `most` bytes. The framework's own limit returns no problem details."""
    received = 0
    length = request.headers.get("content-length", "")

    async def receive() -> Message:
        nonlocal received
        if length.isdecimal() and int(length) > most:
            raise too_large
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most:
            raise too_large
        return message

    too_large = Problem("too-large", f"the body is larger than {most:,} bytes")
    return receive


UploadDep = Annotated[Upload, Depends(_receive_upload)]


def describe_multipart(form: type[BaseModel], files: str, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a multipart body. The framework does not read the body, so it cannot know.

    Args:
        form: model of the fields other than `files`.
        files: description of the files.
        example: example of the fields.
    """
    schema = form.model_json_schema()
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    schema["properties"]["files"] = {"type": "array", "items": binary, "minItems": 1, "description": files}
    schema["required"] = [*schema.get("required", ()), "files"]
    # Definitions are inlined: a reference would not resolve within the whole document.
    definitions = schema.pop("$defs", {})
    for name, value in schema["properties"].items():
        if (reference := value.pop("$ref", "")) in {f"#/$defs/{key}" for key in definitions}:
            schema["properties"][name] = {**definitions[reference.rpartition("/")[2]], **value}
    content = {"multipart/form-data": {"schema": schema, "example": dict(example)}}
    return {"requestBody": {"required": True, "content": content}}
