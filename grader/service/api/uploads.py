"""What is uploaded: received within bounds, and only after it is known who sends it."""

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

from grader.collection import ArchiveBounds, Collection, collect_archive, collect_notebooks
from grader.errors import InputError
from grader.service.api.access import Anyone, hold_share
from grader.service.api.problems import RETRY_SECONDS, Problem
from grader.service.api.service import Given
from grader.service.settings import Settings

__all__ = ["Upload", "Uploaded", "collect_upload", "describe_multipart"]

_SECONDS = 900  # for one body: 256 MiB at 2.4 Mbit/s
_FILES = 5000  # in one body
_CHARSETS = (b"utf-8", b"utf8")
_FIELDS = 16
_FIELD_BYTES = 64 * 1024
_UNPACKED = 2  # times `upload_bytes`; notebooks with pictures hardly get smaller in a zip
_LISTED = 400_000  # files and folders of all zips in one body: as many take half a gigabyte of memory
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """One multipart body: its fields, and its files, which wait on disk where they are large."""

    fields: Mapping[str, str]
    files: tuple[UploadFile, ...]

    def form(self, kind: type[Form]) -> Form:
        """Return the fields, checked.

        Raises:
            RequestValidationError: a field is unknown, or its value is not allowed.
        """
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None

    def read(self) -> list[tuple[str, bytes]]:
        """Return the files' names and bytes, which are then in memory."""
        return [(file.filename or "", file.file.read()) for file in self.files]


def collect_upload(upload: Upload, settings: Settings) -> Collection:
    """Return what was handed in: of one zip file, or of notebooks.

    Raises:
        InputError: the files are neither, are past their bounds, or hold no notebook.
    """
    files = upload.read()
    if not files:
        raise InputError("the request has no files; send a zip file or notebooks in the field `files`")
    bounds = ArchiveBounds(bytes=_UNPACKED * settings.upload_bytes, all_entries=_LISTED)
    (name, data), *others = files
    if not others and (data.startswith(_ZIP) or name.lower().endswith(".zip")):
        return collect_archive(name or "the zip file", data, bounds)
    for name, _ in files:
        if not name.lower().endswith(".ipynb"):
            raise InputError(f"{name or 'a file without a name'}: send one zip file, or notebooks (.ipynb) only")
    return collect_notebooks(files, bounds)


async def _uploaded(token: Anyone, request: Request, service: Given) -> AsyncIterator[Upload]:
    """Receive a body."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem("unsupported-media-type", "send the files as multipart/form-data")
    # The framework would take any codec of Python's; some of them fail in ways of their own.
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    if charset.lower() not in _CHARSETS:
        raise Problem("unsupported-media-type", "send names and fields as UTF-8, and leave `charset` out")
    with hold_share(service.uploads_of_one, token, "uploads"):
        if service.uploads.locked():
            detail = "as many uploads are going on as this server takes at once; nothing was kept, send it again"
            raise Problem("unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})
        async with service.uploads:
            try:
                async with asyncio.timeout(_SECONDS):
                    counted = Request(request.scope, _counted(request, service.settings.upload_bytes))
                    form = await counted.form(max_files=_FILES, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
            except TimeoutError:
                raise Problem("timeout", f"the body did not arrive within {_SECONDS} seconds") from None
            except ClientDisconnect:
                raise Problem("bad-request", "the connection ended before the body did") from None
            try:
                files = tuple(value for value in form.getlist("files") if isinstance(value, UploadFile))
                given = [(name, value) for name, value in form.multi_items() if name != "files"]
                if any(isinstance(value, UploadFile) for _, value in given):
                    raise InputError("send files in the field `files` only")
                yield Upload({name: str(value) for name, value in given}, files)
            finally:
                await form.close()


def _counted(request: Request, most: int) -> Receive:
    """Return what receives the body up to so many bytes; the framework's own limit answers with no problem details."""
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

    too_large = Problem("too-large", f"a body may have {most:,} bytes, and this one has more")
    return receive


Uploaded = Annotated[Upload, Depends(_uploaded)]


def describe_multipart(form: type[BaseModel], files: str, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of such a body, which the framework cannot tell because it does not read it.

    Args:
        form: the fields beside `files`.
        files: what the files are.
        example: of the fields.
    """
    schema = form.model_json_schema()
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    schema["properties"]["files"] = {"type": "array", "items": binary, "minItems": 1, "description": files}
    schema["required"] = [*schema.get("required", ()), "files"]
    # Definitions are put in place: a reference in here would point to nowhere in the whole document.
    definitions = schema.pop("$defs", {})
    for name, value in schema["properties"].items():
        if (reference := value.pop("$ref", "")) in {f"#/$defs/{each}" for each in definitions}:
            schema["properties"][name] = {**definitions[reference.rpartition("/")[2]], **value}
    content = {"multipart/form-data": {"schema": schema, "example": dict(example)}}
    return {"requestBody": {"required": True, "content": content}}
