"""The Gradio app: our pages as its routes, harness/dashboard/api.py as its endpoints, and nothing else of it.

Gradio in server mode brings routes that these pages have no use for: uploads, files of the disk, proxies, an editor.
Whatever is not listed in OPEN is not there.
"""

import functools
import os
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as it is imported: neither telemetry nor a look for versions
import gradio
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.dashboard.api import Api
from harness.dashboard.page import TITLE, Dashboard
from harness.errors import UserError

TYPES = {"csv": "text/csv", "json": "application/json"}
# Nothing from elsewhere is loaded, and nobody's form or frame is sent elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; "
POLICY += "connect-src 'self'; form-action 'self'"
# Our pages, and what Gradio's clients and its own start ask for.
OPEN = re.compile(
    r"/|/export\.\w+|/picture|/config|/gradio_api/(info|openapi\.json|startup-events|heartbeat/[\w-]+|queue/(join|data)"
    r"|call/\w+(/[\w-]+)?|cancel|reset)"
)
ENDPOINTS = ("results", "compare", "choose")


class Only:
    """Middleware that answers 404 to every path but those of OPEN."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what is open."""
        closed = scope["type"] == "http" and not OPEN.fullmatch(scope["path"])
        await (Response(status_code=404) if closed else self.app)(scope, receive, send)


def pages(dashboard: Dashboard) -> list[Route]:
    """Our routes. Reading files anew is for whole pages only, which a visitor loads or reloads."""

    async def page(request: Request) -> Response:
        if "fragment" not in request.headers:
            await run_in_threadpool(dashboard.refresh)
        html = await run_in_threadpool(dashboard.page, request.url.query)
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def saved(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in TYPES:
            return Response(status_code=404)
        name, text = await run_in_threadpool(dashboard.saved, request.url.query, kind)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type=f"{TYPES[kind]}; charset=utf-8", headers=headers)

    async def picture(request: Request) -> Response:
        query, _, name = request.url.query.rpartition("&picture=")
        found = await run_in_threadpool(dashboard.picture, query, unquote(name.replace("+", " ")))
        return Response(status_code=404) if found is None else Response(found[0], media_type=found[1])

    return [Route("/", page), Route("/export.{kind}", saved), Route("/picture", picture)]


def application(dashboard: Dashboard) -> gradio.Server:
    """The app over a dashboard, to be launched."""
    app = gradio.Server(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None, routes=pages(dashboard))
    app.add_middleware(GZipMiddleware, compresslevel=3)
    app.add_middleware(Only)
    api = Api(dashboard)
    for name in ENDPOINTS:
        app.api(_endpoint(getattr(api, name)), name=name)
    return app


def _endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, where what a caller can put right is Gradio's kind of error, whose text clients are told."""

    @functools.wraps(function)
    def call(link: str = "") -> Any:
        try:
            return function(link)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None

    return call


def serve(dashboard: Dashboard, host: str, port: int) -> None:
    """Serves until it is interrupted.

    Raises:
        OSError: the address cannot be listened on.
    """
    version6 = ":" in host
    socket.create_server((host, port), family=socket.AF_INET6 if version6 else socket.AF_INET).close()
    name = f"[{host}]" if version6 else host
    app, _, _ = application(dashboard).launch(
        server_name=name, server_port=port, share=False, quiet=True, inline=False, prevent_thread_lock=True,
        ssr_mode=False, mcp_server=False, run_history=False, enable_monitoring=False, pwa=False, _frontend=False,
    )  # fmt: skip
    print(f"The dashboard is at http://{name}:{port} (stop it with Ctrl+C)", flush=True)
    app.get_blocks().block_thread()
