"""Routes of signing in and out: a token is posted once, and is then a cookie."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from grader.service.api.access import Unnamed
from grader.service.api.service import Given
from grader.service.store.queries.tokens import find_token
from grader.service.web.page import SMALL, redirect, render_page
from grader.service.web.session import read_secret, sign_in, sign_out

__all__ = ["router"]

_OURS = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")  # a path here; browsers read a backslash as a slash

router = APIRouter(max_body_size=SMALL)


@router.get("/sign-in", dependencies=[Unnamed])
def show_sign_in(
    request: Request, service: Given, then: Annotated[str, Query(alias="next", max_length=500)] = "/"
) -> Response:
    """Ask for a token."""
    if find_token(service.store, read_secret(request)):
        return redirect(_ours(then))
    return render_page("sign_in", None, then=_ours(then), wrong=False)


@router.post("/sign-in", dependencies=[Unnamed])
def post_sign_in(
    request: Request,
    service: Given,
    token: Annotated[str, Form(max_length=500)] = "",
    then: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Sign in."""
    secret = token.strip()
    if find_token(service.store, secret) is None:
        return render_page("sign_in", None, 401, then=_ours(then), wrong=True)
    response = redirect(_ours(then))
    sign_in(request, response, secret)
    return response


@router.post("/sign-out")
def post_sign_out() -> Response:
    """Sign out."""
    response = redirect("/sign-in")
    sign_out(response)
    return response


def _ours(path: str) -> str:
    """Return a path of this site, the first page where it is none: no link leads from here to elsewhere."""
    return path if _OURS.fullmatch(path) else "/"
