"""Routes of signing in and out: a token is posted once and then kept in a cookie."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from grader.service.api.access import AnonymousLimit
from grader.service.api.service import ServiceDep
from grader.service.store.queries.tokens import find_token
from grader.service.web.page import FORM_BYTES, redirect, render_page
from grader.service.web.session import read_secret, sign_in, sign_out

__all__ = ["router"]

_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")  # browsers treat a backslash as a slash

router = APIRouter(max_body_size=FORM_BYTES)


@router.get("/sign-in", dependencies=[AnonymousLimit])
def show_sign_in(
    request: Request, service: ServiceDep, then: Annotated[str, Query(alias="next", max_length=500)] = "/"
) -> Response:
    """Show the form for a token."""
    if find_token(service.store, read_secret(request)):
        return redirect(_keep_local(then))
    return render_page("sign_in", None, then=_keep_local(then), wrong=False)


@router.post("/sign-in", dependencies=[AnonymousLimit])
def submit_sign_in(
    request: Request,
    service: ServiceDep,
    token: Annotated[str, Form(max_length=500)] = "",
    then: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Sign in."""
    secret = token.strip()
    if find_token(service.store, secret) is None:
        return render_page("sign_in", None, 401, then=_keep_local(then), wrong=True)
    response = redirect(_keep_local(then))
    sign_in(request, response, secret)
    return response


@router.post("/sign-out")
def submit_sign_out() -> Response:
    """Sign out."""
    response = redirect("/sign-in")
    sign_out(response)
    return response


def _keep_local(path: str) -> str:
    """Return `path` if it is a path of this site, else that of the home page: no redirect leads to another site."""
    return path if _LOCAL_PATH.fullmatch(path) else "/"
